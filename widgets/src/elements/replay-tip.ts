// What a replay shows above its bar while somebody points at a place: a small picture of it. Styles are set here, for a
// page's policy may forbid them in markup.

import type { Sprites } from "../wire.gen";

/** Of the round end of a slider: its middle cannot leave the bar. */
export const HALF_THUMB = 7;

/** The picture of a moment: the last one not after it. Null: there are none. */
export function pictureAt(sprites: Sprites | null | undefined, date: number | null): number | null {
  if (!sprites || sprites.offsets_ms.length === 0 || date === null) return null;
  const into = date - Date.parse(sprites.starts_at);
  return Math.max(0, sprites.offsets_ms.findLastIndex((offset) => offset <= into));
}

/** `share`: of the bar. It stays within the picture of the show. */
export function placeTip(tip: HTMLElement, bar: HTMLElement, share: number): void {
  const seek = bar.parentElement!;
  const row = seek.parentElement!;
  const half = tip.offsetWidth / 2;
  const middle = HALF_THUMB + (bar.offsetWidth - 2 * HALF_THUMB) * share;
  const least = half - seek.offsetLeft;
  const most = row.offsetWidth - seek.offsetLeft - half;
  tip.style.left = `${Math.min(Math.max(middle, least), most)}px`;
}

export function paintShot(shot: HTMLElement, sprites: Sprites, number: number, base: string): void {
  const { columns, width, height } = sprites;
  const rows = Math.ceil(sprites.offsets_ms.length / columns);
  const share = (part: number, of: number): string => `${of > 1 ? (100 * part) / (of - 1) : 0}%`;
  shot.style.aspectRatio = `${width} / ${height}`;
  shot.style.backgroundImage = `url("${new URL(sprites.url, base || location.href).href}")`;
  shot.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
  shot.style.backgroundPosition = `${share(number % columns, columns)} ${share(Math.floor(number / columns), rows)}`;
}
