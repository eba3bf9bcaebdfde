/** How much picture the line carries. Pure: it is told how late the bytes are, and says what to ask the encoder for. */

/** kbit/s of the picture, and how many lines its shorter side has. */
const STEPS = [
  { kbit: 3_500, lines: 720 },
  { kbit: 2_500, lines: 720 },
  { kbit: 1_500, lines: 720 },
  { kbit: 900, lines: 720 },
  { kbit: 500, lines: 540 },
  { kbit: 250, lines: 360 },
  { kbit: 120, lines: 180 },
] as const;

const LAST = STEPS.length - 1;
/** What sound and framing take of the line. */
const SOUND_KBIT = 90;
/** Bytes that are so late say that the line is full. */
const LATE_MS = 400;
const CALM_MS = 220;
/** A moment's hold-up at the server or in this machine is not the line. */
const LATE_FOR_MS = 500;
const DOWN_EVERY_MS = 900;
/** Late for so long, and what was carried meanwhile is what the line carries; before, it is what there was to carry. */
const PROVED_MS = 1_000;
/** An encoder shows only after some seconds whether less is enough. */
const BUSY_EVERY_MS = 4_000;
const UP_AFTER_MS = 4_000;
const UP_AFTER_MAX_MS = 32_000;
/** A step up that has to be taken back so soon was one too many. */
const REGRET_MS = 8_000;
/** Of what was carried, so much is asked for after a fall: the rest empties what has piled up. */
const SHARE = 0.8;
/** Each size is a new beginning for every player: it grows only when the line has shown that it lasts. */
const GROW_AFTER_MS = 6_000;

export interface Look {
  /** Milliseconds. */
  now: number;
  /** How much later than at best the oldest byte on its way is. */
  lateMs: number;
  /** What the server took in the last seconds. */
  throughputKbit: number;
  /** The encoder falls behind. */
  isBusy: boolean;
}

export class Rate {
  private step: number;
  private size: number;
  private ceiling = 0;
  private downAt = -Infinity;
  private upAt = -Infinity;
  private upAfter = UP_AFTER_MS;
  private calmSince: number | null = null;
  private lateSince: number | null = null;
  private roomSince: number | null = null;
  private readonly start: number;

  constructor(kbit: number) {
    this.step = stepFor(kbit);
    this.start = this.step;
    this.size = this.step;
  }

  get kbit(): number {
    return STEPS[this.step]?.kbit ?? 120;
  }

  get lines(): number {
    return STEPS[this.size]?.lines ?? 180;
  }

  /** The picture is worse than it was meant to be, and it can be seen. */
  get isReduced(): boolean {
    return this.step > this.start && (this.kbit <= 500 || this.lines < (STEPS[this.start]?.lines ?? 720));
  }

  /** The server takes no more than this. */
  limit(kbit: number): void {
    this.ceiling = stepFor(Math.max(kbit, 120));
    this.step = Math.max(this.step, this.ceiling);
    this.size = Math.max(this.size, this.step);
  }

  look({ now, lateMs, throughputKbit, isBusy }: Look): void {
    this.lateSince = lateMs > CALM_MS ? (this.lateSince ?? now) : null;
    const lateFor = this.lateSince === null ? 0 : now - this.lateSince;
    if (lateMs > LATE_MS && lateFor >= LATE_FOR_MS) {
      const isProved = lateFor >= PROVED_MS;
      this.down(now, DOWN_EVERY_MS, isProved ? throughputKbit : Infinity);
    } else if (isBusy) this.down(now, BUSY_EVERY_MS, Infinity);
    else if (lateMs < CALM_MS) this.rest(now);
    else this.calmSince = null;
    this.grow(now);
  }

  private down(now: number, every: number, carriedKbit: number): void {
    this.calmSince = null;
    if (now - this.downAt < every || this.step === LAST) return;
    if (now - this.upAt < REGRET_MS) this.upAfter = Math.min(UP_AFTER_MAX_MS, this.upAfter * 2);
    const carried = Number.isFinite(carriedKbit) ? stepFor((carriedKbit - SOUND_KBIT) * SHARE) : 0;
    this.step = Math.min(LAST, Math.max(this.step + 1, carried));
    this.size = Math.max(this.size, sizeFor(this.step));
    this.downAt = now;
  }

  private rest(now: number): void {
    this.calmSince ??= now;
    if (now - this.calmSince < this.upAfter) return;
    // The last step up has lasted: the next one may come sooner.
    this.upAfter = Math.max(UP_AFTER_MS, this.upAfter / 2);
    if (this.step <= this.ceiling) return;
    this.step -= 1;
    this.upAt = now;
    this.calmSince = now;
  }

  private grow(now: number): void {
    if (sizeFor(this.step) >= this.size) this.roomSince = null;
    else if (now - (this.roomSince ??= now) >= GROW_AFTER_MS) {
      this.size = sizeFor(this.step);
      this.roomSince = null;
    }
  }
}

/** The best step that asks for no more. */
function stepFor(kbit: number): number {
  const found = STEPS.findIndex((step) => step.kbit <= kbit);
  return found < 0 ? LAST : found;
}

/** The first step of the same size: the size alone, without the rate. */
function sizeFor(step: number): number {
  return STEPS.findIndex(({ lines }) => lines === STEPS[step]?.lines);
}

/** What a measured line is good for: picture kbit/s to begin with. Half of it stays free. */
export function startKbit(lineKbit: number): number {
  return Math.min(2_500, STEPS[stepFor((lineKbit - SOUND_KBIT) * 0.6)]?.kbit ?? 120);
}

export function linesAt(kbit: number): number {
  return STEPS[stepFor(kbit)]?.lines ?? 180;
}
