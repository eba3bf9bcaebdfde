/**
 * The words of the studio and the desk.
 * They live in files of their own, so that the player a storefront loads never carries them.
 */

import de from "../../locales/de.json";
import en from "../../locales/en.json";
import recordingDe from "../../locales/recording.de.json";
import recordingEn from "../../locales/recording.en.json";
import simulcastDe from "../../locales/simulcast.de.json";
import simulcastEn from "../../locales/simulcast.en.json";
import studioDe from "../../locales/studio.de.json";
import studioEn from "../../locales/studio.en.json";
import { i18nFor, type I18n } from "../state/i18n";

export function wordsFor(lang: string): I18n {
  Object.assign(en, studioEn, recordingEn, simulcastEn);
  Object.assign(de, studioDe, recordingDe, simulcastDe);
  return i18nFor(lang);
}
