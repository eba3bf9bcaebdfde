// <ls-waiting>: the waitlist of one variant, in place of a button that could not sell anything.

import { html, css, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { ApiProblem } from "../state/api";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";

/** Fires "joined", and "available" when the server has some again: then there is nothing to wait for. */
export class LsWaiting extends Part {
  @property() variantId = "";
  @state() private busy = false;
  @state() private problem = "";

  static override styles = [
    baseStyles,
    css`
      :host {
        display: block;
      }
      .error {
        margin-bottom: 8px;
      }
      .place {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 50px;
        padding: 2px 4px 2px 14px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-accent-soft);
        font-size: var(--ls-text-sm);
        line-height: 1.4;
      }
      .place .icon {
        color: var(--ls-accent);
        font-size: 16px;
      }
      .place span {
        flex: 1;
      }
      .place b {
        display: block;
        font-weight: 650;
      }
      .hint {
        margin-top: 8px;
        text-align: center;
      }
    `,
  ];

  private async act(work: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.problem = "";
    try {
      await work();
    } catch (error) {
      this.problem = this.session.words(error);
      if (error instanceof ApiProblem && error.code === "still_available") this.dispatchEvent(new Event("available"));
    } finally {
      this.busy = false;
    }
    await this.updateComplete;
    // The button that was pressed is gone: go on with the one in its place.
    this.renderRoot.querySelector("button")?.focus();
  }

  private join(): Promise<void> {
    this.session.track("waitlist-join", { variant_id: this.variantId });
    return this.act(async () => {
      await this.session.waitlist.join(this.variantId);
      this.dispatchEvent(new Event("joined"));
    });
  }

  protected override render(): TemplateResult {
    const place = this.session.waitlist.of(this.variantId);
    const seconds = this.session.shop?.waitlist_seconds;
    return html`<div role="status">${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}</div>
      ${place
        ? html`<p class="place" data-testid="waitlist-place">
            ${icon("bell")}<span role="status"
              ><b>${this.t("wait.position", { n: place.position })}</b>${this.t("wait.told_here")}</span
            >
            <button
              class="btn btn-ghost"
              data-testid="waitlist-leave"
              ?disabled=${this.busy}
              @click=${() => this.act(() => this.session.waitlist.leave(place.id))}
            >
              ${this.t("wait.leave")}
            </button>
          </p>`
        : html`<button class="btn btn-primary btn-wide" data-testid="waitlist-join" ?disabled=${this.busy} @click=${this.join}>
              ${this.busy ? html`<span class="spinner"></span>` : icon("bell")}${this.t("wait.join")}
            </button>
            ${seconds
              ? html`<p class="hint">${this.t("wait.promise", { time: this.session.i18n.duration(seconds) })}</p>`
              : nothing}`}`;
  }
}

define("ls-waiting", LsWaiting);

declare global {
  interface HTMLElementTagNameMap {
    "ls-waiting": LsWaiting;
  }
}
