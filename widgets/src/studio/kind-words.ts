/** What a promotion does, in words. */

import type { I18n } from "../state/i18n";
import { formatMoney } from "../state/money";
import type { Promotion } from "../wire.gen";

export type Kind = Promotion["kind"];
export type KindName = Kind["type"];

export function percentWords(permille: number, lang: string): string {
  return new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 1 }).format(permille / 1_000);
}

export function kindWords(kind: Kind, words: I18n): string {
  const { lang, t } = words;
  switch (kind.type) {
    case "percent_off":
      return t("studio.kind_percent_off_is", { percent: percentWords(kind.permille, lang) });
    case "amount_off":
      return t("studio.kind_amount_off_is", { amount: formatMoney(kind.amount, lang) });
    case "fixed_price":
      return t("studio.kind_fixed_price_is", { price: formatMoney(kind.price, lang) });
    case "buy_x_get_y": {
      const { buy, get, off_permille = 1_000 } = kind;
      if (off_permille === 1_000) return t("studio.kind_buy_x_get_y_free", { buy, get });
      return t("studio.kind_buy_x_get_y_is", { buy, get, percent: percentWords(off_permille, lang) });
    }
    case "order_percent_off":
      return t("studio.kind_order_percent_off_is", { percent: percentWords(kind.permille, lang) });
    case "order_amount_off":
      return t("studio.kind_order_amount_off_is", { amount: formatMoney(kind.amount, lang) });
    case "free_shipping":
      return kind.from_goods
        ? t("studio.kind_free_shipping_from", { amount: formatMoney(kind.from_goods, lang) })
        : t("studio.kind_free_shipping_is");
  }
}

/** A name in the reader's language, or in English, or in whatever there is. */
export function nameIn(texts: Readonly<Record<string, string>>, lang: string): string {
  return texts[lang] || texts[lang.split("-")[0] ?? ""] || texts["en"] || Object.values(texts).find(Boolean) || "";
}

export function languageName(code: string, lang: string): string {
  return new Intl.DisplayNames([lang], { type: "language" }).of(code) ?? code;
}
