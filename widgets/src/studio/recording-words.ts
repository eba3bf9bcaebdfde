/** What is recorded of a show, in words. */

import type { I18n } from "../state/i18n";
import type { Recording, RecordingFile, Show } from "../wire.gen";
import type { Look } from "./video-words";

const KILO = 1_000;
const UNITS = ["kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

export function isOver(show: Show): boolean {
  return show.state === "ended" || show.state === "replay";
}

export function bytesWords(bytes: number, words: I18n): string {
  let size = bytes / KILO;
  let unit = 0;
  while (size >= KILO && unit < UNITS.length - 1) {
    size /= KILO;
    unit += 1;
  }
  const format = new Intl.NumberFormat(words.lang, { style: "unit", unit: UNITS[unit]!, maximumFractionDigits: size < 10 ? 1 : 0 });
  return format.format(size);
}

/** "1 hour 12 minutes", "48 seconds": as exact as anybody needs it. */
export function lengthWords(seconds: number, words: I18n): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 3_600) return words.duration(whole || 1);
  const say = (value: number, unit: string): string =>
    new Intl.NumberFormat(words.lang, { style: "unit", unit, unitDisplay: "long" }).format(value);
  const minutes = Math.round((whole % 3_600) / 60);
  return [say(Math.floor(whole / 3_600), "hour"), minutes ? say(minutes, "minute") : ""].filter(Boolean).join(" ");
}

/** Where the recording of a show that is over stands. */
export function recordingTitle(recording: Recording, show: Show, words: I18n): string {
  if (recording.state !== "ended") return words.t(`recording.state_${recording.state}`);
  if (show.state === "replay") return words.t(show.replay_url ? "recording.elsewhere" : "recording.public");
  return words.t("recording.private");
}

export function recordingFacts(recording: Recording, words: I18n): string {
  if (recording.state === "deleted" || recording.seconds <= 0) return "";
  const facts = [lengthWords(recording.seconds, words), bytesWords(recording.bytes, words)];
  if (recording.shortage) facts.push(words.t("recording.incomplete"));
  if (recording.gaps > 0) facts.push(words.t("recording.gaps", { count: recording.gaps }));
  return facts.join(" · ");
}

export function recordingLook(recording: Recording | null, show: Show): Look {
  if (!recording || recording.state === "deleted" || recording.state === "none") return "idle";
  if (recording.shortage) return "warn";
  return show.state === "replay" ? "good" : "idle";
}

export function fileTitle(file: RecordingFile, title: string, words: I18n): string {
  const name = file.kind === "clip" ? words.t("recording.clip_of", { title }) : words.t(`recording.file_${file.kind}`);
  const more = [file.is_vertical ? words.t("recording.upright") : "", file.is_loudness_normal ? words.t("recording.even") : ""];
  return [name, ...more.filter(Boolean)].join(", ");
}

/** What the browser calls it on the disk. */
export function fileName(file: RecordingFile, show: Show, title: string): string {
  const words = [show.title, file.kind === "clip" ? title : "", file.is_vertical ? "9x16" : ""].filter(Boolean).join(" ");
  const plain = words.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[^\w]+/g, "-").replace(/^-+|-+$/g, "");
  return `${plain.toLowerCase() || "show"}.mp4`;
}
