// <ls-video>: the picture and its controls. Says where the playhead is; never stops for anything but the viewer.

import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import videoCss from "../../styles/player-video.css";
import { clockText } from "../state/i18n";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";
import type { Stream } from "./hls";
import type { LsLive } from "./live";
import type { LsReplay } from "./replay";

/** A pin meets its frame to within this. */
const FOLLOW_EVERY_MS = 50;
const TELL_EVERY_MS = 250;
/** A pin is not shown before the video tells its time; after this long without a video, server time decides. */
const PATIENCE_MS = 10_000;

/** How long the controls stay after the last tap. */
const AWAKE_MS = 3500;

interface DatedVideo extends HTMLVideoElement {
  getStartDate?: () => Date;
  webkitEnterFullscreen?: () => void;
}

export class LsVideo extends Part {
  /** The address of the stream or recording; null while there is none. */
  @property() src: string | null = null;
  @property({ type: Boolean }) live = false;
  /** Reduced to a strip while the viewer pays: only sound can be changed. */
  @property({ type: Boolean, reflect: true }) small = false;
  @state() private muted = true;
  @state() private volume = 1;
  @state() private playing = false;
  @state() private waiting = true;
  @state() private refusedAutoplay = false;
  @state() private trouble = false;
  @state() private behind = false;
  /** Where the button that turns the sound on is not in the way. */
  @state() private unmuteAt: "" | "up" | "nowhere" = "";
  @state() private awake = true;
  @state() private progress = 0;
  @state() private duration = 0;
  /** What plays it is here: the code for a running show, or for a recording of our own. */
  @state() private rolling: "" | "live" | "replay" = "";
  @query("video") private video!: DatedVideo;
  @query("ls-live,ls-replay") private show!: LsLive | LsReplay | null;
  private recording: Stream | null = null;
  /** The show went on before these eyes. */
  private seenLive = false;
  private told = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private sleepTimer: ReturnType<typeof setTimeout> | undefined;
  private since = 0;
  private loaded: string | null = null;

  static override styles = [baseStyles, unsafeCSS(videoCss)];

  override connectedCallback(): void {
    super.connectedCallback();
    this.since = Date.now();
    this.timer = setInterval(() => this.follow(), FOLLOW_EVERY_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
    clearTimeout(this.sleepTimer);
    this.unload();
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (!changed.has("src") || this.src === this.loaded) return;
    // The address of a running show may be renewed: that is a matter of the stream.
    if (this.rolling && this.src && this.rolling === this.kind) this.loaded = this.src;
    else void this.load();
  }

  /** A recording that somebody else keeps is an address and no more. */
  private get kind(): "" | "live" | "replay" {
    return this.live ? "live" : this.session.room.state?.show.replay_url ? "" : "replay";
  }

  private get stream(): Stream | null {
    return this.show?.stream ?? this.recording;
  }

  /** Wall-clock milliseconds of the frame on screen; null while the video has not told. */
  playhead(): number | null {
    const room = this.session.room;
    if (this.rolling === "replay") return (this.show as LsReplay | null)?.head ?? null;
    // Where a card stands in for the picture, nothing is ahead of anything.
    if (!this.src || this.show?.isDark) return room.serverNow();
    const dated = this.stream?.playhead() ?? this.nativePlayhead();
    if (dated !== null) return dated;
    // Nothing is playing and nothing will soon: being late is worse now than being early.
    return Date.now() - this.since > PATIENCE_MS && !this.playing ? room.serverNow() : null;
  }

  toggleMuted(): void {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 1;
  }

  private nativePlayhead(): number | null {
    if (!this.video || this.video.readyState < 1) return null;
    const start = this.video.getStartDate?.().getTime();
    if (start !== undefined && !Number.isNaN(start)) return start + this.video.currentTime * 1000;
    // A recording without dates began when the show did.
    const started = this.session.room.state?.show.started_at;
    return !this.live && started ? Date.parse(started) + this.video.currentTime * 1000 : null;
  }

  private follow(): void {
    this.session.follow(this.playhead());
    const now = Date.now();
    if (now - this.told < TELL_EVERY_MS) return;
    this.told = now;
    const { show } = this;
    this.behind = show?.atLive === false;
    this.unmuteAt = !show || show.soundOnly ? "" : show.isDark ? "nowhere" : "up";
    if (!show) return;
    const { latency, target, stalls } = show.figures;
    Object.assign(this.dataset, { state: show.state, latency: latency?.toFixed(2) ?? "", target: target.toFixed(2), stalls });
  }

  private async load(): Promise<void> {
    this.unload();
    const src = this.src;
    this.loaded = src;
    this.since = Date.now();
    if (!src) return;
    const video = this.video;
    video.muted = this.muted;
    if (/\.m3u8($|\?)/.test(src)) {
      try {
        const { kind } = this;
        if (kind === "live") this.seenLive = true;
        const { attach } = await (kind === "replay" ? import("./replay") : import("./hls"));
        if (this.src !== src || !this.isConnected) return;
        this.rolling = kind;
        if (kind) return;
        this.recording = attach(video, src, (fatal) => {
          this.trouble = fatal;
        });
      } catch {
        // The chunk did not load; native HLS may still do.
      }
    }
    if (!this.recording) video.src = src;
    await this.play();
  }

  private unload(): void {
    this.recording?.destroy();
    this.recording = null;
    this.rolling = "";
    if (this.loaded && this.video) {
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.loaded = null;
    this.trouble = false;
    for (const name of Object.keys(this.dataset)) delete this.dataset[name];
  }

  private async play(): Promise<void> {
    this.stream?.want(true);
    try {
      await this.video.play();
      this.refusedAutoplay = false;
    } catch (error) {
      this.refusedAutoplay = error instanceof DOMException && error.name === "NotAllowedError";
    }
  }

  private togglePlay(): void {
    if (!this.video.paused) {
      this.stream?.want(false);
      return this.video.pause();
    }
    // Live goes on without the viewer: coming back means coming back to now.
    if (this.show?.state === "paused") (this.show as LsLive).toLive();
    else void this.play();
  }

  private unmute(): void {
    this.video.muted = false;
    if (this.video.paused) void this.play();
    this.session.track("unmute");
  }

  private tapped(): void {
    if (this.muted) this.unmute();
    this.wake();
  }

  private wake(): void {
    this.awake = true;
    clearTimeout(this.sleepTimer);
    this.sleepTimer = setTimeout(() => (this.awake = false), AWAKE_MS);
  }

  private setVolume(event: Event): void {
    const value = Number((event.target as HTMLInputElement).value) / 100;
    this.video.volume = value;
    this.video.muted = value === 0;
  }

  private seek(event: Event): void {
    this.video.currentTime = Number((event.target as HTMLInputElement).value);
  }

  private async pictureInPicture(): Promise<void> {
    try {
      if (document.pictureInPictureElement) await document.exitPictureInPicture();
      else await this.video.requestPictureInPicture();
    } catch {
      // Refused by the page's permissions policy: nothing is lost.
    }
  }

  private fullscreen(): void {
    if (!document.fullscreenEnabled && this.video.webkitEnterFullscreen) this.video.webkitEnterFullscreen();
    else this.emit("fullscreen");
  }

  private onVolume(): void {
    this.muted = this.video.muted;
    this.volume = this.video.volume;
  }

  /** Sound alone has no size: the stage stays as it is. */
  private onResize(): void {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth) this.emit("ls-shape", videoWidth / videoHeight);
  }

  private onTime(): void {
    if (this.live) return;
    this.progress = this.video.currentTime;
    this.duration = Number.isFinite(this.video.duration) ? this.video.duration : 0;
  }

  protected override render(): TemplateResult {
    const title = this.session.room.state?.show.title ?? "";
    const calm = this.playing && !this.awake;
    return html`
      <video
        playsinline
        .muted=${true}
        aria-label=${title}
        @play=${() => {
          this.playing = true;
          this.wake();
        }}
        @pause=${() => (this.playing = false)}
        @waiting=${() => (this.waiting = true)}
        @playing=${() => (this.waiting = this.trouble = false)}
        @volumechange=${this.onVolume}
        @resize=${this.onResize}
        @timeupdate=${this.onTime}
        @click=${this.tapped}
      ></video>
      ${!this.src
        ? nothing
        : html`
            ${this.rolling === "replay"
              ? html`<ls-replay
                  .session=${this.session}
                  .src=${this.src}
                  .video=${this.video}
                  .small=${this.small}
                  .again=${this.seenLive}
                  class=${calm ? "calm" : ""}
                  @ls-start=${() => this.play()}
                ></ls-replay>`
              : this.rolling
              ? html`<ls-live
                  .session=${this.session}
                  .src=${this.src}
                  .video=${this.video}
                  .small=${this.small}
                  class=${calm ? "calm" : ""}
                  @ls-start=${() => this.play()}
                ></ls-live>`
              : this.trouble
              ? html`<div class="trouble" role="status"><span class="spinner"></span>${this.t("video.trouble")}</div>`
              : this.waiting && !this.refusedAutoplay
                ? html`<div class="wait"><span class="spinner"></span></div>`
                : nothing}
            ${this.refusedAutoplay
              ? html`<button class="big" aria-label=${this.t("video.play")} @click=${() => this.play()}>
                  ${icon("play", true)}
                </button>`
              : nothing}
            ${this.muted && !this.refusedAutoplay && this.unmuteAt !== "nowhere"
              ? html`<button class="unmute ${calm ? "low" : ""} ${this.unmuteAt}" data-testid="unmute" @click=${this.unmute}>
                  ${icon("mute")}<span>${this.t("video.unmute")}</span>
                </button>`
              : nothing}
            <div class="bar ${calm ? "calm" : ""}" role="group" ?hidden=${this.unmuteAt === "nowhere"} aria-label=${this.t("video.controls")}>
              <button
                class="icon-btn full"
                aria-label=${this.t(this.playing ? "video.pause" : "video.play")}
                @click=${this.togglePlay}
              >
                ${icon(this.playing ? "pause" : "play", !this.playing)}
              </button>
              <button
                class="icon-btn full"
                aria-label=${this.t(this.muted ? "video.sound_on" : "video.sound_off")}
                @click=${this.toggleMuted}
              >
                ${icon(this.muted ? "mute" : "volume")}
              </button>
              <input
                class="volume full"
                type="range"
                min="0"
                max="100"
                aria-label=${this.t("video.volume")}
                .value=${String(this.muted ? 0 : Math.round(this.volume * 100))}
                @input=${this.setVolume}
              />
              ${this.live
                ? html`<button
                    class="edge ${this.behind ? "behind" : ""}"
                    ?disabled=${!this.behind}
                    @click=${() => (this.show as LsLive | null)?.toLive()}
                  >
                    <i></i>${this.t(this.behind ? "video.to_live" : "video.live")}
                  </button>`
                : this.duration > 0
                  ? html`${this.rolling
                        ? nothing
                        : html`<input
                            class="seek full"
                            type="range"
                            min="0"
                            max=${Math.floor(this.duration)}
                            aria-label=${this.t("video.seek")}
                            aria-valuetext=${clockText(this.progress)}
                            .value=${String(Math.floor(this.progress))}
                            @input=${this.seek}
                          />`}<span class="time full">${clockText(this.progress)} / ${clockText(this.duration)}</span>`
                  : nothing}
              <span class="grow"></span>
              ${document.pictureInPictureEnabled
                ? html`<button class="icon-btn full" aria-label=${this.t("video.pip")} @click=${this.pictureInPicture}>
                    ${icon("pip")}
                  </button>`
                : nothing}
              <button class="icon-btn full" aria-label=${this.t("video.fullscreen")} @click=${this.fullscreen}>
                ${icon("expand")}
              </button>
            </div>
          `}
    `;
  }
}

define("ls-video", LsVideo);

declare global {
  interface HTMLElementTagNameMap {
    "ls-video": LsVideo;
  }
}
