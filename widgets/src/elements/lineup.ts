// <ls-lineup>: everything the show presents, to shop at any time, also after it has ended.

import { html, css, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { Product } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import { cardPrice, offerBadge, priceStyles, unitsLeft } from "../ui/price";
import { offerIn } from "../state/price";
import { soldOut, totalAvailable } from "./choose";
import { Part, define } from "./part";

const FEW = 5;

export class LsLineup extends Part {
  static override styles = [
    baseStyles,
    priceStyles,
    css`
      :host {
        /* Hidden texts are positioned: they must scroll with the list instead of making the player higher. */
        position: relative;
        display: block;
        flex: 1;
        min-height: 0;
        overflow-y: auto;
        overscroll-behavior: contain;
        scrollbar-width: thin;
        scrollbar-color: var(--ls-line-2) transparent;
      }
      ul {
        padding: 6px 8px 12px;
      }
      button {
        display: grid;
        grid-template-columns: 72px minmax(0, 1fr) auto;
        gap: 14px;
        align-items: center;
        width: 100%;
        padding: 9px 12px;
        text-align: left;
        border-radius: 14px;
        transition: background-color var(--ls-fast);
      }
      button:hover {
        background: var(--ls-surface-2);
      }
      li.focus button {
        background: var(--ls-accent-soft);
      }
      .shot {
        width: 72px;
        height: 84px;
        border-radius: var(--ls-radius-md);
        overflow: hidden;
        background: var(--ls-surface-2);
        position: relative;
      }
      .shot picture {
        display: contents;
      }
      .shot img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      li.out .shot img {
        filter: saturate(0.25);
        opacity: 0.7;
      }
      .title {
        display: -webkit-box;
        -webkit-box-orient: vertical;
        -webkit-line-clamp: 2;
        overflow: hidden;
        font-size: var(--ls-text-md);
        font-weight: 600;
        line-height: 1.32;
      }
      .line {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 2px 8px;
        margin-top: 4px;
        font-size: var(--ls-text-md);
      }
      .line .price-was {
        font-size: var(--ls-text-sm);
      }
      .badges {
        display: flex;
        gap: 6px;
        flex-wrap: wrap;
        margin-top: 6px;
      }
      .badges:empty {
        display: none;
      }
      .go {
        color: var(--ls-ink-3);
        font-size: 15px;
      }
      .empty {
        padding: 48px 24px;
        text-align: center;
        color: var(--ls-ink-3);
        font-size: var(--ls-text-sm);
      }
    `,
  ];

  private one(product: Product): TemplateResult {
    const { t } = this.session.i18n;
    const shown = cardPrice(this, product);
    const offer = offerIn(product);
    const out = soldOut(product);
    const left = totalAvailable(product);
    const focus = product.id === this.session.pinned;
    return html`<li class="${focus ? "focus" : ""} ${out ? "out" : ""}">
      <button data-testid="lineup-product" @click=${() => this.emit("go", { sheet: "product", id: product.id })}>
        <span class="shot">${picture(product.images[0], { sizes: "72px", alt: "" })}</span>
        <span>
          <span class="title">${product.title}</span>
          ${shown ? html`<span class="line">${shown.price}</span>${shown.lowest}${shown.because}` : nothing}
          <span class="badges"
            >${focus ? html`<span class="badge badge-live">${t("product.in_focus")}</span>` : nothing}${offerBadge(this, offer)}${out
              ? html`<span class="badge">${t("product.sold_out")}</span>`
              : left <= FEW
                ? html`<span class="badge badge-warn">${t("product.left", { count: left })}</span>`
                : nothing}${unitsLeft(this, offer)}</span
          >
        </span>
        <span class="go">${icon("chevron")}</span>
      </button>
    </li>`;
  }

  protected override render(): TemplateResult {
    const products = this.session.room.state?.products ?? [];
    if (products.length === 0) return html`<p class="empty">${this.t("lineup.empty")}</p>`;
    return html`<ul>
      ${repeat(
        products,
        (product) => product.id,
        (product) => this.one(product),
      )}
    </ul>`;
  }
}

define("ls-lineup", LsLineup);

declare global {
  interface HTMLElementTagNameMap {
    "ls-lineup": LsLineup;
  }
}
