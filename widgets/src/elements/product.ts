// <ls-product>: one product to look at, choose and put into the cart, in a sheet.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { DeliveryOption, Product, Variant } from "../wire.gen";
import { ApiProblem } from "../state/api";
import { percentBadge } from "../state/money";
import { announced, cheapest, offerIn, offerOf, tiersOf } from "../state/price";
import { promiseWords } from "../state/promise";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import { becauseOf, lowestOf, offerBadge, priceOf, priceStyles, tierTable, unitsLeft } from "../ui/price";
import "../ui/sheet";
import "./alerts";
import { choose, firstChoice, soldOut, valuesOf, variantOf, type Choice } from "./choose";
import { Part, define } from "./part";
import { productStyles } from "./product-styles";
import { richText } from "./rich-text";
import "./waiting";

/** At this many or fewer the number left is said. */
const FEW = 5;

export class LsProduct extends Part {
  @property() productId = "";
  @state() private choice: Choice = [];
  @state() private shown = 0;
  @state() private busy = false;
  @state() private problem = "";
  @state() private added = false;
  /** What the server had none left of, before the room has heard: gone until the variant is sent anew. */
  @state() private refused: Variant | null = null;
  /** How soon the variant that is looked at could be there, by each way. */
  @state() private ways: { variant: string; options: readonly DeliveryOption[] } | null = null;
  private forId = "";
  private asked = "";

  static override styles = [
    baseStyles,
    priceStyles,
    productStyles,
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

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    const product = this.session.product(this.productId);
    const variant = product && (variantOf(product, this.choice) ?? cheapest(product)?.variant);
    const { country, foreign } = this.session;
    if (variant && country && !foreign && this.asked !== variant.id) void this.askWays(variant.id, country);
  }

  private async askWays(variant: string, country: string): Promise<void> {
    this.asked = variant;
    try {
      const { options } = await this.session.payments.deliveryOf(variant, country, this.session.language);
      if (this.asked === variant) this.ways = { variant, options };
    } catch {
      // Without an answer nothing is promised.
    }
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

  /** The chosen variant; where the choice is not complete, says so. */
  private complete(product: Product): Variant | null {
    const variant = variantOf(product, this.choice);
    if (!variant) {
      const missing = this.choice.indexOf(null);
      this.problem = this.t("product.choose", { option: product.options[missing]?.name ?? "" });
      this.renderRoot.querySelectorAll("fieldset")[missing]?.querySelector<HTMLInputElement>("input:not(:disabled)")?.focus();
    }
    return variant;
  }

  private async add(product: Product): Promise<void> {
    const variant = this.complete(product);
    if (!variant || !(await this.take(product, variant))) return;
    this.added = true;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>("[data-testid=view-cart]")?.focus();
  }

  /** One tap for who was here before: into the cart, and on to the payment. */
  private async buyNow(product: Product): Promise<void> {
    const variant = this.complete(product);
    if (!variant) return;
    const isIn = this.session.cart.cart?.lines.some((l) => l.variant_id === variant.id && l.hold !== "lapsed");
    if (!isIn && !(await this.take(product, variant))) return;
    if (this.session.foreign) this.emit("go", { sheet: "cart" });
    else if (this.session.goesToCheckout()) this.emit("go", { sheet: "checkout" });
  }

  /** Puts it into the cart. False: that did not work, and the sheet says why. */
  private async take(product: Product, variant: Variant): Promise<boolean> {
    this.busy = true;
    this.problem = "";
    try {
      await this.session.addToCart(product, variant);
      return true;
    } catch (error) {
      this.problem = this.session.words(error);
      if (error instanceof ApiProblem && error.code === "out_of_stock") {
        this.refused = variant;
        this.session.cart.load().catch(() => undefined);
      }
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** What the viewer holds of a variant that nobody else can have. */
  private isMine(variant: Variant | null): boolean {
    return !!variant && !!this.session.cart.cart?.lines.some((l) => l.variant_id === variant.id && l.hold === "held");
  }

  private isGone(product: Product, variant: Variant | null): boolean {
    return variant ? variant.available <= 0 || variant === this.refused : soldOut(product);
  }

  private browse(event: Event, product: Product): void {
    // A page that handles it keeps the show running in front and navigates behind it.
    if (!this.session.tell("navigate-behind-to", { url: product.url, product }, true)) event.preventDefault();
  }

  private prices(product: Product): TemplateResult | typeof nothing {
    const chosen = variantOf(product, this.choice);
    const first = cheapest(product);
    const variant = chosen ?? first?.variant;
    if (!variant) return nothing;
    const told = announced(variant);
    const offer = chosen ? offerOf(chosen) : offerIn(product);
    const because = becauseOf(this, told.promotions, true);
    return html`<p class="prices">
        ${priceOf(this, told, !chosen && first?.varies)}
        ${told.percent > 0 ? html`<span class="badge badge-sale">${percentBadge(told.percent, this.session.i18n.lang)}</span>` : nothing}
      </p>
      ${lowestOf(this, told)}
      <p class="taxes">${this.t("product.taxes")}</p>
      ${offer || because !== nothing
        ? html`<p class="deal">${offerBadge(this, offer)}${because}${unitsLeft(this, offer)}</p>`
        : nothing}`;
  }

  private stock(product: Product): TemplateResult {
    const { t } = this.session.i18n;
    const variant = variantOf(product, this.choice);
    const most = product.max_per_customer;
    return html`<div>
      ${this.isGone(product, variant)
        ? this.isMine(variant)
          ? html`<p class="stock good" data-testid="last-is-mine">${t("product.mine")}</p>`
          : html`<p class="stock out">${t("product.sold_out")}</p>`
        : !variant
          ? nothing
          : variant.available <= FEW
            ? html`<p class="stock few">${t("product.left", { count: variant.available })}</p>`
            : html`<p class="stock good">${t("product.in_stock")}</p>`}
      ${most === null ? nothing : html`<p class="hint">${t("product.most", { n: most })}</p>`}
    </div>`;
  }

  /** What happens in the cart: never more than this show keeps. */
  private promise(): string {
    return this.session.holdsNothing
      ? this.t("product.first_paid")
      : this.t("product.hold_promise", { time: this.session.i18n.duration(this.session.holdSeconds) });
  }

  /** When it would be there, and in which store it lies. */
  private delivery(variant: Variant | undefined): TemplateResult {
    const { i18n, clock } = this.session;
    const known = this.ways && this.ways.variant === variant?.id ? this.ways.options : [];
    const good = known.filter(({ problem, promise }) => problem === null && promise !== null);
    const soonest = [...good].sort((a, b) => Date.parse(a.promise!.until) - Date.parse(b.promise!.until));
    const pickups = soonest.filter(({ kind }) => kind === "pickup");
    const ways = [
      soonest.find(({ kind }) => kind === "ship"),
      pickups.find(({ store_id }) => store_id === this.session.store) ?? pickups[0],
    ].filter((way) => way !== undefined);
    if (ways.length === 0) return html`<li>${icon("truck")}${this.t("product.shipping_promise")}</li>`;
    return html`${ways.map((way) => {
      const words = promiseWords(way, i18n, clock.now(), way.time_zone ?? this.session.zoneOf(way.store_id));
      return html`<li data-testid="way-${way.kind}">
        ${icon(way.kind === "ship" ? "truck" : "store")}${way.kind === "ship"
          ? words
          : this.t("delivery.at_store", { when: words, store: way.title })}
      </li>`;
    })}`;
  }

  /** What those who sent it back say of its size. */
  private fit(product: Product): TemplateResult | typeof nothing {
    if (!product.fit) return nothing;
    return html`<p class="hint fit" data-testid="fit">${icon("info")}${this.t(`product.fit.${product.fit}`)}</p>`;
  }

  /** One more of what was in the cart is held until what was there before, not for a whole time anew. */
  private whatWasAdded(product: Product): string {
    if (this.session.foreign) return this.t("product.added_foreign");
    const id = variantOf(product, this.choice)?.id;
    const until = this.session.cart.cart?.lines.find((line) => line.variant_id === id)?.held_until;
    return until ? this.t("product.added", { time: this.session.i18n.time(until) }) : this.t("product.added_first_paid");
  }

  private buttons(product: Product): TemplateResult {
    const { t } = this.session.i18n;
    if (this.added) {
      return html`<div class="done">
        <button class="btn btn-outline btn-wide" @click=${() => this.emit("go", null)}>${t("product.keep_watching")}</button>
        <button class="btn btn-primary btn-wide" data-testid="view-cart" @click=${() => this.emit("go", { sheet: "cart" })}>
          ${t("product.view_cart")}
        </button>
      </div>`;
    }
    const variant = variantOf(product, this.choice);
    const place = variant ? this.session.waitlist.of(variant.id) : undefined;
    const turn = this.session.waitlist.isTurn(place);
    const gone = !turn && this.isGone(product, variant);
    if (gone && this.isMine(variant)) {
      return html`<button class="btn btn-primary btn-wide" data-testid="view-cart" @click=${() => this.emit("go", { sheet: "cart" })}>
        ${t("product.view_cart")}
      </button>`;
    }
    const waiting =
      variant && !turn && (place || (gone && !this.session.foreign))
        ? html`<ls-waiting
            .session=${this.session}
            .variantId=${variant.id}
            @available=${() => (this.refused = null)}
            @joined=${() => (this.problem = "")}
          ></ls-waiting>`
        : nothing;
    if (gone && waiting !== nothing) return html`${waiting}`;
    const buysNow = !gone && this.session.payments.isKnown && !this.session.foreign;
    const label = variant ? `${t(turn ? "wait.take" : "product.add")} · ${this.money(variant.price)}` : t("product.add");
    const add = html`<button
        class="btn ${buysNow ? "btn-outline" : "btn-primary"} btn-wide"
        data-testid="add-to-cart"
        ?disabled=${(gone && this.session.foreign !== null) || this.busy}
        @click=${() => this.add(product)}
      >
        ${this.busy ? html`<span class="spinner"></span>` : icon(gone ? "bell" : "bag")}
        ${gone ? t(this.session.foreign ? "product.sold_out" : "wait.join") : buysNow ? t("product.add") : label}
      </button>`;
    if (!buysNow) return html`${waiting}${add}`;
    return html`${waiting}
      <div class="done">
        ${add}<button
          class="btn btn-primary btn-wide"
          data-testid="buy-now"
          ?disabled=${this.busy}
          @click=${() => this.buyNow(product)}
        >
          ${variant ? `${t("product.buy_now")} · ${this.money(variant.price)}` : t("product.buy_now")}
        </button>
      </div>`;
  }

  protected override render(): TemplateResult | typeof nothing {
    const product = this.session.product(this.productId);
    if (!product) return nothing;
    const { t } = this.session.i18n;
    const variant = variantOf(product, this.choice) ?? cheapest(product)?.variant;
    const image = product.images[this.shown] ?? product.images[0];
    return html`<ls-sheet
      data-testid="product-sheet"
      label=${t("product.sheet")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      <ls-alerts slot="alert" .session=${this.session}></ls-alerts>
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
                ${picture(each, { sizes: "48px", alt: "" })}
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
                ({ value, chosen, exists, available }) => html`<label
                  class="value ${chosen ? "on" : ""} ${available ? "" : "off"} ${exists ? "" : "never"}"
                  data-testid="option-${value}"
                  ><input
                    type="radio"
                    name="option-${dimension}"
                    .checked=${chosen}
                    ?disabled=${!exists}
                    @change=${() => this.pick(product, dimension, value)}
                  />${value}${available ? nothing : html`<span class="sr-only"> (${t("product.sold_out")})</span>`}</label
                >`,
              )}
            </div>
          </fieldset>`,
        )}
        ${this.fit(product)} ${this.stock(product)} ${variant ? tierTable(this, tiersOf(variant), variant.price) : nothing}
        ${variant && variant.parts.length > 0
          ? html`<div class="parts">
              <h4>${t("product.contains")}</h4>
              <ul>
                ${variant.parts.map((part) => html`<li>${part.quantity} × ${part.title}</li>`)}
              </ul>
            </div>`
          : nothing}
        ${product.description_html ? html`<div class="text">${richText(product.description_html)}</div>` : nothing}
        <ul class="promise">
          <li>${icon("clock")}${this.promise()}</li>
          ${this.delivery(variant)}
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
          ${this.added ? html`<p class="stock good">${this.whatWasAdded(product)}</p>` : nothing}
        </div>
        ${this.buttons(product)}
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
