/** The parts of the promotion form, each for one question: what it takes off, for whom, on what, when, how often. */

import { html, nothing, type TemplateResult } from "lit";
import { currencySign } from "../studio/amounts";
import { areaField, inputField, radioField, selectField, whyFor, type Whys } from "../studio/fields";
import { languageName } from "../studio/kind-words";
import type { Found } from "../studio/product-search";
import "../studio/product-search";
import type { App } from "../studio/view";
import { localZone } from "../studio/zone";
import type { Show } from "../wire.gen";
import { chosenList } from "./chosen";
import { AUDIENCES, chosenOf, codesOf, isPerUnit, KINDS, RANGES, type PromotionDraft } from "./promotion-draft";

export interface Parts {
  app: App;
  draft: PromotionDraft;
  whys: Whys;
  disabled: boolean;
  shows: readonly Show[];
  categories: readonly string[];
  set: (change: Partial<PromotionDraft>) => void;
}

export function nameFields({ app, draft, whys, disabled, set }: Parts): TemplateResult {
  const { languages } = app.shop;
  return html`<div class="pair">${languages.map((language) =>
    inputField({
      id: `name-${language}`,
      label: app.words.t("desk.promotion_name", { language: languageName(language, app.words.lang) }),
      value: draft.texts[language] ?? "",
      max: 80,
      disabled,
      testid: `promotion-name-${language}`,
      why: whyFor(whys, `texts.${language}`) ?? (language === languages[0] ? whys["texts"] : undefined),
      change: (value) => set({ texts: { ...draft.texts, [language]: value } }),
    }),
  )}</div>`;
}

export function kindFields(parts: Parts): TemplateResult {
  const { app, draft, whys, disabled, set } = parts;
  const t = app.words.t;
  const general = whys["kind"];
  return html`${selectField({
      id: "promotion-kind",
      label: t("desk.kind"),
      value: draft.kind,
      disabled,
      testid: "promotion-kind",
      hint: t(`desk.kind_${draft.kind}_hint`),
      why: general,
      choices: KINDS.map((kind) => ({ value: kind, label: t(`studio.kind_${kind}`) })),
      change: (value) => set({ kind: value as PromotionDraft["kind"] }),
    })}
    <div class="pair">${valueFields(parts)}</div>`;
}

function valueFields({ app, draft, whys, disabled, set }: Parts): TemplateResult | TemplateResult[] {
  const { t, lang } = app.words;
  const value = (key: "percent" | "amount" | "price" | "from" | "buy" | "get" | "getOff", server: string, label: string, unit: string): TemplateResult =>
    inputField({
      id: `kind-${key}`,
      label: t(label),
      value: draft[key],
      mode: unit ? "decimal" : "numeric",
      max: 15,
      disabled,
      testid: `promotion-${key}`,
      ...(unit ? { unit } : {}),
      why: whyFor(whys, `kind.${server}`),
      change: (text) => set({ [key]: text }),
    });
  const sign = currencySign(app.shop.currency, lang);
  switch (draft.kind) {
    case "percent_off":
    case "order_percent_off":
      return value("percent", "permille", "studio.value_percent_off", "%");
    case "amount_off":
    case "order_amount_off":
      return value("amount", "amount", draft.kind === "amount_off" ? "studio.value_amount_off" : "desk.value_order_amount", sign);
    case "fixed_price":
      return value("price", "price", "studio.value_fixed_price", sign);
    case "buy_x_get_y":
      return [
        value("buy", "buy", "desk.value_buy", ""),
        value("get", "get", "desk.value_get", ""),
        value("getOff", "off_permille", "desk.value_get_off", "%"),
      ];
    case "free_shipping":
      return value("from", "from_goods", "desk.value_from", sign);
  }
}

export function audienceFields({ app, draft, whys, disabled, shows, set }: Parts): TemplateResult {
  const t = app.words.t;
  const codes = codesOf(draft).length;
  return html`${radioField({
      id: "audience",
      label: t("desk.audience"),
      value: draft.audience,
      disabled,
      inline: true,
      testid: "promotion-audience",
      why: whys["scope"],
      choices: AUDIENCES.map((audience) => ({ value: audience, label: t(`desk.audience_${audience}`) })),
      change: (value) => set({ audience: value as PromotionDraft["audience"] }),
    })}
    ${draft.audience === "show"
      ? selectField({
          id: "promotion-show",
          label: t("studio.show"),
          value: draft.showId,
          disabled,
          testid: "promotion-show",
          why: whyFor(whys, "scope.show_id", "show_id"),
          choices: [{ value: "", label: t("desk.choose_show") }, ...shows.map((show) => ({ value: show.id, label: show.title }))],
          change: (value) => set({ showId: value }),
        })
      : nothing}
    ${draft.audience === "segment"
      ? inputField({
          id: "promotion-segment",
          label: t("desk.segment"),
          value: draft.segment,
          max: 60,
          disabled,
          testid: "promotion-segment",
          hint: t("desk.segment_hint"),
          why: whyFor(whys, "scope.segment", "segment"),
          change: (value) => set({ segment: value }),
        })
      : nothing}
    ${areaField({
      id: "promotion-codes",
      label: t("desk.codes"),
      value: draft.codes,
      rows: 3,
      disabled,
      testid: "promotion-codes",
      hint: codes === 0 ? t("desk.codes_hint") : t("desk.codes_count", { count: codes }),
      why: whyFor(whys, "trigger", "codes", "code"),
      change: (value) => set({ codes: value }),
    })}`;
}

export function rangeFields({ app, draft, whys, disabled, categories, set }: Parts): TemplateResult {
  const t = app.words.t;
  if (!isPerUnit(draft.kind)) return html`<p class="hint">${t("desk.range_order")}</p>`;
  const why = whyFor(whys, "products", "product_ids", "variant_ids", "category");
  return html`${radioField({
      id: "range",
      label: t("desk.range"),
      value: draft.range,
      disabled,
      inline: true,
      testid: "promotion-range",
      ...(draft.range === "category" ? {} : { why }),
      choices: RANGES.map((range) => ({ value: range, label: t(`desk.range_${range}`) })),
      change: (value) => set({ range: value as PromotionDraft["range"] }),
    })}
    ${draft.range === "category"
      ? html`${inputField({
            id: "promotion-category",
            label: t("desk.category"),
            value: draft.category,
            max: 500,
            disabled,
            list: "categories",
            testid: "promotion-category",
            hint: t("desk.range_category_hint"),
            why,
            change: (value) => set({ category: value }),
          })}<datalist id="categories">${categories.map((category) => html`<option value=${category}></option>`)}</datalist>`
      : nothing}
    ${draft.range === "products" || draft.range === "variants" ? picker(draft.range, { app, draft, disabled, set }) : nothing}`;
}

function picker(range: "products" | "variants", { app, draft, disabled, set }: Pick<Parts, "app" | "draft" | "disabled" | "set">): TemplateResult {
  const t = app.words.t;
  const chosen = draft[range];
  const drop = (id: string): void => set({ [range]: chosen.filter((one) => one.id !== id) });
  const add = (found: Found): void => set({ [range]: [...chosen, chosenOf(found)] });
  return html`<div class="picker">
    <section aria-labelledby="picked-title"><h3 id="picked-title">${t("desk.chosen")} <span class="count">${chosen.length}</span></h3>
      ${chosen.length === 0 ? html`<p class="hint">${t("desk.chosen_none")}</p>` : nothing}${chosenList(chosen, app.words, disabled ? null : drop)}</section>
    ${disabled
      ? nothing
      : html`<section aria-labelledby="find-title"><h3 id="find-title">${t("studio.lineup_add")}</h3>
          <studio-product-search .app=${app} .of=${range} .without=${new Set(chosen.map(({ id }) => id))}
            @pick=${(event: CustomEvent<Found>) => add(event.detail)}></studio-product-search></section>`}
  </div>`;
}

export function periodFields({ app, draft, whys, disabled, set }: Parts): TemplateResult {
  const t = app.words.t;
  const moment = (key: "starts" | "ends"): TemplateResult =>
    inputField({
      id: `promotion-${key}`,
      label: t(`desk.${key}`),
      type: "datetime-local",
      value: draft[key],
      disabled,
      testid: `promotion-${key}`,
      hint: t(`desk.${key}_hint`),
      why: whyFor(whys, `period.${key}_at`, `${key}_at`) ?? (key === "ends" ? whys["period"] : undefined),
      change: (value) => set({ [key]: value }),
    });
  return html`<div class="pair">${moment("starts")}${moment("ends")}</div>
    <p class="hint">${t("desk.period_zone", { zone: localZone().replaceAll("_", " ") })}</p>`;
}

export function limitFields({ app, draft, whys, disabled, set }: Parts): TemplateResult {
  const t = app.words.t;
  const unit = isPerUnit(draft.kind) ? "units" : "orders";
  return html`<div class="pair">
    ${inputField({
      id: "limit-total",
      label: t("desk.limit_total"),
      value: draft.limitTotal,
      mode: "numeric",
      max: 7,
      disabled,
      testid: "promotion-limit-total",
      hint: t(`desk.limit_hint_${unit}`),
      why: whyFor(whys, "limit.total", "limit_total"),
      change: (value) => set({ limitTotal: value }),
    })}
    ${inputField({
      id: "limit-per-customer",
      label: t("desk.limit_per_customer"),
      value: draft.limitPerCustomer,
      mode: "numeric",
      max: 7,
      disabled,
      testid: "promotion-limit-per-customer",
      hint: t(`desk.limit_hint_${unit}`),
      why: whyFor(whys, "limit.per_customer", "limit_per_customer"),
      change: (value) => set({ limitPerCustomer: value }),
    })}</div>`;
}

export function moreFields({ app, draft, whys, disabled, set }: Parts): TemplateResult {
  const t = app.words.t;
  const wrong = whyFor(whys, "priority", "group", "stacking");
  const plain = draft.stacking === "exclusive" && draft.priority.trim() === "0" && draft.group.trim() === "";
  return html`<details class="more" ?open=${Boolean(wrong) || !plain}><summary data-testid="promotion-more">${t("desk.more_fields")}</summary>
    <div class="stack">${radioField({
        id: "stacking",
        label: t("desk.stacking"),
        value: draft.stacking,
        disabled,
        testid: "promotion-stacking",
        why: whys["stacking"],
        choices: (["exclusive", "stackable"] as const).map((value) => ({ value, label: t(`desk.stacking_${value}`), hint: t(`desk.stacking_${value}_hint`) })),
        change: (value) => set({ stacking: value as PromotionDraft["stacking"] }),
      })}
      <div class="pair">${inputField({
        id: "priority",
        label: t("desk.priority"),
        value: draft.priority,
        max: 5,
        disabled,
        testid: "promotion-priority",
        hint: t("desk.priority_hint"),
        why: whys["priority"],
        change: (value) => set({ priority: value }),
      })}${inputField({
        id: "group",
        label: t("desk.group"),
        value: draft.group,
        max: 60,
        disabled,
        testid: "promotion-group",
        hint: t("desk.group_hint"),
        why: whys["group"],
        change: (value) => set({ group: value }),
      })}</div></div></details>`;
}
