// How a price is said: in force, struck, the lowest of 30 days in words, by quantity, and the offer it comes from.
// One way for cards, sheet and cart, so that no two of them can say different things.

import { css, html, nothing, type TemplateResult } from "lit";
import type { Money, PriceTier, Product, PromotionNote } from "../wire.gen";
import { clockText, type Params } from "../state/i18n";
import { announced, cheapest, textIn, type Announced } from "../state/price";
import type { Session } from "../state/session";
import { icon } from "./icon";

/** Who draws: its words, its money, and its sense of time. Every `Part` is one. */
export interface Speaker {
  readonly session: Session;
  t(key: string, params?: Params): string;
  money(money: Money): string;
  secondsLeft(until: string | null): number;
}

type Piece = TemplateResult | typeof nothing;

export const priceStyles = css`
  .offer {
    display: inline-flex;
    align-items: center;
    gap: 5px;
    padding: 3px 8px;
    border-radius: 6px;
    background: var(--ls-sale);
    color: #fff;
    font-size: var(--ls-text-xs);
    font-weight: 700;
    line-height: 1.3;
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .offer.ended {
    background: var(--ls-surface-3);
    color: var(--ls-ink-2);
  }
  .units-left {
    color: var(--ls-sale);
    font-size: var(--ls-text-sm);
    font-weight: 600;
    line-height: 1.35;
  }
  .lowest,
  .because {
    display: block;
    font-size: var(--ls-text-xs);
    line-height: 1.4;
    color: var(--ls-ink-3);
  }
  .because {
    color: var(--ls-sale);
    font-weight: 600;
  }
`;

/** The price, and what it was before. `from`: other variants cost more. */
export function priceOf(by: Speaker, told: Announced, from = false): TemplateResult {
  const amount = by.money(told.price);
  return html`<span class="price ${told.was ? "price-sale" : ""}" data-testid="price"
      >${from ? by.t("product.from", { price: amount }) : amount}</span
    >${struck(by, told.was)}`;
}

export function struck(by: Speaker, was: Money | null): Piece {
  return was
    ? html`<s class="price-was" data-testid="price-was"
        ><span class="sr-only">${by.t("product.before")} </span>${by.money(was)}</s
      >`
    : nothing;
}

export function lowestOf(by: Speaker, { lowest, was }: Announced): Piece {
  return lowest && was
    ? html`<span class="lowest" data-testid="lowest-price">${by.t("price.lowest", { price: by.money(lowest) })}</span>`
    : nothing;
}

/** What a product costs, for a card. Null: nothing is for sale. */
export function cardPrice(by: Speaker, product: Product): { price: TemplateResult; lowest: Piece; because: Piece } | null {
  const found = cheapest(product);
  if (!found) return null;
  const told = announced(found.variant);
  return { price: priceOf(by, told, found.varies), lowest: lowestOf(by, told), because: becauseOf(by, told.promotions) };
}

/** The names of the promotions in a price. An offer has its badge. */
export function becauseOf(by: Speaker, promotions: readonly PromotionNote[], offers = false): Piece {
  const names = promotions.filter((note) => offers || !note.is_offer).map((note) => textIn(note.texts, by.session.i18n.lang));
  const said = names.filter(Boolean).join(" · ");
  return said ? html`<span class="because" data-testid="promotion-name">${said}</span>` : nothing;
}

/** "Offer · 4:32". Once its time is over it says so, until the server has taken the price back. */
export function offerBadge(by: Speaker, offer: PromotionNote | null): Piece {
  if (!offer) return nothing;
  const left = by.secondsLeft(offer.ends_at);
  if (offer.ends_at && left === 0) {
    return html`<span class="offer ended" data-testid="offer-badge">${by.t("offer.over")}</span>`;
  }
  return html`<span class="offer" data-testid="offer-badge"
    >${by.t("offer")}${offer.ends_at
      ? html`<span role="timer" data-testid="offer-countdown" aria-label=${by.t("offer.ends_in", { time: clockText(left) })}
          >${clockText(left)}</span
        >`
      : nothing}</span
  >`;
}

export function unitsLeft(by: Speaker, offer: PromotionNote | null): Piece {
  if (offer?.units_left == null || (offer.ends_at && by.secondsLeft(offer.ends_at) === 0)) return nothing;
  return html`<span class="units-left" data-testid="units-left"
    >${offer.units_left > 0 ? by.t("offer.units_left", { count: offer.units_left }) : by.t("offer.used_up")}</span
  >`;
}

/** Prices by quantity, as a small table. */
export function tierTable(by: Speaker, tiers: readonly PriceTier[], price: Money): Piece {
  const cheaper = tiers.filter((tier) => tier.min_quantity > 1 && tier.price.amount < price.amount);
  if (cheaper.length === 0) return nothing;
  return html`<table class="tiers" data-testid="tiers">
    <caption>
      ${icon("tag")}${by.t("price.tiers")}
    </caption>
    <tbody>
      ${cheaper.map(
        (tier) => html`<tr>
          <th scope="row">${by.t("price.tier_from", { n: tier.min_quantity })}</th>
          <td>${by.t("price.each", { price: by.money(tier.price) })}</td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}
