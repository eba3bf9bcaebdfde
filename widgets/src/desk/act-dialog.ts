/**
 * Dialogs that do one thing to an order. What was typed stays until the server has said yes: a refusal is shown in the
 * dialog, and only a person puts it away.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { currencySign, moneyText, parseMoney } from "../studio/amounts";
import { areaField, focusFirstWrong, inputField, whyFor, whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { View } from "../studio/view";
import "../ui/dialog";
import type { MoneyOut } from "../wire.gen";
import { recall, remember } from "./kept";

const CARRIER = "liveshop:desk:carrier";

/** Fires "done" when the server did it, "ls-close" when it is put away. */
export abstract class ActDialog extends View {
  @property() label = "";
  @property() yes = "";
  @property({ type: Boolean }) danger = false;
  @state() private whys: Whys = {};
  @state() private busy = false;

  /** The server's names of the fields that are here. */
  protected readonly fieldNames: readonly string[] = [];

  protected abstract fields(whys: Whys): TemplateResult;
  protected abstract send(): Promise<void>;

  /** What can be seen to be wrong before the server is asked. */
  protected problems(): Whys {
    return {};
  }

  protected refusal(error: unknown): Whys {
    return whysOf(error, this.app.words, this.fieldNames);
  }

  private async submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.whys = this.problems();
    if (Object.keys(this.whys).length > 0) return this.showWrong();
    this.busy = true;
    try {
      await this.send();
      this.dispatchEvent(new CustomEvent("done"));
    } catch (error) {
      this.whys = this.refusal(error);
      this.showWrong();
    } finally {
      this.busy = false;
    }
  }

  private showWrong(): void {
    void this.updateComplete.then(() => focusFirstWrong(this));
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    const { whys } = this;
    return html`<ls-dialog .open=${true} .label=${this.label} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.close()}>
      <form class="stack" novalidate data-testid="act-dialog" @submit=${(event: Event) => void this.submit(event)}>
        ${this.fields(whys)}
        <div role="alert">${whys[""] ? html`<p class="problem" data-testid="act-problem">${icon("warn")}<span>${whys[""]}</span></p>` : nothing}</div>
        <div class="actions"><button type="button" class="btn" @click=${() => this.close()}>${this.t("orders.step_back")}</button>
          <button class="btn ${this.danger ? "btn-danger" : "btn-primary"}" data-testid="act" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.yes}</button></div>
      </form></ls-dialog>`;
  }
}

/** Posts a note to `path`: why an order is cancelled, how it was paid, why a return is refused. */
@customElement("desk-note-dialog")
export class NoteDialog extends ActDialog {
  @property() path = "";
  @property() text = "";
  @property({ type: Boolean, attribute: "note-required" }) noteRequired = false;
  @state() private note = "";
  protected override readonly fieldNames = ["note"];

  protected override problems(): Whys {
    return this.noteRequired && !this.note.trim() ? { note: this.t("orders.wrong_note") } : {};
  }

  protected override async send(): Promise<void> {
    await this.app.api.post(this.path, { note: this.note.trim() || null });
  }

  protected override fields(whys: Whys): TemplateResult {
    return html`${this.text ? html`<p class="quiet">${this.text}</p>` : nothing}
      ${areaField({
        id: "act-note",
        label: this.t(this.noteRequired ? "orders.note" : "orders.note_optional"),
        value: this.note,
        rows: 2,
        max: 500,
        testid: "act-note",
        hint: this.t("orders.note_hint"),
        why: whyFor(whys, "note"),
        change: (value) => (this.note = value),
      })}`;
  }
}

@customElement("desk-ship-dialog")
export class ShipDialog extends ActDialog {
  @property() fulfilmentId = "";
  /** To the store in which it is collected, not to the buyer. */
  @property({ type: Boolean }) toStore = false;
  @state() private carrier = recall(CARRIER);
  @state() private tracking = "";
  protected override readonly fieldNames = ["carrier", "tracking"];

  protected override async send(): Promise<void> {
    const carrier = this.carrier.trim();
    await this.app.api.post(`/api/fulfilments/${encodeURIComponent(this.fulfilmentId)}/ship`, { carrier: carrier || null, tracking: this.tracking.trim() || null });
    remember(CARRIER, carrier);
  }

  protected override fields(whys: Whys): TemplateResult {
    return html`<p class="quiet">${this.t(this.toStore ? "orders.ship_hint_store" : "orders.ship_hint")}</p>
      ${inputField({
        id: "ship-carrier",
        label: this.t("orders.carrier"),
        value: this.carrier,
        max: 60,
        testid: "ship-carrier",
        list: "ship-carriers",
        why: whyFor(whys, "carrier"),
        change: (value) => (this.carrier = value),
      })}<datalist id="ship-carriers">${["DHL", "Hermes", "DPD", "GLS", "UPS", "Deutsche Post"].map((name) => html`<option value=${name}></option>`)}</datalist>
      ${inputField({
        id: "ship-tracking",
        label: this.t("orders.tracking"),
        value: this.tracking,
        max: 120,
        testid: "ship-tracking",
        hint: this.t("orders.tracking_hint"),
        why: whyFor(whys, "tracking"),
        change: (value) => (this.tracking = value),
      })}`;
  }
}

/** One key for one opened dialog: pressed twice, or sent again after a lost answer, it pays back once. */
@customElement("desk-refund-dialog")
export class RefundDialog extends ActDialog {
  @property() orderId = "";
  @property({ attribute: false }) refundable!: MoneyOut;
  @state() private amount: string | null = null;
  @state() private note = "";
  private readonly key = freshKey();
  protected override readonly fieldNames = ["amount", "note"];

  private get typed(): string {
    return this.amount ?? moneyText(this.refundable, this.app.words.lang);
  }

  protected override problems(): Whys {
    const money = parseMoney(this.typed, this.refundable.currency, this.app.words.lang);
    return {
      ...(money === null || money.amount <= 0 ? { amount: this.t("orders.wrong_amount") } : {}),
      ...(this.note.trim() ? {} : { note: this.t("orders.wrong_note") }),
    };
  }

  protected override refusal(error: unknown): Whys {
    const whys = super.refusal(error);
    return (error as { code?: string }).code === "refund_too_large" ? { amount: whys[""] ?? whys["amount"] ?? "" } : whys;
  }

  protected override async send(): Promise<void> {
    const amount = parseMoney(this.typed, this.refundable.currency, this.app.words.lang);
    await this.app.api.post(`/api/orders/${encodeURIComponent(this.orderId)}/refunds`, { amount, note: this.note.trim() }, { headers: { "Idempotency-Key": this.key } });
  }

  protected override fields(whys: Whys): TemplateResult {
    return html`${inputField({
        id: "refund-amount",
        label: this.t("orders.amount"),
        value: this.typed,
        mode: "decimal",
        max: 15,
        testid: "refund-amount",
        unit: currencySign(this.refundable.currency, this.app.words.lang),
        hint: this.t("orders.refundable_hint", { amount: this.money(this.refundable) }),
        why: whyFor(whys, "amount"),
        change: (value) => (this.amount = value),
      })}
      ${areaField({
        id: "refund-note",
        label: this.t("orders.note"),
        value: this.note,
        rows: 2,
        max: 500,
        testid: "refund-note",
        hint: this.t("orders.note_hint"),
        why: whyFor(whys, "note"),
        change: (value) => (this.note = value),
      })}`;
  }
}

/** `crypto.randomUUID` is missing where the desk is opened without TLS. */
function freshKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
