// The card of the product in focus, under the video.

import { html, nothing, type TemplateResult } from "lit";
import type { Product } from "../wire.gen";
import { offerIn } from "../state/price";
import { picture } from "../ui/picture";
import { cardPrice, offerBadge, unitsLeft, type Speaker } from "../ui/price";
import { soldOut, totalAvailable } from "./choose";

const FEW = 5;

export function pinnedCard(product: Product, by: Speaker, open: () => void): TemplateResult {
  const shown = cardPrice(by, product);
  const offer = offerIn(product);
  const out = soldOut(product);
  const left = totalAvailable(product);
  return html`<button class="card" data-testid="pinned-card" data-product=${product.id} @click=${open}>
    <span class="shot">${picture(product.images[0], { sizes: "96px", alt: "", eager: true })}</span>
    <span class="top"><span class="now">${by.t("product.in_focus")}</span>${offerBadge(by, offer)}</span>
    <span>
      <span class="name">${product.title}</span>
      ${shown
        ? html`<span class="money"
              >${shown.price}${!out && left <= FEW
                ? html`<span class="few">${by.t("product.left", { count: left })}</span>`
                : nothing}${unitsLeft(by, offer)}</span
            >${shown.because}`
        : nothing}
    </span>
    <span class="btn btn-primary cta">${out ? by.t("product.sold_out") : by.t("product.shop")}</span>
    ${shown?.lowest ?? nothing}
  </button>`;
}
