// The chapters of a replay: where they are in the recording, and the list of them.

import { html, nothing, type TemplateResult } from "lit";
import type { RoomState } from "../state/reduce";
import type { Session } from "../state/session";
import { clockText } from "../state/i18n";
import { icon } from "../ui/icon";
import { picture } from "../ui/picture";
import type { Chapter, Pin } from "../wire.gen";
import { positionOf, type Stretch } from "./timeline";

/** So many pins the room tells of at most. */
const PINS_TOLD = 100;

/** A chapter and where it begins in the recording, which may have been cut. */
export interface Place {
  chapter: Chapter;
  start: number;
}

export function placesOf(chapters: readonly Chapter[], stretches: readonly Stretch[]): Place[] {
  const found: Place[] = [];
  for (const chapter of chapters) {
    const start = positionOf(stretches, Date.parse(chapter.from_at));
    if (start === null) continue;
    // What was cut off, or had no picture, begins where the next one does: that one is what is seen.
    if (found.at(-1)?.start === start) found.pop();
    found.push({ chapter, start });
  }
  return found;
}

export function placeAt(places: readonly Place[], position: number): Place | undefined {
  return places.findLast(({ start }) => start <= position);
}

export function titleOf({ chapter, start }: Place, session: Session): string {
  if (chapter.product_id === null) return session.i18n.t(start > 0 ? "replay.between" : "replay.start");
  return session.product(chapter.product_id)?.title ?? chapter.title;
}

/** The room tells of a long show's last pins; those before it are the chapters'. */
export function withEarlierPins(state: RoomState, chapters: readonly Chapter[]): RoomState {
  const first = state.pins[0];
  if (!first || state.pins.length < PINS_TOLD) return state;
  const earlier: Pin[] = chapters
    .filter(({ from_at: from }) => Date.parse(from) < Date.parse(first.at))
    .map(({ product_id, from_at }) => ({ product_id, at: from_at }));
  return earlier.length > 0 ? { ...state, pins: [...earlier, ...state.pins] } : state;
}

export function chapterList(
  places: readonly Place[],
  now: Place | undefined,
  session: Session,
  go: (place: Place) => void,
  close: () => void,
): TemplateResult {
  const title = session.i18n.t("replay.chapters");
  return html`<nav class="chapters" aria-label=${title}>
    <div class="head">
      <b>${title}</b>
      <button class="icon-btn" aria-label=${session.i18n.t("close")} @click=${close}>${icon("close")}</button>
    </div>
    <ol>
      ${places.map((place) => {
        const image = session.product(place.chapter.product_id)?.images[0];
        return html`<li>
          <button data-testid="chapter" aria-current=${place === now ? "true" : nothing} @click=${() => go(place)}>
            <span class="shot">${image ? picture(image, { sizes: "44px", alt: "" }) : icon("play", true)}</span>
            <span class="name">${titleOf(place, session)}</span>
            <time>${clockText(place.start)}</time>
          </button>
        </li>`;
      })}
    </ol>
  </nav>`;
}
