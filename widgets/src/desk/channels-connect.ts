/** Connecting something: first what, then what it wants to know. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { focusFirstWrong, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { empty, LoadingView } from "../studio/view";
import type { Connection, ConnectionInput, Connector, Connectors } from "../wire.gen";
import { configOf, configWhys, connectionFields, missingOf, type ConfigDraft } from "./channels-fields";
import { aboutConnector, GROUPS, mainRole, roleIcon } from "./channels-words";

@customElement("desk-connect")
export class Connect extends LoadingView<Connector[]> {
  /** The chosen one; null: it is to be chosen. */
  @property() connector: string | null = null;
  @state() private draft: ConfigDraft = { title: "", language: "", values: {} };
  @state() private whys: Whys = {};
  @state() private busy = false;
  private tried = false;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("channels.connect")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Connector[]> {
    const { connectors } = await this.app.api.get<Connectors>("/api/connectors");
    const chosen = connectors.find(({ name }) => name === this.connector);
    this.draft = { title: chosen?.title ?? "", language: this.app.shop.languages[0] ?? "en", values: {} };
    return connectors;
  }

  private async save(event: Event, connector: Connector): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.tried = true;
    this.whys = missingOf(connector, this.draft, this.app);
    if (Object.keys(this.whys).length > 0) return this.showFirstWrong();
    this.busy = true;
    try {
      const given: ConnectionInput = { connector: connector.name, title: this.draft.title.trim(), language: this.draft.language, config: configOf(connector, this.draft) };
      const made = await this.app.api.post<Connection>("/api/connections", given);
      this.app.toast(this.t("channels.connected", { name: made.title }), "good");
      location.hash = `#/channels/${made.id}`;
    } catch (error) {
      this.whys = configWhys(error, connector, this.app);
      await this.showFirstWrong();
    } finally {
      this.busy = false;
    }
  }

  private async showFirstWrong(): Promise<void> {
    await this.updateComplete;
    focusFirstWrong(this);
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><a class="icon-btn" href=${this.connector ? "#/channels/new" : "#/channels"} aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${this.t("channels.connect")}</h1></div>${super.render()}`;
  }

  protected override ready(all: Connector[]): TemplateResult {
    if (this.connector === null) return this.chooser(all);
    const chosen = all.find(({ name }) => name === this.connector);
    if (!chosen || chosen.problem) return empty(this.t("channels.no_connector"), chosen?.problem ?? this.t("channels.no_connector_hint"));
    return this.form(chosen);
  }

  private chooser(all: readonly Connector[]): TemplateResult {
    const usable = all.filter(({ roles, problem }) => !problem && roles.some((role) => role !== "file_source"));
    const broken = all.filter(({ problem }) => problem);
    return html`<p class="quiet connect-lead">${this.t("channels.connect_lead")}</p>
      ${GROUPS.map((role) => {
        const group = usable.filter((one) => mainRole(one) === role);
        if (group.length === 0) return nothing;
        return html`<section class="group" aria-labelledby="group-${role}"><h2 id="group-${role}">${this.t(`channels.group_${role}`)}</h2>
          <p class="quiet group-about">${this.t(`channels.about_role_${role}`)}</p>
          <ul class="connectors">${group.map(
            (one) => html`<li><a class="connector" href="#/channels/new/${one.name}" data-testid="connector-${one.name}"><span class="connection-icon" aria-hidden="true">${roleIcon(one)}</span>
              <span class="row-text"><span class="row-title">${one.title}</span><span class="quiet">${aboutConnector(one, this.app.words)}</span></span>${icon("chevron")}</a></li>`,
          )}</ul></section>`;
      })}
      ${broken.length > 0
        ? html`<section class="group" aria-labelledby="group-broken"><h2 id="group-broken">${this.t("channels.group_broken")}</h2>
            <ul class="rows">${broken.map((one) => html`<li class="row"><span class="row-main"><span class="row-text"><span class="row-title">${one.name}</span><span class="error">${one.problem}</span></span></span></li>`)}</ul></section>`
        : nothing}`;
  }

  private form(connector: Connector): TemplateResult {
    const whys = this.tried ? this.whys : {};
    const set = (change: Partial<ConfigDraft>): void => {
      this.draft = { ...this.draft, ...change };
      this.whys = {};
    };
    return html`<form class="sheet" novalidate data-testid="connect-form" @submit=${(event: Event) => void this.save(event, connector)}>
      <section class="card" aria-labelledby="connect-title">
        <header class="connection-head"><span class="connection-icon" aria-hidden="true">${roleIcon(connector)}</span>
          <div><h2 id="connect-title">${connector.title}</h2><p class="quiet">${aboutConnector(connector, this.app.words)}</p></div></header>
        ${connectionFields({ app: this.app, connector, draft: this.draft, whys, disabled: false, set })}
        ${connector.needs_authorisation ? html`<p class="note">${icon("key")}<span>${this.t("channels.authorise_next", { name: connector.title })}</span></p>` : nothing}
      </section>
      <div class="save-bar"><div role="alert">${whys[""] ? html`<p class="problem" data-testid="connect-problem">${icon("warn")}<span>${whys[""]}</span></p>` : nothing}</div>
        <a class="btn" href="#/channels">${this.t("studio.cancel")}</a>
        <button class="btn btn-primary" data-testid="save-connection" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.t("channels.connect")}</button></div>
    </form>`;
  }
}
