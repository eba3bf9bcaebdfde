/** An offer while it is typed, and what the server takes. */

import type { I18n } from "../state/i18n";
import type { Offer, OfferInput, Product } from "../wire.gen";
import { parseCount, parseDecimal, parseMinutes, parseMoney } from "./amounts";
import type { Whys } from "./fields";

export const OFFER_KINDS = ["percent_off", "amount_off", "fixed_price"] as const;
export const MINUTES = ["2", "5", "10"] as const;
const SECONDS_MIN = 10;
const SECONDS_MAX = 86_400;

export interface OfferDraft {
  kind: (typeof OFFER_KINDS)[number];
  /** As typed, like all below. */
  values: Record<(typeof OFFER_KINDS)[number], string>;
  /** Null: all variants. */
  variantIds: string[] | null;
  minutes: (typeof MINUTES)[number] | "own";
  ownMinutes: string;
  units: string;
  perCustomer: string;
  texts: Record<string, string>;
}

export function newOffer(): OfferDraft {
  return {
    kind: "percent_off",
    values: { percent_off: "20", amount_off: "", fixed_price: "" },
    variantIds: null,
    minutes: "5",
    ownMinutes: "",
    units: "",
    perCustomer: "",
    texts: {},
  };
}

export function secondsOf(draft: OfferDraft, lang: string): number | null {
  const seconds = parseMinutes(draft.minutes === "own" ? draft.ownMinutes : draft.minutes, lang);
  return seconds !== null && seconds >= SECONDS_MIN && seconds <= SECONDS_MAX ? seconds : null;
}

/** What is missing or wrong stands in `whys`; then there is no input. */
export function offerInput(draft: OfferDraft, product: Product, currency: string, words: I18n): { input: OfferInput | null; whys: Whys } {
  const { lang, t } = words;
  const whys: Record<string, string> = {};
  const kind = kindOf(draft, currency, lang);
  if (!kind) whys["kind"] = t(draft.kind === "percent_off" ? "studio.wrong_percent" : "studio.wrong_money");
  const seconds = secondsOf(draft, lang);
  if (seconds === null) whys["seconds"] = t("studio.wrong_minutes");
  if (draft.variantIds?.length === 0) whys["variant_ids"] = t("studio.wrong_variants");
  const units = limit(draft.units);
  if (units === undefined) whys["units"] = t("studio.wrong_count");
  const perCustomer = limit(draft.perCustomer);
  if (perCustomer === undefined) whys["per_customer"] = t("studio.wrong_count");
  if (!kind || seconds === null || units === undefined || perCustomer === undefined || Object.keys(whys).length > 0) return { input: null, whys };
  const named = Object.entries(draft.texts).filter(([, text]) => text.trim() !== "");
  return {
    whys,
    input: {
      product_id: product.id,
      kind,
      seconds,
      variant_ids: draft.variantIds ?? [],
      units,
      per_customer: perCustomer,
      ...(named.length > 0 ? { texts: Object.fromEntries(named.map(([tag, text]) => [tag, text.trim()])) } : {}),
    },
  };
}

/** Null: none. Undefined: not a number of at least one. */
export function limit(text: string): number | null | undefined {
  if (text.trim() === "") return null;
  return parseCount(text) || undefined;
}

export function permille(text: string, lang: string): number | null {
  const value = parseDecimal(text.replace("%", ""), 1, lang);
  return value !== null && value > 0 && value <= 1_000 ? value : null;
}

function kindOf({ kind, values }: OfferDraft, currency: string, lang: string): Offer["kind"] | null {
  if (kind === "percent_off") {
    const share = permille(values.percent_off, lang);
    return share === null ? null : { type: kind, permille: share };
  }
  const money = parseMoney(values[kind], currency, lang);
  if (!money || money.amount <= 0) return null;
  return kind === "amount_off" ? { type: kind, amount: money } : { type: kind, price: money };
}
