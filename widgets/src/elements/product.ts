// <ls-product>: one product to look at, choose and put into the cart, in a sheet.

import { html, css, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Product } from "../wire.gen";
import { percentOff } from "../state/money";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import "../ui/sheet";
import { choose, firstChoice, priceRange, soldOut, valuesOf, variantOf, type Choice } from "./choose";
import { Part, define } from "./part";
import { richText } from "./rich-text";

/** At this many or fewer the number left is said. */
const FEW = 5;

export class LsProduct extends Part {
  @property() productId = "";
  @state() private choice: Choice = [];
  @state() private shown = 0;
  @state() private busy = false;
  @state() private problem = "";
  @state() private added = false;
  private forId = "";

  static override styles = [
    baseStyles,
    css`
      :host {
        display: contents;
      }
      .shot {
        position: relative;
        background: var(--ls-surface-2);
        aspect-ratio: 3 / 2;
        overflow: hidden;
      }
      .shot img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      .shot picture,
      .thumbs picture {
        display: contents;
      }
      .shot .badge {
        position: absolute;
        left: 16px;
        top: 16px;
      }
      @container player (min-width: 860px) {
        .shot {
          aspect-ratio: 5 / 4;
        }
      }
      .thumbs {
        display: flex;
        gap: 8px;
        padding: 12px 20px 0;
        overflow-x: auto;
        scrollbar-width: none;
      }
      .thumbs button {
        width: 56px;
        height: 56px;
        flex: none;
        border-radius: 10px;
        overflow: hidden;
        background: var(--ls-surface-2);
        box-shadow: inset 0 0 0 1px var(--ls-line);
        padding: 0;
        margin: 3px 0 5px;
      }
      .thumbs img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      .thumbs button[aria-pressed="true"] {
        box-shadow: 0 0 0 2px var(--ls-surface), 0 0 0 4px var(--ls-ink);
      }
      .thumbs button:focus-visible {
        box-shadow: var(--ls-focus);
      }
      .about {
        padding: 16px 20px 24px;
        display: grid;
        gap: 18px;
      }
      .brand {
        font-size: var(--ls-text-sm);
        color: var(--ls-ink-3);
        margin-bottom: 2px;
      }
      h3 {
        font-size: var(--ls-text-xl);
        line-height: 1.22;
        letter-spacing: -0.018em;
        font-weight: 700;
        text-wrap: balance;
      }
      .prices {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 4px 10px;
        margin-top: 8px;
      }
      .prices .price {
        font-size: 20px;
      }
      .prices .badge {
        align-self: center;
      }
      .taxes {
        font-size: var(--ls-text-xs);
        color: var(--ls-ink-3);
        margin-top: 3px;
      }
      legend {
        font-size: var(--ls-text-sm);
        font-weight: 600;
        padding: 0;
        margin-bottom: 9px;
        display: flex;
        gap: 6px;
      }
      legend span {
        font-weight: 400;
        color: var(--ls-ink-2);
      }
      .values {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
      }
      .value {
        position: relative;
        display: inline-grid;
        place-items: center;
        min-width: 50px;
        min-height: 44px;
        padding: 0 14px;
        border-radius: var(--ls-radius-md);
        box-shadow: inset 0 0 0 1px var(--ls-line-2);
        font-size: var(--ls-text-md);
        font-weight: 500;
        cursor: pointer;
        transition: box-shadow var(--ls-fast), background-color var(--ls-fast);
      }
      .value:hover {
        box-shadow: inset 0 0 0 1px var(--ls-ink-2);
      }
      .value input {
        position: absolute;
        inset: 0;
        margin: 0;
        opacity: 0;
        cursor: inherit;
        width: 100%;
        height: 100%;
      }
      .value.on {
        background: var(--ls-ink);
        color: #fff;
        box-shadow: none;
      }
      .value:focus-within:has(:focus-visible) {
        outline: 2px solid var(--ls-accent);
        outline-offset: 2px;
      }
      .value.off {
        color: var(--ls-ink-3);
        background: var(--ls-surface-2);
        box-shadow: inset 0 0 0 1px var(--ls-line);
        text-decoration: line-through;
        cursor: not-allowed;
      }
      .stock {
        display: flex;
        align-items: center;
        gap: 8px;
        font-size: var(--ls-text-sm);
        font-weight: 600;
      }
      .stock::before {
        content: "";
        width: 8px;
        height: 8px;
        border-radius: 50%;
        background: currentColor;
      }
      .stock.good {
        color: var(--ls-good);
      }
      .stock.few {
        color: var(--ls-warn);
      }
      .stock.out {
        color: var(--ls-bad);
      }
      .text {
        font-size: var(--ls-text-md);
        line-height: 1.58;
        color: var(--ls-ink-2);
      }
      .text p + p,
      .text ul,
      .text ol {
        margin-top: 10px;
      }
      .text li {
        margin-left: 18px;
        list-style: disc;
      }
      .promise {
        display: grid;
        gap: 8px;
        padding-top: 16px;
        border-top: 1px solid var(--ls-line);
        font-size: var(--ls-text-sm);
        color: var(--ls-ink-2);
      }
      .promise li {
        display: flex;
        gap: 10px;
        align-items: center;
      }
      .promise .icon {
        color: var(--ls-ink-3);
      }
      .foot {
        display: grid;
        gap: 8px;
      }
      .done {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 8px;
      }
      .detail {
        display: inline-flex;
        align-items: center;
        min-height: 44px;
        font-size: var(--ls-text-sm);
        font-weight: 600;
        color: var(--ls-accent);
        text-underline-offset: 3px;
        justify-self: start;
      }
    `,
  ];

  protected override willUpdate(_changed: PropertyValues<this>): void {
    const product = this.session.product(this.productId);
    if (!product || this.forId === product.id) return;
    this.forId = product.id;
    this.choice = firstChoice(product);
    this.shown = variantOf(product, this.choice)?.image_index ?? this.pictureFor(product) ?? 0;
    this.added = false;
    this.problem = "";
    this.session.tell("product-view", { product });
    this.session.track("product-view", { product_id: product.id });
  }

  private pictureFor(product: Product): number | null {
    return (
      product.variants.find((v) => this.choice.every((c, i) => c === null || v.values[i] === c))?.image_index ?? null
    );
  }

  private pick(product: Product, dimension: number, value: string): void {
    this.choice = choose(product, this.choice, dimension, value);
    this.shown = this.pictureFor(product) ?? this.shown;
    this.added = false;
    this.problem = "";
  }

  private async add(product: Product): Promise<void> {
    const variant = variantOf(product, this.choice);
    if (!variant) {
      const missing = this.choice.indexOf(null);
      this.problem = this.t("product.choose", { option: product.options[missing]?.name ?? "" });
      this.renderRoot.querySelectorAll("fieldset")[missing]?.querySelector<HTMLInputElement>("input:not(:disabled)")?.focus();
      return;
    }
    this.busy = true;
    this.problem = "";
    try {
      await this.session.addToCart(product, variant);
      this.added = true;
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("[data-testid=view-cart]")?.focus();
    } catch (error) {
      this.problem = this.session.words(error);
    } finally {
      this.busy = false;
    }
  }

  private browse(event: Event, product: Product): void {
    // A page that handles it keeps the show running in front and navigates behind it.
    if (!this.session.tell("navigate-behind-to", { url: product.url, product }, true)) event.preventDefault();
  }

  private prices(product: Product): TemplateResult {
    const variant = variantOf(product, this.choice);
    const range = priceRange(product);
    const price = variant?.price ?? range?.from;
    if (!price) return html``;
    const was = variant ? variant.compare_at : range?.compareAt ?? null;
    const off = percentOff(price, was);
    return html`<p class="prices">
        <span class="price ${off > 0 ? "price-sale" : ""}"
          >${!variant && range?.varies ? this.t("product.from", { price: this.money(price) }) : this.money(price)}</span
        >
        ${was && off > 0
          ? html`<span class="price-was"><span class="sr-only">${this.t("product.before")} </span>${this.money(was)}</span>
              <span class="badge badge-sale">−${off} %</span>`
          : nothing}
      </p>
      <p class="taxes">${this.t("product.taxes")}</p>`;
  }

  private stock(product: Product): TemplateResult | typeof nothing {
    const variant = variantOf(product, this.choice);
    if (soldOut(product) || (variant && variant.available <= 0)) {
      return html`<p class="stock out">${this.t("product.sold_out")}</p>`;
    }
    if (!variant) return nothing;
    return variant.available <= FEW
      ? html`<p class="stock few">${this.t("product.left", { count: variant.available })}</p>`
      : html`<p class="stock good">${this.t("product.in_stock")}</p>`;
  }

  protected override render(): TemplateResult | typeof nothing {
    const product = this.session.product(this.productId);
    if (!product) return nothing;
    const { t } = this.session.i18n;
    const variant = variantOf(product, this.choice);
    const gone = soldOut(product) || (variant !== null && variant.available <= 0);
    const image = product.images[this.shown] ?? product.images[0];
    const minutes = Math.round((this.session.shop?.hold_seconds ?? 600) / 60);
    return html`<ls-sheet
      data-testid="product-sheet"
      label=${t("product.sheet")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      <div class="shot">
        ${picture(image, { sizes: "(max-width: 860px) 100vw, 380px", alt: image?.alt || product.title, eager: true })}
        ${product.id === this.session.pinned
          ? html`<span class="badge badge-live">${t("product.in_focus")}</span>`
          : nothing}
      </div>
      ${product.images.length > 1
        ? html`<div class="thumbs" role="group" aria-label=${t("product.pictures")}>
            ${product.images.map(
              (each, index) => html`<button
                aria-label=${t("product.picture_of", { n: index + 1, total: product.images.length })}
                aria-pressed=${index === this.shown}
                @click=${() => (this.shown = index)}
              >
                ${picture(each, { sizes: "56px", alt: "" })}
              </button>`,
            )}
          </div>`
        : nothing}
      <div class="about">
        <div>
          ${product.brand ? html`<p class="brand">${product.brand}</p>` : nothing}
          <h3>${product.title}</h3>
          ${this.prices(product)}
        </div>
        ${product.options.map(
          (option, dimension) => html`<fieldset>
            <legend>${option.name}<span>${this.choice[dimension] ?? ""}</span></legend>
            <div class="values">
              ${valuesOf(product, this.choice, dimension).map(
                ({ value, chosen, available }) => html`<label
                  class="value ${chosen ? "on" : ""} ${available ? "" : "off"}"
                  data-testid="option-${value}"
                  ><input
                    type="radio"
                    name="option-${dimension}"
                    .checked=${chosen}
                    ?disabled=${!available}
                    @change=${() => this.pick(product, dimension, value)}
                  />${value}${available ? nothing : html`<span class="sr-only"> (${t("product.sold_out")})</span>`}</label
                >`,
              )}
            </div>
          </fieldset>`,
        )}
        ${this.stock(product)}
        ${product.description_html ? html`<div class="text">${richText(product.description_html)}</div>` : nothing}
        <ul class="promise">
          <li>${icon("clock")}${t("product.hold_promise", { count: minutes })}</li>
          <li>${icon("truck")}${t("product.shipping_promise")}</li>
        </ul>
        ${product.url
          ? html`<a
              class="detail"
              href=${product.url}
              target="_blank"
              rel="noopener"
              @click=${(event: Event) => this.browse(event, product)}
              >${t("product.more")}</a
            >`
          : nothing}
      </div>
      <div slot="foot" class="foot">
        <div role="status">
          ${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}
          ${this.added
            ? html`<p class="stock good">
                ${this.session.foreign ? t("product.added_foreign") : t("product.added", { count: minutes })}
              </p>`
            : nothing}
        </div>
        ${this.added
          ? html`<div class="done">
              <button class="btn btn-outline btn-wide" @click=${() => this.emit("go", null)}>${t("product.keep_watching")}</button>
              <button class="btn btn-primary btn-wide" data-testid="view-cart" @click=${() => this.emit("go", { sheet: "cart" })}>
                ${t("product.view_cart")}
              </button>
            </div>`
          : html`<button
              class="btn btn-primary btn-wide"
              data-testid="add-to-cart"
              ?disabled=${gone || this.busy}
              @click=${() => this.add(product)}
            >
              ${this.busy ? html`<span class="spinner"></span>` : icon("bag")}
              ${gone ? t("product.sold_out") : variant ? `${t("product.add")} · ${this.money(variant.price)}` : t("product.add")}
            </button>`}
      </div>
    </ls-sheet>`;
  }
}

define("ls-product", LsProduct);

declare global {
  interface HTMLElementTagNameMap {
    "ls-product": LsProduct;
  }
}
