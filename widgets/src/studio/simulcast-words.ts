/** How a destination does, in words. */

import type { I18n } from "../state/i18n";
import type { Leg } from "../wire.gen";
import type { Look } from "./video-words";

const LOOKS: Record<Leg["state"], Look> = { off: "idle", waiting: "idle", connecting: "warn", live: "good", retrying: "bad", refused: "bad" };
const ADDRESS = /^rtmps?:\/\/[^/\s@?#]+\/[^\s?#]+$/i;

export function legLook(leg: Leg): Look {
  return LOOKS[leg.state];
}

export function isInTrouble(leg: Leg): boolean {
  return leg.state === "retrying" || leg.state === "refused";
}

export function legTitle(leg: Leg, words: I18n): string {
  return words.t(`simulcast.state_${leg.state}`);
}

/** What more there is to say of it: the rate while it runs, what is wrong while it does not. */
export function legFacts(leg: Leg, words: I18n): string {
  const facts: string[] = [];
  if (leg.state === "live" && leg.kbit_per_second !== null) facts.push(words.t("simulcast.rate", { rate: words.number(leg.kbit_per_second) }));
  if (leg.is_on && leg.left_out_seconds >= 1) facts.push(words.t("simulcast.left_out", { time: words.duration(Math.round(leg.left_out_seconds)) }));
  return facts.join(" · ");
}

export function legTrouble(leg: Leg, words: I18n): string {
  if (!isInTrouble(leg)) return "";
  const known = leg.reason ? words.t(`simulcast.reason_${leg.reason}`) : "";
  // The server words it more exactly, and in English.
  const told = words.lang.startsWith("en") ? (leg.detail ?? known) : known;
  // What its own show forbids is not tried.
  return leg.state === "refused" && leg.reason !== "customers" ? `${told} ${words.t("simulcast.again")}` : told;
}

/** Why an address cannot be one, before the server is asked. */
export function addressWhy(url: string, words: I18n): string {
  return ADDRESS.test(url.trim()) ? "" : words.t("simulcast.url_wrong");
}
