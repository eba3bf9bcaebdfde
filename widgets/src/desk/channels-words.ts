/** Connections, listings and work on them, in words and colours. What the server does not know is not said. */

import { html, nothing, type TemplateResult } from "lit";
import { icon, type IconName } from "../studio/icons";
import type { I18n } from "../state/i18n";
import type { Connection, Connector, Listing, Run } from "../wire.gen";

export type Role = Connection["roles"][number];
export type ListingState = Listing["state"];
export type Look = "good" | "warn" | "bad" | "accent" | "";

/** From what needs somebody to what needs nobody. */
export const LISTING_STATES: readonly ListingState[] = ["rejected", "drifted", "pending", "sent", "live", "paused", "withdrawn"];
/** What can be sent again because something is wrong with it. */
export const BROKEN: readonly ListingState[] = ["rejected", "drifted"];
/** The groups in which connectors are offered. */
export const GROUPS: readonly Role[] = ["channel", "feed", "poster", "stage", "source"];

const LOOKS: Record<ListingState, Look> = {
  rejected: "bad",
  drifted: "warn",
  pending: "accent",
  sent: "",
  live: "good",
  paused: "",
  withdrawn: "",
};
const ICONS: Record<ListingState, IconName> = {
  rejected: "ban",
  drifted: "warn",
  pending: "clock",
  sent: "send",
  live: "check",
  paused: "pause",
  withdrawn: "minus",
};
const ROLE_ICONS: Record<Role, IconName> = { channel: "bag", feed: "code", poster: "megaphone", stage: "video", source: "truck", file_source: "truck" };

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function isListingState(text: string | null): text is ListingState {
  return LISTING_STATES.some((state) => state === text);
}

export function badgeClass(look: Look): string {
  return look ? `badge badge-${look}` : "badge";
}

export function listingBadge(state: ListingState, words: I18n, count = ""): TemplateResult {
  return html`<span class="${badgeClass(LOOKS[state])} badge-state" data-state=${state}>${icon(ICONS[state])}${words.t(`channels.state_${state}`)}${count ? html`<span class="badge-count">${count}</span>` : nothing}</span>`;
}

export function worst(listings: readonly Listing[]): ListingState | null {
  return LISTING_STATES.find((state) => listings.some((one) => one.state === state)) ?? null;
}

/** The role it is offered and shown under. */
export function mainRole(one: { readonly roles: readonly Role[] }): Role {
  return GROUPS.find((role) => one.roles.includes(role)) ?? "source";
}

export function roleIcon(one: { readonly roles: readonly Role[] }): TemplateResult {
  return icon(ROLE_ICONS[mainRole(one)]);
}

export function roleWords(one: { readonly roles: readonly Role[] }, words: I18n): string {
  return GROUPS.filter((role) => one.roles.includes(role))
    .map((role) => words.t(`channels.role_${role}`))
    .join(" · ");
}

/** Goods are listed there: it has a plan and a truth table. */
export function hasListings(one: { readonly roles: readonly Role[] }): boolean {
  return one.roles.includes("channel") || one.roles.includes("feed");
}

/** How long to wait before looking at these again: a run is watched, what is about to change is looked for. */
export function lookAgainMs(all: readonly Connection[]): number {
  if (all.some((one) => one.run?.state === "running")) return 1_000;
  const isChanging = (one: Connection): boolean => {
    if (one.state !== "active" || one.needs_authorisation || one.attention) return false;
    return (one.roles.includes("channel") && (one.listings["pending"] ?? 0) > 0) || (hasListings(one) && one.run === null);
  };
  return all.some(isChanging) ? 2_000 : 10_000;
}

export function connectionLook(one: Connection): { state: string; look: Look; icon: IconName } {
  if (one.is_leaving) return { state: "leaving", look: "warn", icon: "clock" };
  if (one.state === "paused") return { state: "paused", look: "", icon: "pause" };
  if (one.state === "removed") return { state: "removed", look: "", icon: "minus" };
  if (one.state === "attention") return { state: "attention", look: "bad", icon: "warn" };
  if (one.needs_authorisation) return { state: "unauthorised", look: "warn", icon: "key" };
  if (one.attention) return { state: "waiting", look: "warn", icon: "clock" };
  return { state: "active", look: "good", icon: "check" };
}

export function connectionBadge(one: Connection, words: I18n): TemplateResult {
  const look = connectionLook(one);
  return html`<span class="${badgeClass(look.look)} badge-state" data-testid="connection-state" data-state=${look.state}>${icon(look.icon)}${words.t(`channels.is_${look.state}`)}</span>`;
}

/** "3 minutes ago", "in 2 hours"; from a month on the day itself. */
export function agoWords(at: string, words: I18n, now = Date.now()): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  if (Math.abs(seconds) < 45) return words.t(seconds > 0 ? "channels.in_a_moment" : "channels.just_now");
  if (Math.abs(seconds) > 30 * 86_400) return words.date(at, { dateStyle: "medium" });
  const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? (["minute", 60] as const);
  return new Intl.RelativeTimeFormat(words.lang, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

/** The same, with the moment itself for whoever wants it exactly. */
export function ago(at: string, words: I18n): TemplateResult {
  return html`<time datetime=${at} title=${words.date(at, { dateStyle: "medium", timeStyle: "medium" })}>${agoWords(at, words)}</time>`;
}

/** "Sending: 40 of 120", or what came of the last work. */
export function runWords(run: Run, words: I18n): string {
  const kind = words.t(`channels.run_${run.kind}_${run.state}`);
  if (run.state === "running") {
    return run.total === null
      ? words.t("channels.run_so_far", { kind, done: run.done })
      : words.t("channels.run_of", { kind, done: run.done, total: run.total });
  }
  const counts = Object.entries(run.counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => (words.has(`channels.count_${name}`) ? words.t(`channels.count_${name}`, { count }) : `${name}: ${words.number(count)}`));
  return [kind, ...counts].join(" · ");
}

/** What it is for, in a line. */
export function aboutConnector(connector: Connector, words: I18n): string {
  const key = `channels.about_${connector.name}`;
  return words.has(key) ? words.t(key) : words.t(`channels.about_role_${mainRole(connector)}`);
}

/** A length of time a person can do something with: "40 seconds", "3 minutes", "2 hours". */
export function spanWords(seconds: number, words: I18n): string {
  const [unit, size] = seconds < 90 ? (["second", 1] as const) : seconds < 5_400 ? (["minute", 60] as const) : (["hour", 3_600] as const);
  return new Intl.NumberFormat(words.lang, { style: "unit", unit, unitDisplay: "long" }).format(Math.ceil(seconds / size));
}

/** The three pages of this place. */
export function channelTabs(current: "connections" | "listings" | "posts", words: I18n): TemplateResult {
  const tabs = [
    ["connections", "#/channels"],
    ["listings", "#/channels/listings"],
    ["posts", "#/posts"],
  ] as const;
  return html`<nav class="subnav" aria-label=${words.t("channels.pages")}>${tabs.map(
    ([name, hash]) => html`<a href=${hash} data-testid="tab-${name}" aria-current=${name === current ? "page" : nothing}>${words.t(`channels.tab_${name}`)}</a>`,
  )}</nav>`;
}
