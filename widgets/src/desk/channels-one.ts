/** One connection by itself: whether something is missing, its settings, and the last work done for it. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiProblem } from "../state/api";
import { focusFirstWrong, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { LoadingView } from "../studio/view";
import type { Connection, ConnectionChange, Connector, Connectors, Run, Runs } from "../wire.gen";
import { staleNote } from "./channels";
import type { ChannelCard } from "./channels-card";
import { configOf, configWhys, connectionFields, type ConfigDraft } from "./channels-fields";
import { Polling, UNLOADED_MS } from "./channels-poll";
import { ago, lookAgainMs, runWords } from "./channels-words";

const RUNS_SHOWN = 8;

interface Page {
  connection: Connection;
  /** Null: it is not installed any more. */
  connector: Connector | null;
  runs: Run[];
}

@customElement("desk-connection")
export class OneConnection extends LoadingView<Page> {
  @property() connectionId = "";
  @state() private draft: ConfigDraft | null = null;
  @state() private whys: Whys = {};
  @state() private busy = false;
  @state() private stale = false;
  /** Somebody else saved it in the meantime. */
  @state() private overtaken = false;
  private readonly polling = new Polling(this, () => this.look(), () => (this.loaded.kind === "ready" ? lookAgainMs([this.loaded.value.connection]) : UNLOADED_MS));

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.channels")} · ${this.app.shop.name}`;
  }

  private get path(): string {
    return `/api/connections/${encodeURIComponent(this.connectionId)}`;
  }

  protected override async fetch(): Promise<Page> {
    const { api } = this.app;
    const [connection, { connectors }, { runs }] = await Promise.all([
      api.get<Connection>(this.path),
      api.get<Connectors>("/api/connectors"),
      api.get<Runs>(`${this.path}/runs`),
    ]);
    document.title = `${connection.title} · ${this.app.shop.name}`;
    return { connection, runs, connector: connectors.find(({ name, problem }) => name === connection.connector && !problem) ?? null };
  }

  private async look(): Promise<void> {
    if (this.loaded.kind !== "ready") return;
    const { connector } = this.loaded.value;
    try {
      const { api } = this.app;
      const [connection, { runs }] = await Promise.all([api.get<Connection>(this.path), api.get<Runs>(`${this.path}/runs`)]);
      this.replace({ connection, connector, runs });
      this.stale = false;
    } catch {
      this.stale = true;
    }
  }

  private changed(change: Connection | null, page: Page): void {
    if (change?.state === "removed") {
      location.hash = "#/channels";
      return;
    }
    if (change) this.replace({ ...page, connection: change });
    this.polling.soon();
  }

  private async save(event: Event, page: Page, connector: Connector): Promise<void> {
    event.preventDefault();
    const { draft } = this;
    if (this.busy || !draft) return;
    this.busy = true;
    this.whys = {};
    this.overtaken = false;
    try {
      const config = configOf(connector, draft, page.connection.config);
      const change: ConnectionChange = { version: page.connection.version, title: draft.title.trim() };
      if (draft.language !== page.connection.language) change.language = draft.language;
      if (Object.keys(config).length > 0) change.config = config;
      const connection = await this.app.api.patch<Connection>(this.path, change);
      this.replace({ ...page, connection });
      this.draft = null;
      this.app.toast(this.t("studio.saved"), "good");
      await this.querySelector<ChannelCard>("desk-channel-card")?.check();
    } catch (error) {
      this.overtaken = error instanceof ApiProblem && error.code === "connection_changed";
      if (!this.overtaken) {
        this.whys = configWhys(error, connector, this.app);
        await this.updateComplete;
        focusFirstWrong(this);
      }
    } finally {
      this.busy = false;
    }
  }

  private async takeNewer(): Promise<void> {
    this.overtaken = false;
    this.draft = null;
    await this.load(true);
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><a class="icon-btn" href="#/channels" aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${this.loaded.kind === "ready" ? this.loaded.value.connection.title : this.t("desk.channels")}</h1></div>
      ${staleNote(this.stale, this.t("channels.stale"))}${super.render()}`;
  }

  protected override ready(page: Page): TemplateResult {
    const { connection } = page;
    return html`<div class="sheet">
      <desk-channel-card .app=${this.app} .connection=${connection} alone @changed=${(event: CustomEvent<Connection | null>) => this.changed(event.detail, page)}></desk-channel-card>
      ${page.connector && connection.state !== "removed" ? this.settings(page, page.connector) : nothing}
      ${page.runs.length > 0 ? this.history(page.runs) : nothing}
    </div>`;
  }

  private settings(page: Page, connector: Connector): TemplateResult {
    const { connection } = page;
    const stored = { config: connection.config, secrets: connection.secrets_set };
    const draft = this.draft ?? { title: connection.title, language: connection.language, values: {} };
    const disabled = !this.app.can("channels:write") || connection.is_leaving;
    const set = (change: Partial<ConfigDraft>): void => {
      this.draft = { ...draft, ...change };
      this.whys = {};
    };
    return html`<form class="card" novalidate aria-labelledby="settings-title" data-testid="connection-form" @submit=${(event: Event) => void this.save(event, page, connector)}>
      <h2 id="settings-title">${this.t("channels.settings")}</h2>
      ${connectionFields({ app: this.app, connector, draft, whys: this.whys, disabled, stored, set })}
      <div role="alert">${this.overtaken
        ? html`<div class="note note-warn note-act">${icon("warn")}<p>${this.t("studio.error.connection_changed")}</p><button type="button" class="btn btn-outline btn-small" @click=${() => void this.takeNewer()}>${this.t("desk.take_newer")}</button></div>`
        : this.whys[""]
          ? html`<p class="problem">${icon("warn")}<span>${this.whys[""]}</span></p>`
          : nothing}</div>
      ${disabled
        ? nothing
        : html`<div class="actions">${this.draft ? html`<button type="button" class="btn" @click=${() => { this.draft = null; this.whys = {}; }}>${this.t("studio.cancel")}</button>` : nothing}
            <button class="btn btn-primary" data-testid="save-connection" ?disabled=${this.busy || !this.draft}>${this.t("studio.save")}</button></div>`}
    </form>`;
  }

  private history(runs: readonly Run[]): TemplateResult {
    const { words } = this.app;
    return html`<section class="card" aria-labelledby="runs-title"><h2 id="runs-title">${this.t("channels.runs")}</h2>
      <ol class="runs">${runs.slice(0, RUNS_SHOWN).map(
        (run) => html`<li data-testid="past-run"><span>${runWords(run, words)}${run.problem ? html`<span class=${run.state === "failed" ? "error" : "quiet"}>${run.problem}</span>` : nothing}</span>
          <span class="quiet">${ago(run.ended_at ?? run.started_at, words)}</span></li>`,
      )}</ol></section>`;
  }
}
