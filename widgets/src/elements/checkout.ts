// <ls-checkout>: address, payment and one button with the exact total on it. What it says is what is paid, or nothing is.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { state } from "lit/decorators.js";
import type { Money, OrderInput, PaymentMethod, Quote } from "../wire.gen";
import { ApiProblem, storageOrNull } from "../state/api";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { stepStyles, stepsTo } from "../ui/steps";
import "./alerts";
import { AUTOCOMPLETE, FIELDS, wrongWith, type Field } from "./checkout-fields";
import { checkoutStyles } from "./checkout-styles";
import { Part, define } from "./part";

const TEST_CARD = "4242 4242 4242 4242";

export class LsCheckout extends Part {
  @state() private values: Record<Field, string> = { email: "", name: "", line1: "", line2: "", postal_code: "", city: "" };
  @state() private country = "";
  @state() private method: PaymentMethod | null = null;
  @state() private card = "";
  @state() private errors: Partial<Record<Field | "card", string>> = {};
  @state() private quote: Quote | null = null;
  @state() private changedFrom: Money | null = null;
  @state() private problem = "";
  @state() private busy = false;
  private quoting = 0;
  private readonly storage = storageOrNull(() => sessionStorage);

  static override styles = [
    baseStyles,
    stepStyles,
    checkoutStyles,
  ];

  private get formSlot(): string {
    return `liveshop:form:${new URL(this.session.base, location.href).host}`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.recall();
    if (!this.session.shop) void this.session.loadShop();
    this.session.track("checkout-start");
  }

  protected override willUpdate(_changed: PropertyValues<this>): void {
    const shop = this.session.shop;
    if (!shop) return;
    this.method ??= shop.payment_methods[0]?.id ?? null;
    if (shop.countries.some((c) => c.code === this.country)) return;
    const region = new Intl.Locale(navigator.language).maximize().region;
    this.country = (shop.countries.find((c) => c.code === region) ?? shop.countries[0])?.code ?? "";
    if (this.country) void this.requote();
  }

  protected override firstUpdated(): void {
    if (this.country && !this.quote) void this.requote();
  }

  /** What was typed survives a reload in this tab; card numbers are never kept. */
  private remember(): void {
    try {
      this.storage?.setItem(this.formSlot, JSON.stringify({ values: this.values, country: this.country }));
    } catch {
      // Then it has to be typed again.
    }
  }

  private recall(): void {
    try {
      const kept = JSON.parse(this.storage?.getItem(this.formSlot) ?? "null") as {
        values: Record<Field, string>;
        country: string;
      } | null;
      if (!kept) return;
      this.values = { ...this.values, ...kept.values };
      this.country = kept.country;
    } catch {
      // Written by an older version: start empty.
    }
  }

  private async requote(): Promise<void> {
    const turn = ++this.quoting;
    try {
      const quote = await this.session.cart.quote(this.country, this.session.language);
      if (turn === this.quoting) this.quote = quote;
    } catch (error) {
      if (turn === this.quoting) this.problem = this.session.words(error);
    }
  }

  private check(field: Field): string {
    const wrong = wrongWith(field, this.values[field].trim(), this.country);
    return wrong ? this.t(wrong) : "";
  }

  private checkCard(): string {
    if (this.method !== "sandbox") return "";
    return /^\d{12,19}$/.test(this.card.replace(/\s/g, "")) ? "" : this.t("checkout.bad.card");
  }

  private blurred(field: Field): void {
    if (this.values[field]) this.errors = { ...this.errors, [field]: this.check(field) };
    this.remember();
  }

  private typed(field: Field, event: Event): void {
    this.values = { ...this.values, [field]: (event.target as HTMLInputElement).value };
    if (this.errors[field]) this.errors = { ...this.errors, [field]: this.check(field) };
  }

  private typedCard(event: Event): void {
    const input = event.target as HTMLInputElement;
    this.card = input.value.replace(/\D/g, "").slice(0, 19).replace(/(.{4})(?=.)/g, "$1 ");
    input.value = this.card;
    if (this.errors.card) this.errors = { ...this.errors, card: this.checkCard() };
  }

  private async pay(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    const errors: Partial<Record<Field | "card", string>> = {};
    for (const field of FIELDS) {
      const error = this.check(field);
      if (error) errors[field] = error;
    }
    const cardError = this.checkCard();
    if (cardError) errors.card = cardError;
    this.errors = errors;
    if (Object.keys(errors).length > 0) {
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
      return;
    }
    if (!this.quote || !this.method) {
      void this.requote();
      return;
    }
    this.busy = true;
    this.problem = "";
    this.remember();
    try {
      const order = await this.session.cart.place(this.input(this.quote, this.method));
      if (order.payment.state === "declined") {
        this.problem = this.t("error.payment_declined");
        return;
      }
      this.session.cart.load().catch(() => undefined);
      this.emit("go", { sheet: "done", order });
    } catch (error) {
      await this.refused(error);
    } finally {
      this.busy = false;
    }
  }

  private input(quote: Quote, method: PaymentMethod): OrderInput {
    const text = (field: Field): string => this.values[field].trim();
    return {
      expected_total: quote.total,
      expected_lines: quote.lines.map(({ variant_id, quantity }) => ({ variant_id, quantity })),
      email: text("email"),
      address: {
        name: text("name"),
        line1: text("line1"),
        line2: text("line2") || null,
        postal_code: text("postal_code"),
        city: text("city"),
        country: this.country,
      },
      payment: method === "sandbox" ? { method, card_number: this.card.replace(/\s/g, "") } : { method },
      show_id: this.session.showId,
      language: this.session.language,
    };
  }

  private async refused(error: unknown): Promise<void> {
    if (error instanceof ApiProblem && error.code === "price_changed") {
      const before = this.quote?.total ?? null;
      this.quote = (error.data["quote"] as Quote | undefined) ?? this.quote;
      if (!error.data["quote"]) await this.requote();
      this.changedFrom = before;
      return;
    }
    this.problem = this.session.words(error);
    if (error instanceof ApiProblem && error.status === 409) {
      // Stock or holds moved: show what is true now.
      await this.session.cart.load().catch(() => undefined);
      void this.requote();
    }
  }

  private text(field: Field, type = "text", mode: string | typeof nothing = nothing): TemplateResult {
    const error = this.errors[field];
    const wide = field !== "postal_code" && field !== "city";
    return html`<div class="field ${wide ? "all" : ""}">
      <label for=${field}
        >${this.t(`checkout.${field}`)}${field === "line2" ? html` <span class="opt">${this.t("checkout.optional")}</span>` : nothing}</label
      >
      <input
        class="input"
        id=${field}
        name=${field}
        type=${type}
        inputmode=${mode}
        autocomplete=${AUTOCOMPLETE[field]}
        maxlength="200"
        aria-required=${field === "line2" ? nothing : "true"}
        aria-invalid=${error ? "true" : nothing}
        aria-describedby=${error ? `${field}-error` : nothing}
        .value=${this.values[field]}
        @input=${(event: Event) => this.typed(field, event)}
        @blur=${() => this.blurred(field)}
      />
      ${error ? html`<p class="error" id="${field}-error">${error}</p>` : nothing}
    </div>`;
  }

  private payment(id: PaymentMethod, test: boolean): TemplateResult {
    const { t } = this.session.i18n;
    const on = this.method === id;
    const error = this.errors.card;
    return html`<div class="method ${on ? "on" : ""}">
      <label>
        <input
          type="radio"
          name="method"
          value=${id}
          data-testid="method-${id}"
          .checked=${on}
          @change=${() => {
            this.method = id;
            this.errors = { ...this.errors, card: "" };
          }}
        />
        <span>${t(`checkout.method.${id}`)}<small>${t(`checkout.method.${id}_hint`)}</small></span>
        ${test ? html`<span class="badge badge-warn">TEST</span>` : nothing}
      </label>
      ${on && id === "sandbox"
        ? html`<div class="inside">
            <div class="field">
              <label for="card">${t("checkout.card")}</label>
              <input
                class="input"
                id="card"
                name="card"
                data-testid="card"
                inputmode="numeric"
                autocomplete="cc-number"
                placeholder="0000 0000 0000 0000"
                aria-invalid=${error ? "true" : nothing}
                aria-describedby=${error ? "card-error" : nothing}
                .value=${this.card}
                @input=${this.typedCard}
              />
              ${error ? html`<p class="error" id="card-error">${error}</p>` : nothing}
            </div>
            <p class="testrow">
              ${t("checkout.test_card")}
              <button
                type="button"
                class="link"
                data-testid="use-test-card"
                @click=${() => {
                  this.card = TEST_CARD;
                  this.errors = { ...this.errors, card: "" };
                }}
              >
                ${TEST_CARD}
              </button>
            </p>
          </div>`
        : nothing}
    </div>`;
  }

  private summary(quote: Quote): TemplateResult {
    const { t } = this.session.i18n;
    const { unheldKey } = this.session.cart;
    return html`${stepsTo(quote.total, quote.explanation, quote.taxes, this)}
    ${this.unused(quote)}
    ${unheldKey ? html`<p class="hint unused">${t(unheldKey)}</p>` : nothing}`;
  }

  /** The codes that take nothing off, and why: beside the sum, and beside a sum that has changed. */
  private unused(quote: Quote): TemplateResult | typeof nothing {
    const codes = quote.codes.filter(({ reason }) => reason !== null);
    if (codes.length === 0) return nothing;
    return html`<ul class="unused" data-testid="unused-codes">
      ${codes.map(({ code, reason }) => html`<li class="hint"><b>${code}</b>: ${this.t(`cart.code_reason.${reason!}`)}</li>`)}
    </ul>`;
  }

  private changed(quote: Quote, before: Money): TemplateResult {
    const more = quote.total.amount - before.amount;
    const difference = this.money({ amount: Math.abs(more), currency: quote.total.currency });
    return html`<div class="note note-warn" role="alert">
      ${icon("info")}<span
        >${this.t(more > 0 ? "checkout.price_up" : "checkout.price_down", {
          before: this.money(before),
          total: this.money(quote.total),
          difference,
        })}${this.unused(quote)}</span
      >
    </div>`;
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const shop = this.session.shop;
    const empty = this.session.cart.cart?.lines.length === 0;
    return html`<ls-sheet
      data-testid="checkout-sheet"
      label=${t("checkout.title")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      <ls-alerts slot="alert" .session=${this.session}></ls-alerts>
      <button slot="back" class="icon-btn" aria-label=${t("checkout.back")} @click=${() => this.emit("go", { sheet: "cart" })}>
        ${icon("back")}
      </button>
      <form id="order" novalidate @submit=${this.pay}>
        <section>
          <h3>${t("checkout.contact")}</h3>
          <div class="fields">${this.text("email", "email", "email")}</div>
        </section>
        <section>
          <h3>${t("checkout.address")}</h3>
          <div class="fields">
            ${this.text("name")} ${this.text("line1")} ${this.text("line2")}
            ${this.text("postal_code", "text", this.country === "GB" ? nothing : "numeric")} ${this.text("city")}
            <div class="field all">
              <label for="country">${t("checkout.country")}</label>
              <select
                class="input"
                id="country"
                name="country"
                autocomplete="shipping country"
                @change=${(event: Event) => {
                  this.country = (event.target as HTMLSelectElement).value;
                  this.changedFrom = null;
                  this.remember();
                  void this.requote();
                }}
              >
                ${(shop?.countries ?? []).map(
                  ({ code, shipping }) => html`<option value=${code} ?selected=${code === this.country}>
                    ${this.session.i18n.country(code)} (${shipping.amount === 0 ? t("checkout.free") : this.money(shipping)})
                  </option>`,
                )}
              </select>
            </div>
          </div>
        </section>
        <section>
          <h3>${t("checkout.payment")}</h3>
          <div class="methods" role="radiogroup" aria-label=${t("checkout.payment")}>
            ${(shop?.payment_methods ?? []).map(({ id, test }) => this.payment(id, test))}
          </div>
        </section>
        <section>
          <h3>${t("checkout.summary")}</h3>
          ${this.quote ? this.summary(this.quote) : html`<span class="spinner"></span>`}
        </section>
      </form>
      <div slot="foot" class="foot">
        ${this.quote && this.changedFrom ? this.changed(this.quote, this.changedFrom) : nothing}
        ${this.problem ? html`<div class="note note-bad" role="alert">${icon("warn")}<span>${this.problem}</span></div>` : nothing}
        <button
          class="btn btn-primary btn-wide"
          type="submit"
          form="order"
          data-testid="pay"
          ?disabled=${this.busy || !this.quote || empty}
        >
          ${this.busy
            ? html`<span class="spinner"></span>${t("checkout.paying")}`
            : this.quote
              ? t(this.method === "invoice" ? "checkout.order" : "checkout.pay", { total: this.money(this.quote.total) })
              : t("checkout.counting")}
        </button>
        <p class="safe">${icon("lock")}${t("checkout.safe", { shop: shop?.name ?? "" })}</p>
      </div>
    </ls-sheet>`;
  }
}

define("ls-checkout", LsCheckout);

declare global {
  interface HTMLElementTagNameMap {
    "ls-checkout": LsCheckout;
  }
}
