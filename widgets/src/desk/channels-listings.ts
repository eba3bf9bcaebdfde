/** The truth table: each product on each channel, in which state, since when, and why. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { selectField } from "../studio/fields";
import { icon } from "../studio/icons";
import { explain, LoadingView, empty } from "../studio/view";
import type { Connection, Connections, ListedProduct, ListedProducts, Listing, Repaired } from "../wire.gen";
import { staleNote } from "./channels";
import { cell, variantRows, type CellParts } from "./channels-cell";
import { Polling, UNLOADED_MS } from "./channels-poll";
import { channelTabs, hasListings, isListingState, LISTING_STATES, listingBadge } from "./channels-words";

const TYPING_PAUSE_MS = 250;
const LIMIT = 50;
const PENDING_MS = 2_000;
const IDLE_MS = 5_000;
const WIDE = "(min-width: 62rem)";

interface Page {
  /** Those that list goods. */
  connections: Connection[];
  products: ListedProduct[];
  next: string | null;
}

@customElement("desk-listings")
export class Listings extends LoadingView<Page> {
  @property() connectionId: string | null = null;
  @property() listingState: string | null = null;
  @state() private open: ReadonlySet<string> = new Set();
  @state() private busy: string | null = null;
  @state() private stale = false;
  @state() private moreWhy = "";
  @state() private wide = matchMedia(WIDE).matches;
  private query = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly media = matchMedia(WIDE);
  private readonly polling = new Polling(this, () => this.look(), () => this.pause());

  override connectedCallback(): void {
    super.connectedCallback();
    this.media.addEventListener("change", this.resized);
    document.title = `${this.t("channels.tab_listings")} · ${this.app.shop.name}`;
  }

  override disconnectedCallback(): void {
    clearTimeout(this.timer);
    this.media.removeEventListener("change", this.resized);
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const isFiltered = changed.has("connectionId") || changed.has("listingState");
    if (isFiltered && this.hasUpdated) void this.load(true);
  }

  private readonly resized = (): void => {
    this.wide = this.media.matches;
  };

  private path(after: string | null): string {
    const query = new URLSearchParams({ limit: String(LIMIT) });
    if (this.connectionId) query.set("connection_id", this.connectionId);
    if (isListingState(this.listingState)) query.set("state", this.listingState);
    if (this.query) query.set("q", this.query);
    if (after) query.set("after", after);
    return `/api/listings?${query.toString()}`;
  }

  protected override async fetch(): Promise<Page> {
    const [{ connections }, page] = await Promise.all([this.app.api.get<Connections>("/api/connections"), this.app.api.get<ListedProducts>(this.path(null))]);
    return { ...page, connections: connections.filter(hasListings) };
  }

  private pause(): number {
    if (this.loaded.kind !== "ready") return UNLOADED_MS;
    const { connections, products } = this.loaded.value;
    const pushed = new Set(connections.filter((one) => one.roles.includes("channel") && one.state === "active").map(({ id }) => id));
    const isMoving = products.some(({ listings }) => listings.some((one) => one.state === "pending" && pushed.has(one.connection_id)));
    return isMoving ? PENDING_MS : IDLE_MS;
  }

  /** The first page anew; the pages after it stay as they were read. */
  private async look(): Promise<void> {
    if (this.loaded.kind !== "ready") return;
    const asked = this.path(null);
    try {
      const first = await this.fetch();
      if (this.loaded.kind !== "ready" || asked !== this.path(null)) return;
      const { next } = first;
      const later = next === null ? [] : this.loaded.value.products.filter(({ product_id }) => product_id > next);
      this.replace({ ...first, products: [...first.products, ...later], next: later.length > 0 ? this.loaded.value.next : next });
      this.stale = false;
    } catch {
      this.stale = true;
    }
  }

  private typed(event: Event): void {
    this.query = (event.target as HTMLInputElement).value.trim();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(true), TYPING_PAUSE_MS);
  }

  private filter(connectionId: string | null, listingState: string | null): void {
    location.hash = filterHash(connectionId, listingState);
  }

  private async loadMore(page: Page): Promise<void> {
    this.busy = "more";
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<ListedProducts>(this.path(page.next));
      const known = new Set(page.products.map(({ product_id }) => product_id));
      this.replace({ ...page, products: [...page.products, ...rest.products.filter(({ product_id }) => !known.has(product_id))], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  private async again(listing: Listing): Promise<void> {
    this.busy = listing.variant_id;
    try {
      const { listings } = await this.app.api.post<Repaired>(`/api/connections/${encodeURIComponent(listing.connection_id)}/repair`, { variant_ids: [listing.variant_id] });
      this.app.toast(listings > 0 ? this.t("channels.repaired", { count: listings }) : this.t("channels.repaired_none"), listings > 0 ? "good" : "info");
      this.polling.soon();
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = null;
    }
  }

  private turn(productId: string): void {
    const open = new Set(this.open);
    if (!open.delete(productId)) open.add(productId);
    this.open = open;
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.channels")}</h1>
        <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
      ${channelTabs("listings", this.app.words)}${staleNote(this.stale, this.t("channels.stale"))}
      ${this.filters()}${this.legend()}${super.render()}`;
  }

  private filters(): TemplateResult {
    const connections = this.loaded.kind === "ready" ? this.loaded.value.connections : [];
    const counted = connections.filter(({ id }) => this.connectionId === null || id === this.connectionId);
    const total = (name: string): number => counted.reduce((sum, one) => sum + (one.listings[name] ?? 0), 0);
    const states = LISTING_STATES.filter((name) => total(name) > 0 || name === this.listingState);
    return html`<div class="listing-filters">
      <div class="search">${icon("search")}<input class="input" type="search" data-testid="listing-search" aria-label=${this.t("studio.product_search")}
        placeholder=${this.t("studio.product_search")} @input=${(event: Event) => this.typed(event)} /></div>
      ${selectField({
        id: "listing-connection",
        label: this.t("channels.filter_channel"),
        value: this.connectionId ?? "",
        testid: "listing-connection",
        change: (value) => this.filter(value || null, this.listingState),
        choices: [{ value: "", label: this.t("channels.all_channels") }, ...connections.map(({ id, title }) => ({ value: id, label: title }))],
      })}</div>
      <nav class="counters" aria-label=${this.t("channels.filter_state")}><ul>
        <li><a class="counter" href=${filterHash(this.connectionId, null)} data-testid="filter-all" aria-current=${this.listingState ? nothing : "true"}><span class="badge badge-state">${this.t("channels.all_states")}</span></a></li>
        ${states.map(
          (name) => html`<li><a class="counter" href=${filterHash(this.connectionId, name)} data-testid="filter-${name}" aria-current=${name === this.listingState ? "true" : nothing}>${listingBadge(name, this.app.words, this.app.words.number(total(name)))}</a></li>`,
        )}</ul></nav>`;
  }

  private legend(): TemplateResult {
    return html`<details class="more legend" data-testid="legend"><summary>${this.t("channels.legend")}</summary>
      <dl>${LISTING_STATES.map((name) => html`<div><dt>${listingBadge(name, this.app.words)}</dt><dd>${this.t(`channels.means_${name}`)}</dd></div>`)}</dl></details>`;
  }

  protected override ready(page: Page): TemplateResult {
    if (page.connections.length === 0) {
      return empty(this.t("channels.table_no_channels"), this.t("channels.table_no_channels_hint"), html`<a class="btn btn-primary" href="#/channels/new">${this.t("channels.connect")}</a>`);
    }
    if (page.products.length === 0) {
      const isFiltered = Boolean(this.query || this.listingState || this.connectionId);
      return empty(this.t(isFiltered ? "channels.table_none" : "channels.table_empty"), this.t(isFiltered ? "channels.table_none_hint" : "channels.table_empty_hint"));
    }
    const columns = page.connections.filter(({ id }) => this.connectionId === null || id === this.connectionId);
    const parts: CellParts = {
      app: this.app,
      columns,
      busy: this.busy,
      canRepair: this.app.can("channels:write"),
      again: (listing) => void this.again(listing),
    };
    return html`<p class="sr-only" role="status">${this.t("studio.products", { count: page.products.length })}</p>
      ${this.wide ? this.table(page, parts) : this.cards(page, parts)}
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" data-testid="more-listings" ?disabled=${this.busy === "more"} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }

  private table(page: Page, parts: CellParts): TemplateResult {
    return html`<div class="truth table-scroll" tabindex="0" role="region" aria-label=${this.t("channels.tab_listings")}><table class="table" data-testid="truth-table">
      <thead><tr><th scope="col">${this.t("channels.product")}</th>${parts.columns.map(
        (one) => html`<th scope="col"><a href="#/channels/${one.id}">${one.title}</a>${one.state === "active" && !one.is_leaving ? nothing : html`<span class="quiet">${this.t(`channels.is_${one.is_leaving ? "leaving" : one.state}`)}</span>`}</th>`,
      )}</tr></thead>
      <tbody>${repeat(
        page.products,
        ({ product_id }) => product_id,
        (product) => html`<tr data-testid="listed-product" data-product=${product.product_id}><th scope="row">${this.head(product)}</th>
          ${parts.columns.map((one) => html`<td data-testid="cell-${one.id}">${cell(product, one.id, parts)}</td>`)}</tr>
          ${this.open.has(product.product_id) ? html`<tr class="truth-open"><td colspan=${parts.columns.length + 1}>${variantRows(product, parts)}</td></tr>` : nothing}`,
      )}</tbody></table></div>`;
  }

  private cards(page: Page, parts: CellParts): TemplateResult {
    return html`<ul class="truth-cards" data-testid="truth-table">${repeat(
      page.products,
      ({ product_id }) => product_id,
      (product) => html`<li class="card" data-testid="listed-product" data-product=${product.product_id}>${this.head(product)}
        <dl class="truth-lines">${parts.columns
          .filter((one) => product.listings.some(({ connection_id }) => connection_id === one.id))
          .map((one) => html`<div><dt>${one.title}</dt><dd data-testid="cell-${one.id}">${cell(product, one.id, parts)}</dd></div>`)}</dl>
        ${this.open.has(product.product_id) ? variantRows(product, parts) : nothing}</li>`,
    )}</ul>`;
  }

  private head(product: ListedProduct): TemplateResult {
    const isOpen = this.open.has(product.product_id);
    return html`<button type="button" class="truth-head" data-testid="open-product" aria-expanded=${isOpen ? "true" : "false"} @click=${() => this.turn(product.product_id)}>
      ${icon(isOpen ? "down" : "chevron")}<span><span class="row-title">${product.title || product.product_id}</span>
      <span class="quiet">${product.price ? this.t("channels.all_say", { price: this.money(product.price) }) : this.t("channels.none_says")}</span></span></button>`;
  }
}

function filterHash(connectionId: string | null, listingState: string | null): string {
  if (listingState) return `#/channels/listings/${connectionId ?? "all"}/${listingState}`;
  return connectionId ? `#/channels/listings/${connectionId}` : "#/channels/listings";
}
