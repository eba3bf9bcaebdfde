/** One order: what was sold, to whom, and what became of the money. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import "./order-exports";
import { icon } from "../studio/icons";
import { orderBadge, paymentBadge } from "../studio/order-words";
import { variantName } from "../studio/product-words";
import { LoadingView } from "../studio/view";
import type { Order, TaxLine } from "../wire.gen";

@customElement("desk-order")
export class OrderDetail extends LoadingView<Order> {
  @property() orderId = "";

  protected override fetch(): Promise<Order> {
    return this.app.api.get<Order>(`/api/orders/${encodeURIComponent(this.orderId)}`);
  }

  protected override ready(order: Order): TemplateResult {
    const { words } = this.app;
    const { address, payment } = order;
    const { currency } = order.total;
    const lines = { amount: order.lines.reduce((sum, line) => sum + line.total.amount, 0), currency };
    const discount = { amount: order.lines.reduce((sum, line) => sum + line.payable.amount, 0) - lines.amount, currency };
    return html`<article class="order-detail" data-testid="order-detail">
      <header class="page-bar"><a class="icon-btn only-narrow" href="#/orders" aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${order.number}</h1>${orderBadge(order, words)}</header>
      <p class="quiet"><time datetime=${order.placed_at}>${words.date(order.placed_at, { dateStyle: "full", timeStyle: "short" })}</time></p>
      ${this.fate(order)}
      <section class="card" aria-labelledby="lines-title"><h2 id="lines-title">${this.t("desk.order_lines")}</h2>
        <table class="table">
          <thead><tr><th scope="col">${this.t("desk.article")}</th><th scope="col" class="num">${this.t("desk.quantity")}</th>
            <th scope="col" class="num only-wide">${this.t("desk.unit_price")}</th><th scope="col" class="num">${this.t("desk.line_total")}</th></tr></thead>
          <tbody>${order.lines.map(
            (line) => html`<tr><th scope="row">${line.title}<span class="quiet">${[variantName(line.values), line.sku].filter(Boolean).join(" · ")}</span>
                ${line.payable.amount === line.total.amount ? nothing : html`<span class="quiet">${this.t("desk.payable", { amount: this.money(line.payable) })}</span>`}</th>
              <td class="num">${words.number(line.quantity)}</td><td class="num only-wide">${this.money(line.unit_price)}</td><td class="num">${this.money(line.total)}</td></tr>`,
          )}</tbody>
        </table>
        <dl class="sums">
          <div><dt>${this.t("desk.subtotal")}</dt><dd>${this.money(lines)}</dd></div>
          ${discount.amount === 0 ? nothing : html`<div><dt>${this.t("desk.order_discount")}</dt><dd>${this.money(discount)}</dd></div>`}
          <div><dt>${this.t("desk.shipping")}</dt><dd>${this.money(order.shipping)}</dd></div>
          ${order.taxes.filter((tax) => !tax.included).map((tax) => html`<div data-testid="tax-added"><dt>${this.tax(tax)}</dt><dd>${this.money(tax.amount)}</dd></div>`)}
          <div class="sums-total"><dt>${this.t("desk.total")}</dt><dd>${this.money(order.total)}</dd></div>
          ${order.taxes.filter((tax) => tax.included).map((tax) => html`<div class="quiet" data-testid="tax-included"><dt>${this.tax(tax)}</dt><dd>${this.money(tax.amount)}</dd></div>`)}
        </dl>
      </section>
      ${this.explanation(order)}
      <div class="pair">
        <section class="card" aria-labelledby="to-title"><h2 id="to-title">${this.t("desk.ship_to")}</h2>
          <address>${address.name}<br />${address.line1}<br />${address.line2 ? html`${address.line2}<br />` : nothing}${address.postal_code} ${address.city}<br />${words.country(address.country)}</address>
          <p><a class="link" href="mailto:${order.email}">${order.email}</a></p></section>
        <section class="card" aria-labelledby="payment-title"><h2 id="payment-title">${this.t("desk.payment")}</h2>
          <p>${this.t(`desk.method_${payment.method}`)} ${paymentBadge(order, words)}</p>
          ${payment.message ? html`<p class="note note-bad">${payment.message}</p>` : nothing}
          ${payment.reference ? html`<p class="quiet">${this.t("desk.reference")} <code>${payment.reference}</code></p>` : nothing}
          ${order.show_id ? html`<p><a class="link" href="/studio#/shows/${order.show_id}">${this.t("desk.from_show")}</a></p>` : nothing}</section>
      </div>
      <desk-order-exports .app=${this.app} .orderId=${order.id}></desk-order-exports>
    </article>`;
  }

  private tax(tax: TaxLine): string {
    const { words } = this.app;
    return this.t(tax.included ? "desk.tax" : "desk.tax_added", { rate: words.number(Number(tax.rate)), basis: this.money(tax.basis) });
  }

  /** An order that came to nothing says why, and what became of the money. */
  private fate(order: Order): TemplateResult | typeof nothing {
    const { state } = order.payment;
    if (state === "refund_due" || state === "refunded") {
      return html`<p class="note ${state === "refund_due" ? "note-warn" : ""}" data-testid="order-fate">${icon("info")}<span>${this.t(`desk.fate_${state}`)}</span></p>`;
    }
    return order.state === "cancelled" ? html`<p class="note" data-testid="order-fate">${icon("info")}<span>${this.t("desk.fate_cancelled")}</span></p>` : nothing;
  }

  /** As the buyer was told it. What is inside a price already adds nothing, and says no amount. */
  private explanation(order: Order): TemplateResult | typeof nothing {
    if (order.explanation.length === 0) return nothing;
    return html`<section class="card" aria-labelledby="why-title"><h2 id="why-title">${this.t("desk.explanation")}</h2>
      <ol class="steps" data-testid="explanation">${order.explanation.map(
        (step) => html`<li><span>${step.text}</span>${step.amount.amount === 0 ? nothing : html`<span class="num">${this.money(step.amount)}</span>`}</li>`,
      )}<li class="steps-total"><span>${this.t("desk.total")}</span><span class="num">${this.money(order.total)}</span></li></ol></section>`;
  }
}
