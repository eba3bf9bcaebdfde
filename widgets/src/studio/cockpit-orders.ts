/** Orders of this show, the newest first. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Order } from "../wire.gen";
import { orderBadge } from "./order-words";
import { variantName } from "./product-words";
import { empty, failure, loadingRows, View } from "./view";

/** What one page of `GET /api/orders` holds; the true number stands among the live numbers. */
const ORDERS_LISTED = 30;

/** Fires "again" when the orders should be asked for once more. */
@customElement("studio-cockpit-orders")
export class CockpitOrders extends View {
  @property({ attribute: false }) orders: Order[] | null = null;
  @property() why = "";

  protected override render(): TemplateResult {
    const listed = this.orders?.length ?? 0;
    const count = listed < ORDERS_LISTED ? listed : `${listed}+`;
    return html`<header class="panel-head"><h2>${this.t("studio.orders")} ${count ? html`<span class="count">${count}</span>` : nothing}</h2></header>
      <div class="panel-body" tabindex="0" role="region" aria-label=${this.t("studio.orders")}>${this.list()}</div>`;
  }

  private list(): TemplateResult {
    if (!this.app.can("orders:read")) return empty(this.t("studio.orders_hidden"), this.t("studio.orders_hidden_hint"));
    if (this.why) return failure(this.why, this.t("studio.try_again"), () => this.dispatchEvent(new Event("again")));
    if (!this.orders) return loadingRows(this.t("studio.loading"));
    if (this.orders.length === 0) return empty(this.t("studio.orders_empty"), this.t("studio.orders_empty_hint"));
    return html`<ul class="rows">${repeat(this.orders, (order) => order.id, (order) => this.row(order))}</ul>`;
  }

  private row(order: Order): TemplateResult {
    return html`<li class="order" data-testid="order-row" data-order=${order.id}>
      <p class="order-head"><strong>${order.number}</strong> ${orderBadge(order, this.app.words)}<span class="order-total">${this.money(order.total)}</span></p>
      <p class="quiet">${order.address.name} · <time datetime=${order.placed_at}>${this.app.words.time(order.placed_at)}</time></p>
      <ul class="order-lines">${order.lines.map(
        (line) => html`<li><span>${line.quantity} × ${line.title}</span> <span class="quiet">${variantName(line.values)}</span></li>`,
      )}</ul>
    </li>`;
  }
}
