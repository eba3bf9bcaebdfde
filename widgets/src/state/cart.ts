// The viewer's cart, its quote and the order made of it. The server holds the truth; this keeps its last answer.

import type { Cart, DeliveryInput, Order, OrderInput, Product, Quote, RoomEvent, Tick } from "../wire.gen";
import { ApiProblem, storageOrNull, type Api } from "./api";
import type { ServerClock } from "./clock";

/** An attempt nobody heard back about is offered again for this long. */
const ATTEMPT_KEPT_MS = 60 * 60_000;
/** The server says when a hold has ended; it is asked just after, and then not every second. */
const ASK_AFTER_MS = 150;
const ASK_AGAIN_MS = 4000;
/** Thousands of carts hear of a new price at once: they ask over this long, each once. */
const SPREAD_MS = 1000;
/** Only the sandbox's public numbers may touch storage; anything else typed there is not ours to keep. */
const TEST_NUMBERS = ["4242424242424242", "4000000000000002", "4000000000009995", "4000000000003220"];

export type Language = NonNullable<OrderInput["language"]>;

export interface Attempt {
  key: string;
  /** What the key stands for; another order gets another key. */
  mark: string;
  input: OrderInput;
  at: number;
}

/** Fires "change" whenever `cart` was replaced. */
export class CartClient extends EventTarget {
  cart: Cart | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private readonly prices = new Map<string, string>();
  private readonly slot: string;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
    private readonly clock: ServerClock,
    private readonly storage: Storage | null = storageOrNull(() => sessionStorage),
  ) {
    super();
    this.slot = `liveshop:order:${new URL(api.base, location.href).host}`;
  }

  get count(): number {
    return this.cart?.lines.reduce((sum, line) => sum + line.quantity, 0) ?? 0;
  }

  /** Seconds a hold still has, by the server's clock; 0 when it lapsed. */
  secondsLeft(until: string | null): number {
    return this.clock.secondsLeft(until);
  }

  /** Some line is no longer held for the viewer, by the server's word or by its clock. */
  get isLapsed(): boolean {
    return !!this.cart?.lines.some((l) => l.hold === "lapsed" || (l.hold === "held" && this.secondsLeft(l.held_until) === 0));
  }

  /** The words about what is not held at all; null: everything is, or was. */
  get unheldKey(): string | null {
    const lines = this.cart?.lines ?? [];
    const loose = lines.filter((l) => l.hold === "none").length;
    return loose === 0 ? null : loose === lines.length ? "cart.nothing_held" : "cart.first_paid_note";
  }

  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.soon);
  }

  /** Hand every event of the room to this: an open cart says the price and the stock of now, not of when it was opened. */
  hear(event: RoomEvent | Tick): void {
    const lines = this.cart?.lines ?? [];
    if (event.t === "stock.changed") {
      const { variant_id, available } = event.d;
      // A line that is held has its units.
      const turned = lines.some((l) => l.variant_id === variant_id && l.hold !== "held" && l.available > 0 !== available > 0);
      if (turned) this.loadSoon();
    } else if (event.t === "product.changed" || event.t === "offer.started" || event.t === "offer.ended") {
      const { product } = event.d;
      if (!lines.some((l) => l.product_id === product.id)) return;
      const prices = pricesOf(product);
      if (this.prices.get(product.id) !== prices) this.loadSoon();
      this.prices.set(product.id, prices);
    }
  }

  load(): Promise<Cart> {
    return this.keep(this.api.get<Cart>("/api/cart"));
  }

  add(variantId: string, quantity: number): Promise<Cart> {
    return this.keep(
      this.api.post<Cart>("/api/cart/lines", { variant_id: variantId, quantity, show_id: this.showId }),
    );
  }

  setQuantity(lineId: string, quantity: number): Promise<Cart> {
    return quantity < 1 ? this.remove(lineId) : this.keep(this.api.patch<Cart>(`/api/cart/lines/${lineId}`, { quantity }));
  }

  remove(lineId: string): Promise<Cart> {
    return this.keep(this.api.del<Cart>(`/api/cart/lines/${lineId}`));
  }

  holdAgain(): Promise<Cart> {
    return this.keep(this.api.post<Cart>("/api/cart/hold"));
  }

  /** Keeps what is held for longer, where the shop allows it. */
  extend(): Promise<Cart> {
    return this.keep(this.api.post<Cart>("/api/cart/extend"));
  }

  enterCode(code: string): Promise<Cart> {
    return this.keep(this.api.post<Cart>("/api/cart/codes", { code }));
  }

  removeCode(code: string): Promise<Cart> {
    return this.keep(this.api.del<Cart>(`/api/cart/codes/${encodeURIComponent(code)}`));
  }

  quote(country: string, language: Language, delivery: DeliveryInput): Promise<Quote> {
    return this.api.post<Quote>("/api/cart/quote", { country, language, delivery });
  }

  /** The last attempt whose answer never arrived (a reload or a lost connection in mid-payment). */
  get unanswered(): Attempt | null {
    try {
      const attempt = JSON.parse(this.storage?.getItem(this.slot) ?? "null") as Attempt | null;
      return attempt && Date.now() - attempt.at < ATTEMPT_KEPT_MS ? attempt : null;
    } catch {
      return null;
    }
  }

  /** Places the order. The same order sent again, even after a reload, carries the same key and is placed once. */
  async place(input: OrderInput): Promise<Order> {
    const mark = this.markOf(input);
    const kept = this.unanswered;
    const attempt = kept?.mark === mark ? kept : { key: crypto.randomUUID?.() ?? randomKey(), mark, input, at: Date.now() };
    return this.send(attempt, input);
  }

  /** Asks again about an unanswered attempt, with its own key. */
  resume(attempt: Attempt): Promise<Order> {
    return this.send(attempt, attempt.input);
  }

  forget(): void {
    this.storage?.removeItem(this.slot);
  }

  private async send(attempt: Attempt, input: OrderInput): Promise<Order> {
    this.remember(attempt);
    try {
      const order = await this.api.post<Order>("/api/orders", input, {
        headers: { "Idempotency-Key": attempt.key },
      });
      this.forget();
      return order;
    } catch (error) {
      // A clear "no" ends the attempt. No answer, or a server in trouble, leaves it open under its key.
      const open = !(error instanceof ApiProblem) || error.status === 0 || error.status >= 500 || error.status === 429;
      if (!open) this.forget();
      throw error;
    }
  }

  private remember(attempt: Attempt): void {
    const { card_number, ...payment } = attempt.input.payment;
    const safe = card_number && TEST_NUMBERS.includes(card_number) ? { ...payment, card_number } : payment;
    try {
      this.storage?.setItem(this.slot, JSON.stringify({ ...attempt, input: { ...attempt.input, payment: safe } }));
    } catch {
      // Without storage the key still guards against a double click, only not against a reload.
    }
  }

  private markOf(input: OrderInput): string {
    return fingerprint(JSON.stringify([input, this.cart?.id, this.cart?.lines.map((l) => [l.variant_id, l.quantity])]));
  }

  private async keep(answer: Promise<Cart>): Promise<Cart> {
    const cart = await answer;
    this.clock.heard(cart.at);
    // Two answers on the way may overtake each other, e.g. while a guest becomes a customer.
    if (this.cart && Date.parse(cart.at) < Date.parse(this.cart.at)) return this.cart;
    this.cart = cart;
    this.askWhenHoldsEnd(cart);
    this.dispatchEvent(new Event("change"));
    return cart;
  }

  private loadSoon(): void {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      this.load().catch(() => undefined);
    }, Math.random() * SPREAD_MS);
  }

  private askWhenHoldsEnd(cart: Cart): void {
    clearTimeout(this.timer);
    const ends = cart.lines.flatMap((l) => (l.hold === "held" && l.held_until ? [this.clock.until(l.held_until)] : []));
    if (ends.length > 0) this.loadIn(Math.max(Math.min(...ends) + ASK_AFTER_MS, ASK_AGAIN_MS / 4));
  }

  private loadIn(ms: number): void {
    this.timer = setTimeout(() => {
      this.dispatchEvent(new Event("change"));
      this.load().catch(() => this.loadIn(ASK_AGAIN_MS));
    }, ms);
  }
}

/** What a product costs, without how many are left of it. */
function pricesOf({ variants }: Product): string {
  return JSON.stringify(
    variants.map((v) => [v.price, v.list_price, v.tiers, v.promotions.map(({ id, units_left }) => [id, units_left === 0])]),
  );
}

/** FNV-1a twice: tells attempts apart without keeping what they contain. Not a secret, not a signature. */
function fingerprint(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1234567;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(text.length - 1 - i), 0x01000193);
  }
  return `${(a >>> 0).toString(36)}-${(b >>> 0).toString(36)}`;
}

/** `randomUUID` exists on secure origins only. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
}
