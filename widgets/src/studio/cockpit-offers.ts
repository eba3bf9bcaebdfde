/** The offers that run now: how long, how many are left, and the hand on the switch. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { clockText } from "../state/i18n";
import { isOn, type RoomState } from "../state/reduce";
import type { RoomClient } from "../state/room";
import { picture } from "../ui/picture";
import type { Offer } from "../wire.gen";
import { icon } from "./icons";
import { kindWords, nameIn } from "./kind-words";
import { meter } from "./meter";
import { offersPath, type OfferBook } from "./offers";
import { variantName } from "./product-words";
import { explain, View } from "./view";

/** Often enough that the seconds turn when they turn. */
const TURN_MS = 250;

@customElement("studio-cockpit-offers")
export class CockpitOffers extends View {
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) book!: OfferBook;
  /** Changes with every event, so that this part is drawn again. */
  @property({ attribute: false }) version!: RoomState;
  @state() private stopping: string | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.book.addEventListener("change", this.redraw);
    this.timer = setInterval(this.turn, TURN_MS);
  }

  override disconnectedCallback(): void {
    this.book.removeEventListener("change", this.redraw);
    clearInterval(this.timer);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private readonly turn = (): void => {
    if (this.firstElementChild) this.requestUpdate();
  };

  private async stop(offer: Offer): Promise<void> {
    if (this.stopping !== null) return;
    this.stopping = offer.id;
    try {
      await this.app.api.del<unknown>(offersPath(this.version.show.id, offer.id));
      this.book.remove(offer.id);
      this.app.toast(this.t("studio.offer_stopped", { name: this.productName(offer) }), "good");
    } catch (error) {
      this.complain(error);
      void this.book.load();
    } finally {
      this.stopping = null;
    }
  }

  private productName(offer: Offer): string {
    const product = this.version.products.find(({ id }) => id === offer.product_id);
    return product?.title ?? nameIn(offer.texts, this.app.words.lang);
  }

  protected override render(): TemplateResult | typeof nothing {
    const { running, error } = this.book;
    if (error && isOn(this.version.show)) {
      return html`<div class="note note-warn offers-note" role="alert">${icon("warn")}<span>${this.t("studio.offers_unknown")} ${explain(error, this.app.words)}</span>
        <button class="btn btn-outline btn-small" @click=${() => void this.book.load()}>${this.t("studio.try_again")}</button></div>`;
    }
    if (running.length === 0) return nothing;
    return html`<section class="offers" aria-label=${this.t("studio.offers_running")}>
      <ul>${repeat(running, (offer) => offer.id, (offer) => this.card(offer))}</ul></section>`;
  }

  private card(offer: Offer): TemplateResult {
    const { words } = this.app;
    const product = this.version.products.find(({ id }) => id === offer.product_id);
    const title = this.productName(offer);
    const some = product && offer.variant_ids.length > 0 && offer.variant_ids.length < product.variants.length;
    const variants = some
      ? product.variants.filter(({ id }) => offer.variant_ids.includes(id)).map(({ values }) => variantName(values)).join(", ")
      : "";
    const name = nameIn(offer.texts, words.lang);
    const left = Math.ceil((Date.parse(offer.ends_at) - this.room.serverNow()) / 1_000);
    return html`<li class="offer" data-testid="offer-${offer.id}" data-offer=${offer.id} data-product=${offer.product_id}>
      <span class="row-picture">${picture(product?.images[0], { sizes: "3rem", alt: "" })}</span>
      <div class="offer-text"><p class="row-title">${title}</p>
        <p class="quiet">${[kindWords(offer.kind, words), variants, name === title ? "" : name].filter(Boolean).join(" · ")}</p>
        ${this.units(offer)}</div>
      <p class="offer-clock ${left <= 20 ? "is-ending" : ""}" role="timer"><span class="sr-only">${this.t("studio.offer_time_left")}</span>${icon("clock")}<span data-testid="offer-countdown">${clockText(left)}</span></p>
      ${this.app.can("shows:write")
        ? html`<button class="btn btn-outline btn-small" data-testid="stop-offer" ?disabled=${this.stopping !== null} @click=${() => void this.stop(offer)}>
            ${icon("stop")}<span>${this.t("studio.offer_stop")} <span class="sr-only">${title}</span></span></button>`
        : nothing}
    </li>`;
  }

  private units(offer: Offer): TemplateResult | typeof nothing {
    if (offer.units === null || offer.units_left === null) return nothing;
    const taken = offer.units - offer.units_left;
    return html`<div class="offer-units">
      ${meter(taken, offer.units)}
      <span data-testid="offer-units">${this.t(offer.units_left > 0 ? "studio.offer_units" : "studio.offer_units_gone", { left: offer.units_left, units: offer.units, taken })}</span></div>`;
  }
}
