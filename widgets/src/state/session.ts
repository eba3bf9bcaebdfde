// One viewer in one show: identity, room, cart, and the events the embedding page hears.

import type { Cart, GuestToken, Me, Product, Shop, Variant } from "../wire.gen";
import { Api, ApiProblem, GuestAuth, NOBODY, storageOrNull } from "./api";
import { CartClient } from "./cart";
import { i18nFor, type I18n } from "./i18n";
import { pinnedAt } from "./reduce";
import { RoomClient } from "./room";

const RESPOND_WITHIN_MS = 20_000;

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
  shop: Shop | null = null;
  /** Null until the storefront answers a should-add event with its own cart. */
  foreign: ForeignLine[] | null = null;
  /** The product in focus, in step with the video. */
  pinned: string | null = null;
  named: boolean;
  private readonly public: Api;
  private readonly storage = storageOrNull(() => localStorage);
  private readonly namedKey: string;

  constructor(
    readonly base: string,
    readonly showId: string,
    lang: string,
    private readonly host: HTMLElement,
  ) {
    super();
    this.i18n = i18nFor(lang);
    this.auth = new GuestAuth(base);
    this.api = new Api(base, this.auth);
    this.public = new Api(base, NOBODY);
    this.room = new RoomClient(this.public, showId, {
      token: async () => (await this.auth.token()).token,
      renew: () => this.auth.refused(),
    });
    this.cart = new CartClient(this.api, showId);
    this.namedKey = `liveshop:named:${new URL(base, location.href).host}`;
    this.named = this.storage?.getItem(this.namedKey) != null;
    for (const source of [this.room, this.cart]) {
      source.addEventListener("change", this.changed);
      source.addEventListener("status", this.changed);
      source.addEventListener("failed", this.changed);
    }
    this.room.addEventListener("event", (event) => {
      this.dispatchEvent(new CustomEvent("event", { detail: (event as CustomEvent).detail }));
    });
  }

  async start(): Promise<void> {
    const known = this.auth.current !== null;
    void this.loadShop();
    if (known) this.cart.load().catch(() => undefined);
    await this.room.connect();
  }

  stop(): void {
    this.room.close();
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

  /** Moves the pinned card to where the video is. Null: the video has not begun to tell the time. */
  follow(playhead: number | null): void {
    const state = this.room.state;
    if (!state) return;
    const onAir = state.show.state === "live" || state.show.state === "replay";
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

  /** The storefront vouches for its customer; the socket comes back as that person. */
  async identify(jwt: string): Promise<GuestToken> {
    const token = await this.auth.signOn(jwt);
    this.named = true;
    this.room.reconnect();
    this.cart.load().catch(() => undefined);
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
    if (error instanceof ApiProblem) {
      const key = `error.${error.unreachable ? "unreachable" : error.code}`;
      if (this.i18n.has(key)) return this.i18n.t(key, problemParams(error));
      return error.status === 429 ? this.i18n.t("error.rate_limited") : error.detail || this.i18n.t("error.unknown");
    }
    return error instanceof Error && error.message ? error.message : this.i18n.t("error.unknown");
  }
}

function problemParams(problem: ApiProblem): Record<string, string | number> {
  const params: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(problem.data)) {
    if (typeof value === "number" || typeof value === "string") params[name] = value;
  }
  if (typeof params["available"] === "number") params["count"] = params["available"];
  return params;
}
