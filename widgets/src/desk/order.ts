/** One order: what was sold to whom, how it gets there, what became of the money, and all that happened. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import "./order-exports";
import { icon } from "../studio/icons";
import { orderBadge, promiseWords } from "../studio/order-words";
import { LoadingView } from "../studio/view";
import type { Feedback, Order, OrderProgress } from "../wire.gen";
import "./act-dialog";
import "./fulfilment-card";
import "./mails";
import { ordersHash } from "./order-filter";
import { history, lines } from "./order-parts";
import "./order-payment";
import "./return-card";

@customElement("desk-order")
export class OrderDetail extends LoadingView<OrderProgress> {
  @property() orderId = "";
  @state() private cancelling = false;

  private get path(): string {
    return `/api/orders/${encodeURIComponent(this.orderId)}`;
  }

  protected override async fetch(): Promise<OrderProgress> {
    const progress = await this.app.api.get<OrderProgress>(`${this.path}/progress`);
    document.title = `${progress.order.number} · ${this.app.shop.name}`;
    return progress;
  }

  private readonly changed = (): void => {
    this.cancelling = false;
    void this.load(true);
  };

  protected override ready(progress: OrderProgress): TemplateResult {
    const { order, fulfilments, returns } = progress;
    const { words } = this.app;
    const isStuck = order.state === "pending" && order.payment.problem !== null;
    const canCancel = !order.is_rehearsal && (order.state === "confirmed" || isStuck) && this.app.can("orders:write") && fulfilments.every(({ state }) => state === "open" || state === "ready");
    return html`<article class="order-detail" data-testid="order-detail" data-state=${order.state}>
      <header class="page-bar"><a class="icon-btn" href=${ordersHash()} aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${order.number}</h1>${orderBadge(order, words)}
        ${!order.is_rehearsal && (order.state === "confirmed" || order.state === "cancelled") ? html`<a class="btn btn-outline" href="${this.path}/invoice" target="_blank" rel="noopener" data-testid="invoice">${icon("external")}${order.invoice_number ?? this.t("orders.invoice")}</a>` : nothing}
        ${canCancel ? html`<button class="btn btn-outline" data-testid="cancel-order" @click=${() => (this.cancelling = true)}>${icon("close")}${this.t("orders.act_cancel")}</button>` : nothing}</header>
      <p class="quiet"><time datetime=${order.placed_at}>${words.date(order.placed_at, { dateStyle: "full", timeStyle: "short" })}</time>
        ${order.show_id ? html` · <a class="link" href="/studio#/shows/${order.show_id}">${this.t("desk.from_show")}</a>` : nothing}</p>
      ${order.is_rehearsal ? html`<p class="note note-warn" data-testid="order-fate">${icon("info")}<span>${this.t("orders.rehearsal")}</span></p>` : nothing}
      ${order.state === "cancelled" ? html`<p class="note" data-testid="order-fate">${icon("info")}<span>${this.t("desk.fate_cancelled")}</span></p>` : nothing}
      ${order.state === "payment_failed" ? html`<p class="note" data-testid="order-fate">${icon("info")}<span>${this.t("orders.fate_payment_failed")}</span></p>` : nothing}
      <div class="order-columns"><div class="order-main">
          ${fulfilments.length > 0
            ? html`<section class="stack" aria-labelledby="way-title"><h2 id="way-title" class="section-title">${this.t("orders.way")}</h2>
                ${repeat(fulfilments, ({ id }) => id, (one) => html`<desk-fulfilment .app=${this.app} .fulfilment=${one} @changed=${this.changed}></desk-fulfilment>`)}
                ${order.delivery === "pickup" && fulfilments.some(({ state }) => state === "ready") && this.app.can("orders:write")
                  ? html`<p class="note">${icon("info")}<span>${this.t("orders.hand_over_hint")} <a class="link" href="#/pickups">${this.t("orders.tab_pickups")}</a></span></p>`
                  : nothing}</section>`
            : nothing}
          ${returns.length > 0
            ? html`<section class="stack" aria-labelledby="returns-title"><h2 id="returns-title" class="section-title">${this.t("orders.tab_returns")}</h2>
                ${repeat(returns, ({ id }) => id, (one) => html`<desk-return .app=${this.app} .returned=${one} @changed=${this.changed}></desk-return>`)}</section>`
            : nothing}
          ${lines(order, words)}
          ${history(progress.events, words)}
        </div><div class="order-side">
          <desk-order-payment .app=${this.app} .progress=${progress} @changed=${this.changed}></desk-order-payment>
          ${this.recipient(progress)}
          ${this.comingBack(progress)}
          <desk-order-mails .app=${this.app} .orderId=${order.id}></desk-order-mails>
          <desk-order-exports .app=${this.app} .orderId=${order.id}></desk-order-exports>
          ${progress.feedback ? this.feedback(progress.feedback) : nothing}
        </div></div>
      ${this.cancelling ? this.cancelDialog(order) : nothing}
    </article>`;
  }

  private cancelDialog(order: Order): TemplateResult {
    const isPaid = order.payment.captured.amount > order.payment.refunded.amount;
    return html`<desk-note-dialog .app=${this.app} .path="${this.path}/cancel" .label=${this.t("orders.ask_cancel", { number: order.number })}
      .text=${this.t(isPaid ? "orders.ask_cancel_paid" : "orders.ask_cancel_text")} .yes=${this.t("orders.act_cancel")} danger
      @ls-close=${() => (this.cancelling = false)} @done=${this.changed}></desk-note-dialog>`;
  }

  private recipient({ order, store, status_url }: OrderProgress): TemplateResult {
    const { address } = order;
    const { words } = this.app;
    const isPickup = order.delivery === "pickup";
    return html`<section class="card" aria-labelledby="to-title" data-testid="recipient"><h2 id="to-title">${this.t(isPickup ? "orders.pickup" : "desk.ship_to")}</h2>
      ${isPickup ? html`<p><strong>${store ?? this.t("orders.store_unknown")}</strong></p>` : nothing}
      <address>${address.name}<br />${address.line1 ? html`${address.line1}<br />` : nothing}${address.line2 ? html`${address.line2}<br />` : nothing}${address.postal_code || address.city
        ? html`${address.postal_code} ${address.city}<br />`
        : nothing}${words.country(address.country)}</address>
      ${order.promise ? html`<p class="quiet">${this.t(isPickup ? "orders.promised_ready" : "orders.promised_there", { when: promiseWords(order.promise, words) })}</p>` : nothing}
      <p><a class="link" href="mailto:${order.email}">${order.email}</a></p>
      ${status_url ? html`<p><a class="link" href=${status_url} target="_blank" rel="noopener noreferrer" data-testid="status-page">${this.t("orders.status_page")}</a></p>` : nothing}</section>`;
  }

  private comingBack({ order, returnable, returnable_until }: OrderProgress): TemplateResult | typeof nothing {
    if (!this.app.can("orders:write") || !returnable.some(({ quantity }) => quantity > 0)) return nothing;
    return html`<section class="card" aria-labelledby="back-title"><h2 id="back-title">${this.t("orders.take_back")}</h2>
      ${returnable_until ? html`<p class="quiet">${this.t("orders.returnable_until", { when: this.app.words.date(returnable_until, { dateStyle: "long" }) })}</p>` : nothing}
      <a class="btn btn-outline" href="#/returns/new/${order.id}" data-testid="take-back">${icon("back")}${this.t("orders.act_take_back")}</a></section>`;
  }

  private feedback(given: Feedback): TemplateResult {
    return html`<section class="card" aria-labelledby="feedback-title" data-testid="feedback"><h2 id="feedback-title">${this.t("orders.feedback")}</h2>
      ${given.effort === null ? nothing : html`<p>${this.t("orders.effort", { value: given.effort })}</p>`}
      ${given.satisfaction === null ? nothing : html`<p>${this.t("orders.satisfaction", { value: given.satisfaction })}</p>`}
      ${given.comment ? html`<blockquote class="timeline-note">“${given.comment}”</blockquote>` : nothing}</section>`;
  }
}
