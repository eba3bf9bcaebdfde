// The viewer's cart, its quote and the order made of it. The server holds the truth; this keeps its last answer.

import type { Cart, Order, OrderInput, Quote } from "../wire.gen";
import { ApiProblem, storageOrNull, type Api } from "./api";

/** An attempt nobody heard back about is offered again for this long. */
const ATTEMPT_KEPT_MS = 60 * 60_000;
/** Only the sandbox's public numbers may touch storage; anything else typed there is not ours to keep. */
const TEST_NUMBERS = ["4242424242424242", "4000000000000002", "4000000000009995"];

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
  private clockOffset = 0;
  private readonly slot: string;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
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
    if (!until) return 0;
    return Math.max(0, Math.ceil((Date.parse(until) - Date.now() - this.clockOffset) / 1000));
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

  quote(country: string): Promise<Quote> {
    return this.api.post<Quote>("/api/cart/quote", { country });
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
    this.cart = cart;
    this.clockOffset = Date.parse(cart.at) - Date.now();
    this.dispatchEvent(new Event("change"));
    return cart;
  }
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
