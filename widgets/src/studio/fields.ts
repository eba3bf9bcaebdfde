/** Form fields with their label, hint and error tied together, and what the server's errors say about them. */

import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { ApiProblem } from "../state/api";
import type { I18n } from "../state/i18n";
import { explain } from "./view";

export interface Field {
  /** Unique on the page. */
  id: string;
  label: string;
  value: string;
  change: (value: string) => void;
  hint?: string;
  /** What is wrong with it; empty or absent: nothing. */
  why?: string | undefined;
  testid?: string;
  /** Stands at the field's end: "€", "%", "min". */
  unit?: string;
  type?: "text" | "number" | "datetime-local" | "url";
  mode?: "text" | "numeric" | "decimal" | "url";
  max?: number;
  disabled?: boolean;
  placeholder?: string;
  /** Names what the field is for to those who cannot see its surroundings. */
  about?: string;
  list?: string;
}

function notes({ id, hint, why }: Pick<Field, "id" | "hint" | "why">): TemplateResult {
  return html`${hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : nothing}${why ? html`<p class="error" id="${id}-why">${why}</p>` : nothing}`;
}

function describedBy({ id, hint, why }: Pick<Field, "id" | "hint" | "why">): string | typeof nothing {
  return [hint ? `${id}-hint` : "", why ? `${id}-why` : ""].filter(Boolean).join(" ") || nothing;
}

function labelOf({ id, label, about }: Pick<Field, "id" | "label" | "about">): TemplateResult {
  return html`<label for=${id}>${label}${about ? html`<span class="sr-only"> ${about}</span>` : nothing}</label>`;
}

export function inputField(field: Field): TemplateResult {
  const input = html`<input class="input" id=${field.id} type=${field.type ?? "text"} autocomplete="off" inputmode=${field.mode ?? nothing}
    data-testid=${field.testid ?? nothing} maxlength=${field.max ?? nothing} placeholder=${field.placeholder ?? nothing} list=${field.list ?? nothing}
    .value=${field.value} ?disabled=${field.disabled} aria-invalid=${field.why ? "true" : nothing} aria-describedby=${describedBy(field)}
    @input=${(event: Event) => field.change((event.target as HTMLInputElement).value)} />`;
  return html`<div class="field">${labelOf(field)}
    ${field.unit ? html`<span class="with-unit">${input}<span class="unit" aria-hidden="true">${field.unit}</span></span>` : input}${notes(field)}</div>`;
}

export function areaField(field: Field & { rows: number }): TemplateResult {
  return html`<div class="field">${labelOf(field)}
    <textarea class="input" id=${field.id} rows=${field.rows} autocomplete="off" spellcheck="false" data-testid=${field.testid ?? nothing}
      maxlength=${field.max ?? nothing} .value=${field.value} ?disabled=${field.disabled} aria-invalid=${field.why ? "true" : nothing} aria-describedby=${describedBy(field)}
      @input=${(event: Event) => field.change((event.target as HTMLTextAreaElement).value)}></textarea>${notes(field)}</div>`;
}

export interface Choice {
  value: string;
  label: string;
  hint?: string;
}

export function selectField(field: Omit<Field, "type" | "mode" | "unit"> & { choices: Choice[] }): TemplateResult {
  return html`<div class="field">${labelOf(field)}
    <select class="input" id=${field.id} data-testid=${field.testid ?? nothing} ?disabled=${field.disabled} aria-invalid=${field.why ? "true" : nothing}
      aria-describedby=${describedBy(field)} @change=${(event: Event) => field.change((event.target as HTMLSelectElement).value)}>
      ${repeat(field.choices, ({ value }) => value, (choice) => html`<option value=${choice.value} ?selected=${choice.value === field.value}>${choice.label}</option>`)}
    </select>${notes(field)}</div>`;
}

/** One of a few, each with a line that explains it. `testid` is followed by the value: "kind-percent_off". */
export function radioField(field: Omit<Field, "type" | "mode" | "unit"> & { choices: Choice[]; inline?: boolean }): TemplateResult {
  return html`<fieldset class="field" id=${field.id} aria-describedby=${describedBy(field)}><legend>${field.label}</legend>
    <div class=${field.inline ? "checks" : "choices"}>${field.choices.map(
      (choice) => html`<label class="check ${choice.hint ? "check-block" : ""}"><input type="radio" name=${field.id} value=${choice.value} ?disabled=${field.disabled}
          data-testid=${field.testid ? `${field.testid}-${choice.value}` : nothing} .checked=${choice.value === field.value} @change=${() => field.change(choice.value)} />
        <span>${choice.label}${choice.hint ? html`<span class="quiet">${choice.hint}</span>` : nothing}</span></label>`,
    )}</div>${notes(field)}</fieldset>`;
}

/** What is wrong, by the field it is wrong with; under "" what belongs to none. */
export type Whys = Readonly<Record<string, string>>;

/** The first error of a field or of its parts; `names` are the server's names for it. */
export function whyFor(whys: Whys, ...names: string[]): string | undefined {
  for (const [field, text] of Object.entries(whys)) {
    if (names.some((name) => field === name || field.startsWith(`${name}.`))) return text;
  }
  return undefined;
}

/** A refusal by the field it names, in words. `known`: fields of this form; an error about any other stands alone. */
export function whysOf(error: unknown, words: I18n, known: readonly string[]): Whys {
  const text = explain(error, words);
  const named = error instanceof ApiProblem && typeof error.data["field"] === "string" ? error.data["field"] : "";
  const field = known.some((name) => named === name || named.startsWith(`${name}.`)) ? named : "";
  return { [field]: text };
}

/** Puts the reader where the first mistake is. */
export function focusFirstWrong(root: HTMLElement): void {
  root.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
