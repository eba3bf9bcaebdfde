/** The form a connector asks for: what it wants to know is on the server, this draws it. */

import { html, nothing, type TemplateResult } from "lit";
import { inputField, selectField, whysOf, type Whys } from "../studio/fields";
import { ApiProblem } from "../state/api";
import type { App } from "../studio/view";
import type { ConfigField, Connector } from "../wire.gen";

type Value = string | boolean;

export interface ConfigDraft {
  title: string;
  language: string;
  /** By the field's name; what was not touched is not in here. */
  values: Readonly<Record<string, Value>>;
}

export interface FormParts {
  app: App;
  connector: Connector;
  draft: ConfigDraft;
  whys: Whys;
  disabled: boolean;
  /** What the server has: fields of it need not be typed again. */
  stored?: { config: Readonly<Record<string, unknown>>; secrets: readonly string[] };
  set(change: Partial<ConfigDraft>): void;
}

export function connectionFields(parts: FormParts): TemplateResult {
  const { app, connector, draft, disabled } = parts;
  const t = app.words.t;
  const needed = connector.fields.filter((field) => field.is_required);
  const others = connector.fields.filter((field) => !field.is_required);
  const isWrong = others.some((field) => parts.whys[field.name]);
  const title = inputField({ id: "connection-title", label: t("channels.title"), hint: t("channels.title_hint"), value: draft.title, max: 120, testid: "connection-title", why: parts.whys["title"], disabled, change: (value) => parts.set({ title: value }) });
  return html`${title}${needed.map((field) => configField(field, parts))}
    ${app.shop.languages.length > 1
      ? selectField({
          id: "connection-language",
          label: t("channels.language"),
          hint: t("channels.language_hint"),
          value: draft.language,
          testid: "connection-language",
          why: parts.whys["language"],
          disabled,
          change: (value) => parts.set({ language: value }),
          choices: app.shop.languages.map((value) => ({ value, label: languageName(value, app.words.lang) })),
        })
      : nothing}
    ${others.length > 0
      ? html`<details class="more" ?open=${isWrong}><summary>${t("channels.more_settings")}</summary><div class="stack">${others.map((field) => configField(field, parts))}</div></details>`
      : nothing}`;
}

function configField(field: ConfigField, parts: FormParts): TemplateResult {
  const { app, draft, stored, disabled } = parts;
  const t = app.words.t;
  const id = `field-${field.name}`;
  const common = { id, label: field.title, hint: field.description, testid: id, why: parts.whys[field.name], disabled };
  const value = draft.values[field.name] ?? stored?.config[field.name] ?? field.default ?? "";
  const change = (given: Value): void => parts.set({ values: { ...draft.values, [field.name]: given } });
  switch (field.kind) {
    case "switch":
      return html`<div class="field"><label class="check"><input type="checkbox" class="switch" role="switch" id=${id} data-testid=${id} .checked=${value === true} ?disabled=${disabled}
          aria-describedby=${field.description ? `${id}-hint` : nothing} @change=${(event: Event) => change((event.target as HTMLInputElement).checked)} /><span>${field.title}</span></label>
        ${field.description ? html`<p class="hint" id="${id}-hint">${field.description}</p>` : nothing}${common.why ? html`<p class="error">${common.why}</p>` : nothing}</div>`;
    case "choice":
      return selectField({ ...common, value: String(value), change, choices: (field.choices ?? []).map((one) => ({ value: one, label: one })) });
    case "secret": {
      const isSet = stored?.secrets.includes(field.name) ?? false;
      const hint = [field.description, isSet ? t("channels.secret_set") : ""].filter(Boolean).join(" ");
      return secretField({ ...common, hint, value: String(draft.values[field.name] ?? ""), placeholder: isSet ? "••••••••" : "", change });
    }
    case "number":
      return inputField({ ...common, value: String(value), mode: "numeric", change });
    default:
      return inputField({ ...common, value: String(value), change });
  }
}

interface Secret {
  id: string;
  label: string;
  hint: string;
  testid: string;
  why: string | undefined;
  disabled: boolean;
  value: string;
  placeholder: string;
  change(value: string): void;
}

/** Not shown while it is typed, and not offered to be kept as a password of this site. */
function secretField(field: Secret): TemplateResult {
  const by = [field.hint ? `${field.id}-hint` : "", field.why ? `${field.id}-why` : ""].filter(Boolean).join(" ");
  return html`<div class="field"><label for=${field.id}>${field.label}</label>
    <input class="input code" type="password" id=${field.id} data-testid=${field.testid} autocomplete="new-password" spellcheck="false" placeholder=${field.placeholder}
      .value=${field.value} ?disabled=${field.disabled} aria-invalid=${field.why ? "true" : nothing} aria-describedby=${by || nothing}
      @input=${(event: Event) => field.change((event.target as HTMLInputElement).value)} />
    ${field.hint ? html`<p class="hint" id="${field.id}-hint">${field.hint}</p>` : nothing}${field.why ? html`<p class="error" id="${field.id}-why">${field.why}</p>` : nothing}</div>`;
}

/** What was typed, as the server takes it. What was left empty and may be is not sent, unless it was there before. */
export function configOf(connector: Connector, draft: ConfigDraft, stored: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const field of connector.fields) {
    const value = draft.values[field.name];
    if (value === undefined) continue;
    if (typeof value === "boolean") config[field.name] = value;
    else if (value.trim() === "") {
      if (field.kind === "text" && stored[field.name] !== undefined) config[field.name] = "";
    } else config[field.name] = field.kind === "number" && Number.isFinite(Number(value)) ? Number(value) : value.trim();
  }
  return config;
}

/** What is still missing, by field. */
export function missingOf(connector: Connector, draft: ConfigDraft, app: App): Whys {
  const whys: Record<string, string> = {};
  if (!draft.title.trim()) whys["title"] = app.words.t("channels.title_missing");
  for (const field of connector.fields) {
    if (field.is_required && field.kind !== "switch" && !String(draft.values[field.name] ?? field.default ?? "").trim()) whys[field.name] = app.words.t("channels.field_missing");
  }
  return whys;
}

/** A refusal by the fields it names. */
export function configWhys(error: unknown, connector: Connector, app: App): Whys {
  const named = error instanceof ApiProblem ? error.data["fields"] : null;
  if (named && typeof named === "object") {
    const known = new Set(["title", "language", ...connector.fields.map(({ name }) => name)]);
    const whys: Record<string, string> = {};
    for (const [field, text] of Object.entries(named)) whys[known.has(field) ? field : ""] = String(text);
    return whys;
  }
  return whysOf(error, app.words, ["title", "language"]);
}

export function languageName(code: string, lang: string): string {
  const name = new Intl.DisplayNames([lang], { type: "language" }).of(code) ?? code;
  return name.charAt(0).toLocaleUpperCase(lang) + name.slice(1);
}
