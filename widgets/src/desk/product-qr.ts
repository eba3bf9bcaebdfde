/** A code for the shelf: whoever scans it beside the goods opens the product in the shop's show, and buys on the phone. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { selectField } from "../studio/fields";
import { icon } from "../studio/icons";
import { View } from "../studio/view";
import "../ui/dialog";
import type { Location, Product, Show } from "../wire.gen";
import { ownStore } from "./kept";

/** Fires "ls-close". */
@customElement("desk-product-qr")
export class ProductQr extends View {
  @property({ attribute: false }) product!: Product;
  @property({ attribute: false }) locations: Location[] = [];
  @state() private storeId = ownStore();
  @state() private showId = "";
  @state() private shows: Show[] = [];
  @state() private failed = false;

  override connectedCallback(): void {
    super.connectedCallback();
    // Without shows to choose from, the code leads to whichever show has the product.
    void this.app.api
      .get<{ shows: Show[] }>("/api/shows")
      .then(({ shows }) => (this.shows = shows.filter(({ state }) => state === "live" || state === "scheduled")))
      .catch(() => undefined);
  }

  private get address(): string {
    const query = new URLSearchParams();
    if (this.storeId) query.set("store", this.storeId);
    if (this.showId) query.set("show", this.showId);
    const text = query.toString();
    return `/api/products/${encodeURIComponent(this.product.id)}/qr.svg${text ? `?${text}` : ""}`;
  }

  protected override render(): TemplateResult {
    const stores = this.locations.filter(({ kind }) => kind === "store");
    const store = stores.find(({ id }) => id === this.storeId);
    return html`<ls-dialog .open=${true} .label=${this.t("stores.qr")} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.dispatchEvent(new CustomEvent("ls-close"))}>
      <div class="stack" data-testid="qr-dialog"><p class="quiet">${this.t("stores.qr_hint")}</p>
        ${stores.length > 0
          ? selectField({
              id: "qr-store",
              label: this.t("orders.store"),
              value: store ? this.storeId : "",
              testid: "qr-store",
              change: (value) => (this.storeId = value),
              choices: [{ value: "", label: this.t("stores.qr_no_store") }, ...stores.map(({ id, name }) => ({ value: id, label: name }))],
            })
          : nothing}
        ${this.shows.length > 0
          ? selectField({
              id: "qr-show",
              label: this.t("stores.qr_show"),
              value: this.showId,
              testid: "qr-show",
              change: (value) => (this.showId = value),
              choices: [{ value: "", label: this.t("stores.qr_any_show") }, ...this.shows.map(({ id, title }) => ({ value: id, label: title }))],
            })
          : nothing}
        ${this.failed
          ? html`<p class="problem" role="alert">${icon("warn")}<span>${this.t("stores.qr_failed")}</span></p>`
          : html`<figure class="shelf-card"><img src=${this.address} alt=${this.t("stores.qr_of", { title: this.product.title })} width="240" height="240" data-testid="qr-picture"
                @error=${() => (this.failed = true)} @load=${() => (this.failed = false)} />
              <figcaption><strong>${this.product.title}</strong><span>${this.t("stores.qr_says")}</span>${store ? html`<span class="quiet">${store.name}</span>` : nothing}</figcaption></figure>`}
        <button class="btn btn-primary btn-wide" data-testid="qr-print" ?disabled=${this.failed} @click=${() => print()}>${icon("external")}${this.t("stores.qr_print")}</button></div></ls-dialog>`;
  }
}
