/** One connection: how it stands, what its listings are in, what goes on, and what can be done. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { meter } from "../studio/meter";
import { explain, View } from "../studio/view";
import type { AuthorisationStart, Connection, Diagnosis, Repaired, Run } from "../wire.gen";
import "./channels-plan";
import { ago, BROKEN, connectionBadge, hasListings, LISTING_STATES, listingBadge, mainRole, roleIcon, roleWords, runWords } from "./channels-words";

type Asked = "check" | "sync" | "state" | "authorise" | "repair";

/** Fires "changed" (`CustomEvent<Connection | null>`) when the server has another state of it; null: look again. */
@customElement("desk-channel-card")
export class ChannelCard extends View {
  @property({ attribute: false }) connection!: Connection;
  /** On a page of its own, which begins by asking whether anything is missing. */
  @property({ type: Boolean }) alone = false;
  @state() private busy: Asked | null = null;
  /** Null: it was not asked. */
  @state() private missing: readonly string[] | null = null;
  @state() private why = "";
  @state() private planning = false;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.alone && this.app.can("channels:write")) void this.check();
  }

  private get path(): string {
    return `/api/connections/${encodeURIComponent(this.connection.id)}`;
  }

  private tell(changed: Connection | null): void {
    this.dispatchEvent(new CustomEvent("changed", { detail: changed }));
  }

  private async act(what: Asked, doIt: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = what;
    this.why = "";
    try {
      await doIt();
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  async check(): Promise<void> {
    await this.act("check", async () => {
      this.missing = null;
      this.missing = (await this.app.api.post<Diagnosis>(`${this.path}/check`)).missing;
    });
  }

  private async sync(): Promise<void> {
    await this.act("sync", async () => {
      this.planning = false;
      this.tell(await this.app.api.post<Connection>(`${this.path}/sync`));
      this.app.toast(this.t("channels.sync_begun", { name: this.connection.title }), "good");
    });
  }

  private async authorise(): Promise<void> {
    await this.act("authorise", async () => {
      const { url } = await this.app.api.post<AuthorisationStart>(`${this.path}/authorise`);
      location.assign(url);
    });
  }

  private async repair(): Promise<void> {
    await this.act("repair", async () => {
      const { listings } = await this.app.api.post<Repaired>(`${this.path}/repair`, {});
      this.app.toast(this.t("channels.repaired", { count: listings }), "good");
      this.tell(null);
    });
  }

  private async move(to: "active" | "paused" | "removed"): Promise<void> {
    const { title: name } = this.connection;
    if (to === "removed") {
      const how = this.connection.is_leaving ? "leaving" : mainRole(this.connection);
      const answer = await this.app.ask({ title: this.t("channels.ask_remove", { name }), text: this.t(`channels.ask_remove_${how}`), yes: this.t("channels.remove"), danger: true });
      if (answer === null) return;
    }
    await this.act("state", async () => {
      // One that is leaving already is only given up when the merchant says so once more.
      const state = to === "removed" && this.connection.is_leaving ? "abandoned" : to;
      const changed = await this.app.api.post<Connection>(`${this.path}/state`, { to: state });
      this.app.toast(this.t(changed.is_leaving ? "channels.done_leaving" : `channels.done_${to}`, { name }), "good");
      this.tell(changed);
    });
  }

  protected override render(): TemplateResult {
    const { connection: one } = this;
    const { words } = this.app;
    const title = this.alone
      ? html`<h2 class="connection-title">${one.title}</h2>`
      : html`<h2 class="connection-title"><a href="#/channels/${one.id}">${one.title}</a></h2>`;
    return html`<article class="card connection" data-testid="connection" data-connection=${one.id} aria-label=${one.title}>
      <header class="connection-head"><span class="connection-icon" aria-hidden="true">${roleIcon(one)}</span>
        <div>${title}<p class="quiet">${one.connector_title} · ${roleWords(one, words)}</p></div>
        ${connectionBadge(one, words)}</header>
      ${this.todo(one)}${one.feed_url ? this.feed(one, one.feed_url) : nothing}${hasListings(one) ? this.counts(one) : nothing}
      ${one.run ? this.run(one.run, one) : this.canSync(one) ? html`<p class="quiet connection-run">${this.t("channels.no_run")}</p>` : nothing}
      <div class="connection-answer" role="status" aria-live="polite">${this.answer()}</div>
      ${this.why ? html`<p class="problem" role="alert">${icon("warn")}<span>${this.why}</span></p>` : nothing}
      ${this.app.can("channels:write") ? this.acts(one) : nothing}
      ${this.planning
        ? html`<desk-plan .app=${this.app} .connection=${one} @ls-close=${() => (this.planning = false)} @sync=${() => void this.sync()}></desk-plan>`
        : nothing}
    </article>`;
  }

  private todo(one: Connection): TemplateResult | typeof nothing {
    if (one.is_leaving) return html`<p class="note note-warn">${icon("clock")}<span>${this.t("channels.leaving_hint")}</span></p>`;
    if (one.needs_authorisation) {
      return html`<div class="note note-warn note-act" data-testid="needs-authorisation">${icon("key")}<p>${this.t("channels.authorise_hint", { name: one.connector_title })}</p>
        ${this.app.can("channels:write")
          ? html`<button class="btn btn-primary btn-small" data-testid="authorise" ?disabled=${this.busy !== null} @click=${() => void this.authorise()}>${this.t("channels.authorise")}</button>`
          : nothing}</div>`;
    }
    if (!one.attention) return nothing;
    const isStopped = one.state === "attention";
    return html`<div class="note ${isStopped ? "note-bad" : "note-warn"} note-act" data-testid="attention">${icon("warn")}
      <p>${one.attention}<span class="note-then">${this.t(isStopped ? "channels.attention_hint" : "channels.waiting_hint")}</span></p>
      ${isStopped && this.app.can("channels:write")
        ? html`<button class="btn btn-outline btn-small" data-testid="try-again" ?disabled=${this.busy !== null} @click=${() => void this.move("active")}>${this.t("studio.try_again")}</button>`
        : nothing}</div>`;
  }

  private feed(one: Connection, url: string): TemplateResult {
    const { words } = this.app;
    return html`<div class="feed-address"><label class="field"><span>${this.t("channels.feed_address")}</span>
        <span class="copy-row"><input class="input code" readonly data-testid="feed-url" .value=${url} @focus=${(event: Event) => (event.target as HTMLInputElement).select()} />
          <button type="button" class="btn btn-outline" data-testid="copy-feed" @click=${() => void this.copy(url)}>${icon("copy")}${this.t("channels.copy")}</button></span></label>
      <p class="hint">${this.t("channels.feed_secret")} ${one.feed_fetched_at
        ? html`<span data-testid="feed-fetched">${this.t("channels.feed_fetched")} ${ago(one.feed_fetched_at, words)}.</span>`
        : html`<span data-testid="feed-fetched">${this.t("channels.feed_never")}</span>`}</p></div>`;
  }

  private counts(one: Connection): TemplateResult {
    const found = LISTING_STATES.filter((name) => (one.listings[name] ?? 0) > 0);
    const broken = BROKEN.reduce((sum, name) => sum + (one.listings[name] ?? 0), 0);
    if (found.length === 0) return html`<p class="quiet">${this.t("channels.no_listings")}</p>`;
    return html`<div class="counters"><ul aria-label=${this.t("channels.listings_by_state")}>${found.map(
        (name) => html`<li><a class="counter" href="#/channels/listings/${one.id}/${name}" data-testid="count-${name}">${listingBadge(name, this.app.words, this.app.words.number(one.listings[name] ?? 0))}</a></li>`,
      )}</ul>${broken > 0 && one.state === "active" && !one.is_leaving && this.app.can("channels:write")
        ? html`<button class="btn btn-outline btn-small" data-testid="repair" ?disabled=${this.busy !== null} @click=${() => void this.repair()}>${icon("refresh")}${this.t("channels.send_again_all", { count: broken })}</button>`
        : nothing}</div>`;
  }

  private run(run: Run, one: Connection): TemplateResult {
    const { words } = this.app;
    const told = runWords(run, words);
    if (run.state === "running") {
      return html`<div class="connection-run" data-testid="run" data-state="running"><p><span class="spinner" aria-hidden="true"></span><span>${told}</span></p>
        ${run.total === null
          ? nothing
          : html`<div role="progressbar" aria-label=${told} aria-valuemin="0" aria-valuemax=${run.total} aria-valuenow=${run.done}>${meter(run.done, run.total)}</div>`}</div>`;
    }
    return html`<div class="connection-run" data-testid="run" data-state=${run.state}><p class="quiet">${told} · ${ago(run.ended_at ?? run.started_at, words)}</p>
      ${run.problem && !one.attention ? html`<p class=${run.state === "failed" ? "error" : "quiet"}>${run.problem}</p>` : nothing}</div>`;
  }

  private answer(): TemplateResult | typeof nothing {
    if (this.busy === "check") return html`<p class="quiet connection-asking"><span class="spinner" aria-hidden="true"></span>${this.t("channels.checking")}</p>`;
    if (this.missing === null) return nothing;
    if (this.missing.length === 0) return html`<p class="note note-good" data-testid="check-good">${icon("check")}<span>${this.t("channels.check_good")}</span></p>`;
    return html`<div class="note note-warn" data-testid="check-missing">${icon("warn")}<div><p><strong>${this.t("channels.check_missing", { count: this.missing.length })}</strong></p>
      <ul class="bullets">${this.missing.map((sentence) => html`<li>${sentence}</li>`)}</ul></div></div>`;
  }

  /** Posts go out at their time, video during a show: there is nothing to go through. */
  private canSync(one: Connection): boolean {
    return one.roles.some((role) => role !== "poster" && role !== "stage" && role !== "file_source");
  }

  private acts(one: Connection): TemplateResult {
    const name = one.title;
    const isPaused = one.state === "paused";
    const isOff = this.busy !== null;
    const about = html`<span class="sr-only"> ${name}</span>`;
    const turn = this.t(isPaused ? "channels.resume_one" : "channels.pause_one", { name });
    return html`<footer class="connection-acts">
      ${this.canSync(one) && one.state === "active" && !one.is_leaving && !one.needs_authorisation
        ? html`<button class="btn btn-outline btn-small" data-testid="sync" ?disabled=${isOff} @click=${() => void this.sync()}>${icon("refresh")}${this.t("channels.sync")}${about}</button>`
        : nothing}
      ${hasListings(one) && !one.is_leaving
        ? html`<button class="btn btn-outline btn-small" data-testid="plan" @click=${() => (this.planning = true)}>${icon("list")}${this.t("channels.plan")}${about}</button>`
        : nothing}
      <button class="btn btn-outline btn-small" data-testid="check" ?disabled=${isOff} @click=${() => void this.check()}>${icon("bolt")}${this.t("channels.check")}${about}</button>
      ${one.roles.includes("poster") ? html`<a class="btn btn-outline btn-small" href="#/posts" data-testid="to-posts">${icon("megaphone")}${this.t("channels.tab_posts")}</a>` : nothing}
      <span class="connection-icons">
      ${this.alone
        ? nothing
        : html`<a class="icon-btn" href="#/channels/${one.id}" data-testid="edit" aria-label=${this.t("channels.edit_one", { name })} title=${this.t("channels.edit_one", { name })}>${icon("settings")}</a>`}
      ${one.is_leaving || one.state === "attention"
        ? nothing
        : html`<button class="icon-btn" data-testid="turn" aria-label=${turn} title=${turn} ?disabled=${isOff} @click=${() => void this.move(isPaused ? "active" : "paused")}>${icon(isPaused ? "play" : "pause")}</button>`}
      <button class="icon-btn" data-testid="remove" aria-label=${this.t("channels.remove_one", { name })} title=${this.t("channels.remove_one", { name })} ?disabled=${isOff} @click=${() => void this.move("removed")}>${icon("trash")}</button></span>
    </footer>`;
  }
}
