// What is known of the viewer as a buyer, and the payment of his that is still open. The server holds the truth.

import type { DeliveryInput, DeliveryOptions, KnownBuyer, Order, VariantDelivery } from "../wire.gen";
import { ApiProblem, type Api } from "./api";
import type { Language } from "./cart";
import type { ServerClock } from "./clock";

/** How long an answer of the provider is waited for, and between two questions. */
const PATIENCE_MS = 60_000;
const ASK_FIRST_MS = 400;
const ASK_MOST_MS = 5000;
/** The server gives up a payment at its end; it is asked just after. */
const AFTER_END_MS = 1500;
/** A promise moves on with the day: it is asked for again after this long. */
const DELIVERY_KEPT_MS = 5 * 60_000;

/** What a payment that came to nothing ended by. */
export type Lapse = "expired" | "declined";

export function isOpen(order: Order): boolean {
  return order.state === "pending";
}

/** The buyer has to do something, and has been given what he needs for it. */
export function isWaiting(order: Order): boolean {
  return isOpen(order) && !!order.payment.client;
}

/** Fires "change" whenever `buyer` or `pending` was replaced, and "concluded" when a payment ended without its sheet. */
export class PaymentClient extends EventTarget {
  buyer: KnownBuyer | null = null;
  /** Placed, and waiting for the viewer's part. */
  pending: Order | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly zones = new Map<string, string>();
  private readonly deliveries = new Map<string, { at: number; answer: Promise<VariantDelivery> }>();

  constructor(
    private readonly api: Api,
    private readonly clock: ServerClock,
  ) {
    super();
  }

  /** Somebody whose address need not be typed again. */
  get isKnown(): boolean {
    return !!this.buyer?.email && !!this.buyer.address;
  }

  async load(): Promise<void> {
    this.buyer = await this.api.get<KnownBuyer>("/api/buyer");
    this.keep(this.buyer.pending && isWaiting(this.buyer.pending) ? this.buyer.pending : null);
  }

  options(country: string, language: Language): Promise<DeliveryOptions> {
    return this.learn(this.api.post<DeliveryOptions>("/api/cart/delivery", { country, language }));
  }

  /** When one of a variant could reach the viewer. The same question is asked once in a while only. */
  deliveryOf(variantId: string, country: string, language: Language): Promise<VariantDelivery> {
    const path = `/api/variants/${encodeURIComponent(variantId)}/delivery?country=${country}&language=${language}`;
    const known = this.deliveries.get(path);
    if (known && Date.now() - known.at < DELIVERY_KEPT_MS) return known.answer;
    const answer = this.learn(this.api.get<VariantDelivery>(path));
    this.deliveries.set(path, { at: Date.now(), answer });
    answer.catch(() => this.deliveries.delete(path));
    return answer;
  }

  /** The zone of a store's day; undefined: the shop's. */
  zoneOf(storeId: string | null | undefined): string | undefined {
    return storeId ? this.zones.get(storeId) : undefined;
  }

  /** Hand every answer about an order of the viewer to this. */
  heard(order: Order): Order {
    if (isWaiting(order)) this.keep(order);
    else if (this.pending?.id === order.id) this.keep(null);
    if (order.state === "confirmed") this.remember(order);
    return order;
  }

  /** Asks the provider once. */
  async check(orderId: string): Promise<Order> {
    return this.heard(await this.api.post<Order>(`/api/orders/${orderId}/payment/check`));
  }

  /** Asks until it is known how the payment went, or the viewer has to do something again, or patience ends. */
  async settled(orderId: string): Promise<Order> {
    const end = Date.now() + PATIENCE_MS;
    let pause = ASK_FIRST_MS;
    for (;;) {
      let order: Order | null = null;
      try {
        order = await this.check(orderId);
        if (!isOpen(order) || isWaiting(order) || Date.now() > end) return order;
      } catch (error) {
        const again = error instanceof ApiProblem && (error.unreachable || error.status === 429);
        if (!again || Date.now() > end) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 1.7, ASK_MOST_MS);
    }
  }

  async cancel(orderId: string): Promise<Order> {
    return this.heard(await this.api.post<Order>(`/api/orders/${orderId}/payment/cancel`));
  }

  /** The sandbox's own word for what a buyer would tell his bank. */
  async sandbox(orderId: string, outcome: "succeed" | "fail"): Promise<Order> {
    const order = this.heard(await this.api.post<Order>(`/api/orders/${orderId}/payment/sandbox`, { outcome }));
    return isOpen(order) && !isWaiting(order) ? this.settled(orderId) : order;
  }

  /** Why an order came to nothing. */
  lapseOf(order: Order): Lapse {
    const end = order.payment.expires_at;
    return end !== null && this.clock.until(end) <= 0 ? "expired" : "declined";
  }

  /** Nobody is looking at the payment: whoever hears "concluded" shows what became of it. */
  concluded(order: Order): void {
    this.dispatchEvent(new CustomEvent<Order>("concluded", { detail: order }));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private remember(order: Order): void {
    const address = order.delivery === "ship" ? order.address : this.buyer?.address ?? order.address;
    const delivery: DeliveryInput = { kind: order.delivery, store_id: order.store_id };
    this.buyer = { email: order.email, address, delivery, method: order.payment.method, pending: null };
    this.dispatchEvent(new Event("change"));
  }

  private async learn<T extends DeliveryOptions | VariantDelivery>(answer: Promise<T>): Promise<T> {
    const told = await answer;
    this.clock.heard(told.at);
    for (const { store_id, time_zone } of told.options) if (store_id && time_zone) this.zones.set(store_id, time_zone);
    return told;
  }

  private keep(order: Order | null): void {
    this.pending = order;
    clearTimeout(this.timer);
    const end = order?.payment.expires_at;
    if (order && end) {
      this.timer = setTimeout(() => void this.end(order.id), Math.max(0, this.clock.until(end)) + AFTER_END_MS);
    }
    this.dispatchEvent(new Event("change"));
  }

  private async end(orderId: string): Promise<void> {
    try {
      const order = await this.settled(orderId);
      if (!isOpen(order)) this.concluded(order);
    } catch {
      // Offline: the next look at the buyer tells.
    }
  }
}
