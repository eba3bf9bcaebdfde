/** What the viewers see, as they see it: the same stream through the same player code, with how far it lags behind. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Stream } from "../elements/hls";
import type { RoomClient } from "../state/room";
import { picture } from "../ui/picture";
import type { Show } from "../wire.gen";
import { icon } from "./icons";
import { View } from "./view";

@customElement("studio-monitor")
export class Monitor extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @state() private muted = true;
  @state() private trouble = false;
  @state() private behind: number | null = null;
  /** A frame of this stream was on the screen. */
  private seen = false;
  @query("video") private video!: HTMLVideoElement | null;
  private stream: Stream | null = null;
  private playing = "";
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.measure(), 1_000);
  }

  override disconnectedCallback(): void {
    clearInterval(this.timer);
    this.stop();
    super.disconnectedCallback();
  }

  private get url(): string {
    if (this.show.state === "live") return this.show.hls ?? "";
    return this.show.state === "replay" ? (this.show.replay_url ?? "") : "";
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    if (this.url !== this.playing) void this.play(this.url);
  }

  private async play(url: string): Promise<void> {
    this.stop();
    this.playing = url;
    const video = this.video;
    if (!url || !video) return;
    if (/\.m3u8($|\?)/.test(url)) {
      const { attach } = await import("../elements/hls");
      // The show may have ended, or the host left, while the code was loading.
      if (this.playing !== url || !this.isConnected) return;
      this.stream = attach(video, url, (fatal) => {
        this.trouble = fatal;
      });
    }
    if (!this.stream) video.src = url;
    video.play().catch(() => {
      // Muted autoplay is refused only in power saving; the controls of the picture remain.
    });
  }

  private stop(): void {
    this.stream?.destroy();
    this.stream = null;
    this.playing = "";
    this.trouble = false;
    this.behind = null;
    this.seen = false;
    this.video?.removeAttribute("src");
  }

  private measure(): void {
    const playhead = this.show.state === "live" ? (this.stream?.playhead() ?? null) : null;
    this.seen ||= playhead !== null;
    this.behind = playhead === null ? null : Math.max(0, (this.room.serverNow() - playhead) / 1_000);
  }

  private toggleSound(): void {
    this.muted = !this.muted;
  }

  protected override render(): TemplateResult {
    const { show } = this;
    if (!this.url) {
      return html`<div class="screen-frame">${show.cover ? picture(show.cover, { sizes: "30rem", alt: "" }) : nothing}
        <p class="screen-note">${this.t(`studio.monitor_${show.state === "live" ? "waiting" : show.state}`)}</p></div>`;
    }
    return html`<div class="screen-frame">
      <video playsinline autoplay .muted=${this.muted} aria-label=${this.t("studio.monitor")}></video>
      ${this.trouble ? html`<p class="screen-note" role="status">${this.t(this.seen ? "studio.monitor_trouble" : "studio.monitor_waiting")}</p>` : nothing}
      <div class="screen-bar">
        ${this.behind !== null ? html`<span class="screen-chip">${this.t("studio.behind", { seconds: this.app.words.number(Math.round(this.behind)) })}</span>` : nothing}
        <button class="icon-btn" aria-pressed=${this.muted ? "false" : "true"} aria-label=${this.t("studio.sound")} @click=${() => this.toggleSound()}>
          ${icon(this.muted ? "mute" : "volume")}</button>
      </div>
    </div>`;
  }
}
