/**
 * What waits to be sent. Little is handed to the socket at a time: what is in there cannot be overtaken, and sound must
 * overtake pictures. When the line cannot keep up, pictures are left out up to the next keyframe; sound never is, unless
 * it has become so old that nobody waits for it any more.
 */

import { KIND, type Configs, type Kind, type Line } from "./camera-line";

/** Later than at best by so much, and pictures are left out. */
const SKIP_MS = 500;
const GO_ON_MS = 240;
/** Sound that is older has no chance: on from now. What lay before it in a line that became ten times narrower takes four
 * seconds, and its sound is still sent; a dead line is noticed sooner. */
const OLD_MS = 8_000;
/** On the way at most: what the line carries in this time, above its own delay. */
const WINDOW_MS = 260;
const WINDOW_MIN_BYTES = 20_000;
/** While nothing is late, and for sound, somewhat more may be on its way: a keyframe fills the window at once, and the line
 * has long carried what the server will acknowledge next. */
const IN_TIME_MS = 250;
const IN_TIME_WINDOWS = 1.3;
const THROUGHPUT_OVER_MS = 1_500;
/** The best delay is of the last minute: a phone moves between networks. */
const BEST_KEPT_MS = 30_000;
/** A recorder's bytes cannot be left out: so much of them, and a new recorder begins with less. */
const CONTAINER_MAX_MS = 2_500;

interface Item {
  kind: Kind;
  timestamp: number;
  bytes: Uint8Array;
  /** Milliseconds. */
  at: number;
  /** What it needs to be decoded. */
  configs: Configs | null;
}

interface OnItsWay {
  /** Acknowledged when the server has taken so many in all. */
  upTo: number;
  at: number;
}

export class Outbox {
  /** Pictures are left out until the next keyframe. */
  isSkipping = false;
  /** No picture of this connection has come from the encoder yet. */
  isStarting = true;
  /** The recorder's bytes have piled up. */
  isOverfull = false;
  private sound: Item[] = [];
  private pictures: Item[] = [];
  private onItsWay: OnItsWay[] = [];
  private taken: { at: number; bytes: number }[] = [];
  private delays: { at: number; delay: number }[] = [];
  private throughputWas = 0;
  private told = "";
  /** Of this connection. */
  acks = 0;
  ackedAt = 0;

  constructor(
    private readonly line: Line,
    private readonly wantsKeyframe: () => void,
  ) {}

  put(kind: Kind, timestamp: number, bytes: Uint8Array, configs: Configs | null = null): void {
    if (this.line.state !== "ready") return;
    const item: Item = { kind, timestamp, bytes, at: performance.now(), configs };
    if (kind === KIND.sound) this.sound.push(item);
    else if (kind === KIND.delta && this.isSkipping) return;
    else {
      this.isSkipping = false;
      this.isStarting = false;
      this.pictures.push(item);
    }
    this.pump(item.at);
  }

  /** A new socket, that was told these: nothing of the last one counts. */
  restart(configs: Configs): void {
    this.told = JSON.stringify(configs);
    this.sound = [];
    this.pictures = [];
    this.onItsWay = [];
    this.taken = [];
    this.delays = [];
    this.acks = 0;
    this.isSkipping = true;
    this.isStarting = true;
    this.isOverfull = false;
    this.wantsKeyframe();
  }

  acked(bytes: number): void {
    const now = performance.now();
    this.acks += 1;
    this.ackedAt = now;
    let latest: OnItsWay | undefined;
    while (this.onItsWay[0] && this.onItsWay[0].upTo <= bytes) latest = this.onItsWay.shift();
    if (latest) this.delays.push({ at: now, delay: now - latest.at });
    this.taken.push({ at: now, bytes });
    this.pump(now);
  }

  /** Called several times a second. Says how late the bytes are, in milliseconds above the line's own delay. */
  tend(now: number, isContainer: boolean): number {
    this.delays = this.delays.filter(({ at }) => now - at < BEST_KEPT_MS);
    while (this.taken.length > 1 && now - (this.taken[0]?.at ?? 0) > THROUGHPUT_OVER_MS) this.taken.shift();
    const late = this.lateMs(now);
    if (isContainer) this.isOverfull = late > CONTAINER_MAX_MS;
    else this.relieve(now, late);
    this.pump(now);
    return late;
  }

  private relieve(now: number, late: number): void {
    const oldest = this.sound[0];
    if (oldest && now - oldest.at > OLD_MS) {
      this.sound = [];
      this.skip();
    } else if (late > SKIP_MS) this.skip();
    else if (this.isSkipping && late < GO_ON_MS) this.wantsKeyframe();
  }

  private skip(): void {
    this.isSkipping = true;
    this.pictures = [];
  }

  private announce(configs: Configs): void {
    const told = JSON.stringify(configs);
    if (told === this.told) return;
    this.told = told;
    this.line.tell({ t: "config", ...configs });
  }

  lateMs(now: number): number {
    return Math.max(0, now - this.oldestAt(now) - this.best());
  }

  /** When the oldest was made that waits or is on its way. */
  oldestAt(now: number): number {
    return Math.min(this.onItsWay[0]?.at ?? now, this.sound[0]?.at ?? now, this.pictures[0]?.at ?? now);
  }

  /** kbit/s, by what the server said it took. */
  throughput(now: number): number {
    const first = this.taken[0];
    const last = this.taken.at(-1);
    if (!first || !last) return this.throughputWas;
    const seconds = (Math.max(now, last.at) - first.at) / 1_000;
    if (seconds > 0.5) this.throughputWas = ((last.bytes - first.bytes) * 8) / 1_000 / seconds;
    return this.throughputWas;
  }

  /** The rate the window is measured by. */
  kbit = 2_500;

  private best(): number {
    return this.delays.length > 0 ? Math.min(...this.delays.map(({ delay }) => delay)) : 0;
  }

  private pump(now: number): void {
    const best = this.best();
    const window = Math.max(WINDOW_MIN_BYTES, (this.kbit / 8) * (WINDOW_MS + Math.min(best, 1_000)));
    while (this.line.state === "ready") {
      const isInTime = now - (this.onItsWay[0]?.at ?? now) - best < IN_TIME_MS;
      const most = isInTime || this.sound.length > 0 ? window * IN_TIME_WINDOWS : window;
      if (this.line.inFlight >= most) return;
      const item = this.sound.shift() ?? this.pictures.shift();
      if (!item) return;
      if (item.configs) this.announce(item.configs);
      this.line.media(item.kind, item.timestamp, item.bytes);
      this.onItsWay.push({ upTo: this.line.sent, at: item.at });
    }
  }
}
