// The fields about the buyer: an address to send to, or who comes to collect.

import { html, nothing, type TemplateResult } from "lit";
import type { Speaker } from "../ui/price";
import { AUTOCOMPLETE, type Field } from "./checkout-fields";
import type { Values } from "./checkout-form";

export interface ContactForm {
  values: Values;
  country: string;
  errors: Partial<Record<Field, string>>;
  isPickup: boolean;
  type: (field: Field, text: string) => void;
  leave: (field: Field) => void;
  chooseCountry: (code: string) => void;
}

function textField(form: ContactForm, by: Speaker, field: Field, type = "text", mode: string | typeof nothing = nothing): TemplateResult {
  const error = form.errors[field];
  const wide = field !== "postal_code" && field !== "city";
  return html`<div class="field ${wide ? "all" : ""}">
    <label for=${field}
      >${by.t(`checkout.${field}`)}${field === "line2" ? html` <span class="opt">${by.t("checkout.optional")}</span>` : nothing}</label
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
      .value=${form.values[field]}
      @input=${(event: Event) => form.type(field, (event.target as HTMLInputElement).value)}
      @blur=${() => form.leave(field)}
    />
    ${error ? html`<p class="error" id="${field}-error">${error}</p>` : nothing}
  </div>`;
}

function countryField({ country, chooseCountry }: ContactForm, by: Speaker): TemplateResult {
  const { shop, i18n } = by.session;
  return html`<div class="field all">
    <label for="country">${by.t("checkout.country")}</label>
    <select
      class="input"
      id="country"
      name="country"
      autocomplete="shipping country"
      @change=${(event: Event) => chooseCountry((event.target as HTMLSelectElement).value)}
    >
      ${(shop?.countries ?? []).map(
        ({ code, shipping }) => html`<option value=${code} ?selected=${code === country}>
          ${i18n.country(code)} (${shipping.amount === 0 ? by.t("checkout.free") : by.money(shipping)})
        </option>`,
      )}
    </select>
  </div>`;
}

export function contactSections(form: ContactForm, by: Speaker): TemplateResult {
  const text = (field: Field, type?: string, mode?: string | typeof nothing): TemplateResult => textField(form, by, field, type, mode);
  return html`<section id="contact">
      <h3>${by.t("checkout.contact")}</h3>
      <div class="fields">${text("email", "email", "email")} ${form.isPickup ? text("name") : nothing}</div>
    </section>
    ${form.isPickup
      ? nothing
      : html`<section>
          <h3>${by.t("checkout.address")}</h3>
          <div class="fields">
            ${text("name")} ${text("line1")} ${text("line2")}
            ${text("postal_code", "text", form.country === "GB" ? nothing : "numeric")} ${text("city")}
            ${countryField(form, by)}
          </div>
        </section>`}`;
}

/** The same of a known buyer, in one place. */
export function contactLine({ values, country, isPickup }: ContactForm, by: Speaker): TemplateResult {
  const { name, email, line1, line2, postal_code, city } = values;
  const place = [line1, line2, `${postal_code} ${city}`, country && by.session.i18n.country(country)];
  return html`<b>${name}</b>${isPickup ? nothing : html`<span>${place.filter((part) => part.trim()).join(", ")}</span>`}<span
      >${email}</span
    >`;
}
