// <ls-done>: the order as the server confirmed it.

import { html, css, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import type { Order } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { stepStyles, stepsTo } from "../ui/steps";
import "./alerts";
import { Part, define } from "./part";

export class LsDone extends Part {
  @property({ attribute: false }) order!: Order;

  static override styles = [
    baseStyles,
    stepStyles,
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
      .steps {
        padding: 20px;
      }
      .sad {
        background: var(--ls-warn-soft);
        color: var(--ls-warn);
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
    // Paid too late: the last one was gone by then, and the money goes back.
    const lost = order.state === "cancelled";
    return html`<ls-sheet
      label=${t(lost ? "done.lost_title" : "done.title")}
      .closeLabel=${t("close")}
      @ls-close=${() => this.emit("go", null)}
    >
      <ls-alerts slot="alert" .session=${this.session}></ls-alerts>
      <div class="top" role="status">
        <span class="tick ${lost ? "sad" : ""}">${icon(lost ? "info" : "check")}</span>
        <h3>${lost ? t("done.lost_title") : t("done.thanks", { name: order.address.name.split(" ")[0] ?? "" })}</h3>
        <p>${t(lost ? "done.lost" : order.state === "pending" ? "done.pending" : "done.mail", { email: order.email })}</p>
      </div>
      <p class="number">${t("done.number")}<b data-testid="order-number">${order.number}</b></p>
      ${stepsTo(order.total, order.explanation, order.taxes, this)}
      ${lost && !test
        ? nothing
        : html`<p class="note ${test ? "note-warn" : ""}">${icon("info")}<span>${t(`done.payment.${payment.method}`)}</span></p>`}
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
