/**
 * One product and its stock, per variant and location.
 * A count is sent for the one cell that was changed; what is on the screen after that is what the server answered.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { picture } from "../ui/picture";
import { icon } from "../studio/icons";
import { nameIn } from "../studio/kind-words";
import { priceBefore, stockWords, struck, variantName } from "../studio/product-words";
import { explain, LoadingView } from "../studio/view";
import type { Location, Locations, Product, Stock, StockAt, Variant } from "../wire.gen";
import "./product-qr";

interface Sheet {
  product: Product;
  locations: Location[];
  /** By variant. */
  stock: Map<string, StockAt[]>;
}

@customElement("desk-product")
export class ProductSheet extends LoadingView<Sheet> {
  @property() productId = "";
  @state() private saving = "";
  @state() private showsQr = false;
  @state() private why: { cell: string; text: string } | null = null;

  protected override async fetch(): Promise<Sheet> {
    const { api } = this.app;
    const [product, { locations }] = await Promise.all([
      api.get<Product>(`/api/products/${encodeURIComponent(this.productId)}`),
      api.get<Locations>("/api/locations"),
    ]);
    const stock = new Map(
      await Promise.all(
        product.variants.filter(({ parts }) => parts.length === 0).map(async (variant): Promise<[string, StockAt[]]> => {
          const answer = await api.get<Stock>(`/api/variants/${encodeURIComponent(variant.id)}/stock`);
          return [variant.id, answer.stock];
        }),
      ),
    );
    document.title = `${product.title} · ${this.app.shop.name}`;
    return { product, locations, stock };
  }

  private async save(event: Event, variant: Variant, location: Location, sheet: Sheet): Promise<void> {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("on_hand") as HTMLInputElement;
    const cell = `${variant.id} ${location.id}`;
    const count = Number(field.value);
    if (field.value.trim() === "" || !Number.isInteger(count) || count < 0) {
      this.why = { cell, text: this.t("desk.stock_whole") };
      field.focus();
      return;
    }
    this.saving = cell;
    this.why = null;
    try {
      const { stock } = await this.app.api.put<Stock>(`/api/variants/${encodeURIComponent(variant.id)}/stock`, {
        location_id: location.id,
        on_hand: count,
      });
      this.replace({ ...sheet, stock: new Map(sheet.stock).set(variant.id, stock) });
      this.app.toast(this.t("desk.stock_saved", { title: [sheet.product.title, variantName(variant.values)].filter(Boolean).join(", ") }), "good");
    } catch (error) {
      this.why = { cell, text: explain(error, this.app.words) };
    } finally {
      this.saving = "";
    }
  }

  protected override ready(sheet: Sheet): TemplateResult {
    const { product } = sheet;
    return html`<div class="page-bar"><a class="icon-btn" href="#/products" aria-label=${this.t("studio.back")}>${icon("back")}</a><h1>${product.title}</h1>
        ${product.active ? nothing : html`<span class="badge">${this.t("desk.inactive")}</span>`}
        <button class="btn btn-outline" data-testid="product-qr" @click=${() => (this.showsQr = true)}>${icon("code")}${this.t("stores.qr")}</button>
        ${this.app.can("catalog:write") ? html`<a class="btn btn-outline" href="#/products/${product.id}/edit" data-testid="edit-product">${icon("edit")}${this.t("studio.edit")}</a>` : nothing}</div>
      <section class="card product-head" aria-label=${this.t("desk.product")}>
        <div class="product-pictures" role="group" tabindex="0" aria-label=${product.title}>${product.images.slice(0, 4).map((image) => html`<span class="product-picture">${picture(image, { sizes: "9rem" })}</span>`)}</div>
        <dl class="facts">
          ${fact(this.t("desk.brand"), product.brand)}${fact(this.t("desk.category"), product.category)}${fact(this.t("desk.source_id"), product.source_id === product.id ? null : product.source_id)}
          ${fact(this.t("desk.field_max_per_customer"), product.max_per_customer === null ? null : this.app.words.number(product.max_per_customer))}
          ${product.url ? html`<div><dt>${this.t("desk.address")}</dt><dd><a class="link" href=${product.url} rel="noopener">${product.url}</a></dd></div>` : nothing}
        </dl>
      </section>
      <h2 class="section-title">${this.t("desk.stock")}</h2>
      ${sheet.locations.length === 0 ? html`<p class="hint">${this.t("desk.locations_none")}</p>` : nothing}
      <ul class="stock-list">${product.variants.map((variant) => this.variant(variant, sheet))}</ul>
      ${this.showsQr ? html`<desk-product-qr .app=${this.app} .product=${product} .locations=${sheet.locations} @ls-close=${() => (this.showsQr = false)}></desk-product-qr>` : nothing}`;
  }

  private variant(variant: Variant, sheet: Sheet): TemplateResult {
    const rows = sheet.stock.get(variant.id) ?? [];
    const bundle = variant.parts.length > 0;
    const free = bundle ? variant.available : rows.reduce((sum, row) => sum + row.available, 0);
    const before = priceBefore(variant);
    return html`<li class="card" data-testid="stock-variant" data-variant=${variant.id}>
      <div class="stock-head"><h3>${variantName(variant.values) || sheet.product.title}</h3>
        <span class="quiet">${[variant.sku, variant.gtin].filter(Boolean).join(" · ")}</span>
        <span class="row-sum"><span class=${before ? "price-sale" : ""}>${this.money(variant.price)}</span>${struck(before, this.app.words)}</span>
        ${stockWords(free, this.app.words)}</div>
      ${this.prices(variant)}
      ${bundle ? this.parts(variant) : html`<div class="stock-cells">${sheet.locations.map((location) => this.cell(variant, location, rows, sheet))}</div>`}
    </li>`;
  }

  /** What is in the price, as far as there is something to say. */
  private prices(variant: Variant): TemplateResult | typeof nothing {
    const { words } = this.app;
    const facts = [
      ...variant.promotions.map((note) => nameIn(note.texts, words.lang)),
      variant.lowest_30_days ? this.t("studio.lowest_30_days", { price: this.money(variant.lowest_30_days) }) : "",
      ...variant.tiers.map((tier) => this.t("desk.tier_is", { from: tier.min_quantity, price: this.money(tier.price) })),
      variant.weight_grams > 0 ? this.t("desk.weight_is", { grams: variant.weight_grams }) : "",
    ].filter(Boolean);
    return facts.length > 0 ? html`<p class="quiet variant-facts">${facts.join(" · ")}</p>` : nothing;
  }

  /** A bundle has no stock of its own: it sells what its parts have. */
  private parts(variant: Variant): TemplateResult {
    return html`<div data-testid="bundle"><p class="hint">${this.t("desk.bundle_stock")}</p>
      <ul class="part-list">${variant.parts.map(
        (part) => html`<li>${this.app.words.number(part.quantity)} × <a class="link" href="#/products/${part.product_id}">${part.title}</a> <code>${part.sku}</code></li>`,
      )}</ul></div>`;
  }

  private cell(variant: Variant, location: Location, rows: StockAt[], sheet: Sheet): TemplateResult {
    const row = rows.find((candidate) => candidate.location_id === location.id);
    const cell = `${variant.id} ${location.id}`;
    const why = this.why?.cell === cell ? this.why.text : "";
    const id = `stock-${variant.id}-${location.id}`;
    const label = `${location.name}, ${variantName(variant.values) || variant.sku}`;
    return html`<form class="stock-cell" novalidate @submit=${(event: Event) => void this.save(event, variant, location, sheet)}>
      <label for=${id}><span class="sr-only">${this.t("desk.on_hand_at", { place: label })}</span><span aria-hidden="true">${location.name}</span></label>
      <div class="stock-edit"><input id=${id} class="input" name="on_hand" type="number" min="0" step="1" inputmode="numeric" data-testid="on-hand"
          .value=${String(row?.on_hand ?? 0)} ?disabled=${!this.app.can("catalog:write")} aria-invalid=${why ? "true" : nothing} aria-describedby="${id}-note" />
        ${this.app.can("catalog:write")
          ? html`<button class="btn btn-outline" data-testid="save-stock" aria-label=${this.t("desk.stock_save_at", { place: label })} ?disabled=${this.saving === cell}>${this.t("studio.save")}</button>`
          : nothing}</div>
      <p id="${id}-note" class=${why ? "error" : "hint"}>${why || this.t("desk.held", { held: row?.held ?? 0, available: row?.available ?? 0 })}</p>
    </form>`;
  }
}

function fact(name: string, value: string | null): TemplateResult | typeof nothing {
  return value ? html`<div><dt>${name}</dt><dd>${value}</dd></div>` : nothing;
}
