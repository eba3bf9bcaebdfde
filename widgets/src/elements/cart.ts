// <ls-cart>: what is held for this viewer and for how long.

import { html, css, nothing, type TemplateResult } from "lit";
import { state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { CartLine } from "../wire.gen";
import { clockText } from "../state/i18n";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import "../ui/sheet";
import { Part, define } from "./part";

/** From here on the countdown asks for attention. */
const HURRY_SECONDS = 120;

interface Row {
  id: string;
  productId: string;
  title: string;
  values: readonly string[];
  image: CartLine["image"];
  quantity: number;
  most: number;
  total: string;
  hold: CartLine["hold"] | "foreign";
  heldUntil: string | null;
}

export class LsCart extends Part {
  @state() private busy = "";
  @state() private problem = "";
  private timer: ReturnType<typeof setInterval> | undefined;
  private asked = 0;

  static override styles = [
    baseStyles,
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
      .hold .btn {
        margin-left: auto;
      }
      ul {
        padding: 4px 20px 16px;
      }
      li {
        display: grid;
        grid-template-columns: 76px minmax(0, 1fr);
        gap: 14px;
        padding: 16px 0;
      }
      li + li {
        border-top: 1px solid var(--ls-line);
      }
      .shot {
        width: 76px;
        height: 92px;
        border-radius: var(--ls-radius-md);
        overflow: hidden;
        background: var(--ls-surface-2);
      }
      .shot picture {
        display: contents;
      }
      .shot img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      .name {
        display: flex;
        gap: 12px;
        align-items: baseline;
      }
      .name b {
        flex: 1;
        font-size: var(--ls-text-md);
        font-weight: 600;
        line-height: 1.35;
      }
      .values,
      .held {
        font-size: var(--ls-text-sm);
        color: var(--ls-ink-3);
        margin-top: 2px;
      }
      .held.out {
        color: var(--ls-bad);
        font-weight: 600;
      }
      .row {
        display: flex;
        align-items: center;
        justify-content: space-between;
        margin-top: 6px;
      }
      .step {
        display: inline-flex;
        align-items: center;
        border-radius: var(--ls-radius-full);
        box-shadow: inset 0 0 0 1px var(--ls-line-2);
      }
      .step span {
        min-width: 22px;
        text-align: center;
        font-weight: 600;
        font-variant-numeric: tabular-nums;
      }
      .bin {
        margin-right: -12px;
        color: var(--ls-ink-3);
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
        font-weight: 600;
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
    this.timer = setInterval(() => this.tick(), 1000);
    if (!this.session.foreign) this.session.cart.load().catch(() => undefined);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  private tick(): void {
    this.requestUpdate();
    const lines = this.session.cart.cart?.lines ?? [];
    const over = lines.some((l) => l.hold === "held" && this.session.cart.secondsLeft(l.held_until) === 0);
    // The server says when a hold has ended; ask it, but not every second.
    if (over && Date.now() - this.asked > 4000) {
      this.asked = Date.now();
      this.session.cart.load().catch(() => undefined);
    }
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
  }

  private rows(): Row[] {
    if (this.session.foreign) {
      return this.session.foreign.map(({ product, variant, quantity }) => ({
        id: variant.id,
        productId: product.id,
        title: product.title,
        values: variant.values,
        image: product.images[variant.image_index ?? 0] ?? null,
        quantity,
        most: variant.available,
        total: this.money({ ...variant.price, amount: variant.price.amount * quantity }),
        hold: "foreign",
        heldUntil: null,
      }));
    }
    return (this.session.cart.cart?.lines ?? []).map((line) => ({
      id: line.id,
      productId: line.product_id,
      title: line.title,
      values: line.values,
      image: line.image,
      quantity: line.quantity,
      // `available` is what others may still take; what this line holds comes on top.
      most: line.available + (line.hold === "held" ? line.quantity : 0),
      total: this.money(line.total),
      hold: line.hold,
      heldUntil: line.held_until,
    }));
  }

  private one(row: Row): TemplateResult {
    const { t } = this.session.i18n;
    const left = this.session.cart.secondsLeft(row.heldUntil);
    const set = (quantity: number): Promise<void> => this.act(row.id, () => this.session.setQuantity(row.id, quantity));
    return html`<li data-testid="cart-line">
      <div class="shot">${picture(row.image, { sizes: "76px", alt: "" })}</div>
      <div>
        <p class="name"><b>${row.title}</b><span class="price">${row.total}</span></p>
        ${row.values.length > 0 ? html`<p class="values">${row.values.join(" · ")}</p>` : nothing}
        ${row.hold === "held" && left > 0
          ? html`<p class="held">${t("cart.held")} <span data-testid="hold-countdown">${clockText(left)}</span></p>`
          : row.hold === "foreign"
            ? nothing
            : html`<p class="held out">${row.most > 0 ? t("cart.lapsed") : t("product.sold_out")}</p>`}
        <div class="row">
          <span class="step" role="group" aria-label=${t("cart.quantity_of", { title: row.title })}>
            <button
              class="icon-btn"
              aria-label=${t("cart.less")}
              ?disabled=${row.quantity <= 1 || this.busy !== ""}
              @click=${() => set(row.quantity - 1)}
            >
              ${icon("minus")}
            </button>
            <span>${row.quantity}</span>
            <button
              class="icon-btn"
              aria-label=${t("cart.more")}
              ?disabled=${row.quantity >= row.most || this.busy !== ""}
              @click=${() => set(row.quantity + 1)}
            >
              ${icon("plus")}
            </button>
          </span>
          <button
            class="icon-btn bin"
            aria-label=${t("cart.remove", { title: row.title })}
            ?disabled=${this.busy !== ""}
            @click=${() => set(0)}
          >
            ${icon("trash")}
          </button>
        </div>
      </div>
    </li>`;
  }

  private holds(): TemplateResult | typeof nothing {
    const cart = this.session.cart;
    const lines = cart.cart?.lines ?? [];
    if (this.session.foreign || lines.length === 0) return nothing;
    const { t } = this.session.i18n;
    const lapsed = lines.some((l) => l.hold === "lapsed" || cart.secondsLeft(l.held_until) === 0);
    if (lapsed) {
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
    const left = cart.secondsLeft(cart.cart?.held_until ?? null);
    return html`<div class="hold ${left <= HURRY_SECONDS ? "hurry" : ""}">
      ${icon("clock")}<span>${t("cart.held_note")}</span><b role="timer">${clockText(left)}</b>
    </div>`;
  }

  private checkout(): void {
    const goes = this.session.tell("goto-checkout", { cart: this.session.cart.cart, lines: this.session.foreign }, true);
    this.session.track("goto-checkout");
    // With the storefront's own cart there is nothing of ours to pay.
    if (goes && !this.session.foreign) this.emit("go", { sheet: "checkout" });
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const rows = this.rows();
    const open = this.session.foreign ? null : this.session.cart.unanswered;
    const foreign = this.session.foreign;
    const subtotal = foreign
      ? foreign.length > 0
        ? this.money({
            currency: foreign[0]!.variant.price.currency,
            amount: foreign.reduce((sum, l) => sum + l.variant.price.amount * l.quantity, 0),
          })
        : ""
      : this.session.cart.cart
        ? this.money(this.session.cart.cart.subtotal)
        : "";
    return html`<ls-sheet
      data-testid="cart"
      label=${rows.length > 0 ? t("cart.title_count", { count: this.session.cartCount }) : t("cart.title")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      ${open
        ? html`<div class="note note-warn">
            <span>${t("cart.unanswered")}</span>
            <button
              class="btn btn-outline"
              data-testid="resume-order"
              ?disabled=${this.busy !== ""}
              @click=${() =>
                this.act("resume", async () => this.emit("go", { sheet: "done", order: await this.session.cart.resume(open) }))}
            >
              ${t("cart.unanswered_check")}
            </button>
          </div>`
        : nothing}
      ${rows.length === 0
        ? html`<div class="empty">
            ${icon("bag")}<b>${t("cart.empty")}</b>${t("cart.empty_hint")}
            <button class="btn btn-outline" @click=${() => this.emit("go", { sheet: null, tab: "products" })}>
              ${t("cart.see_products")}
            </button>
          </div>`
        : html`${this.holds()}
            <ul>
              ${repeat(
                rows,
                (row) => row.id,
                (row) => this.one(row),
              )}
            </ul>`}
      ${rows.length > 0
        ? html`<div slot="foot" class="foot">
            <div role="status">${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}</div>
            <p class="sum"><span>${t("cart.subtotal")}</span><span class="price">${subtotal}</span></p>
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
