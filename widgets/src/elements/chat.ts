// <ls-chat>: what is said, and saying something. A message shows when the room shows it to everybody, not before.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { query, state } from "lit/decorators.js";
import { guard } from "lit/directives/guard.js";
import { repeat } from "lit/directives/repeat.js";
import type { ChatMessage, RoomEvent } from "../wire.gen";
import { takenBack } from "../state/reduce";
import { CommandFailed } from "../state/room";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { chatStyles } from "./chat-styles";
import { Part, define } from "./part";

const LONGEST = 500;

export class LsChat extends Part {
  @state() private draft = "";
  @state() private problem = "";
  @state() private sending = false;
  @state() private naming = false;
  @state() private spoken = "";
  @query(".list") private list!: HTMLElement;
  @query(".compose input") private input!: HTMLInputElement | null;
  private unread = 0;
  private atBottom = true;
  private top = 0;
  /** What whoever scrolled up is reading stays where it is until he comes back. */
  private held: readonly ChatMessage[] | null = null;
  private lastId = "";

  static override styles = [baseStyles, chatStyles];

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("event", this.onEvent);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener("event", this.onEvent);
    this.resized.disconnect();
  }

  private readonly onEvent = (event: Event): void => {
    const detail = (event as CustomEvent<RoomEvent>).detail;
    if (this.held) this.held = takenBack(this.held, detail);
    const missed = this.atBottom ? 0 : detail.t === "more" ? detail.d.count : 1;
    if (detail.t === "more") this.unread += missed;
    if (detail.t !== "chat.message") return;
    const { message } = detail.d;
    if (message.author_id === this.me) this.held = null;
    else this.unread += missed;
    // The list itself is not a live region: a busy room would talk over the show. The host is read out.
    if (message.role === "host") this.spoken = `${message.name}: ${message.text}`;
  };

  private get me(): string | null {
    return this.session.room.you?.viewer_id ?? this.session.auth.current?.viewer_id ?? null;
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (this.list) this.resized.observe(this.list);
    const { messages } = this;
    const last = messages[messages.length - 1];
    if (this.atBottom || (last && last.id !== this.lastId && last.author_id === this.me)) this.toBottom();
    this.lastId = last?.id ?? "";
  }

  /** What was said; in a replay, what had been said by then. */
  private get messages(): readonly ChatMessage[] {
    return this.session.said ?? this.held ?? this.session.room.state?.messages ?? [];
  }

  private toBottom(): void {
    // The room was closed to who is here, and nothing of it is drawn any more.
    if (!this.list) return;
    this.list.scrollTop = this.list.scrollHeight;
    this.atBottom = true;
    this.level();
  }

  /** All that was said is on the screen. */
  private level(): void {
    if (this.held || this.unread) this.requestUpdate();
    this.held = null;
    this.unread = 0;
  }

  /** The composer grows and shrinks with what it has to say; whoever reads the newest keeps reading the newest. */
  private readonly resized = new ResizeObserver(() => {
    if (this.atBottom && this.list) this.toBottom();
  });

  private onScroll(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    // Whoever drags the list down is not pulled back by the next message.
    this.atBottom = scrollHeight - scrollTop - clientHeight < (scrollTop < this.top ? 4 : 40);
    this.top = scrollTop;
    if (this.atBottom) this.level();
    else this.held ??= this.messages;
  }

  private async send(event: Event): Promise<void> {
    event.preventDefault();
    const text = this.draft.trim();
    if (!text || this.sending) return;
    this.sending = true;
    this.problem = "";
    try {
      await this.session.room.command("chat.send", { text });
      this.draft = "";
      this.session.track("chat-sent");
    } catch (error) {
      this.problem = this.wordsFor(error);
    } finally {
      this.sending = false;
    }
    await this.updateComplete;
    this.input?.focus({ preventScroll: true });
  }

  private wordsFor(error: unknown): string {
    if (!(error instanceof CommandFailed)) return this.t("error.unknown");
    const { code, message, retryable, retry_after } = error.error;
    const key = `chat.error.${code}`;
    if (!this.session.i18n.has(key)) return retryable ? this.t("chat.error.again") : message || this.t("error.unknown");
    return this.t(key, { count: Math.max(1, Math.ceil(retry_after ?? 1)) });
  }

  private async rename(event: Event): Promise<void> {
    event.preventDefault();
    const name = new FormData(event.target as HTMLFormElement).get("name")?.toString().trim() ?? "";
    if (!name) return;
    this.problem = "";
    try {
      await this.session.rename(name);
      this.naming = false;
      await this.updateComplete;
      this.input?.focus({ preventScroll: true });
    } catch (error) {
      this.problem = this.session.words(error);
    }
  }

  private async startNaming(): Promise<void> {
    this.naming = true;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLInputElement>("[name=name]")?.focus();
  }

  private one(message: ChatMessage, more: number | undefined): TemplateResult {
    const mine = message.author_id === this.me;
    const staff = message.role === "host" || message.role === "moderator";
    const initials = message.name
      .split(/\s+/)
      .map((word) => [...word][0] ?? "")
      .slice(0, 2)
      .join("")
      .toUpperCase();
    return html`<li class="${mine ? "mine" : ""} ${staff ? "staff" : ""}" data-testid="chat-message" data-id=${message.id}>
      <span class="face c${hueOf(message.author_id)}" aria-hidden="true">${initials}</span>
      <span class="bubble">
        <span class="who"
          >${message.name}${staff
            ? html`<span class="badge badge-accent">${this.t(`chat.role.${message.role}`)}</span>`
            : mine
              ? html`<span class="sr-only">${this.t("chat.you")}</span>`
              : nothing}</span
        >
        ${message.deleted
          ? html`<span class="text gone">${this.t("chat.deleted")}</span>`
          : html`<span class="text">${message.text}</span>`}
      </span>
    </li>
    ${more ? html`<li class="more" data-testid="chat-more">${this.t("chat.more", { count: more })}</li>` : nothing}`;
  }

  protected override render(): TemplateResult | typeof nothing {
    const room = this.session.room.state;
    if (!room) return nothing;
    const { messages } = this;
    const { pinnedMessage, chatSettings, omitted } = room;
    const over = room.show.state === "ended" || room.show.state === "replay";
    const closed = this.session.room.closeCode === 4500;
    const name = this.session.auth.current?.name;
    return html`
      ${pinnedMessage && !pinnedMessage.deleted
        ? html`<div class="pinned" role="note">
            ${icon("pin")}<span
              ><span class="sr-only">${this.t("chat.pinned")}: </span><b>${pinnedMessage.name}</b> ${pinnedMessage.text}</span
            >
          </div>`
        : nothing}
      <ul class="list" tabindex="0" aria-label=${this.t("chat.messages")} @scroll=${this.onScroll}>
        ${messages.length === 0
          ? html`<li class="empty">${icon("chat")}${this.t(over ? "chat.quiet" : "chat.empty")}</li>`
          : repeat(
              messages,
              (message) => message.id,
              (message) => {
                const more = omitted.find((one) => one.after === message.id)?.count;
                return guard([message, more, this.me], () => this.one(message, more));
              },
            )}
      </ul>
      <p class="sr-only" aria-live="polite">${this.spoken}</p>
      ${this.unread > 0
        ? html`<button class="new" @click=${this.toBottom}>${icon("down")}${this.t("chat.new", { count: this.unread })}</button>`
        : nothing}
      <div class="foot">
        <div role="status">${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}</div>
        ${closed
          ? html`<p class="hint">${this.t("chat.error.banned")}</p>`
          : over
            ? html`<p class="hint">${this.t("chat.over")}</p>`
            : chatSettings.paused
              ? html`<p class="hint">${this.t("chat.paused")}</p>`
              : this.naming
                ? html`<form class="compose" @submit=${this.rename}>
                    <input
                      class="input"
                      name="name"
                      maxlength="40"
                      required
                      autocomplete="nickname"
                      placeholder=${this.t("chat.name_hint")}
                      aria-label=${this.t("chat.name_label")}
                    />
                    <button class="btn btn-primary">${this.t("chat.name_save")}</button>
                  </form>`
                : html`
                    <form class="compose" @submit=${this.send}>
                      <input
                        class="input"
                        data-testid="chat-input"
                        maxlength=${LONGEST}
                        autocomplete="off"
                        enterkeyhint="send"
                        placeholder=${this.t("chat.placeholder")}
                        aria-label=${this.t("chat.placeholder")}
                        .value=${this.draft}
                        @input=${(event: Event) => (this.draft = (event.target as HTMLInputElement).value)}
                      />
                      <button
                        class="icon-btn send"
                        data-testid="chat-send"
                        aria-label=${this.t("chat.send")}
                        ?disabled=${!this.draft.trim() || this.sending}
                      >
                        ${icon("send")}
                      </button>
                    </form>
                    ${this.session.named
                      ? chatSettings.slow_mode_seconds > 0
                        ? html`<p class="as">${this.t("chat.slow", { count: chatSettings.slow_mode_seconds })}</p>`
                        : nothing
                      : html`<p class="as">
                          ${name
                            ? html`${this.t("chat.as")} <b>${name}</b>
                                <button class="link" @click=${this.startNaming}>${this.t("chat.change_name")}</button>`
                            : nothing}
                        </p>`}
                  `}
      </div>
    `;
  }
}

function hueOf(id: string): number {
  let sum = 0;
  for (let i = 0; i < id.length; i++) sum = (sum * 31 + id.charCodeAt(i)) >>> 0;
  return sum % 6;
}

define("ls-chat", LsChat);

declare global {
  interface HTMLElementTagNameMap {
    "ls-chat": LsChat;
  }
}
