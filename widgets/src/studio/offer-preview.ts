/** What viewers will see of an offer, drawn as the player draws it. */

import { html, nothing, type TemplateResult } from "lit";
import { clockText, type I18n } from "../state/i18n";
import { formatMoney, percentBadge } from "../state/money";
import { announced } from "../state/price";
import { picture } from "../ui/picture";
import type { OfferPreview, PriceWarning, PromotionNote, Variant } from "../wire.gen";
import { icon } from "./icons";
import { nameIn } from "./kind-words";
import { cheapest, priceBefore, priceWords, struck, variantName } from "./product-words";

export function warningList(warnings: readonly PriceWarning[]): TemplateResult | typeof nothing {
  if (warnings.length === 0) return nothing;
  return html`<ul class="warnings" data-testid="preview-warnings">${warnings.map(
    (warning) => html`<li class="note note-warn" data-code=${warning.code}>${icon("warn")}<span>${warning.text}</span></li>`,
  )}</ul>`;
}

/** The offer's own note on the cheapest variant it is for; null: it makes nothing cheaper. */
function offerNote(variants: readonly Variant[]): PromotionNote | null {
  return variants.flatMap((variant) => variant.promotions).find((note) => note.is_offer) ?? null;
}

/** `chosen`: the variants the offer is for; none means all. */
export function offerCard(preview: OfferPreview, chosen: readonly string[], seconds: number, words: I18n): TemplateResult {
  const { product, warnings } = preview;
  const { lang, t } = words;
  const meant = meantBy(preview, chosen);
  const low = cheapest(meant);
  const before = low && priceBefore(low);
  const off = low ? announced(low).percent : 0;
  const note = offerNote(meant);
  const name = note ? nameIn(note.texts, lang) : "";
  return html`<div class="preview-card" data-testid="offer-preview-card">
      <div class="preview-shot">${picture(product.images[low?.image_index ?? 0] ?? product.images[0], { sizes: "22rem", alt: "" })}
        ${off > 0 ? html`<span class="badge preview-off">${percentBadge(off, lang)}</span>` : nothing}</div>
      <div class="preview-about">
        ${name && name !== product.title ? html`<p class="preview-name">${name}</p>` : nothing}
        <p class="preview-title">${product.title}</p>
        <p class="preview-prices"><span class="price ${before ? "price-sale" : ""}" data-testid="preview-price">${priceWords({ variants: meant }, words)}</span>${struck(before, words)}</p>
        ${low?.lowest_30_days ? html`<p class="hint" data-testid="preview-lowest">${t("studio.lowest_30_days", { price: formatMoney(low.lowest_30_days, lang) })}</p>` : nothing}
        ${note
          ? html`<p class="preview-facts"><span data-testid="preview-ends">${icon("clock")}${t("studio.preview_ends_in", { time: clockText(seconds) })}</span>
              ${note.units_left === null ? nothing : html`<span data-testid="preview-units">${icon("bolt")}${t("studio.preview_units", { count: note.units_left })}</span>`}</p>`
          : nothing}
      </div>
    </div>
    ${product.variants.length > 1 ? variantTable(product.variants, words) : nothing}
    ${warningList(warnings)}`;
}

/** The price and the first warning in one line, for a phone, where the card lies below the fields. */
export function offerLine(preview: OfferPreview, chosen: readonly string[], words: I18n): TemplateResult | typeof nothing {
  const meant = meantBy(preview, chosen);
  const low = cheapest(meant);
  if (!low) return nothing;
  const [warning] = preview.warnings;
  return html`<p class="preview-line" aria-hidden="true"><span>${words.t("studio.offer_preview")}</span>
    <b><span class=${priceBefore(low) ? "price-sale" : ""}>${priceWords({ variants: meant }, words)}</span>${struck(priceBefore(low), words)}</b>
    ${warning ? html`<span class="preview-line-warning">${icon("warn")}${warning.text}</span>` : nothing}</p>`;
}

function meantBy({ product }: OfferPreview, chosen: readonly string[]): readonly Variant[] {
  return chosen.length > 0 ? product.variants.filter(({ id }) => chosen.includes(id)) : product.variants;
}

function variantTable(variants: readonly Variant[], words: I18n): TemplateResult {
  const { lang, t } = words;
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label=${t("studio.offer_variants")}><table class="table table-small">
    <thead><tr><th scope="col">${t("studio.variant")}</th><th scope="col" class="num">${t("studio.price")}</th><th scope="col" class="num">${t("studio.lowest_short")}</th></tr></thead>
    <tbody>${variants.map(
      (variant) => html`<tr data-variant=${variant.id}><th scope="row">${variantName(variant.values) || variant.sku}</th>
        <td class="num">${formatMoney(variant.price, lang)}${struck(priceBefore(variant), words)}</td>
        <td class="num">${variant.lowest_30_days ? formatMoney(variant.lowest_30_days, lang) : "–"}</td></tr>`,
    )}</tbody></table></div>`;
}
