// One viewer in one show: identity, room, cart, and the events the embedding page hears.

import type { Cart, ChatMessage, GuestToken, Me, Place, Product, RoomEvent, Shop, Tick, Variant } from "../wire.gen";
import { Api, GuestAuth, NOBODY, storageOrNull } from "./api";
import { NOWHERE, type Arrival } from "./arrival";
import { CartClient, type Language } from "./cart";
import type { ServerClock } from "./clock";
import { i18nFor, type I18n } from "./i18n";
import { PaymentClient } from "./payment";
import { isOn, pinnedAt } from "./reduce";
import { RoomClient } from "./room";
import { WaitlistClient } from "./waitlist";
import { problemWords } from "./words";

/** WCAG 2.2.1: who is warned of the end of a time must have at least this long to react. */
const WARNING_SECONDS_LEAST = 20;
const HOLD_SECONDS = 600;
const RESPOND_WITHIN_MS = 20_000;
const STORE_ID = /^[a-z]{2,5}_\w{1,36}$/;

export interface Verdict {
  success: boolean;
  reason?: string;
}

/** A line of the storefront's own cart, once the storefront took over. */
export interface ForeignLine {
  product: Product;
  variant: Variant;
  quantity: number;
}

/** Fires "change" on anything a screen could show, and "event" for each event of the room. */
export class Session extends EventTarget {
  readonly i18n: I18n;
  readonly auth: GuestAuth;
  readonly api: Api;
  readonly room: RoomClient;
  readonly cart: CartClient;
  readonly waitlist: WaitlistClient;
  readonly payments: PaymentClient;
  /** What was said aloud once is not said again when its notice moves to another place of the screen. */
  readonly announced = new Set<string>();
  /** What the page was opened for. */
  arrival: Arrival = NOWHERE;
  shop: Shop | null = null;
  /** Null until the storefront answers a should-add event with its own cart. */
  foreign: ForeignLine[] | null = null;
  /** The product in focus, in step with the video. */
  pinned: string | null = null;
  /** What had been said by the moment a replay shows; null: it is not a replay. */
  said: readonly ChatMessage[] | null = null;
  named: boolean;
  /** The store the viewer stands in, as the code he scanned there said; kept for this visit. */
  store: string | null = null;
  /** Somebody who was here before. */
  private known = false;
  private readonly public: Api;
  private readonly storage = storageOrNull(() => localStorage);
  private readonly visit = storageOrNull(() => sessionStorage);
  private readonly namedKey: string;
  private readonly storeKey: string;

  constructor(
    readonly base: string,
    readonly showId: string,
    lang: string,
    readonly host: HTMLElement,
    invitation?: string | null,
  ) {
    super();
    this.i18n = i18nFor(lang);
    this.auth = new GuestAuth(base, invitation);
    this.api = new Api(base, this.auth);
    this.public = invitation ? this.api : new Api(base, NOBODY);
    this.room = new RoomClient(this.public, showId, {
      token: async () => (await this.auth.token()).token,
      renew: () => this.auth.refused(),
      member: () => (this.auth.current ? this.api : null),
    });
    this.cart = new CartClient(this.api, showId, this.clock);
    this.waitlist = new WaitlistClient(this.api, showId, this.clock);
    this.payments = new PaymentClient(this.api, this.clock);
    this.namedKey = `liveshop:named:${new URL(base, location.href).host}`;
    this.named = this.storage?.getItem(this.namedKey) != null;
    this.storeKey = `liveshop:store:${new URL(base, location.href).host}`;
    this.store = this.visit?.getItem(this.storeKey) ?? null;
    for (const source of [this.room, this.cart, this.waitlist, this.payments]) {
      source.addEventListener("change", this.changed);
      source.addEventListener("status", this.changed);
      source.addEventListener("failed", this.changed);
    }
    this.room.addEventListener("event", (event) => {
      const { detail } = event as CustomEvent<RoomEvent | Tick>;
      this.waitlist.hear(detail);
      this.cart.hear(detail);
      this.dispatchEvent(new CustomEvent("event", { detail }));
    });
    this.room.addEventListener("status", () => {
      // What moved while the line was down was not heard. Who has just come in for the first time has no place.
      if (this.room.status !== "open" || (!this.known && this.waitlist.places.length === 0)) return;
      this.waitlist.load().catch(() => undefined);
    });
  }

  get clock(): ServerClock {
    return this.room.clock;
  }

  /** How long this show holds what is put into the cart. */
  get holdSeconds(): number {
    return this.room.state?.show.hold_seconds ?? this.shop?.hold_seconds ?? HOLD_SECONDS;
  }

  /** First paid, first served: the cart holds nothing. */
  get holdsNothing(): boolean {
    return this.room.state?.show.hold_mode === "first_paid";
  }

  /** Where parcels for the viewer go, as far as is known; empty while the shop is not. */
  get country(): string {
    const countries = this.shop?.countries ?? [];
    const known = this.payments.buyer?.address?.country;
    const region = new Intl.Locale(navigator.language).maximize().region;
    const found = countries.find((c) => c.code === known) ?? countries.find((c) => c.code === region) ?? countries[0];
    return found?.code ?? "";
  }

  /** The zone of a store's day, or of the shop's. */
  zoneOf(storeId: string | null | undefined): string {
    return this.payments.zoneOf(storeId) ?? this.shop?.time_zone ?? "UTC";
  }

  get warningSeconds(): number {
    return Math.max(WARNING_SECONDS_LEAST, this.shop?.hold_warning_seconds ?? 0);
  }

  /** Of what the server writes. */
  get language(): Language {
    return this.i18n.lang.startsWith("de") ? "de" : "en";
  }

  async start(): Promise<void> {
    this.known = this.auth.current !== null;
    void this.loadShop();
    if (this.known) {
      this.cart.load().catch(() => undefined);
      this.payments.load().catch(() => undefined);
    }
    await this.room.connect();
  }

  stop(): void {
    this.room.close();
    this.cart.stop();
    this.waitlist.stop();
    this.payments.stop();
  }

  readonly changed = (): void => {
    this.dispatchEvent(new Event("change"));
  };

  async loadShop(): Promise<void> {
    try {
      this.shop = await this.public.get<Shop>("/api/shop");
      this.changed();
    } catch {
      // Checkout asks again; watching needs nothing of it.
    }
  }

  product(id: string | null): Product | undefined {
    return id === null ? undefined : this.room.state?.products.find((p) => p.id === id);
  }

  /** Pickup at this store is offered first, until the tab is closed. */
  standIn(storeId: string): void {
    if (!STORE_ID.test(storeId)) return;
    this.store = storeId;
    try {
      this.visit?.setItem(this.storeKey, storeId);
    } catch {
      // Then only until the page is left.
    }
  }

  /** Moves the pinned card to where the video is. Null: the video has not begun to tell the time. */
  follow(playhead: number | null): void {
    const state = this.room.state;
    if (!state) return;
    const onAir = isOn(state.show) || state.show.state === "replay";
    const pinned = playhead === null || !onAir ? null : pinnedAt(state.pins, playhead);
    if (pinned === this.pinned) return;
    this.pinned = pinned;
    this.changed();
  }

  async rename(name: string): Promise<void> {
    const me = await this.api.put<Me>("/api/me", { name });
    this.auth.rename(me.name ?? name);
    this.named = true;
    try {
      this.storage?.setItem(this.namedKey, "1");
    } catch {
      // Then the page offers it again next time.
    }
    this.changed();
  }

  /** The storefront vouches for its customer; the socket comes back as that person, and so does the cart. */
  async identify(jwt: string): Promise<GuestToken> {
    const token = await this.auth.signOn(jwt);
    this.named = true;
    this.known = true;
    this.room.reconnect();
    this.cart.load().catch(() => undefined);
    this.waitlist.load().catch(() => undefined);
    this.payments.load().catch(() => undefined);
    this.changed();
    return token;
  }

  /** Tells the embedding page. False: the page took the matter over. */
  tell(name: string, detail: object = {}, cancelable = false): boolean {
    return this.host.dispatchEvent(
      new CustomEvent(name, {
        bubbles: true,
        composed: true,
        cancelable,
        detail: { show_id: this.showId, ...detail },
      }),
    );
  }

  track(action: string, detail: object = {}): void {
    this.tell("track", { action, ...detail });
  }

  /** Asks the embedding page. Null: it does not care, the player's own cart is used. */
  private async ask(name: string, detail: object): Promise<Verdict | null> {
    let respond: (verdict: Verdict) => void = () => undefined;
    const answer = new Promise<Verdict>((resolve) => {
      respond = resolve;
    });
    if (this.tell(name, { ...detail, respond }, true)) return null;
    const late = new Promise<Verdict>((resolve) =>
      setTimeout(() => resolve({ success: false, reason: this.i18n.t("error.storefront_silent") }), RESPOND_WITHIN_MS),
    );
    return Promise.race([answer, late]);
  }

  /** Puts a variant into the storefront's cart if it has taken over, into ours otherwise. Throws in words. */
  async addToCart(product: Product, variant: Variant): Promise<void> {
    const verdict = await this.ask("should-add-item-to-cart", { product, variant, sku: variant.sku, quantity: 1 });
    if (verdict) {
      if (!verdict.success) throw new Error(verdict.reason ?? this.i18n.t("error.storefront_refused"));
      const lines = (this.foreign ??= []);
      const line = lines.find((l) => l.variant.id === variant.id);
      if (line) line.quantity += 1;
      else lines.push({ product, variant, quantity: 1 });
      this.changed();
    } else {
      await this.cart.add(variant.id, 1);
    }
    this.track("add-to-cart", { product_id: product.id, sku: variant.sku, price: variant.price });
  }

  /** Tells the page that its viewer wants to pay. True: he does it here. */
  goesToCheckout(): boolean {
    const goes = this.tell("goto-checkout", { cart: this.cart.cart, lines: this.foreign }, true);
    this.track("goto-checkout");
    // With the storefront's own cart there is nothing of ours to pay.
    return goes && !this.foreign;
  }

  /** Takes the unit that is kept for the viewer. */
  async takeTurn(place: Place): Promise<void> {
    const product = this.product(place.product_id);
    const variant = product?.variants.find((v) => v.id === place.variant_id);
    // A line whose hold has ended is held anew: one more of it would be two, and one is kept.
    const lapsed = this.cart.cart?.lines.find((l) => l.variant_id === place.variant_id && l.hold === "lapsed");
    if (lapsed) await this.cart.setQuantity(lapsed.id, 1);
    else if (product && variant) await this.addToCart(product, variant);
    else await this.cart.add(place.variant_id, 1);
    this.track("waitlist-take", { product_id: place.product_id, variant_id: place.variant_id });
    // Its place is gone now. Should this fail, the end of the turn asks again.
    this.waitlist.load().catch(() => undefined);
  }

  async setQuantity(lineId: string, quantity: number): Promise<Cart | null> {
    const line = this.cart.cart?.lines.find((l) => l.id === lineId);
    const foreign = this.foreign?.find((l) => l.variant.id === lineId);
    const verdict = await this.ask("should-update-item-in-cart", {
      product_id: line?.product_id ?? foreign?.product.id,
      variant_id: line?.variant_id ?? foreign?.variant.id,
      sku: line?.sku ?? foreign?.variant.sku,
      quantity,
    });
    if (verdict && !verdict.success) throw new Error(verdict.reason ?? this.i18n.t("error.storefront_refused"));
    if (foreign) {
      foreign.quantity = quantity;
      this.foreign = this.foreign?.filter((l) => l.quantity > 0) ?? null;
      this.changed();
      return null;
    }
    return verdict ? null : this.cart.setQuantity(lineId, quantity);
  }

  get cartCount(): number {
    return this.foreign ? this.foreign.reduce((sum, l) => sum + l.quantity, 0) : this.cart.count;
  }

  /** What went wrong, in the viewer's language where we have words for it. */
  words(error: unknown): string {
    return problemWords(error, this.i18n);
  }
}
