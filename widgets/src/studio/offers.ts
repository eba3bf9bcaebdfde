/** The offers of one show, in step with its room. */

import type { Api } from "../state/api";
import type { RoomClient } from "../state/room";
import type { Offer, Offers, Product, RoomEvent, Tick } from "../wire.gen";

/** An offer whose time is over stays this long for the room's word that it ended, then the server is asked. */
const ENDING_MS = 3_000;
const AGAIN_MS = 1_000;

export function offersPath(showId: string, offerId?: string): string {
  const path = `/api/shows/${encodeURIComponent(showId)}/offers`;
  return offerId === undefined ? path : `${path}/${encodeURIComponent(offerId)}`;
}

/** Fires "change". */
export class OfferBook extends EventTarget {
  error: unknown = null;
  private offers: readonly Offer[] = [];
  private offset = -1;
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Api,
    private readonly room: RoomClient,
    private readonly showId: string,
  ) {
    super();
  }

  start(): void {
    this.room.addEventListener("event", this.happened);
    this.room.addEventListener("change", this.changed);
    this.room.addEventListener("status", this.linked);
    void this.load();
  }

  stop(): void {
    this.room.removeEventListener("event", this.happened);
    this.room.removeEventListener("change", this.changed);
    this.room.removeEventListener("status", this.linked);
    clearTimeout(this.timer);
    this.turn += 1;
  }

  /** Those that run, the one that ends first first. */
  get running(): readonly Offer[] {
    const now = this.room.serverNow();
    return this.offers
      .filter((offer) => offer.is_running && Date.parse(offer.ends_at) + ENDING_MS > now)
      .sort((a, b) => a.ends_at.localeCompare(b.ends_at));
  }

  async load(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const turn = ++this.turn;
    try {
      const { offers } = await this.api.get<Offers>(offersPath(this.showId));
      if (turn !== this.turn) return;
      this.error = null;
      this.put(offers);
    } catch (error) {
      if (turn !== this.turn) return;
      this.error = error;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** The server's own answer to an act; the room's event says the same to everybody. */
  add(offer: Offer): void {
    this.put([...this.offers.filter((other) => other.id !== offer.id), offer]);
  }

  remove(offerId: string): void {
    this.put(this.offers.filter((offer) => offer.id !== offerId));
  }

  private put(offers: readonly Offer[]): void {
    this.offers = offers;
    this.dispatchEvent(new Event("change"));
  }

  private readonly happened = (event: Event): void => {
    const happening = (event as CustomEvent<RoomEvent | Tick>).detail;
    this.offset = this.room.state?.offset ?? this.offset;
    switch (happening.t) {
      case "offer.started":
        this.add(happening.d.offer);
        break;
      case "offer.ended":
        this.remove(happening.d.offer_id);
        break;
      case "product.changed":
        this.counted(happening.d.product);
        break;
      default:
        break;
    }
  };

  /** A price that is in force says how many units it has left. Where it says nothing, only the server knows why. */
  private counted(product: Product): void {
    const notes = new Map(product.variants.flatMap((variant) => variant.promotions.map((note) => [note.id, note] as const)));
    let silent = false;
    const offers = this.offers.map((offer) => {
      if (offer.product_id !== product.id || offer.units === null) return offer;
      const note = notes.get(offer.id);
      if (!note) silent = true;
      return note ? { ...offer, units_left: note.units_left ?? offer.units_left } : offer;
    });
    this.put(offers);
    if (silent) this.later();
  }

  /** The room was taken anew: what happened in between was not told one by one. */
  private readonly changed = (): void => {
    const offset = this.room.state?.offset ?? -1;
    if (offset === this.offset) return;
    const first = this.offset === -1;
    this.offset = offset;
    if (!first) this.later();
  };

  private readonly linked = (): void => {
    if (this.room.status === "open") this.later();
  };

  /** Soon, and once however much happens until then. */
  private later(): void {
    this.timer ??= setTimeout(() => void this.load(), AGAIN_MS);
  }
}
