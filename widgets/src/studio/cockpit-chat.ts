/** The chat with a moderator's hands on it. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { guard } from "lit/directives/guard.js";
import { repeat } from "lit/directives/repeat.js";
import { takenBack, type RoomState } from "../state/reduce";
import type { RoomClient, RoomStatus } from "../state/room";
import type { ChatMessage, ChatSettings, Commands, RoomEvent, Sanction, Tick } from "../wire.gen";
import { icon } from "./icons";
import { empty, explain, View } from "./view";

const MUTES_SECONDS = [300, 3_600, 86_400];
const SLOW_MODES_SECONDS = [0, 5, 15, 30, 60];
/** A room with fewer messages than a snapshot holds has no earlier ones. */
const SNAPSHOT_MESSAGES = 50;
/** Further from the end than this, the reader is reading: new messages must not move the text. */
const NEAR_END_PX = 80;

@customElement("studio-cockpit-chat")
export class CockpitChat extends View {
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) version!: RoomState;
  @property() status: RoomStatus = "connecting";
  @state() private earlier: readonly ChatMessage[] = [];
  @state() private earlierDone = false;
  @state() private settingsOpen = false;
  @state() private sanctions: Sanction[] | null = null;
  @state() private opened: string | null = null;
  @state() private sending = false;
  @query(".chat-log") private log!: HTMLElement | null;
  private following = true;
  private fresh = 0;
  /** What whoever scrolled up is reading stays where it is until he comes back. */
  private held: readonly ChatMessage[] | null = null;
  private seen = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.room.addEventListener("event", this.happened);
  }

  override disconnectedCallback(): void {
    this.room.removeEventListener("event", this.happened);
    super.disconnectedCallback();
  }

  private readonly happened = (event: Event): void => {
    const happening = (event as CustomEvent<RoomEvent | Tick>).detail;
    if (happening.t === "chat.sanctioned" && this.settingsOpen) void this.loadSanctions();
    if (happening.t === "chat.message" && !this.following) this.fresh += 1;
    this.earlier = takenBack(this.earlier, happening);
    if (this.held) this.held = takenBack(this.held, happening);
  };

  protected override updated(changed: PropertyValues<this> & Map<string, unknown>): void {
    super.updated(changed);
    const { messages } = this.version;
    const log = this.log;
    if (log && this.following && (messages.length !== this.seen || changed.has("version"))) log.scrollTop = log.scrollHeight;
    this.seen = messages.length;
    if (changed.has("opened") && this.opened) this.querySelector(".is-open")?.scrollIntoView({ block: "nearest" });
  }

  private scrolled(): void {
    const log = this.log;
    if (!log) return;
    this.following = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    if (this.following) this.level();
    else this.held ??= this.version.messages;
  }

  /** With what is said now. What was fetched of earlier would not go up to it without a gap. */
  private level(): void {
    if (!this.held) return;
    this.held = null;
    this.fresh = 0;
    this.earlier = [];
    this.earlierDone = false;
    this.requestUpdate();
  }

  private toEnd(): void {
    this.following = true;
    this.level();
    const log = this.log;
    if (log) log.scrollTop = log.scrollHeight;
  }

  private async command<T extends keyof Commands>(t: T, args: Commands[T]["args"], done?: string): Promise<boolean> {
    try {
      await this.room.command(t, args);
      if (done) this.app.toast(done, "good");
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  private async send(event: Event): Promise<void> {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("text") as HTMLInputElement;
    const text = field.value.trim();
    if (!text || this.sending) return;
    this.sending = true;
    this.toEnd();
    // What was typed stays until the server has taken it.
    if (await this.command("chat.send", { text })) field.value = "";
    this.sending = false;
    field.focus();
  }

  private async mute(message: ChatMessage): Promise<void> {
    const answer = await this.app.ask({
      title: this.t("studio.ask_mute", { name: message.name }),
      text: this.t("studio.ask_mute_text"),
      yes: this.t("studio.mute"),
      choices: MUTES_SECONDS.map((seconds) => ({ value: String(seconds), label: this.t(`studio.mute_${seconds}`) })),
    });
    if (!answer) return;
    await this.command("chat.mute", { viewer_id: message.author_id, seconds: Number(answer) }, this.t("studio.muted", { name: message.name }));
  }

  private async ban(message: ChatMessage): Promise<void> {
    const answer = await this.app.ask({
      title: this.t("studio.ask_ban", { name: message.name }),
      text: this.t("studio.ask_ban_text"),
      yes: this.t("studio.ban"),
      danger: true,
    });
    if (answer === null) return;
    await this.command("chat.ban", { viewer_id: message.author_id }, this.t("studio.banned", { name: message.name }));
  }

  private async loadEarlier(): Promise<void> {
    this.following = false;
    this.held ??= this.version.messages;
    const { held } = this;
    const first = this.earlier[0] ?? held[0];
    if (!first) return;
    try {
      const path = `/api/shows/${encodeURIComponent(this.version.show.id)}/messages?before=${encodeURIComponent(first.id)}`;
      const { messages } = await this.app.api.get<{ messages: ChatMessage[] }>(path);
      const known = new Set([...this.earlier, ...held].map((message) => message.id));
      const older = messages.filter((message) => !known.has(message.id)).sort((a, b) => a.at.localeCompare(b.at));
      if (this.held !== held) return;
      this.earlierDone = older.length === 0;
      this.earlier = [...older, ...this.earlier];
    } catch (error) {
      this.complain(error);
    }
  }

  private async loadSanctions(): Promise<void> {
    try {
      const path = `/api/shows/${encodeURIComponent(this.version.show.id)}/sanctions`;
      this.sanctions = (await this.app.api.get<{ sanctions: Sanction[] }>(path)).sanctions;
    } catch (error) {
      this.app.toast(explain(error, this.app.words), "bad");
    }
  }

  private toggleSettings(): void {
    this.settingsOpen = !this.settingsOpen;
    if (this.settingsOpen) void this.loadSanctions();
  }

  private configure(change: Partial<ChatSettings>): void {
    void this.command("chat.configure", change);
  }

  protected override render(): TemplateResult {
    const { pinnedMessage } = this.version;
    const messages = this.held ?? this.version.messages;
    const moderates = this.app.can("chat:moderate");
    const shown = new Set(messages.map((message) => message.id));
    const all = [...this.earlier.filter((message) => !shown.has(message.id)), ...messages];
    return html`
      <header class="panel-head"><h2>${this.t("studio.chat")}</h2>
        ${moderates
          ? html`<button class="icon-btn" data-testid="chat-settings" aria-expanded=${this.settingsOpen ? "true" : "false"} aria-controls="chat-settings"
              aria-label=${this.t("studio.chat_settings")} title=${this.t("studio.chat_settings")} @click=${() => this.toggleSettings()}>${icon("settings")}</button>`
          : nothing}</header>
      ${this.settingsOpen && moderates ? this.settings(this.version.chatSettings) : nothing}
      ${pinnedMessage
        ? html`<div class="chat-pinned" data-testid="chat-pinned">${icon("pin")}<p><strong>${pinnedMessage.name}</strong> ${pinnedMessage.text}</p>
            ${moderates
              ? html`<button class="icon-btn" aria-label=${this.t("studio.chat_unpin")} title=${this.t("studio.chat_unpin")}
                  @click=${() => void this.command("chat.pin", { message_id: null })}>${icon("close")}</button>`
              : nothing}</div>`
        : nothing}
      <div class="chat-log" role="log" aria-label=${this.t("studio.chat")} tabindex="0" @scroll=${() => this.scrolled()}>
        ${moderates && all.length >= SNAPSHOT_MESSAGES && !this.earlierDone
          ? html`<button class="btn btn-ghost btn-small chat-earlier" @click=${() => void this.loadEarlier()}>${this.t("studio.chat_earlier")}</button>`
          : nothing}
        ${all.length === 0 ? empty(this.t("studio.chat_empty"), this.t("studio.chat_empty_hint")) : nothing}
        ${repeat(all, (message) => message.id, (message) => {
          const more = this.version.omitted.find((one) => one.after === message.id)?.count;
          const open = this.opened === message.id;
          return guard([message, more, open, moderates], () => this.message(message, more, open, moderates));
        })}
      </div>
      ${this.fresh > 0 ? html`<button class="btn btn-primary btn-small chat-fresh" @click=${() => this.toEnd()}>${icon("down")}${this.t("studio.chat_fresh", { count: this.fresh })}</button>` : nothing}
      <form class="chat-form" @submit=${(event: Event) => void this.send(event)}>
        <input class="input" name="text" autocomplete="off" maxlength="500" data-testid="chat-input" aria-label=${this.t("studio.chat_write")} placeholder=${this.t("studio.chat_write")} />
        <button class="btn btn-primary chat-send" data-testid="chat-send" aria-label=${this.t("studio.chat_send")} ?disabled=${this.status !== "open" || this.sending}>${icon("send")}</button>
      </form>`;
  }

  private message(message: ChatMessage, more: number | undefined, open: boolean, moderates: boolean): TemplateResult {
    const staff = message.role === "host" || message.role === "moderator";
    return html`<article class="chat-message ${message.deleted ? "is-deleted" : ""} ${open ? "is-open" : ""}" data-testid="chat-message" data-message=${message.id}>
      <div class="chat-text">
        <p class="chat-who"><span class="chat-name">${message.name}</span>
          ${staff ? html`<span class="badge badge-accent">${this.t(`studio.role_${message.role}`)}</span>` : message.role === "customer" ? html`<span class="badge">${this.t("studio.role_customer")}</span>` : nothing}
          <time datetime=${message.at}>${this.app.words.time(message.at)}</time></p>
        <p class="chat-said">${message.deleted ? html`<em>${this.t("studio.chat_deleted")}</em>` : message.text}</p>
      </div>
      ${moderates && !message.deleted ? this.hands(message, staff, open) : nothing}
    </article>
    ${more ? html`<p class="chat-omitted">${this.t("studio.chat_omitted", { count: more })}</p>` : nothing}`;
  }

  private hands(message: ChatMessage, staff: boolean, open: boolean): TemplateResult {
    const button = (testid: string, name: Parameters<typeof icon>[0], key: string, act: () => unknown): TemplateResult =>
      html`<button class="icon-btn" data-testid=${testid} title=${this.t(`studio.${key}`)} aria-label=${this.t(`studio.${key}_one`, { name: message.name })}
        @click=${() => { this.opened = null; act(); }}>${icon(name)}</button>`;
    return html`<button class="icon-btn chat-more" aria-expanded=${open ? "true" : "false"} aria-label=${this.t("studio.chat_acts", { name: message.name })}
        @click=${() => (this.opened = open ? null : message.id)}>${icon("more")}</button>
      <div class="chat-hands">
        ${button("chat-pin", "pin", "chat_pin", () => this.command("chat.pin", { message_id: message.id }))}
        ${button("chat-delete", "trash", "chat_delete", () => this.command("chat.delete", { message_id: message.id }))}
        ${staff
          ? nothing
          : html`${button("chat-mute", "mute", "mute", () => this.mute(message))}${button("chat-ban", "ban", "ban", () => this.ban(message))}`}
      </div>`;
  }

  private settings(settings: ChatSettings): TemplateResult {
    const slow = settings.slow_mode_seconds;
    const modes = SLOW_MODES_SECONDS.includes(slow) ? SLOW_MODES_SECONDS : [...SLOW_MODES_SECONDS, slow].sort((a, b) => a - b);
    return html`<section class="chat-settings" id="chat-settings" aria-label=${this.t("studio.chat_settings")}>
      <label class="setting"><span>${this.t("studio.slow_mode")}</span>
        <select class="input" data-testid="slow-mode" @change=${(event: Event) => this.configure({ slow_mode_seconds: Number((event.target as HTMLSelectElement).value) })}>
          ${modes.map((seconds) => html`<option value=${seconds} ?selected=${seconds === slow}>${seconds === 0 ? this.t("studio.slow_off") : this.t("studio.slow_seconds", { count: seconds })}</option>`)}
        </select></label>
      <label class="setting"><span>${this.t("studio.links_allowed")}</span>
        <input type="checkbox" class="switch" role="switch" data-testid="links-allowed" .checked=${settings.links_allowed}
          @change=${(event: Event) => this.configure({ links_allowed: (event.target as HTMLInputElement).checked })} /></label>
      <label class="setting"><span>${this.t("studio.chat_paused")}</span>
        <input type="checkbox" class="switch" role="switch" data-testid="chat-paused" .checked=${settings.paused}
          @change=${(event: Event) => this.configure({ paused: (event.target as HTMLInputElement).checked })} /></label>
      <h3>${this.t("studio.sanctions")}</h3>
      ${this.sanctions === null
        ? html`<p class="hint">${this.t("studio.loading")}</p>`
        : this.sanctions.length === 0
          ? html`<p class="hint">${this.t("studio.sanctions_none")}</p>`
          : html`<ul class="sanctions">${this.sanctions.map(
              (sanction) => html`<li data-testid="sanction"><span><strong>${sanction.name}</strong> <span class="quiet">${
                sanction.kind === "ban" ? this.t("studio.is_banned") : this.t("studio.is_muted", { time: sanction.until ? this.app.words.time(sanction.until) : "–" })
              }</span></span>
              <button class="btn btn-outline btn-small" data-testid="chat-unban"
                @click=${() => void this.command("chat.unban", { viewer_id: sanction.viewer_id }, this.t("studio.lifted", { name: sanction.name }))}><span>${this.t("studio.lift")} <span class="sr-only">${sanction.name}</span></span></button></li>`,
            )}</ul>`}
    </section>`;
  }
}
