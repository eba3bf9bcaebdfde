/** The door of studio and desk. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { I18n } from "../state/i18n";
import { ApiProblem } from "../state/api";
import { icon } from "./icons";
import type { StaffSession } from "./session";
import { mark } from "./icons";
import { explain } from "./view";

@customElement("studio-sign-in")
export class SignIn extends LitElement {
  @property({ attribute: false }) words!: I18n;
  @property({ attribute: false }) session!: StaffSession;
  @property() house: "studio" | "desk" = "studio";
  @property() shopName = "";
  @state() private busy = false;
  @state() private why = "";
  @query("input[name=email]") private email!: HTMLInputElement;
  @query("input[name=password]") private password!: HTMLInputElement;

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  protected override firstUpdated(): void {
    this.email.focus();
  }

  private async submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.busy = true;
    this.why = "";
    try {
      await this.session.signIn(this.email.value.trim(), this.password.value);
      this.dispatchEvent(new Event("signed-in"));
    } catch (error) {
      // Whether the address or the password was wrong is nobody's business.
      const wrong = error instanceof ApiProblem && error.status === 401;
      this.why = wrong ? this.words.t("studio.sign_in_wrong") : explain(error, this.words);
      this.password.select();
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    const t = this.words.t;
    return html`<main class="door">
      <form class="door-card" novalidate @submit=${(event: Event) => void this.submit(event)}>
        <p class="brand">${mark()}<span>${this.shopName}</span></p>
        <h1>${t(`studio.sign_in_${this.house}`)}</h1>
        <p class="quiet">${t(`studio.sign_in_${this.house}_hint`)}</p>
        <label class="field"><span>${t("studio.email")}</span>
          <input class="input" name="email" type="email" autocomplete="username" inputmode="email" required data-testid="sign-in-email"
            aria-describedby=${this.why ? "sign-in-why" : nothing} /></label>
        <label class="field"><span>${t("studio.password")}</span>
          <input class="input" name="password" type="password" autocomplete="current-password" required data-testid="sign-in-password"
            aria-describedby=${this.why ? "sign-in-why" : nothing} /></label>
        <div role="alert">${this.why ? html`<p id="sign-in-why" class="problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
        <button class="btn btn-primary btn-wide" data-testid="sign-in-submit" ?disabled=${this.busy}>
          ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${t("studio.sign_in")}</button>
      </form>
    </main>`;
  }
}
