/** Which orders are looked for. It stands in the address, so that a reload, a link and the way back keep it. */

export interface OrderFilter {
  q: string;
  /** One of `VIEWS`. */
  view: View;
  delivery: "" | "ship" | "pickup";
  store: string;
}

export const VIEWS = ["all", "open", "shipped", "ready", "unpaid", "cancelled"] as const;
export type View = (typeof VIEWS)[number];

const NOTHING: OrderFilter = { q: "", view: "all", delivery: "", store: "" };
let last = "#/orders";

/** The list as it was seen last. */
export function ordersHash(): string {
  return last;
}

/** From the first part of the address: "orders?view=open&q=ada". */
export function filterOf(place: string): OrderFilter {
  const query = new URLSearchParams(place.split("?")[1] ?? "");
  const view = VIEWS.find((name) => name === query.get("view")) ?? "all";
  const delivery = query.get("delivery");
  return { ...NOTHING, q: query.get("q") ?? "", view, delivery: delivery === "ship" || delivery === "pickup" ? delivery : "", store: query.get("store") ?? "" };
}

export function isFiltered(filter: OrderFilter): boolean {
  return filter.q !== "" || filter.view !== "all" || filter.delivery !== "" || filter.store !== "";
}

/** Puts it into the address without a step in the browser's history: each letter typed would be one. */
export function keepFilter(filter: OrderFilter): void {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter) as [keyof OrderFilter, string][]) if (value && value !== "all") query.set(name, value);
  const text = query.toString();
  last = text ? `#/orders?${text}` : "#/orders";
  history.replaceState(null, "", last);
}

/** As the server asks for it. */
export function queryOf(filter: OrderFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.q) query.set("q", filter.q);
  if (filter.delivery) query.set("delivery", filter.delivery);
  if (filter.store) query.set("store_id", filter.store);
  switch (filter.view) {
    case "open":
    case "shipped":
    case "ready":
      query.set("fulfilment", filter.view);
      break;
    case "unpaid":
      query.set("state", "confirmed");
      query.set("payment", "authorised");
      break;
    case "cancelled":
      query.set("state", "cancelled");
      break;
    case "all":
  }
  return query;
}
