/** The recording as a whole, and what viewers see of it: from one handle to the other. */

import { html, nothing, svg, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Stream } from "../elements/hls";
import { dateOf, lengthOf, positionOf, stretchesOf, type Stretch } from "../elements/timeline";
import { clockText } from "../state/i18n";
import type { Recording, Show, Trim } from "../wire.gen";
import { icon } from "./icons";
import type { RecordingWatch } from "./recording-watch";
import { lengthWords } from "./recording-words";
import { explain, View } from "./view";

const LOOK_EVERY_MS = 100;
/** Viewers see at least this much. */
const LEAST_S = 1;
const STEP_S = 1;
/** Nearer to an end than this is the end. */
const END_S = 0.5;
/** So long before the end somebody is shown how it ends. */
const ENDING_S = 4;

type Edge = "start" | "end";

@customElement("studio-recording-trim")
export class RecordingTrim extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) watch!: RecordingWatch;
  /** Changes with what there is to draw. */
  @property({ attribute: false }) version: Recording | null = null;
  @state() private position = 0;
  @state() private isPlaying = false;
  @state() private isMuted = true;
  @state() private trouble = false;
  /** As moved; null: as the recording says. */
  @state() private start: number | null = null;
  @state() private end: number | null = null;
  @state() private why = "";
  @state() private busy = false;
  @query("video") private video!: HTMLVideoElement;
  private stream: Stream | null = null;
  private native: Stretch[] = [];
  private playing = "";
  private isDenied = false;
  private isPlaced = false;
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.timer);
    this.stream?.destroy();
    this.stream = null;
    this.playing = "";
    super.disconnectedCallback();
  }

  /** Where in the whole recording this moment of the show is, in seconds. */
  placeOf(date: string): number | null {
    return positionOf(this.stretches, Date.parse(date));
  }

  /** How much of the recording is between two moments of the show: a gap between them is not. */
  secondsBetween(from: string, until: string): number | null {
    const start = this.placeOf(from);
    return start === null ? null : (this.placeOf(until) ?? this.length) - start;
  }

  /** Shows this moment of the show. */
  lookAt(date: string): void {
    const position = this.placeOf(date);
    if (position === null) return;
    this.stream?.want(true);
    this.seek(position);
    void this.video.play().catch(() => undefined);
    this.video.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    // Each answer has a new signature; the one in use is good until it is refused.
    const preview = this.watch.recording?.preview ?? "";
    if (preview && (!this.playing || (this.isDenied && preview !== this.playing))) void this.open(preview);
  }

  private async open(address: string): Promise<void> {
    this.playing = address;
    this.isDenied = false;
    const { attach } = await import("../elements/hls");
    if (this.playing !== address || !this.isConnected) return;
    this.stream?.destroy();
    this.stream = attach(this.video, address, (fatal) => (this.trouble = fatal), {
      from: this.dateAt(this.position) ?? 0,
      onDenied: () => {
        this.isDenied = true;
        this.watch.soon();
      },
    });
    this.stream?.want(false);
    if (this.stream) return;
    this.video.src = address;
    try {
      const found = stretchesOf(await (await fetch(address)).text());
      if (this.playing === address) this.native = found;
    } catch {
      // It plays; only its moments are not known.
    }
  }

  // Positions in seconds, moments in dates

  private get stretches(): readonly Stretch[] {
    return this.stream?.stretches ?? this.native;
  }

  private get length(): number {
    return lengthOf(this.stretches);
  }

  private dateAt(position: number): number | null {
    return dateOf(this.stretches, position);
  }

  private get saved(): { start: number; end: number } {
    const { stretches, length } = this;
    const { from_at: from, until_at: until } = this.watch.recording?.trim ?? { from_at: null, until_at: null };
    return {
      start: from ? (positionOf(stretches, Date.parse(from)) ?? 0) : 0,
      end: until ? (positionOf(stretches, Date.parse(until)) ?? length) : length,
    };
  }

  private get from(): number {
    return Math.min(this.start ?? this.saved.start, this.until - LEAST_S);
  }

  private get until(): number {
    return Math.min(this.end ?? this.saved.end, this.length);
  }

  private look(): void {
    const { video } = this;
    if (!video) return;
    if (!this.isPlaced && this.length > 0 && video.readyState > 0) {
      this.isPlaced = true;
      // At rest at its beginning nothing else would draw the handles.
      this.requestUpdate();
      this.dispatchEvent(new CustomEvent("placed", { bubbles: true }));
      if (this.saved.start > END_S) this.seek(this.saved.start);
    }
    // What viewers do not see is not run into; who looks at it on purpose may.
    if (this.isPlaying && this.position < this.until && video.currentTime >= this.until && this.until < this.length - END_S) {
      video.pause();
      video.currentTime = this.until;
    }
    this.position = video.currentTime;
  }

  private seek(position: number): void {
    this.video.currentTime = this.position = Math.min(Math.max(0, position), Math.max(0, this.length - 0.1));
  }

  private toggle(): void {
    const { video } = this;
    if (!video.paused) return video.pause();
    this.stream?.want(true);
    // At the end of what viewers see, again from its beginning.
    if (Math.abs(this.position - this.until) < END_S) this.seek(this.from);
    void video.play().catch(() => undefined);
  }

  private move(edge: Edge, position: number): void {
    this.why = "";
    if (edge === "start") this.start = Math.max(0, Math.min(position, this.until - LEAST_S));
    else this.end = Math.min(this.length, Math.max(position, this.from + LEAST_S));
    this.seek(edge === "start" ? this.start! : this.end!);
  }

  private here(edge: Edge): void {
    const at = this.position;
    this.why = "";
    // A start behind the end, or an end before the start: the other one gives way.
    if (edge === "start") {
      this.start = Math.min(at, this.length - LEAST_S);
      if (this.until - this.start < LEAST_S) this.end = this.length;
    } else {
      this.end = Math.max(at, LEAST_S);
      if (this.end - this.from < LEAST_S) this.start = 0;
    }
  }

  private get isChanged(): boolean {
    const { start, end } = this.saved;
    return Math.abs(this.from - start) > 0.05 || Math.abs(this.until - end) > 0.05;
  }

  private save(): Promise<void> {
    const iso = (position: number): string | null => {
      const date = this.dateAt(position);
      return date === null ? null : new Date(date).toISOString();
    };
    return this.put({
      from_at: this.from <= END_S ? null : iso(this.from),
      until_at: this.until >= this.length - END_S ? null : iso(this.until),
    });
  }

  private async put(trim: Trim): Promise<void> {
    this.busy = true;
    this.why = "";
    try {
      this.watch.told(await this.app.api.put<Recording>(`${this.watch.path}/recording/trim`, trim));
      this.start = this.end = null;
      this.app.toast(this.t("recording.trimmed"), "good");
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    const { length, from, until } = this;
    const may = this.app.can("shows:write");
    const isWhole = from <= END_S && until >= length - END_S;
    const seen = { from: clockText(from), until: clockText(until), length: lengthWords(until - from, this.app.words) };
    return html`<section class="stack" aria-labelledby="recording-trim-title">
      <div><h3 id="recording-trim-title">${this.t("recording.trim")}</h3>${may ? html`<p class="hint">${this.t("recording.trim_hint")}</p>` : nothing}</div>
      <div class="recording-screen">
        <video playsinline preload="auto" .muted=${this.isMuted} aria-label=${this.t("recording.preview")} @click=${() => this.toggle()}
          @play=${() => (this.isPlaying = true)} @pause=${() => (this.isPlaying = false)}></video>
        ${this.trouble ? html`<p class="screen-note" role="status">${this.t("studio.monitor_trouble")}</p>` : nothing}
        ${this.position < from - 0.05 || this.position > until + 0.05 ? html`<p class="recording-unseen" role="status">${this.t("recording.unseen")}</p>` : nothing}
      </div>
      ${length > 0 ? this.bar(length, from, until, may) : html`<p class="quiet" role="status">${this.t("studio.loading")}</p>`}
      ${length > 0
        ? html`<p class="recording-seen" role="status" data-testid="trim-words">${isWhole ? this.t("recording.seen_all") : this.t("recording.seen", seen)}</p>
            ${may ? this.acts(isWhole) : nothing}`
        : nothing}
      ${this.why ? html`<p class="error" role="alert">${this.why}</p>` : nothing}
    </section>`;
  }

  private bar(length: number, from: number, until: number, may: boolean): TemplateResult {
    const percent = (seconds: number): string => `${Math.min(100, Math.max(0, (100 * seconds) / length)).toFixed(2)}%`;
    const slider = (name: string, value: number, set: (value: number) => void): TemplateResult => html`<input type="range" class="recording-${name}" min="0"
      max=${length.toFixed(2)} step="any" data-testid="trim-${name}" aria-label=${this.t(`recording.slider_${name}`)} aria-valuetext=${clockText(value)} .value=${String(value)}
      @input=${(event: Event) => set(Number((event.target as HTMLInputElement).value))} @keydown=${(event: KeyboardEvent) => stepKeys(event, (by) => set(value + by))} />`;
    return html`<div class="recording-bar">
        <svg aria-hidden="true" focusable="false">
          <rect class="all" width="100%" height="100%" rx="4"></rect>
          ${svg`<rect class="shown" x=${percent(from)} width=${percent(until - from)} height="100%"></rect>
          <rect class="head" x=${percent(this.position)} width="2" height="100%"></rect>`}
        </svg>
        ${slider("position", this.position, (value) => this.seek(value))}
        ${may ? html`${slider("start", from, (value) => this.move("start", value))}${slider("end", until, (value) => this.move("end", value))}` : nothing}
      </div>
      <div class="recording-controls">
        <button class="icon-btn" data-testid="trim-play" aria-label=${this.t(this.isPlaying ? "recording.pause" : "recording.play")} @click=${() => this.toggle()}>
          ${icon(this.isPlaying ? "pause" : "play")}</button>
        <button class="icon-btn" aria-pressed=${this.isMuted ? "false" : "true"} aria-label=${this.t("studio.sound")} @click=${() => (this.isMuted = !this.isMuted)}>
          ${icon(this.isMuted ? "mute" : "volume")}</button>
        <span class="recording-time">${clockText(this.position)} / ${clockText(length)}</span>
        ${may
          ? html`<span class="recording-cuts">
              <button class="btn btn-small btn-outline" data-testid="trim-start-here" @click=${() => this.here("start")}>${this.t("recording.start_here")}</button>
              <button class="btn btn-small btn-outline" data-testid="trim-end-here" @click=${() => this.here("end")}>${this.t("recording.end_here")}</button></span>`
          : nothing}
      </div>`;
  }

  private acts(isWhole: boolean): TemplateResult {
    const { saved, length } = this;
    const isCut = saved.start > END_S || saved.end < length - END_S;
    return html`<div class="recording-acts">
      ${this.isChanged
        ? html`<button class="btn btn-primary" data-testid="save-trim" ?disabled=${this.busy} @click=${() => void this.save()}>${this.t("recording.trim_save")}</button>
            <button class="btn" ?disabled=${this.busy} @click=${() => (this.start = this.end = null)}>${this.t("studio.cancel")}</button>`
        : nothing}
      ${isWhole
        ? nothing
        : html`<button class="btn btn-ghost" @click=${() => this.ending()}>${icon("play")}${this.t("recording.see_end")}</button>`}
      ${isCut && !this.isChanged
        ? html`<button class="btn btn-ghost" data-testid="reset-trim" ?disabled=${this.busy} @click=${() => void this.put({ from_at: null, until_at: null })}>
            ${icon("refresh")}${this.t("recording.trim_reset")}</button>`
        : nothing}
    </div>`;
  }

  private ending(): void {
    this.stream?.want(true);
    this.seek(Math.max(this.from, this.until - ENDING_S));
    void this.video.play().catch(() => undefined);
  }
}

/** Arrow keys move by a second, with Shift by ten. */
function stepKeys(event: KeyboardEvent, by: (seconds: number) => void): void {
  const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (way === undefined) return;
  event.preventDefault();
  by(way * STEP_S * (event.shiftKey ? 10 : 1));
}
