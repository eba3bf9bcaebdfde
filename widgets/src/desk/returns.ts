/** Returns: those announced, and taking goods back over the counter. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "../studio/icons";
import { orderBadge, whenWords } from "../studio/order-words";
import { empty, explain, LoadingView } from "../studio/view";
import type { Order, OrderPage, Return, Returns } from "../wire.gen";
import { orderTabs } from "./order-tabs";
import "./return-card";
import "./scanner";
import "./take-back";

const STATES = ["requested", "received", "refused", "withdrawn", "all"] as const;
type Shown = (typeof STATES)[number];

@customElement("desk-returns")
export class ReturnList extends LoadingView<Returns> {
  @state() private shown: Shown = "requested";
  @state() private query = "";
  @state() private found: Order[] | null = null;
  @state() private scanning = false;
  @state() private busy: "search" | "more" | null = null;
  @state() private why = "";
  @state() private moreWhy = "";

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("orders.tab_returns")} · ${this.app.shop.name}`;
  }

  private path(cursor: string | null): string {
    const query = new URLSearchParams();
    if (this.shown !== "all") query.set("state", this.shown);
    if (cursor) query.set("cursor", cursor);
    return `/api/returns?${query.toString()}`;
  }

  protected override fetch(): Promise<Returns> {
    return this.app.api.get<Returns>(this.path(null));
  }

  private show(shown: Shown): void {
    this.shown = shown;
    void this.load(true);
  }

  private async loadMore(page: Returns): Promise<void> {
    this.busy = "more";
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<Returns>(this.path(page.next ?? null));
      this.replace({ returns: [...page.returns, ...rest.returns], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  /** One order that fits is opened at once. */
  private async search(text: string): Promise<void> {
    const wanted = text.trim();
    if (!wanted) {
      this.why = this.t("returns.wrong_search");
      this.querySelector<HTMLElement>("#return-search")?.focus();
      return;
    }
    this.busy = "search";
    this.why = "";
    try {
      const { orders } = await this.app.api.get<OrderPage>(`/api/orders?${new URLSearchParams({ q: wanted, state: "confirmed", limit: "10" }).toString()}`);
      this.scanning = false;
      if (orders.length === 1) location.hash = `#/returns/new/${orders[0]!.id}`;
      this.found = orders;
      if (orders.length === 0) this.why = this.t("returns.none_found");
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("orders.tab_returns")}</h1>
        <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
      ${orderTabs("returns", this.app.words)}
      ${this.app.can("orders:write") ? this.taking() : nothing}
      <div class="chips" role="group" aria-label=${this.t("desk.filter")}>${STATES.map(
        (name) => html`<button type="button" class="chip" data-testid="returns-${name}" aria-pressed=${name === this.shown ? "true" : "false"} @click=${() => this.show(name)}>${this.t(name === "all" ? "orders.view_all" : `orders.return_${name}`)}</button>`,
      )}</div>
      ${super.render()}`;
  }

  private taking(): TemplateResult {
    return html`<section class="card take-back" aria-labelledby="take-back-title"><h2 id="take-back-title">${this.t("returns.in_store")}</h2>
      <p class="quiet">${this.t("returns.in_store_hint")}</p>
      ${this.scanning
        ? html`<desk-scanner .app=${this.app} .problem=${this.why} @code=${(event: CustomEvent<string>) => void this.search(event.detail)}></desk-scanner>
            <button type="button" class="btn btn-wide" @click=${() => (this.scanning = false)}>${this.t("pickups.scan_stop")}</button>`
        : nothing}
      <form class="code-form" novalidate @submit=${(event: Event) => {
        event.preventDefault();
        void this.search(this.query);
      }}><div class="field"><label for="return-search">${this.t("returns.search")}</label>
        <div class="stock-edit"><input class="input" id="return-search" autocomplete="off" spellcheck="false" maxlength="120" data-testid="return-search" .value=${this.query}
            aria-invalid=${this.why ? "true" : nothing} aria-describedby="return-search-why" @input=${(event: Event) => (this.query = (event.target as HTMLInputElement).value)} />
          <button class="btn btn-primary" data-testid="return-find" ?disabled=${this.busy === "search"}>${this.t("pickups.find")}</button>
          ${this.scanning ? nothing : html`<button type="button" class="icon-btn" data-testid="return-scan" aria-label=${this.t("pickups.scan")} title=${this.t("pickups.scan")} @click=${() => (this.scanning = true)}>${icon("video")}</button>`}</div>
        <p class="error" id="return-search-why" role="alert">${this.scanning ? "" : this.why}</p></div></form>
      ${this.found && this.found.length > 1
        ? html`<ul class="rows">${this.found.map(
            (order) => html`<li class="row"><a class="row-main" href="#/returns/new/${order.id}"><span class="row-text"><span class="row-title">${order.number}<span class="row-name">${order.address.name}</span></span>
              <span class="quiet">${whenWords(order.placed_at, this.app.words)} · ${this.money(order.total)}</span></span>${orderBadge(order, this.app.words)}</a></li>`,
          )}</ul>`
        : nothing}</section>`;
  }

  protected override ready(page: Returns): TemplateResult {
    if (page.returns.length === 0) {
      return this.shown === "requested" ? empty(this.t("returns.empty"), this.t("returns.empty_hint")) : empty(this.t("returns.none"), this.t("returns.none_hint"));
    }
    return html`<div class="fulfilment-grid">${repeat(page.returns, ({ id }) => id, (one: Return) => html`<desk-return .app=${this.app} .returned=${one} named @changed=${() => void this.load(true)}></desk-return>`)}</div>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" ?disabled=${this.busy === "more"} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }
}
