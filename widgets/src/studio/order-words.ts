/** An order's and its payment's state in words. */

import { html, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import type { Order, OrderState, PaymentState } from "../wire.gen";

const ORDER_LOOKS: Record<OrderState, string> = {
  pending: "badge-warn",
  confirmed: "badge-good",
  payment_failed: "badge-sale",
  cancelled: "",
};

const PAYMENT_LOOKS: Record<PaymentState, string> = {
  pending: "badge-warn",
  paid: "badge-good",
  authorised: "badge-accent",
  declined: "badge-sale",
  refund_due: "badge-warn",
  refunded: "",
};

export function orderBadge(order: Order, words: I18n): TemplateResult {
  return html`<span class="badge ${ORDER_LOOKS[order.state]}">${words.t(`studio.order_${order.state}`)}</span>`;
}

export function paymentBadge(order: Order, words: I18n): TemplateResult {
  const { state } = order.payment;
  return html`<span class="badge ${PAYMENT_LOOKS[state]}">${words.t(`studio.payment_${state}`)}</span>`;
}
