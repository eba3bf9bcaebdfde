/** What came back and in which state: per line how many are refunded, and how many of these can be sold again. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import { currencySign, parseCount, parseMoney } from "../studio/amounts";
import { areaField, inputField, selectField, whyFor, type Whys } from "../studio/fields";
import type { InspectionInput, Location, ReturnLine } from "../wire.gen";

export interface Inspection {
  locationId: string;
  /** As typed, by position. */
  accepted: Readonly<Record<number, string>>;
  restocked: Readonly<Record<number, string>>;
  refundShipping: boolean;
  deduction: string;
  note: string;
}

/** What is looked at: a line that came back, and how many of it. */
export type Returned = Pick<ReturnLine, "position" | "title" | "sku" | "quantity" | "reason" | "note">;

export const INSPECTION_FIELDS = ["location_id", "lines", "deduction", "note"] as const;
const UNSELLABLE: readonly Returned["reason"][] = ["damaged"];

/** All is accepted; what came back damaged is not sold again. */
export function freshInspection(lines: readonly Returned[], locationId: string): Inspection {
  return {
    locationId,
    accepted: Object.fromEntries(lines.map(({ position, quantity }) => [position, String(quantity)])),
    restocked: Object.fromEntries(lines.map(({ position, quantity, reason }) => [position, UNSELLABLE.includes(reason) ? "0" : String(quantity)])),
    refundShipping: false,
    deduction: "",
    note: "",
  };
}

function countOf(text: string | undefined, most: number): number | null {
  const count = parseCount(text ?? "");
  return count === null || count > most ? null : count;
}

export function inspectionProblems(draft: Inspection, lines: readonly Returned[], currency: string, words: I18n): Whys {
  const whys: Record<string, string> = {};
  if (!draft.locationId) whys["location_id"] = words.t("orders.wrong_location");
  for (const { position, quantity } of lines) {
    const accepted = countOf(draft.accepted[position], quantity);
    if (accepted === null) whys[`accepted.${position}`] = words.t("orders.wrong_count", { most: quantity });
    else if (countOf(draft.restocked[position], accepted) === null) whys[`restocked.${position}`] = words.t("orders.wrong_count", { most: accepted });
  }
  const hasDeduction = draft.deduction.trim() !== "";
  if (hasDeduction && parseMoney(draft.deduction, currency, words.lang) === null) whys["deduction"] = words.t("orders.wrong_amount");
  if (hasDeduction && !draft.note.trim()) whys["note"] = words.t("orders.wrong_deduction_note");
  return whys;
}

export function inspectionInput(draft: Inspection, lines: readonly Returned[], currency: string, words: I18n): InspectionInput {
  const deduction = parseMoney(draft.deduction, currency, words.lang);
  return {
    location_id: draft.locationId,
    lines: lines.map(({ position }) => ({ position, accepted: Number(draft.accepted[position]), restocked: Number(draft.restocked[position]) })),
    refund_shipping: draft.refundShipping,
    deduction: deduction && deduction.amount > 0 ? deduction : null,
    note: draft.note.trim() || null,
  };
}

export function inspectionFields(
  draft: Inspection,
  lines: readonly Returned[],
  locations: readonly Location[],
  currency: string,
  words: I18n,
  whys: Whys,
  set: (change: Partial<Inspection>) => void,
): TemplateResult {
  const { t } = words;
  const count = (line: Returned, name: "accepted" | "restocked"): TemplateResult =>
    inputField({
      id: `${name}-${line.position}`,
      label: t(`orders.${name}`),
      about: line.title,
      value: draft[name][line.position] ?? "",
      mode: "numeric",
      max: 4,
      testid: `${name}-${line.position}`,
      unit: t("orders.of", { count: line.quantity }),
      why: whyFor(whys, `${name}.${line.position}`),
      change: (value) => set({ [name]: { ...draft[name], [line.position]: value } }),
    });
  return html`${selectField({
      id: "inspection-location",
      label: t("orders.received_at"),
      value: draft.locationId,
      testid: "inspection-location",
      hint: t("orders.received_at_hint"),
      why: whyFor(whys, "location_id"),
      change: (value) => set({ locationId: value }),
      choices: [...(draft.locationId ? [] : [{ value: "", label: t("orders.choose") }]), ...locations.map(({ id, name }) => ({ value: id, label: name }))],
    })}
    <ul class="inspected">${lines.map(
      (line) => html`<li data-testid="inspected" data-position=${line.position}><p><strong>${line.title}</strong> <code>${line.sku}</code></p>
        <p class="quiet">${words.number(line.quantity)} × ${t(`orders.reason_${line.reason}`)}${line.note ? html` · “${line.note}”` : nothing}</p>
        <div class="pair pair-tight">${count(line, "accepted")}${count(line, "restocked")}</div></li>`,
    )}</ul>
    ${whyFor(whys, "lines") ? html`<p class="error">${whyFor(whys, "lines")}</p>` : nothing}
    <label class="check"><input type="checkbox" class="switch" role="switch" data-testid="refund-shipping" .checked=${draft.refundShipping}
      @change=${(event: Event) => set({ refundShipping: (event.target as HTMLInputElement).checked })} /><span>${t("orders.refund_shipping")}</span></label>
    ${inputField({
      id: "inspection-deduction",
      label: t("orders.deduction"),
      value: draft.deduction,
      mode: "decimal",
      max: 15,
      testid: "deduction",
      unit: currencySign(currency, words.lang),
      hint: t("orders.deduction_hint"),
      why: whyFor(whys, "deduction"),
      change: (value) => set({ deduction: value }),
    })}
    ${areaField({
      id: "inspection-note",
      label: t("orders.note_optional"),
      value: draft.note,
      rows: 2,
      max: 500,
      testid: "inspection-note",
      why: whyFor(whys, "note"),
      change: (value) => set({ note: value }),
    })}`;
}
