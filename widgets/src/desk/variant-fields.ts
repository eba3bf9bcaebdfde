/** The part of the product form that is there once per variant: prices, tiers, weight, and the parts of a bundle. */

import { html, nothing, type TemplateResult } from "lit";
import { currencySign } from "../studio/amounts";
import { inputField, selectField, whyFor, type Field, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { stockWords, variantName } from "../studio/product-words";
import type { Found } from "../studio/product-search";
import "../studio/product-search";
import type { App } from "../studio/view";
import { TAX_CLASSES, type PartDraft, type TierDraft, type VariantDraft } from "./product-draft";

export interface VariantParts {
  app: App;
  draft: VariantDraft;
  index: number;
  whys: Whys;
  set: (change: Partial<VariantDraft>) => void;
}

export function variantFields(parts: VariantParts): TemplateResult {
  const { app, draft, index, whys } = parts;
  const t = app.words.t;
  const at = `variants.${index}`;
  const sign = currencySign(app.shop.currency, app.words.lang);
  const name = variantName(draft.values);
  const titleId = `variant-${index}-title`;
  const bundle = draft.parts.length > 0;
  const field = (key: "sku" | "gtin" | "listPrice" | "compareAt" | "weight", server: string, more: Partial<Field> = {}): TemplateResult =>
    inputField({
      id: `variant-${index}-${key}`,
      label: t(`desk.field_${server}`),
      about: name,
      value: draft[key],
      max: 100,
      testid: `variant-${server}`,
      why: whyFor(whys, `${at}.${server}`),
      change: (value) => parts.set({ [key]: value }),
      ...more,
    });
  return html`<section class="card" aria-labelledby=${titleId} data-testid="variant-form" data-variant=${draft.stored?.id ?? "new"}>
    <div class="stock-head"><h2 id=${titleId}>${name || t("desk.variant_only")}</h2>
      ${bundle ? html`<span class="badge badge-accent">${t("desk.bundle")}</span>` : nothing}
      ${bundle && draft.stored ? html`<span data-testid="bundle-available">${stockWords(draft.stored.available, app.words)}</span>` : nothing}</div>
    ${whys[at] ? html`<p class="error">${whys[at]}</p>` : nothing}
    <div class="pair">${field("listPrice", "list_price", { mode: "decimal", unit: sign, max: 15 })}
      ${field("compareAt", "compare_at", { mode: "decimal", unit: sign, max: 15, hint: t("desk.field_compare_at_hint") })}</div>
    <div class="pair">${field("sku", "sku")}${field("gtin", "gtin", { mode: "numeric", max: 20 })}</div>
    <div class="pair">${field("weight", "weight_grams", { mode: "numeric", unit: "g", max: 8, hint: t("desk.field_weight_hint") })}
      ${selectField({
        id: `variant-${index}-tax`,
        label: t("desk.field_tax_class"),
        about: name,
        value: draft.taxClass ?? "standard",
        testid: "variant-tax",
        choices: TAX_CLASSES.map((value) => ({ value, label: t(`desk.tax_${value}`) })),
        change: (value) => parts.set({ taxClass: value as VariantDraft["taxClass"] }),
      })}</div>
    ${tierFields(parts, at, sign, name)}${partFields(parts, at, name)}
  </section>`;
}

function tierFields({ app, draft, index, whys, set }: VariantParts, at: string, sign: string, name: string): TemplateResult {
  const t = app.words.t;
  const change = (place: number, tier: Partial<TierDraft>): void => set({ tiers: draft.tiers.map((old, i) => (i === place ? { ...old, ...tier } : old)) });
  const general = whys[`${at}.tiers`];
  return html`<fieldset class="field rows-field"><legend>${t("desk.tiers")}</legend>
    <p class="hint">${t("desk.tiers_hint")}</p>
    ${draft.tiers.map(
      (tier, place) => html`<div class="field-row" data-testid="tier-row">
        ${inputField({
          id: `tier-${index}-${place}-from`,
          label: t("desk.tier_from"),
          about: name,
          value: tier.from,
          mode: "numeric",
          max: 7,
          testid: "tier-from",
          unit: t("desk.pieces_unit"),
          why: whyFor(whys, `${at}.tiers.${place}.from`),
          change: (value) => change(place, { from: value }),
        })}
        ${inputField({
          id: `tier-${index}-${place}-price`,
          label: t("desk.tier_price"),
          about: name,
          value: tier.price,
          mode: "decimal",
          max: 15,
          testid: "tier-price",
          unit: sign,
          why: whyFor(whys, `${at}.tiers.${place}.price`),
          change: (value) => change(place, { price: value }),
        })}
        <button type="button" class="icon-btn" aria-label=${t("desk.tier_remove", { from: tier.from || "–" })} @click=${() => set({ tiers: draft.tiers.filter((_, i) => i !== place) })}>${icon("close")}</button>
      </div>`,
    )}
    ${general ? html`<p class="error">${general}</p>` : nothing}
    <button type="button" class="btn btn-outline btn-small" data-testid="add-tier" @click=${() => set({ tiers: [...draft.tiers, { from: "", price: "" }] })}>${icon("plus")}${t("desk.tier_add")}</button>
  </fieldset>`;
}

function partFields({ app, draft, index, whys, set }: VariantParts, at: string, name: string): TemplateResult {
  const t = app.words.t;
  const change = (place: number, quantity: string): void => set({ parts: draft.parts.map((old, i) => (i === place ? { ...old, quantity } : old)) });
  const add = ({ product, variant }: Found): void => {
    if (!variant) return;
    const part: PartDraft = { variant_id: variant.id, title: [product.title, variantName(variant.values)].filter(Boolean).join(", "), sku: variant.sku, quantity: "1" };
    set({ parts: [...draft.parts, part] });
  };
  const without = new Set([...draft.parts.map((part) => part.variant_id), ...(draft.stored ? [draft.stored.id] : [])]);
  const general = whys[`${at}.parts`];
  return html`<details class="more" ?open=${draft.parts.length > 0 || Boolean(general)}><summary data-testid="bundle-parts">${t("desk.parts")}</summary>
    <div class="stack"><p class="hint">${t("desk.parts_hint")}</p>
      ${draft.parts.map(
        (part, place) => html`<div class="field-row" data-testid="part-row" data-part=${part.variant_id}>
          <span class="row-text"><span class="row-title">${part.title}</span><span class="quiet"><code>${part.sku}</code></span></span>
          ${inputField({
            id: `part-${index}-${place}`,
            label: t("desk.part_quantity"),
            about: part.title,
            value: part.quantity,
            mode: "numeric",
            max: 3,
            testid: "part-quantity",
            why: whyFor(whys, `${at}.parts.${place}`),
            change: (value) => change(place, value),
          })}
          <button type="button" class="icon-btn" aria-label=${t("studio.lineup_remove", { title: part.title })} @click=${() => set({ parts: draft.parts.filter((_, i) => i !== place) })}>${icon("close")}</button>
        </div>`,
      )}
      ${general ? html`<p class="error">${general}</p>` : nothing}
      <div role="group" aria-label=${[t("desk.parts"), name].filter(Boolean).join(", ")}>
        <studio-product-search .app=${app} .of=${"variants"} .plain=${true} .without=${without} .label=${t("desk.part_search")}
          @pick=${(event: CustomEvent<Found>) => add(event.detail)}></studio-product-search></div>
    </div></details>`;
}
