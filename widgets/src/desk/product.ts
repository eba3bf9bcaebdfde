/**
 * One product and its stock, per variant and location.
 * A count is sent for the one cell that was changed; what is on the screen after that is what the server answered.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { picture } from "../ui/picture";
import { icon } from "../studio/icons";
import { stockLevel, variantName } from "../studio/product-words";
import { explain, LoadingView } from "../studio/view";
import type { Product, Variant } from "../wire.gen";

interface StockLocation {
  id: string;
  name: string;
}

interface Stock {
  location_id: string;
  on_hand: number;
  held: number;
  available: number;
}

interface Sheet {
  product: Product;
  locations: StockLocation[];
  /** By variant. */
  stock: Map<string, Stock[]>;
}

@customElement("desk-product")
export class ProductSheet extends LoadingView<Sheet> {
  @property() productId = "";
  @state() private saving = "";
  @state() private why: { cell: string; text: string } | null = null;

  protected override async fetch(): Promise<Sheet> {
    const { api } = this.app;
    const [product, { locations }] = await Promise.all([
      api.get<Product>(`/api/products/${encodeURIComponent(this.productId)}`),
      api.get<{ locations: StockLocation[] }>("/api/locations"),
    ]);
    const stock = new Map(
      await Promise.all(
        product.variants.map(async (variant): Promise<[string, Stock[]]> => {
          const answer = await api.get<{ stock: Stock[] }>(`/api/variants/${encodeURIComponent(variant.id)}/stock`);
          return [variant.id, answer.stock];
        }),
      ),
    );
    document.title = `${product.title} · ${this.app.shop.name}`;
    return { product, locations, stock };
  }

  private async save(event: Event, variant: Variant, location: StockLocation, sheet: Sheet): Promise<void> {
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
      const { stock } = await this.app.api.put<{ stock: Stock[] }>(`/api/variants/${encodeURIComponent(variant.id)}/stock`, {
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
        ${product.active ? nothing : html`<span class="badge">${this.t("desk.inactive")}</span>`}</div>
      <section class="card product-head" aria-label=${this.t("desk.product")}>
        <div class="product-pictures" role="group" tabindex="0" aria-label=${product.title}>${product.images.slice(0, 4).map((image) => html`<span class="product-picture">${picture(image, { sizes: "9rem" })}</span>`)}</div>
        <dl class="facts">
          ${fact(this.t("desk.brand"), product.brand)}${fact(this.t("desk.category"), product.category)}${fact(this.t("desk.source_id"), product.source_id === product.id ? null : product.source_id)}
          ${product.url ? html`<div><dt>${this.t("desk.address")}</dt><dd><a class="link" href=${product.url} rel="noopener">${product.url}</a></dd></div>` : nothing}
        </dl>
      </section>
      <h2 class="section-title">${this.t("desk.stock")}</h2>
      ${sheet.locations.length === 0 ? html`<p class="hint">${this.t("desk.locations_none")}</p>` : nothing}
      <ul class="stock-list">${product.variants.map((variant) => this.variant(variant, sheet))}</ul>`;
  }

  private variant(variant: Variant, sheet: Sheet): TemplateResult {
    const rows = sheet.stock.get(variant.id) ?? [];
    const free = rows.reduce((sum, row) => sum + row.available, 0);
    return html`<li class="card" data-testid="stock-variant" data-variant=${variant.id}>
      <div class="stock-head"><h3>${variantName(variant.values) || sheet.product.title}</h3>
        <span class="quiet">${[variant.sku, variant.gtin].filter(Boolean).join(" · ")}</span>
        <span class="row-sum">${this.money(variant.price)}${variant.compare_at ? html` <s class="price-was">${this.money(variant.compare_at)}</s>` : nothing}</span>
        <span class="stock stock-${stockLevel(free)}">${free > 0 ? this.t("studio.in_stock", { count: free }) : this.t("studio.sold_out")}</span></div>
      <div class="stock-cells">${sheet.locations.map((location) => this.cell(variant, location, rows, sheet))}</div>
    </li>`;
  }

  private cell(variant: Variant, location: StockLocation, rows: Stock[], sheet: Sheet): TemplateResult {
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
