/** What arrives from the encoder, in words. */

import type { I18n } from "../state/i18n";
import type { RoomState } from "../state/reduce";
import type { LogEntry, VideoHealth, VideoState } from "../wire.gen";

export type Look = "good" | "warn" | "bad" | "idle";
export type Advice = VideoHealth["advice"][number];

/** Worst first: what viewers notice most. */
const WORST_FIRST: Advice[] = [
  "uplink_slow",
  "dropping",
  "no_sound",
  "silent",
  "too_loud",
  "keyframes_rare",
  "frame_rate_low",
  "picture_small",
  "bitrate_high",
];

const STEADY_MS = 150;
/** Below this, speech is hard to hear beside the shows of others. */
const QUIET_DBFS = -38;
/** The bar of the level begins here. */
const FLOOR_DBFS = -60;

export function arrives(health: VideoHealth | null): health is VideoHealth {
  return health?.state === "preview" || health?.state === "on_air";
}

export function advices(health: VideoHealth): Advice[] {
  return WORST_FIRST.filter((code) => health.advice.includes(code));
}

export function lookOf(health: VideoHealth | null, live: boolean): Look {
  if (!health) return "idle";
  if (health.state === "away") return "bad";
  if (health.state === "none") return live ? "bad" : "idle";
  return health.advice.length > 0 ? "warn" : "good";
}

/** A server that was restarted has forgotten that somebody sent; the room has not. */
export function asTold(health: VideoHealth | null, room: RoomState | null): VideoHealth | null {
  return health?.state === "none" && room?.video.state === "away" ? { ...health, state: "away" } : health;
}

/** Somebody has sent already: what there is to know matters more than how to begin. */
export function hasSent(health: VideoHealth | null): boolean {
  return health !== null && health.state !== "none";
}

/** One line for the cockpit: where the video stands. */
export function standing(health: VideoHealth, live: boolean, words: I18n): string {
  if (health.state === "none") return words.t(live ? "studio.video_none_live" : "studio.video_none");
  return words.t(`studio.video_${health.state}`);
}

/** What that means for the viewers; `video` is the room's, which knows until when they are asked to wait. */
export function meaning(health: VideoHealth, live: boolean, video: VideoState | null, now: number, words: I18n): string {
  if (health.state !== "away") return words.t(`studio.video_${health.state}${health.state === "none" && live ? "_live" : ""}_hint`);
  const by = video?.state === "away" ? video.back_by : null;
  if (by && Date.parse(by) > now) return words.t("studio.video_away_until", { time: words.time(by) });
  return words.t("studio.video_away_hint");
}

export function sizeWords({ width, height }: Pick<VideoHealth, "width" | "height">, words: I18n): string {
  return width && height ? words.t("studio.video_size", { width: String(width), height: String(height) }) : "";
}

export function rateWords(health: VideoHealth, words: I18n): string {
  if (health.frame_rate === null) return "";
  return words.t("studio.video_rate", { rate: words.number(tenth(health.frame_rate)) });
}

export function bitrateWords(health: VideoHealth, words: I18n): string {
  if (health.kbit_per_second === null) return "";
  if (health.kbit_per_second < 1_000) return words.t("studio.video_kbit", { kbit: words.number(health.kbit_per_second) });
  return words.t("studio.video_mbit", { mbit: words.number(tenth(health.kbit_per_second / 1_000)) });
}

export function keyframeWords(health: VideoHealth, words: I18n): string {
  if (health.keyframe_seconds === null) return "";
  return words.t("studio.video_keyframe_every", { seconds: words.number(tenth(health.keyframe_seconds)) });
}

/** How the sound is, without its figures. */
export function soundWords(health: VideoHealth, words: I18n): string {
  if (health.audio_codec === null || health.advice.includes("no_sound")) return words.t("studio.video_sound_none");
  if (health.advice.includes("silent")) return words.t("studio.video_sound_silent");
  if (health.advice.includes("too_loud")) return words.t("studio.video_sound_loud");
  if (health.level_dbfs === null) return words.t("studio.video_sound_there");
  return words.t(health.level_dbfs < QUIET_DBFS ? "studio.video_sound_quiet" : "studio.video_sound_good");
}

export function channelWords(health: VideoHealth, words: I18n): string {
  if (health.channels === null || health.sample_rate === null) return "";
  const key = health.channels === 1 ? "mono" : health.channels === 2 ? "stereo" : "many";
  return words.t(`studio.video_sound_${key}`, {
    channels: health.channels,
    khz: words.number(tenth(health.sample_rate / 1_000)),
  });
}

/** Of 100, for the bar; null: not measured. */
export function levelShare(health: VideoHealth): number | null {
  const level = health.level_dbfs;
  return level === null ? null : Math.min(100, Math.max(0, ((level - FLOOR_DBFS) / -FLOOR_DBFS) * 100));
}

export function lostWords(health: VideoHealth, words: I18n): string {
  if (health.dropped_frames === null) return "";
  if (health.dropped_frames === 0) return words.t("studio.video_lost_none");
  return words.t("studio.video_lost_some", { minute: health.dropped_last_minute ?? 0, all: health.dropped_frames });
}

export function steadyWords(health: VideoHealth, words: I18n): string {
  if (health.advice.includes("uplink_slow")) return words.t("studio.video_line_slow");
  if (health.jitter_ms === null) return "";
  return words.t(health.jitter_ms > STEADY_MS ? "studio.video_line_uneven" : "studio.video_line_steady");
}

/** What happened to the video, as a sentence. */
export function logWords(entry: LogEntry, words: I18n): string {
  const text = (name: string): string => {
    const value = entry.data[name];
    return typeof value === "string" ? value : "";
  };
  const number = (name: string): number | null => {
    const value = entry.data[name];
    return typeof value === "number" ? value : null;
  };
  const size = sizeWords({ width: number("width"), height: number("height") }, words);
  const facts = [size, text("person_name")].filter(Boolean).join(", ");
  const sentence = (key: string): string => words.t(`studio.${key}`) + (facts ? ` (${facts})` : "");
  switch (entry.kind) {
    case "back": {
      const seconds = number("seconds");
      return seconds === null ? sentence("log_back") : words.t("studio.log_back_after", { time: words.duration(Math.max(1, Math.round(seconds))) });
    }
    case "lost": {
      const key = `studio.log_lost_${text("reason")}`;
      return words.t(words.has(key) ? key : "studio.log_lost");
    }
    case "refused": {
      const key = `studio.log_refused_${text("code")}`;
      // The server says exactly what does not fit, in English only.
      const detail = text("detail");
      if (words.lang.toLowerCase().startsWith("en") && detail) return words.t("studio.log_refused_detail", { detail });
      return words.t(words.has(key) ? key : "studio.log_refused");
    }
    default:
      return sentence(`log_${entry.kind}`);
  }
}

export function logLook(kind: LogEntry["kind"]): Look {
  if (kind === "lost" || kind === "refused") return "bad";
  return kind === "started" || kind === "back" ? "good" : "idle";
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
