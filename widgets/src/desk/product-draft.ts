/** A product while it is typed, and what the server takes: list prices in, never the price of the moment. */

import type { I18n } from "../state/i18n";
import type { BundlePart, PriceTier, Product, ProductInput, Variant, VariantInput } from "../wire.gen";
import { moneyText, parseCount, parseMoney } from "../studio/amounts";
import type { Whys } from "../studio/fields";

const GRAMS_MAX = 10_000_000;
const PER_CUSTOMER_MAX = 1_000;
const PARTS_EACH_MAX = 100;

export const TAX_CLASSES = ["standard", "reduced", "zero"] as const;

export interface TierDraft {
  from: string;
  price: string;
}

export interface PartDraft extends Pick<BundlePart, "variant_id" | "title" | "sku"> {
  quantity: string;
}

export interface VariantDraft {
  /** As stored; null: a new one. */
  stored: Variant | null;
  values: string[];
  sku: string;
  gtin: string;
  listPrice: string;
  compareAt: string;
  tiers: TierDraft[];
  weight: string;
  taxClass: VariantInput["tax_class"];
  parts: PartDraft[];
}

export interface ProductDraft {
  /** As stored; null: a new one. */
  stored: Product | null;
  title: string;
  brand: string;
  category: string;
  url: string;
  description: string;
  active: boolean;
  maxPerCustomer: string;
  variants: VariantDraft[];
}

export function newProduct(): ProductDraft {
  const variant: VariantDraft = {
    stored: null,
    values: [],
    sku: "",
    gtin: "",
    listPrice: "",
    compareAt: "",
    tiers: [],
    weight: "",
    taxClass: "standard",
    parts: [],
  };
  return { stored: null, title: "", brand: "", category: "", url: "", description: "", active: true, maxPerCustomer: "", variants: [variant] };
}

export function draftOf(product: Product, lang: string): ProductDraft {
  return {
    stored: product,
    title: product.title,
    brand: product.brand ?? "",
    category: product.category ?? "",
    url: product.url ?? "",
    description: product.description_html,
    active: product.active,
    maxPerCustomer: product.max_per_customer === null ? "" : String(product.max_per_customer),
    variants: product.variants.map((variant) => ({
      stored: variant,
      values: variant.values,
      sku: variant.sku,
      gtin: variant.gtin ?? "",
      listPrice: moneyText(variant.list_price, lang),
      compareAt: moneyText(variant.compare_at, lang),
      tiers: variant.list_tiers.map((tier) => ({ from: String(tier.min_quantity), price: moneyText(tier.price, lang) })),
      weight: variant.weight_grams === 0 ? "" : String(variant.weight_grams),
      taxClass: variant.tax_class,
      parts: variant.parts.map((part) => ({ variant_id: part.variant_id, title: part.title, sku: part.sku, quantity: String(part.quantity) })),
    })),
  };
}

/** What the server takes; what is missing or wrong stands in `whys` by field ("variants.0.list_price"), and then there is no input. */
export function inputOf(draft: ProductDraft, currency: string, words: I18n): { input: ProductInput | null; whys: Whys } {
  const { t } = words;
  const whys: Record<string, string> = {};
  if (!draft.title.trim()) whys["title"] = t("desk.wrong_title");
  const perCustomer = draft.maxPerCustomer.trim() === "" ? null : parseCount(draft.maxPerCustomer);
  if (draft.maxPerCustomer.trim() !== "" && (!perCustomer || perCustomer > PER_CUSTOMER_MAX)) whys["max_per_customer"] = t("studio.wrong_count");
  const variants = draft.variants.map((variant, index) => variantInput(variant, `variants.${index}`, currency, words, whys));
  if (Object.keys(whys).length > 0) return { input: null, whys };
  const { stored } = draft;
  return {
    whys,
    input: {
      title: draft.title.trim(),
      variants: variants.filter((variant) => variant !== null),
      options: stored?.options ?? [],
      description_html: draft.description,
      brand: draft.brand.trim() || null,
      category: draft.category.trim() || null,
      url: draft.url.trim() || null,
      image_ids: stored?.images.map(({ id }) => id) ?? [],
      max_per_customer: perCustomer,
      active: draft.active,
      ...(stored ? { version: stored.version } : {}),
    },
  };
}

function variantInput(draft: VariantDraft, at: string, currency: string, { lang, t }: I18n, whys: Record<string, string>): VariantInput | null {
  if (!draft.sku.trim()) whys[`${at}.sku`] = t("desk.wrong_sku");
  const price = parseMoney(draft.listPrice, currency, lang);
  if (!price || price.amount <= 0) whys[`${at}.list_price`] = t("studio.wrong_money");
  const compareAt = draft.compareAt.trim() ? parseMoney(draft.compareAt, currency, lang) : null;
  if (draft.compareAt.trim() && !compareAt) whys[`${at}.compare_at`] = t("studio.wrong_money");
  if (price && compareAt && compareAt.amount <= price.amount) whys[`${at}.compare_at`] = t("desk.wrong_compare_at");
  const weight = draft.weight.trim() ? parseCount(draft.weight) : 0;
  if (weight === null || weight > GRAMS_MAX) whys[`${at}.weight_grams`] = t("desk.wrong_weight");
  const tiers = draft.tiers.map((tier, index): PriceTier | null => {
    const from = parseCount(tier.from);
    const each = parseMoney(tier.price, currency, lang);
    if (from === null || from < 2) whys[`${at}.tiers.${index}.from`] = t("desk.wrong_tier_from");
    if (!each || each.amount <= 0) whys[`${at}.tiers.${index}.price`] = t("studio.wrong_money");
    return from === null || !each ? null : { min_quantity: from, price: each };
  });
  tiers.forEach((tier, index) => {
    const before = index === 0 ? (price && { min_quantity: 1, price }) : tiers[index - 1];
    if (!tier || !before) return;
    if (tier.min_quantity <= before.min_quantity) whys[`${at}.tiers.${index}.from`] ??= t("desk.wrong_tier_order");
    if (tier.price.amount >= before.price.amount) whys[`${at}.tiers.${index}.price`] ??= t("desk.wrong_tier_price");
  });
  const parts = draft.parts.map((part, index) => {
    const quantity = parseCount(part.quantity);
    if (!quantity || quantity > PARTS_EACH_MAX) whys[`${at}.parts.${index}`] = t("desk.wrong_part", { count: PARTS_EACH_MAX });
    return { variant_id: part.variant_id, quantity: quantity ?? 0 };
  });
  if (!price) return null;
  return {
    ...(draft.stored ? { id: draft.stored.id } : {}),
    sku: draft.sku.trim(),
    list_price: price,
    values: draft.values,
    gtin: draft.gtin.trim() || null,
    compare_at: compareAt,
    tax_class: draft.taxClass ?? "standard",
    image_index: draft.stored?.image_index ?? null,
    tiers: tiers.filter((tier) => tier !== null),
    weight_grams: weight ?? 0,
    parts,
  };
}
