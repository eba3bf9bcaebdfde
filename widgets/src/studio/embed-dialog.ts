/** The two lines a storefront needs, and the show's own address. */

import { html, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import "../ui/dialog";
import type { Show } from "../wire.gen";
import { icon } from "./icons";
import { selectAll, View } from "./view";

@customElement("studio-embed-dialog")
export class EmbedDialog extends View {
  @property({ attribute: false }) show!: Show;

  private close(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    const origin = new URL(this.show.page, location.href).origin;
    const snippet = `<script async src="${origin}/embed.js"></script>\n<liveshop-show show="${this.show.id}"></liveshop-show>`;
    return html`<ls-dialog .open=${true} .label=${this.t("studio.embed")} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.close()}>
      <div class="stack">
        <p class="quiet">${this.t("studio.embed_hint")}</p>
        <label class="field"><span>${this.t("studio.embed_snippet")}</span>
          <textarea class="input code" rows="4" readonly data-testid="embed-snippet" .value=${snippet} @focus=${selectAll}></textarea></label>
        <button class="btn btn-primary" @click=${() => void this.copy(snippet)}>${icon("copy")}${this.t("studio.copy_snippet")}</button>
        <label class="field"><span>${this.t("studio.embed_page")}</span>
          <input class="input code" readonly .value=${this.show.page} @focus=${selectAll} /></label>
        <button class="btn" @click=${() => void this.copy(this.show.page)}>${icon("copy")}${this.t("studio.copy_page")}</button>
      </div>
    </ls-dialog>`;
  }
}
