// <ls-cart>: what is held for this viewer and for how long, what it costs and why.

import { html, css, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Cart, Place } from "../wire.gen";
import { clockText } from "../state/i18n";
import { textIn } from "../state/price";
import { baseStyles } from "../ui/styles";
import { deepActive } from "../ui/focus";
import { icon } from "../ui/icon";
import { priceStyles } from "../ui/price";
import "../ui/sheet";
import "./alerts";
import { cartLine, foreignRow, lineStyles, rowOf, type Row } from "./cart-line";
import "./codes";
import { goOf } from "./go";
import { Part, define } from "./part";

export class LsCart extends Part {
  @state() private busy = "";
  /** What went wrong, in words; also before this sheet was opened. */
  @property() problem = "";

  static override styles = [
    baseStyles,
    priceStyles,
    lineStyles,
    css`
      :host {
        display: contents;
      }
      .hold {
        display: flex;
        align-items: center;
        gap: 12px;
        margin: 16px 20px 0;
        padding: 12px 14px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-accent-soft);
        font-size: var(--ls-text-sm);
        line-height: 1.4;
      }
      .hold .icon {
        color: var(--ls-accent);
        font-size: 18.4px;
      }
      .hold b {
        margin-left: auto;
        font-size: 18px;
        font-variant-numeric: tabular-nums;
        letter-spacing: -0.01em;
      }
      .hold.hurry {
        background: var(--ls-warn-soft);
        color: var(--ls-warn);
      }
      .hold.hurry .icon {
        color: inherit;
      }
      .hold {
        flex-wrap: wrap;
      }
      .hold span {
        flex: 1 1 160px;
      }
      .hold .btn {
        margin-left: auto;
      }
      .empty {
        height: 100%;
        min-height: 280px;
        display: grid;
        align-content: center;
        justify-items: center;
        gap: 6px;
        padding: 32px;
        text-align: center;
        color: var(--ls-ink-2);
        font-size: var(--ls-text-md);
        line-height: 1.5;
      }
      .waits + .empty {
        height: auto;
      }
      .empty .icon {
        font-size: 38.4px;
        stroke-width: 1.2;
        color: var(--ls-ink-3);
        margin-bottom: 8px;
      }
      .empty b {
        font-size: var(--ls-text-lg);
        color: var(--ls-ink);
      }
      .empty .btn {
        margin-top: 14px;
      }
      .sum {
        display: flex;
        justify-content: space-between;
        align-items: baseline;
        gap: 16px;
        font-variant-numeric: tabular-nums;
      }
      .sum.off {
        color: var(--ls-sale);
      }
      .steps {
        padding: 12px 20px 14px;
        border-top: 1px solid var(--ls-line);
        display: grid;
        gap: 4px;
        font-size: var(--ls-text-sm);
      }
      .sum.all {
        font-weight: 600;
      }
      .waits {
        padding: 12px 20px 16px;
      }
      .lines ~ .waits {
        border-top: 1px solid var(--ls-line);
      }
      h3 {
        font-size: var(--ls-text-sm);
        font-weight: 600;
        color: var(--ls-ink-2);
      }
      .waits li {
        display: flex;
        align-items: center;
        gap: 12px;
        font-size: var(--ls-text-sm);
        line-height: 1.4;
      }
      .waits span {
        flex: 1;
        min-width: 0;
      }
      .waits b {
        display: block;
        font-weight: 600;
      }
      .waits .link {
        margin-right: -4px;
        font-size: var(--ls-text-sm);
      }
      .sum .price {
        font-size: 18px;
      }
      .foot {
        display: grid;
        gap: 4px;
      }
      .foot .btn {
        margin-top: 8px;
      }
      .note {
        margin: 16px 20px 0;
        align-items: center;
      }
      .note .btn {
        margin-left: auto;
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    if (!this.session.foreign) this.session.cart.load().catch(() => undefined);
  }

  private async act(id: string, work: () => Promise<unknown>): Promise<void> {
    if (this.busy) return;
    this.busy = id;
    this.problem = "";
    try {
      await work();
    } catch (error) {
      this.problem = this.session.words(error);
    } finally {
      this.busy = "";
    }
    await this.updateComplete;
    // A line that was removed takes its buttons along; the keyboard stays in the sheet.
    const active = deepActive();
    if (!active || active === document.body) this.renderRoot.querySelector("ls-sheet")?.focusTitle();
  }

  private rows(): Row[] {
    return this.session.foreign
      ? this.session.foreign.map((line) => foreignRow(line, this))
      : (this.session.cart.cart?.lines ?? []).map((line) => rowOf(line, this));
  }

  private holds(): TemplateResult | typeof nothing {
    const { t, duration } = this.session.i18n;
    const cart = this.session.cart;
    const lines = cart.cart?.lines ?? [];
    if (this.session.foreign || lines.every((l) => l.hold === "none")) return nothing;
    if (cart.isLapsed) {
      return html`<div class="hold hurry" role="status">
        ${icon("clock")}<span>${t("cart.lapsed_note")}</span>
        <button
          class="btn btn-outline"
          data-testid="hold-again"
          ?disabled=${this.busy !== ""}
          @click=${() => this.act("hold", () => cart.holdAgain())}
        >
          ${t("cart.hold_again")}
        </button>
      </div>`;
    }
    const until = cart.cart?.held_until ?? null;
    const left = this.secondsLeft(until);
    const hurry = left <= this.session.warningSeconds;
    return html`<div class="hold ${hurry ? "hurry" : ""}" data-testid=${hurry ? "hold-warning" : "hold"}>
      ${icon("clock")}${hurry
        ? html`<span role=${this.alertOnce(`hold ${until}`)}>${t("hold.ending")}</span>`
        : html`<span>${t("cart.held_note")}</span>`}<b role="timer">${clockText(left)}</b>
      ${hurry && cart.cart?.can_extend
        ? html`<button
            class="btn btn-outline"
            data-testid="hold-extend"
            ?disabled=${this.busy !== ""}
            @click=${() => this.act("hold", () => cart.extend())}
          >
            ${t("hold.extend", { time: duration(this.session.holdSeconds) })}
          </button>`
        : nothing}
    </div>`;
  }

  private unheld(): TemplateResult | typeof nothing {
    const key = this.session.foreign ? null : this.session.cart.unheldKey;
    return key ? html`<p class="note" data-testid="not-held">${icon("info")}<span>${this.t(key)}</span></p>` : nothing;
  }

  /** Where the viewer stands in waitlists. Those whose turn it is are told above. */
  private waits(): TemplateResult | typeof nothing {
    const { t } = this.session.i18n;
    // What is sold out in the cart says so in its line.
    const lines = this.session.cart.cart?.lines ?? [];
    const places = this.session.waitlist.places.filter(
      (place) => place.offered_until === null && !lines.some((l) => l.variant_id === place.variant_id && l.hold !== "held"),
    );
    if (places.length === 0) return nothing;
    return html`<section class="waits">
      <h3>${t("wait.title")}</h3>
      <ul>
        ${repeat(
          places,
          (place: Place) => place.id,
          (place: Place) => html`<li data-testid="waitlist-place">
            <span><b>${[place.title, ...place.values].join(" · ")}</b>${t("wait.position", { n: place.position })}</span>
            <button
              class="link"
              data-testid="waitlist-leave"
              aria-label=${t("wait.leave_of", { title: place.title })}
              ?disabled=${this.busy !== ""}
              @click=${() => this.act(place.id, () => this.session.waitlist.leave(place.id))}
            >
              ${t("wait.leave")}
            </button>
          </li>`,
        )}
      </ul>
    </section>`;
  }

  /** How the goods come about, where there is more to it than their sum. */
  private steps(cart: Cart): TemplateResult | typeof nothing {
    if (cart.order_discounts.length === 0) return nothing;
    return html`<div class="steps">
      <p class="sum" data-testid="subtotal"><span>${this.t("cart.subtotal")}</span><span>${this.money(cart.subtotal)}</span></p>
      ${cart.order_discounts.map(
        (each) => html`<p class="sum off" data-testid="order-discount">
          <span>${textIn(each.texts, this.session.i18n.lang)}</span><span>${this.money(each.amount)}</span>
        </p>`,
      )}
    </div>`;
  }

  /** Shipping and what tax comes on top are the quote's. */
  private goods(cart: Cart): TemplateResult {
    return html`<p class="sum all" data-testid="goods">
      <span>${this.t(cart.order_discounts.length > 0 ? "cart.goods" : "cart.subtotal")}</span
      ><span class="price">${this.money(cart.goods)}</span>
    </p>`;
  }

  private foreignSum(): TemplateResult {
    const lines = this.session.foreign ?? [];
    const amount = lines.reduce((sum, l) => sum + l.variant.price.amount * l.quantity, 0);
    const total = lines[0] ? this.money({ ...lines[0].variant.price, amount }) : "";
    return html`<p class="sum all"><span>${this.t("cart.subtotal")}</span><span class="price">${total}</span></p>`;
  }

  private checkout(): void {
    if (this.session.goesToCheckout()) this.emit("go", { sheet: "checkout" });
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const rows = this.rows();
    const open = this.session.foreign ? null : this.session.cart.unanswered;
    const cart = this.session.cart.cart;
    return html`<ls-sheet
      data-testid="cart"
      label=${rows.length > 0 ? t("cart.title_count", { count: this.session.cartCount }) : t("cart.title")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      <ls-alerts slot="alert" cart .session=${this.session}></ls-alerts>
      ${open
        ? html`<div class="note note-warn">
            <span>${t("cart.unanswered")}</span>
            <button
              class="btn btn-outline"
              data-testid="resume-order"
              ?disabled=${this.busy !== ""}
              @click=${() =>
                this.act("resume", async () =>
                  this.emit("go", goOf(this.session.payments.heard(await this.session.cart.resume(open)))),
                )}
            >
              ${t("cart.unanswered_check")}
            </button>
          </div>`
        : nothing}
      ${rows.length === 0
        ? html`${this.waits()}<div class="empty">
            ${icon("bag")}<b>${t("cart.empty")}</b>${t("cart.empty_hint")}
            <button class="btn btn-outline" @click=${() => this.emit("go", { sheet: null, tab: "products" })}>
              ${t("cart.see_products")}
            </button>
          </div>`
        : html`${this.holds()}
            ${this.unheld()}
            <ul class="lines">
              ${repeat(
                rows,
                (row) => row.id,
                (row) =>
                  cartLine(row, this, this.busy !== "", (quantity) =>
                    this.act(row.id, () => this.session.setQuantity(row.id, quantity)),
                  ),
              )}
            </ul>
            ${this.session.foreign ? nothing : html`<ls-codes .session=${this.session}></ls-codes>`}
            ${cart && !this.session.foreign ? this.steps(cart) : nothing}
            ${this.waits()}`}
      ${rows.length > 0
        ? html`<div slot="foot" class="foot">
            <div role="status">${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}</div>
            ${cart && !this.session.foreign ? this.goods(cart) : this.foreignSum()}
            <p class="hint">${t("cart.shipping_next")}</p>
            <button class="btn btn-primary btn-wide" data-testid="checkout" @click=${this.checkout}>${t("cart.checkout")}</button>
          </div>`
        : this.problem
          ? html`<div slot="foot"><p class="error" role="status">${this.problem}</p></div>`
          : nothing}
    </ls-sheet>`;
  }
}

define("ls-cart", LsCart);

declare global {
  interface HTMLElementTagNameMap {
    "ls-cart": LsCart;
  }
}
