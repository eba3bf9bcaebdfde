// <ls-alerts>: what cannot wait until the viewer opens the cart. A hold that ends soon, a turn in a waitlist.
// Shown wherever the viewer is. The words are said aloud once; the seconds beside them never.

import { html, css, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Order, Place } from "../wire.gen";
import { clockText } from "../state/i18n";
import { baseStyles } from "../ui/styles";
import { deepActive } from "../ui/focus";
import { icon } from "../ui/icon";
import { Part, define } from "./part";

const PROBLEM_SHOWN_MS = 8000;

/** Fires "go" like the sheets, and "lost" when a control that had the focus is gone. */
export class LsAlerts extends Part {
  /** In the cart itself, which speaks of its holds in its own place. */
  @property({ type: Boolean }) cart = false;
  @state() private busy = "";
  @state() private problem = "";
  private forget: ReturnType<typeof setTimeout> | undefined;

  static override styles = [
    baseStyles,
    css`
      :host {
        display: block;
        flex: none;
      }
      .alert {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 8px 12px;
        padding: 10px 16px;
        border-bottom: 1px solid var(--ls-line);
        background: var(--ls-warn-soft);
        color: var(--ls-warn);
        font-size: var(--ls-text-sm);
        line-height: 1.4;
        animation: alert-in var(--ls-slow) var(--ls-ease);
      }
      @keyframes alert-in {
        from {
          opacity: 0;
        }
      }
      .alert.turn {
        background: var(--ls-accent-soft);
        color: var(--ls-ink);
      }
      .alert > .icon {
        font-size: 16px;
      }
      .turn > .icon {
        color: var(--ls-accent);
      }
      .words {
        flex: 1 1 150px;
        min-width: 0;
        font-weight: 600;
      }
      .words small {
        display: block;
        font-size: inherit;
        font-weight: 400;
      }
      [role="timer"] {
        font-size: 18px;
        font-weight: 700;
        font-variant-numeric: tabular-nums;
        letter-spacing: -0.01em;
      }
      .do {
        display: flex;
        gap: 4px;
        margin-left: auto;
      }
      .btn-ghost {
        padding: 0 10px;
      }
      .error {
        flex-basis: 100%;
      }
      /* In a corner of the page: the most urgent one, and what can be done about it. */
      :host([small]) .alert {
        padding: 6px 8px;
        gap: 4px 8px;
        font-size: var(--ls-text-xs);
      }
      :host([small]) :is(.alert ~ .alert, .words small, .btn-ghost) {
        display: none;
      }
      :host([small]) .btn {
        min-height: 36px;
        padding: 0 10px;
        font-size: var(--ls-text-sm);
      }
      :host([small]) [role="timer"] {
        font-size: var(--ls-text-md);
      }
    `,
  ];

  private tell(name: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  private async act(id: string, work: () => Promise<unknown>, then?: () => void): Promise<void> {
    if (this.busy) return;
    const active = deepActive();
    this.busy = id;
    this.problem = "";
    clearTimeout(this.forget);
    try {
      await work();
      then?.();
    } catch (error) {
      this.problem = this.session.words(error);
      this.forget = setTimeout(() => (this.problem = ""), PROBLEM_SHOWN_MS);
      this.session.cart.load().catch(() => undefined);
    } finally {
      this.busy = "";
    }
    await this.updateComplete;
    if (!this.isConnected || this.renderRoot.contains(deepActive())) return;
    // The button that was pressed may be gone. Not on to another one here: a second press would do what nobody meant.
    if (active && this.renderRoot.contains(active)) active.focus();
    else this.tell("lost");
  }

  private hold(): TemplateResult | typeof nothing {
    const { cart, warningSeconds, i18n } = this.session;
    const until = cart.cart?.held_until ?? null;
    const left = this.secondsLeft(until);
    if (this.cart || this.session.foreign || left === 0 || left > warningSeconds) return nothing;
    return html`<div class="alert" data-testid="hold-warning">
      ${icon("clock")}
      <p class="words" role=${this.alertOnce(`hold ${until}`)}>${i18n.t("hold.ending")}</p>
      <b role="timer" data-testid="hold-warning-countdown">${clockText(left)}</b>
      <span class="do">
        ${cart.cart?.can_extend
          ? html`<button
              class="btn btn-outline"
              data-testid="hold-extend"
              ?disabled=${this.busy !== ""}
              @click=${() => this.act("hold", () => cart.extend())}
            >
              ${i18n.t("hold.extend", { time: i18n.duration(this.session.holdSeconds) })}
            </button>`
          : html`<button class="btn btn-outline" @click=${() => this.tell("go", { sheet: "cart" })}>
              ${i18n.t("product.view_cart")}
            </button>`}
      </span>
    </div>`;
  }

  private turn(place: Place): TemplateResult | typeof nothing {
    const { i18n, waitlist } = this.session;
    const left = this.secondsLeft(place.offered_until);
    if (left === 0) return nothing;
    const what = [place.title, place.values.join(" · ")].filter(Boolean).join(", ");
    const take = (): Promise<void> =>
      this.act(
        place.id,
        () => this.session.takeTurn(place),
        () => this.tell("go", { sheet: "cart" }),
      );
    return html`<div class="alert turn" data-testid="waitlist-offer">
      ${icon("bell")}
      <p class="words" role=${this.alertOnce(`turn ${place.id} ${place.offered_until}`)}>
        ${i18n.t("wait.turn", { what })}
        <small>${i18n.t("wait.until", { time: i18n.time(place.offered_until!) })}</small>
      </p>
      <b role="timer" data-testid="waitlist-countdown">${clockText(left)}</b>
      <span class="do">
        <button
          class="btn btn-ghost"
          data-testid="waitlist-decline"
          ?disabled=${this.busy !== ""}
          @click=${() => this.act(place.id, () => waitlist.leave(place.id))}
        >
          ${i18n.t("wait.decline")}
        </button>
        <button class="btn btn-primary" data-testid="waitlist-take" ?disabled=${this.busy !== ""} @click=${take}>
          ${i18n.t("wait.take")}
        </button>
      </span>
    </div>`;
  }

  /** An order that waits for its payment. Whoever closes its sheet finds it again here. */
  private payment(order: Order): TemplateResult {
    const { i18n, payments } = this.session;
    const left = this.secondsLeft(order.payment.expires_at);
    return html`<div class="alert turn" data-testid="payment-open">
      ${icon("card")}
      <p class="words" role=${this.alertOnce(`payment ${order.id}`)}>
        ${i18n.t("payment.open")}<small>${i18n.t("payment.open_total", { total: this.money(order.total) })}</small>
      </p>
      ${left > 0 ? html`<b role="timer">${clockText(left)}</b>` : nothing}
      <span class="do">
        <button
          class="btn btn-ghost"
          data-testid="payment-drop"
          ?disabled=${this.busy !== ""}
          @click=${() =>
            this.act(
              "payment",
              async () => {
                await payments.cancel(order.id);
                await this.session.cart.load();
              },
              () => this.tell("go", { sheet: "cart" }),
            )}
        >
          ${i18n.t("payment.cancel")}
        </button>
        <button
          class="btn btn-primary"
          data-testid="payment-continue"
          @click=${() => this.tell("go", { sheet: "payment", order, fresh: false })}
        >
          ${i18n.t("payment.continue")}
        </button>
      </span>
    </div>`;
  }

  protected override render(): TemplateResult {
    const { pending } = this.session.payments;
    return html`${pending ? this.payment(pending) : nothing}${repeat(
        this.session.waitlist.turns,
        (place) => place.id,
        (place) => this.turn(place),
      )}${this.hold()}${this.problem
        ? html`<div class="alert"><p class="error" role="alert">${this.problem}</p></div>`
        : nothing}`;
  }
}

define("ls-alerts", LsAlerts);

declare global {
  interface HTMLElementTagNameMap {
    "ls-alerts": LsAlerts;
  }
}
