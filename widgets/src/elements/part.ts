// What every part of the player shares: the session, its texts, and redrawing when the session or the time changes.

import { LitElement, nothing, type PropertyValues } from "lit";
import { property } from "lit/decorators.js";
import type { Money } from "../wire.gen";
import type { Params } from "../state/i18n";
import { formatMoney } from "../state/money";
import type { Session } from "../state/session";

/** A timer may fire a moment early; then the second would not have changed yet. */
const MARGIN_MS = 4;

export abstract class Part extends LitElement {
  @property({ attribute: false }) session!: Session;
  private tick: ReturnType<typeof setTimeout> | undefined;
  private nextTick = Infinity;
  private readonly said = new Set<string>();

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.refresh);
    this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener("change", this.refresh);
    clearTimeout(this.tick);
  }

  protected override updated(_changed: PropertyValues): void {
    clearTimeout(this.tick);
    if (this.nextTick < Infinity && this.isConnected) this.tick = setTimeout(this.refresh, this.nextTick + MARGIN_MS);
    this.nextTick = Infinity;
  }

  private readonly refresh = (): void => {
    this.requestUpdate();
  };

  /** Seconds until a moment of the server's time. What is drawn with it is drawn again when it changes, on the second. */
  secondsLeft(until: string | null): number {
    if (until === null) return 0;
    const left = this.session.clock.until(until);
    if (left > 0) this.nextTick = Math.min(this.nextTick, left % 1000 || 1000);
    return Math.max(0, Math.ceil(left / 1000));
  }

  /** "alert" where a notice is shown for the first time: moved to another place of the screen it is not said again. */
  protected alertOnce(key: string): "alert" | typeof nothing {
    if (!this.session.announced.has(key)) {
      this.session.announced.add(key);
      this.said.add(key);
    }
    return this.said.has(key) ? "alert" : nothing;
  }

  t(key: string, params?: Params): string {
    return this.session.i18n.t(key, params);
  }

  money(money: Money): string {
    return formatMoney(money, this.session.i18n.lang);
  }

  /** Tells the element around it: "go" asks for another sheet, "say" for a short notice. */
  protected emit<T>(name: string, detail?: T): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: false }));
  }
}

export function define(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) customElements.define(name, element);
}
