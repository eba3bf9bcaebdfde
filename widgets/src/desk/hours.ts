/** Opening hours as people type them: spans a day, and days that differ. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import { icon } from "../studio/icons";
import type { Hours } from "../wire.gen";

export type Span = [string, string];

export interface HoursDraft {
  /** By ISO weekday, Monday first. */
  weekly: Record<string, Span[]>;
  exceptions: { date: string; spans: Span[] }[];
}

export const WEEKDAYS = ["1", "2", "3", "4", "5", "6", "7"] as const;
const USUAL: Span = ["10:00", "18:00"];

export function hoursDraft(hours: Hours | null): HoursDraft {
  return {
    weekly: Object.fromEntries(WEEKDAYS.map((day) => [day, [...(hours?.weekly[day] ?? [])]])),
    exceptions: Object.entries(hours?.exceptions ?? {}).sort(([a], [b]) => a.localeCompare(b)).map(([date, spans]) => ({ date, spans: [...spans] })),
  };
}

/** Null: none are kept, which is not the same as never open. */
export function hoursInput(draft: HoursDraft): Hours | null {
  const weekly = Object.fromEntries(Object.entries(draft.weekly).filter(([, spans]) => spans.length > 0));
  const exceptions = Object.fromEntries(draft.exceptions.map(({ date, spans }) => [date, spans]));
  return Object.keys(weekly).length + draft.exceptions.length > 0 ? { weekly, exceptions } : null;
}

/** What is wrong with one day's spans, in words. */
export function spansProblem(spans: readonly Span[], words: I18n): string {
  const ordered = spans.every(([from, until]) => from && until && from < closing(until));
  const apart = spans.every(([from], index) => index === 0 || closing(spans[index - 1]![1]) <= from);
  return ordered && apart ? "" : words.t("stores.wrong_span");
}

function closing(until: string): string {
  return until === "00:00" ? "24:00" : until;
}

export function hoursProblems(draft: HoursDraft, words: I18n): Record<string, string> {
  const whys: Record<string, string> = {};
  for (const day of WEEKDAYS) if (spansProblem(draft.weekly[day] ?? [], words)) whys[`day-${day}`] = spansProblem(draft.weekly[day] ?? [], words);
  const dates = new Set<string>();
  draft.exceptions.forEach(({ date, spans }, index) => {
    if (!date || dates.has(date)) whys[`exception-${index}`] = words.t("stores.wrong_date");
    else if (spansProblem(spans, words)) whys[`exception-${index}`] = spansProblem(spans, words);
    dates.add(date);
  });
  return whys;
}

export function dayName(day: string, words: I18n, style: "long" | "short" = "long"): string {
  // 1 January 2024 was a Monday.
  return words.date(new Date(Date.UTC(2024, 0, Number(day), 12)), { weekday: style, timeZone: "UTC" });
}

export function hoursFields(draft: HoursDraft, words: I18n, whys: Readonly<Record<string, string>>, set: (draft: HoursDraft) => void): TemplateResult {
  const { t } = words;
  const setDay = (day: string, spans: Span[]): void => set({ ...draft, weekly: { ...draft.weekly, [day]: spans } });
  const setException = (index: number, change: Partial<HoursDraft["exceptions"][number]>): void =>
    set({ ...draft, exceptions: draft.exceptions.map((one, at) => (at === index ? { ...one, ...change } : one)) });
  return html`<fieldset class="field hours"><legend>${t("stores.hours")}</legend>
      <ul class="hours-days">${WEEKDAYS.map((day) => {
        const name = dayName(day, words);
        return html`<li data-testid="day-${day}"><span class="hours-day">${name}</span>${spansOf(`day-${day}`, name, draft.weekly[day] ?? [], words, whys[`day-${day}`], (spans) => setDay(day, spans))}</li>`;
      })}</ul></fieldset>
    <fieldset class="field hours"><legend>${t("stores.exceptions")}</legend><p class="hint">${t("stores.exceptions_hint")}</p>
      <ul class="hours-days">${draft.exceptions.map(
        ({ date, spans }, index) => html`<li><span class="hours-date"><input class="input" type="date" aria-label=${t("stores.date")} .value=${date} aria-invalid=${whys[`exception-${index}`] ? "true" : nothing}
            @input=${(event: Event) => setException(index, { date: (event.target as HTMLInputElement).value })} />
          <button type="button" class="icon-btn" aria-label=${t("stores.remove_date", { date: date || String(index + 1) })} @click=${() => set({ ...draft, exceptions: draft.exceptions.filter((_, at) => at !== index) })}>${icon("trash")}</button></span>
          ${spansOf(`exception-${index}`, date || t("stores.date"), spans, words, whys[`exception-${index}`], (changed) => setException(index, { spans: changed }))}</li>`,
      )}</ul>
      <button type="button" class="btn btn-outline btn-small" data-testid="add-exception" @click=${() => set({ ...draft, exceptions: [...draft.exceptions, { date: "", spans: [] }] })}>${icon("plus")}${t("stores.add_date")}</button></fieldset>`;
}

function spansOf(id: string, name: string, spans: readonly Span[], words: I18n, why: string | undefined, set: (spans: Span[]) => void): TemplateResult {
  const { t } = words;
  const change = (index: number, at: 0 | 1, value: string): void => set(spans.map((span, each): Span => (each !== index ? span : at === 0 ? [value, span[1]] : [span[0], value])));
  const time = (index: number, at: 0 | 1): TemplateResult => html`<input class="input" type="time" aria-label="${name}, ${t(at === 0 ? "stores.opens" : "stores.closes")}" .value=${(spans[index]?.[at] ?? "").replace("24:00", "00:00")}
    aria-invalid=${why ? "true" : nothing} aria-describedby="${id}-why" @input=${(event: Event) => change(index, at, midnight((event.target as HTMLInputElement).value, at))} />`;
  return html`<div class="hours-spans">
    ${spans.length === 0 ? html`<span class="quiet">${t("stores.closed")}</span>` : nothing}
    ${spans.map(
      (_, index) => html`<span class="hours-span">${time(index, 0)}<span aria-hidden="true">–</span>${time(index, 1)}
        <button type="button" class="icon-btn" aria-label=${t("stores.remove_span", { day: name })} @click=${() => set(spans.filter((__, each) => each !== index))}>${icon("close")}</button></span>`,
    )}
    ${spans.length < 5
      ? html`<button type="button" class="link hours-add" data-testid="open-${id}" aria-label="${name}: ${t(spans.length === 0 ? "stores.open" : "stores.add_span")}" @click=${() => set([...spans, spans.length === 0 ? USUAL : ["", ""]])}>${t(spans.length === 0 ? "stores.open" : "stores.add_span")}</button>`
      : nothing}
    <p class="error" id="${id}-why">${why ?? ""}</p></div>`;
}

/** A day ends at 24:00, which a time field cannot say. */
function midnight(value: string, at: 0 | 1): string {
  return at === 1 && value === "00:00" ? "24:00" : value;
}

/** "Mon–Fri 10:00–18:00 · Sat 10:00–14:00" */
export function hoursLine(hours: Hours, words: I18n): string {
  const text = (day: string): string => (hours.weekly[day] ?? []).map(([from, until]) => `${from}–${until}`).join(", ");
  const runs: { from: string; to: string; text: string }[] = [];
  for (const day of WEEKDAYS) {
    const said = text(day);
    const run = runs.at(-1);
    if (run && run.text === said) run.to = day;
    else runs.push({ from: day, to: day, text: said });
  }
  const name = (day: string): string => dayName(day, words, "short");
  return runs
    .filter(({ text: said }) => said)
    .map(({ from, to, text: said }) => `${from === to ? name(from) : `${name(from)}–${name(to)}`} ${said}`)
    .join(" · ");
}
