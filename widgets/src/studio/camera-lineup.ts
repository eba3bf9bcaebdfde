/** The lineup as a strip under one's own picture: one tap shows a product, without leaving the camera. */

import { html, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { RoomState } from "../state/reduce";
import { picture } from "../ui/picture";
import type { Pin, Product } from "../wire.gen";
import { icon } from "./icons";
import { explain, View } from "./view";

/** Fires "ls-trouble" with words: what went wrong belongs where the person looks. */
@customElement("studio-camera-lineup")
export class CameraLineup extends View {
  @property({ attribute: false }) version!: RoomState;
  @state() private busy = false;
  private pinnedWas: string | null = null;

  private async pin(productId: string): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      await this.app.api.put<Pin>(`/api/shows/${encodeURIComponent(this.version.show.id)}/pin`, { product_id: productId });
    } catch (error) {
      this.dispatchEvent(new CustomEvent("ls-trouble", { detail: explain(error, this.app.words) }));
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    const { show, products, pins } = this.version;
    const pinned = pins.at(-1)?.product_id ?? null;
    const next = products[products.findIndex(({ id }) => id === pinned) + 1]?.id ?? null;
    if (products.length === 0) return html``;
    return html`<section class="camera-lineup" tabindex="0" aria-label=${this.t("studio.lineup")}>
      <ol>${repeat(products, ({ id }) => id, (product) => this.one(product, product.id === pinned, product.id === next, show.state === "live"))}</ol>
    </section>`;
  }

  private one(product: Product, isPinned: boolean, isNext: boolean, live: boolean): TemplateResult {
    const key = isPinned ? "shown_now" : isNext && live ? "show_next" : "show";
    return html`<li><button class="camera-product ${isPinned ? "is-pinned" : ""} ${isNext && live ? "is-next" : ""}" data-testid="camera-pin-${product.id}"
      aria-pressed=${isPinned ? "true" : "false"} ?disabled=${!live || this.busy} @click=${() => void this.pin(product.id)}>
      <span class="camera-product-picture">${picture(product.images[0], { sizes: "3rem", alt: "" })}</span>
      <span class="camera-product-text"><span class="camera-product-title">${product.title}</span>
        <span class="camera-product-act">${icon("pin")}${this.t(`camera.${key}`)}</span></span>
    </button></li>`;
  }

  protected override updated(): void {
    const id = this.version.pins.at(-1)?.product_id ?? null;
    if (id === this.pinnedWas) return;
    this.pinnedWas = id;
    const strip = this.querySelector(".camera-lineup");
    const pinned = this.querySelector<HTMLElement>(".is-pinned")?.parentElement;
    // The one before it stays in sight as well: hosts go back.
    if (strip && pinned) strip.scrollTo({ left: pinned.offsetLeft - strip.clientWidth / 6, behavior: "smooth" });
  }
}
