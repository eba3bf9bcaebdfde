/** What became of an order at the shop systems its products came from. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { LoadingView } from "../studio/view";
import type { OrderExport, OrderExports } from "../wire.gen";

const LOOKS: Record<OrderExport["state"], string> = { waiting: "badge", placed: "badge badge-good", refused: "badge badge-bad", cancelled: "badge" };

@customElement("desk-order-exports")
export class OrderExportList extends LoadingView<OrderExports> {
  @property() orderId = "";

  private get path(): string {
    return `/api/orders/${encodeURIComponent(this.orderId)}/exports`;
  }

  protected override fetch(): Promise<OrderExports> {
    return this.app.api.get<OrderExports>(this.path);
  }

  private async sendAgain(one: OrderExport): Promise<void> {
    try {
      await this.app.api.post(`${this.path}/${encodeURIComponent(one.connection_id)}`, {});
    } catch (error) {
      this.complain(error);
    }
    await this.load(true);
  }

  /** Most orders go to no other system: nothing shows until it is known that this one did. */
  protected override render(): TemplateResult {
    return this.loaded.kind === "loading" ? html`` : super.render();
  }

  protected override ready({ exports }: OrderExports): TemplateResult {
    if (exports.length === 0) return html``;
    return html`<section class="card" aria-labelledby="exports-title" data-testid="order-exports"><h2 id="exports-title">${this.t("desk.exports")}</h2>
      ${exports.map((one) => this.one(one))}</section>`;
  }

  private one(one: OrderExport): TemplateResult {
    return html`<div data-testid="order-export" data-state=${one.state}><p><span class=${LOOKS[one.state]}>${this.t(`desk.export_${one.state}`)}</span>
        ${one.reference ? html`<span class="quiet">${this.t("desk.reference")} <code>${one.reference}</code></span>` : nothing}</p>
      ${one.reason ? html`<p class="note ${one.state === "refused" ? "note-bad" : ""}">${one.reason}</p>` : nothing}
      ${one.state === "refused" && this.app.can("orders:write")
        ? html`<button class="btn" @click=${() => void this.sendAgain(one)}>${this.t("desk.export_again")}</button>`
        : nothing}</div>`;
  }
}
