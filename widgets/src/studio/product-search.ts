/** Finding products, or one variant of them, to put somewhere: into a lineup, a promotion, a bundle. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Product, Products, Variant } from "../wire.gen";
import { icon } from "./icons";
import { productFace, variantName } from "./product-words";
import { explain, View } from "./view";

const TYPING_PAUSE_MS = 250;
const RESULTS = 12;

export interface Found {
  product: Product;
  /** Null where whole products are looked for. */
  variant: Variant | null;
}

/** Fires "pick" (`CustomEvent<Found>`). */
@customElement("studio-product-search")
export class ProductSearch extends View {
  @property() of: "products" | "variants" = "products";
  /** Ids that are chosen already. */
  @property({ attribute: false }) without: ReadonlySet<string> = new Set();
  /** Bundles cannot hold bundles. */
  @property({ type: Boolean }) plain = false;
  @property() label = "";
  /** Said when nothing is found without a search. */
  @property() none = "";
  @state() private results: Product[] | null = null;
  @state() private why = "";
  private query = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    const folded = this.closest("details:not([open])");
    if (folded) folded.addEventListener("toggle", () => void this.search(), { once: true });
    else void this.search();
  }

  override disconnectedCallback(): void {
    clearTimeout(this.timer);
    super.disconnectedCallback();
  }

  private typed(event: Event): void {
    this.query = (event.target as HTMLInputElement).value;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(), TYPING_PAUSE_MS);
  }

  private async search(): Promise<void> {
    const query = this.query;
    try {
      const { products } = await this.app.api.get<Products>(`/api/products?q=${encodeURIComponent(query.trim())}&limit=${RESULTS}`);
      if (query !== this.query) return;
      this.results = products;
      this.why = "";
    } catch (error) {
      this.why = explain(error, this.app.words);
    }
  }

  private found(): Found[] {
    const results = this.results ?? [];
    const all =
      this.of === "products"
        ? results.map((product): Found => ({ product, variant: null }))
        : results.flatMap((product) => product.variants.map((variant): Found => ({ product, variant })));
    return all.filter(({ product, variant }) => !this.without.has(variant?.id ?? product.id) && !(this.plain && variant && variant.parts.length > 0));
  }

  protected override render(): TemplateResult {
    const found = this.found();
    const label = this.label || this.t("studio.product_search");
    return html`<div class="search">${icon("search")}<input class="input" type="search" aria-label=${label} placeholder=${label}
        @input=${(event: Event) => this.typed(event)} @keydown=${stay} /></div>
      ${this.why ? html`<p class="error" role="alert">${this.why}</p>` : nothing}
      ${this.results && found.length === 0 ? html`<p class="hint">${this.query || !this.none ? this.t("studio.product_search_none") : this.none}</p>` : nothing}
      <ul class="rows rows-tight">${repeat(found, ({ product, variant }) => variant?.id ?? product.id, (one) => this.row(one))}</ul>`;
  }

  private row(one: Found): TemplateResult {
    const { product, variant } = one;
    const title = [product.title, variantName(variant?.values ?? [])].filter(Boolean).join(", ");
    return html`<li class="row">
      <span class="row-main">${productFace(product, variant, this.app.words)}</span>
      <button type="button" class="btn btn-outline" data-testid="pick-${variant?.id ?? product.id}" aria-label=${this.t("studio.lineup_add_one", { title })}
        @click=${() => this.dispatchEvent(new CustomEvent<Found>("pick", { detail: one }))}>${icon("plus")}${this.t("studio.add")}</button>
    </li>`;
  }
}

/** Enter searches, it does not send the form around. */
function stay(event: KeyboardEvent): void {
  if (event.key === "Enter") event.preventDefault();
}
