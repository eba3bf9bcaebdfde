/** API keys. A key's secret is on the screen once, right after it was made; the server keeps only a digest. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import "../ui/dialog";
import { icon } from "../studio/icons";
import { empty, explain, LoadingView } from "../studio/view";
import type { ApiKey } from "../wire.gen";

@customElement("desk-keys")
export class Keys extends LoadingView<ApiKey[]> {
  @state() private making = false;
  @state() private secret: { name: string; text: string } | null = null;
  @state() private busy = false;
  @state() private why = "";
  private copied = false;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.keys")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<ApiKey[]> {
    return (await this.app.api.get<{ keys: ApiKey[] }>("/api/keys")).keys;
  }

  private async make(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(data.get("name") ?? "").trim();
    const permissions = data.getAll("permissions").map(String);
    const until = String(data.get("until") ?? "");
    if (!name || permissions.length === 0) {
      this.why = this.t("desk.key_incomplete");
      return;
    }
    this.busy = true;
    this.why = "";
    try {
      // A day means until its end, in the zone of the one who chose it.
      const expires = until ? { expires_at: new Date(`${until}T23:59:59`).toISOString() } : {};
      const made = await this.app.api.post<{ key: ApiKey; secret: string }>("/api/keys", { name, permissions, ...expires });
      this.making = false;
      this.copied = false;
      this.secret = { name: made.key.name, text: made.secret };
      await this.load(true);
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private async revoke(key: ApiKey): Promise<void> {
    const answer = await this.app.ask({
      title: this.t("desk.ask_revoke", { name: key.name }),
      text: this.t("desk.ask_revoke_text"),
      yes: this.t("desk.revoke"),
      danger: true,
    });
    if (answer === null) return;
    try {
      await this.app.api.del<void>(`/api/keys/${encodeURIComponent(key.id)}`);
      this.app.toast(this.t("desk.revoked", { name: key.name }), "good");
      await this.load(true);
    } catch (error) {
      this.complain(error);
    }
  }

  /** Escape or a stray click must not lose what is never shown again. */
  private async leaveSecret(): Promise<void> {
    const answer = this.copied
      ? ""
      : await this.app.ask({ title: this.t("desk.ask_key_leave"), text: this.t("desk.ask_key_leave_text"), yes: this.t("desk.key_leave"), danger: true });
    if (answer !== null) this.secret = null;
  }

  private async take(text: string): Promise<void> {
    if (await this.copy(text)) this.copied = true;
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.keys")}</h1>
        <button class="btn btn-primary" data-testid="new-key" @click=${() => { this.making = true; this.why = ""; }}>${icon("plus")}${this.t("desk.key_add")}</button></div>
      ${super.render()}${this.making ? this.makeDialog() : nothing}${this.secret ? this.secretDialog(this.secret) : nothing}`;
  }

  protected override ready(keys: ApiKey[]): TemplateResult {
    if (keys.length === 0) return empty(this.t("desk.keys_empty"), this.t("desk.keys_empty_hint"));
    const day = (at: string): string => this.app.words.date(at, { dateStyle: "medium" });
    return html`<ul class="rows">${keys.map(
      (key) => html`<li class="row" data-testid="key-row"><span class="row-main"><span class="row-text"><span class="row-title">${key.name}</span>
          <span class="quiet">${this.t("desk.key_made", { day: day(key.created_at) })} · ${key.expires_at ? this.t("desk.key_until", { day: day(key.expires_at) }) : this.t("desk.key_forever")}</span>
          <span class="row-badges">${key.permissions.map((permission) => html`<span class="badge">${permission}</span>`)}</span></span></span>
        <button class="btn btn-outline" aria-label=${this.t("desk.revoke_one", { name: key.name })} @click=${() => void this.revoke(key)}>${this.t("desk.revoke")}</button></li>`,
    )}</ul>`;
  }

  private makeDialog(): TemplateResult {
    const close = (): void => {
      this.making = false;
    };
    return html`<ls-dialog .open=${true} .label=${this.t("desk.key_add")} .closeLabel=${this.t("studio.close")} @ls-close=${close}>
      <form class="stack" novalidate @submit=${(event: Event) => void this.make(event)}>
        <label class="field"><span>${this.t("desk.key_name")}</span><input class="input" name="name" autocomplete="off" maxlength="100" /></label>
        <fieldset class="field"><legend>${this.t("desk.key_permissions")}</legend>
          <div class="checks checks-two">${this.app.staff.permissions.map(
            (permission) => html`<label class="check"><input type="checkbox" name="permissions" value=${permission} /><span><code>${permission}</code></span></label>`,
          )}</div></fieldset>
        <label class="field"><span>${this.t("desk.key_expires")}</span><input class="input" name="until" type="date" /></label>
        <div role="alert">${this.why ? html`<p class="problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
        <div class="actions"><button type="button" class="btn" @click=${close}>${this.t("studio.cancel")}</button>
          <button class="btn btn-primary" data-testid="save-key" ?disabled=${this.busy}>${this.t("desk.key_make")}</button></div>
      </form></ls-dialog>`;
  }

  private secretDialog(secret: { name: string; text: string }): TemplateResult {
    return html`<ls-dialog .open=${true} .label=${secret.name} .closeLabel=${this.t("studio.close")} @ls-close=${() => void this.leaveSecret()}>
      <div class="stack"><p class="note note-warn">${icon("warn")}<span>${this.t("desk.key_once")}</span></p>
        <label class="field"><span>${this.t("desk.key_secret")}</span>
          <input class="input code" readonly data-testid="key-secret" .value=${secret.text} @focus=${(event: Event) => (event.target as HTMLInputElement).select()} /></label>
        <button class="btn btn-primary" @click=${() => void this.take(secret.text)}>${icon("copy")}${this.t("desk.key_copy")}</button>
        <button class="btn" data-testid="key-kept" @click=${() => (this.secret = null)}>${this.t("desk.key_kept")}</button></div></ls-dialog>`;
  }
}
