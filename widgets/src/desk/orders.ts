/** Orders to search and filter: a table on a wide screen, cards on a phone. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "../studio/icons";
import { selectField } from "../studio/fields";
import { fulfilmentBadges, orderBadge, paymentBadge, whenWords } from "../studio/order-words";
import { empty, explain, LoadingView } from "../studio/view";
import type { Location, Locations, Order, OrderPage } from "../wire.gen";
import { download } from "./download";
import "./feedback-note";
import "./order";
import { filterOf, isFiltered, keepFilter, queryOf, VIEWS, type OrderFilter } from "./order-filter";
import { orderTabs } from "./order-tabs";

const TYPING_PAUSE_MS = 250;
const WIDE = "(min-width: 62rem)";

@customElement("desk-orders")
export class Orders extends LoadingView<OrderPage> {
  /** The first part of the address, with its query. */
  @property() place = "orders";
  @state() private filter: OrderFilter = filterOf("");
  @state() private stores: Location[] = [];
  @state() private busy: "more" | "csv" | null = null;
  @state() private moreWhy = "";
  @state() private wide = matchMedia(WIDE).matches;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly media = matchMedia(WIDE);

  override connectedCallback(): void {
    this.filter = filterOf(this.place);
    keepFilter(this.filter);
    super.connectedCallback();
    this.media.addEventListener("change", this.resized);
    document.title = `${this.t("desk.orders")} · ${this.app.shop.name}`;
    void this.findStores();
  }

  override disconnectedCallback(): void {
    clearTimeout(this.timer);
    this.media.removeEventListener("change", this.resized);
    super.disconnectedCallback();
  }

  private readonly resized = (): void => {
    this.wide = this.media.matches;
  };

  /** Without them there is nothing to choose a store by, and no more is lost. */
  private async findStores(): Promise<void> {
    const { locations } = await this.app.api.get<Locations>("/api/locations").catch(() => ({ locations: [] as Location[] }));
    this.stores = locations.filter(({ is_pickup }) => is_pickup);
  }

  protected override fetch(): Promise<OrderPage> {
    return this.app.api.get<OrderPage>(`/api/orders?${queryOf(this.filter).toString()}`);
  }

  private set(change: Partial<OrderFilter>, pause = 0): void {
    this.filter = { ...this.filter, ...change };
    keepFilter(this.filter);
    this.moreWhy = "";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.load(true), pause);
  }

  private async loadMore(page: OrderPage): Promise<void> {
    if (!page.next) return;
    this.busy = "more";
    this.moreWhy = "";
    const query = queryOf(this.filter);
    query.set("cursor", page.next);
    try {
      const rest = await this.app.api.get<OrderPage>(`/api/orders?${query.toString()}`);
      const known = new Set(page.orders.map((order) => order.id));
      this.replace({ ...rest, orders: [...page.orders, ...rest.orders.filter((order) => !known.has(order.id))] });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = null;
    }
  }

  private async save(): Promise<void> {
    this.busy = "csv";
    try {
      await download(`/api/orders.csv?${queryOf(this.filter).toString()}`, "orders.csv");
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = null;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.orders")}</h1>
        <button class="btn btn-outline" data-testid="orders-csv" aria-label=${this.t("orders.csv")} ?disabled=${this.busy === "csv"} @click=${() => void this.save()}>${icon("arrowDown")}<span class="only-wide">${this.t("orders.csv")}</span></button>
        <button class="icon-btn" aria-label=${this.t("desk.refresh")} title=${this.t("desk.refresh")} @click=${() => void this.load(true)}>${icon("refresh")}</button></div>
      ${orderTabs("orders", this.app.words)}${this.filters()}<desk-feedback-note .app=${this.app}></desk-feedback-note>${super.render()}`;
  }

  private filters(): TemplateResult {
    const { filter } = this;
    return html`<div class="order-filters">
      <div class="search">${icon("search")}<input class="input" type="search" data-testid="order-search" aria-label=${this.t("orders.search")} placeholder=${this.t("orders.search")}
        maxlength="120" .value=${filter.q} @input=${(event: Event) => this.set({ q: (event.target as HTMLInputElement).value.trim() }, TYPING_PAUSE_MS)} /></div>
      <div class="chips" role="group" aria-label=${this.t("desk.filter")}>${VIEWS.map(
        (view) => html`<button type="button" class="chip" data-testid="view-${view}" aria-pressed=${view === filter.view ? "true" : "false"} @click=${() => this.set({ view })}>${this.t(`orders.view_${view}`)}</button>`,
      )}</div>
      <div class="order-selects">
        ${selectField({
          id: "order-delivery",
          label: this.t("orders.delivery"),
          value: filter.delivery,
          testid: "order-delivery",
          change: (value) => this.set({ delivery: value as OrderFilter["delivery"] }),
          choices: [
            { value: "", label: this.t("orders.delivery_any") },
            { value: "ship", label: this.t("orders.delivery_ship") },
            { value: "pickup", label: this.t("orders.delivery_pickup") },
          ],
        })}
        ${this.stores.length > 0
          ? selectField({
              id: "order-store",
              label: this.t("orders.store"),
              value: filter.store,
              testid: "order-store",
              change: (value) => this.set({ store: value }),
              choices: [{ value: "", label: this.t("orders.store_any") }, ...this.stores.map(({ id, name }) => ({ value: id, label: name }))],
            })
          : nothing}</div></div>`;
  }

  protected override ready(page: OrderPage): TemplateResult {
    if (page.orders.length === 0) {
      return isFiltered(this.filter)
        ? empty(
            this.t(this.filter.view === "open" && !this.filter.q ? "orders.none_to_do" : "orders.none_found"),
            this.t("orders.none_found_hint"),
            html`<button class="btn" data-testid="filter-clear" @click=${() => this.set(filterOf(""))}>${this.t("orders.show_all")}</button>`,
          )
        : empty(this.t("desk.orders_empty"), this.t("desk.orders_empty_hint"));
    }
    return html`<p class="sr-only" role="status">${this.t("orders.shown", { count: page.orders.length })}</p>
      ${this.wide ? this.table(page) : this.cards(page)}
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" data-testid="more-orders" ?disabled=${this.busy === "more"} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }

  private table(page: OrderPage): TemplateResult {
    return html`<div class="table-scroll orders-table" tabindex="0" role="region" aria-label=${this.t("desk.orders")}><table class="table">
      <thead><tr><th scope="col">${this.t("orders.number")}</th><th scope="col">${this.t("orders.buyer")}</th><th scope="col">${this.t("orders.placed")}</th>
        <th scope="col">${this.t("orders.delivery")}</th><th scope="col">${this.t("desk.payment")}</th><th scope="col">${this.t("orders.state")}</th><th scope="col" class="num">${this.t("desk.total")}</th></tr></thead>
      <tbody>${repeat(
        page.orders,
        ({ id }) => id,
        (order) => html`<tr data-testid="order-row" data-order=${order.id}><th scope="row"><a href="#/orders/${order.id}">${order.number}</a><span class="quiet">${this.pieces(order)}</span></th>
          <td>${order.address.name}<span class="quiet">${order.email}</span></td>
          <td><time datetime=${order.placed_at}>${whenWords(order.placed_at, this.app.words)}</time></td>
          <td>${this.delivery(order)}</td><td>${this.paymentWords(order)}</td><td><span class="badges">${this.states(order, page)}</span></td><td class="num">${this.money(order.total)}</td></tr>`,
      )}</tbody></table></div>`;
  }

  private cards(page: OrderPage): TemplateResult {
    return html`<ul class="rows">${repeat(
      page.orders,
      ({ id }) => id,
      (order) => html`<li class="row" data-testid="order-row" data-order=${order.id}><a class="row-main order-card" href="#/orders/${order.id}">
        <span class="order-card-head"><span class="row-title">${order.number}</span><span class="row-sum">${this.money(order.total)}</span></span>
        <span>${order.address.name}</span>
        <span class="quiet"><time datetime=${order.placed_at}>${whenWords(order.placed_at, this.app.words)}</time> · ${this.pieces(order)} · ${this.delivery(order)}</span>
        <span class="badges">${this.states(order, page)}${this.paymentWords(order)}</span></a></li>`,
    )}</ul>`;
  }

  private pieces(order: Order): string {
    return this.t("desk.pieces", { count: order.lines.reduce((sum, line) => sum + line.quantity, 0) });
  }

  private delivery(order: Order): string {
    if (order.delivery === "ship") return this.t("orders.delivery_ship");
    const store = this.stores.find(({ id }) => id === order.store_id)?.name;
    return store ? this.t("orders.pickup_at", { store }) : this.t("orders.delivery_pickup");
  }

  /** Of an order that came to nothing, the payment says no more than the order does. */
  private paymentWords(order: Order): TemplateResult | typeof nothing {
    const says = order.state === "confirmed" || order.payment.captured.amount > 0;
    return html`${says ? paymentBadge(order, this.app.words) : nothing}${order.payment.problem || order.payment.dispute ? html`<span class="badge badge-bad">${icon("warn")}${this.t("orders.look")}</span>` : nothing}`;
  }

  /** How far a confirmed order is; of any other, its own state. */
  private states(order: Order, page: OrderPage): TemplateResult {
    const states = order.state === "confirmed" ? (page.fulfilments?.[order.id] ?? []) : [];
    return states.length > 0 ? html`${fulfilmentBadges(states, this.app.words)}` : orderBadge(order, this.app.words);
  }
}
