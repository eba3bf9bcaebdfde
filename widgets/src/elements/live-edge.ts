// How far behind live to play, and how fast to get there. Pure: who asks tells the time. hls.js alone speeds up only
// with more than a second in the buffer, so it never comes below a second; this reads what the buffer was at its thinnest.

/** Seconds behind live. */
const LEAST = 0.8;
const MOST = 1.2;
const FIRST = 1;
/** What should be left in the buffer in its worst moment: below the one the target rises, above the other it falls. */
const THIN = 0.25;
const PLENTY = 0.38;
const RAISE = 0.1;
const LOWER = 0.02;
const LOOK_BACK_S = 10;
/** What was needed once is needed again: no falling for so long after a rise. */
const CAREFUL_S = 45;
/** But not while the page around is still busy arriving. */
const ARRIVING_S = 12;
/** Each stall costs this much distance; time gives it back. */
const PENALTY = 0.3;
const PENALTY_MOST = 3;
const FORGIVE_EVERY_S = 30;
const FORGIVE = 0.1;
/** Farther behind than this, playing faster takes too long: jump. */
const JUMP = 1.5;
/** A stream begins at a keyframe, up to some seconds back: before its first frames were seen a jump costs nothing. */
const FIRST_JUMP = 0.3;
/** A change of speed is heard only as a change: start late, stop late. */
const BEGIN = 0.05;
const ENOUGH = 0.02;
/** The end of a stream is only known to be where the last playlist said, some hundredths ago. */
const SMOOTHING = 0.25;
/** Farther off than this, the buffer is on its way to somewhere else and says nothing. */
const ON_ITS_WAY = 0.15;
const SLOWEST = 0.96;
const FASTEST = 1.1;
const STEEPNESS = 0.4;
const STEP = 0.02;
/** So little left that slowing down comes before everything else. */
const BRAKE = 0.12;
const BRAKING = 0.9;
/** After a stall, and before the first frame, wait for this much, or the next stall follows at once. */
const REFILL = 0.6;
const REFILL_WITHIN_S = 4;
const FILL = 0.7;
const FILL_WITHIN_S = 1;
/** Longer without news of the stream than this, its end is no measure of anything. */
const STALE_S = 1.5;

export interface Reading {
  /** Behind the end of the stream, as it is now. */
  latency: number;
  /** Buffered ahead of the frame on screen. */
  ahead: number;
  /** Since the playlist last grew. */
  age: number;
}

export class LiveEdge {
  stalls = 0;
  private aim = FIRST;
  private penalty = 0;
  private thinnest: number[] = [];
  private second = 0;
  private forgiven = 0;
  private raised = -Infinity;
  private began: number | null = null;
  private filled = false;
  private refilling: number | null = null;
  private correcting = false;
  private smooth: number | null = null;

  get target(): number {
    return this.aim + this.penalty;
  }

  /** The picture stopped for want of data. `sent`: there was something to be had. */
  stalled(now: number, sent: boolean): void {
    this.stalls += 1;
    if (sent) this.penalty = Math.min(PENALTY_MOST, this.penalty + PENALTY);
    this.forgiven = now;
    this.refilling = now;
    this.moved();
  }

  /** The last stall was not the network's. */
  pardon(): void {
    this.penalty = Math.max(0, this.penalty - PENALTY);
  }

  /** A new place in the stream: what was measured before says nothing about it. */
  moved(): void {
    this.thinnest = [];
    this.correcting = false;
    this.smooth = this.began = null;
    this.filled = false;
  }

  /** The speed to play at (0: wait), or "jump" to the target. `now` in seconds. */
  steer({ latency, ahead, age }: Reading, now: number): number | "jump" {
    this.began ??= now;
    const first = !this.filled;
    if (!this.filled && ahead < FILL && now - this.began < FILL_WITHIN_S) return 0;
    this.filled = true;
    if (this.refilling !== null) {
      if (ahead < REFILL && now - this.refilling < REFILL_WITHIN_S) return 0;
      this.refilling = null;
    }
    if (age > STALE_S) return 1;
    const late = latency - this.target;
    if (late > JUMP || (first && late > FIRST_JUMP && ahead > late + THIN)) return "jump";
    this.smooth = this.smooth === null ? latency : this.smooth + (latency - this.smooth) * SMOOTHING;
    const off = this.smooth - this.target;
    this.learn(ahead, off, now);
    if (ahead < BRAKE && off < BEGIN) return BRAKING;
    this.correcting = Math.abs(off) > (this.correcting ? ENOUGH : BEGIN);
    if (!this.correcting) return 1;
    // In steps: each change of speed makes the browser set up its sound anew.
    const steps = Math.sign(off) * Math.max(1, Math.round((Math.abs(off) * STEEPNESS) / STEP));
    return Math.min(FASTEST, Math.max(SLOWEST, 1 + steps * STEP));
  }

  private learn(ahead: number, off: number, now: number): void {
    const second = Math.floor(now);
    if (second !== this.second) {
      this.second = second;
      this.adapt(off, now);
      this.thinnest.push(ahead);
      if (this.thinnest.length > LOOK_BACK_S) this.thinnest.shift();
    }
    const last = this.thinnest.length - 1;
    if (last >= 0) this.thinnest[last] = Math.min(this.thinnest[last]!, ahead);
  }

  private adapt(off: number, now: number): void {
    if (this.penalty > 0 && now - this.forgiven > FORGIVE_EVERY_S) {
      this.penalty = Math.max(0, this.penalty - FORGIVE);
      this.forgiven = now;
    }
    if (Math.abs(off) > ON_ITS_WAY) this.thinnest = [];
    if (this.thinnest.length < 3) return;
    const left = Math.min(...this.thinnest);
    if (left < THIN) {
      this.aim = Math.min(MOST, this.aim + RAISE);
      if (now - this.began! > ARRIVING_S) this.raised = now;
      this.thinnest = [];
    } else if (left > PLENTY && now - this.raised > CAREFUL_S) {
      this.aim = Math.max(LEAST, this.aim - LOWER);
    }
  }
}
