/** The catalog as a list to search in. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { picture } from "../ui/picture";
import { icon } from "../studio/icons";
import { available, priceLine, stockWords } from "../studio/product-words";
import { empty, explain, LoadingView } from "../studio/view";
import type { Product, Products as Page } from "../wire.gen";
import { stockTabs } from "./order-tabs";

const TYPING_PAUSE_MS = 250;
const PAGE = 50;

@customElement("desk-products")
export class Products extends LoadingView<Page> {
  @state() private busy = false;
  @state() private moreWhy = "";
  private query = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.products")} · ${this.app.shop.name}`;
  }

  override disconnectedCallback(): void {
    clearTimeout(this.timer);
    super.disconnectedCallback();
  }

  private path(cursor: string | null): string {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.query) query.set("q", this.query);
    if (cursor) query.set("cursor", cursor);
    return `/api/products?${query.toString()}`;
  }

  protected override fetch(): Promise<Page> {
    return this.app.api.get<Page>(this.path(null));
  }

  private typed(event: Event): void {
    this.query = (event.target as HTMLInputElement).value.trim();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(true), TYPING_PAUSE_MS);
  }

  private async loadMore(page: Page): Promise<void> {
    this.busy = true;
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<Page>(this.path(page.next));
      this.replace({ products: [...page.products, ...rest.products], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.products")}</h1>
        ${this.app.can("catalog:write") ? html`<a class="btn btn-outline only-wide" href="#/import">${icon("upload")}${this.t("desk.import")}</a>
              <a class="btn btn-primary" href="#/products/new" data-testid="new-product">${icon("plus")}${this.t("desk.product_new")}</a>` : nothing}</div>
      ${stockTabs("products", this.app)}
      <div class="search">${icon("search")}<input class="input" type="search" data-testid="product-search" aria-label=${this.t("studio.product_search")}
        placeholder=${this.t("studio.product_search")} @input=${(event: Event) => this.typed(event)} /></div>
      ${super.render()}`;
  }

  protected override ready(page: Page): TemplateResult {
    if (page.products.length === 0) {
      return this.query
        ? empty(this.t("studio.product_search_none"), this.t("desk.products_search_hint"))
        : empty(
            this.t("desk.products_empty"),
            this.t("desk.products_empty_hint"),
            this.app.can("catalog:write") ? html`<a class="btn btn-primary" href="#/import">${this.t("desk.import")}</a>` : nothing,
          );
    }
    return html`<p class="sr-only" role="status">${this.t("studio.products", { count: page.products.length })}</p>
      <ul class="rows">${page.products.map((product) => this.row(product))}</ul>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" ?disabled=${this.busy} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }

  private row(product: Product): TemplateResult {
    return html`<li class="row" data-testid="product-row" data-product=${product.id}>
      <a class="row-main" href="#/products/${product.id}">
        <span class="row-picture">${picture(product.images[0], { sizes: "3.5rem", alt: "" })}</span>
        <span class="row-text"><span class="row-title">${product.title}</span>
          <span class="quiet">${[product.brand, product.category, product.source_id === product.id ? null : product.source_id].filter(Boolean).join(" · ")}</span></span>
        <span class="row-end"><span class="row-sum">${priceLine(product, this.app.words)}</span>
          ${stockWords(available(product), this.app.words)}
          ${product.active ? nothing : html`<span class="badge">${this.t("desk.inactive")}</span>`}</span>
      </a></li>`;
  }
}
