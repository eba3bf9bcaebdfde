// What the address of the page says to the player: a code scanned in a store, or a buyer who comes back from his bank.

export interface Arrival {
  product: string | null;
  store: string | null;
  /** The order whose payment was confirmed on another page. */
  order: string | null;
  /** The moment of the show, in seconds since it began. */
  at: number | null;
}

export const NOWHERE: Arrival = { product: null, store: null, order: null, at: null };
/** Written by a payment provider; the secret among them has no business in a history. */
const FOREIGN = ["payment_intent", "payment_intent_client_secret", "redirect_status", "source_type"];

/** Read once: a reload does not come back from a bank again. */
export function takeArrival(): Arrival {
  const url = new URL(location.href);
  const order = url.searchParams.get("liveshop_order");
  if (order) {
    for (const name of ["liveshop_order", ...FOREIGN]) url.searchParams.delete(name);
    history.replaceState(history.state, "", url);
  }
  const asked = (name: string): string | null => url.searchParams.get(name);
  const at = parseFloat(asked("at") ?? "");
  return { product: asked("product"), store: asked("store"), order, at: at >= 0 ? at : null };
}
