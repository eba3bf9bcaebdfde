/** <studio-rehearsal>: says that the show is only practised, and invites colleagues and a crowd to it. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import "../ui/dialog";
import type { Invitation, Show } from "../wire.gen";
import { icon } from "./icons";
import { explain, selectAll, View } from "./view";

@customElement("studio-rehearsal")
export class Rehearsal extends View {
  @property({ attribute: false }) show!: Show;
  @state() private invitation: Invitation | null = null;
  @state() private why = "";
  @state() private busy = false;

  private async invite(): Promise<void> {
    this.busy = true;
    this.why = "";
    try {
      this.invitation = await this.app.api.post<Invitation>(`/api/shows/${encodeURIComponent(this.show.id)}/rehearsal/invite`);
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<section class="note note-warn rehearsal" data-testid="rehearsal" aria-label=${this.t("page.state_rehearsal")}>
        ${icon("info")}
        <div><b>${this.t("page.state_rehearsal")}</b><p>${this.t("studio.rehearsal_text")}</p>
          ${this.why ? html`<p class="error" role="alert">${this.why}</p>` : nothing}</div>
        ${this.app.can("shows:write")
          ? html`<button class="btn btn-outline" data-testid="rehearsal-invite" ?disabled=${this.busy} @click=${() => void this.invite()}>${icon("people")}${this.t("studio.rehearsal_invite")}</button>`
          : nothing}
      </section>
      ${this.invitation ? this.dialog(this.invitation) : nothing}`;
  }

  private dialog(invitation: Invitation): TemplateResult {
    return html`<ls-dialog .open=${true} .label=${this.t("studio.rehearsal_invite")} .closeLabel=${this.t("studio.close")} @ls-close=${() => (this.invitation = null)}>
      <div class="stack rehearsal-invitation" data-testid="rehearsal-invitation">
        <p class="quiet">${this.t("studio.rehearsal_invite_hint")}</p>
        <img src=${invitation.qr} alt=${this.t("studio.rehearsal_qr")} width="220" height="220" />
        <label class="field"><span>${this.t("studio.rehearsal_link")}</span>
          <input class="input code" readonly data-testid="rehearsal-link" .value=${invitation.url} @focus=${selectAll} /></label>
        <button class="btn btn-primary" data-testid="rehearsal-copy" @click=${() => void this.copy(invitation.url)}>${icon("copy")}${this.t("studio.copy_page")}</button>
        <label class="field"><span>${this.t("studio.rehearsal_code")}</span>
          <input class="input code" readonly .value=${`liveshop crowd --invite ${invitation.code}`} @focus=${selectAll} /></label>
      </div>
    </ls-dialog>`;
  }
}
