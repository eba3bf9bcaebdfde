// What every part of the player shares: the session, its texts, and redrawing when the session changes.

import { LitElement } from "lit";
import { property } from "lit/decorators.js";
import type { Money } from "../wire.gen";
import type { Params } from "../state/i18n";
import { formatMoney } from "../state/money";
import type { Session } from "../state/session";

export abstract class Part extends LitElement {
  @property({ attribute: false }) session!: Session;

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.refresh);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener("change", this.refresh);
  }

  private readonly refresh = (): void => {
    this.requestUpdate();
  };

  protected t(key: string, params?: Params): string {
    return this.session.i18n.t(key, params);
  }

  protected money(money: Money): string {
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
