// <ls-replay>: a recorded show to be watched again: its chapters, pictures of what lies ahead, the chat as it was, and
// every product at its moment. A chunk of its own with its words: nobody else pays for it.

import { html, nothing, svg, unsafeCSS, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import de from "../../locales/de.json";
import en from "../../locales/en.json";
import replayDe from "../../locales/replay.de.json";
import replayEn from "../../locales/replay.en.json";
import liveCss from "../../styles/player-live.css";
import replayCss from "../../styles/player-replay.css";
import { clockText } from "../state/i18n";
import type { Session } from "../state/session";
import { icon } from "../ui/icon";
import { baseStyles } from "../ui/styles";
import type { Image, Replay, RoomEvent } from "../wire.gen";
import { card } from "./live-card";
import { Part, define } from "./part";
import { chapterList, placeAt, placesOf, titleOf, withEarlierPins, type Place } from "./replay-chapters";
import { ReplayChat } from "./replay-chat";
import { keepPlace, keptPlace } from "./replay-place";
import { HALF_THUMB, paintShot, pictureAt, placeTip } from "./replay-tip";
import { attach, type Figures, type Stream } from "./stream";
import { dateOf, lengthOf, positionOf, stretchesOf, type Stretch } from "./timeline";

export { attach };

Object.assign(en, replayEn);
Object.assign(de, replayDe);

const LOOK_EVERY_MS = 200;
const KEEP_EVERY_MS = 2000;
const SETTLE_MS = 250;
const RENEW_AFTER_MS = 30_000;
const STEP_S = 10;
const SPEEDS = [1, 1.25, 1.5, 2];
/** Pictures are made while the first viewers watch: a short show's within seconds. */
const ASK_AGAIN_MS = [2000, 3000, 5000, 10_000, 20_000, 40_000, 80_000, 160_000];
/** Nearer to the end than this nobody goes on from. */
const OVER_S = 3;
/** Pressed within the first seconds of a chapter, "back" means the one before. */
const JUST_BEGUN_S = 3;
/** Beyond any rounding: at its first frame a product is in focus. */
const INSIDE_S = 0.02;

export class LsReplay extends Part {
  @property() src = "";
  @property({ attribute: false }) video!: HTMLVideoElement;
  @property({ type: Boolean, reflect: true }) small = false;
  /** The viewer was here when the show ended: whether it begins anew is for him to say. */
  @property({ type: Boolean }) again = false;
  @state() private begun = false;
  @state() private facts: Replay | null = null;
  @state() private still = true;
  @state() private trouble = false;
  @state() private speed = 1;
  @state() private listed = false;
  /** Where on the bar the viewer points at, and where he wants to be, in seconds. */
  @state() private pointed: number | null = null;
  @state() private aim: number | null = null;
  @query(".seek input") private bar!: HTMLInputElement | null;
  @query(".tip") private tip!: HTMLElement | null;
  @query(".tip i") private shot!: HTMLElement | null;
  stream: Stream | null = null;
  readonly soundOnly = false;
  readonly atLive = true;
  readonly state = "replay";
  private playing = "";
  private native: Stretch[] = [];
  private denied = false;
  private chat: ReplayChat | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private settle: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;
  private version = 0;
  private keptAt = 0;
  private renewedAt = -RENEW_AFTER_MS;

  static override styles = [baseStyles, unsafeCSS(liveCss), unsafeCSS(replayCss)];

  private readonly listeners: [string, () => void][] = [
    ["playing", () => (this.still = false)],
    ["timeupdate", () => this.video.readyState > 2 && (this.still = false)],
    ["seeked", () => (this.still = this.video.readyState < 3)],
    ["waiting", () => (this.still = true)],
    ["emptied", () => (this.still = true)],
    ["pause", () => this.keep()],
    ["error", () => this.failedNative()],
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.session.addEventListener("event", this.heard);
    addEventListener("pagehide", this.leaving);
    this.around?.addEventListener("keydown", this.keyed);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.keep();
    clearInterval(this.timer);
    clearTimeout(this.settle);
    clearTimeout(this.asking);
    this.session.removeEventListener("event", this.heard);
    removeEventListener("pagehide", this.leaving);
    for (const [name, listener] of this.listeners) this.video.removeEventListener(name, listener);
    this.video.defaultPlaybackRate = this.video.playbackRate = 1;
    this.stream?.destroy();
    this.stream = null;
    this.say(null);
  }

  protected override firstUpdated(): void {
    for (const [name, listener] of this.listeners) this.video.addEventListener(name, listener);
    void this.ask();
    if (!this.again) this.begin(this.firstMoment());
  }

  /** The element around this one: its buttons stand beside these. */
  private get around(): HTMLElement | null {
    const root = this.getRootNode();
    return root instanceof ShadowRoot ? (root.host as HTMLElement) : null;
  }

  // What the element around this one asks

  readonly figures: Figures = { latency: null, target: 0, stalls: 0 };

  /** A card stands in for the picture. */
  get isDark(): boolean {
    return !this.begun;
  }

  /** Wall-clock milliseconds of the frame on screen. */
  get head(): number | null {
    if (!this.begun || this.video.readyState < 1) return null;
    return this.stream?.playhead() ?? dateOf(this.stretches, this.video.currentTime);
  }

  // The recording

  private get stretches(): readonly Stretch[] {
    return this.stream?.stretches ?? this.native;
  }

  private get length(): number {
    return lengthOf(this.stretches);
  }

  private get startedAt(): number {
    const { show } = this.session.room.state!;
    return Date.parse(show.started_at ?? show.ended_at ?? "") || 0;
  }

  /** Where this tab was before it was loaded anew, else what the page's address asks for, else the beginning. */
  private firstMoment(): number {
    const { at } = this.session.arrival;
    return keptPlace(this.session.showId, at) ?? (at === null ? 0 : this.startedAt + at * 1000);
  }

  private begin(from: number): void {
    this.begun = true;
    this.start(from);
    this.emit("ls-start");
  }

  private start(from: number): void {
    const { src, video } = this;
    this.stream?.destroy();
    this.playing = src;
    this.denied = false;
    this.stream = attach(video, src, (fatal) => (this.trouble = fatal), {
      from,
      onDenied: () => this.renew(),
    });
    if (!this.stream) void this.startNative(src, from);
  }

  private async startNative(src: string, from: number): Promise<void> {
    this.video.src = src;
    this.emit("ls-start");
    let found: Stretch[];
    try {
      found = stretchesOf(await (await fetch(src)).text());
    } catch {
      return; // It plays; only its moments are not known.
    }
    if (this.playing !== src || !this.isConnected) return;
    this.native = found;
    if (from > 0) this.seekTo(positionOf(this.native, from) ?? 0);
  }

  /** Its signature is too old: the room knows a new one. */
  private renew(): void {
    this.denied = true;
    this.session.room.reload();
  }

  /** A browser that plays it by itself does not say why it stopped; a recording that is broken is not asked for on and on. */
  private failedNative(): void {
    if (!this.begun || this.stream || performance.now() - this.renewedAt < RENEW_AFTER_MS) return;
    this.renewedAt = performance.now();
    this.renew();
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    const show = this.session.room.state?.show;
    if (!show || show.version === this.version) return;
    // It may have been cut.
    if (this.version) void this.ask();
    this.version = show.version;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    if (this.begun && this.denied && this.src !== this.playing) {
      this.start(this.head ?? this.firstMoment());
      this.emit("ls-start");
    }
    this.drawTip();
    if (changed.has("listed") && this.listed) {
      const root = this.renderRoot;
      (root.querySelector<HTMLElement>("[aria-current=true]") ?? root.querySelector<HTMLElement>(".chapters li button"))?.focus();
    }
  }

  private async ask(): Promise<void> {
    clearTimeout(this.asking);
    const path = `/api/shows/${encodeURIComponent(this.session.showId)}/replay`;
    try {
      this.facts = await this.session.api.get<Replay>(path);
      if (this.facts.poster && this.video.readyState < 2) this.video.poster = this.facts.poster;
    } catch {
      // The recording plays without them.
    }
    const again = ASK_AGAIN_MS[this.asked];
    if ((this.facts?.sprites && this.facts.poster) || again === undefined || !this.isConnected) return;
    this.asked += 1;
    this.asking = setTimeout(() => void this.ask(), again * (0.75 + Math.random() / 2));
  }

  // As time goes on

  private look(): void {
    const { head } = this;
    const { room } = this.session;
    if (head === null) return;
    if (room.state) room.state = withEarlierPins(room.state, this.facts?.chapters ?? []);
    this.chat ??= new ReplayChat(this.session.api, this.session.showId, this.startedAt);
    if (this.chat.at(head) || this.session.said === null) this.say(this.chat.messages);
    if (performance.now() - this.keptAt > KEEP_EVERY_MS && !this.video.paused) this.keep();
    this.requestUpdate();
  }

  private say(messages: Session["said"]): void {
    this.session.said = messages;
    this.session.changed();
  }

  private readonly heard = (event: Event): void => {
    const { detail } = event as CustomEvent<RoomEvent>;
    // A mute silences the future only; a ban also takes back what was said.
    if (detail.t === "chat.deleted") this.chat?.drop(detail.d.message_id);
    else if (detail.t === "chat.sanctioned" && detail.d.kind === "ban") this.chat?.drop(detail.d.viewer_id);
  };

  private readonly leaving = (): void => this.keep();

  private keep(): void {
    const { head, video } = this;
    if (head === null) return;
    this.keptAt = performance.now();
    const isOver = video.ended || this.length - video.currentTime < OVER_S;
    keepPlace(this.session.showId, isOver ? null : head, this.session.arrival.at);
  }

  // Going somewhere else

  private seekTo(position: number): void {
    this.aim = null;
    const { video, length } = this;
    video.currentTime = Math.max(0, Math.min(position, length ? length - 0.1 : position));
    this.look();
    this.session.changed();
  }

  private goTo(place: Place): void {
    this.session.track("chapter", { product_id: place.chapter.product_id });
    this.seekTo(place.start + INSIDE_S);
    if (this.video.paused) this.emit("ls-start");
    this.closeList();
  }

  private closeList(): void {
    if (!this.listed) return;
    this.listed = false;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>("[data-testid=chapters]")?.focus());
  }

  private choose(event: Event): void {
    this.aim = Number((event.target as HTMLInputElement).value);
    clearTimeout(this.settle);
    // Arrow keys come one by one: not every one of them is where the viewer wants to be.
    if (event.type === "change") this.settle = setTimeout(() => this.aim !== null && this.seekTo(this.aim), SETTLE_MS);
  }

  private step(by: number): void {
    const to = (this.aim ?? this.video.currentTime) + by;
    this.aim = Math.max(0, Math.min(to, this.length));
    clearTimeout(this.settle);
    this.settle = setTimeout(() => this.aim !== null && this.seekTo(this.aim), SETTLE_MS);
  }

  private chapterBy(by: number): void {
    const { places } = this;
    const here = this.aim ?? this.video.currentTime;
    const now = places.findLastIndex((place) => place.start <= here);
    const back = by < 0 && here - (places[now]?.start ?? 0) > JUST_BEGUN_S ? 0 : by;
    const place = places[Math.max(0, now + back)];
    if (place) this.seekTo(place.start + INSIDE_S);
  }

  /** Of the picture and its buttons; sliders other than ours have keys of their own. */
  private readonly keyed = (event: KeyboardEvent): void => {
    const target = event.composedPath()[0] as HTMLElement;
    if (!this.begun || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && this.listed) {
      event.stopPropagation();
      return this.closeList();
    }
    if (this.listed && target.closest(".chapters")) return;
    if (target instanceof HTMLInputElement && target !== this.bar) return;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowDown":
        this.step(-STEP_S);
        break;
      case "ArrowRight":
      case "ArrowUp":
        this.step(STEP_S);
        break;
      case "PageUp":
        this.chapterBy(1);
        break;
      case "PageDown":
        this.chapterBy(-1);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  private point(event: PointerEvent): void {
    const { left, width } = this.bar!.getBoundingClientRect();
    const share = (event.clientX - left - HALF_THUMB) / (width - 2 * HALF_THUMB);
    this.pointed = Math.min(1, Math.max(0, share)) * this.length;
  }

  private faster(): void {
    const next = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length]!;
    this.speed = next;
    this.video.defaultPlaybackRate = this.video.playbackRate = next;
    this.session.track("speed", { speed: next });
  }

  // What is seen

  private get places(): Place[] {
    return placesOf(this.facts?.chapters ?? [], this.stretches);
  }

  private drawTip(): void {
    const { tip, shot, bar, length } = this;
    const at = this.aim ?? this.pointed;
    if (!tip || !bar || at === null || !length) return;
    placeTip(tip, bar, at / length);
    const sprites = this.facts?.sprites;
    const number = this.pictureAt(at);
    if (shot && sprites && number !== null) paintShot(shot, sprites, number, this.session.base);
  }

  private pictureAt(position: number): number | null {
    return pictureAt(this.facts?.sprites, dateOf(this.stretches, position));
  }

  private seekBar(places: Place[], length: number): TemplateResult {
    const here = this.aim ?? this.video.currentTime;
    const at = this.aim ?? this.pointed;
    const now = placeAt(places, here);
    const tipped = at === null ? undefined : placeAt(places, at);
    const times = { time: clockText(here), length: clockText(length) };
    const words = now ? this.t("replay.at_chapter", { ...times, title: titleOf(now, this.session) }) : this.t("replay.at", times);
    const percent = (seconds: number): string => `${Math.min(100, (100 * seconds) / length).toFixed(2)}%`;
    return html`<div class="seek">
      <svg class="track" aria-hidden="true">
        <rect class="rest" width="100%" height="100%" rx="2"></rect>
        <rect class="done" width=${percent(here)} height="100%" rx="2"></rect>
        ${places.map(({ start }) => (start > 0 ? svg`<rect class="mark" x=${percent(start)} width="3" height="100%"></rect>` : nothing))}
      </svg>
      <input
        type="range"
        min="0"
        max=${Math.floor(length)}
        data-testid="replay-seek"
        aria-label=${this.t("video.seek")}
        aria-valuetext=${words}
        .value=${String(Math.round(here))}
        @input=${this.choose}
        @change=${this.choose}
        @pointermove=${this.point}
        @pointerleave=${() => (this.pointed = null)}
      />
      ${at === null
        ? nothing
        : html`<div class="tip" data-testid="replay-tip" aria-hidden="true">
            ${this.pictureAt(at) === null ? nothing : html`<i></i>`}
            <b>${clockText(at)}</b>${tipped ? html`<span>${titleOf(tipped, this.session)}</span>` : nothing}
          </div>`}
    </div>`;
  }

  private row(): TemplateResult | typeof nothing {
    const { length, places } = this;
    if (this.small || !this.begun || !length) return nothing;
    const now = placeAt(places, this.video.currentTime);
    const jump = (by: number): TemplateResult => {
      const label = this.t(by < 0 ? "replay.back" : "replay.on", { count: STEP_S });
      return html`<button class="icon-btn jump" title=${label} aria-label=${label} @click=${() => this.step(by)}>
        <svg class="icon ${by < 0 ? "" : "turned"}" viewBox="0 0 24 24" aria-hidden="true"><path d="M4.5 12a7.5 7.5 0 1 0 2.2-5.3L4.5 9 M4.5 4.5V9H9" /></svg
        ><small aria-hidden="true">${STEP_S}</small>
      </button>`;
    };
    const speed = this.t("replay.speed", { speed: this.session.i18n.number(this.speed) });
    return html`<div class="row">
      ${jump(-STEP_S)}${jump(STEP_S)} ${this.seekBar(places, length)}
      <button class="icon-btn speed" data-testid="speed" title=${speed} aria-label=${speed} @click=${this.faster}>
        ${this.session.i18n.number(this.speed)}×
      </button>
      ${places.length > 1
        ? html`<button
            class="list"
            data-testid="chapters"
            aria-expanded=${this.listed ? "true" : "false"}
            title=${this.t("replay.chapters")}
            @click=${() => (this.listed = !this.listed)}
          >
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
              <path d="M9 6.5h11 M9 12h11 M9 17.5h11 M4.5 6.5v.01 M4.5 12v.01 M4.5 17.5v.01" />
            </svg>
            <span class="sr-only">${this.t("replay.chapters")}</span>
            ${now ? html`<span class="here">${titleOf(now, this.session)}</span>` : nothing}
          </button>`
        : nothing}
    </div>`;
  }

  private list(): TemplateResult | typeof nothing {
    if (!this.listed || this.small) return nothing;
    const { places } = this;
    const now = placeAt(places, this.video.currentTime);
    return chapterList(places, now, this.session, (place) => this.goTo(place), () => this.closeList());
  }

  private get cover(): Image | null | undefined {
    const { poster } = this.facts ?? {};
    return this.session.room.state?.show.cover ?? (poster ? { id: "", src: poster, alt: "", width: 0, height: 0, sources: [] } : null);
  }

  protected override render(): TemplateResult {
    if (!this.begun) {
      return card(
        this.cover,
        this.t("replay.over"),
        this.t("replay.over_text"),
        html`<button class="btn" data-testid="watch-again" @click=${() => this.begin(0)}>${icon("play", true)}${this.t("replay.watch")}</button>`,
      );
    }
    return html`${this.trouble
      ? html`<div class="pill" role="status"><span class="spinner"></span>${this.t("video.trouble")}</div>`
      : this.still && !this.video.paused
        ? html`<div class="wait"><span class="spinner"></span></div>`
        : nothing}
    ${this.row()} ${this.list()}`;
  }
}

define("ls-replay", LsReplay);

declare global {
  interface HTMLElementTagNameMap {
    "ls-replay": LsReplay;
  }
}
