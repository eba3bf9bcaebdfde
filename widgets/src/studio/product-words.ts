/** A product's price and stock in words. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import { formatMoney } from "../state/money";
import { picture } from "../ui/picture";
import type { Money, Product, Variant } from "../wire.gen";

export function available(product: Product): number {
  return product.variants.reduce((sum, variant) => sum + variant.available, 0);
}

/** What was paid before: the list price while a promotion is below it, else the price to compare with. */
export function priceBefore(variant: Variant): Money | null {
  if (variant.list_price.amount > variant.price.amount) return variant.list_price;
  return variant.compare_at && variant.compare_at.amount > variant.price.amount ? variant.compare_at : null;
}

export function cheapest(variants: readonly Variant[]): Variant | null {
  return variants.reduce<Variant | null>((low, variant) => (low === null || variant.price.amount < low.price.amount ? variant : low), null);
}

/** "49,90 €", or "from 49,90 €" where variants differ. */
export function priceWords(product: { readonly variants: readonly Variant[] }, words: I18n): string {
  const low = cheapest(product.variants);
  if (!low) return "–";
  const price = formatMoney(low.price, words.lang);
  const differs = product.variants.some((variant) => variant.price.amount !== low.price.amount);
  return differs ? words.t("studio.price_from", { price }) : price;
}

export function struck(before: Money | null, words: I18n): TemplateResult | typeof nothing {
  if (!before) return nothing;
  return html` <span class="price-was"><span class="sr-only">${words.t("page.price_before")} </span>${formatMoney(before, words.lang)}</span>`;
}

/** The price in force, with the one before struck. */
export function priceLine(product: Product, words: I18n): TemplateResult {
  const low = cheapest(product.variants);
  const before = low && low.list_price.amount > low.price.amount ? low.list_price : null;
  return html`<span class=${before ? "price-sale" : ""}>${priceWords(product, words)}</span>${struck(before, words)}`;
}

export function variantName(values: readonly string[]): string {
  return values.join(" / ");
}

export type StockLevel = "out" | "low" | "good";

export function stockLevel(count: number): StockLevel {
  return count <= 0 ? "out" : count <= 5 ? "low" : "good";
}

export function stockWords(count: number, words: I18n): TemplateResult {
  return html`<span class="stock stock-${stockLevel(count)}">${count > 0 ? words.t("studio.in_stock", { count }) : words.t("studio.sold_out")}</span>`;
}

/** Picture, title and price, as rows of products show them; with a variant, that one's. */
export function productFace(product: Product, variant: Variant | null, words: I18n): TemplateResult {
  const image = product.images[variant?.image_index ?? 0] ?? product.images[0];
  const shown = variant ? { ...product, variants: [variant] } : product;
  return html`<span class="row-picture">${picture(image, { sizes: "3rem", alt: "" })}</span>
    <span class="row-text"><span class="row-title">${product.title}${variant && variant.values.length > 0 ? html`<span class="row-name">${variantName(variant.values)}</span>` : nothing}</span>
      <span class="quiet">${variant ? html`<code>${variant.sku}</code> · ` : nothing}${priceLine(shown, words)} · ${words.t("studio.in_stock", { count: available(shown) })}</span></span>`;
}
