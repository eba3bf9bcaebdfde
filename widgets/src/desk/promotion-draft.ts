/** A promotion while it is typed, and what the server takes. Times are wall time in the reader's own zone. */

import type { I18n } from "../state/i18n";
import type { Product, Promotion, PromotionInput, Variant } from "../wire.gen";
import { decimalText, moneyText, parseCount, parseMoney } from "../studio/amounts";
import type { Whys } from "../studio/fields";
import type { Kind, KindName } from "../studio/kind-words";
import { limit, permille } from "../studio/offer-draft";
import type { Found } from "../studio/product-search";
import { instantToWall, localZone, wallToInstant } from "../studio/zone";

export const KINDS: KindName[] = ["percent_off", "amount_off", "fixed_price", "buy_x_get_y", "order_percent_off", "order_amount_off", "free_shipping"];
export const AUDIENCES = ["everybody", "show", "segment"] as const;
export const RANGES = ["all", "products", "variants", "category"] as const;
const PRIORITY_MAX = 1_000;

export interface PromotionDraft {
  texts: Record<string, string>;
  kind: KindName;
  /** As typed, like all below. One for both kinds of per cent, and for both amounts, so that changing the kind keeps it. */
  percent: string;
  amount: string;
  price: string;
  buy: string;
  get: string;
  getOff: string;
  from: string;
  /** One per line. */
  codes: string;
  audience: (typeof AUDIENCES)[number];
  showId: string;
  segment: string;
  range: (typeof RANGES)[number];
  products: Chosen[];
  variants: Chosen[];
  category: string;
  starts: string;
  ends: string;
  stacking: Promotion["stacking"];
  priority: string;
  group: string;
  limitTotal: string;
  limitPerCustomer: string;
}

/** A product or, with `variant`, one variant of it. What the catalog no longer knows has an id only, and is kept. */
export interface Chosen {
  id: string;
  product: Product | null;
  variant: Variant | null;
}

/** Whether it changes the price of units; the other kinds are for whole orders. */
export function isPerUnit(kind: KindName): boolean {
  return !kind.startsWith("order_") && kind !== "free_shipping";
}

export function newPromotion(): PromotionDraft {
  return {
    texts: {},
    kind: "percent_off",
    percent: "",
    amount: "",
    price: "",
    buy: "2",
    get: "1",
    getOff: "100",
    from: "",
    codes: "",
    audience: "everybody",
    showId: "",
    segment: "",
    range: "all",
    products: [],
    variants: [],
    category: "",
    starts: "",
    ends: "",
    stacking: "exclusive",
    priority: "0",
    group: "",
    limitTotal: "",
    limitPerCustomer: "",
  };
}

/** `products` and `variants`: those it names. */
export function draftOf(promotion: Promotion, products: Chosen[], variants: Chosen[], lang: string): PromotionDraft {
  const { kind } = promotion;
  const wall = (at: string | null): string => (at === null ? "" : instantToWall(new Date(at), localZone()));
  const share = (value: number): string => decimalText(value, 1, lang, 0);
  const count = (value: number | null): string => (value === null ? "" : String(value));
  return {
    ...newPromotion(),
    texts: promotion.texts,
    kind: kind.type,
    ...(kind.type === "percent_off" || kind.type === "order_percent_off" ? { percent: share(kind.permille) } : {}),
    ...(kind.type === "amount_off" || kind.type === "order_amount_off" ? { amount: moneyText(kind.amount, lang) } : {}),
    ...(kind.type === "fixed_price" ? { price: moneyText(kind.price, lang) } : {}),
    ...(kind.type === "buy_x_get_y" ? { buy: String(kind.buy), get: String(kind.get), getOff: share(kind.off_permille ?? 1_000) } : {}),
    ...(kind.type === "free_shipping" ? { from: moneyText(kind.from_goods, lang) } : {}),
    codes: promotion.codes.join("\n"),
    audience: promotion.show_id !== null ? "show" : promotion.segment !== null ? "segment" : "everybody",
    showId: promotion.show_id ?? "",
    segment: promotion.segment ?? "",
    range: promotion.product_ids.length > 0 ? "products" : promotion.variant_ids.length > 0 ? "variants" : promotion.category !== null ? "category" : "all",
    products,
    variants,
    category: promotion.category ?? "",
    starts: wall(promotion.starts_at),
    ends: wall(promotion.ends_at),
    stacking: promotion.stacking,
    priority: String(promotion.priority),
    group: promotion.group ?? "",
    limitTotal: count(promotion.limit_total),
    limitPerCustomer: count(promotion.limit_per_customer),
  };
}

export function chosenOf({ product, variant }: Found): Chosen {
  return { id: variant?.id ?? product.id, product, variant };
}

export function codesOf(draft: PromotionDraft): string[] {
  return [...new Set(draft.codes.split("\n").map((line) => line.trim()).filter(Boolean))];
}

/**
 * What the server takes, named as its errors name it; what is missing or wrong stands in `whys`, and then there is no
 * input. `read` is the stored promotion: a time left as it was is sent as it was, seconds and all.
 */
export function inputOf(
  draft: PromotionDraft,
  { currency, languages, read, words }: { currency: string; languages: readonly string[]; read: Promotion | null; words: I18n },
): { input: PromotionInput | null; whys: Whys } {
  const { t } = words;
  const whys: Record<string, string> = {};
  const need = <T>(value: T | null | undefined, field: string, key: string): T | null => {
    if (value === undefined || value === null) whys[field] = t(key);
    return value ?? null;
  };
  for (const language of languages) {
    if (!draft.texts[language]?.trim()) whys[`texts.${language}`] = t("desk.wrong_name");
  }
  const kind = kindOf(draft, currency, words, whys);
  const starts = instantOf(draft.starts, read?.starts_at ?? null);
  const ends = instantOf(draft.ends, read?.ends_at ?? null);
  if (starts === undefined) whys["period.starts_at"] = t("studio.form_time_wrong");
  if (ends === undefined) whys["period.ends_at"] = t("studio.form_time_wrong");
  if (starts && ends && Date.parse(ends) <= Date.parse(starts)) whys["period.ends_at"] = t("desk.wrong_period");
  // Left as it was stored, a time gone by is no mistake: the server knows whether it is over.
  else if (ends && ends !== read?.ends_at && Date.parse(ends) <= Date.now()) whys["period.ends_at"] = t("desk.wrong_past");
  const range = isPerUnit(draft.kind) ? draft.range : "all";
  if (range === "products" && draft.products.length === 0) whys["products"] = t("desk.wrong_products");
  if (range === "variants" && draft.variants.length === 0) whys["products"] = t("desk.wrong_variants");
  if (range === "category" && !draft.category.trim()) whys["products"] = t("desk.wrong_category");
  if (draft.audience === "show" && !draft.showId) whys["scope.show_id"] = t("desk.wrong_show");
  if (draft.audience === "segment" && !draft.segment.trim()) whys["scope.segment"] = t("desk.wrong_segment");
  const priority = /^[-−]?\d{1,4}$/.test(draft.priority.trim()) ? Number(draft.priority.trim().replace("−", "-")) : NaN;
  if (!(Math.abs(priority) <= PRIORITY_MAX)) whys["priority"] = t("desk.wrong_priority");
  const total = limit(draft.limitTotal);
  need(total === null ? 0 : total, "limit.total", "studio.wrong_count");
  const perCustomer = limit(draft.limitPerCustomer);
  need(perCustomer === null ? 0 : perCustomer, "limit.per_customer", "studio.wrong_count");
  if (!kind || Object.keys(whys).length > 0) return { input: null, whys };
  return {
    whys,
    input: {
      texts: Object.fromEntries(Object.entries(draft.texts).map(([tag, text]) => [tag, text.trim()]).filter(([, text]) => text)),
      kind,
      stacking: draft.stacking,
      codes: codesOf(draft),
      show_id: draft.audience === "show" ? draft.showId : null,
      segment: draft.audience === "segment" ? draft.segment.trim() : null,
      product_ids: range === "products" ? draft.products.map(({ id }) => id) : [],
      variant_ids: range === "variants" ? draft.variants.map(({ id }) => id) : [],
      category: range === "category" ? draft.category.trim() : null,
      starts_at: starts ?? null,
      ends_at: ends ?? null,
      priority,
      group: draft.group.trim() || null,
      limit_total: total ?? null,
      limit_per_customer: perCustomer ?? null,
      ...(read ? { version: read.version } : {}),
    },
  };
}

/** Undefined: not a complete time. */
function instantOf(wall: string, read: string | null): string | null | undefined {
  if (!wall) return null;
  if (read !== null && instantToWall(new Date(read), localZone()) === wall.slice(0, 16)) return read;
  return wallToInstant(wall, localZone())?.at.toISOString();
}

function kindOf(draft: PromotionDraft, currency: string, { lang, t }: I18n, whys: Record<string, string>): Kind | null {
  const share = (text: string, field: string): number | null => {
    const value = permille(text, lang);
    if (value === null) whys[`kind.${field}`] = t("studio.wrong_percent");
    return value;
  };
  const money = (text: string, field: string): ReturnType<typeof parseMoney> => {
    const value = parseMoney(text, currency, lang);
    if (value && value.amount > 0) return value;
    whys[`kind.${field}`] = t("studio.wrong_money");
    return null;
  };
  const count = (text: string, field: string): number | null => {
    const value = parseCount(text) || null;
    if (value === null) whys[`kind.${field}`] = t("studio.wrong_count");
    return value;
  };
  switch (draft.kind) {
    case "percent_off":
    case "order_percent_off": {
      const value = share(draft.percent, "permille");
      return value === null ? null : { type: draft.kind, permille: value };
    }
    case "amount_off":
    case "order_amount_off": {
      const amount = money(draft.amount, "amount");
      return amount && { type: draft.kind, amount };
    }
    case "fixed_price": {
      const price = money(draft.price, "price");
      return price && { type: draft.kind, price };
    }
    case "buy_x_get_y": {
      const [buy, get, off] = [count(draft.buy, "buy"), count(draft.get, "get"), share(draft.getOff, "off_permille")];
      return buy !== null && get !== null && off !== null ? { type: draft.kind, buy, get, off_permille: off } : null;
    }
    case "free_shipping": {
      if (!draft.from.trim()) return { type: draft.kind, from_goods: null };
      const from = money(draft.from, "from_goods");
      return from && { type: draft.kind, from_goods: from };
    }
  }
}
