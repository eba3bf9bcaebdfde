/** Where stock lies: warehouses and stores, what each does, and when it is open. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { empty, LoadingView } from "../studio/view";
import type { Location, Locations } from "../wire.gen";
import { hoursLine } from "./hours";
import { stockTabs } from "./order-tabs";

@customElement("desk-stores")
export class Stores extends LoadingView<Locations> {
  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("orders.tab_stores")} · ${this.app.shop.name}`;
  }

  protected override fetch(): Promise<Locations> {
    return this.app.api.get<Locations>("/api/locations");
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("orders.tab_stores")}</h1>
        ${this.app.can("catalog:write") ? html`<a class="btn btn-primary" href="#/stores/new" data-testid="new-store">${icon("plus")}${this.t("stores.new")}</a>` : nothing}</div>
      ${stockTabs("stores", this.app)}${super.render()}`;
  }

  protected override ready({ locations }: Locations): TemplateResult {
    if (locations.length === 0) return empty(this.t("stores.empty"), this.t("stores.empty_hint"));
    return html`<p class="hint">${this.t("stores.order_hint")}</p><ul class="fulfilment-grid">${locations.map((one) => this.card(one))}</ul>`;
  }

  private card(one: Location): TemplateResult {
    const { words } = this.app;
    return html`<li class="card fulfilment" data-testid="store" data-id=${one.id}><header class="fulfilment-head"><div><h2>${one.name}</h2><p class="quiet">${this.t(`stores.kind_${one.kind}`)}</p></div>
        ${this.app.can("catalog:write") ? html`<a class="icon-btn" href="#/stores/${one.id}" data-testid="edit-store" aria-label=${this.t("stores.edit", { name: one.name })} title=${this.t("studio.edit")}>${icon("edit")}</a>` : nothing}</header>
      ${one.address ? html`<address>${one.address.line1}<br />${one.address.line2 ? html`${one.address.line2}<br />` : nothing}${one.address.postal_code} ${one.address.city}, ${words.country(one.address.country)}</address>` : nothing}
      ${one.phone ? html`<p><a class="link" href="tel:${one.phone.replace(/[^+\d]/g, "")}">${one.phone}</a></p>` : nothing}
      <p class="badges">${one.is_pickup ? html`<span class="badge badge-accent">${this.t("stores.does_pickup")}</span>` : nothing}${one.is_shipping ? html`<span class="badge">${this.t("stores.does_shipping")}</span>` : nothing}</p>
      ${one.hours ? html`<p class="quiet">${hoursLine(one.hours, words)}</p>` : one.is_pickup ? html`<p class="note note-warn">${icon("warn")}<span>${this.t("stores.no_hours")}</span></p>` : nothing}</li>`;
  }
}
