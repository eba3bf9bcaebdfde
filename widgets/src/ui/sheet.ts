// <ls-sheet>: a dialog that slides over a part of its positioned parent and leaves the rest (the video) in sight.
// Not a native modal <dialog>: that would make the running video's controls inert.

import { LitElement, html, css, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { baseStyles } from "./styles";
import { deepActive, keepInside } from "./focus";
import { icon } from "./icon";

/** Fires "ls-close" on Escape and on its close button. Slots: default (scrolls), "alert" and "foot" (stay), "back" (left of the title). */
export class Sheet extends LitElement {
  @property() label = "";
  @property() closeLabel = "";
  @property({ type: Boolean, reflect: true }) wide = false;
  private returnTo: HTMLElement | null = null;

  static override styles = [
    baseStyles,
    css`
      :host {
        position: absolute;
        inset: 0;
        z-index: 20;
        display: flex;
        flex-direction: column;
        background: var(--ls-surface);
        color: var(--ls-ink);
        animation: ls-sheet-in var(--ls-slow) var(--ls-ease);
        overflow: hidden;
        outline: none;
      }
      header {
        display: flex;
        align-items: center;
        gap: var(--ls-2);
        min-height: 60px;
        padding: 8px 8px 8px 20px;
        border-bottom: 1px solid var(--ls-line);
        flex: none;
      }
      ::slotted([slot="back"]) {
        margin-left: -12px;
      }
      h2 {
        flex: 1;
        min-width: 0;
        font-size: var(--ls-text-lg);
        font-weight: 700;
        letter-spacing: -0.01em;
        outline: none;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      /* It has the focus to be read out, not to be pressed. */
      h2:focus-visible {
        box-shadow: none;
      }
      .body {
        flex: 1;
        min-height: 0;
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-width: thin;
        scrollbar-color: var(--ls-line-2) transparent;
        position: relative;
      }
      .body:focus-visible {
        box-shadow: inset 0 0 0 2px var(--ls-accent);
      }
      slot[name="foot"]::slotted(*) {
        flex: none;
        padding: 12px 20px 16px;
        border-top: 1px solid var(--ls-line);
        background: var(--ls-surface);
      }
      @keyframes ls-sheet-in {
        from {
          transform: translateY(24px);
          opacity: 0;
        }
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.returnTo = deepActive();
    this.setAttribute("role", "dialog");
    this.setAttribute("aria-modal", "true");
    this.addEventListener("keydown", this.onKey);
    this.addEventListener("lost", this.onLost);
    void this.updateComplete.then(() => {
      this.focusTitle();
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.removeEventListener("keydown", this.onKey);
    const target = this.returnTo;
    // The opener may be gone (a row that was removed): then focus stays where the browser puts it.
    if (target?.isConnected) target.focus({ preventScroll: true });
  }

  protected override updated(): void {
    this.setAttribute("aria-label", this.label);
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      // Both: a dialog around the player listens to the browser's own close request.
      event.preventDefault();
      event.stopPropagation();
      this.dismiss();
      return;
    }
    keepInside(this.renderRoot as ShadowRoot, event);
  };

  /** An alert went away with the control that had the focus. */
  private readonly onLost = (event: Event): void => {
    event.stopPropagation();
    this.focusTitle();
  };

  private dismiss(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    return html`
      <header part="header">
        <slot name="back"></slot>
        <h2 tabindex="-1">${this.label}</h2>
        <slot name="tools"></slot>
        <button class="icon-btn" aria-label=${this.closeLabel || nothing} @click=${this.dismiss}>${icon("close")}</button>
      </header>
      <slot name="alert"></slot>
      <div class="body" part="body" tabindex="0"><slot></slot></div>
      <slot name="foot"></slot>
    `;
  }

  /** For a control inside that is gone after it was used. */
  focusTitle(): void {
    this.renderRoot.querySelector("h2")?.focus({ preventScroll: true });
  }
}

if (!customElements.get("ls-sheet")) customElements.define("ls-sheet", Sheet);

declare global {
  interface HTMLElementTagNameMap {
    "ls-sheet": Sheet;
  }
}
