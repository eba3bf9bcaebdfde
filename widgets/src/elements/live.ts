// <ls-live>: what a running show needs around its picture: the stream close to live, the way back into the show, sound
// alone for thin networks, and words for everything that is not a moving picture. In the chunk of hls.js with its words:
// a show that is not live costs none of it.

import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import de from "../../locales/de.json";
import en from "../../locales/en.json";
import videoDe from "../../locales/video.de.json";
import videoEn from "../../locales/video.en.json";
import liveCss from "../../styles/player-live.css";
import { clockText } from "../state/i18n";
import { icon } from "../ui/icon";
import { baseStyles } from "../ui/styles";
import type { Image } from "../wire.gen";
import { card } from "./live-card";
import { attach, type Figures, type Stream } from "./stream";
import { Part, define } from "./part";
import { keepSoundOnly, wantsSoundOnly } from "./sound-only";

Object.assign(en, videoEn);
Object.assign(de, videoDe);

export type LiveState = "waiting" | "away" | "gone" | "loading" | "trouble" | "playing" | "paused" | "rewind";

const LOOK_EVERY_MS = 1000;
/** A chunk of the recording is there when it is complete: nearer to live than this, live itself is shown. */
const RECORDED_MS = 14_000;
/** Before there is so much, going back is no use. */
const WORTH_MS = 30_000;
/** A show that cannot be gone back in may be able to later. */
const ASK_AGAIN_MS = 60_000;
const SETTLE_MS = 250;
const STEP_S = 10;
/** So many stalls within so long, and it is the network. */
const STALLS = 3;
const STALLS_WITHIN_MS = 60_000;
/** A stream that is just beginning may not be there at once. */
const PATIENCE_MS = 5000;
const DISMISSED_FOR_MS = 300_000;

export class LsLive extends Part {
  /** The multivariant playlist of the show. */
  @property() src = "";
  @property({ attribute: false }) video!: HTMLVideoElement;
  @property({ type: Boolean, reflect: true }) small = false;
  /** Since when the picture stands still; null while it moves. */
  @state() private still: number | null = 0;
  @state() private trouble = false;
  @state() private weak = false;
  @state() private rewound = false;
  @state() private paused = false;
  /** Where the viewer's finger is on the bar, in wall-clock milliseconds. */
  @state() private aim: number | null = null;
  @state() soundOnly = wantsSoundOnly();
  @state() private frozen = false;
  @query("canvas") private canvas!: HTMLCanvasElement;
  @query("input") private bar!: HTMLInputElement | null;
  /** How far along the bar, in percent. */
  private at = 100;
  /** What was asked for, while it is being loaded. */
  private from = 0;
  stream: Stream | null = null;
  private playing = "";
  /** The card that stands in for the picture until there is one again, and when it last had to. */
  private carded: LiveState | null = null;
  private cardedAt = 0;
  private unrecordedAt = -Infinity;
  private stallsAt: number[] = [];
  private dismissedAt = -DISMISSED_FOR_MS;
  private timer: ReturnType<typeof setInterval> | undefined;
  private settle: ReturnType<typeof setTimeout> | undefined;

  static override styles = [baseStyles, unsafeCSS(liveCss)];

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
    clearTimeout(this.settle);
    for (const [name, listener] of this.listeners) this.video.removeEventListener(name, listener);
    this.stop();
  }

  protected override firstUpdated(): void {
    for (const [name, listener] of this.listeners) this.video.addEventListener(name, listener);
    const { arrival } = this.session;
    if (arrival.at === null) return;
    // A link to a moment of a show that still goes on; once, for afterwards the viewer decides.
    this.session.arrival = { ...arrival, at: null };
    this.goBackTo(this.began + arrival.at * 1000);
  }

  private readonly listeners: [string, () => void][] = [
    ["playing", () => this.moves()],
    ["timeupdate", () => this.video.readyState > 2 && !this.video.paused && this.moves()],
    ["waiting", () => this.stands()],
    ["emptied", () => this.stands()],
    ["play", () => (this.paused = false)],
    ["pause", () => (this.paused = true)],
  ];

  // What the element around this one asks

  get figures(): Figures {
    return this.stream?.figures ?? { latency: null, target: 0, stalls: 0 };
  }

  /** A card stands in for the host's picture. */
  get isDark(): boolean {
    const now = this.state;
    return now === "waiting" || now === "away" || now === "gone";
  }

  get atLive(): boolean {
    return !this.rewound && !this.isBehind;
  }

  get state(): LiveState {
    const said = this.session.room.state?.video.state;
    if (this.rewound) return this.still === null || this.paused ? "rewind" : "loading";
    if (said === "none") return "waiting";
    if (said === "away" && this.still !== null) {
      return this.secondsLeft(this.session.room.state?.video.back_by ?? null) > 0 ? "away" : "gone";
    }
    if (this.still === null) return this.paused ? "paused" : "playing";
    return (this.trouble && !this.carded) || !navigator.onLine ? "trouble" : "loading";
  }

  setSoundOnly(on: boolean): void {
    if (on === this.soundOnly) return;
    this.soundOnly = on;
    this.weak = false;
    this.stallsAt = [];
    keepSoundOnly(on);
    this.session.track("sound-only", { on });
    // Nobody asks for silence.
    if (on) this.video.muted = false;
    this.rewound = false;
    this.start();
  }

  toLive(): void {
    this.aim = null;
    if (this.rewound) {
      this.rewound = false;
      this.start();
    } else {
      this.stream?.toLiveEdge();
      this.emit("ls-start");
    }
  }

  /** Shows what was at this moment, in wall-clock milliseconds. */
  goBackTo(date: number): void {
    if (this.session.room.serverNow() - date < RECORDED_MS) {
      if (this.rewound || this.isBehind) this.toLive();
      return;
    }
    if (this.rewound && this.stream?.seek(date)) return;
    if (!this.rewound) this.session.track("rewind");
    this.rewound = true;
    this.from = date;
    this.start(date);
  }

  // The stream

  private address(): string {
    // An empty room, and nobody sends: there is nothing to load yet.
    if (!this.src || (this.onAir === false && !this.stream && !this.rewound)) return "";
    if (this.rewound) return new URL("rewind/index.m3u8", this.absolute).href;
    return this.soundOnly ? new URL("audio/live.m3u8", this.absolute).href : this.src;
  }

  private get absolute(): string {
    return new URL(this.src, location.href).href;
  }

  /** Whether the host's picture is being sent; null: the room cannot be heard. */
  private get onAir(): boolean | null {
    const { state: room, status } = this.session.room;
    return room && (status === "open" || status === "connecting") ? room.video.state === "on_air" : null;
  }

  private start(from?: number): void {
    const url = this.address();
    this.freeze();
    this.stop();
    this.playing = url;
    if (!url) return;
    this.stream = attach(
      this.video,
      url,
      (fatal) => {
        this.trouble = fatal;
        if (fatal && performance.now() - this.cardedAt > PATIENCE_MS) this.carded = null;
        if (fatal && this.rewound && this.still === 0) this.giveUpRewind();
      },
      { from, onBlank: () => this.freeze(), onStall: () => this.stalled(), onDenied: () => this.session.room.reload() },
    );
    if (!this.stream) this.video.src = url;
    if (!this.rewound) this.stream?.heard(this.onAir);
    this.emit("ls-start");
  }

  private stop(): void {
    this.stream?.destroy();
    this.stream = null;
    this.trouble = false;
    this.still = 0;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (!this.rewound) this.stream?.heard(this.onAir);
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    // A signed address is renewed now and then: what plays goes on by the old one.
    const idle = this.playing === "" || this.state === "loading" || this.state === "trouble";
    if (idle && this.address() !== this.playing) this.start();
    this.bar?.style.setProperty("--at", `${this.at}%`);
  }

  /** Nothing is recorded yet, or not any more. */
  private giveUpRewind(): void {
    this.unrecordedAt = performance.now();
    // Not from within an event of the stream that ends by it.
    setTimeout(() => this.rewound && this.toLive());
  }

  private moves(): void {
    if (this.still !== null) this.still = null;
    if (this.frozen) this.frozen = false;
    this.carded = null;
  }

  private stands(): void {
    const moved = this.still === null;
    this.still ??= performance.now();
    // The recording ends where its newest chunk does: beyond that is live.
    const { head } = this;
    if (!this.rewound || !moved || this.video.seeking || head === null) return;
    if (this.session.room.serverNow() - head < 2 * RECORDED_MS) this.toLive();
  }

  private stalled(): void {
    const now = performance.now();
    if (this.rewound || this.onAir === false) return;
    this.stallsAt = [...this.stallsAt.filter((at) => now - at < STALLS_WITHIN_MS), now];
    if (this.stallsAt.length >= STALLS && now - this.dismissedAt > DISMISSED_FOR_MS) this.weak = !this.soundOnly;
  }

  /** Keeps the last picture where it is while the stream is loaded anew. */
  private freeze(): void {
    const { video, canvas } = this;
    if (!canvas || !video.videoWidth || video.readyState < 2) return;
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    this.frozen = true;
  }

  private get head(): number | null {
    return this.stream?.playhead() ?? null;
  }

  private get isBehind(): boolean {
    return this.paused || this.stream?.followsLive === false;
  }

  private look(): void {
    const now = performance.now();
    if (this.weak && now - (this.stallsAt.at(-1) ?? 0) > STALLS_WITHIN_MS) this.weak = false;
    this.requestUpdate();
  }

  // What is seen

  private get began(): number {
    const at = this.session.room.state?.show.started_at;
    return at ? Date.parse(at) : Infinity;
  }

  private choose(event: Event): void {
    this.aim = this.began + Number((event.target as HTMLInputElement).value) * 1000;
    clearTimeout(this.settle);
    // Arrow keys come one by one: not every one of them is where the viewer wants to be.
    if (event.type === "change") this.settle = setTimeout(() => this.arrive(), SETTLE_MS);
  }

  private arrive(): void {
    const { aim } = this;
    this.aim = null;
    if (aim !== null) this.goBackTo(aim);
  }

  private get cover(): Image | null | undefined {
    return this.session.room.state?.show.cover;
  }

  private scene(now: LiveState): TemplateResult | typeof nothing {
    // From "away" to the first frame it is one card: nothing flashes in between.
    const shown = now === "loading" && this.carded ? this.carded : now;
    if (shown === "waiting" || shown === "away" || shown === "gone") {
      this.carded = shown;
      if (shown === now) this.cardedAt = performance.now();
      return card(this.cover, this.t(`video.${shown}`), this.t(`video.${shown}_text`));
    }
    if (this.soundOnly && !this.rewound) {
      return card(
        this.cover,
        this.t("video.sound_only"),
        this.t("video.sound_only_text"),
        html`<button class="btn" data-testid="show-picture" @click=${() => this.setSoundOnly(false)}>${icon("video")}${this.t("video.show_picture")}</button>`,
      );
    }
    return nothing;
  }

  private pill(now: LiveState): TemplateResult | typeof nothing {
    if (now === "trouble") {
      return html`<div class="pill" role="status"><span class="spinner"></span>${this.t("video.trouble")}</div>`;
    }
    if (now === "loading" && !this.carded) return html`<div class="wait"><span class="spinner"></span></div>`;
    return nothing;
  }

  private notice(): TemplateResult | typeof nothing {
    if (!this.weak || this.trouble) return nothing;
    return html`<div class="notice" role="status" data-testid="weak-network">
      <span>${this.t("video.weak")}</span>
      <button class="btn" @click=${() => this.setSoundOnly(true)}>${icon("volume")}${this.t("video.sound_only")}</button>
      <button
        class="icon-btn"
        aria-label=${this.t("close")}
        @click=${() => {
          this.weak = false;
          this.dismissedAt = performance.now();
        }}
      >
        ${icon("close")}
      </button>
    </div>`;
  }

  private row(): TemplateResult | typeof nothing {
    if (!this.stream || this.small || this.soundOnly) return nothing;
    const label = this.t("video.sound_only");
    return html`<div class="row">
      ${this.seekBar()}
      <button
        class="icon-btn sound"
        title=${label}
        aria-label=${label}
        data-testid="sound-only"
        @click=${() => this.setSoundOnly(true)}
      >
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M4 15v-3a8 8 0 0 1 16 0v3 M4 13.5h3.5v6H4z M16.5 13.5H20v6h-3.5z" />
        </svg>
      </button>
    </div>`;
  }

  private seekBar(): TemplateResult | typeof nothing {
    const now = this.session.room.serverNow();
    const length = (now - this.began) / 1000;
    if (performance.now() - this.unrecordedAt < ASK_AGAIN_MS || !(length > WORTH_MS / 1000)) return nothing;
    const shown = this.aim ?? (this.rewound ? (this.head ?? this.from) : now);
    const back = Math.max(0, (now - shown) / 1000);
    const near = back * 1000 < RECORDED_MS;
    const place = near ? length : (shown - this.began) / 1000;
    this.at = Math.min(100, Math.max(0, (100 * place) / length));
    return html`<input
        type="range"
        min="0"
        max=${Math.floor(length)}
        data-testid="live-seek"
        aria-label=${this.t("video.seek")}
        aria-valuetext=${near ? this.t("video.live") : this.t("video.behind", { time: clockText(back) })}
        .value=${String(Math.floor(place))}
        @input=${this.choose}
        @change=${this.choose}
        @keydown=${this.step}
      />${near ? nothing : html`<span class="time" aria-hidden="true">−${clockText(back)}</span>`}`;
  }

  /** Arrow keys move by what one can tell apart, not by a second. */
  private step(event: KeyboardEvent): void {
    const by = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const input = event.target as HTMLInputElement;
    input.value = String(Number(input.value) + by);
    input.dispatchEvent(new Event("change"));
  }

  protected override render(): TemplateResult {
    const now = this.state;
    return html`<canvas ?hidden=${!this.frozen}></canvas>
      ${this.scene(now)} ${this.pill(now)} ${this.notice()} ${this.row()}`;
  }
}

define("ls-live", LsLive);

declare global {
  interface HTMLElementTagNameMap {
    "ls-live": LsLive;
  }
}
