/** A pickup code, scanned or typed. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { View } from "../studio/view";
import "./scanner";

/** How many letters and figures may be a code; anything else is not asked for. */
const CODE = /^[0-9A-Z]{4,16}$/;

/** As codes are kept: people type spaces, dashes and small letters. Null: this is no code. */
export function codeOf(text: string): string | null {
  const code = text.normalize("NFKC").replace(/[\s\-‐-–—_.]/g, "").toUpperCase();
  return CODE.test(code) ? code : null;
}

/** Fires "code" with the code as detail. */
@customElement("desk-code-entry")
export class CodeEntry extends View {
  /** What the server said about the last one. */
  @property() why = "";
  @property({ type: Boolean }) busy = false;
  @state() private scanning = false;
  @state() private typed = "";
  @state() private problem = "";

  private found(text: string): void {
    const code = codeOf(text);
    if (!code) {
      this.problem = this.t("pickups.no_code");
      return;
    }
    this.problem = "";
    this.scanning = false;
    this.dispatchEvent(new CustomEvent<string>("code", { detail: code }));
  }

  private submit(event: Event): void {
    event.preventDefault();
    if (!this.busy) this.found(this.typed);
    if (this.problem || !this.typed) this.querySelector<HTMLElement>("#pickup-code")?.focus();
  }

  protected override render(): TemplateResult {
    const why = this.scanning ? "" : this.problem || this.why;
    return html`${this.scanning
        ? html`<desk-scanner .app=${this.app} .problem=${this.problem} @code=${(event: CustomEvent<string>) => this.found(event.detail)}></desk-scanner>
            <button type="button" class="btn btn-wide" data-testid="scan-stop" @click=${() => (this.scanning = false)}>${this.t("pickups.scan_stop")}</button>`
        : html`<button type="button" class="btn btn-primary btn-scan" data-testid="scan" ?disabled=${this.busy} @click=${() => this.scan()}>${icon("video")}${this.t("pickups.scan")}</button>`}
      <form class="code-form" novalidate @submit=${(event: Event) => this.submit(event)}><div class="field"><label for="pickup-code">${this.t("pickups.type_code")}</label>
        <div class="stock-edit"><input class="input code" id="pickup-code" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="24" data-testid="pickup-code"
            .value=${this.typed} aria-invalid=${why ? "true" : nothing} aria-describedby="pickup-code-why" @input=${(event: Event) => (this.typed = (event.target as HTMLInputElement).value)} />
          <button class="btn btn-outline" data-testid="find-code" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.t("pickups.find")}</button></div>
        <p class="error" id="pickup-code-why" role="alert" data-testid="code-problem">${why}</p></div></form>`;
  }

  private scan(): void {
    this.problem = "";
    this.scanning = true;
  }
}
