/**
 * How much picture the line carries. Pure: it is told what the line did, and says what to ask the encoder for.
 *
 * The rule; the line alone is the judge of the rate:
 * - A line is full when bytes stay late, for half a second and more and more or for two seconds, although the server goes
 *   on to acknowledge. What it took meanwhile is what the line carries, and the rate falls below that at once. Late without an acknowledgement is a line
 *   that is gone or a machine that stands still: it says nothing about the rate.
 * - What was made before the last fall is not held against the new rate: it has to drain first.
 * - Otherwise the rate climbs, a step in two seconds. A step that had to be taken back is tried again after a while only,
 *   twice as long each time; those below it as soon as ever. A moment's hold-up does not begin the waiting anew.
 * - A new connection forgets which step was too much: it may be another line.
 * - A device that encodes too slowly gets fewer lines to encode. What the line carries is no matter of that.
 */

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
/** More than acknowledgements alone let a byte wait: they come each 200 ms. */
const LATE_MS = 300;
const FULL_AFTER_MS = 500;
const FULL_LATE_MS = 450;
const FULL_ANYWAY_MS = 2_000;
const FULL_ACKS = 2;
/** Of what was carried, so much is asked for after a fall: the rest empties what has piled up. */
const SHARE = 0.8;
/** An encoder has what it was asked for before in its hands for a moment. */
const SETTLES_MS = 300;
const UP_EVERY_MS = 2_000;
/** A step up that has to be taken back so soon was one too many. */
const REGRET_MS = 4_000;
const PATIENCE_MS = 4_000;
const PATIENCE_MAX_MS = 20_000;
/** Each size is a new beginning for every player: it grows only when the line has shown that it lasts. */
const GROW_AFTER_MS = 6_000;
/** An encoder shows only after some seconds whether less is enough. */
const BUSY_EVERY_MS = 4_000;
/** A device that was too slow is given more only after so long. */
const RELIEVED_FOR_MS = 60_000;
/** For a size that the device asks for and not the line: more bits than its own step has. */
const RELIEVED_KBIT = 3;

export interface Look {
  /** Milliseconds. */
  now: number;
  /** How much later than at best the oldest byte is that waits or is on its way. */
  lateMs: number;
  /** When that byte was made. */
  oldestAt: number;
  /** What the server has taken of this connection, and how often it said so. */
  takenBytes: number;
  acks: number;
  /** The encoder falls behind. */
  isBusy: boolean;
}

export class Rate {
  private step: number;
  private size: number;
  private ceiling = 0;
  private late: { since: number; bytes: number; acks: number } | null = null;
  private fellAt = -Infinity;
  private roseAt = -Infinity;
  /** When the line was seen full last. */
  private fullAt = -Infinity;
  private tooMuch: number | null = null;
  private patience = PATIENCE_MS;
  private roomSince: number | null = null;
  /** The first step of the size that the device manages. */
  private device = 0;
  private busyAt = -Infinity;
  private readonly start: number;

  constructor(kbit: number) {
    this.step = stepFor(kbit);
    this.start = this.step;
    this.size = this.step;
  }

  get kbit(): number {
    const kbit = STEPS[this.step]?.kbit ?? 120;
    return this.device > this.size ? Math.min(kbit, (STEPS[this.device]?.kbit ?? 120) * RELIEVED_KBIT) : kbit;
  }

  get lines(): number {
    return STEPS[Math.max(this.size, this.device)]?.lines ?? 180;
  }

  /** The picture is worse than it was meant to be, and it can be seen. */
  get isReduced(): boolean {
    const isLess = this.step > this.start && this.kbit <= 500;
    return isLess || this.lines < (STEPS[this.start]?.lines ?? 720);
  }

  /** The server takes no more than this. */
  limit(kbit: number): void {
    this.ceiling = stepFor(Math.max(kbit, 120));
    this.step = Math.max(this.step, this.ceiling);
    this.size = Math.max(this.size, this.step);
  }

  /** A new connection. */
  restart(now: number): void {
    this.late = null;
    this.tooMuch = null;
    this.patience = PATIENCE_MS;
    this.fellAt = -Infinity;
    this.fullAt = -Infinity;
    this.roseAt = now;
  }

  look({ now, lateMs, oldestAt, takenBytes, acks, isBusy }: Look): void {
    // The first step up waits like any other.
    if (this.roseAt === -Infinity) this.roseAt = now;
    if (lateMs < LATE_MS) this.late = null;
    else this.late ??= { since: now, bytes: takenBytes, acks };
    const { late } = this;
    if (!late) this.climb(now);
    else if (now - late.since >= (lateMs >= FULL_LATE_MS ? FULL_AFTER_MS : FULL_ANYWAY_MS) && acks - late.acks >= FULL_ACKS) {
      this.fullAt = now;
      if (oldestAt >= this.fellAt + SETTLES_MS) {
        this.fall(now, ((takenBytes - late.bytes) * 8) / (now - late.since));
        this.late = null;
      }
    }
    this.grow(now);
    this.relieve(now, isBusy);
  }

  /** To what was carried, and one step at least. */
  fall(now: number, carriedKbit: number): void {
    if (now - this.roseAt < REGRET_MS && this.roseAt > this.fellAt) {
      this.tooMuch = this.step;
      this.patience = Math.min(PATIENCE_MAX_MS, this.patience * 2);
    }
    this.step = Math.min(LAST, Math.max(this.step + 1, stepFor((carriedKbit - SOUND_KBIT) * SHARE)));
    this.size = Math.max(this.size, sizeFor(this.step));
    this.fellAt = now;
  }

  private climb(now: number): void {
    if (this.tooMuch !== null && this.step <= this.tooMuch && now - this.roseAt >= REGRET_MS) {
      this.tooMuch = null;
      this.patience = PATIENCE_MS;
    }
    if (this.step <= this.ceiling) return;
    const wait = this.tooMuch !== null && this.step - 1 <= this.tooMuch ? this.patience : UP_EVERY_MS;
    if (now - Math.max(this.fellAt, this.fullAt, this.roseAt) < wait) return;
    this.step -= 1;
    this.roseAt = now;
  }

  private grow(now: number): void {
    if (sizeFor(this.step) >= this.size) this.roomSince = null;
    else if (now - (this.roomSince ??= now) >= GROW_AFTER_MS) {
      this.size = sizeFor(this.step);
      this.roomSince = null;
    }
  }

  private relieve(now: number, isBusy: boolean): void {
    if (isBusy && now - this.busyAt >= BUSY_EVERY_MS) {
      const smaller = STEPS.findIndex(({ lines }) => lines < this.lines);
      if (smaller > 0) this.device = smaller;
      this.busyAt = now;
    } else if (this.device > 0 && now - this.busyAt >= RELIEVED_FOR_MS) {
      this.device = sizeFor(this.device - 1);
      this.busyAt = now;
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
