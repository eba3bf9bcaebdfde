/** Choosing a show's products and their order, by pointer or keyboard alike: buttons, no drag and drop. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Product } from "../wire.gen";
import { icon } from "./icons";
import type { Found } from "./product-search";
import "./product-search";
import { productFace } from "./product-words";
import { View } from "./view";

/** Fires "lineup" (`CustomEvent<Product[]>`) with the whole new order. */
@customElement("studio-lineup-picker")
export class LineupPicker extends View {
  @property({ attribute: false }) products: Product[] = [];
  @state() private said = "";

  private change(products: Product[], said: string): void {
    this.said = said;
    this.dispatchEvent(new CustomEvent("lineup", { detail: products }));
  }

  private add(product: Product): void {
    this.change([...this.products, product], this.t("studio.lineup_added", { title: product.title }));
  }

  private drop(product: Product): void {
    const next = this.products.filter((other) => other.id !== product.id);
    this.change(next, this.t("studio.lineup_removed", { title: product.title }));
  }

  private async move(index: number, step: -1 | 1): Promise<void> {
    const next = [...this.products];
    const [product] = next.splice(index, 1);
    if (!product) return;
    next.splice(index + step, 0, product);
    this.change(next, this.t("studio.lineup_moved", { title: product.title, place: index + step + 1, count: next.length }));
    await this.updateComplete;
    await new Promise(requestAnimationFrame);
    // Moving the row in the page drops the focus; at an end of the list the other button takes it.
    const buttons = this.querySelectorAll<HTMLButtonElement>(`[data-move="${product.id}"]`);
    const [up, down] = [buttons[0], buttons[1]];
    const wished = step < 0 ? up : down;
    (wished && !wished.disabled ? wished : step < 0 ? down : up)?.focus();
  }

  protected override render(): TemplateResult {
    const chosen = new Set(this.products.map((product) => product.id));
    return html`
      <div class="picker">
        <section aria-labelledby="picked-title">
          <h3 id="picked-title">${this.t("studio.lineup_chosen")} <span class="count">${this.products.length}</span></h3>
          ${this.products.length === 0 ? html`<p class="hint">${this.t("studio.lineup_none")}</p>` : nothing}
          <ol class="rows rows-tight">
            ${repeat(this.products, (product) => product.id, (product, index) => this.chosenRow(product, index))}
          </ol>
        </section>
        <section aria-labelledby="find-title">
          <h3 id="find-title">${this.t("studio.lineup_add")}</h3>
          <studio-product-search .app=${this.app} .without=${chosen} .none=${this.t("studio.product_none")}
            @pick=${(event: CustomEvent<Found>) => this.add(event.detail.product)}></studio-product-search>
        </section>
      </div>
      <p class="sr-only" role="status">${this.said}</p>`;
  }

  private chosenRow(product: Product, index: number): TemplateResult {
    const last = this.products.length - 1;
    return html`<li class="row">
      <span class="row-main"><span class="place">${index + 1}</span>${productFace(product, null, this.app.words)}</span>
      <button type="button" class="icon-btn" data-move=${product.id} ?disabled=${index === 0}
        aria-label=${this.t("studio.lineup_up", { title: product.title })} @click=${() => void this.move(index, -1)}>${icon("arrowUp")}</button>
      <button type="button" class="icon-btn" data-move=${product.id} ?disabled=${index === last}
        aria-label=${this.t("studio.lineup_down", { title: product.title })} @click=${() => void this.move(index, 1)}>${icon("arrowDown")}</button>
      <button type="button" class="icon-btn" aria-label=${this.t("studio.lineup_remove", { title: product.title })}
        @click=${() => this.drop(product)}>${icon("close")}</button>
    </li>`;
  }
}
