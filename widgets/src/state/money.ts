// Money in words. Amounts are integer minor units everywhere; only `Intl` turns them into decimals.

import type { Money } from "../wire.gen";

const formats = new Map<string, Intl.NumberFormat>();

function format(lang: string, currency: string): Intl.NumberFormat {
  const key = `${lang}|${currency}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.NumberFormat(lang, { style: "currency", currency });
    formats.set(key, found);
  }
  return found;
}

/** "49,90 €" or "€49.90". The number of minor digits is the currency's own (JPY has none); what is taken off has a true minus. */
export function formatMoney(money: Money, lang: string): string {
  const formatter = format(lang, money.currency);
  const digits = formatter.resolvedOptions().maximumFractionDigits ?? 2;
  return formatter.format(money.amount / 10 ** digits).replace("-", "−");
}

/** "−15 %" or "−15%", as the language writes it. */
export function percentBadge(percent: number, lang: string): string {
  return new Intl.NumberFormat(lang, { style: "percent" }).format(-percent / 100).replace("-", "−");
}

/** Whole percent off, rounded down so that the badge never promises more than the price gives. */
export function percentOff(price: Money, compareAt: Money | null): number {
  if (!compareAt || compareAt.amount <= price.amount || compareAt.currency !== price.currency) return 0;
  return Math.floor(((compareAt.amount - price.amount) * 100) / compareAt.amount);
}
