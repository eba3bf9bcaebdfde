/**
 * What lies here for the buyer who stands at the counter, and handing it over.
 * Money first: what is to be paid at the till must be confirmed before anything can be handed over.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "../studio/icons";
import { fulfilmentBadge, whenWords } from "../studio/order-words";
import { explain, View } from "../studio/view";
import type { CollectInput, Pickup, PickupItem } from "../wire.gen";

/** Fires "ls-close" when the next buyer may come, "changed" when something was handed over. */
@customElement("desk-hand-over")
export class HandOver extends View {
  @property({ attribute: false }) pickup!: Pickup;
  @property() code = "";
  /** The store this desk stands in. */
  @property() storeId = "";
  /** By item: how many are handed over; absent: all. */
  @state() private counts: ReadonlyMap<string, number> = new Map();
  @state() private paid = false;
  @state() private busy = false;
  @state() private why = "";
  /** What was handed over, and what the server answered: whoever holds this element still has what was found. */
  @state() private handed: { pieces: number; rest: Pickup } | null = null;

  private get current(): Pickup {
    return this.handed?.rest ?? this.pickup;
  }

  private get here(): PickupItem[] {
    return this.current.items.filter((item) => item.is_here && item.state === "ready");
  }

  private count(item: PickupItem): number {
    return this.counts.get(keyOf(item)) ?? item.pieces;
  }

  private set(item: PickupItem, count: number): void {
    this.counts = new Map(this.counts).set(keyOf(item), count);
  }

  private async collect(event: Event): Promise<void> {
    event.preventDefault();
    const chosen = this.here.filter((item) => this.count(item) > 0);
    if (chosen.length === 0) {
      this.why = this.t("pickups.nothing_chosen");
      return;
    }
    if (this.pickup.to_pay && !this.paid) {
      this.why = this.t("pickups.pay_first");
      this.querySelector<HTMLElement>("#paid")?.focus();
      return;
    }
    this.busy = true;
    this.why = "";
    const pieces = chosen.reduce((sum, item) => sum + this.count(item), 0);
    const input: CollectInput = {
      items: chosen.map((item) => ({ fulfilment_id: item.fulfilment_id, position: item.position, variant_id: item.variant_id, pieces: this.count(item) })),
      paid: this.pickup.to_pay !== null && this.paid,
      store_id: this.storeId,
    };
    try {
      this.handed = { pieces, rest: await this.app.api.post<Pickup>(`/api/pickups/${encodeURIComponent(this.code)}/collect`, input) };
      this.dispatchEvent(new CustomEvent("changed"));
      void this.updateComplete.then(() => this.querySelector<HTMLElement>(".handed")?.focus());
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    const { pickup } = this;
    return html`<section class="card hand-over" aria-labelledby="hand-over-title" data-testid="hand-over">
      <header class="fulfilment-head"><div><h2 id="hand-over-title">${pickup.name}</h2>
          <p class="quiet"><a href="#/orders/${pickup.order_id}">${pickup.order_number}</a> · ${pickup.store}</p></div>
        <button class="icon-btn" aria-label=${this.t("studio.close")} @click=${() => this.close()}>${icon("close")}</button></header>
      ${this.handed === null ? this.body() : this.success(this.handed.pieces)}</section>`;
  }

  private success(pieces: number): TemplateResult {
    const left = this.here.length;
    return html`<div class="handed" tabindex="-1" role="status" data-testid="handed-over"><span class="handed-mark" aria-hidden="true">${icon("check")}</span>
        <p><strong>${this.t("pickups.handed", { count: pieces })}</strong></p>
        ${left > 0 ? html`<p class="quiet">${this.t("pickups.rest_stays")}</p>` : this.current.collected_at ? html`<p class="quiet">${this.t("pickups.all_collected")}</p>` : html`<p class="quiet">${this.t("pickups.more_comes")}</p>`}</div>
      <button class="btn btn-primary btn-wide" data-testid="next-buyer" @click=${() => this.close()}>${this.t("pickups.next")}</button>`;
  }

  private body(): TemplateResult {
    const { pickup } = this;
    if (this.storeId && pickup.store_id !== this.storeId) {
      return html`<p class="note note-warn" data-testid="wrong-store">${icon("warn")}<span>${this.t("pickups.wrong_store", { store: pickup.store })}</span></p>`;
    }
    if (pickup.collected_at) {
      return html`<p class="note note-warn" data-testid="already-collected">${icon("warn")}<span>${this.t("pickups.already", { when: whenWords(pickup.collected_at, this.app.words) })}</span></p>${this.elsewhere()}`;
    }
    if (this.here.length === 0) return html`<p class="note note-warn" data-testid="nothing-here">${icon("info")}<span>${this.t("pickups.nothing_here")}</span></p>${this.elsewhere()}`;
    if (!this.app.can("orders:write")) return html`<ul class="pieces">${this.here.map((item) => this.piece(item))}</ul>${this.elsewhere()}`;
    return html`<form class="stack" novalidate @submit=${(event: Event) => void this.collect(event)}>
      <ul class="hand-items">${repeat(this.here, keyOf, (item) => this.item(item))}</ul>
      ${this.elsewhere()}
      ${pickup.to_pay
        ? html`<label class="to-pay"><input type="checkbox" id="paid" data-testid="paid" .checked=${this.paid} @change=${(event: Event) => (this.paid = (event.target as HTMLInputElement).checked)} />
            <span><strong>${this.t("pickups.take_first", { amount: this.money(pickup.to_pay) })}</strong><span class="quiet">${this.t("pickups.taken")}</span></span></label>`
        : nothing}
      <div role="alert">${this.why ? html`<p class="problem" data-testid="collect-problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
      <button class="btn btn-primary btn-wide btn-scan" data-testid="collect" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon("check")}${this.t("pickups.hand_over")}</button>
    </form>`;
  }

  private item(item: PickupItem): TemplateResult {
    const count = this.count(item);
    return html`<li data-testid="pickup-item"><label class="check check-block"><input type="checkbox" .checked=${count > 0} @change=${(event: Event) => this.set(item, (event.target as HTMLInputElement).checked ? item.pieces : 0)} />
        <span>${item.title}<span class="quiet"><code>${item.sku}</code></span></span></label>
      ${item.pieces === 1
        ? html`<span class="pieces-count">1 ×</span>`
        : html`<span class="stepper"><button type="button" class="icon-btn" aria-label=${this.t("pickups.fewer", { title: item.title })} ?disabled=${count === 0} @click=${() => this.set(item, count - 1)}>${icon("minus")}</button>
            <output aria-label=${item.title}>${this.t("pickups.of", { count, total: item.pieces })}</output>
            <button type="button" class="icon-btn" aria-label=${this.t("pickups.more", { title: item.title })} ?disabled=${count === item.pieces} @click=${() => this.set(item, count + 1)}>${icon("plus")}</button></span>`}</li>`;
  }

  private piece(item: PickupItem): TemplateResult {
    return html`<li><span class="pieces-count">${this.app.words.number(item.pieces)} ×</span><span>${item.title} <code>${item.sku}</code></span></li>`;
  }

  /** What belongs to the order and cannot be handed over now. */
  private elsewhere(): TemplateResult | typeof nothing {
    const others = this.current.items.filter((item) => !this.here.includes(item) && item.state !== "collected" && item.state !== "cancelled");
    if (others.length === 0) return nothing;
    return html`<div><h3 class="section-title">${this.t("pickups.not_here")}</h3>
      <ul class="pieces">${others.map((item) => html`<li><span class="pieces-count">${this.app.words.number(item.pieces)} ×</span><span>${item.title} ${fulfilmentBadge(item.state, this.app.words)}</span></li>`)}</ul></div>`;
  }
}

function keyOf(item: PickupItem): string {
  return `${item.fulfilment_id} ${item.position} ${item.variant_id}`;
}
