/** What an encoder is told: the server's address and this person's key for this show, which is shown once. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { NewStreamKey, Show, StreamKey, StreamKeys } from "../wire.gen";
import { icon } from "./icons";
import { failure, LoadingView, selectAll } from "./view";

@customElement("studio-stream-key")
export class StreamKeyCard extends LoadingView<StreamKeys> {
  @property({ attribute: false }) show!: Show;
  @state() private busy = false;
  /** The secret of the key just made; gone with this element. */
  @state() private secret = "";
  /** A host may be sharing this very screen. */
  @state() private shown = false;

  private get path(): string {
    return `/api/shows/${encodeURIComponent(this.show.id)}/stream-keys`;
  }

  protected override fetch(): Promise<StreamKeys> {
    return this.app.api.get<StreamKeys>(this.path);
  }

  private get over(): boolean {
    return this.show.state === "ended" || this.show.state === "replay";
  }

  private async make(mine: StreamKey | undefined): Promise<void> {
    if (mine) {
      const yes = this.t("studio.key_new");
      const answer = await this.app.ask({ title: this.t("studio.ask_key_new"), text: this.t("studio.ask_key_new_text"), yes, danger: true });
      if (answer === null) return;
    }
    await this.act(async () => {
      const made = await this.app.api.post<NewStreamKey>(this.path);
      this.secret = made.secret;
      this.shown = false;
    });
    await this.updateComplete;
    this.querySelector<HTMLElement>("[data-testid=copy-key]")?.focus();
  }

  private async revoke(key: StreamKey): Promise<void> {
    const answer = await this.app.ask({
      title: this.t("studio.ask_key_revoke"),
      text: this.t("studio.ask_key_revoke_text", { name: key.person_name }),
      yes: this.t("studio.key_revoke"),
      danger: true,
    });
    if (answer === null) return;
    await this.act(async () => {
      await this.app.api.del<unknown>(`${this.path}/${encodeURIComponent(key.person_id)}`);
      if (key.is_mine) this.secret = "";
      this.app.toast(this.t("studio.key_revoked"), "good");
    });
    await this.updateComplete;
    this.querySelector<HTMLElement>("[data-testid=make-key], [data-testid=new-key]")?.focus();
  }

  private async act(what: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      await what();
      await this.load(true);
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }

  private async hand(text: string): Promise<void> {
    if (!(await this.copy(text))) this.shown = true;
  }

  protected override render(): TemplateResult {
    // Rows of bones would be taller than what they stand for.
    if (this.loaded.kind === "loading") return html`<p class="quiet" role="status">${this.t("studio.loading")}</p>`;
    if (this.loaded.kind === "failed") return failure(this.loaded.why, this.t("studio.try_again"), () => void this.load());
    return this.ready(this.loaded.value);
  }

  protected override ready({ server, keys }: StreamKeys): TemplateResult {
    if (!server) return html`<p class="note">${icon("info")}<span>${this.t("studio.video_no_server")}</span></p>`;
    if (this.over) return html`<p class="note">${icon("info")}<span>${this.t("studio.video_over")}</span></p>`;
    const mine = keys.find((key) => key.is_mine);
    const others = keys.filter((key) => !key.is_mine);
    return html`<div class="stack">
      <div class="field"><label for="video-server">${this.t("studio.video_server")}</label>
        <span class="copy-row"><input class="input code" id="video-server" readonly data-testid="video-server" .value=${server} @focus=${selectAll} />
          ${this.copyButton(server, "copy-server", this.t("studio.copy_server"))}</span></div>
      ${this.secret ? this.once() : mine ? this.kept(mine) : this.none()}
      ${others.length > 0
        ? html`<div><h4>${this.t("studio.keys_others")}</h4>
            <ul class="keys">${others.map((key) => html`<li><div><p>${key.person_name}</p>${this.usage(key)}</div>${this.revokeButton(key)}</li>`)}</ul></div>`
        : nothing}
    </div>`;
  }

  private none(): TemplateResult {
    return html`<div class="key-none"><p class="quiet">${this.t("studio.key_none")}</p>
      <button class="btn btn-primary" data-testid="make-key" ?disabled=${this.busy} @click=${() => void this.make(undefined)}>${icon("key")}${this.t("studio.key_make")}</button></div>`;
  }

  private once(): TemplateResult {
    const label = this.t(this.shown ? "studio.key_hide" : "studio.key_show");
    return html`<div class="field"><label for="stream-key">${this.t("studio.stream_key")}</label>
        <span class="copy-row"><input class="input code" id="stream-key" type=${this.shown ? "text" : "password"} readonly autocomplete="off" data-testid="stream-key"
            aria-describedby="stream-key-hint" .value=${this.secret} @focus=${selectAll} />
          <button class="icon-btn" aria-pressed=${this.shown ? "true" : "false"} aria-label=${label} title=${label} @click=${() => (this.shown = !this.shown)}>${icon("eye")}</button>
          ${this.copyButton(this.secret, "copy-key", this.t("studio.copy_key"))}</span></div>
      <p class="note note-warn" id="stream-key-hint">${icon("lock")}<span>${this.t("studio.key_once")}</span></p>`;
  }

  private kept(key: StreamKey): TemplateResult {
    return html`<div class="key-kept" data-testid="key-kept"><span class="key-icon">${icon("key")}</span>
        <div><p>${this.t("studio.key_ends", { hint: key.hint })}</p>${this.usage(key)}</div>
        <div class="key-acts"><button class="btn btn-outline btn-small" data-testid="new-key" ?disabled=${this.busy} @click=${() => void this.make(key)}>${icon("refresh")}${this.t("studio.key_new")}</button>
          ${this.revokeButton(key)}</div></div>
      <p class="hint">${this.t("studio.key_kept_hint")}</p>`;
  }

  private usage(key: StreamKey): TemplateResult {
    const when = (at: string): string => this.app.words.date(at, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
    return html`<p class="quiet">${key.last_used_at ? this.t("studio.key_used", { time: when(key.last_used_at) }) : this.t("studio.key_unused", { time: when(key.created_at) })}</p>`;
  }

  private revokeButton(key: StreamKey): TemplateResult {
    return html`<button class="btn btn-ghost btn-small" data-testid="revoke-key" ?disabled=${this.busy} @click=${() => void this.revoke(key)}>
      ${this.t("studio.key_revoke")}<span class="sr-only"> ${key.person_name}</span></button>`;
  }

  private copyButton(text: string, testid: string, label: string): TemplateResult {
    return html`<button class="btn btn-outline" data-testid=${testid} aria-label=${label} @click=${() => void this.hand(text)}>${icon("copy")}<span>${this.t("studio.copy")}</span></button>`;
  }
}
