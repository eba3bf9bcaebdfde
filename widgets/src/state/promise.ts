// When goods arrive, in words. A promise is of the store's or shop's own day, wherever the viewer is.

import type { DeliveryOption, PromiseOut } from "../wire.gen";
import type { I18n } from "./i18n";

const DAY: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" };

export interface PromiseOf {
  kind: DeliveryOption["kind"];
  promise: PromiseOut | null;
}

function dayOf(at: Date, timeZone: string): string {
  return new Intl.DateTimeFormat("sv", { timeZone }).format(at);
}

/** "Tue 24 – Thu 26 Nov", or one day where both are the same. */
function days(from: Date, until: Date, i18n: I18n, timeZone: string): string {
  const whole = new Intl.DateTimeFormat(i18n.lang, { ...DAY, timeZone });
  const kinds = whole.formatToParts(until).map(({ type }) => type);
  const [first, last] = [dayOf(from, timeZone), dayOf(until, timeZone)];
  // The month is said once, where the language says it last.
  if (first === last || first.slice(0, 7) !== last.slice(0, 7) || kinds.indexOf("month") < kinds.indexOf("day")) {
    return whole.formatRange(from, until);
  }
  const short = new Intl.DateTimeFormat(i18n.lang, { weekday: "short", day: "numeric", timeZone }).format(from);
  return `${short} – ${whole.format(until)}`;
}

/**
 * "Arrives Tue 24 – Thu 26 Nov" or "Ready today from 16:30". `now` is the server's time in milliseconds, `zone` an
 * IANA name. Empty where nothing is promised.
 */
export function promiseWords({ kind, promise }: PromiseOf, i18n: I18n, now: number, zone: string): string {
  if (!promise) return "";
  const from = new Date(promise.from);
  const until = new Date(promise.until);
  if (kind === "ship") return i18n.t("delivery.arrives", { days: days(from, until, i18n, zone) });
  const day = dayOf(until, zone);
  if (dayOf(from, zone) !== day) return i18n.t("delivery.ready_between", { days: days(from, until, i18n, zone) });
  const time = new Intl.DateTimeFormat(i18n.lang, { timeStyle: "short", timeZone: zone }).format(until);
  // Sent to the store: there before it closes.
  if (from < until) return i18n.t("delivery.ready_by", { day: days(until, until, i18n, zone), time });
  if (day === dayOf(new Date(now), zone)) return i18n.t("delivery.ready_today", { time });
  if (day === dayOf(new Date(now + 86_400_000), zone)) return i18n.t("delivery.ready_tomorrow", { time });
  return i18n.t("delivery.ready_day", { day: days(until, until, i18n, zone), time });
}

/** "open today 10:00–19:00", or that it is closed. Null for shipping. */
export function hoursWords(hours: DeliveryOption["hours_today"], i18n: I18n): string | null {
  if (!hours) return null;
  if (hours.length === 0) return i18n.t("delivery.closed_today");
  return i18n.t("delivery.open_today", { hours: hours.map(([from, to]) => `${from}–${to}`).join(", ") });
}
