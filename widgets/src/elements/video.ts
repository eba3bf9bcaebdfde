// <ls-video>: the picture and its controls. Says where the playhead is; never stops for anything but the viewer.

import { html, css, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";
import type { Stream } from "./hls";

const FOLLOW_EVERY_MS = 200;
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
  @state() private awake = true;
  @state() private progress = 0;
  @state() private duration = 0;
  @query("video") private video!: DatedVideo;
  private stream: Stream | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private sleepTimer: ReturnType<typeof setTimeout> | undefined;
  private since = 0;
  private loaded: string | null = null;

  static override styles = [
    baseStyles,
    css`
      :host {
        display: block;
        position: absolute;
        inset: 0;
        background: var(--ls-dark);
      }
      video {
        width: 100%;
        height: 100%;
        object-fit: contain;
        display: block;
        background: var(--ls-dark);
      }
      .wait {
        position: absolute;
        inset: 0;
        display: grid;
        place-items: center;
        color: #fff;
        font-size: 27.2px;
        pointer-events: none;
      }
      .bar {
        position: absolute;
        inset: auto 0 0;
        display: flex;
        align-items: center;
        gap: 2px;
        padding: 36px 10px 6px;
        color: #fff;
        background: linear-gradient(transparent, rgb(8 6 14 / 0.72));
        transition: opacity var(--ls-slow);
      }
      .bar .icon-btn {
        color: #fff;
        font-size: 17.6px;
      }
      .bar .icon-btn:hover {
        background: rgb(255 255 255 / 0.16);
      }
      .grow {
        flex: 1;
      }
      .edge {
        display: inline-flex;
        align-items: center;
        gap: 7px;
        min-height: 44px;
        padding: 0 10px;
        border-radius: var(--ls-radius-sm);
        font-size: var(--ls-text-xs);
        font-weight: 700;
        letter-spacing: 0.04em;
        text-transform: uppercase;
      }
      .edge i {
        width: 8px;
        height: 8px;
        border-radius: 50%;
        background: #ff4861;
      }
      .edge.behind i {
        background: #b9b5c9;
      }
      input[type="range"] {
        appearance: none;
        background: transparent;
        height: 44px;
        margin: 0 6px 0 0;
        width: 84px;
        border-radius: 6px;
        cursor: pointer;
        --track: rgb(255 255 255 / 0.34);
      }
      input[type="range"]::-webkit-slider-runnable-track {
        height: 4px;
        border-radius: 2px;
        background: var(--track);
      }
      input[type="range"]::-moz-range-track {
        height: 4px;
        border-radius: 2px;
        background: var(--track);
      }
      input[type="range"]::-webkit-slider-thumb {
        appearance: none;
        width: 14px;
        height: 14px;
        margin-top: -5px;
        border-radius: 50%;
        background: #fff;
      }
      input[type="range"]::-moz-range-thumb {
        width: 14px;
        height: 14px;
        border: 0;
        border-radius: 50%;
        background: #fff;
      }
      .seek {
        flex: 1;
        min-width: 60px;
      }
      .time {
        font-size: var(--ls-text-xs);
        font-variant-numeric: tabular-nums;
        padding: 0 6px;
      }
      .unmute {
        position: absolute;
        left: 50%;
        bottom: 62px;
        z-index: 1;
        transform: translateX(-50%);
        display: inline-flex;
        align-items: center;
        gap: 9px;
        min-height: 44px;
        padding: 0 18px 0 14px;
        border-radius: var(--ls-radius-full);
        background: #fff;
        color: var(--ls-ink);
        font-size: var(--ls-text-md);
        font-weight: 650;
        box-shadow: var(--ls-shadow-2);
        transition: transform var(--ls-fast) var(--ls-ease);
        white-space: nowrap;
      }
      .unmute:hover {
        transform: translateX(-50%) scale(1.03);
      }
      .big {
        position: absolute;
        left: 50%;
        top: 50%;
        transform: translate(-50%, -50%);
        width: 76px;
        height: 76px;
        display: grid;
        place-items: center;
        border-radius: 50%;
        background: #fff;
        color: var(--ls-ink);
        font-size: 28.8px;
        box-shadow: var(--ls-shadow-3);
      }
      .trouble {
        position: absolute;
        left: 50%;
        top: 50%;
        transform: translate(-50%, -50%);
        padding: 10px 16px;
        border-radius: var(--ls-radius-full);
        background: var(--ls-glass);
        color: #fff;
        font-size: var(--ls-text-sm);
        display: flex;
        gap: 10px;
        align-items: center;
        white-space: nowrap;
      }
      :host([small]) .bar .full,
      :host([small]) .big,
      :host([small]) .edge {
        display: none;
      }
      :host([small]) .unmute {
        inset: auto 6px 6px auto;
        width: 44px;
        padding: 0;
        justify-content: center;
        transform: none;
      }
      :host([small]) .unmute span {
        position: absolute;
        clip-path: inset(50%);
      }
      :host([small]) .bar {
        padding: 0;
        background: none;
      }
      /* The picture is what counts: while it plays, the controls wait for a pointer, a tap or the keyboard. */
      .bar.calm:not(:focus-within) {
        opacity: 0;
        pointer-events: none;
      }
      @media (hover: hover) {
        :host(:hover) .bar.calm {
          opacity: 1;
          pointer-events: auto;
        }
      }
      @container stage (max-width: 600px) {
        .volume {
          display: none;
        }
        .unmute {
          bottom: 54px;
        }
      }
      /* On a phone, without the bar beneath it: out of the way of what the film shows. */
      @media (hover: none) {
        @container stage (max-width: 600px) {
          :host(:not([small], :focus-within)) .unmute.low {
            bottom: 8px;
          }
        }
      }
    `,
  ];

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
    if (changed.has("src") && this.src !== this.loaded) void this.load();
  }

  /** Wall-clock milliseconds of the frame on screen; null while the video has not told. */
  playhead(): number | null {
    const room = this.session.room;
    if (!this.src) return room.serverNow();
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
    const head = this.live ? this.stream?.playhead() ?? null : null;
    this.behind = head !== null && this.session.room.serverNow() - head > 15_000;
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
        const { attach } = await import("./hls");
        if (this.src !== src || !this.isConnected) return;
        this.stream = attach(video, src, (fatal) => {
          this.trouble = fatal;
        });
      } catch {
        // The chunk did not load; native HLS may still do.
      }
    }
    if (!this.stream) video.src = src;
    await this.play();
  }

  private unload(): void {
    this.stream?.destroy();
    this.stream = null;
    if (this.loaded && this.video) {
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.loaded = null;
    this.trouble = false;
  }

  private async play(): Promise<void> {
    try {
      await this.video.play();
      this.refusedAutoplay = false;
    } catch (error) {
      this.refusedAutoplay = error instanceof DOMException && error.name === "NotAllowedError";
    }
  }

  private togglePlay(): void {
    const playing = this.video.paused;
    this.stream?.want(playing);
    if (!playing) return this.video.pause();
    // Live goes on without the viewer: coming back means coming back to now.
    if (this.live) this.stream?.toLiveEdge();
    void this.play();
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

  private onTime(): void {
    if (this.live) return;
    this.progress = this.video.currentTime;
    this.duration = Number.isFinite(this.video.duration) ? this.video.duration : 0;
  }

  protected override render(): TemplateResult {
    const clock = (s: number): string => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
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
        @timeupdate=${this.onTime}
        @click=${this.tapped}
      ></video>
      ${!this.src
        ? nothing
        : html`
            ${this.trouble
              ? html`<div class="trouble" role="status"><span class="spinner"></span>${this.t("video.trouble")}</div>`
              : this.waiting && !this.refusedAutoplay
                ? html`<div class="wait"><span class="spinner"></span></div>`
                : nothing}
            ${this.refusedAutoplay
              ? html`<button class="big" aria-label=${this.t("video.play")} @click=${() => this.play()}>
                  ${icon("play", true)}
                </button>`
              : nothing}
            ${this.muted && !this.refusedAutoplay
              ? html`<button class="unmute ${calm ? "low" : ""}" data-testid="unmute" @click=${this.unmute}>
                  ${icon("mute")}<span>${this.t("video.unmute")}</span>
                </button>`
              : nothing}
            <div class="bar ${calm ? "calm" : ""}" role="group" aria-label=${this.t("video.controls")}>
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
                    @click=${() => this.stream?.toLiveEdge()}
                  >
                    <i></i>${this.t(this.behind ? "video.to_live" : "video.live")}
                  </button>`
                : this.duration > 0
                  ? html`<input
                        class="seek full"
                        type="range"
                        min="0"
                        max=${Math.floor(this.duration)}
                        aria-label=${this.t("video.seek")}
                        aria-valuetext=${clock(this.progress)}
                        .value=${String(Math.floor(this.progress))}
                        @input=${this.seek}
                      /><span class="time full">${clock(this.progress)} / ${clock(this.duration)}</span>`
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
