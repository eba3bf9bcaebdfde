/**
 * When something was taken, by the clock that pictures and sound share.
 * Tracks count from origins of their own: raw times put the sound a third of a second late. What arrives soonest after
 * it was taken shows where an origin lies, so the least delay of the first moments is kept.
 */

const LEARN_US = 600_000;

/** All in microseconds. */
export class Origin {
  private least = Infinity;
  private since: number | null = null;

  /** `stamp` by the track's clock, `now` by ours. */
  map(stamp: number, now: number): number {
    this.since ??= now;
    if (now - this.since <= LEARN_US) this.least = Math.min(this.least, now - stamp);
    return stamp + this.least;
  }

  reset(): void {
    this.least = Infinity;
    this.since = null;
  }
}
