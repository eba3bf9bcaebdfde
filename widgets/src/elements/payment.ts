// <ls-payment>: an order that waits for its payment. What the buyer has to do for it, and then its outcome.
// Closing it asks nothing and loses nothing: the order waits until its time is over.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import type { Order } from "../wire.gen";
import { isOpen, isWaiting } from "../state/payment";
import { clockText } from "../state/i18n";
import { StripeFields } from "../state/stripe";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { fieldsOf } from "./checkout-stripe";
import { Part, define } from "./part";
import { paymentStyles } from "./payment-styles";

type Phase = "loading" | "ready" | "confirming" | "checking";

/** Below this the time that is left is told. */
const HURRY_SECONDS = 300;

export class LsPayment extends Part {
  @property({ attribute: false }) order!: Order;
  /** Placed just now: the card is confirmed with what was typed in the checkout. */
  @property({ type: Boolean }) fresh = false;
  @state() private phase: Phase = "loading";
  @state() private problem = "";
  /** Nobody could be asked: the button asks again. */
  @state() private unheard = false;
  @query("dialog") private bank!: HTMLDialogElement | null;
  private begun = false;
  private fields: StripeFields | null = null;

  static override styles = [baseStyles, paymentStyles];

  private get isTest(): boolean {
    return this.order.payment.method === "sandbox";
  }

  /** The way back here after a bank's own page; what an earlier one left behind is gone. */
  private get returnUrl(): string {
    const url = new URL(location.href);
    url.searchParams.set("liveshop_order", this.order.id);
    return url.href;
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (this.begun) return;
    this.begun = true;
    void this.begin();
  }

  private async begin(): Promise<void> {
    if (!isWaiting(this.order)) return this.check();
    if (this.isTest) {
      this.phase = "ready";
      return this.askBank();
    }
    if (!this.session.shop) await this.session.loadShop();
    const options = { ...this.methodOptions, ...this.order.payment.client?.options };
    this.fields = fieldsOf(this.session, this);
    try {
      await this.fields.showForOrder(this.order, options);
    } catch {
      this.phase = "ready";
      this.unheard = true;
      this.problem = this.t("payment.fields_missing");
      return;
    }
    this.unheard = false;
    this.phase = "ready";
    if (this.fresh) await this.confirm();
  }

  private get methodOptions(): Record<string, string> {
    return this.session.shop?.payment_methods.find(({ id }) => id === this.order.payment.method)?.options ?? {};
  }

  private async askBank(): Promise<void> {
    await this.updateComplete;
    if (!this.bank || this.bank.open) return;
    this.bank.showModal();
    this.renderRoot.querySelector<HTMLElement>("dialog h3")?.focus();
  }

  private async pay(): Promise<void> {
    if (this.unheard) {
      this.problem = "";
      this.phase = "loading";
      return this.begin();
    }
    if (this.isTest) return this.askBank();
    return this.confirm();
  }

  private async confirm(): Promise<void> {
    const secret = this.order.payment.client?.secret;
    if (!this.fields || !secret) return;
    this.phase = "confirming";
    this.problem = "";
    const wrong = (await this.fields.submit()) ?? (await this.fields.confirm(secret, this.returnUrl));
    if (wrong && !wrong.final) {
      this.phase = "ready";
      this.problem = wrong.message || this.t("error.payment_declined");
      return;
    }
    await this.check();
  }

  private async answer(outcome: "succeed" | "fail"): Promise<void> {
    this.bank?.close();
    await this.check(() => this.session.payments.sandbox(this.order.id, outcome));
  }

  private async check(ask = () => this.session.payments.settled(this.order.id)): Promise<void> {
    this.phase = "checking";
    this.problem = "";
    this.unheard = false;
    try {
      this.conclude(await ask());
    } catch (error) {
      this.phase = "ready";
      this.unheard = true;
      this.problem = this.session.words(error);
    }
  }

  private conclude(order: Order): void {
    this.order = order;
    if (isWaiting(order)) {
      this.phase = "ready";
      this.problem = this.t("payment.not_confirmed");
      return;
    }
    this.leaveFields();
    // The sheet was closed meanwhile.
    if (!this.isConnected) return this.session.payments.concluded(order);
    if (order.state !== "payment_failed") return this.emit("go", { sheet: "done", order });
    void this.giveUp(`payment.${this.session.payments.lapseOf(order)}`);
  }

  /** The cart is back: on with it, and with the reason. */
  private async giveUp(reason: string): Promise<void> {
    await this.session.cart.load().catch(() => undefined);
    this.emit("go", { sheet: "checkout", problem: this.t(reason) });
  }

  private async cancel(): Promise<void> {
    if (this.phase === "checking") return;
    this.phase = "checking";
    try {
      const order = await this.session.payments.cancel(this.order.id);
      this.leaveFields();
      if (isOpen(order)) return await this.check();
      if (order.state === "confirmed") return this.emit("go", { sheet: "done", order });
      await this.session.cart.load().catch(() => undefined);
      this.emit("go", { sheet: "cart" });
    } catch (error) {
      this.phase = "ready";
      this.problem = this.session.words(error);
    }
  }

  private leaveFields(): void {
    this.fields?.remove();
  }

  private waiting(): TemplateResult {
    const checking = this.phase === "checking";
    return html`<div class="wait" role="status">
      <span class="spinner"></span><b>${this.t(checking ? "payment.checking" : "payment.loading")}</b>
      <p>${this.t(checking ? "payment.checking_hint" : "payment.loading_hint")}</p>
    </div>`;
  }

  /** 3-D Secure of the sandbox: what a bank would ask, over the page, while the show goes on. */
  private dialog(): TemplateResult {
    const { t } = this.session.i18n;
    return html`<dialog
      data-testid="bank"
      aria-labelledby="bank-title"
      @cancel=${(event: Event) => {
        event.preventDefault();
        this.bank?.close();
      }}
    >
      <div class="bank">
        <header>
          <h3 id="bank-title" tabindex="-1">${t("payment.bank")}</h3>
          <span class="badge badge-warn">TEST</span>
          <button class="icon-btn" data-testid="bank-close" aria-label=${t("close")} @click=${() => this.bank?.close()}>
            ${icon("close")}
          </button>
        </header>
        <p>${t("payment.bank_text")}</p>
        <dl>
          <dt>${t("payment.bank_shop")}</dt>
          <dd>${this.session.shop?.name ?? ""}</dd>
          <dt>${t("checkout.total")}</dt>
          <dd>${this.money(this.order.total)}</dd>
        </dl>
        <div class="answers">
          <button class="btn btn-outline" data-testid="bank-refuse" @click=${() => this.answer("fail")}>
            ${t("payment.bank_refuse")}
          </button>
          <button class="btn btn-primary" data-testid="bank-confirm" @click=${() => this.answer("succeed")}>
            ${t("payment.bank_confirm")}
          </button>
        </div>
      </div>
    </dialog>`;
  }

  private foot(): TemplateResult {
    const { t } = this.session.i18n;
    const busy = this.phase === "confirming";
    return html`<div slot="foot" class="foot">
      ${this.problem
        ? html`<div class="note note-bad" role="alert">${icon("warn")}<span>${this.problem}</span></div>`
        : nothing}
      <button class="btn btn-primary btn-wide" data-testid="pay" ?disabled=${busy} @click=${this.pay}>
        ${busy
          ? html`<span class="spinner"></span>${t("checkout.paying")}`
          : this.unheard
            ? t("payment.ask_again")
            : t("checkout.pay", { total: this.money(this.order.total) })}
      </button>
      <button class="btn btn-ghost btn-wide" data-testid="payment-cancel" ?disabled=${busy} @click=${this.cancel}>
        ${t("payment.cancel")}
      </button>
    </div>`;
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const asks = this.phase === "ready" || this.phase === "confirming";
    const left = this.secondsLeft(this.order.payment.expires_at);
    return html`<ls-sheet
        data-testid="payment-sheet"
        label=${t("payment.title")}
        .closeLabel=${t("close")}
        @ls-close=${() => this.emit("go", null)}
      >
        ${asks
          ? html`<p class="sum">
                <span>${t("payment.order", { number: this.order.number })}</span><b>${this.money(this.order.total)}</b>
              </p>
              ${left > 0 && left <= HURRY_SECONDS
                ? html`<p class="until">${t("payment.left", { time: clockText(left) })}</p>`
                : nothing}
              ${this.isTest ? html`<div class="wait">${icon("lock")}<p>${t("payment.bank_waits")}</p></div>` : nothing}`
          : this.waiting()}
        <div class="fields" ?hidden=${this.isTest || this.phase === "checking"}><slot></slot></div>
        ${asks ? this.foot() : nothing}
      </ls-sheet>
      ${this.isTest ? this.dialog() : nothing}`;
  }
}

define("ls-payment", LsPayment);

declare global {
  interface HTMLElementTagNameMap {
    "ls-payment": LsPayment;
  }
}
