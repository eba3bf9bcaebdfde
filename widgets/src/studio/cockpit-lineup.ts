/** The lineup while the show runs: one tap puts a product in focus, and the stock moves as it sells. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { isOn, type RoomState } from "../state/reduce";
import type { RoomClient } from "../state/room";
import { picture } from "../ui/picture";
import type { Offer, Pin, Product } from "../wire.gen";
import { icon } from "./icons";
import "./offer-dialog";
import type { OfferBook } from "./offers";
import { available, priceLine, stockLevel, stockWords, variantName } from "./product-words";
import { empty, View } from "./view";

@customElement("studio-cockpit-lineup")
export class CockpitLineup extends View {
  @property({ attribute: false }) room!: RoomClient;
  /** Changes with every event, so that this part is drawn again. */
  @property({ attribute: false }) version!: RoomState;
  @property({ attribute: false }) book!: OfferBook;
  @state() private busy: string | null = null;
  /** The product an offer is being made for. */
  @state() private offering: Product | null = null;

  /** Pinning is never a toggle: a second tap, or one that crosses somebody else's pin, must not take the product away. */
  private async pin(productId: string | null): Promise<void> {
    if (this.busy !== null) return;
    this.busy = productId ?? "unpin";
    const path = `/api/shows/${encodeURIComponent(this.version.show.id)}/pin`;
    try {
      if (productId) await this.app.api.put<Pin>(path, { product_id: productId });
      else await this.app.api.del<Pin>(path);
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = null;
    }
  }

  protected override render(): TemplateResult {
    const { show, products, pins } = this.version;
    const pinned = pins.at(-1)?.product_id ?? null;
    const live = isOn(show);
    return html`<header class="panel-head"><h2>${this.t("studio.lineup")} <span class="count">${products.length}</span></h2>
        ${pinned && this.app.can("shows:write")
          ? html`<button class="btn btn-outline btn-small" data-testid="unpin" ?disabled=${this.busy !== null} @click=${() => void this.pin(null)}>${icon("close")}${this.t("studio.unpin")}</button>`
          : nothing}</header>
      <div class="panel-body" tabindex="0" role="region" aria-label=${this.t("studio.lineup")}>
        ${live ? nothing : html`<p class="hint panel-hint">${this.t("studio.pin_when_live")}</p>`}
        ${products.length === 0
          ? empty(
              this.t("studio.lineup_empty"),
              this.t("studio.lineup_empty_hint"),
              this.app.can("shows:write") ? html`<a class="btn btn-outline" href="#/shows/${show.id}/edit">${this.t("studio.lineup_edit")}</a>` : nothing,
            )
          : html`<ol class="rows">${repeat(products, (product) => product.id, (product) => this.row(product, pinned, live))}</ol>`}
      </div>
      ${this.offering
        ? html`<studio-offer-dialog .app=${this.app} .showId=${show.id} .product=${this.offering} .running=${this.book.running.map(({ id }) => id).join(" ")}
            @started=${(event: CustomEvent<Offer>) => this.started(event.detail)} @ls-close=${() => (this.offering = null)}></studio-offer-dialog>`
        : nothing}`;
  }

  private started(offer: Offer): void {
    this.book.add(offer);
    this.app.toast(this.t("studio.offer_started"), "good");
  }

  private row(product: Product, pinned: string | null, live: boolean): TemplateResult {
    const isPinned = product.id === pinned;
    const left = available(product);
    return html`<li class="row lineup-row ${isPinned ? "is-pinned" : ""}" data-product=${product.id}>
      <div class="row-main">
        <span class="row-picture">${picture(product.images[0], { sizes: "3.5rem", alt: "" })}</span>
        <div class="row-text"><span class="row-title">${product.title}</span>
          <span class="quiet">${priceLine(product, this.app.words)}</span>
          <div class="stock-line"><span data-testid="stock-${product.id}">${stockWords(left, this.app.words)}</span>${this.variants(product)}</div></div>
      </div>
      ${this.app.can("shows:write")
        ? html`<div class="lineup-acts"><button class="btn ${isPinned ? "btn-primary" : "btn-outline"} pin" data-testid="pin-${product.id}" aria-pressed=${isPinned ? "true" : "false"}
            ?disabled=${!live || this.busy !== null}
            @click=${() => void this.pin(product.id)}>${icon("pin")}<span>${this.t(isPinned ? "studio.pinned" : "studio.pin")} <span class="sr-only">${product.title}</span></span></button>
            <button class="btn btn-outline pin" data-testid="offer-start-${product.id}" aria-haspopup="dialog" ?disabled=${!live}
            @click=${() => (this.offering = product)}>${icon("bolt")}<span>${this.t("studio.offer")} <span class="sr-only">${product.title}</span></span></button></div>`
        : isPinned ? html`<span class="badge badge-accent">${this.t("studio.pinned")}</span>` : nothing}
    </li>`;
  }

  private variants(product: Product): TemplateResult | typeof nothing {
    if (product.variants.length < 2) return nothing;
    return html`<details class="variants"><summary>${this.t("studio.variants", { count: product.variants.length })}</summary>
      <ul>${product.variants.map(
        (variant) => html`<li><span>${variantName(variant.values)}</span><span class="stock stock-${stockLevel(variant.available)}">${this.app.words.number(variant.available)}</span></li>`,
      )}</ul></details>`;
  }
}
