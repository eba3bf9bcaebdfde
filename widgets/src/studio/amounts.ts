/**
 * Numbers as people type them: in their language's decimals, back to whole minor units.
 * Both "12,50" and "12.50" are understood everywhere; a mark that groups thousands in the reader's language groups.
 */

import type { Money } from "../wire.gen";

/** How many decimals a currency has: JPY 0, EUR 2, KWD 3. */
export function minorDigits(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

/** In units of the last decimal: "12,5" with two digits is 1250. Null: not a number of so many decimals. */
export function parseDecimal(text: string, digits: number, lang: string): number | null {
  let clean = text.replace(/[\s\u00a0\u202f'’]/g, "");
  const group = new Intl.NumberFormat(lang).formatToParts(1_000_000).find((part) => part.type === "group")?.value;
  if (group === "." || group === ",") {
    const grouped = group === "." ? /^\d{1,3}(\.\d{3})+(,\d*)?$/ : /^\d{1,3}(,\d{3})+(\.\d*)?$/;
    if (grouped.test(clean)) clean = clean.replaceAll(group, "");
  }
  const [, whole, fraction = ""] = /^(\d+)(?:[.,](\d*))?$/.exec(clean) ?? [];
  if (whole === undefined) return null;
  const exact = fraction.replace(/0+$/, "");
  if (exact.length > digits) return null;
  const value = Number(whole + exact.padEnd(digits, "0"));
  return Number.isSafeInteger(value) ? value : null;
}

/** The value of a field: no grouping, at least `least` decimals. */
export function decimalText(value: number, digits: number, lang: string, least = digits): string {
  return new Intl.NumberFormat(lang, { minimumFractionDigits: least, maximumFractionDigits: digits, useGrouping: false }).format(
    value / 10 ** digits,
  );
}

export function parseMoney(text: string, currency: string, lang: string): Money | null {
  const amount = parseDecimal(text, minorDigits(currency), lang);
  return amount === null ? null : { amount, currency };
}

export function moneyText(money: Money | null | undefined, lang: string): string {
  return money ? decimalText(money.amount, minorDigits(money.currency), lang) : "";
}

/** A whole number from 0; null for anything else. */
export function parseCount(text: string): number | null {
  const clean = text.trim();
  return /^\d{1,9}$/.test(clean) ? Number(clean) : null;
}

/** "€", or "KWD" where a currency has no sign of its own. */
export function currencySign(currency: string, lang: string): string {
  const parts = new Intl.NumberFormat(lang, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).formatToParts(1);
  return parts.find((part) => part.type === "currency")?.value ?? currency;
}

/** Minutes as typed, "1,5" included, in whole seconds. */
export function parseMinutes(text: string, lang: string): number | null {
  const hundredths = parseDecimal(text, 2, lang);
  return hundredths === null ? null : Math.round((hundredths * 60) / 100);
}

export function minutesText(seconds: number, lang: string): string {
  return decimalText(Math.round((seconds * 100) / 60), 2, lang, 0);
}
