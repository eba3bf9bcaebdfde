/** The words of the camera, in a file of their own: who never goes on camera does not load them. */

import cameraDe from "../../locales/camera.de.json";
import cameraEn from "../../locales/camera.en.json";
import de from "../../locales/de.json";
import en from "../../locales/en.json";
import type { I18n } from "../state/i18n";
import type { CameraSession } from "./camera-session";
import { linesAt, startKbit } from "./camera-rate";
import type { Look } from "./video-words";

Object.assign(en, cameraEn);
Object.assign(de, cameraDe);

/** Above this a line carries more than is ever sent. */
const PLENTY_KBIT = 20_000;

export interface Standing {
  look: Look;
  title: string;
  hint: string;
}

/** How it stands while sending. */
export function standingOf(session: CameraSession, isBack: boolean, words: I18n): Standing {
  const { status } = session;
  const said = (look: Look, key: string): Standing => ({
    look,
    title: words.t(`camera.state_${key}`),
    hint: words.has(`camera.state_${key}_hint`) ? words.t(`camera.state_${key}_hint`) : "",
  });
  if (isBack && (status?.state === "sending" || status?.state === "weak")) return said("good", "back");
  switch (status?.state) {
    case "weak":
      if (status.isSoundOnly) return said("warn", "sound_only");
      return said("warn", status.isBusy ? "busy" : "weak");
    case "lost":
      return said("bad", "lost");
    case "sending":
      return status.onAir ? said("bad", "on_air") : said("good", "preview");
    default:
      return said("idle", "connecting");
  }
}

/** Why it was refused and what to do: in our words where we know the code, in the server's otherwise. */
export function refusalWords(code: string, message: string, words: I18n): { title: string; hint: string } {
  const key = `camera.refused_${code}`;
  if (words.has(key)) return { title: words.t(key), hint: words.t(`${key}_do`) };
  return { title: words.t("camera.refused"), hint: message || words.t("camera.refused_do") };
}

/** What a line is good for. */
export function lineWords(kbit: number, words: I18n): { look: Look; text: string } {
  const start = startKbit(kbit);
  const lines = linesAt(start);
  const key = start >= 2_500 ? "good" : start >= 900 ? "fair" : start >= 250 ? "weak" : "bad";
  const look: Look = key === "good" || key === "fair" ? "good" : key === "weak" ? "warn" : "bad";
  return { look, text: words.t(`camera.line_${key}`, { lines: String(lines) }) };
}

export function rateText(kbit: number, words: I18n): string {
  if (kbit >= PLENTY_KBIT) return words.t("camera.mbit_over", { mbit: words.number(PLENTY_KBIT / 1_000) });
  if (kbit < 1_000) return words.t("studio.video_kbit", { kbit: words.number(Math.round(kbit / 10) * 10) });
  return words.t("studio.video_mbit", { mbit: words.number(Math.round(kbit / 100) / 10) });
}
