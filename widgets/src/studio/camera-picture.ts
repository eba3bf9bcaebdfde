/**
 * The pictures: at each tick of a constant rate the newest one is encoded, and the last one again when the camera is late.
 * A constant rate is what low-latency players ask of a stream (parts of one length); cameras in dim light are not constant.
 */

import { repaired } from "./camera-avc";
import { base64, bytesOf } from "./camera-bytes";
import { FRAME_RATE, microseconds, type Arrangement, type Fit, type SourceName, type VideoChoice } from "./camera-messages";
import type { TrackConfig } from "./camera-line";

const TICK_US = 1e6 / FRAME_RATE;
/** So many ticks late are made up for; more is a gap. */
const MAKE_UP_TICKS = 3;
/** So many pictures in the encoder, and it cannot keep up. */
const QUEUE_MAX = 5;
const BUSY_SHARE = 0.15;
const BUSY_OVER_TICKS = 90;
/** Of the large picture's width. */
const INSET_SHARE = 0.28;
/** At the right, below what stands at the top of every player: at the bottom it would be under products and chat. */
const INSET_RIGHT = 0.03;
const INSET_TOP = 0.12;
const NARROWEST = 180;
/** In a minute: a phone may take its encoder away at each change of the tab, for as long as the show lasts. */
const FAILURES_BORNE = 5;
/** Kinds of pictures every encoder takes; others are drawn first. */
const PLAIN = ["I420", "NV12"];

export interface PictureEvents {
  picture(timestamp: number, bytes: Uint8Array, isKey: boolean): void;
  config(config: TrackConfig): void;
  broken(what: string): void;
  /** Whether pictures are wanted at all at the moment. */
  isWanted(): boolean;
}

interface Source {
  newest: VideoFrame | null;
  fit: Fit;
  reader: ReadableStreamDefaultReader<VideoFrame> | null;
}

interface Size {
  width: number;
  height: number;
}

export class Pictures {
  size: Size = { width: 0, height: 0 };
  isBusy = false;
  private readonly sources = new Map<SourceName, Source>();
  private arrangement: Arrangement = { main: "camera", inset: null };
  private isUpright: boolean;
  private lines: number;
  private kbit: number;
  private encoder: VideoEncoder;
  /** Whose pictures come at the moment. */
  private leading: VideoEncoder | null = null;
  private canvas: OffscreenCanvas | null = null;
  private pen: OffscreenCanvasRenderingContext2D | null = null;
  /** What was encoded last, for when nothing new has come. */
  private last: VideoFrame | null = null;
  private isFresh = false;
  private failedAt: number[] = [];
  private drawsAll = false;
  private tick = 0;
  private epoch = microseconds();
  private keyTick = -Infinity;
  private needsKey = true;
  /** Of the keyframe that is in the encoder. Some hand it out only when the next picture comes in. */
  private awaitedTick: number | null = null;
  private isClosed = false;
  private overfull = 0;
  private configured = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private doneAt: number[] = [];

  constructor(
    private readonly choice: VideoChoice,
    isUpright: boolean,
    kbit: number,
    lines: number,
    private readonly events: PictureEvents,
  ) {
    this.isUpright = isUpright;
    this.kbit = kbit;
    this.lines = lines;
    this.encoder = this.made();
    this.wait();
  }

  private made(): VideoEncoder {
    const encoder: VideoEncoder = new VideoEncoder({
      output: (chunk, metadata) => {
        // What the one before still held comes out before the first of its successor, or not at all.
        if (this.encoder === encoder) this.leading = encoder;
        else if (this.leading !== encoder) return;
        this.encoded(chunk, metadata);
      },
      error: (error) => {
        if (this.encoder === encoder) this.failed(error);
      },
    });
    return encoder;
  }

  /** Encoders are taken away (a hardware one from a tab in the background), and stumble over pictures of a rare kind. */
  private failed(error: DOMException): void {
    if (this.isClosed) return;
    const now = performance.now();
    this.failedAt = [...this.failedAt.filter((at) => now - at < 60_000), now];
    if (this.failedAt.length > FAILURES_BORNE) return this.events.broken(`picture: ${error.message}`);
    // Twice in a short time: it is the pictures.
    if (this.failedAt.length > 1) this.drawsAll = true;
    this.awaitedTick = null;
    this.encoder = this.made();
    this.configured = "";
    this.needsKey = true;
    this.isFresh = true;
  }

  /** Pictures in the last second. */
  get rate(): number {
    const since = performance.now() - 1_000;
    this.doneAt = this.doneAt.filter((at) => at > since);
    return this.doneAt.length;
  }

  follow(name: SourceName, stream: ReadableStream<VideoFrame>, fit: Fit): void {
    this.leave(name);
    if (this.isClosed) return void stream.cancel().catch(() => undefined);
    const reader = stream.getReader();
    const source: Source = { newest: this.sources.get(name)?.newest ?? null, fit, reader };
    this.sources.set(name, source);
    void this.read(source, reader);
  }

  show(name: SourceName, frame: VideoFrame, fit: Fit): void {
    if (this.isClosed) return frame.close();
    const source = this.sources.get(name) ?? { newest: null, fit, reader: null };
    source.fit = fit;
    this.sources.set(name, source);
    this.renew(source, frame);
  }

  nothing(name: SourceName): void {
    this.leave(name);
    this.sources.get(name)?.newest?.close();
    this.sources.delete(name);
    this.isFresh = true;
  }

  arrange(arrangement: Arrangement): void {
    this.arrangement = arrangement;
    this.isFresh = true;
  }

  upright(on: boolean): void {
    this.isUpright = on;
    this.isFresh = true;
  }

  ask(kbit: number, lines: number): void {
    this.kbit = kbit;
    if (lines !== this.lines) this.isFresh = true;
    this.lines = lines;
  }

  keyframe(): void {
    if (!this.awaitsKey) this.needsKey = true;
  }

  /** For a second: one that has not come out by then was left out by the encoder. */
  private get awaitsKey(): boolean {
    return this.awaitedTick !== null && this.tick - this.awaitedTick < FRAME_RATE;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.nothing("camera");
    this.nothing("extra");
    this.last?.close();
    this.last = null;
    if (this.encoder.state !== "closed") this.encoder.close();
  }

  private get main(): Source | undefined {
    return this.sources.get(this.arrangement.main);
  }

  private get inset(): Source | undefined {
    return this.arrangement.inset ? this.sources.get(this.arrangement.inset) : undefined;
  }

  /** Its loop lets go of what is still under way. */
  private leave(name: SourceName): void {
    const source = this.sources.get(name);
    if (source) source.reader = null;
  }

  /** Ends with its track. The last picture stays until there is another source. */
  private async read(source: Source, reader: ReadableStreamDefaultReader<VideoFrame>): Promise<void> {
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        if (source.reader === reader) this.renew(source, value);
        else {
          value.close();
          return await reader.cancel();
        }
      }
    } catch {
      // A track that was taken away ends its stream with an error; the page knows and offers another.
    }
  }

  private renew(source: Source, frame: VideoFrame): void {
    source.newest?.close();
    source.newest = frame;
    this.isFresh = true;
  }

  private wait(): void {
    if (this.isClosed) return;
    const due = (this.epoch + (this.tick + 1) * TICK_US - microseconds()) / 1_000;
    this.timer = setTimeout(() => this.ticked(), Math.max(0, due));
  }

  private ticked(): void {
    const late = Math.floor((microseconds() - this.epoch) / TICK_US) - this.tick;
    if (late > MAKE_UP_TICKS) this.tick += late - 1;
    if (late >= 1) {
      this.tick += 1;
      this.make(late > 1 && late <= MAKE_UP_TICKS);
    }
    this.wait();
  }

  /** `isMadeUp`: for a tick that is over. The newest picture was taken after it, and would be seen before its sound. */
  private make(isMadeUp: boolean): void {
    if (!this.main?.newest || this.encoder.state === "closed") return;
    if (!this.events.isWanted() && !this.needsKey && !this.awaitsKey) return;
    const full = this.encoder.encodeQueueSize >= QUEUE_MAX;
    this.overfull += ((full ? 1 : 0) - this.overfull) / BUSY_OVER_TICKS;
    this.isBusy = this.overfull > BUSY_SHARE;
    if (full) return;
    if (!this.configure()) return;
    // What is seen between two ticks was taken half a tick before the later one, on average.
    const timestamp = Math.round(this.epoch + this.tick * TICK_US - TICK_US / 2);
    const frame = this.compose(timestamp, isMadeUp);
    const isKey = this.needsKey || this.tick - this.keyTick >= FRAME_RATE;
    if (isKey) {
      this.keyTick = this.tick;
      this.awaitedTick = this.tick;
      this.needsKey = false;
    }
    try {
      this.encoder.encode(frame, { keyFrame: isKey });
    } catch (error) {
      // It was taken away between two pictures; it says so itself only sometimes.
      if (error instanceof DOMException) this.failed(error);
      else throw error;
    } finally {
      frame.close();
    }
  }

  /** False: not with this encoder. */
  private configure(): boolean {
    const size = this.wanted();
    const { codec, bitrateMode } = this.choice;
    const config = `${size.width}x${size.height}@${this.kbit}`;
    if (config === this.configured) return true;
    if (size.width !== this.size.width || size.height !== this.size.height) {
      this.needsKey = true;
      this.isFresh = true;
      this.awaitedTick = null;
      // One that goes on describes the old size along with the new, and whoever reads the first has the wrong one.
      if (this.configured) {
        const before = this.encoder;
        void before.flush().catch(() => undefined).finally(() => {
          if (before.state !== "closed") before.close();
        });
        this.encoder = this.made();
      }
    }
    this.configured = config;
    this.size = size;
    try {
      this.encoder.configure({
        codec,
        ...size,
        bitrate: this.kbit * 1_000,
        bitrateMode,
        framerate: FRAME_RATE,
        latencyMode: "realtime",
        avc: { format: "avc" },
      });
      return true;
    } catch (error) {
      this.events.broken(`picture: ${String(error)}`);
      return false;
    }
  }

  /** Never larger than what the camera gives: lines made up cost the line of the real ones. */
  private wanted(): Size {
    const { main } = this;
    const { displayWidth: width, displayHeight: height } = main?.newest ?? { displayWidth: 16, displayHeight: 9 };
    const longer = 16 / 9;
    let short: number;
    if (main?.fit === "contain") short = this.lines;
    else short = this.isUpright ? Math.min(width, height / longer) : Math.min(height, width / longer);
    const lines = Math.min(this.lines, Math.max(NARROWEST, even(short)));
    const long = even(lines * longer);
    return this.isUpright ? { width: lines, height: long } : { width: long, height: lines };
  }

  private compose(timestamp: number, isMadeUp: boolean): VideoFrame {
    const init = { timestamp, duration: Math.round(TICK_US) };
    const { last } = this;
    const { width, height } = this.size;
    const fitsLast = last?.displayWidth === width && last.displayHeight === height;
    if (last && (!this.isFresh || (isMadeUp && fitsLast))) return new VideoFrame(last, init);
    const main = this.main?.newest;
    const inset = this.inset?.newest;
    let made: VideoFrame;
    const fits = main && !inset && main.displayWidth === width && main.displayHeight === height;
    if (fits && !this.drawsAll && PLAIN.includes(main.format ?? "") && !turned(main)) {
      made = new VideoFrame(main, init);
    } else made = new VideoFrame(this.draw(main ?? null, inset ?? null), init);
    last?.close();
    this.last = made.clone();
    this.isFresh = false;
    return made;
  }

  private draw(main: VideoFrame | null, inset: VideoFrame | null): OffscreenCanvas {
    const { width, height } = this.size;
    if (!this.canvas || this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas = new OffscreenCanvas(width, height);
      this.pen = this.canvas.getContext("2d", { alpha: false });
    }
    const { canvas, pen } = this;
    if (!pen) return canvas;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    if (main) place(pen, main, 0, 0, width, height, this.main?.fit ?? "cover");
    if (inset) {
      const w = Math.round(width * INSET_SHARE);
      const h = Math.round((w * inset.displayHeight) / inset.displayWidth);
      place(pen, inset, Math.round(width * (1 - INSET_RIGHT)) - w, Math.round(height * INSET_TOP), w, h, "cover");
    }
    return canvas;
  }

  private encoded(chunk: EncodedVideoChunk, metadata?: EncodedVideoChunkMetadata): void {
    const decoder = metadata?.decoderConfig;
    if (decoder?.description) {
      this.events.config({
        codec: decoder.codec,
        description: base64(repaired(bytesOf(decoder.description))),
        width: decoder.codedWidth ?? this.size.width,
        height: decoder.codedHeight ?? this.size.height,
      });
    }
    const bytes = new Uint8Array(chunk.byteLength);
    chunk.copyTo(bytes);
    this.doneAt.push(performance.now());
    if (chunk.type === "key") this.awaitedTick = null;
    this.events.picture(chunk.timestamp, bytes, chunk.type === "key");
  }
}

function place(
  pen: OffscreenCanvasRenderingContext2D,
  frame: VideoFrame,
  x: number,
  y: number,
  width: number,
  height: number,
  fit: Fit,
): void {
  const { displayWidth: w, displayHeight: h } = frame;
  const scale = fit === "cover" ? Math.max(width / w, height / h) : Math.min(width / w, height / h);
  if (fit === "contain") {
    pen.drawImage(frame, x + (width - w * scale) / 2, y + (height - h * scale) / 2, w * scale, h * scale);
    return;
  }
  const cutW = width / scale;
  const cutH = height / scale;
  pen.drawImage(frame, (w - cutW) / 2, (h - cutH) / 2, cutW, cutH, x, y, width, height);
}

/** Some browsers hand over a phone's picture lying on its side, and say so. */
function turned(frame: VideoFrame): boolean {
  const { rotation, flip } = frame as VideoFrame & { rotation?: number; flip?: boolean };
  return Boolean(rotation) || Boolean(flip);
}

function even(value: number): number {
  return Math.floor(value / 2) * 2;
}
