/**
 * The show's picture. Before and while it is live: what the encoder sends, about half a second behind. Where this browser
 * cannot be fed that way, and for a replay: what the viewers see, as they see it.
 */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Stream } from "../elements/hls";
import { isOn } from "../state/reduce";
import type { RoomClient } from "../state/room";
import { picture } from "../ui/picture";
import type { Show, VideoHealth } from "../wire.gen";
import { cameraHere } from "./camera-here";
import { icon } from "./icons";
import { canMonitor, MonitorFeed } from "./monitor-socket";
import { arrives } from "./video-words";
import { View } from "./view";

const MEASURE_EVERY_MS = 500;

@customElement("studio-monitor")
export class Monitor extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  /** Null while it is not known. */
  @property({ attribute: false }) health: VideoHealth | null = null;
  @state() private muted = true;
  @state() private trouble = false;
  @state() private behind: number | null = null;
  /** A frame of this stream was on the screen. */
  @state() private seen = false;
  /** The server does not feed us: the viewers' stream is the next best. */
  @state() private refused = false;
  @query("video") private video!: HTMLVideoElement | null;
  private stream: Stream | null = null;
  private feed: MonitorFeed | null = null;
  private playing = "";
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.measure(), MEASURE_EVERY_MS);
    cameraHere.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    clearInterval(this.timer);
    cameraHere.removeEventListener("change", this.redraw);
    this.stop();
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  /** One's own picture stands beside it; a second time it would cost the line and the battery that send it. */
  private get isOwn(): boolean {
    return this.running && cameraHere.showId === this.show.id;
  }

  private get isStopped(): boolean {
    return this.running && cameraHere.stoppedId === this.show.id;
  }

  private get running(): boolean {
    return this.show.state === "draft" || this.show.state === "scheduled" || isOn(this.show);
  }

  /** What should be played; "" is nothing. Once it came the feed stays: it comes back sooner than any question. */
  private get source(): string {
    if (this.show.state === "replay") return this.show.replay ?? "";
    if (!this.running || this.isOwn) return "";
    if (canMonitor() && !this.refused) return arrives(this.health) || this.playing === "feed" ? "feed" : "";
    return isOn(this.show) ? (this.show.hls ?? "") : "";
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    if (this.source !== this.playing) void this.play(this.source);
  }

  private async play(source: string): Promise<void> {
    this.stop();
    this.playing = source;
    const video = this.video;
    if (!source || !video) return;
    if (source === "feed") {
      this.follow(new MonitorFeed(video, this.show.id));
      return;
    }
    if (/\.m3u8($|\?)/.test(source)) {
      const { attach } = await import("../elements/hls");
      // The show may have ended, or the host left, while the code was loading.
      if (this.playing !== source || !this.isConnected) return;
      this.stream = attach(video, source, (fatal) => {
        this.trouble = fatal;
      });
    }
    if (!this.stream) video.src = source;
    video.play().catch(() => {
      // Muted autoplay is refused only in power saving; the controls of the picture remain.
    });
  }

  private follow(feed: MonitorFeed): void {
    this.feed = feed;
    feed.addEventListener("picture", () => {
      this.seen = true;
    });
    feed.addEventListener("state", () => {
      this.trouble = feed.state !== "playing";
      this.refused = feed.state === "refused";
    });
  }

  private stop(): void {
    this.stream?.destroy();
    this.stream = null;
    this.feed?.close();
    this.feed = null;
    this.playing = "";
    this.trouble = false;
    this.behind = null;
    this.seen = false;
    this.video?.removeAttribute("src");
  }

  private measure(): void {
    const playhead = this.running ? (this.feed?.playhead() ?? this.stream?.playhead() ?? null) : null;
    if (playhead !== null) this.seen = true;
    this.behind = playhead === null ? null : Math.max(0, (this.room.serverNow() - playhead) / 1_000);
  }

  private toggleSound(): void {
    this.muted = !this.muted;
    void this.video?.play().catch(() => undefined);
  }

  protected override render(): TemplateResult {
    const { show } = this;
    if (!this.source) {
      return html`<div class="screen-frame">${this.cover()}
        <p class="screen-note">${this.t(`studio.monitor_${this.isOwn ? "here" : this.isStopped ? "stopped" : this.running ? "waiting" : show.state}`)}</p></div>`;
    }
    const gone = this.running && (this.trouble || this.health?.state === "away" || this.health?.state === "none");
    return html`<div class="screen-frame" data-playing=${this.feed && !gone ? "feed" : nothing} data-behind=${this.behind?.toFixed(2) ?? nothing}>
      <video playsinline autoplay .muted=${this.muted} aria-label=${this.t(this.source === "feed" ? "studio.monitor_own" : "studio.monitor")}></video>
      ${gone ? html`<div class="screen-away">${this.cover()}<p class="screen-note" role="status">${this.t(this.isStopped && !arrives(this.health) ? "studio.monitor_stopped" : this.seen ? "studio.monitor_trouble" : "studio.monitor_waiting")}</p></div>` : nothing}
      <div class="screen-bar">
        ${this.behind !== null && !gone ? html`<span class="screen-chip">${this.t("studio.behind", { seconds: this.app.words.number(Math.round(this.behind * 10) / 10) })}</span>` : nothing}
        <button class="icon-btn" aria-pressed=${this.muted ? "false" : "true"} aria-label=${this.t("studio.sound")} @click=${() => this.toggleSound()}>
          ${icon(this.muted ? "mute" : "volume")}</button>
      </div>
    </div>`;
  }

  private cover(): TemplateResult | typeof nothing {
    return this.show.cover ? picture(this.show.cover, { sizes: "30rem", alt: "" }) : nothing;
  }
}
