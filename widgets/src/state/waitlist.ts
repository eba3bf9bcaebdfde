// The viewer's places in waitlists. The server decides whose turn it is; this asks when something may have moved.

import type { Place, Places, RoomEvent, Tick } from "../wire.gen";
import type { Api } from "./api";
import type { ServerClock } from "./clock";

/** Thousands may wait for one variant and hear of it at once: those far back ask at their leisure. */
const SPREAD_MS = 700;
const LEISURE_MS = 20_000;
const FAR_BACK = 5;
const AGAIN_MS = 4000;

/** Fires "change" whenever `places` was replaced. */
export class WaitlistClient extends EventTarget {
  places: readonly Place[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Infinity;
  private at = 0;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
    private readonly clock: ServerClock,
  ) {
    super();
  }

  /** Those whose turn it is. */
  get turns(): Place[] {
    return this.places.filter((place) => place.offered_until !== null && this.clock.until(place.offered_until) > 0);
  }

  of(variantId: string): Place | undefined {
    return this.places.find((place) => place.variant_id === variantId);
  }

  isTurn(place: Place | undefined): boolean {
    return place !== undefined && this.turns.includes(place);
  }

  load(): Promise<void> {
    return this.keep(this.api.get<Places>("/api/waitlist"));
  }

  join(variantId: string): Promise<void> {
    return this.keep(this.api.post<Places>("/api/waitlist", { variant_id: variantId, show_id: this.showId }));
  }

  leave(placeId: string): Promise<void> {
    return this.keep(this.api.del<Places>(`/api/waitlist/${encodeURIComponent(placeId)}`));
  }

  /** Hand every event of the room to this. */
  hear(event: RoomEvent | Tick): void {
    if (event.t !== "waitlist.moved" && event.t !== "stock.changed") return;
    const place = this.of(event.d.variant_id);
    if (!place) return;
    if (event.t === "waitlist.moved" && event.d.place_ids.includes(place.id)) this.loadIn(0);
    else this.loadIn(Math.random() * (place.position > FAR_BACK ? LEISURE_MS : SPREAD_MS));
  }

  stop(): void {
    clearTimeout(this.timer);
    this.due = Infinity;
  }

  private loadIn(ms: number): void {
    const due = Date.now() + ms;
    if (due >= this.due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.due = Infinity;
      this.load().catch(() => this.places.length > 0 && this.loadIn(AGAIN_MS));
    }, ms);
  }

  private async keep(answer: Promise<Places>): Promise<void> {
    const { places, at } = await answer;
    this.clock.heard(at);
    // Two answers on the way may overtake each other.
    if (Date.parse(at) < this.at) return;
    this.at = Date.parse(at);
    this.places = places;
    this.stop();
    const ends = places.flatMap((place) => (place.offered_until ? [this.clock.until(place.offered_until)] : []));
    if (ends.length > 0) this.loadIn(Math.max(AGAIN_MS / 4, Math.min(...ends) + 200));
    this.dispatchEvent(new Event("change"));
  }
}
