/** What a promotion would do to prices and what each channel would say, while it is still being typed. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { struck, variantName } from "../studio/product-words";
import { warningList } from "../studio/offer-preview";
import { Latest } from "../studio/latest";
import { View } from "../studio/view";
import type { ChannelPreview, Preview, PreviewedVariant, PreviewInput } from "../wire.gen";

/** Fires "asked" (`CustomEvent<unknown>`) with the error of the newest question, or null. */
@customElement("desk-promotion-preview")
export class PromotionPreview extends View {
  /** Null: the form is not complete enough to ask. */
  @property({ attribute: false }) input: PreviewInput | null = null;
  @property({ type: Boolean }) whole = false;
  private told: unknown = null;
  private readonly preview = new Latest<PreviewInput, Preview>(this, (input) =>
    this.app.api.post<Preview>("/api/promotions/preview", input, { headers: { "Accept-Language": this.app.words.lang } }),
  );

  protected override willUpdate(): void {
    this.preview.ask(this.input);
  }

  protected override updated(): void {
    if (this.told === this.preview.error) return;
    this.told = this.preview.error;
    this.dispatchEvent(new CustomEvent<unknown>("asked", { detail: this.told }));
  }

  protected override render(): TemplateResult {
    const { value, busy } = this.preview;
    return html`<h2 id="preview-title">${this.t("desk.preview")} ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}</h2>
      ${value
        ? html`<div class="preview-body ${busy ? "is-old" : ""}">${warningList(value.warnings)}${this.whole ? html`<p class="note">${this.t("desk.preview_order")}</p>` : nothing}${this.table(value)}</div>`
        : html`<p class="hint">${this.t(busy ? "studio.loading" : "desk.preview_none")}</p>`}`;
  }

  private table({ variants }: Preview): TemplateResult | typeof nothing {
    if (variants.length === 0) return nothing;
    return html`<div class="table-scroll preview-scroll" tabindex="0" role="region" aria-labelledby="preview-title"><table class="table table-small">
      <thead><tr><th scope="col">${this.t("studio.variant")}</th><th scope="col" class="num">${this.t("desk.price_now")}</th><th scope="col" class="num">${this.t("desk.price_then")}</th>
        <th scope="col" class="num">${this.t("studio.lowest_short")}</th></tr></thead>
      ${variants.map((variant) => this.variant(variant))}</table></div>`;
  }

  private variant(variant: PreviewedVariant): TemplateResult {
    const less = variant.price.amount < variant.price_now.amount;
    const list = variant.list_price.amount > variant.price_now.amount ? variant.list_price : null;
    return html`<tbody data-testid="preview-variant" data-variant=${variant.variant_id}>
      <tr><th scope="row">${variant.title}${variant.values.length > 0 ? html`<span class="quiet">${variantName(variant.values)}</span>` : nothing}</th>
        <td class="num">${this.money(variant.price_now)}${struck(list, this.app.words)}</td>
        <td class="num ${less ? "price-sale" : ""}" data-testid="preview-price"><strong>${this.money(variant.price)}</strong></td>
        <td class="num">${variant.lowest_30_days ? this.money(variant.lowest_30_days) : "–"}</td></tr>
      <tr class="channels"><td colspan="4"><dl>${byText(variant.channels).map(
        ({ channels, text }) => html`<div data-channels=${channels.join(" ")}><dt>${channels.map((channel) => this.t(`desk.channel_${channel}`)).join(", ")}</dt><dd>${text}</dd></div>`,
      )}</dl></td></tr></tbody>`;
  }
}

/** Channels that say the same, said once. */
function byText(channels: readonly ChannelPreview[]): { channels: string[]; text: string }[] {
  const texts = new Map<string, string[]>();
  for (const { channel, text } of channels) texts.set(text, [...(texts.get(text) ?? []), channel]);
  return [...texts].map(([text, names]) => ({ text, channels: names }));
}
