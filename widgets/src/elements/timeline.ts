// Where in a recording a moment is, and when what is on screen was. A recording closes its gaps: its own time goes on
// where the clock jumps. Pure.

/** A stretch without a gap: its date in wall-clock milliseconds, and its place in the recording in seconds. */
export interface Stretch {
  programDateTime: number | null;
  start: number;
  duration: number;
}

/** Null: after the end. What is in no stretch, before the first or between two, is where the next one begins. */
export function positionOf(stretches: readonly Stretch[], date: number): number | null {
  let next: number | null = null;
  // From the end: where another sender took over a little before the last one was done, his picture counts.
  for (const { programDateTime, start, duration } of [...stretches].reverse()) {
    if (programDateTime === null) continue;
    const into = (date - programDateTime) / 1000;
    if (into >= duration) return next;
    if (into >= 0) return start + into;
    next = start;
  }
  return next;
}

/** Null: this recording has no dates. */
export function dateOf(stretches: readonly Stretch[], position: number): number | null {
  let found: Stretch | undefined;
  for (const stretch of stretches) {
    if (stretch.programDateTime === null) continue;
    if (found && stretch.start > position) break;
    found = stretch;
  }
  if (!found) return null;
  const into = Math.min(found.duration, Math.max(0, position - found.start));
  return found.programDateTime! + into * 1000;
}

export function lengthOf(stretches: readonly Stretch[]): number {
  const last = stretches.at(-1);
  return last ? last.start + last.duration : 0;
}

/** The stretches of a media playlist, for browsers that play it by themselves. */
export function stretchesOf(playlist: string): Stretch[] {
  const found: Stretch[] = [];
  let start = 0;
  let duration = 0;
  let programDateTime: number | null = null;
  for (const line of playlist.split(/\r?\n/)) {
    const [tag, value = ""] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)];
    if (tag === "#EXTINF") duration = parseFloat(value);
    else if (tag === "#EXT-X-PROGRAM-DATE-TIME") programDateTime = Date.parse(value);
    else if (line && !line.startsWith("#")) {
      found.push({ programDateTime, start, duration });
      start += duration;
      if (programDateTime !== null) programDateTime += duration * 1000;
    }
  }
  return found;
}
