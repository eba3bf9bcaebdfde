/**
 * Goods taken back over the counter in one go: what, why, in which state, and the refund.
 * The server knows two steps, the return and its inspection. When the second is refused, the first is not done again.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { focusFirstWrong, selectField, whyFor, whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { refundBadge } from "../studio/order-words";
import { variantName } from "../studio/product-words";
import { LoadingView } from "../studio/view";
import type { Location, Locations, OrderProgress, Return, Returnable, ReturnLineInput } from "../wire.gen";
import { freshInspection, INSPECTION_FIELDS, inspectionFields, inspectionInput, inspectionProblems, type Inspection, type Returned } from "./inspection";
import { startingPlace } from "./return-card";

export const REASONS = ["changed_mind", "too_small", "too_large", "not_as_described", "damaged", "wrong_item", "too_late", "other"] as const;
type Reason = (typeof REASONS)[number];

interface Bought {
  progress: OrderProgress;
  locations: Location[];
}

interface Choice {
  quantity: number;
  reason: Reason | "";
}

@customElement("desk-take-back")
export class TakeBack extends LoadingView<Bought> {
  @property() orderId = "";
  /** By position of the order's line. */
  @state() private chosen: ReadonlyMap<number, Choice> = new Map();
  @state() private draft: Inspection | null = null;
  @state() private whys: Whys = {};
  @state() private busy = false;
  @state() private result: Return | null = null;
  /** What the server has noted already. */
  private requested: Return | null = null;

  protected override async fetch(): Promise<Bought> {
    const [progress, { locations }] = await Promise.all([
      this.app.api.get<OrderProgress>(`/api/orders/${encodeURIComponent(this.orderId)}/progress`),
      this.app.api.get<Locations>("/api/locations"),
    ]);
    document.title = `${this.t("orders.act_take_back")} · ${this.app.shop.name}`;
    return { progress, locations };
  }

  private choose(line: Returnable, change: Partial<Choice>): void {
    const choice = { quantity: 0, reason: "" as const, ...this.chosen.get(line.position), ...change };
    this.chosen = new Map(this.chosen).set(line.position, choice);
    this.whys = {};
  }

  private lines(bought: Bought): Returned[] {
    return bought.progress.returnable.flatMap((line) => {
      const choice = this.chosen.get(line.position);
      if (!choice || choice.quantity === 0) return [];
      const sku = bought.progress.order.lines[line.position]?.sku ?? "";
      return [{ position: line.position, title: title(line), sku, quantity: choice.quantity, reason: choice.reason || "other", note: null }];
    });
  }

  private next(event: Event, bought: Bought): void {
    event.preventDefault();
    const whys: Record<string, string> = {};
    const lines = this.lines(bought);
    if (lines.length === 0) whys[""] = this.t("returns.wrong_nothing");
    for (const { position } of lines) if (!this.chosen.get(position)?.reason) whys[`reason.${position}`] = this.t("returns.wrong_reason");
    this.whys = whys;
    if (Object.keys(whys).length > 0) {
      void this.updateComplete.then(() => focusFirstWrong(this));
      return;
    }
    this.draft = freshInspection(lines, startingPlace(bought.locations, { kind: "in_store" }));
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("#inspect-title")?.focus());
  }

  private async finish(event: Event, bought: Bought, draft: Inspection): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    const { api, words, shop } = this.app;
    const lines = this.lines(bought);
    this.whys = inspectionProblems(draft, lines, shop.currency, words);
    if (Object.keys(this.whys).length > 0) {
      void this.updateComplete.then(() => focusFirstWrong(this));
      return;
    }
    this.busy = true;
    try {
      const asked: ReturnLineInput[] = lines.map(({ position, quantity, reason }) => ({ position, quantity, reason }));
      this.requested ??= await api.post<Return>(`/api/orders/${encodeURIComponent(this.orderId)}/returns`, { kind: "in_store", lines: asked });
      this.result = await api.post<Return>(`/api/returns/${encodeURIComponent(this.requested.id)}/receive`, inspectionInput(draft, lines, shop.currency, words));
      void this.updateComplete.then(() => this.querySelector<HTMLElement>(".handed")?.focus());
    } catch (error) {
      this.whys = whysOf(error, words, INSPECTION_FIELDS);
      void this.updateComplete.then(() => focusFirstWrong(this));
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="sheet take-back-sheet"><div class="page-bar"><a class="icon-btn" href="#/returns" aria-label=${this.t("studio.back")}>${icon("back")}</a><h1>${this.t("orders.act_take_back")}</h1></div>${super.render()}</div>`;
  }

  protected override ready(bought: Bought): TemplateResult {
    const { order, returns } = bought.progress;
    const announced = returns.filter((one) => one.state === "requested" && one.id !== this.requested?.id);
    return html`<p class="quiet"><a href="#/orders/${order.id}">${order.number}</a> · ${order.address.name}</p>
      ${this.result
        ? this.success(this.result)
        : html`${announced.length > 0
              ? html`<section class="stack" aria-labelledby="announced"><h2 id="announced" class="section-title">${this.t("returns.announced")}</h2>
                  ${announced.map((one) => html`<desk-return .app=${this.app} .returned=${one} @changed=${() => void this.load(true)}></desk-return>`)}</section>`
              : nothing}
            ${this.draft ? this.inspection(bought, this.draft) : this.choosing(bought)}`}`;
  }

  private choosing(bought: Bought): TemplateResult {
    const able = bought.progress.returnable.filter(({ quantity }) => quantity > 0);
    if (able.length === 0) return html`<p class="note note-warn" data-testid="not-returnable">${icon("info")}<span>${this.t("returns.nothing_left")}</span></p>`;
    return html`<form class="card" novalidate @submit=${(event: Event) => this.next(event, bought)}><h2>${this.t("returns.what")}</h2>
      <ul class="inspected">${able.map((line) => this.line(line))}</ul>
      ${this.problem()}
      <button class="btn btn-primary btn-wide" data-testid="to-inspection">${this.t("returns.to_inspection")}</button></form>`;
  }

  private line(line: Returnable): TemplateResult {
    const choice = this.chosen.get(line.position) ?? { quantity: 0, reason: "" };
    const name = title(line);
    return html`<li data-testid="returnable" data-position=${line.position}><div class="return-choice"><p><strong>${name}</strong> <span class="quiet">${this.t("returns.each", { amount: this.money(line.unit_refund) })}</span></p>
        <span class="stepper"><button type="button" class="icon-btn" data-testid="fewer" aria-label=${this.t("pickups.fewer", { title: name })} ?disabled=${choice.quantity === 0} @click=${() => this.choose(line, { quantity: choice.quantity - 1 })}>${icon("minus")}</button>
          <output aria-label=${name}>${this.t("pickups.of", { count: choice.quantity, total: line.quantity })}</output>
          <button type="button" class="icon-btn" data-testid="more" aria-label=${this.t("pickups.more", { title: name })} ?disabled=${choice.quantity === line.quantity} @click=${() => this.choose(line, { quantity: choice.quantity + 1 })}>${icon("plus")}</button></span></div>
      ${choice.quantity > 0
        ? selectField({
            id: `reason-${line.position}`,
            label: this.t("returns.reason"),
            about: name,
            value: choice.reason,
            testid: "reason",
            why: whyFor(this.whys, `reason.${line.position}`),
            change: (value) => this.choose(line, { reason: value as Reason }),
            choices: [...(choice.reason ? [] : [{ value: "", label: this.t("orders.choose") }]), ...REASONS.map((reason) => ({ value: reason, label: this.t(`orders.reason_${reason}`) }))],
          })
        : nothing}</li>`;
  }

  private inspection(bought: Bought, draft: Inspection): TemplateResult {
    const { currency } = this.app.shop;
    return html`<form class="card" novalidate @submit=${(event: Event) => void this.finish(event, bought, draft)}><h2 id="inspect-title" tabindex="-1">${this.t("returns.inspect")}</h2>
      ${inspectionFields(draft, this.lines(bought), bought.locations, currency, this.app.words, this.whys, (change) => {
        this.draft = { ...draft, ...change };
      })}
      ${this.problem()}
      <div class="actions"><button type="button" class="btn" ?disabled=${this.busy || this.requested !== null} @click=${() => (this.draft = null)}>${this.t("studio.back")}</button>
        <button class="btn btn-primary" data-testid="take-back-done" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.t("orders.act_receive")}</button></div></form>`;
  }

  private problem(): TemplateResult {
    return html`<div role="alert">${this.whys[""] ? html`<p class="problem" data-testid="take-back-problem">${icon("warn")}<span>${this.whys[""]}</span></p>` : nothing}</div>`;
  }

  private success(done: Return): TemplateResult {
    const { refund } = done;
    return html`<section class="card"><div class="handed" tabindex="-1" role="status" data-testid="taken-back"><span class="handed-mark" aria-hidden="true">${icon("check")}</span>
        <p><strong>${refund ? this.t("orders.return_done", { amount: this.money(refund.amount) }) : this.t("orders.return_done_nothing")}</strong></p>
        ${refund ? html`<p>${refundBadge(refund.state, this.app.words)}</p>` : nothing}
        ${refund?.by_hand && refund.state !== "done" ? html`<p class="note note-warn">${icon("info")}<span>${this.t("orders.refund_by_hand")}</span></p>` : nothing}</div>
      <div class="actions"><a class="btn" href="#/orders/${this.orderId}">${this.t("returns.to_order")}</a><a class="btn btn-primary" href="#/returns">${this.t("returns.finished")}</a></div></section>`;
  }
}

function title(line: Returnable): string {
  return [line.title, variantName(line.values)].filter(Boolean).join(", ");
}
