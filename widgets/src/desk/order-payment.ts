/** The money of an order: where the payment stands, what went back, and what staff does about it by hand. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { BY_HAND, paymentBadge, refundBadge, whenWords } from "../studio/order-words";
import { View } from "../studio/view";
import type { MoneyOut, OrderProgress, RefundOut } from "../wire.gen";
import "./act-dialog";

/** Fires "changed" when the server did something. */
@customElement("desk-order-payment")
export class OrderPayment extends View {
  @property({ attribute: false }) progress!: OrderProgress;
  @state() private dialog: "refund" | "paid" | null = null;
  @state() private busy = "";

  private get refundable(): MoneyOut {
    const { captured, refunded } = this.progress.order.payment;
    return { amount: captured.amount - refunded.amount, currency: captured.currency };
  }

  private async refundDone(refund: RefundOut): Promise<void> {
    const yes = await this.app.ask({ title: this.t("orders.ask_refund_done"), text: this.t("orders.ask_refund_done_text", { amount: this.money(refund.amount) }), yes: this.t("orders.act_refund_done") });
    if (yes === null) return;
    this.busy = refund.id;
    try {
      await this.app.api.post(`/api/refunds/${encodeURIComponent(refund.id)}/done`);
      this.changed();
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = "";
    }
  }

  private changed(): void {
    this.dialog = null;
    this.app.toast(this.t("orders.done"), "good");
    this.dispatchEvent(new CustomEvent("changed"));
  }

  protected override render(): TemplateResult {
    const { order, refunds } = this.progress;
    const { payment } = order;
    const canAct = this.app.can("orders:write");
    const isToBePaid = payment.state === "authorised" && BY_HAND.includes(payment.method) && order.state === "confirmed";
    return html`<section class="card" aria-labelledby="payment-title" data-testid="payment"><h2 id="payment-title">${this.t("desk.payment")}</h2>
      <p class="payment-line"><span>${this.app.words.has(`desk.method_${payment.method}`) ? this.t(`desk.method_${payment.method}`) : payment.method}</span> ${paymentBadge(order, this.app.words)}</p>
      ${payment.problem ? html`<p class="note note-warn" data-testid="payment-problem">${icon("warn")}<span><strong>${this.t("orders.payment_problem")}</strong> ${payment.problem}</span></p>` : nothing}
      ${payment.dispute ? html`<p class="note note-bad" data-testid="payment-dispute">${icon("warn")}<span><strong>${this.t("orders.payment_dispute")}</strong> ${this.dispute(payment.dispute)}</span></p>` : nothing}
      ${payment.message ? html`<p class="note ${payment.state === "declined" ? "note-bad" : ""}">${icon("info")}<span>${payment.message}</span></p>` : nothing}
      <dl class="sums sums-wide">
        <div><dt>${this.t("orders.asked")}</dt><dd>${this.money(payment.amount)}</dd></div>
        ${payment.captured.amount > 0 ? html`<div><dt>${this.t("orders.captured")}</dt><dd data-testid="captured">${this.money(payment.captured)}</dd></div>` : nothing}
        ${payment.refunded.amount > 0
          ? html`<div><dt>${this.t("orders.refunded")}</dt><dd data-testid="refunded">${this.money({ ...payment.refunded, amount: -payment.refunded.amount })}</dd></div>
              <div class="sums-total"><dt>${this.t("orders.kept")}</dt><dd>${this.money(this.refundable)}</dd></div>`
          : nothing}
      </dl>
      ${payment.state === "authorised" && payment.capture === "later" && !BY_HAND.includes(payment.method) ? html`<p class="hint">${this.t("orders.capture_later")}</p>` : nothing}
      ${payment.reference ? html`<p class="quiet">${this.t("desk.reference")} <code>${payment.reference}</code></p>` : nothing}
      ${refunds.length > 0 ? html`<ul class="refunds">${refunds.map((refund) => this.refund(refund, canAct))}</ul>` : nothing}
      ${canAct && (isToBePaid || this.refundable.amount > 0)
        ? html`<div class="connection-acts">
            ${isToBePaid ? html`<button class="btn btn-primary" data-testid="mark-paid" @click=${() => (this.dialog = "paid")}>${icon("check")}${this.t("orders.act_paid")}</button>` : nothing}
            ${this.refundable.amount > 0 ? html`<button class="btn btn-outline" data-testid="refund" @click=${() => (this.dialog = "refund")}>${this.t("orders.act_refund")}</button>` : nothing}</div>`
        : nothing}
      ${this.asked()}
    </section>`;
  }

  /** The provider's word for where it stands, in ours where we know it. */
  private dispute(state: string): string {
    const key = `orders.dispute_${state}`;
    return this.app.words.has(key) ? this.t(key) : state;
  }

  private refund(refund: RefundOut, canAct: boolean): TemplateResult {
    return html`<li data-testid="refund-row" data-state=${refund.state}><p class="payment-line"><span><strong>${this.money(refund.amount)}</strong> ${this.t(`orders.cause_${refund.cause}`)}</span> ${refundBadge(refund.state, this.app.words)}</p>
      <p class="quiet"><time datetime=${refund.created_at}>${whenWords(refund.created_at, this.app.words)}</time>${refund.note ? html` · “${refund.note}”` : nothing}</p>
      ${refund.message ? html`<p class="note note-bad">${icon("warn")}<span>${refund.message}</span></p>` : nothing}
      ${refund.by_hand && refund.state !== "done"
        ? html`<p class="note note-warn">${icon("info")}<span>${this.t("orders.refund_by_hand")}</span></p>
            ${canAct ? html`<button class="btn btn-outline btn-small" data-testid="refund-done" ?disabled=${this.busy === refund.id} @click=${() => void this.refundDone(refund)}>${this.t("orders.act_refund_done")}</button>` : nothing}`
        : nothing}</li>`;
  }

  private asked(): TemplateResult | typeof nothing {
    const { order } = this.progress;
    const close = (): void => void (this.dialog = null);
    if (this.dialog === "refund") {
      return html`<desk-refund-dialog .app=${this.app} .orderId=${order.id} .refundable=${this.refundable} .label=${this.t("orders.refund_title", { number: order.number })}
        .yes=${this.t("orders.act_refund")} @ls-close=${close} @done=${() => this.changed()}></desk-refund-dialog>`;
    }
    if (this.dialog === "paid") {
      return html`<desk-note-dialog .app=${this.app} .path=${`/api/orders/${encodeURIComponent(order.id)}/paid`} .label=${this.t("orders.ask_paid", { amount: this.money(order.payment.amount) })}
        .text=${this.t("orders.ask_paid_text")} .yes=${this.t("orders.act_paid")} @ls-close=${close} @done=${() => this.changed()}></desk-note-dialog>`;
    }
    return nothing;
  }
}
