// What a price announces: read off what the server sent, never worked out again. Pure.

import type { Money, PriceTier, Product, PromotionNote, Variant } from "../wire.gen";
import { percentOff } from "./money";

export interface Announced {
  price: Money;
  /** What is struck: the price without promotions, or the merchant's own comparison. */
  was: Money | null;
  lowest: Money | null;
  /** Whole percent off. Where the lowest price of 30 days is given it counts from there (CJEU C-330/23). */
  percent: number;
  promotions: readonly PromotionNote[];
}

export function announced(variant: Variant): Announced {
  const { price, list_price, compare_at, lowest_30_days: lowest, promotions } = variant;
  const was = list_price.amount > price.amount ? list_price : compare_at && compare_at.amount > price.amount ? compare_at : null;
  return { price, was, lowest, percent: was ? percentOff(price, lowest ?? was) : 0, promotions };
}

/** The cheapest variant stands for a product of which none is chosen. */
export function cheapest(product: Product): { variant: Variant; varies: boolean } | null {
  let variant = product.variants[0];
  if (!variant) return null;
  for (const each of product.variants) if (each.price.amount < variant.price.amount) variant = each;
  return { variant, varies: product.variants.some((each) => each.price.amount !== variant.price.amount) };
}

export function offerOf(variant: Variant): PromotionNote | null {
  return variant.promotions.find((note) => note.is_offer) ?? null;
}

/** The offer a card tells of: that of its price if it has one, else that of any variant. */
export function offerIn(product: Product): PromotionNote | null {
  const first = cheapest(product)?.variant;
  const notes = first ? [first, ...product.variants] : [];
  return notes.map(offerOf).find((note) => note !== null) ?? null;
}

/** The tiers there are still units for: past a promotion's last unit, its prices by quantity are nobody's. */
export function tiersOf({ tiers, promotions }: Variant): readonly PriceTier[] {
  const units = Math.min(...promotions.map((note) => note.units_left ?? Infinity));
  return tiers.filter((tier) => tier.min_quantity <= units);
}

/** The tier after this quantity, if it is cheaper. */
export function nextTier(tiers: readonly PriceTier[], quantity: number, price: Money): PriceTier | null {
  return tiers.find((tier) => tier.min_quantity > quantity && tier.price.amount < price.amount) ?? null;
}

/** A merchant's text in the viewer's language, else in the shop's first. */
export function textIn(texts: Record<string, string>, lang: string): string {
  return texts[lang] ?? texts[lang.split("-")[0]!] ?? texts["en"] ?? Object.values(texts)[0] ?? "";
}
