/** Mails to buyers: what was written, and whether it went out. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { I18n } from "../state/i18n";
import { icon } from "../studio/icons";
import { whenWords } from "../studio/order-words";
import { empty, explain, LoadingView, View } from "../studio/view";
import type { Mail, Mails } from "../wire.gen";
import "./mail-view";
import { orderTabs } from "./order-tabs";

const LOOKS: Record<Mail["state"], string> = { queued: "badge-accent", sent: "badge-good", failed: "badge-sale", kept: "" };

/** Why it did not go out; nothing for one that did, or will. */
export function mailNote(mail: Mail, words: I18n): TemplateResult | typeof nothing {
  if (mail.state === "failed") return html`<p class="note note-bad">${icon("warn")}<span>${mail.problem ?? words.t("mails.failed_hint")}</span></p>`;
  return mail.state === "kept" ? html`<p class="note">${icon("info")}<span>${words.t("mails.kept_hint")}</span></p>` : nothing;
}

@customElement("desk-mail-rows")
export class MailRows extends View {
  @property({ attribute: false }) mails: Mail[] = [];
  /** Whom it went to stands beside it, for lists about more than one order. */
  @property({ type: Boolean }) named = false;
  @state() private shown: Mail | null = null;

  protected override render(): TemplateResult {
    const { words } = this.app;
    return html`<ul class="rows">${repeat(
        this.mails,
        ({ id }) => id,
        (mail) => html`<li class="row" data-testid="mail-row" data-kind=${mail.kind}><button type="button" class="row-main" @click=${() => (this.shown = mail)}>
          <span class="row-text"><span class="row-title">${mail.subject}</span>
            <span class="quiet"><time datetime=${mail.created_at}>${whenWords(mail.created_at, words)}</time>${this.named ? html` · ${mail.recipient}` : nothing}</span></span>
          <span class="badge ${LOOKS[mail.state]}" data-state=${mail.state}>${this.t(`mails.is_${mail.state}`)}</span></button></li>`,
      )}</ul>
      ${this.shown ? html`<desk-mail-dialog .app=${this.app} .mailId=${this.shown.id} .subject=${this.shown.subject} @ls-close=${() => (this.shown = null)}></desk-mail-dialog>` : nothing}`;
  }
}

@customElement("desk-mails")
export class MailList extends LoadingView<Mails> {
  @state() private busy = false;
  @state() private moreWhy = "";

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("orders.tab_mails")} · ${this.app.shop.name}`;
  }

  protected override fetch(): Promise<Mails> {
    return this.app.api.get<Mails>("/api/mails");
  }

  private async loadMore(page: Mails): Promise<void> {
    this.busy = true;
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<Mails>(`/api/mails?cursor=${encodeURIComponent(page.next ?? "")}`);
      this.replace({ mails: [...page.mails, ...rest.mails], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("orders.tab_mails")}</h1>
        <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
      ${orderTabs("mails", this.app.words)}${super.render()}`;
  }

  protected override ready(page: Mails): TemplateResult {
    if (page.mails.length === 0) return empty(this.t("mails.empty"), this.t("mails.empty_hint"));
    return html`${page.mails.some(({ state }) => state === "kept") ? html`<p class="note" data-testid="mails-kept">${icon("info")}<span>${this.t("mails.kept_all")}</span></p>` : nothing}
      <desk-mail-rows .app=${this.app} .mails=${page.mails} named></desk-mail-rows>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" ?disabled=${this.busy} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }
}

/** The mails of one order; nothing shows until there is one. */
@customElement("desk-order-mails")
export class OrderMails extends LoadingView<Mails> {
  @property() orderId = "";

  protected override fetch(): Promise<Mails> {
    return this.app.api.get<Mails>(`/api/mails?order_id=${encodeURIComponent(this.orderId)}`);
  }

  protected override render(): TemplateResult {
    return this.loaded.kind === "loading" ? html`` : super.render();
  }

  protected override ready({ mails }: Mails): TemplateResult {
    if (mails.length === 0) return html``;
    return html`<section class="card card-rows" aria-labelledby="mails-title" data-testid="order-mails"><h2 id="mails-title">${this.t("orders.tab_mails")}</h2>
      <desk-mail-rows .app=${this.app} .mails=${mails}></desk-mail-rows></section>`;
  }
}
