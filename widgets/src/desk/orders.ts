/** Orders beside the one that is open. On a phone the open one takes the whole screen. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { keyed } from "lit/directives/keyed.js";
import { icon } from "../studio/icons";
import { orderBadge } from "../studio/order-words";
import { empty, explain, LoadingView } from "../studio/view";
import type { Order } from "../wire.gen";
import "./order";

interface Page {
  orders: Order[];
  next: string | null;
}

@customElement("desk-orders")
export class Orders extends LoadingView<Page> {
  @property() orderId: string | null = null;
  @state() private more: "idle" | "busy" = "idle";
  @state() private moreWhy = "";

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.orders")} · ${this.app.shop.name}`;
  }

  protected override fetch(): Promise<Page> {
    return this.app.api.get<Page>("/api/orders");
  }

  private async loadMore(page: Page): Promise<void> {
    if (!page.next) return;
    this.more = "busy";
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<Page>(`/api/orders?cursor=${encodeURIComponent(page.next)}`);
      const known = new Set(page.orders.map((order) => order.id));
      this.replace({ orders: [...page.orders, ...rest.orders.filter((order) => !known.has(order.id))], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.more = "idle";
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="split ${this.orderId ? "split-open" : ""}">
      <div class="split-list">
        <div class="page-bar"><h1>${this.t("desk.orders")}</h1>
          <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
        ${super.render()}
      </div>
      <div class="split-detail">
        ${this.orderId
          ? keyed(this.orderId, html`<desk-order .app=${this.app} .orderId=${this.orderId}></desk-order>`)
          : html`<p class="split-hint">${icon("bag")}<span>${this.t("desk.orders_choose")}</span></p>`}
      </div>
    </div>`;
  }

  protected override ready(page: Page): TemplateResult {
    if (page.orders.length === 0) return empty(this.t("desk.orders_empty"), this.t("desk.orders_empty_hint"));
    return html`<ul class="rows">${page.orders.map((order) => this.row(order))}</ul>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next
        ? html`<button class="btn btn-wide" ?disabled=${this.more === "busy"} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>`
        : nothing}`;
  }

  private row(order: Order): TemplateResult {
    const pieces = order.lines.reduce((sum, line) => sum + line.quantity, 0);
    return html`<li class="row" data-testid="order-row" data-order=${order.id}>
      <a class="row-main" href="#/orders/${order.id}" aria-current=${order.id === this.orderId ? "true" : nothing}>
        <span class="row-text"><span class="row-title">${order.number} <span class="row-name">${order.address.name}</span></span>
          <span class="quiet"><time datetime=${order.placed_at}>${this.app.words.date(order.placed_at, { dateStyle: "medium", timeStyle: "short" })}</time> · ${this.t("desk.pieces", { count: pieces })}</span></span>
        <span class="row-end"><span class="row-sum">${this.money(order.total)}</span>${orderBadge(order, this.app.words)}</span>
      </a></li>`;
  }
}
