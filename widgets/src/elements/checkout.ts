// <ls-checkout>: delivery, address, payment and one button with the exact total on it. What it says is what is paid, or
// nothing is. Who was here before finds all of it filled in, in lines that can be changed.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { DeliveryInput, DeliveryOption, Order, OrderInput, PaymentMethodChoice, Quote } from "../wire.gen";
import { ApiProblem } from "../state/api";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { stepStyles } from "../ui/steps";
import "./alerts";
import { contactLine, contactSections, type ContactForm } from "./checkout-contact";
import { deliveryCards, deliveryLine, firstOf, isSame, wishOf } from "./checkout-delivery";
import { wrongWith, type Field } from "./checkout-fields";
import { addressOf, keepForm, recallForm, wrongOf, type Values } from "./checkout-form";
import { methodCards, takesTestCard } from "./checkout-method";
import { fieldsOf } from "./checkout-stripe";
import { checkoutStyles } from "./checkout-styles";
import { changed, summary, type Earlier } from "./checkout-summary";
import { goOf } from "./go";
import { Part, define } from "./part";

type Section = "contact" | "delivery" | "payment";
type Errors = Partial<Record<Field | "card", string>>;

export class LsCheckout extends Part {
  /** What went wrong before this sheet was opened, in words. */
  @property() problem = "";
  @state() values!: Values;
  @state() country = "";
  @state() private options: DeliveryOption[] | null = null;
  @state() private chosen: DeliveryInput = { kind: "ship", store_id: null };
  @state() private allStores = false;
  @state() private method: string | null = null;
  @state() private card = "";
  @state() private errors: Errors = {};
  @state() private quote: Quote | null = null;
  @state() private earlier: Earlier | null = null;
  @state() private fieldsError = "";
  @state() private busy = false;
  /** Sections of a known buyer that he wants to change. */
  @state() private opened: ReadonlySet<Section> = new Set();
  private known = false;
  private isPicked = false;
  private quoting = 0;
  private asking = 0;
  private shownFor = "";

  static override styles = [baseStyles, stepStyles, checkoutStyles];

  override connectedCallback(): void {
    super.connectedCallback();
    const { payments, store } = this.session;
    ({ values: this.values, country: this.country } = recallForm(this.session.base, payments.buyer));
    this.known = payments.isKnown;
    this.method = payments.buyer?.method ?? null;
    if (store) this.chosen = { kind: "pickup", store_id: store };
    else if (payments.buyer?.delivery) this.chosen = payments.buyer.delivery;
    if (!this.session.shop) void this.session.loadShop();
    this.session.track("checkout-start");
  }

  protected override willUpdate(_changed: PropertyValues<this>): void {
    const shop = this.session.shop;
    if (!shop) return;
    if (!shop.countries.some((c) => c.code === this.country)) this.country = this.session.country;
    const methods = this.methods();
    if (methods.length > 0 && !methods.some(({ id }) => id === this.method)) this.method = methods[0]!.id;
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (this.country && this.asking === 0) void this.ask();
    if (this.method === "stripe" && this.quote && this.quote.total.amount > 0) void this.showFields();
  }

  private get isPickup(): boolean {
    return this.chosen.kind === "pickup";
  }

  private get option(): DeliveryOption | undefined {
    return this.options?.find((option) => isSame(option, this.chosen));
  }

  /** Those that go with the chosen delivery. */
  private methods(): PaymentMethodChoice[] {
    const all = this.session.shop?.payment_methods ?? [];
    const { option } = this;
    if (option && option.problem === null) return all.filter(({ id }) => option.payment_methods.includes(id));
    return all.filter(({ deliveries }) => deliveries.includes(this.chosen.kind ?? "ship"));
  }

  private isCompact(section: Section): boolean {
    if (!this.known || this.opened.has(section)) return false;
    if (section === "payment") return !takesTestCard(this.method) && this.method !== "stripe";
    // Who collected last time has told no address yet.
    return section !== "contact" || Object.keys(wrongOf(this, this.isPickup)).length === 0;
  }

  private change(section: Section): void {
    this.opened = new Set([...this.opened, section]);
    void this.updateComplete.then(() =>
      this.renderRoot.querySelector<HTMLElement>(`#${section} :is(input:checked, input, select)`)?.focus(),
    );
  }

  private remember(): void {
    keepForm(this.session.base, { values: this.values, country: this.country });
  }

  /** Ways of delivery and the total, at once; again where the guess was wrong. */
  private async ask(): Promise<void> {
    const turn = ++this.asking;
    const quoted = this.requote();
    try {
      const { options } = await this.session.payments.options(this.country, this.session.language);
      if (turn !== this.asking) return;
      const { store, payments } = this.session;
      const found = firstOf(options, [
        this.isPicked ? this.chosen : null,
        store ? { kind: "pickup", store_id: store } : null,
        payments.buyer?.delivery ?? null,
        { kind: "ship", store_id: null },
      ]);
      await quoted;
      this.options = this.quote?.delivery ? withOption(options, this.quote.delivery) : options;
      if (found && !isSame(found, this.chosen)) {
        this.chosen = wishOf(found);
        this.problem = "";
        await this.requote();
      }
    } catch (error) {
      if (turn === this.asking) this.problem ||= this.session.words(error);
    }
  }

  private async requote(): Promise<void> {
    const turn = ++this.quoting;
    try {
      const quote = await this.session.cart.quote(this.country, this.session.language, this.chosen);
      if (turn === this.quoting) this.take(quote);
    } catch (error) {
      // With a store that cannot be chosen: the options say so, and another one is asked for.
      if (turn === this.quoting && (this.options || !this.isPickup)) this.problem = this.session.words(error);
    }
  }

  private take(quote: Quote): void {
    this.quote = quote;
    if (quote.delivery && this.options) this.options = withOption(this.options, quote.delivery);
  }

  private choose(option: DeliveryOption): void {
    this.chosen = wishOf(option);
    this.isPicked = true;
    this.earlier = null;
    this.problem = "";
    void this.requote();
  }

  private check(field: Field): string {
    const wrong = wrongWith(field, this.values[field].trim(), this.country);
    return wrong ? this.t(wrong) : "";
  }

  private checkCard(): string {
    if (!takesTestCard(this.method)) return "";
    return /^\d{12,19}$/.test(this.card.replace(/\s/g, "")) ? "" : this.t("checkout.bad.card");
  }

  private left(field: Field): void {
    if (this.values[field]) this.errors = { ...this.errors, [field]: this.check(field) };
    this.remember();
  }

  private typed(field: Field, text: string): void {
    this.values = { ...this.values, [field]: text };
    if (this.errors[field]) this.errors = { ...this.errors, [field]: this.check(field) };
  }

  private choosesCountry(code: string): void {
    this.country = code;
    this.earlier = null;
    this.remember();
    void this.ask();
  }

  private typedCard(text: string): void {
    this.card = text;
    if (this.errors.card) this.errors = { ...this.errors, card: this.checkCard() };
  }

  private choosesMethod(id: string): void {
    this.method = id;
    this.errors = { ...this.errors, card: "" };
  }

  /** Stripe's fields follow the total. */
  private async showFields(): Promise<void> {
    const { total } = this.quote!;
    const mark = `${total.amount} ${total.currency}`;
    if (this.shownFor === mark) return;
    this.shownFor = mark;
    const options = this.session.shop?.payment_methods.find(({ id }) => id === "stripe")?.options ?? {};
    try {
      await fieldsOf(this.session, this).showFor(total, options);
      this.fieldsError = "";
    } catch {
      this.fieldsError = this.t("payment.fields_missing");
    }
  }

  private mistakes(): Errors {
    const errors: Errors = {};
    const wrong = wrongOf(this, this.isPickup);
    for (const [field, key] of Object.entries(wrong)) errors[field as Field] = this.t(key);
    const card = this.checkCard();
    if (card) errors.card = card;
    return errors;
  }

  private async pay(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.errors = this.mistakes();
    if (Object.keys(this.errors).length > 0) {
      this.opened = new Set([...this.opened, "contact"]);
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
      const wrong = this.method === "stripe" ? await fieldsOf(this.session, this).submit() : null;
      if (wrong) this.problem = wrong.message;
      else this.placed(await this.session.cart.place(this.input(this.quote, this.method)));
    } catch (error) {
      await this.refused(error);
    } finally {
      this.busy = false;
    }
  }

  private placed(order: Order): void {
    this.session.payments.heard(order);
    if (order.payment.state === "declined") {
      this.problem = this.t("error.payment_declined");
      return;
    }
    this.session.cart.load().catch(() => undefined);
    this.emit("go", goOf(order, true));
  }

  private input(quote: Quote, method: string): OrderInput {
    return {
      expected_total: quote.total,
      expected_lines: quote.lines.map(({ variant_id, quantity }) => ({ variant_id, quantity })),
      email: this.values.email.trim(),
      address: addressOf(this.values, this.isPickup ? quote.country : this.country, this.isPickup),
      payment: takesTestCard(method) ? { method, card_number: this.card.replace(/\s/g, "") } : { method },
      show_id: this.session.showId,
      language: this.session.language,
      delivery: this.chosen,
      expected_until: this.option?.promise?.until ?? null,
    };
  }

  private async refused(error: unknown): Promise<void> {
    if (error instanceof ApiProblem && (error.code === "price_changed" || error.code === "promise_changed")) {
      const before = this.quote && { total: this.quote.total, promise: this.option?.promise ?? null };
      const quote = error.data["quote"] as Quote | undefined;
      if (quote) this.take(quote);
      else await this.requote();
      this.earlier = before;
      return;
    }
    this.problem = this.session.words(error);
    if (error instanceof ApiProblem && error.status === 409) {
      // Stock or holds moved, or another tab was first: show what is true now.
      this.session.payments.load().catch(() => undefined);
      await this.session.cart.load().catch(() => undefined);
      void this.ask();
    }
  }

  /** A section in a line, with a way to open it. */
  private line(section: Section, name: string, what: TemplateResult): TemplateResult {
    return html`<section id=${section} class="line" data-testid="line-${section}">
      <h3>${name}</h3>
      <p>${what}</p>
      <button
        type="button"
        class="link"
        data-testid="change-${section}"
        aria-label="${this.t("checkout.change")}: ${name}"
        @click=${() => this.change(section)}
      >
        ${this.t("checkout.change")}
      </button>
    </section>`;
  }

  private contact(): TemplateResult {
    const form: ContactForm = {
      values: this.values,
      country: this.country,
      errors: this.errors,
      isPickup: this.isPickup,
      type: (field, text) => this.typed(field, text),
      leave: (field) => this.left(field),
      chooseCountry: (code) => this.choosesCountry(code),
    };
    if (!this.isCompact("contact")) return contactSections(form, this);
    return this.line("contact", this.t(this.isPickup ? "checkout.contact" : "checkout.address"), contactLine(form, this));
  }

  private delivery(): TemplateResult | typeof nothing {
    const { options, option } = this;
    if (!options) return nothing;
    const title = this.t("delivery.title");
    if (option && option.problem === null && this.isCompact("delivery")) {
      return this.line("delivery", title, deliveryLine(option, this));
    }
    return html`<section id="delivery">
      <h3>${title}</h3>
      ${deliveryCards(
        {
          options,
          chosen: this.chosen,
          all: this.allStores,
          choose: (one) => this.choose(one),
          showAll: () => (this.allStores = true),
        },
        this,
      )}
    </section>`;
  }

  private payment(): TemplateResult {
    const title = this.t("checkout.payment");
    const methods = this.methods();
    if (this.isCompact("payment") && this.method) {
      return this.line("payment", title, html`<b>${this.t(`checkout.method.${this.method}`)}</b>`);
    }
    return html`<section id="payment">
      <h3>${title}</h3>
      ${methodCards(
        {
          methods: this.known && !this.opened.has("payment") ? methods.filter(({ id }) => id === this.method) : methods,
          chosen: this.method,
          card: this.card,
          cardError: this.errors.card ?? "",
          fieldsError: this.fieldsError,
          choose: (id) => this.choosesMethod(id),
          typeCard: (text) => this.typedCard(text),
          loadFields: () => {
            this.shownFor = "";
            void this.showFields();
          },
        },
        this,
      )}
      ${this.known && !this.opened.has("payment") && methods.length > 1
        ? html`<button type="button" class="link more" data-testid="change-payment" @click=${() => this.change("payment")}>
            ${this.t("checkout.other_method")}
          </button>`
        : nothing}
    </section>`;
  }

  /** What the button does, in its own words. */
  private buttonWords(): string {
    if (!this.quote) return this.t("checkout.counting");
    const total = this.money(this.quote.total);
    const later = this.method === "invoice" || this.method === "at_pickup";
    return this.t(later ? "checkout.order" : "checkout.pay", { total });
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const { shop } = this.session;
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
      <form id="order" class=${this.known ? "compact" : ""} novalidate @submit=${this.pay}>
        ${this.delivery()} ${this.contact()} ${this.payment()}
        <section>
          <h3>${t("checkout.summary")}</h3>
          ${this.quote ? summary(this.quote, this) : html`<span class="spinner"></span>`}
        </section>
      </form>
      <div slot="foot" class="foot">
        ${this.quote && this.earlier ? changed(this.quote, this.earlier, this.chosen, this) : nothing}
        ${this.problem ? html`<div class="note note-bad" role="alert">${icon("warn")}<span>${this.problem}</span></div>` : nothing}
        <button
          class="btn btn-primary btn-wide"
          type="submit"
          form="order"
          data-testid="pay"
          ?disabled=${this.busy || !this.quote || empty}
        >
          ${this.busy ? html`<span class="spinner"></span>${t("checkout.paying")}` : this.buttonWords()}
        </button>
        <p class="safe">${icon("lock")}${t("checkout.safe", { shop: shop?.name ?? "" })}</p>
      </div>
    </ls-sheet>`;
  }
}

/** The quote knows one way better than the list: it counts what is in the cart now. */
function withOption(options: readonly DeliveryOption[], better: DeliveryOption): DeliveryOption[] {
  return options.map((option) => (isSame(option, wishOf(better)) ? better : option));
}

define("ls-checkout", LsCheckout);

declare global {
  interface HTMLElementTagNameMap {
    "ls-checkout": LsCheckout;
  }
}
