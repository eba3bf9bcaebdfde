// Whether somebody listens without the picture: what they chose last, else what their browser says of saving data.

import { storageOrNull } from "../state/api";

const KEY = "liveshop:sound-only";

export function wantsSoundOnly(): boolean {
  const kept = storageOrNull(() => localStorage)?.getItem(KEY);
  const { connection } = navigator as Navigator & { connection?: { saveData?: boolean } };
  return kept ? kept === "1" : connection?.saveData === true;
}

export function keepSoundOnly(on: boolean): void {
  try {
    localStorage.setItem(KEY, on ? "1" : "0");
  } catch {
    // Then for this visit.
  }
}
