/** One return: what shall come back and why; for who may, its inspection. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { refundBadge, returnBadge, whenWords } from "../studio/order-words";
import { View } from "../studio/view";
import type { Location, Locations, Return } from "../wire.gen";
import { ActDialog } from "./act-dialog";
import { freshInspection, INSPECTION_FIELDS, inspectionFields, inspectionInput, inspectionProblems, type Inspection } from "./inspection";
import { ownStore } from "./kept";

/** Receives a return. */
@customElement("desk-inspection-dialog")
export class InspectionDialog extends ActDialog {
  @property({ attribute: false }) returned!: Return;
  @property({ attribute: false }) locations: Location[] = [];
  @state() private draft: Inspection | null = null;

  private get inspection(): Inspection {
    return this.draft ?? freshInspection(this.returned.lines, startingPlace(this.locations, this.returned));
  }

  protected override problems(): Whys {
    return inspectionProblems(this.inspection, this.returned.lines, this.app.shop.currency, this.app.words);
  }

  protected override refusal(error: unknown): Whys {
    return whysOf(error, this.app.words, INSPECTION_FIELDS);
  }

  protected override async send(): Promise<void> {
    const input = inspectionInput(this.inspection, this.returned.lines, this.app.shop.currency, this.app.words);
    const answer = await this.app.api.post<Return>(`/api/returns/${encodeURIComponent(this.returned.id)}/receive`, input);
    const { refund } = answer;
    this.app.toast(refund ? this.t("orders.return_done", { amount: this.money(refund.amount) }) : this.t("orders.return_done_nothing"), "good");
  }

  protected override fields(whys: Whys): TemplateResult {
    return inspectionFields(this.inspection, this.returned.lines, this.locations, this.app.shop.currency, this.app.words, whys, (change) => {
      this.draft = { ...this.inspection, ...change };
    });
  }
}

/** The place goods are most likely received at: this desk's store or the only one, else the first warehouse. */
export function startingPlace(locations: readonly Location[], returned: Pick<Return, "kind">): string {
  const stores = locations.filter(({ kind }) => kind === "store");
  const store = stores.find(({ id }) => id === ownStore()) ?? (stores.length === 1 ? stores[0] : undefined);
  const warehouse = locations.find(({ kind }) => kind === "warehouse");
  const place = returned.kind === "in_store" ? store : (warehouse ?? store);
  return place?.id ?? "";
}

/** Fires "changed" when the server did something. `named`: the order stands on the card, for lists of many. */
@customElement("desk-return")
export class ReturnCard extends View {
  @property({ attribute: false }) returned!: Return;
  @property({ type: Boolean }) named = false;
  @state() private dialog: "receive" | "refuse" | "withdraw" | null = null;
  @state() private locations: Location[] = [];

  private async receive(): Promise<void> {
    try {
      this.locations = (await this.app.api.get<Locations>("/api/locations")).locations;
      this.dialog = "receive";
    } catch (error) {
      this.complain(error);
    }
  }

  private changed(): void {
    this.dialog = null;
    this.dispatchEvent(new CustomEvent("changed"));
  }

  protected override render(): TemplateResult {
    const one = this.returned;
    const { words } = this.app;
    return html`<article class="card fulfilment" data-testid="return" data-id=${one.id} data-state=${one.state}>
      <header class="fulfilment-head"><div>${this.named ? html`<h3><a href="#/orders/${one.order_id}">${one.order_number}</a></h3>` : html`<h3>${this.t(`orders.return_${one.kind}`)}</h3>`}
        <p class="quiet">${this.named ? html`${this.t(`orders.return_${one.kind}`)} · ` : nothing}<time datetime=${one.created_at}>${whenWords(one.created_at, words)}</time></p></div>${returnBadge(one.state, words)}</header>
      <ul class="pieces">${one.lines.map(
        (line) => html`<li><span class="pieces-count">${words.number(line.quantity)} ×</span><span>${line.title} <code>${line.sku}</code>
          <span class="quiet">${this.t(`orders.reason_${line.reason}`)}${line.note ? html` · “${line.note}”` : nothing}${line.accepted === null
            ? nothing
            : html` · ${this.t("orders.inspected", { accepted: line.accepted, restocked: line.restocked ?? 0 })}`}</span></span></li>`,
      )}</ul>
      ${one.note ? html`<p class="quiet">“${one.note}”</p>` : nothing}
      ${one.refund ? html`<p data-testid="return-refund">${this.t("orders.refund_of", { amount: this.money(one.refund.amount) })} ${refundBadge(one.refund.state, words)}</p>` : nothing}
      ${one.state === "requested" && this.app.can("orders:write")
        ? html`<div class="connection-acts"><button class="btn btn-primary" data-testid="return-receive" @click=${() => void this.receive()}>${icon("check")}${this.t("orders.act_inspect")}</button>
            <button class="btn btn-outline" data-testid="return-refuse" @click=${() => (this.dialog = "refuse")}>${this.t("orders.act_refuse")}</button>
            <button class="btn btn-outline" data-testid="return-withdraw" @click=${() => (this.dialog = "withdraw")}>${this.t("orders.act_withdraw")}</button></div>`
        : nothing}
      ${this.asked(one)}
    </article>`;
  }

  private asked(one: Return): TemplateResult | typeof nothing {
    if (this.dialog === null) return nothing;
    const close = (): void => void (this.dialog = null);
    if (this.dialog === "receive") {
      return html`<desk-inspection-dialog .app=${this.app} .returned=${one} .locations=${this.locations} .label=${this.t("orders.inspection_of", { number: one.order_number })}
        .yes=${this.t("orders.act_receive")} @ls-close=${close} @done=${() => this.changed()}></desk-inspection-dialog>`;
    }
    return html`<desk-note-dialog .app=${this.app} .path=${`/api/returns/${encodeURIComponent(one.id)}/${this.dialog}`} .label=${this.t(`orders.ask_${this.dialog}`)}
      .text=${this.t(`orders.ask_${this.dialog}_text`)} .yes=${this.t(`orders.act_${this.dialog}`)} .noteRequired=${this.dialog === "refuse"} ?danger=${this.dialog === "refuse"}
      @ls-close=${close} @done=${() => this.changed()}></desk-note-dialog>`;
  }
}

