/** One order: what was sold, to whom, and what became of the money. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { orderBadge, paymentBadge } from "../studio/order-words";
import { variantName } from "../studio/product-words";
import { LoadingView } from "../studio/view";
import type { Order } from "../wire.gen";

@customElement("desk-order")
export class OrderDetail extends LoadingView<Order> {
  @property() orderId = "";

  protected override fetch(): Promise<Order> {
    return this.app.api.get<Order>(`/api/orders/${encodeURIComponent(this.orderId)}`);
  }

  protected override ready(order: Order): TemplateResult {
    const { words } = this.app;
    const { address, payment } = order;
    return html`<article class="order-detail" data-testid="order-detail">
      <header class="page-bar"><a class="icon-btn only-narrow" href="#/orders" aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${order.number}</h1>${orderBadge(order, words)}</header>
      <p class="quiet"><time datetime=${order.placed_at}>${words.date(order.placed_at, { dateStyle: "full", timeStyle: "short" })}</time></p>
      <section class="card" aria-labelledby="lines-title"><h2 id="lines-title">${this.t("desk.order_lines")}</h2>
        <table class="table">
          <thead><tr><th scope="col">${this.t("desk.article")}</th><th scope="col" class="num">${this.t("desk.quantity")}</th>
            <th scope="col" class="num only-wide">${this.t("desk.unit_price")}</th><th scope="col" class="num">${this.t("desk.line_total")}</th></tr></thead>
          <tbody>${order.lines.map(
            (line) => html`<tr><th scope="row">${line.title}<span class="quiet">${[variantName(line.values), line.sku].filter(Boolean).join(" · ")}</span></th>
              <td class="num">${words.number(line.quantity)}</td><td class="num only-wide">${this.money(line.unit_price)}</td><td class="num">${this.money(line.total)}</td></tr>`,
          )}</tbody>
        </table>
        <dl class="sums">
          <div><dt>${this.t("desk.subtotal")}</dt><dd>${this.money(order.subtotal)}</dd></div>
          <div><dt>${this.t("desk.shipping")}</dt><dd>${this.money(order.shipping)}</dd></div>
          <div class="sums-total"><dt>${this.t("desk.total")}</dt><dd>${this.money(order.total)}</dd></div>
          ${order.taxes.map(
            (tax) => html`<div class="quiet"><dt>${this.t("desk.tax", { rate: words.number(Number(tax.rate)), basis: this.money(tax.basis) })}</dt><dd>${this.money(tax.amount)}</dd></div>`,
          )}
        </dl>
      </section>
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
    </article>`;
  }
}
