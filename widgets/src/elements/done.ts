// <ls-done>: the order as the server confirmed it.

import { html, css, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Order } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { Part, define } from "./part";

export class LsDone extends Part {
  @property({ attribute: false }) order!: Order;

  static override styles = [
    baseStyles,
    css`
      :host {
        display: contents;
      }
      .top {
        display: grid;
        justify-items: center;
        text-align: center;
        padding: 30px 24px 22px;
        gap: 6px;
      }
      .tick {
        width: 64px;
        height: 64px;
        display: grid;
        place-items: center;
        border-radius: 50%;
        background: var(--ls-good-soft);
        color: var(--ls-good);
        font-size: 28px;
        margin-bottom: 8px;
        animation: pop var(--ls-slow) var(--ls-ease) both;
      }
      @keyframes pop {
        from {
          transform: scale(0.5);
          opacity: 0;
        }
      }
      h3 {
        font-size: var(--ls-text-xl);
        letter-spacing: -0.018em;
      }
      .top p {
        color: var(--ls-ink-2);
        font-size: var(--ls-text-md);
        line-height: 1.5;
        max-width: 34ch;
        overflow-wrap: anywhere;
      }
      .number {
        margin: 0 20px;
        padding: 14px 18px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-surface-2);
        display: flex;
        justify-content: space-between;
        align-items: center;
        font-size: var(--ls-text-md);
        color: var(--ls-ink-2);
      }
      .number b {
        font-size: 18px;
        color: var(--ls-ink);
        font-variant-numeric: tabular-nums;
        letter-spacing: 0.01em;
      }
      dl {
        display: grid;
        grid-template-columns: 1fr auto;
        gap: 9px 16px;
        padding: 20px;
        font-size: var(--ls-text-md);
      }
      dt {
        color: var(--ls-ink-2);
      }
      dd {
        text-align: right;
        font-variant-numeric: tabular-nums;
      }
      .total {
        font-weight: 700;
        color: var(--ls-ink);
        padding-top: 10px;
        border-top: 1px solid var(--ls-line);
      }
      dd.total {
        margin-left: -16px;
      }
      .note {
        margin: 0 20px 20px;
      }
    `,
  ];

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const { order } = this;
    const payment = order.payment;
    const test = payment.method === "sandbox";
    return html`<ls-sheet label=${t("done.title")} .closeLabel=${t("close")} @ls-close=${() => this.emit("go", null)}>
      <div class="top" role="status">
        <span class="tick">${icon("check")}</span>
        <h3>${t("done.thanks", { name: order.address.name.split(" ")[0] ?? "" })}</h3>
        <p>${t(order.state === "pending" ? "done.pending" : "done.mail", { email: order.email })}</p>
      </div>
      <p class="number">${t("done.number")}<b data-testid="order-number">${order.number}</b></p>
      <dl>
        ${order.lines.map(
          (line) => html`<dt>
              ${line.quantity} × ${line.title}${line.values.length > 0 ? html`, ${line.values.join(" · ")}` : nothing}
            </dt>
            <dd>${this.money(line.total)}</dd>`,
        )}
        <dt>${t("done.shipping")}</dt>
        <dd>${order.shipping.amount === 0 ? t("checkout.free") : this.money(order.shipping)}</dd>
        <dt class="total">${t("checkout.total")}</dt>
        <dd class="total">${this.money(order.total)}</dd>
      </dl>
      <p class="note ${test ? "note-warn" : ""}">${icon("info")}<span>${t(`done.payment.${payment.method}`)}</span></p>
      <div slot="foot">
        <button class="btn btn-primary btn-wide" data-testid="keep-watching" @click=${() => this.emit("go", null)}>
          ${t("product.keep_watching")}
        </button>
      </div>
    </ls-sheet>`;
  }
}

define("ls-done", LsDone);

declare global {
  interface HTMLElementTagNameMap {
    "ls-done": LsDone;
  }
}
