// The ways to pay: cards to choose from, with what each of them has to be told.

import { html, nothing, type TemplateResult } from "lit";
import type { PaymentMethodChoice } from "../wire.gen";
import type { Speaker } from "../ui/price";

export const TEST_CARD = "4242 4242 4242 4242";

/** Whether it is paid with a card of ours that is none: in the sandbox, or in a rehearsal. */
export const takesTestCard = (method: string | null): boolean => method === "sandbox" || method === "rehearsal";

/** "4242 4242 4242 4242" as it is typed. */
export function spaced(typed: string): string {
  return typed.replace(/\D/g, "").slice(0, 19).replace(/(.{4})(?=.)/g, "$1 ");
}

export interface MethodChoice {
  methods: readonly PaymentMethodChoice[];
  chosen: string | null;
  card: string;
  cardError: string;
  /** Why Stripe's fields are not there. */
  fieldsError: string;
  choose: (id: string) => void;
  typeCard: (text: string) => void;
  loadFields: () => void;
}

function testCard({ card, cardError, typeCard }: MethodChoice, by: Speaker): TemplateResult {
  return html`<div class="inside">
    <div class="field">
      <label for="card">${by.t("checkout.card")}</label>
      <input
        class="input"
        id="card"
        name="card"
        data-testid="card"
        inputmode="numeric"
        autocomplete="cc-number"
        placeholder="0000 0000 0000 0000"
        aria-invalid=${cardError ? "true" : nothing}
        aria-describedby=${cardError ? "card-error" : nothing}
        .value=${card}
        @input=${(event: Event) => {
          const input = event.target as HTMLInputElement;
          input.value = spaced(input.value);
          typeCard(input.value);
        }}
      />
      ${cardError ? html`<p class="error" id="card-error">${cardError}</p>` : nothing}
    </div>
    <p class="testrow">
      ${by.t("checkout.test_card")}
      <button type="button" class="link" data-testid="use-test-card" @click=${() => typeCard(TEST_CARD)}>${TEST_CARD}</button>
    </p>
  </div>`;
}

function stripeFields({ fieldsError, loadFields }: MethodChoice, by: Speaker): TemplateResult {
  return html`<div class="inside stripe">
    ${fieldsError
      ? html`<p class="error" role="alert">${fieldsError}</p>
          <button type="button" class="btn btn-outline" @click=${loadFields}>${by.t("retry")}</button>`
      : nothing}<slot></slot>
  </div>`;
}

function wordsOf(method: string): string {
  return takesTestCard(method) ? "sandbox" : method;
}

export function methodCards(choice: MethodChoice, by: Speaker): TemplateResult {
  const { methods, chosen } = choice;
  return html`<div class="methods" role="radiogroup" aria-label=${by.t("checkout.payment")}>
    ${methods.map(
      ({ id, test }) => html`<div class="method ${id === chosen ? "on" : ""}">
        <label>
          <input
            type="radio"
            name="method"
            value=${id}
            data-testid="method-${id}"
            .checked=${id === chosen}
            @change=${() => choice.choose(id)}
          />
          <span class="what">${by.t(`checkout.method.${wordsOf(id)}`)}<small>${by.t(`checkout.method.${wordsOf(id)}_hint`)}</small></span>
          ${test ? html`<span class="badge badge-warn">TEST</span>` : nothing}
        </label>
        ${id !== chosen ? nothing : takesTestCard(id) ? testCard(choice, by) : id === "stripe" ? stripeFields(choice, by) : nothing}
      </div>`,
    )}
  </div>`;
}
