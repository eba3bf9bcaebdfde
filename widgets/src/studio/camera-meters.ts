/** What a look at picture and sound tells before anybody sees them. Pure but for the canvas. */

import type { SoundLevel } from "./camera-messages";

export type SoundVerdict = "waiting" | "silent" | "quiet" | "good" | "loud";
export type LightVerdict = "waiting" | "black" | "dark" | "bright" | "good";

const WINDOW = 25;
const SILENT_DB = -55;
const QUIET_DB = -40;
const FLOOR_DB = -60;
/** So many levels at the very top, and it is distorted. */
const CLIPPED = 3;
const CLIPS_AT = 0.985;

export class SoundWatch {
  private levels: SoundLevel[] = [];

  take(level: SoundLevel): void {
    this.levels = [...this.levels.slice(1 - WINDOW), level];
  }

  /** Of 100, for the bar. */
  get share(): number {
    return share(decibels(this.levels.at(-1)?.rms ?? 0));
  }

  get verdict(): SoundVerdict {
    const { levels } = this;
    if (levels.length < WINDOW / 2) return "waiting";
    if (levels.filter(({ peak }) => peak >= CLIPS_AT).length >= CLIPPED) return "loud";
    const loudest = decibels(Math.max(...levels.map(({ rms }) => rms)));
    if (loudest < SILENT_DB) return "silent";
    return loudest < QUIET_DB ? "quiet" : "good";
  }
}

function decibels(value: number): number {
  return value > 0 ? 20 * Math.log10(value) : -Infinity;
}

function share(db: number): number {
  return Math.min(100, Math.max(0, ((db - FLOOR_DB) / -FLOOR_DB) * 100));
}

const WIDTH = 32;
const HEIGHT = 18;

/** Mean luma of 255 (BT.709). */
export function lightOf(video: HTMLVideoElement, canvas: HTMLCanvasElement): LightVerdict {
  if (video.readyState < 2 || video.videoWidth === 0) return "waiting";
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) return "waiting";
  pen.drawImage(video, 0, 0, WIDTH, HEIGHT);
  const { data } = pen.getImageData(0, 0, WIDTH, HEIGHT);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += 0.2126 * (data[at] ?? 0) + 0.7152 * (data[at + 1] ?? 0) + 0.0722 * (data[at + 2] ?? 0);
  const luma = sum / (WIDTH * HEIGHT);
  if (luma < 8) return "black";
  if (luma < 50) return "dark";
  return luma > 225 ? "bright" : "good";
}
