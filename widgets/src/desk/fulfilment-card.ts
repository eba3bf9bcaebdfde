/** One fulfilment: what goes from where to whom, and the one thing to do next. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { I18n } from "../state/i18n";
import { icon, type IconName } from "../studio/icons";
import { dayWords, fulfilmentBadge, promiseWords } from "../studio/order-words";
import { View } from "../studio/view";
import type { Fulfilment } from "../wire.gen";
import "./act-dialog";

type Act = "ship" | "ready" | "deliver";

interface Next {
  act: Act;
  label: string;
  icon: IconName;
}

/** What somebody has to do with it next; null: nothing, or the buyer's part. */
export function nextOf(fulfilment: Fulfilment): Next | null {
  const { kind, state } = fulfilment;
  if (kind === "pickup_in_store") return state === "open" ? { act: "ready", label: "orders.act_aside", icon: "check" } : null;
  if (kind === "ship_to_store") {
    if (state === "open") return { act: "ship", label: "orders.act_send", icon: "truck" };
    return state === "shipped" ? { act: "ready", label: "orders.act_arrived", icon: "check" } : null;
  }
  if (state === "open") return { act: "ship", label: "orders.act_ship", icon: "truck" };
  return state === "shipped" ? { act: "deliver", label: "orders.act_delivered", icon: "check" } : null;
}

/** Fires "changed" when the server did something. `named`: the order stands on the card, for lists of many. */
@customElement("desk-fulfilment")
export class FulfilmentCard extends View {
  @property({ attribute: false }) fulfilment!: Fulfilment;
  @property({ type: Boolean }) named = false;
  @state() private busy = false;
  @state() private shipping = false;

  private async act(next: Next): Promise<void> {
    if (next.act === "ship") {
      this.shipping = true;
      return;
    }
    this.busy = true;
    try {
      await this.app.api.post(`/api/fulfilments/${encodeURIComponent(this.fulfilment.id)}/${next.act}`);
      this.changed();
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }

  private changed(): void {
    this.shipping = false;
    this.app.toast(this.t("orders.done"), "good");
    this.dispatchEvent(new CustomEvent("changed"));
  }

  protected override render(): TemplateResult {
    const one = this.fulfilment;
    const next = this.app.can("orders:write") ? nextOf(one) : null;
    const route = this.t(`orders.kind_${one.kind}`, { place: one.location, store: one.store ?? "" });
    return html`<article class="card fulfilment" data-testid="fulfilment" data-id=${one.id} data-state=${one.state} data-kind=${one.kind}>
      <header class="fulfilment-head"><div>
          ${this.named ? html`<h3><a href="#/orders/${one.order_id}">${one.order_number}</a> <span class="row-name">${one.recipient}</span></h3><p class="quiet">${route}</p>` : html`<h3>${route}</h3>`}</div>
        ${fulfilmentBadge(one.state, this.app.words)}</header>
      <ul class="pieces">${one.items.map(
        (item) => html`<li><span class="pieces-count">${this.app.words.number(item.pieces)} ×</span><span>${item.title} <code>${item.sku}</code></span></li>`,
      )}</ul>
      ${this.facts(one)}
      ${next
        ? html`<button class="btn btn-primary btn-wide" data-testid="act-${next.act}" ?disabled=${this.busy} @click=${() => void this.act(next)}>${icon(next.icon)}${this.t(next.label)}</button>`
        : nothing}
      ${this.shipping
        ? html`<desk-ship-dialog .app=${this.app} .fulfilmentId=${one.id} .toStore=${one.kind === "ship_to_store"} .label=${this.t(one.kind === "ship_to_store" ? "orders.act_send" : "orders.act_ship")}
            .yes=${this.t("orders.act_shipped")} @ls-close=${() => (this.shipping = false)} @done=${() => this.changed()}></desk-ship-dialog>`
        : nothing}
    </article>`;
  }

  private facts(one: Fulfilment): TemplateResult | typeof nothing {
    const { words } = this.app;
    const facts: TemplateResult[] = [];
    const isOpen = one.state === "open" || one.state === "shipped";
    if (one.carrier || one.tracking) facts.push(html`<p class="quiet">${icon("truck")}<span>${one.carrier} ${one.tracking ? html`<code>${one.tracking}</code>` : nothing}</span></p>`);
    if (one.promise && isOpen) facts.push(html`<p class="quiet">${icon("clock")}<span>${this.t(one.store ? "orders.promised_ready" : "orders.promised_there", { when: promiseWords(one.promise, words) })}</span></p>`);
    if (one.state === "ready" && one.collect_until) facts.push(html`<p class="quiet">${icon("clock")}<span>${this.t("orders.kept_until", { when: lastDay(one.collect_until, words) })}</span></p>`);
    return facts.length > 0 ? html`<div class="fulfilment-facts">${facts}</div>` : nothing;
  }
}

/** The last day on which it can be collected: kept until midnight is kept until the day before. */
function lastDay(until: string, words: I18n): string {
  return dayWords(new Date(Date.parse(until) - 1_000).toISOString(), words);
}
