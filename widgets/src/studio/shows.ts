/** All shows, the ones that need attention first. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import type { Show, ShowState } from "../wire.gen";
import { picture } from "../ui/picture";
import { icon } from "./icons";
import { stateBadge, whenWords } from "./show-words";
import { empty, LoadingView } from "./view";

const ORDER: ShowState[] = ["live", "rehearsal", "scheduled", "draft", "ended", "replay"];

@customElement("studio-shows")
export class Shows extends LoadingView<Show[]> {
  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("studio.shows")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Show[]> {
    return (await this.app.api.get<{ shows: Show[] }>("/api/shows")).shows;
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("studio.shows")}</h1>${this.newShow()}</div>${super.render()}`;
  }

  private newShow(): TemplateResult | typeof nothing {
    if (!this.app.can("shows:write")) return nothing;
    return html`<a class="btn btn-primary" href="#/shows/new" data-testid="new-show">${icon("plus")}${this.t("studio.new_show")}</a>`;
  }

  protected override ready(shows: Show[]): TemplateResult {
    if (shows.length === 0) return empty(this.t("studio.shows_empty"), this.t("studio.shows_empty_hint"));
    return html`${ORDER.map((state) => {
      const group = shows.filter((show) => show.state === state).sort(state === "scheduled" ? soonest : latest);
      if (group.length === 0) return nothing;
      return html`<section class="group" aria-labelledby="group-${state}">
        <h2 id="group-${state}">${this.t(`studio.group_${state}`)} <span class="count">${group.length}</span></h2>
        <ul class="rows">${group.map((show) => this.row(show))}</ul>
      </section>`;
    })}`;
  }

  private row(show: Show): TemplateResult {
    return html`<li class="row show-row" data-testid="show-row" data-show=${show.id} data-state=${show.state}>
      <a class="row-main" href="#/shows/${show.id}">
        <span class="row-picture row-picture-wide">${picture(show.cover, { sizes: "8rem", alt: "" })}</span>
        <span class="row-text"><span class="row-title">${show.title}</span>
          <span class="quiet">${whenWords(show, this.app.words)}</span>
          <span class="quiet">${show.host_name ? html`${show.host_name} · ` : nothing}${this.t("studio.products", { count: show.lineup.length })}</span></span>
        ${stateBadge(show.state, this.app.words)}
      </a>
      ${this.app.can("shows:write")
        ? html`<a class="icon-btn" href="#/shows/${show.id}/edit" aria-label=${this.t("studio.edit_show", { title: show.title })}
            title=${this.t("studio.edit")}>${icon("edit")}</a>`
        : nothing}
    </li>`;
  }
}

function soonest(a: Show, b: Show): number {
  return (a.starts_at ?? "9").localeCompare(b.starts_at ?? "9");
}

function latest(a: Show, b: Show): number {
  return (b.started_at ?? b.starts_at ?? b.id).localeCompare(a.started_at ?? a.starts_at ?? a.id);
}
