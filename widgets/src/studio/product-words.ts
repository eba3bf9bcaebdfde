/** A product's price and stock in words. */

import type { I18n } from "../state/i18n";
import { formatMoney } from "../state/money";
import type { Product, Variant } from "../wire.gen";

export function available(product: Product): number {
  return product.variants.reduce((sum, variant) => sum + variant.available, 0);
}

/** "49,90 €", or "from 49,90 €" where variants differ. */
export function priceWords(product: Product, words: I18n): string {
  const cheapest = product.variants.reduce<Variant | null>(
    (low, variant) => (low === null || variant.price.amount < low.price.amount ? variant : low),
    null,
  );
  if (!cheapest) return "–";
  const price = formatMoney(cheapest.price, words.lang);
  const differs = product.variants.some((variant) => variant.price.amount !== cheapest.price.amount);
  return differs ? words.t("studio.price_from", { price }) : price;
}

export function variantName(values: readonly string[]): string {
  return values.join(" / ");
}

export type StockLevel = "out" | "low" | "good";

export function stockLevel(count: number): StockLevel {
  return count <= 0 ? "out" : count <= 5 ? "low" : "good";
}
