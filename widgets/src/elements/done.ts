// <ls-done>: the order as the server confirmed it.

import { html, css, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Order, OrderProgress } from "../wire.gen";
import { promiseWords } from "../state/promise";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import "../ui/sheet";
import { stepStyles, stepsTo } from "../ui/steps";
import "./alerts";
import { Part, define } from "./part";

export class LsDone extends Part {
  @property({ attribute: false }) order!: Order;
  @state() private progress: OrderProgress | null = null;

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
      .promise {
        display: flex;
        gap: 12px;
        align-items: center;
        margin: 0 20px 12px;
        padding: 14px 18px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-accent-soft);
        font-size: var(--ls-text-md);
        line-height: 1.4;
      }
      .promise .icon {
        color: var(--ls-accent);
        font-size: 18px;
      }
      .promise small {
        display: block;
        color: var(--ls-ink-2);
        font-size: var(--ls-text-sm);
      }
      .pickup {
        display: grid;
        justify-items: center;
        gap: 6px;
        margin: 0 20px 12px;
        padding: 16px 18px;
        border-radius: var(--ls-radius-md);
        box-shadow: inset 0 0 0 1px var(--ls-line-2);
        text-align: center;
        font-size: var(--ls-text-sm);
        color: var(--ls-ink-2);
      }
      .pickup img {
        width: 148px;
        height: 148px;
      }
      .code {
        font-family: var(--ls-mono);
        font-size: 18px;
        font-weight: 600;
        letter-spacing: 0.04em;
        color: var(--ls-ink);
        overflow-wrap: anywhere;
      }
      .status {
        display: flex;
        align-items: center;
        justify-content: center;
        min-height: 44px;
        margin-top: 4px;
        font-weight: 600;
        color: var(--ls-accent);
        text-underline-offset: 3px;
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

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.order.state === "confirmed") void this.load();
  }

  private async load(): Promise<void> {
    try {
      this.progress = await this.session.api.get<OrderProgress>(`/api/orders/${this.order.id}/progress`);
    } catch {
      // The mail has the link as well.
    }
  }

  private promise(): TemplateResult | typeof nothing {
    const { delivery, promise, store_id } = this.order;
    const words = promiseWords(
      { kind: delivery, promise },
      this.session.i18n,
      this.session.clock.now(),
      this.session.zoneOf(store_id),
    );
    if (!words) return nothing;
    const store = this.progress?.store;
    return html`<p class="promise" data-testid="promise">
      ${icon(delivery === "ship" ? "truck" : "store")}<span>${words}${store ? html`<small>${store}</small>` : nothing}</span>
    </p>`;
  }

  /** What is shown in the store, for people and for scanners. */
  private pickup(): TemplateResult | typeof nothing {
    const code = this.order.pickup_code;
    if (!code) return nothing;
    return html`<div class="pickup">
      ${this.t("done.pickup_code")}
      <p class="code" data-testid="pickup-code">${code.match(/.{1,5}/g)?.join(" ") ?? code}</p>
      ${this.t("done.pickup_hint")}
    </div>`;
  }

  private paid(): TemplateResult | typeof nothing {
    const { method } = this.order.payment;
    const key = `done.payment.${method}`;
    if (!this.session.i18n.has(key)) return nothing;
    const test = method === "sandbox";
    return html`<p class="note ${test ? "note-warn" : ""}">
      ${icon("info")}<span>${this.t(key, { total: this.money(this.order.total) })}</span>
    </p>`;
  }

  private link(): TemplateResult | typeof nothing {
    const url = this.progress?.status_url;
    if (!url) return nothing;
    return html`<a class="status" data-testid="status-link" href=${url} target="_blank" rel="noopener noreferrer">
      ${this.t("done.status")}
    </a>`;
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const { order } = this;
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
        ${order.is_rehearsal ? html`<ls-rehearsal .session=${this.session}></ls-rehearsal>` : nothing}
        <p ?hidden=${order.is_rehearsal}>${t(lost ? "done.lost" : order.state === "pending" ? "done.pending" : this.session.shop?.reminders ? "done.mailed" : "done.mail", { email: order.email })}</p>
      </div>
      ${lost || order.is_rehearsal ? nothing : html`${this.promise()}${this.pickup()}`}
      <p class="number">${t("done.number")}<b data-testid="order-number">${order.number}</b></p>
      ${this.link()}
      ${stepsTo(order.total, order.explanation, order.taxes, this)}
      ${lost && order.payment.method !== "sandbox" ? nothing : this.paid()}
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
