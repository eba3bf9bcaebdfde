// Texts in English and German, and numbers, dates and plurals by `Intl`. Locale files are flat: key to text with {placeholders}.

import en from "../../locales/en.json";
import de from "../../locales/de.json";

type Texts = Record<string, string>;

const TEXTS: Record<string, Texts> = { en, de };

export type Params = Record<string, string | number>;

export interface I18n {
  readonly lang: string;
  /** The text of a key. With `count` among the parameters, `key.one` / `key.other` are chosen by the language's plural rule. */
  t(key: string, params?: Params): string;
  has(key: string): boolean;
  number(value: number): string;
  /** "1.2K" */
  compact(value: number): string;
  date(at: string | Date, options?: Intl.DateTimeFormatOptions): string;
  time(at: string | Date): string;
  country(code: string): string;
  /** "10 minutes", "1 minute 30 seconds": exactly as long as it is. */
  duration(seconds: number): string;
}

/**
 * The first supported language among the wishes ("de-AT" finds "de"), English otherwise. A wish without a region takes
 * the region of a later wish in the same language: a page in "en" shows a British viewer British dates.
 */
export function chooseLanguage(wishes: readonly (string | null | undefined)[]): string {
  const short = (wish: string): string => wish.toLowerCase().split("-")[0] ?? "";
  const known = wishes.filter((wish): wish is string => !!wish && short(wish) in TEXTS);
  const first = known[0];
  if (first === undefined) return "en";
  return first.includes("-") ? first : known.find((wish) => wish.includes("-") && short(wish) === first.toLowerCase()) ?? first;
}

export function i18nFor(wish: string): I18n {
  const lang = chooseLanguage([wish]);
  const texts = TEXTS[lang.toLowerCase().split("-")[0] ?? "en"] ?? TEXTS["en"]!;
  const plural = new Intl.PluralRules(lang);
  const numbers = new Intl.NumberFormat(lang);
  const compacts = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 1 });
  const times = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
  const regions = new Intl.DisplayNames([lang], { type: "region" });

  const find = (key: string): string | undefined => texts[key] ?? TEXTS["en"]![key];

  return {
    lang,
    has: (key) => (find(key) ?? find(`${key}.other`)) !== undefined,
    t(key, params) {
      let text = find(key);
      if (params && typeof params["count"] === "number") {
        const form = plural.select(params["count"]);
        text = find(`${key}.${form}`) ?? find(`${key}.other`) ?? text;
      }
      if (text === undefined) return key;
      if (!params) return text;
      return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
        const value = params[name];
        if (value === undefined) return whole;
        return typeof value === "number" ? numbers.format(value) : value;
      });
    },
    number: (value) => numbers.format(value),
    compact: (value) => compacts.format(value),
    date: (at, options = { dateStyle: "full", timeStyle: "short" }) =>
      new Intl.DateTimeFormat(lang, options).format(new Date(at)),
    time: (at) => times.format(new Date(at)),
    country: (code) => regions.of(code) ?? code,
    duration: (seconds) => {
      const say = (value: number, unit: string): string =>
        new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "long" }).format(value);
      const parts = [
        [Math.floor(seconds / 60), "minute"],
        [seconds % 60, "second"],
      ] as const;
      return parts.flatMap(([value, unit]) => (value > 0 ? [say(value, unit)] : [])).join(" ");
    },
  };
}

/** "4:05", or "1:02:03" from an hour on. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const s = String(whole % 60).padStart(2, "0");
  const m = Math.floor(whole / 60) % 60;
  const h = Math.floor(whole / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}
