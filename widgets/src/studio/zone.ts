/**
 * Wall-clock times in a named zone and the instants they mean.
 * A show starts at 20:00 in *its* zone, whatever the browser's zone is, so <input type="datetime-local"> (which has
 * no zone) is read through these two functions. Intl is the only source of zone rules; no table is shipped.
 */

export type WallKind = "exact" | "skipped" | "twice";

/** Minutes the zone is ahead of UTC at an instant. */
export function offsetMinutes(at: Date, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(at);
  const number = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const wall = Date.UTC(number("year"), number("month") - 1, number("day"), number("hour"), number("minute"), number("second"));
  return Math.round((wall - Math.floor(at.getTime() / 1000) * 1000) / 60_000);
}

/** "2026-11-21T20:00" in a zone as an instant. Skipped by a clock change: moved later by the gap. Twice: the first one. */
export function wallToInstant(wall: string, zone: string): { at: Date; kind: WallKind } | null {
  const naive = Date.parse(`${wall}Z`);
  if (Number.isNaN(naive)) return null;
  const day = 86_400_000;
  const before = offsetMinutes(new Date(naive - day), zone);
  const after = offsetMinutes(new Date(naive + day), zone);
  const hits = [...new Set([before, after])]
    .map((offset) => ({ offset, at: new Date(naive - offset * 60_000) }))
    .filter(({ offset, at }) => offsetMinutes(at, zone) === offset)
    .sort((a, b) => a.at.getTime() - b.at.getTime());
  const first = hits[0];
  if (!first) return { at: new Date(naive - before * 60_000), kind: "skipped" };
  return { at: first.at, kind: hits.length > 1 ? "twice" : "exact" };
}

/** An instant as the value of <input type="datetime-local"> in a zone. */
export function instantToWall(at: Date, zone: string): string {
  return new Date(at.getTime() + offsetMinutes(at, zone) * 60_000).toISOString().slice(0, 16);
}

export function localZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function allZones(): string[] {
  const zones = new Set([localZone(), "UTC", ...Intl.supportedValuesOf("timeZone")]);
  return [...zones].sort((a, b) => a.localeCompare(b));
}
