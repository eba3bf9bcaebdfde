// One line of the cart: what it is, what each unit costs and why, and whether it is held.

import { css, html, nothing, type TemplateResult } from "lit";
import type { CartLine, Discount, Money, PriceTier } from "../wire.gen";
import { clockText } from "../state/i18n";
import { announced, nextTier, textIn, tiersOf } from "../state/price";
import type { ForeignLine } from "../state/session";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import { lowestOf, struck, type Speaker } from "../ui/price";
import "./waiting";

/** A better price is mentioned when so few more units reach it. */
const MORE_AT_MOST = 3;

export interface Row {
  id: string;
  variantId: string;
  title: string;
  values: readonly string[];
  image: CartLine["image"];
  quantity: number;
  most: number;
  unit: Money;
  was: Money | null;
  lowest: TemplateResult | typeof nothing;
  tier: PriceTier | null;
  next: PriceTier | null;
  discounts: readonly Discount[];
  total: string;
  hold: CartLine["hold"] | "foreign";
  heldUntil: string | null;
  /** Not held, and nobody can have one now. */
  gone: boolean;
  /** The shop's own limit, where it is what stops the viewer. */
  limit: number | null;
}

export function rowOf(line: CartLine, by: Speaker): Row {
  const product = by.session.product(line.product_id);
  const variant = product?.variants.find((each) => each.id === line.variant_id);
  const told = variant && announced(variant);
  // `available` is what others may still take; what this line holds comes on top.
  const there = line.available + (line.hold === "held" ? line.quantity : 0);
  const most = Math.min(line.max_quantity, there);
  // Units may cost differently: past an offer's limit, or with one for free. Then each is said at what it costs
  // without them, and the discounts name their units.
  const alike = line.unit_price.amount * line.quantity === line.total.amount;
  const unit = alike ? line.unit_price : (line.tier?.price ?? line.list_price);
  const next = nextTier(variant ? tiersOf(variant) : [], line.quantity, line.unit_price);
  return {
    id: line.id,
    variantId: line.variant_id,
    title: line.title,
    values: line.values,
    image: line.image,
    quantity: line.quantity,
    most,
    unit,
    was: unit.amount < line.list_price.amount ? line.list_price : null,
    // The reduction of this line is the one the room announces only if the price is the same.
    lowest: alike && told?.price.amount === line.unit_price.amount ? lowestOf(by, told) : nothing,
    tier: line.tier,
    next: next && next.min_quantity <= most && next.min_quantity - line.quantity <= MORE_AT_MOST ? next : null,
    discounts: line.discounts,
    total: by.money(line.total),
    hold: line.hold,
    heldUntil: line.held_until,
    gone: there <= 0,
    limit: line.quantity >= line.max_quantity && line.max_quantity < there ? (product?.max_per_customer ?? null) : null,
  };
}

export function foreignRow({ product, variant, quantity }: ForeignLine, by: Speaker): Row {
  return {
    id: variant.id,
    variantId: variant.id,
    title: product.title,
    values: variant.values,
    image: product.images[variant.image_index ?? 0] ?? null,
    quantity,
    most: variant.available,
    unit: variant.price,
    was: null,
    lowest: nothing,
    tier: null,
    next: null,
    discounts: [],
    total: by.money({ ...variant.price, amount: variant.price.amount * quantity }),
    hold: "foreign",
    heldUntil: null,
    gone: false,
    limit: null,
  };
}

function prices(row: Row, by: Speaker): TemplateResult {
  const more = row.next ? row.next.min_quantity - row.quantity : 0;
  return html`${row.quantity > 1 || row.was || row.discounts.length > 0
      ? html`<p class="each" data-testid="unit-price">
          ${row.quantity} × ${by.money(row.unit)} ${struck(by, row.was)} ${row.tier
            ? html`<span class="tier" data-testid="tier">${by.t("price.tier_counts", { n: row.tier.min_quantity })}</span>`
            : nothing}
        </p>`
      : nothing}
    ${row.discounts.map(
      (each) => html`<p class="off" data-testid="line-discount">
        <span
          >${textIn(each.texts, by.session.i18n.lang)}${each.units < row.quantity
            ? ` (${by.t("price.units_of", { units: each.units, quantity: row.quantity })})`
            : nothing}</span
        ><span>${by.money(each.amount)}</span>
      </p>`,
    )}
    ${row.lowest}
    ${row.next
      ? html`<p class="values" data-testid="next-tier">
          ${by.t("price.next_tier", { count: more, price: by.money(row.next.price) })}
        </p>`
      : nothing}
    ${row.limit === null ? nothing : html`<p class="values">${by.t("product.most", { n: row.limit })}</p>`}`;
}

function held(row: Row, by: Speaker): TemplateResult | typeof nothing {
  if (row.hold === "foreign") return nothing;
  if (row.gone) {
    return html`<p class="held out">${by.t("product.sold_out")}</p>
      <ls-waiting class="waiting" .session=${by.session} .variantId=${row.variantId} @available=${() => by.session.cart.load()}></ls-waiting>`;
  }
  if (row.hold === "none") return html`<p class="held" data-testid="hold-none">${by.t("cart.first_paid")}</p>`;
  const left = row.hold === "held" ? by.secondsLeft(row.heldUntil) : 0;
  if (left > 0) {
    return html`<p class="held">${by.t("cart.held")} <span data-testid="hold-countdown">${clockText(left)}</span></p>`;
  }
  return html`<p class="held out">${by.t("cart.lapsed")}</p>`;
}

export function cartLine(row: Row, by: Speaker, busy: boolean, set: (quantity: number) => void): TemplateResult {
  const { t } = by.session.i18n;
  return html`<li data-testid="cart-line">
    <div class="shot">${picture(row.image, { sizes: "76px", alt: "" })}</div>
    <div>
      <p class="name"><b>${row.title}</b><span class="price">${row.total}</span></p>
      ${row.values.length > 0 ? html`<p class="values">${row.values.join(" · ")}</p>` : nothing} ${prices(row, by)}
      ${held(row, by)}
      <div class="row">
        <span class="step" role="group" aria-label=${t("cart.quantity_of", { title: row.title })}>
          <button
            class="icon-btn"
            aria-label=${t("cart.less")}
            ?disabled=${row.quantity <= 1 || busy}
            @click=${() => set(row.quantity - 1)}
          >
            ${icon("minus")}
          </button>
          <span>${row.quantity}</span>
          <button
            class="icon-btn"
            aria-label=${t("cart.more")}
            ?disabled=${row.quantity >= row.most || busy}
            @click=${() => set(row.quantity + 1)}
          >
            ${icon("plus")}
          </button>
        </span>
        <button class="icon-btn bin" aria-label=${t("cart.remove", { title: row.title })} ?disabled=${busy} @click=${() => set(0)}>
          ${icon("trash")}
        </button>
      </div>
    </div>
  </li>`;
}

export const lineStyles = css`
  .lines {
    padding: 4px 20px 16px;
  }
  .lines li {
    display: grid;
    grid-template-columns: 76px minmax(0, 1fr);
    gap: 14px;
    padding: 16px 0;
  }
  .lines li + li {
    border-top: 1px solid var(--ls-line);
  }
  .shot {
    width: 76px;
    height: 92px;
    border-radius: var(--ls-radius-md);
    overflow: hidden;
    background: var(--ls-surface-2);
  }
  .shot picture {
    display: contents;
  }
  .shot img {
    width: 100%;
    height: 100%;
    object-fit: cover;
  }
  .name {
    display: flex;
    gap: 12px;
    align-items: baseline;
  }
  .name b {
    flex: 1;
    font-size: var(--ls-text-md);
    font-weight: 600;
    line-height: 1.35;
  }
  .values,
  .each,
  .held {
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-3);
    margin-top: 2px;
  }
  .each {
    color: var(--ls-ink-2);
    font-variant-numeric: tabular-nums;
  }
  .tier {
    white-space: nowrap;
  }
  .tier::before {
    content: "· ";
  }
  .off {
    display: flex;
    justify-content: space-between;
    gap: 12px;
    margin-top: 2px;
    font-size: var(--ls-text-sm);
    color: var(--ls-sale);
    font-variant-numeric: tabular-nums;
  }
  .off span + span {
    white-space: nowrap;
  }
  .held.out {
    color: var(--ls-bad);
    font-weight: 600;
  }
  .waiting {
    margin-top: 8px;
  }
  .row {
    display: flex;
    align-items: center;
    justify-content: space-between;
    margin-top: 6px;
  }
  .step {
    display: inline-flex;
    align-items: center;
    border-radius: var(--ls-radius-full);
    box-shadow: inset 0 0 0 1px var(--ls-line-2);
  }
  .step span {
    min-width: 22px;
    text-align: center;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .bin {
    margin-right: -12px;
    color: var(--ls-ink-3);
  }
`;
