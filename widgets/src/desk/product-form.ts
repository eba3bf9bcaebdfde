/** Making and changing a product: what it is, and what each variant costs without promotions. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiProblem } from "../state/api";
import { areaField, focusFirstWrong, inputField, whyFor, whysOf, type Field, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { LoadingView } from "../studio/view";
import type { Product } from "../wire.gen";
import { draftOf, inputOf, newProduct, type ProductDraft, type VariantDraft } from "./product-draft";
import { variantFields } from "./variant-fields";

const FIELDS = ["title", "brand", "category", "url", "description_html", "max_per_customer", "variants"];
const VARIANT_FIELDS = ["price", "list_price", "compare_at", "sku", "gtin", "tax_class", "weight_grams", "tiers", "parts"];

@customElement("desk-product-form")
export class ProductForm extends LoadingView<ProductDraft> {
  @property() productId: string | null = null;
  @state() private busy = false;
  @state() private whys: Whys = {};
  /** Somebody else saved it in the meantime. */
  @state() private overtaken = false;
  private tried = false;
  private dirty = false;

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("beforeunload", this.leaving);
    document.title = `${this.t(this.productId ? "desk.product_edit" : "desk.product_new")} · ${this.app.shop.name}`;
  }

  override disconnectedCallback(): void {
    removeEventListener("beforeunload", this.leaving);
    super.disconnectedCallback();
  }

  private readonly leaving = (event: BeforeUnloadEvent): void => {
    if (this.dirty) event.preventDefault();
  };

  protected override async fetch(): Promise<ProductDraft> {
    if (!this.productId) return newProduct();
    return draftOf(await this.app.api.get<Product>(this.path()), this.app.words.lang);
  }

  private path(): string {
    return `/api/products/${encodeURIComponent(this.productId ?? "")}`;
  }

  private set(change: Partial<ProductDraft>): void {
    if (this.loaded.kind !== "ready") return;
    this.dirty = true;
    this.whys = {};
    this.replace({ ...this.loaded.value, ...change });
  }

  private setVariant(index: number, change: Partial<VariantDraft>): void {
    if (this.loaded.kind !== "ready") return;
    this.set({ variants: this.loaded.value.variants.map((old, place) => (place === index ? { ...old, ...change } : old)) });
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    if (this.loaded.kind !== "ready" || this.busy) return;
    this.tried = true;
    const { input } = inputOf(this.loaded.value, this.app.shop.currency, this.app.words);
    if (!input) {
      this.requestUpdate();
      return this.showFirstWrong();
    }
    this.busy = true;
    this.whys = {};
    this.overtaken = false;
    try {
      const { api } = this.app;
      const product = await (this.productId ? api.put<Product>(this.path(), input) : api.post<Product>("/api/products", input));
      this.dirty = false;
      this.app.toast(this.t("studio.saved"), "good");
      location.hash = `#/products/${product.id}`;
    } catch (error) {
      this.overtaken = error instanceof ApiProblem && error.code === "product_changed";
      if (!this.overtaken) {
        this.whys = placed(whysOf(error, this.app.words, [...FIELDS, ...VARIANT_FIELDS]), this.loaded.value.variants.length);
        await this.showFirstWrong();
      }
    } finally {
      this.busy = false;
    }
  }

  private async showFirstWrong(): Promise<void> {
    await this.updateComplete;
    focusFirstWrong(this);
  }

  private async takeNewer(): Promise<void> {
    this.overtaken = false;
    this.dirty = false;
    this.tried = false;
    await this.load();
  }

  protected override render(): TemplateResult {
    const title = this.loaded.kind === "ready" ? this.loaded.value.stored?.title : undefined;
    return html`<div class="page-bar"><a class="icon-btn" href=${this.back()} aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${title ?? this.t(this.productId ? "desk.product_edit" : "desk.product_new")}</h1></div>
      ${super.render()}`;
  }

  private back(): string {
    return this.productId ? `#/products/${this.productId}` : "#/products";
  }

  protected override ready(draft: ProductDraft): TemplateResult {
    const t = this.app.words.t;
    const own = this.tried ? inputOf(draft, this.app.shop.currency, this.app.words).whys : {};
    const whys = { ...this.whys, ...own };
    const imported = draft.stored !== null && draft.stored.source_id !== draft.stored.id;
    const field = (key: "title" | "brand" | "category" | "url" | "maxPerCustomer", server: string, more: Partial<Field> = {}): TemplateResult =>
      inputField({
        id: `product-${key}`,
        label: t(`desk.field_${server}`),
        value: draft[key],
        max: 500,
        testid: `product-${server}`,
        why: whyFor(whys, server),
        change: (value) => this.set({ [key]: value }),
        ...more,
      });
    const rest = Object.entries(whys).find(([at]) => at === "" || at === "variants")?.[1];
    return html`<form class="sheet" novalidate data-testid="product-form" @submit=${(event: Event) => void this.save(event)}>
      ${imported ? html`<p class="note">${t("desk.product_imported")}</p>` : nothing}
      <section class="card" aria-labelledby="product-title"><h2 id="product-title">${t("desk.product")}</h2>
        ${field("title", "title", { max: 300 })}
        <div class="pair">${field("brand", "brand")}${field("category", "category", { hint: t("desk.field_category_hint") })}</div>
        ${field("url", "url", { type: "url", mode: "url", max: 2_000 })}
        ${areaField({
          id: "product-description",
          label: t("desk.field_description"),
          value: draft.description,
          rows: 5,
          max: 50_000,
          testid: "product-description",
          hint: t("desk.field_description_hint"),
          why: whyFor(whys, "description_html"),
          change: (value) => this.set({ description: value }),
        })}
        <div class="pair">${field("maxPerCustomer", "max_per_customer", { mode: "numeric", max: 4, hint: t("desk.field_max_per_customer_hint") })}
          <label class="check check-block check-below"><input type="checkbox" class="switch" role="switch" data-testid="product-active" .checked=${draft.active}
            @change=${(event: Event) => this.set({ active: (event.target as HTMLInputElement).checked })} /><span>${t("desk.field_active")}</span></label></div>
      </section>
      ${draft.variants.map((variant, index) =>
        variantFields({ app: this.app, draft: variant, index, whys, set: (change) => this.setVariant(index, change) }),
      )}
      <div class="save-bar">
        <div role="alert">${this.overtaken
          ? html`<div class="note note-warn overtaken">${icon("warn")}<p>${t("desk.product_overtaken")}</p>
              <button type="button" class="btn btn-outline btn-small" data-testid="take-newer" @click=${() => void this.takeNewer()}>${t("desk.take_newer")}</button></div>`
          : rest
            ? html`<p class="problem">${icon("warn")}<span>${rest}</span></p>`
            : nothing}</div>
        <a class="btn" href=${this.back()}>${t("studio.cancel")}</a>
        <button class="btn btn-primary" data-testid="save-product" ?disabled=${this.busy}>
          ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${t("studio.save")}</button>
      </div>
    </form>`;
  }
}

/** The server names a variant's field but not the variant: with one variant it is that one's, with more it stands alone. */
function placed(whys: Whys, variants: number): Whys {
  return Object.fromEntries(
    Object.entries(whys).map(([at, text]) => {
      const field = at === "price" ? "list_price" : at;
      return VARIANT_FIELDS.includes(at) ? [variants === 1 ? `variants.0.${field}` : "", text] : [at, text];
    }),
  );
}
