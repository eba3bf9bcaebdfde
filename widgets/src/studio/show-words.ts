/** A show's state and time in words. */

import { html, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import type { Show, ShowState } from "../wire.gen";
import { localZone } from "./zone";

export function stateBadge(state: ShowState, words: I18n): TemplateResult {
  const look = state === "live" ? "badge-live" : state === "rehearsal" ? "badge-warn" : state === "scheduled" ? "badge-accent" : "";
  return html`<span class="badge ${look}">${words.t(`page.state_${state}`)}</span>`;
}

/** The show's own time; its zone is named only where it is not the reader's. */
export function whenWords(show: Show, words: I18n): string {
  const at = show.started_at ?? show.starts_at;
  if (!at) return words.t("studio.no_time");
  const foreign = show.time_zone !== localZone();
  return words.date(at, {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "numeric",
    minute: "2-digit",
    timeZone: show.time_zone,
    ...(foreign ? { timeZoneName: "short" as const } : {}),
  });
}
