/**
 * How long camera and encoder take, told from a screen that turns light and dark and from how light its picture was.
 * Pure. The changes come at irregular moments, so that only one delay makes both fit.
 */

/** The screen changed: `at` in milliseconds. */
export interface Flash {
  at: number;
  light: boolean;
}

/** How light a picture was, 0 to 255; `at` is when it arrived, in milliseconds of the same clock. */
export interface Seen {
  at: number;
  light: number;
}

export type Found = { kind: "found"; delayMs: number } | { kind: "unseen" } | { kind: "unclear" };

/** At most two changes in a second: WCAG 2.3.1 allows three flashes, which are six. */
const SHORTEST_MS = 500;
const LONGEST_MS = 900;
const LEAST_MS = -500;
const MOST_MS = 3_500;
const STEP_MS = 5;
/** Of 255: less change than this is the noise of a camera that looks elsewhere. */
const SWING = 10;
const FIT = 0.75;
/** How much better the best delay fits than any that is far from it. */
const LEAD = 0.2;
const FAR_MS = 350;
/** The fit falls alike on both sides of the truth: the middle between two points this far down is sharper than the peak. */
const FLANK = 0.12;

export function flashes(start: number, lengthMs: number, random: () => number): Flash[] {
  const pattern: Flash[] = [];
  let light = true;
  for (let at = start; at < start + lengthMs; at += SHORTEST_MS + random() * (LONGEST_MS - SHORTEST_MS)) {
    pattern.push({ at, light });
    light = !light;
  }
  // It ends as it began, in the dark.
  if (!light) pattern.push({ at: start + lengthMs, light });
  return pattern;
}

/** `pattern` ascends and begins after a dark screen. */
export function findDelay(pattern: readonly Flash[], seen: readonly Seen[]): Found {
  const levels = seen.map(({ light }) => light).sort((a, b) => a - b);
  const dark = levels[Math.floor(levels.length * 0.1)] ?? 0;
  const bright = levels[Math.floor(levels.length * 0.9)] ?? 0;
  if (levels.length < 30 || bright - dark < SWING) return { kind: "unseen" };
  const fits: number[] = [];
  for (let delay = LEAST_MS; delay <= MOST_MS; delay += STEP_MS) fits.push(fit(pattern, seen, delay));
  const best = fits.reduce((top, value, index) => (value > (fits[top] ?? -1) ? index : top), 0);
  const peak = fits[best] ?? 0;
  const far = FAR_MS / STEP_MS;
  const second = Math.max(...fits.filter((_, index) => Math.abs(index - best) > far));
  const left = crossing(fits, best, -1, peak - FLANK);
  const right = crossing(fits, best, 1, peak - FLANK);
  if (peak < FIT || peak - second < LEAD || left === null || right === null) return { kind: "unclear" };
  return { kind: "found", delayMs: Math.round(LEAST_MS + ((left + right) / 2) * STEP_MS) };
}

/** Pearson's correlation of what was seen with what was on the screen `delay` earlier; 0 where either never changes. */
function fit(pattern: readonly Flash[], seen: readonly Seen[], delay: number): number {
  let n = 0;
  let x = 0;
  let y = 0;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  let next = 0;
  for (const { at, light } of seen) {
    while (next < pattern.length && (pattern[next]?.at ?? 0) <= at - delay) next += 1;
    const shown = pattern[next - 1]?.light ? 1 : 0;
    n += 1;
    x += shown;
    y += light;
    xx += shown;
    yy += light * light;
    xy += shown * light;
  }
  const spread = (n * xx - x * x) * (n * yy - y * y);
  return spread > 0 ? (n * xy - x * y) / Math.sqrt(spread) : 0;
}

/** Where the fit falls to `level` on one side of the best, as a fraction of indexes; null: not within the range. */
function crossing(fits: readonly number[], best: number, way: 1 | -1, level: number): number | null {
  for (let index = best; index + way >= 0 && index + way < fits.length; index += way) {
    const here = fits[index] ?? 0;
    const there = fits[index + way] ?? 0;
    if (there <= level) return index + (way * (here - level)) / (here - there || 1);
  }
  return null;
}
