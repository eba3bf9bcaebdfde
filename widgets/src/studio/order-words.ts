/** Orders, their money, their way to the buyer and back, in words and colours. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import type { Fulfilment, Order, OrderState, PaymentState, PromiseOut, RefundOut, Return } from "../wire.gen";

export type FulfilmentState = Fulfilment["state"];

const ORDER_LOOKS: Record<OrderState, string> = {
  pending: "badge-warn",
  confirmed: "badge-good",
  payment_failed: "badge-sale",
  cancelled: "",
};

const PAYMENT_LOOKS: Record<PaymentState, string> = {
  pending: "badge-warn",
  action_required: "badge-warn",
  processing: "badge-warn",
  authorised: "badge-accent",
  paid: "badge-good",
  declined: "badge-sale",
  voided: "",
};

const FULFILMENT_LOOKS: Record<FulfilmentState, string> = {
  open: "badge-warn",
  shipped: "badge-accent",
  ready: "badge-accent",
  delivered: "badge-good",
  collected: "badge-good",
  released: "",
  cancelled: "",
};

const REFUND_LOOKS: Record<RefundOut["state"], string> = { due: "badge-warn", pending: "badge-accent", done: "badge-good", failed: "badge-sale" };
const RETURN_LOOKS: Record<Return["state"], string> = { requested: "badge-warn", received: "badge-good", refused: "badge-sale", withdrawn: "" };

/** From what waits longest for somebody to what waits for nobody. */
const WAITING: readonly FulfilmentState[] = ["open", "shipped", "ready", "delivered", "collected", "released", "cancelled"];

function badge(look: string, text: string, state: string): TemplateResult {
  return html`<span class="badge ${look}" data-state=${state}>${text}</span>`;
}

export function orderBadge(order: Pick<Order, "state">, words: I18n): TemplateResult {
  return badge(ORDER_LOOKS[order.state], words.t(`studio.order_${order.state}`), order.state);
}

/** Methods without a provider: staff says when the money is here. */
export const BY_HAND: readonly string[] = ["invoice", "at_pickup"];

/** What has come back counts more than that it once was paid. */
export function paymentBadge(order: Pick<Order, "payment">, words: I18n): TemplateResult {
  const { state, method, refunded, captured } = order.payment;
  if (refunded.amount > 0 && captured.amount > 0) {
    const name = refunded.amount >= captured.amount ? "refunded" : "part_refunded";
    return badge("", words.t(`studio.payment_${name}`), name);
  }
  if (state === "authorised" && BY_HAND.includes(method)) return badge("badge-warn", words.t("studio.payment_open"), state);
  return badge(PAYMENT_LOOKS[state], words.t(`studio.payment_${state}`), state);
}

export function fulfilmentBadge(state: FulfilmentState, words: I18n): TemplateResult {
  return badge(FULFILMENT_LOOKS[state], words.t(`orders.is_${state}`), state);
}

/** Each state once, what waits for somebody first. */
export function fulfilmentBadges(states: readonly FulfilmentState[], words: I18n): TemplateResult | typeof nothing {
  const present = WAITING.filter((state) => states.includes(state));
  return present.length > 0 ? html`${present.map((state) => fulfilmentBadge(state, words))}` : nothing;
}

export function refundBadge(state: RefundOut["state"], words: I18n): TemplateResult {
  return badge(REFUND_LOOKS[state], words.t(`orders.refund_${state}`), state);
}

export function returnBadge(state: Return["state"], words: I18n): TemplateResult {
  return badge(RETURN_LOOKS[state], words.t(`orders.return_${state}`), state);
}

export function whenWords(at: string, words: I18n): string {
  return words.date(at, { dateStyle: "medium", timeStyle: "short" });
}

export function dayWords(at: string, words: I18n): string {
  return words.date(at, { weekday: "short", day: "numeric", month: "short" });
}

/** "Tue, 24 Nov to Thu, 26 Nov", or the one day. */
export function promiseWords(promise: PromiseOut, words: I18n): string {
  const [from, until] = [dayWords(promise.from, words), dayWords(promise.until, words)];
  return from === until ? until : words.t("orders.days", { from, until });
}
