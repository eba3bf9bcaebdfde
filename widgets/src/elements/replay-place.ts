// Where a viewer was in a replay, for as long as the tab is open.

import { storageOrNull } from "../state/api";

const storage = storageOrNull(() => sessionStorage);
const keyOf = (showId: string): string => `liveshop:replay:${showId}`;

/** Wall-clock milliseconds; `link`: the moment the address of the page asked for then, in seconds. */
interface Place {
  date: number;
  link: number | null;
}

/** Null: nowhere yet, or the page has another link by now. */
export function keptPlace(showId: string, link: number | null): number | null {
  try {
    const kept = JSON.parse(storage?.getItem(keyOf(showId)) ?? "null") as Place | null;
    return kept && kept.link === link && Number.isFinite(kept.date) ? kept.date : null;
  } catch {
    return null;
  }
}

export function keepPlace(showId: string, date: number | null, link: number | null): void {
  try {
    if (date === null) storage?.removeItem(keyOf(showId));
    else storage?.setItem(keyOf(showId), JSON.stringify({ date, link } satisfies Place));
  } catch {
    // Then a reload begins anew.
  }
}
