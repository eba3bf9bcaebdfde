/** What was chosen from a search, each with a way to take it out again. */

import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { I18n } from "../state/i18n";
import { icon } from "../studio/icons";
import { productFace, variantName } from "../studio/product-words";
import type { Chosen } from "./promotion-draft";

export function chosenList(chosen: readonly Chosen[], words: I18n, drop: ((id: string) => void) | null): TemplateResult {
  return html`<ul class="rows rows-tight">${repeat(chosen, ({ id }) => id, (one) => {
    const title = one.product ? [one.product.title, variantName(one.variant?.values ?? [])].filter(Boolean).join(", ") : one.id;
    return html`<li class="row" data-testid="chosen" data-id=${one.id}>
      <span class="row-main">${one.product ? productFace(one.product, one.variant, words) : html`<span class="row-text"><code>${one.id}</code><span class="quiet">${words.t("desk.gone_from_catalog")}</span></span>`}</span>
      ${drop ? html`<button type="button" class="icon-btn" aria-label=${words.t("studio.lineup_remove", { title })} @click=${() => drop(one.id)}>${icon("close")}</button>` : nothing}</li>`;
  })}</ul>`;
}
