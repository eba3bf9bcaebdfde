/** All connections: shop systems, channels, feeds and accounts to post on, each with how it stands. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "../studio/icons";
import { LoadingView } from "../studio/view";
import type { Connection, Connections } from "../wire.gen";
import "./channels-card";
import { Polling, UNLOADED_MS } from "./channels-poll";
import { channelTabs, lookAgainMs } from "./channels-words";

@customElement("desk-channels")
export class Channels extends LoadingView<Connection[]> {
  /** Why a vendor sent the merchant back without an authorisation. */
  @property() problem: string | null = null;
  /** What is on the screen may be old. */
  @state() private stale = false;
  private readonly polling = new Polling(this, () => this.look(), () => (this.loaded.kind === "ready" ? lookAgainMs(this.loaded.value) : UNLOADED_MS));

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.channels")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Connection[]> {
    return (await this.app.api.get<Connections>("/api/connections")).connections;
  }

  private async look(): Promise<void> {
    if (this.loaded.kind !== "ready") return;
    try {
      this.replace(await this.fetch());
      this.stale = false;
    } catch {
      this.stale = true; // said on the page: each failed look need not be told of
    }
  }

  private changed(change: Connection | null, all: readonly Connection[]): void {
    if (change) this.replace(all.map((one) => (one.id === change.id ? change : one)).filter((one) => one.state !== "removed"));
    this.polling.soon();
  }

  protected override render(): TemplateResult {
    const { words } = this.app;
    const problem = this.problem ? (words.has(`studio.error.${this.problem}`) ? this.t(`studio.error.${this.problem}`) : this.t("studio.error.unknown")) : "";
    return html`<div class="page-bar"><h1>${this.t("desk.channels")}</h1>
        ${this.app.can("channels:write") ? html`<a class="btn btn-primary" href="#/channels/new" data-testid="connect">${icon("plus")}${this.t("channels.connect")}</a>` : nothing}</div>
      ${channelTabs("connections", words)}
      ${problem ? html`<p class="problem page-problem" role="alert" data-testid="channels-problem">${icon("warn")}<span>${problem}</span></p>` : nothing}
      ${staleNote(this.stale, this.t("channels.stale"))}
      ${super.render()}`;
  }

  protected override ready(all: Connection[]): TemplateResult {
    if (all.length === 0) {
      return html`<div class="empty channels-empty" data-testid="channels-empty">${icon("share")}<h2>${this.t("channels.empty")}</h2><p>${this.t("channels.empty_hint")}</p>
        ${this.app.can("channels:write") ? html`<a class="btn btn-primary" href="#/channels/new">${this.t("channels.connect_first")}</a>` : nothing}</div>`;
    }
    return html`<div class="connections">${repeat(
      all,
      ({ id }) => id,
      (one) => html`<desk-channel-card .app=${this.app} .connection=${one} @changed=${(event: CustomEvent<Connection | null>) => this.changed(event.detail, all)}></desk-channel-card>`,
    )}</div>`;
  }
}

export function staleNote(stale: boolean, text: string): TemplateResult {
  return html`<div role="status">${stale ? html`<p class="note note-warn page-problem" data-testid="stale">${icon("clock")}<span>${text}</span></p>` : nothing}</div>`;
}
