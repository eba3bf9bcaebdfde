/** What the truth table says of one product on one channel, and of its variants one by one. */

import { html, nothing, type TemplateResult } from "lit";
import { icon } from "../studio/icons";
import { variantName } from "../studio/product-words";
import type { App } from "../studio/view";
import type { Connection, Drift, ListedProduct, Listing } from "../wire.gen";
import { ago, BROKEN, listingBadge, worst } from "./channels-words";

export interface CellParts {
  app: App;
  columns: readonly Connection[];
  /** The variant that is just being sent again. */
  busy: string | null;
  canRepair: boolean;
  again(listing: Listing): void;
}

/** The worst state of its variants; how many of them, where they differ; since when and why. */
export function cell(product: ListedProduct, connectionId: string, { app }: CellParts): TemplateResult {
  const { words } = app;
  const own = product.listings.filter((one) => one.connection_id === connectionId);
  const state = worst(own);
  if (state === null) return html`<span class="quiet"><span aria-hidden="true">–</span><span class="sr-only">${words.t("channels.not_there")}</span></span>`;
  const same = own.filter((one) => one.state === state);
  const first = same.reduce((oldest, one) => (one.since < oldest.since ? one : oldest));
  const count = same.length < own.length ? words.t("channels.of_variants", { count: same.length, total: own.length }) : "";
  return html`<div class="truth-cell">${listingBadge(state, words, count)}
    <span class="quiet truth-since"><span class="sr-only">${words.t("channels.since")} </span>${ago(first.since, words)}</span>
    ${first.drift ? html`<span class="truth-why">${driftWords(first.drift, app)}</span>` : first.reason ? html`<span class="truth-why">${first.reason}</span>` : nothing}</div>`;
}

/** Every variant on every channel, with what can be done. */
export function variantRows(product: ListedProduct, parts: CellParts): TemplateResult {
  const { words } = parts.app;
  return html`<div class="truth-detail"><div class="truth-variants">${parts.columns.map((one) => {
    const own = product.listings.filter(({ connection_id }) => connection_id === one.id);
    if (own.length === 0) return nothing;
    return html`<section aria-label=${one.title}><h3>${one.title}</h3><ul>${own.map((listing) => variantRow(listing, one, parts))}</ul></section>`;
  })}</div><a class="link" href="#/products/${product.product_id}">${words.t("channels.open_product")}</a></div>`;
}

function variantRow(listing: Listing, connection: Connection, parts: CellParts): TemplateResult {
  const { app } = parts;
  const { words } = app;
  const name = variantName(listing.values) || listing.sku || listing.variant_id;
  const facts = [
    listing.remote_id ? html`${words.t("channels.remote_id")} <code>${listing.remote_id}</code>` : nothing,
    listing.read_at ? html`${words.t("channels.read")} ${ago(listing.read_at, words)}` : nothing,
    listing.next_at ? html`${words.t("channels.next_try")} ${ago(listing.next_at, words)}` : nothing,
  ].filter((fact) => fact !== nothing);
  const canRepair = parts.canRepair && BROKEN.includes(listing.state) && connection.state === "active" && !connection.is_leaving;
  return html`<li class="truth-variant" data-testid="listing" data-variant=${listing.variant_id} data-connection=${listing.connection_id}>
    <div><p class="row-title">${name}${listing.sku && listing.sku !== name ? html` <code class="quiet">${listing.sku}</code>` : nothing}</p>
      <p class="quiet"><span class="sr-only">${words.t("channels.since")} </span>${ago(listing.since, words)}${facts.map((fact) => html` · ${fact}`)}</p>
      ${listing.drift && !listing.reason?.includes(listing.drift.theirs) ? html`<p class="truth-drift" data-testid="drift">${driftWords(listing.drift, app)}</p>` : nothing}
      ${listing.reason ? html`<p class="truth-reason" data-testid="reason">${listing.reason}</p>` : nothing}</div>
    ${listingBadge(listing.state, words)}
    ${canRepair
      ? html`<button class="btn btn-outline btn-small" data-testid="send-again" ?disabled=${parts.busy !== null} @click=${() => parts.again(listing)}>${icon("refresh")}${words.t("channels.send_again")}<span class="sr-only"> ${name}</span></button>`
      : nothing}</li>`;
}

function driftWords(drift: Drift, { words }: App): string {
  const key = `channels.part_${drift.field}`;
  return words.t("channels.drift", { field: words.has(key) ? words.t(key) : drift.field, ours: drift.ours, theirs: drift.theirs });
}
