/** The counter of a store: who collects now, what is to be put aside, and what waits for its buyer. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { selectField } from "../studio/fields";
import { icon } from "../studio/icons";
import { empty, explain, LoadingView } from "../studio/view";
import type { Fulfilment, Fulfilments, Location, Locations, Pickup } from "../wire.gen";
import "./code-entry";
import "./fulfilment-card";
import "./hand-over";
import { chooseStore, ownStore } from "./kept";
import { orderTabs } from "./order-tabs";

const LIMIT = 100;

interface Counter {
  stores: Location[];
  storeId: string;
  fulfilments: Fulfilment[];
}

@customElement("desk-pickups")
export class Pickups extends LoadingView<Counter> {
  @state() private pickup: Pickup | null = null;
  @state() private code = "";
  @state() private why = "";
  @state() private busy = false;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("orders.tab_pickups")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Counter> {
    const { locations } = await this.app.api.get<Locations>("/api/locations");
    const stores = locations.filter(({ is_pickup }) => is_pickup);
    const kept = ownStore();
    const storeId = stores.some(({ id }) => id === kept) ? kept : stores.length === 1 ? stores[0]!.id : "";
    if (!storeId) return { stores, storeId, fulfilments: [] };
    const lists = await Promise.all(
      (["open", "shipped", "ready"] as const).map((name) => this.app.api.get<Fulfilments>(`/api/fulfilments?${new URLSearchParams({ store_id: storeId, state: name, limit: String(LIMIT) }).toString()}`)),
    );
    return { stores, storeId, fulfilments: lists.flatMap(({ fulfilments }) => fulfilments) };
  }

  private choose(id: string): void {
    chooseStore(id);
    this.pickup = null;
    this.why = "";
    void this.load(true);
  }

  private async find(code: string, storeId: string): Promise<void> {
    this.busy = true;
    this.why = "";
    try {
      this.pickup = await this.app.api.get<Pickup>(`/api/pickups/${encodeURIComponent(code)}?store_id=${encodeURIComponent(storeId)}`);
      this.code = code;
      void this.updateComplete.then(() => this.querySelector("desk-hand-over")?.scrollIntoView({ block: "nearest" }));
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private done(): void {
    this.pickup = null;
    this.code = "";
    void this.load(true);
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-testid=scan]")?.focus());
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("orders.tab_pickups")}</h1>
        <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
      ${orderTabs("pickups", this.app.words)}${super.render()}`;
  }

  protected override ready(counter: Counter): TemplateResult {
    const { stores, storeId } = counter;
    if (stores.length === 0) {
      return empty(this.t("pickups.no_store"), this.t("pickups.no_store_hint"), this.app.can("catalog:write") ? html`<a class="btn btn-primary" href="#/stores">${this.t("orders.tab_stores")}</a>` : nothing);
    }
    return html`<div class="counter-top">${stores.length > 1
        ? selectField({
            id: "own-store",
            label: this.t("pickups.own_store"),
            value: storeId,
            testid: "own-store",
            hint: storeId ? "" : this.t("pickups.own_store_hint"),
            change: (value) => this.choose(value),
            choices: [...(storeId ? [] : [{ value: "", label: this.t("orders.choose") }]), ...stores.map(({ id, name }) => ({ value: id, label: name }))],
          })
        : html`<p class="quiet">${stores[0]!.name}</p>`}</div>
      ${storeId ? this.counter(counter) : nothing}`;
  }

  private counter({ storeId, fulfilments }: Counter): TemplateResult {
    const of = (test: (one: Fulfilment) => boolean): Fulfilment[] => fulfilments.filter(test);
    return html`<div class="counter-columns"><div class="counter-desk">
        ${this.pickup
          ? html`<desk-hand-over .app=${this.app} .pickup=${this.pickup} .code=${this.code} .storeId=${storeId} @ls-close=${() => this.done()} @changed=${() => void this.load(true)}></desk-hand-over>`
          : !this.app.can("orders:write")
            ? html`<p class="note">${icon("lock")}<span>${this.t("pickups.may_not")}</span></p>`
            : html`<section class="card" aria-labelledby="scan-title"><h2 id="scan-title">${this.t("pickups.who_collects")}</h2>
              <desk-code-entry .app=${this.app} .why=${this.why} .busy=${this.busy} @code=${(event: CustomEvent<string>) => void this.find(event.detail, storeId)}></desk-code-entry></section>`}
      </div><div class="counter-lists">
        ${fulfilments.length === 0 ? empty(this.t("pickups.empty"), this.t("pickups.empty_hint")) : nothing}
        ${this.list("aside", of(({ kind, state }) => kind === "pickup_in_store" && state === "open"))}
        ${this.list("coming", of(({ kind, state }) => kind === "ship_to_store" && (state === "open" || state === "shipped")))}
        ${this.list("waiting", of(({ state }) => state === "ready"))}
      </div></div>`;
  }

  private list(name: "aside" | "coming" | "waiting", shown: Fulfilment[]): TemplateResult | typeof nothing {
    if (shown.length === 0) return nothing;
    return html`<section class="group" aria-labelledby="list-${name}" data-testid="list-${name}"><h2 id="list-${name}">${this.t(`pickups.list_${name}`)} <span class="count">${this.app.words.number(shown.length)}</span></h2>
      <div class="fulfilment-grid">${repeat(shown, ({ id }) => id, (one) => html`<desk-fulfilment .app=${this.app} .fulfilment=${one} named @changed=${() => void this.load(true)}></desk-fulfilment>`)}</div></section>`;
  }
}
