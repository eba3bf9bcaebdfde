// The ways in which a cart can reach its buyer: cards to choose from, or the chosen one in a line.

import { html, nothing, type TemplateResult } from "lit";
import type { DeliveryInput, DeliveryOption } from "../wire.gen";
import { hoursWords, promiseWords } from "../state/promise";
import { icon } from "../ui/icon";
import type { Speaker } from "../ui/price";

/** More stores than this are shown on demand. */
const STORES_SHOWN = 3;

export function isSame(option: DeliveryOption, wish: DeliveryInput | null): boolean {
  return !!wish && option.kind === (wish.kind ?? "ship") && (option.store_id ?? null) === (wish.store_id ?? null);
}

export function wishOf({ kind, store_id }: DeliveryOption): DeliveryInput {
  return { kind, store_id };
}

/** The first of the wishes that can be had, else the first option that can. */
export function firstOf(options: readonly DeliveryOption[], wishes: readonly (DeliveryInput | null)[]): DeliveryOption | null {
  const good = options.filter(({ problem }) => problem === null);
  for (const wish of wishes) {
    const found = good.find((option) => isSame(option, wish));
    if (found) return found;
  }
  return good[0] ?? null;
}

export function promiseOf(option: DeliveryOption, by: Speaker): string {
  const { session } = by;
  return promiseWords(option, session.i18n, session.clock.now(), option.time_zone ?? session.zoneOf(option.store_id));
}

export function titleOf(option: DeliveryOption, by: Speaker): string {
  return option.kind === "ship" ? by.t("delivery.ship") : by.t("delivery.pickup", { store: option.title });
}

export function priceOf(option: DeliveryOption, by: Speaker): string {
  if (!option.price) return "";
  return option.price.amount === 0 ? by.t("checkout.free") : by.money(option.price);
}

function details(option: DeliveryOption, by: Speaker): TemplateResult {
  if (option.problem !== null) return html`<small class="bad">${option.problem}</small>`;
  const promise = promiseOf(option, by);
  const hours = hoursWords(option.hours_today, by.session.i18n);
  const place = [option.address, hours].filter(Boolean).join(" · ");
  return html`${promise ? html`<small class="when">${promise}</small>` : nothing}
  ${place ? html`<small>${place}</small>` : nothing}
  ${option.here && option.here !== "all" ? html`<small>${by.t(`delivery.here.${option.here}`)}</small>` : nothing}`;
}

function card(option: DeliveryOption, on: boolean, by: Speaker, choose: (option: DeliveryOption) => void): TemplateResult {
  const off = option.problem !== null;
  return html`<div class="method ${on ? "on" : ""} ${off ? "off" : ""}">
    <label>
      <input
        type="radio"
        name="delivery"
        value=${option.store_id ?? option.kind}
        data-testid="delivery-${option.store_id ?? option.kind}"
        .checked=${on}
        ?disabled=${off}
        @change=${() => choose(option)}
      />
      ${icon(option.kind === "ship" ? "truck" : "store")}
      <span class="what"
        ><span class="head">${titleOf(option, by)}${off ? nothing : html`<b>${priceOf(option, by)}</b>`}</span>${details(option, by)}</span
      >
    </label>
  </div>`;
}

export interface DeliveryChoice {
  options: readonly DeliveryOption[];
  chosen: DeliveryInput;
  /** All stores, not only the first few. */
  all: boolean;
  choose: (option: DeliveryOption) => void;
  showAll: () => void;
}

export function deliveryCards({ options, chosen, all, choose, showAll }: DeliveryChoice, by: Speaker): TemplateResult {
  const stores = options.filter(({ kind }) => kind === "pickup");
  const first = new Set(
    [...stores]
      .sort((a, b) => Number(isSame(b, chosen)) - Number(isSame(a, chosen)) || Number(a.problem !== null) - Number(b.problem !== null))
      .slice(0, STORES_SHOWN),
  );
  const shown = options.filter((option) => all || option.kind === "ship" || first.has(option));
  return html`<div class="methods" role="radiogroup" aria-label=${by.t("delivery.title")} data-testid="delivery">
      ${shown.map((option) => card(option, isSame(option, chosen), by, choose))}
    </div>
    ${shown.length < options.length
      ? html`<button type="button" class="link more" @click=${showAll}>
          ${by.t("delivery.all_stores", { n: stores.length })}
        </button>`
      : nothing}`;
}

/** What was chosen, in one place of a compact checkout. */
export function deliveryLine(option: DeliveryOption, by: Speaker): TemplateResult {
  const promise = promiseOf(option, by);
  const price = priceOf(option, by);
  return html`<b>${titleOf(option, by)}${price ? ` · ${price}` : ""}</b>${promise ? html`<span>${promise}</span>` : nothing}`;
}
