// <ls-dialog>: a native modal dialog for the server's own pages (studio, desk).

import { LitElement, html, css, nothing, type TemplateResult } from "lit";
import { property, query } from "lit/decorators.js";
import { baseStyles } from "./styles";
import { icon } from "./icon";

/** Set `open`; it fires "ls-close" on Escape, backdrop click and its close button, and never closes by itself. */
export class Dialog extends LitElement {
  @property({ type: Boolean }) open = false;
  @property() label = "";
  @property() closeLabel = "Close";
  @query("dialog") private dialog!: HTMLDialogElement;

  static override styles = [
    baseStyles,
    css`
      dialog {
        width: min(560px, calc(100vw - 24px));
        max-height: min(88dvh, 860px);
        padding: 0;
        border: 0;
        border-radius: var(--ls-radius);
        background: var(--ls-surface);
        color: var(--ls-ink);
        box-shadow: var(--ls-shadow-3);
      }
      dialog[open] {
        display: flex;
        flex-direction: column;
      }
      dialog::backdrop {
        background: rgb(12 10 18 / 0.5);
        backdrop-filter: blur(2px);
      }
      .head {
        display: flex;
        align-items: center;
        min-height: 60px;
        padding: 8px 8px 8px 24px;
        border-bottom: 1px solid var(--ls-line);
      }
      h2 {
        flex: 1;
        font-size: var(--ls-text-lg);
        letter-spacing: -0.01em;
      }
      .body {
        padding: 20px 24px;
        overflow-y: auto;
      }
      slot[name="foot"]::slotted(*) {
        padding: 14px 24px 18px;
        border-top: 1px solid var(--ls-line);
      }
      @media (max-width: 520px) {
        dialog {
          width: 100vw;
          max-width: 100vw;
          margin: auto 0 0;
          border-radius: var(--ls-radius) var(--ls-radius) 0 0;
        }
      }
    `,
  ];

  protected override updated(): void {
    if (this.open && !this.dialog.open) this.dialog.showModal();
    if (!this.open && this.dialog.open) this.dialog.close();
  }

  private dismiss(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  private onCancel(event: Event): void {
    event.preventDefault();
    this.dismiss();
  }

  private onClick(event: MouseEvent): void {
    if (event.target === this.dialog) this.dismiss();
  }

  protected override render(): TemplateResult {
    return html`<dialog aria-label=${this.label || nothing} @cancel=${this.onCancel} @click=${this.onClick}>
      <div class="head">
        <h2>${this.label}</h2>
        <button class="icon-btn" aria-label=${this.closeLabel} @click=${this.dismiss}>${icon("close")}</button>
      </div>
      <div class="body"><slot></slot></div>
      <slot name="foot"></slot>
    </dialog>`;
  }
}

if (!customElements.get("ls-dialog")) customElements.define("ls-dialog", Dialog);

declare global {
  interface HTMLElementTagNameMap {
    "ls-dialog": Dialog;
  }
}
