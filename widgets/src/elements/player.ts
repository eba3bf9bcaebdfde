// <ls-player>: the whole show. Holds what is open; the parts ask it with "go" and draw what the session says.

import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import type { Order, RoomEvent, ShowState } from "../wire.gen";
import type { FrameAction, FrameMode } from "../player-api";
import playerCss from "../../styles/player.css";
import { baseStyles, tokenStyles } from "../ui/styles";
import { isOn } from "../state/reduce";
import { deepActive } from "../ui/focus";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import { priceStyles } from "../ui/price";
import { PAY_SLOT } from "../ui/pay-slot";
import "../ui/sheet";
import "./alerts";
import { goOf, type Go, type Open, type Tab } from "./go";
import { Part, define } from "./part";
import { pinnedCard } from "./pinned";
import "./cart";
import "./chat";
import "./hearts";
import "./lineup";
import "./product";
import "./upcoming";
import "./video";

/** A blink of the network is not worth a banner. */
const BANNER_AFTER_MS = 700;
const BACK_SHOWN_MS = 3000;
const STORY_SHOWN_MS = 6000;
const WIDE = 860;

export class LsPlayer extends Part {
  @property() mode: FrameMode = "inline";
  @property({ type: Boolean, reflect: true }) mini = false;
  @state() private open: Open | null = null;
  @state() private tab: Tab = "chat";
  @state() private banner: "" | "lost" | "back" = "";
  @state() private story: { id: number; text: string } | null = null;
  @state() private wide = false;
  /** Whether checkout, payment and thanks are here; null: they could not be fetched. */
  @state() private canPay: boolean | null = false;
  @query(".player") private root!: HTMLElement | null;
  private bannerTimer: ReturnType<typeof setTimeout> | undefined;
  private storyTimer: ReturnType<typeof setTimeout> | undefined;
  private opener: HTMLElement | null = null;
  private opened = false;
  private wasState: ShowState | null = null;
  private fetching = false;
  private readonly watch = new ResizeObserver(([entry]) => {
    this.wide = (entry?.contentRect.width ?? 0) >= WIDE;
  });

  static override styles = [tokenStyles, baseStyles, priceStyles, unsafeCSS(playerCss)];

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.onChange);
    this.session.addEventListener("event", this.onEvent);
    this.session.payments.addEventListener("concluded", this.onConcluded);
    this.session.room.addEventListener("status", this.onStatus);
    this.watch.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener("change", this.onChange);
    this.session.removeEventListener("event", this.onEvent);
    this.session.payments.removeEventListener("concluded", this.onConcluded);
    this.session.room.removeEventListener("status", this.onStatus);
    this.watch.disconnect();
    clearTimeout(this.bannerTimer);
    clearTimeout(this.storyTimer);
  }

  private readonly onChange = (): void => {
    const show = this.session.room.state?.show;
    if (show && this.wasState && show.state !== this.wasState) {
      this.session.tell("state", { state: show.state, started_at: show.started_at });
    }
    if (show && !this.wasState) {
      if (!isOn(show)) this.tab = "products";
      this.session.tell("ready", { state: show.state, title: show.title });
      this.session.track("ready", { state: show.state });
      this.arrive();
    }
    this.wasState = show?.state ?? this.wasState;
    if (this.session.cart.count > 0 || this.session.payments.pending) void this.preparePaying();
  };

  /** What the address of the page asks for: a product, a store, or the outcome of a payment at a bank's own page. */
  private arrive(): void {
    const { product, order } = this.session.arrival;
    if (order) {
      void this.preparePaying();
      this.session.payments.check(order).then(
        (found) => this.conclude(found),
        () => this.session.payments.load().catch(() => undefined),
      );
    } else if (product && this.session.product(product)) {
      this.go({ sheet: "product", id: product });
    }
  }

  private readonly onConcluded = (event: Event): void => {
    this.conclude((event as CustomEvent<Order>).detail);
  };

  /** What became of a payment that has no sheet. */
  private conclude(order: Order): void {
    if (order.state !== "payment_failed") {
      this.go(goOf(order));
      return;
    }
    const problem = this.t(`payment.${this.session.payments.lapseOf(order)}`);
    this.session.cart
      .load()
      .catch(() => undefined)
      .finally(() => this.go({ sheet: "cart", problem }));
  }

  /** Fetched before it is needed; what failed is tried again when it is. */
  private async preparePaying(): Promise<void> {
    if (this.canPay || this.fetching) return;
    this.fetching = true;
    try {
      await import("../paying");
      this.canPay = true;
    } catch {
      this.canPay = null;
    } finally {
      this.fetching = false;
    }
  }

  private readonly onEvent = (event: Event): void => {
    const detail = (event as CustomEvent<RoomEvent>).detail;
    if (detail.t === "order.placed") {
      const { first_name: name, product_title: product } = detail.d;
      this.tellStory(name ? this.t("story.bought", { name, product }) : this.t("story.somebody_bought", { product }), detail.o);
    }
  };

  private tellStory(text: string, id: number): void {
    clearTimeout(this.storyTimer);
    this.story = { id, text };
    this.storyTimer = setTimeout(() => (this.story = null), STORY_SHOWN_MS);
  }

  private readonly onStatus = (): void => {
    const { status } = this.session.room;
    clearTimeout(this.bannerTimer);
    if (status === "reconnecting" && this.opened) {
      if (this.banner !== "lost") this.bannerTimer = setTimeout(() => (this.banner = "lost"), BANNER_AFTER_MS);
    } else if (status === "open") {
      this.opened = true;
      if (this.banner !== "lost") return;
      this.banner = "back";
      this.bannerTimer = setTimeout(() => (this.banner = ""), BACK_SHOWN_MS);
      // Holds went on running while we were away.
      this.session.cart.load().catch(() => undefined);
    }
  };

  private go(go: Go): void {
    if (go?.sheet == null) {
      this.open = null;
      if (go) this.tab = go.tab;
      void this.giveFocusBack();
      return;
    }
    // Sheets replace each other: the first opener is where the focus returns to in the end.
    if (!this.open) this.opener = deepActive();
    this.open = go;
    if (go.sheet === "checkout" || go.sheet === "payment" || go.sheet === "done") void this.preparePaying();
    if (go.sheet === "done") {
      this.session.tell("order-placed", { order: go.order });
      this.session.track("order-placed", { order_id: go.order.id, total: go.order.total });
      // The confirmed cart is empty now; the answer of the order does not carry it.
      this.session.cart.load().catch(() => undefined);
    }
  }

  /** Where nothing is open; an open sheet shows them itself. */
  private alerts(): TemplateResult {
    const lost = (): void => this.renderRoot.querySelector<HTMLElement>(`#tab-${this.tab}`)?.focus();
    return html`<ls-alerts ?small=${this.mini} .session=${this.session} @go=${this.onGo} @lost=${lost}></ls-alerts>`;
  }

  private async giveFocusBack(): Promise<void> {
    await this.updateComplete;
    const target = this.opener?.isConnected ? this.opener : this.renderRoot.querySelector<HTMLElement>(`#tab-${this.tab}`);
    this.opener = null;
    target?.focus({ preventScroll: true });
  }

  private readonly onGo = (event: Event): void => {
    event.stopPropagation();
    this.go((event as CustomEvent<Go>).detail);
  };

  private async fullscreen(): Promise<void> {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await this.root?.requestFullscreen();
    } catch {
      // Refused by the page's permissions policy.
    }
  }

  private onShape(event: CustomEvent<number>): void {
    this.root?.style.setProperty("--shape", `${event.detail}`);
  }

  private frame(action: FrameAction): void {
    this.dispatchEvent(new CustomEvent("ls-frame", { detail: action }));
  }

  private tabKeys(event: KeyboardEvent): void {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    this.tab = this.tab === "chat" ? "products" : "chat";
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(`#tab-${this.tab}`)?.focus());
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    this.toggleAttribute("bare", this.mode !== "inline");
  }

  private over(): TemplateResult {
    const room = this.session.room.state!;
    const { show } = room;
    const count = this.session.cartCount;
    const live = isOn(show);
    const bare = !live && !(show.state === "replay" && show.replay);
    return html`<div class="over ${bare ? "bare" : ""}">
      ${!live
        ? nothing
        : show.state === "live"
          ? html`<span class="chip chip-live" data-testid="live-badge">${this.t("live")}</span>`
          : html`<ls-rehearsal .session=${this.session}></ls-rehearsal>`}
      ${show.state === "replay" ? html`<span class="chip optional">${icon("play", true)}${this.t("replay")}</span>` : nothing}
      ${live
        ? html`<span class="chip optional" data-testid="viewer-count"
            >${icon("eye")}<span class="sr-only">${this.t("viewers", { count: room.viewers })}</span
            ><span aria-hidden="true">${this.session.i18n.compact(room.viewers)}</span></span
          >`
        : nothing}
      <span class="grow"></span>
      <button
        class="round optional"
        data-testid="cart-open"
        aria-label=${count > 0 ? this.t("cart.open_count", { count }) : this.t("cart.open")}
        @click=${() => this.go({ sheet: "cart" })}
      >
        ${icon("bag")}${count > 0 ? html`<span class="count" aria-hidden="true">${count}</span>` : nothing}
      </button>
      ${this.mode === "floating"
        ? html`<button
            class="round"
            aria-label=${this.t(this.mini ? "frame.expand" : "frame.minimise")}
            @click=${() => this.frame(this.mini ? "expand" : "minimise")}
          >
            ${icon(this.mini ? "expand" : "shrink")}
          </button>`
        : nothing}
      ${this.mode === "inline"
        ? nothing
        : html`<button class="round" aria-label=${this.t("frame.close")} @click=${() => this.frame("close")}>${icon("close")}</button>`}
    </div>`;
  }

  private scene(): TemplateResult | typeof nothing {
    const { show } = this.session.room.state!;
    const cover = show.cover ? html`<div class="cover">${picture(show.cover, { sizes: "100vw", alt: "", eager: true })}</div>` : nothing;
    if (show.state === "scheduled" || show.state === "draft") {
      return html`${cover}
        <div class="scene">
          <h2>${show.title}</h2>
          <ls-countdown .session=${this.session}></ls-countdown>
        </div>`;
    }
    if (show.state === "ended" || (show.state === "replay" && !show.replay)) {
      return html`${cover}
        <div class="scene">
          <h2>${this.t("ended.title")}</h2>
          <p>${this.t("ended.text")}</p>
        </div>`;
    }
    if (isOn(show) && !show.hls) {
      return html`${cover}
        <div class="scene">
          <h2>${show.title}</h2>
          <p role="status">${this.t("starting")}</p>
        </div>`;
    }
    return nothing;
  }

  private get isPaying(): boolean {
    return this.open?.sheet === "checkout" || this.open?.sheet === "payment";
  }

  private stage(): TemplateResult {
    const { show } = this.session.room.state!;
    const live = isOn(show);
    const src = live ? show.hls : show.replay;
    const paying = this.isPaying;
    return html`<section class="stage" aria-label=${this.t("stage")}>
      <ls-video
        .session=${this.session}
        .src=${src}
        .live=${live}
        .small=${(paying && !this.wide) || this.mini}
        @fullscreen=${this.fullscreen}
        @ls-shape=${this.onShape}
      ></ls-video>
      ${this.scene()} ${this.over()}
      ${paying ? html`<div class="strip"><b>${show.title}</b><span>${this.t("strip.goes_on")}</span></div>` : nothing}
      ${this.story ? html`<div class="story" aria-hidden="true">${icon("bag")}<span>${this.story.text}</span></div>` : nothing}
      ${live ? html`<ls-hearts .session=${this.session}></ls-hearts>` : nothing} ${this.mini ? this.alerts() : nothing}
    </section>`;
  }

  private below(): TemplateResult {
    const { show } = this.session.room.state!;
    const pinned = isOn(show) || show.state === "replay" ? this.session.product(this.session.pinned) : undefined;
    const waiting = show.state === "scheduled";
    const host = show.host_name || this.session.shop?.name || "";
    const initials = host
      .split(/\s+/)
      .map((word) => [...word][0] ?? "")
      .slice(0, 2)
      .join("");
    return html`<section class="below ${pinned || waiting ? "" : "bare"}" aria-label=${this.t("below")} ?inert=${this.open !== null && !this.wide}>
      <div class="title-row">
        <span class="face" aria-hidden="true">${initials}</span>
        <div>
          <h2>${show.title}</h2>
          <p>${show.host_name ? this.t("host.with", { name: show.host_name }) : this.session.shop?.name ?? nothing}</p>
        </div>
      </div>
      <div class="focus">
        <p class="sr-only" aria-live="polite">${pinned ? this.t("product.now_showing", { title: pinned.title }) : ""}</p>
        ${pinned
          ? pinnedCard(pinned, this, () => this.go({ sheet: "product", id: pinned.id }))
          : waiting
            ? html`<div class="remind"><ls-remind .session=${this.session}></ls-remind></div>`
            : html`<p class="about">${show.description}</p>`}
      </div>
    </section>`;
  }

  private panel(): TemplateResult {
    const room = this.session.room;
    const products = room.state!.products.length;
    const tab = (name: Tab, label: TemplateResult | string): TemplateResult =>
      html`<button
        role="tab"
        id="tab-${name}"
        data-testid="tab-${name}"
        aria-controls="panel-${name}"
        aria-selected=${this.tab === name}
        tabindex=${this.tab === name ? 0 : -1}
        @click=${() => (this.tab = name)}
      >
        ${label}
      </button>`;
    return html`<section class="panel" ?inert=${this.open !== null}>
      <div role="status">
        ${room.closeCode !== null
          ? html`<p class="banner" data-testid="connection-banner">
              ${icon("warn")}${this.t(room.closeCode === 4500 ? "chat.error.banned" : "connection.closed")}
            </p>`
          : this.banner === "lost"
            ? html`<p class="banner" data-testid="connection-banner"><span class="spinner"></span>${this.t("connection.lost")}</p>`
            : this.banner === "back"
              ? html`<p class="banner good">${icon("check")}${this.t("connection.back")}</p>`
              : nothing}
      </div>
      ${this.open || this.mini ? nothing : this.alerts()}
      <div class="tabs" role="tablist" aria-label=${this.t("tabs")} @keydown=${this.tabKeys}>
        ${tab("chat", this.t("chat"))} ${tab("products", html`${this.t("products")} <small>${products}</small>`)}
      </div>
      <div class="tabpanel" id="panel-chat" role="tabpanel" aria-labelledby="tab-chat" ?hidden=${this.tab !== "chat"}>
        <ls-chat .session=${this.session}></ls-chat>
      </div>
      <div class="tabpanel" id="panel-products" role="tabpanel" aria-labelledby="tab-products" ?hidden=${this.tab !== "products"}>
        <ls-lineup .session=${this.session} @go=${this.onGo}></ls-lineup>
      </div>
    </section>`;
  }

  private sheet(): TemplateResult | typeof nothing {
    const open = this.open;
    switch (open?.sheet) {
      case "product":
        return html`<ls-product .session=${this.session} .productId=${open.id} @go=${this.onGo}></ls-product>`;
      case "cart":
        return html`<ls-cart .session=${this.session} .problem=${open.problem ?? ""} @go=${this.onGo}></ls-cart>`;
      case "checkout":
      case "payment":
      case "done":
        return this.canPay ? this.payingSheet(open) : this.notYet();
      default:
        return nothing;
    }
  }

  private payingSheet(open: Exclude<Open, { sheet: "product" | "cart" }>): TemplateResult {
    // Fields of a payment provider stand outside of all shadow trees and are shown through slots.
    const fields = html`<slot name=${PAY_SLOT}></slot>`;
    switch (open.sheet) {
      case "checkout":
        return html`<ls-checkout .session=${this.session} .problem=${open.problem ?? ""} @go=${this.onGo}>${fields}</ls-checkout>`;
      case "payment":
        return html`<ls-payment .session=${this.session} .order=${open.order} .fresh=${open.fresh} @go=${this.onGo}
          >${fields}</ls-payment
        >`;
      case "done":
        return html`<ls-done .session=${this.session} .order=${open.order} @go=${this.onGo}></ls-done>`;
    }
  }

  /** The sheets for paying are on their way, or could not be fetched. */
  private notYet(): TemplateResult {
    return html`<ls-sheet label=${this.t("checkout.title")} .closeLabel=${this.t("close")} @ls-close=${() => this.go(null)}>
      <div class="whole" role="status">
        ${this.canPay === null
          ? html`${icon("warn")}
              <p>${this.t("error.unreachable")}</p>
              <button class="btn btn-outline" @click=${this.preparePaying}>${icon("refresh")}${this.t("retry")}</button>`
          : html`<span class="spinner"></span>`}
      </div>
    </ls-sheet>`;
  }

  private nothingYet(): TemplateResult {
    const error = this.session.room.error;
    if (!error) return html`<div class="whole" role="status" aria-label=${this.t("loading")}><span class="spinner"></span></div>`;
    if (error.code === "bad_invitation") return html`<div class="whole"><ls-rehearsal .session=${this.session}></ls-rehearsal></div>`;
    const unknown = error.status === 404;
    const words = unknown ? "show" : error.code === "customers_only" ? "customers" : "server";
    return html`<div class="whole" role="alert" data-testid="show-error">
      ${icon(unknown ? "search" : "warn")}
      <h2>${this.t(`error.${words}_title`)}</h2>
      <p>${this.t(`error.${words}_text`)}</p>
      ${words !== "server"
        ? nothing
        : html`<button class="btn btn-outline" data-testid="retry" @click=${() => this.session.room.reconnect()}>
            ${icon("refresh")}${this.t("retry")}
          </button>`}
    </div>`;
  }

  protected override render(): TemplateResult {
    if (!this.session.room.state) return this.nothingYet();
    return html`<div
      class="player ${this.isPaying ? "paying" : ""}"
      role="region"
      lang=${this.session.i18n.lang}
      aria-label=${this.t("player", { title: this.session.room.state.show.title })}
    >
      ${this.stage()} ${this.below()} ${this.panel()}
      <div class="sheets" ?hidden=${this.open === null}>${this.sheet()}</div>
    </div>`;
  }
}

define("ls-player", LsPlayer);

declare global {
  interface HTMLElementTagNameMap {
    "ls-player": LsPlayer;
  }
}
