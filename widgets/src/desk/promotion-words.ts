/** A promotion's phase, period and reach in words. */

import { html, type TemplateResult } from "lit";
import { nameIn } from "../studio/kind-words";
import type { I18n } from "../state/i18n";
import type { Promotion, Show } from "../wire.gen";

const LOOKS: Record<Promotion["phase"], string> = {
  running: "badge-good",
  planned: "badge-accent",
  paused: "badge-warn",
  exhausted: "badge-sale",
  ended: "",
};

export function phaseBadge(promotion: Promotion, words: I18n): TemplateResult {
  return html`<span class="badge ${LOOKS[promotion.phase]}" data-testid="phase" data-phase=${promotion.phase}>${words.t(`desk.phase_${promotion.phase}`)}</span>`;
}

export function promotionName(promotion: Promotion, words: I18n): string {
  return nameIn(promotion.texts, words.lang) || promotion.id;
}

/** "everybody, with code WELCOME10" */
export function audienceWords(promotion: Promotion, shows: readonly Show[], words: I18n): string {
  const who =
    promotion.show_id !== null
      ? words.t("desk.for_show", { show: shows.find(({ id }) => id === promotion.show_id)?.title ?? promotion.show_id })
      : promotion.segment !== null
        ? words.t("desk.for_segment", { segment: promotion.segment })
        : words.t("desk.for_everybody");
  const [code] = promotion.codes;
  if (code === undefined) return who;
  return `${who}, ${promotion.codes.length === 1 ? words.t("desk.with_code", { code: code.toUpperCase() }) : words.t("desk.with_codes", { count: promotion.codes.length })}`;
}

export function rangeWords(promotion: Promotion, words: I18n): string {
  if (promotion.product_ids.length > 0) return words.t("desk.on_products", { count: promotion.product_ids.length });
  if (promotion.variant_ids.length > 0) return words.t("desk.on_variants", { count: promotion.variant_ids.length });
  if (promotion.category !== null) return promotion.category;
  return words.t("desk.on_all");
}

export function periodWords({ starts_at, ends_at }: Promotion, words: I18n): string {
  const at = (moment: string): string => words.date(moment, { dateStyle: "medium", timeStyle: "short" });
  if (starts_at && ends_at) return words.t("desk.period_both", { from: at(starts_at), to: at(ends_at) });
  if (starts_at) return words.t("desk.period_from", { from: at(starts_at) });
  if (ends_at) return words.t("desk.period_to", { to: at(ends_at) });
  return words.t("desk.period_open");
}

/** "12 of 100 used, 3 in carts" */
export function usedWords({ used, claimed, limit_total }: Promotion, words: I18n): string {
  const taken = limit_total === null ? words.t("desk.used", { used }) : words.t("desk.used_of", { used, limit: limit_total });
  return claimed > 0 ? `${taken}, ${words.t("desk.claimed", { claimed })}` : taken;
}
