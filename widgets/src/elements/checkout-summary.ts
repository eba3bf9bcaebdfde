// What the order comes to, and what of it is no longer as the screen said.

import { html, nothing, type TemplateResult } from "lit";
import type { DeliveryInput, Money, PromiseOut, Quote } from "../wire.gen";
import { promiseWords } from "../state/promise";
import { icon } from "../ui/icon";
import type { Speaker } from "../ui/price";
import { stepsTo } from "../ui/steps";

/** What the screen said before the server said otherwise. */
export interface Earlier {
  total: Money;
  promise: PromiseOut | null;
}

export function summary(quote: Quote, by: Speaker): TemplateResult {
  const { unheldKey } = by.session.cart;
  return html`${stepsTo(quote.total, quote.explanation, quote.taxes, by)} ${unused(quote, by)}
  ${unheldKey ? html`<p class="hint unused">${by.t(unheldKey)}</p>` : nothing}`;
}

/** The codes that take nothing off, and why: beside the sum, and beside a sum that has changed. */
function unused(quote: Quote, by: Speaker): TemplateResult | typeof nothing {
  const codes = quote.codes.filter(({ reason }) => reason !== null);
  if (codes.length === 0) return nothing;
  return html`<ul class="unused" data-testid="unused-codes">
    ${codes.map(({ code, reason }) => html`<li class="hint"><b>${code}</b>: ${by.t(`cart.code_reason.${reason!}`)}</li>`)}
  </ul>`;
}

function promised(promise: PromiseOut | null, delivery: DeliveryInput, by: Speaker): string {
  const { i18n, clock } = by.session;
  const words = promiseWords({ kind: delivery.kind ?? "ship", promise }, i18n, clock.now(), by.session.zoneOf(delivery.store_id));
  return words || by.t("delivery.no_promise");
}

/** The total, the day, or both; nothing was ordered. */
export function changed(quote: Quote, earlier: Earlier, delivery: DeliveryInput, by: Speaker): TemplateResult {
  const more = quote.total.amount - earlier.total.amount;
  const now = quote.delivery?.promise ?? null;
  return html`<div class="note note-warn" role="alert" data-testid="changed">
    ${icon("info")}<span
      >${more === 0
        ? nothing
        : by.t(more > 0 ? "checkout.price_up" : "checkout.price_down", {
            before: by.money(earlier.total),
            total: by.money(quote.total),
            difference: by.money({ amount: Math.abs(more), currency: quote.total.currency }),
          })}
      ${now?.until === earlier.promise?.until
        ? nothing
        : by.t("checkout.promise_changed", {
            before: promised(earlier.promise, delivery, by),
            now: promised(now, delivery, by),
          })}${unused(quote, by)}</span
    >
  </div>`;
}
