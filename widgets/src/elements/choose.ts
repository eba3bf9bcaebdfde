// Choosing among variants with any number of option dimensions. Pure, so that every combination can be tested.

import type { Product, Variant } from "../wire.gen";

/** One chosen value per dimension; null where nothing is chosen yet. */
export type Choice = readonly (string | null)[];

export interface ValueState {
  value: string;
  chosen: boolean;
  /** Some variant with the earlier choices has this value: it can be chosen, if only to wait for it. */
  exists: boolean;
  /** ... and is in stock. */
  available: boolean;
}

/** Decided from the start: what has one value only, and what the pictures differ by (a colour), as the first one is shown. */
export function firstChoice(product: Product): Choice {
  const buyable = product.variants.find((v) => v.available > 0) ?? product.variants[0];
  return product.options.map((option, dimension) => {
    if (option.values.length === 1) return option.values[0] ?? null;
    return product.options.length > 1 && decidesPicture(product, dimension) ? buyable?.values[dimension] ?? null : null;
  });
}

function decidesPicture(product: Product, dimension: number): boolean {
  const pictures = new Map<string | undefined, number | null>();
  for (const variant of product.variants) {
    const value = variant.values[dimension];
    if (pictures.has(value) && pictures.get(value) !== variant.image_index) return false;
    pictures.set(value, variant.image_index);
  }
  return new Set(pictures.values()).size > 1;
}

/**
 * The values of one dimension. Only earlier dimensions limit a later one: looking both ways could leave a viewer
 * with two choices that block each other and no way out.
 */
export function valuesOf(product: Product, choice: Choice, dimension: number): ValueState[] {
  const option = product.options[dimension];
  if (!option) return [];
  const fits = (variant: Variant): boolean =>
    choice.every((chosen, i) => i >= dimension || chosen === null || variant.values[i] === chosen);
  return option.values.map((value) => {
    const found = product.variants.filter((v) => v.values[dimension] === value && fits(v));
    return {
      value,
      chosen: choice[dimension] === value,
      exists: found.length > 0,
      available: found.some((v) => v.available > 0),
    };
  });
}

/** The choice after picking a value; later choices that cannot be had with it are dropped. */
export function choose(product: Product, choice: Choice, dimension: number, value: string): Choice {
  let next: (string | null)[] = choice.map((chosen, i) => (i === dimension ? value : chosen));
  for (let i = dimension + 1; i < next.length; i++) {
    const states = valuesOf(product, next, i);
    if (!states.some((s) => s.value === next[i] && s.available)) next = next.map((c, j) => (j === i ? null : c));
  }
  return next;
}

/** The variant the choice means, once it is complete. */
export function variantOf(product: Product, choice: Choice): Variant | null {
  if (choice.some((chosen) => chosen === null)) return null;
  return product.variants.find((v) => v.values.every((value, i) => value === choice[i])) ?? null;
}

export function soldOut(product: Product): boolean {
  return product.variants.every((v) => v.available <= 0);
}

export function totalAvailable(product: Product): number {
  return product.variants.reduce((sum, v) => sum + Math.max(0, v.available), 0);
}
