/**
 * One show while it runs: picture, lineup, chat, orders, numbers, and the acts that move its state on.
 * The room is the truth: an act is sent, and the screen changes when the room's event says that it happened.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { isOn } from "../state/reduce";
import { RoomClient } from "../state/room";
import { clockText } from "../state/i18n";
import type { Numbers, Order, Recording, RoomEvent, Show, ShowState, Tick } from "../wire.gen";
import "./cockpit-chat";
import "./cockpit-lineup";
import "./cockpit-numbers";
import "./cockpit-offers";
import "./cockpit-orders";
import "./cockpit-video";
import "./embed-dialog";
import { icon, type IconName } from "./icons";
import "./monitor";
import { OfferBook } from "./offers";
import "./recording-line";
import "./rehearsal";
import { stateBadge, whenWords } from "./show-words";
import { VideoWatch } from "./video-watch";
import { explain, failure, loadingRows, View } from "./view";

const NUMBERS_EVERY_MS = 5_000;
const SAMPLES_KEPT = 120;

type Tab = "lineup" | "chat" | "orders" | "numbers";

const TABS: { tab: Tab; icon: IconName }[] = [
  { tab: "lineup", icon: "list" },
  { tab: "chat", icon: "chat" },
  { tab: "orders", icon: "bag" },
  { tab: "numbers", icon: "chart" },
];

/** Null: not told yet. "unknown": cannot be told. */
type Recorded = Recording["state"] | "unknown" | null;

interface Act {
  to: ShowState;
  /** Names the words: studio.act_<key>, studio.ask_<key>, studio.ask_<key>_text. */
  key: string;
  look: string;
  icon: IconName;
  testid: string;
}

const REHEARSE: Act = { to: "rehearsal", key: "rehearse", look: "btn-ghost", icon: "people", testid: "rehearse" };
const ACTS: Record<ShowState, Act[]> = {
  draft: [
    REHEARSE,
    { to: "live", key: "start", look: "btn-ghost", icon: "video", testid: "start-show" },
    { to: "scheduled", key: "schedule", look: "btn-primary", icon: "calendar", testid: "schedule-show" },
  ],
  scheduled: [
    { to: "draft", key: "unschedule", look: "btn-ghost", icon: "close", testid: "unschedule-show" },
    REHEARSE,
    { to: "live", key: "start", look: "btn-primary", icon: "video", testid: "start-show" },
  ],
  // It ends with the show as it was before; see `actsOf`.
  rehearsal: [
    { to: "draft", key: "end_rehearsal", look: "btn-danger", icon: "stop", testid: "end-rehearsal" },
    { to: "live", key: "start_after", look: "btn-ghost", icon: "video", testid: "start-show" },
  ],
  live: [{ to: "ended", key: "end", look: "btn-danger", icon: "stop", testid: "end-show" }],
  ended: [{ to: "replay", key: "replay", look: "btn-primary", icon: "play", testid: "publish-replay" }],
  replay: [{ to: "ended", key: "withdraw", look: "btn-ghost", icon: "close", testid: "withdraw-replay" }],
};

@customElement("studio-cockpit")
export class Cockpit extends View {
  @property() showId = "";
  @state() private tab: Tab = "lineup";
  @state() private numbers: Numbers | null = null;
  @state() private orders: Order[] | null = null;
  @state() private ordersWhy = "";
  @state() private busy = false;
  @state() private embedOpen = false;
  @state() private unread = 0;
  @state() private recorded: Recorded = null;
  private room!: RoomClient;
  private offers!: OfferBook;
  private video!: VideoWatch;
  private samples: number[] = [];
  private numbersTimer: ReturnType<typeof setInterval> | undefined;
  private clockTimer: ReturnType<typeof setInterval> | undefined;
  private lastTitle = "";
  private lastState: ShowState | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.room = new RoomClient(this.app.api, this.showId);
    this.offers = new OfferBook(this.app.api, this.room, this.showId);
    this.offers.start();
    this.video = new VideoWatch(this.app.api, this.showId);
    this.video.addEventListener("change", this.redraw);
    this.room.addEventListener("change", this.redraw);
    this.room.addEventListener("status", this.redraw);
    this.room.addEventListener("failed", this.redraw);
    this.room.addEventListener("event", this.happened);
    void this.room.connect();
    void this.loadNumbers();
    void this.loadOrders();
    this.numbersTimer = setInterval(() => void this.loadNumbers(), NUMBERS_EVERY_MS);
    this.clockTimer = setInterval(this.redraw, 1_000);
  }

  override disconnectedCallback(): void {
    clearInterval(this.numbersTimer);
    clearInterval(this.clockTimer);
    this.offers.stop();
    this.video.stop();
    this.room.close();
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => {
    this.requestUpdate();
  };

  private readonly happened = (event: Event): void => {
    const happening = (event as CustomEvent<RoomEvent | Tick>).detail;
    switch (happening.t) {
      case "order.placed":
        this.app.toast(
          this.t("studio.order_toast", { name: happening.d.first_name, product: happening.d.product_title }),
          "good",
        );
        void this.loadOrders();
        void this.loadNumbers();
        break;
      case "offer.ended":
        if (happening.d.reason === "time") this.app.toast(this.t("studio.offer_over", { title: happening.d.product.title }));
        break;
      case "chat.message":
        if (this.tab !== "chat") this.unread += 1;
        break;
      default:
        break;
    }
  };

  private async loadNumbers(): Promise<void> {
    if (document.hidden || !this.app.can("shows:read")) return;
    try {
      this.numbers = await this.app.api.get<Numbers>(`/api/shows/${encodeURIComponent(this.showId)}/numbers`);
      this.samples = [...this.samples, this.numbers.viewers].slice(-SAMPLES_KEPT);
    } catch {
      // The next turn asks again; the connection state already says when the server is away.
    }
  }

  private async loadOrders(): Promise<void> {
    if (!this.app.can("orders:read")) return;
    try {
      const rehearsal = this.room.state?.show.state === "rehearsal";
      const path = `/api/orders?show_id=${encodeURIComponent(this.showId)}&rehearsal=${rehearsal}`;
      this.orders = (await this.app.api.get<{ orders: Order[] }>(path)).orders;
      this.ordersWhy = "";
    } catch (error) {
      this.ordersWhy = explain(error, this.app.words);
    }
  }

  private async act(act: Act, show: Show): Promise<void> {
    const unseen = act.to === "live" && this.video.health?.state === "none" ? ` ${this.t("studio.ask_start_no_video")}` : "";
    const answer = await this.app.ask({
      title: this.t(`studio.ask_${act.key}`),
      text: this.t(`studio.ask_${act.key}_text`, { title: show.title }) + unseen,
      yes: this.t(`studio.act_${act.key}`),
      danger: act.look === "btn-danger",
    });
    if (answer === null) return;
    this.busy = true;
    try {
      await this.app.api.post<Show>(`/api/shows/${encodeURIComponent(show.id)}/state`, { to: act.to });
      this.app.toast(this.t(`studio.done_${act.key}`), "good");
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }

  private choose(tab: Tab): void {
    this.tab = tab;
    if (tab === "chat") this.unread = 0;
  }

  protected override render(): TemplateResult {
    const room = this.room.state;
    if (!room) {
      if (this.room.error) {
        const gone = this.room.error.status === 404;
        return html`<div class="page-bar"><a class="icon-btn" href="#/" aria-label=${this.t("studio.back")}>${icon("back")}</a>
            <h1>${this.t("studio.show")}</h1></div>
          ${failure(gone ? this.t("studio.show_gone") : explain(this.room.error, this.app.words), this.t("studio.try_again"), () => this.again())}`;
      }
      return loadingRows(this.t("studio.loading"));
    }
    const { show } = room;
    if (show.title !== this.lastTitle) {
      this.lastTitle = show.title;
      document.title = `${show.title} · ${this.app.shop.name}`;
    }
    return html`
      <div class="cockpit" data-tab=${this.tab}>
        ${this.head(show)}
        ${this.connection()}
        ${show.state === "rehearsal" ? html`<studio-rehearsal .app=${this.app} .show=${show}></studio-rehearsal>` : nothing}
        <studio-cockpit-offers .app=${this.app} .room=${this.room} .book=${this.offers} .version=${room}></studio-cockpit-offers>
        <div class="cockpit-grid">
          <div class="cockpit-side">
            <div class="panel monitor">
              <studio-monitor .app=${this.app} .show=${show} .room=${this.room} .health=${this.video.health}></studio-monitor>
              ${takesVideo(show) ? html`<studio-cockpit-video .app=${this.app} .show=${show} .room=${this.room} .watch=${this.video}></studio-cockpit-video>` : nothing}
              <studio-recording-line .app=${this.app} .show=${show} .room=${this.room}
                @recording=${(event: CustomEvent<Recorded>) => (this.recorded = event.detail)}></studio-recording-line>
            </div>
            <studio-cockpit-lineup class="panel" id="panel-lineup" data-panel="lineup" .app=${this.app} .room=${this.room} .book=${this.offers} .version=${room}></studio-cockpit-lineup>
          </div>
          <studio-cockpit-chat class="panel" id="panel-chat" data-panel="chat" .app=${this.app} .room=${this.room} .version=${room} .status=${this.room.status}></studio-cockpit-chat>
          <div class="cockpit-side">
            <studio-cockpit-numbers class="panel" id="panel-numbers" data-panel="numbers" .app=${this.app} .numbers=${this.numbers}
              .viewers=${room.viewers} .hearts=${room.hearts} .samples=${this.samples}></studio-cockpit-numbers>
            <studio-cockpit-orders class="panel" id="panel-orders" data-panel="orders" .app=${this.app} .orders=${this.orders} .why=${this.ordersWhy}
              @again=${() => void this.loadOrders()}></studio-cockpit-orders>
          </div>
        </div>
        <nav class="tabs" aria-label=${this.t("studio.tabs")}>${TABS.map((entry) => this.tabButton(entry.tab, entry.icon))}</nav>
      </div>
      ${this.embedOpen
        ? html`<studio-embed-dialog .app=${this.app} .show=${show} @ls-close=${() => (this.embedOpen = false)}></studio-embed-dialog>`
        : nothing}`;
  }

  protected override updated(): void {
    const show = this.room.state?.show;
    if (show && takesVideo(show)) this.video.start();
    else this.video.stop();
    if (show && show.state !== this.lastState) {
      // Those of a rehearsal are others than those of the show.
      const turned = this.lastState === "rehearsal" || show.state === "rehearsal";
      this.lastState = show.state;
      if (turned) void this.loadOrders();
    }
  }

  private again(): void {
    this.room.close();
    void this.room.connect();
  }

  private tabButton(tab: Tab, name: IconName): TemplateResult {
    const count = tab === "chat" ? this.unread : 0;
    return html`<button class="tab" aria-controls="panel-${tab}" aria-pressed=${this.tab === tab ? "true" : "false"} @click=${() => this.choose(tab)}>
      ${icon(name)}<span>${this.t(`studio.tab_${tab}`)}</span>
      ${count > 0 ? html`<span class="dot" aria-hidden="true">${count > 99 ? "99+" : count}</span><span class="sr-only">${this.t("studio.unread", { count })}</span>` : nothing}
    </button>`;
  }

  private head(show: Show): TemplateResult {
    const since = isOn(show) && show.started_at ? (this.room.serverNow() - Date.parse(show.started_at)) / 1_000 : null;
    return html`<header class="cockpit-head">
      <a class="icon-btn" href="#/" aria-label=${this.t("studio.back")}>${icon("back")}</a>
      <div class="cockpit-title">
        <h1>${show.title}</h1>
        <p class="quiet">${stateBadge(show.state, this.app.words)}
          ${since !== null ? html`<span class="clock" role="timer">${clockText(since)}</span>` : html`<span>${whenWords(show, this.app.words)}</span>`}
          ${show.audience === "customers" ? html`<span class="link-state">${icon("lock")}<span>${this.t("studio.customers_only")}</span></span>` : nothing}
          <span class="link-state link-${this.room.status}" data-testid="connection" data-status=${this.room.status}><span class="link-dot" aria-hidden="true"></span><span>${this.t(`studio.link_${this.room.status}`)}</span></span>
        </p>
      </div>
      <div class="cockpit-acts">
        <a class="icon-btn" href=${show.page} target="_blank" rel="noopener" title=${this.t("studio.open_page")} aria-label=${this.t("studio.open_page")}>${icon("external")}</a>
        <button class="icon-btn" data-testid="embed" title=${this.t("studio.embed")} aria-label=${this.t("studio.embed")} @click=${() => (this.embedOpen = true)}>${icon("code")}</button>
        ${this.app.can("shows:write")
          ? html`<a class="icon-btn" href="#/shows/${show.id}/edit" title=${this.t("studio.edit")} aria-label=${this.t("studio.edit_show", { title: show.title })}>${icon("edit")}</a>
              ${actsOf(show).filter(({ to }) => to !== "replay" || this.canBeSeenAgain(show)).map(
                (act) => html`<button class="btn ${act.look}" data-testid=${act.testid} title=${this.t(`studio.act_${act.key}`)} ?disabled=${this.busy} @click=${() => void this.act(act, show)}>
                  ${icon(act.icon)}<span>${this.t(`studio.act_${act.key}`)}</span></button>`,
              )}`
          : nothing}
      </div>
    </header>`;
  }

  private canBeSeenAgain(show: Show): boolean {
    return Boolean(show.replay_url) || this.recorded === "ended" || this.recorded === "unknown";
  }

  private connection(): TemplateResult | typeof nothing {
    if (this.room.status === "reconnecting") {
      return html`<p class="note note-warn" role="status">${icon("refresh")}<span>${this.t("studio.link_lost")}</span></p>`;
    }
    if (this.room.status === "closed") {
      return html`<div class="note note-bad" role="alert">${icon("warn")}<span>${this.t("studio.link_ended")}</span>
        <button class="btn btn-outline" @click=${() => this.again()}>${this.t("studio.try_again")}</button></div>`;
    }
    return nothing;
  }
}

function actsOf(show: Show): Act[] {
  const before = show.after_rehearsal;
  return ACTS[show.state].map((act) => (act.key === "end_rehearsal" && before ? { ...act, to: before } : act));
}

function takesVideo(show: Show): boolean {
  return show.state === "draft" || show.state === "scheduled" || isOn(show);
}
