// What parts of the player ask it to open, in the detail of a "go" event.

import type { Order } from "../wire.gen";
import { isOpen } from "../state/payment";

export type Tab = "chat" | "products";

/** `fresh`: placed just now, so that its payment goes on by itself. `problem`: what went wrong before, in words. */
export type Open =
  | { sheet: "product"; id: string }
  | { sheet: "cart"; problem?: string }
  | { sheet: "checkout"; problem?: string }
  | { sheet: "payment"; order: Order; fresh: boolean }
  | { sheet: "done"; order: Order };

export type Go = Open | { sheet: null; tab: Tab } | null;

/** Where the answer about an order leads, unless it was refused. */
export function goOf(order: Order, fresh = false): Go {
  return isOpen(order) ? { sheet: "payment", order, fresh } : { sheet: "done", order };
}
