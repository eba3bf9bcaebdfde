/**
 * The screen turns light and dark, the host holds the camera at it, and what comes back says how long that took.
 * Fires "done" with the saved delay, or null when the host stepped back.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import type { EncoderDelay } from "../wire.gen";
import { findDelay, flashes, type Flash, type Seen } from "./flash-delay";
import { icon } from "./icons";
import { MonitorFeed } from "./monitor-socket";
import { explain, View } from "./view";

const DARK_FIRST_MS = 1_000;
const FLASHING_MS = 12_000;
/** The last changes are still on their way when the screen has stopped. */
const DARK_LAST_MS = 2_500;
/** What is drawn now is on the screen about one refresh later. */
const SCREEN_MS = 16;
const MOST_MS = 3_000;
const GRID = { width: 16, height: 9 };

type Stage = { kind: "aim" } | { kind: "flashing" } | { kind: "found"; milliseconds: number } | { kind: "failed"; why: "unseen" | "unclear" };

@customElement("studio-measure-delay")
export class MeasureDelay extends View {
  @property() showId = "";
  @property({ attribute: false }) room!: RoomClient;
  @state() private stage: Stage = { kind: "aim" };
  @state() private light = false;
  @state() private secondsLeft = 0;
  @state() private comes = false;
  @state() private busy = false;
  @state() private why = "";
  @query("dialog") private dialog!: HTMLDialogElement;
  @query("video") private video!: HTMLVideoElement;
  private feed: MonitorFeed | null = null;
  private frame = 0;
  private readonly pen = penOf(GRID);

  protected override firstUpdated(): void {
    this.dialog.showModal();
    this.feed = new MonitorFeed(this.video, this.showId);
    this.feed.addEventListener("picture", () => (this.comes = true));
    this.feed.addEventListener("state", () => (this.comes = this.feed?.state === "playing"));
  }

  override disconnectedCallback(): void {
    cancelAnimationFrame(this.frame);
    this.feed?.close();
    this.feed = null;
    super.disconnectedCallback();
  }

  private finish(delay: EncoderDelay | null): void {
    cancelAnimationFrame(this.frame);
    if (document.fullscreenElement) void document.exitFullscreen();
    this.dialog.close();
    this.dispatchEvent(new CustomEvent<EncoderDelay | null>("done", { detail: delay }));
  }

  private stepBack(event: Event): void {
    event.preventDefault();
    this.finish(null);
  }

  private async start(): Promise<void> {
    this.stage = { kind: "flashing" };
    // A browser that knows no full screen still fills its window.
    await this.dialog.requestFullscreen?.().catch(() => undefined);
    const begins = this.room.serverNow() + DARK_FIRST_MS;
    const plan = flashes(begins, FLASHING_MS, Math.random);
    const shown: Flash[] = [];
    const seen: Seen[] = [];
    const stop = this.look(seen, begins - DARK_FIRST_MS);
    const turn = (): void => {
      if (!this.isConnected || this.stage.kind !== "flashing") return stop();
      const now = this.room.serverNow();
      while (shown.length < plan.length && (plan[shown.length]?.at ?? 0) <= now) {
        const { light } = plan[shown.length]!;
        shown.push({ at: now + SCREEN_MS, light });
        this.light = light;
      }
      this.secondsLeft = Math.max(0, Math.ceil((begins + FLASHING_MS + DARK_LAST_MS - now) / 1_000));
      if (now < begins + FLASHING_MS + DARK_LAST_MS) {
        this.frame = requestAnimationFrame(turn);
        return;
      }
      stop();
      this.judge(shown, seen);
    };
    this.frame = requestAnimationFrame(turn);
  }

  /** Notes how light each picture is; the returned function ends it. */
  private look(seen: Seen[], since: number): () => void {
    let looking = true;
    let handle = 0;
    const { video } = this;
    const next = (): void => {
      handle = video.requestVideoFrameCallback((_now, { mediaTime }) => {
        if (!looking) return;
        const at = this.feed?.arrivedAt(mediaTime) ?? null;
        const light = lightness(this.pen, video);
        if (at !== null && at >= since && light !== null) seen.push({ at, light });
        next();
      });
    };
    next();
    return () => {
      looking = false;
      video.cancelVideoFrameCallback(handle);
    };
  }

  private judge(shown: readonly Flash[], seen: readonly Seen[]): void {
    this.light = false;
    if (document.fullscreenElement) void document.exitFullscreen();
    const found = findDelay(shown, seen);
    if (found.kind !== "found") {
      this.stage = { kind: "failed", why: found.kind };
      return;
    }
    this.stage = { kind: "found", milliseconds: Math.min(MOST_MS, Math.max(0, Math.round(found.delayMs / 10) * 10)) };
  }

  private async save(milliseconds: number): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.why = "";
    try {
      this.finish(await this.app.api.put<EncoderDelay>("/api/encoder-delay", { milliseconds }));
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<dialog class="flash" data-testid="flash" data-light=${this.light ? "1" : "0"} data-stage=${this.stage.kind} aria-labelledby="flash-title"
      @cancel=${(event: Event) => this.stepBack(event)}>
      <div class="flash-box">
        <h2 id="flash-title">${this.t(`studio.measure_${this.stage.kind}`)}</h2>
        <video class="flash-picture" playsinline muted .muted=${true} aria-label=${this.t("studio.monitor_own")}></video>
        ${this.words()}
      </div>
      <button class="icon-btn flash-close" aria-label=${this.t("studio.close")} @click=${(event: Event) => this.stepBack(event)}>${icon("close")}</button>
    </dialog>`;
  }

  private words(): TemplateResult {
    const { stage } = this;
    const button = (key: string, testid: string, act: () => void, off = false): TemplateResult =>
      html`<button class="btn btn-primary" data-testid=${testid} ?disabled=${off} @click=${act}>${this.t(`studio.${key}`)}</button>`;
    switch (stage.kind) {
      case "aim":
        return html`<ol class="flash-steps"><li>${this.t("studio.measure_step_hold")}</li><li>${this.t("studio.measure_step_see")}</li><li>${this.t("studio.measure_step_still")}</li></ol>
          <p class="flash-hint">${this.t("studio.measure_safe")}</p>
          ${button("measure_start", "measure-start", () => void this.start(), !this.comes)}
          ${this.comes ? nothing : html`<p class="flash-hint" role="status">${this.t("studio.measure_waiting")}</p>`}`;
      case "flashing":
        return html`<p role="timer">${this.t("studio.measure_left", { count: this.secondsLeft })}</p>`;
      case "found":
        return html`<p class="flash-figure" role="status" data-testid="measured" data-milliseconds=${stage.milliseconds}>${this.t("studio.measure_result", { milliseconds: stage.milliseconds })}</p>
          <p class="flash-hint">${this.t("studio.measure_result_hint")}</p>
          ${this.why ? html`<p class="problem" role="alert">${icon("warn")}<span>${this.why}</span></p>` : nothing}
          <div class="flash-acts"><button class="btn btn-outline" @click=${() => void this.start()}>${this.t("studio.measure_again")}</button>
            ${button("save", "measure-save", () => void this.save(stage.milliseconds), this.busy)}</div>`;
      case "failed":
        return html`<p role="alert">${this.t(`studio.measure_${stage.why}`)}</p>
          <div class="flash-acts">${button("measure_again", "measure-again", () => void this.start())}</div>`;
    }
  }
}

function penOf({ width, height }: typeof GRID): CanvasRenderingContext2D | null {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The mean of the picture, 0 to 255. */
function lightness(pen: CanvasRenderingContext2D | null, video: HTMLVideoElement): number | null {
  if (!pen) return null;
  pen.drawImage(video, 0, 0, GRID.width, GRID.height);
  const { data } = pen.getImageData(0, 0, GRID.width, GRID.height);
  let sum = 0;
  for (let index = 0; index < data.length; index += 4) {
    sum += 0.2126 * (data[index] ?? 0) + 0.7152 * (data[index + 1] ?? 0) + 0.0722 * (data[index + 2] ?? 0);
  }
  return (sum * 4) / data.length;
}
