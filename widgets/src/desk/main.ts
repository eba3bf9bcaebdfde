/** The merchant's desk: orders and their way to the buyer and back, products and stock, promotions, import, people and keys. */

import { html, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { keyed } from "lit/directives/keyed.js";
import { Shell, type Place } from "../studio/shell";
import type { App } from "../studio/view";
import "./channels";
import "./channels-connect";
import "./channels-listings";
import "./channels-one";
import "./import";
import "./keys";
import "./mails";
import "./orders";
import "./pickups";
import "./product";
import "./posts";
import "./posts-form";
import "./product-form";
import "./products";
import "./promotion-form";
import "./promotions";
import "./returns";
import "./store-form";
import "./stores";
import "./take-back";
import "./team";

const PLACES: Place[] = [
  { hash: "#/orders", label: "desk.orders", icon: "bag", permissions: ["orders:read"] },
  { hash: "#/products", label: "desk.products", icon: "box", permissions: ["catalog:read"] },
  { hash: "#/promotions", label: "desk.promotions", icon: "tag", permissions: ["promotions:read"] },
  { hash: "#/channels", label: "desk.channels", icon: "share", permissions: ["channels:read"] },
  { hash: "#/import", label: "desk.import", icon: "upload", permissions: ["catalog:write"] },
  { hash: "#/team", label: "desk.team", icon: "people", permissions: ["staff:admin"] },
  { hash: "#/keys", label: "desk.keys", icon: "key", permissions: ["staff:admin"] },
];

/** Pages that stand as tabs in another place. */
const WITHIN: Readonly<Record<string, string>> = { posts: "channels", pickups: "orders", returns: "orders", mails: "orders", stores: "products" };

@customElement("liveshop-desk")
export class Desk extends Shell {
  protected override readonly house = "desk";

  protected override places(): Place[] {
    return PLACES;
  }

  protected override current(path: string[]): string {
    return this.place(path).hash;
  }

  /** The place of the address, or the first one this person may enter. */
  private place(path: string[]): Place {
    const open = PLACES.filter((place) => place.permissions.some((permission) => this.app?.can(permission)));
    // A vendor's answer to an authorisation comes back with a query, and a list keeps its filters there.
    const first = (path[0] ?? "").split("?")[0] ?? "";
    const hash = `#/${WITHIN[first] ?? first}`;
    return open.find((place) => place.hash === hash) ?? open[0] ?? PLACES[0]!;
  }

  protected override screen(app: App, path: string[]): TemplateResult {
    const id = path[1] ?? null;
    switch (this.place(path).hash) {
      case "#/products":
        if (path[0] === "stores") return stores(app, id);
        if (id === "new") return html`${keyed(id, html`<desk-product-form .app=${app}></desk-product-form>`)}`;
        if (id && path[2] === "edit") return html`${keyed(id, html`<desk-product-form .app=${app} .productId=${id}></desk-product-form>`)}`;
        return id
          ? html`${keyed(id, html`<desk-product .app=${app} .productId=${id}></desk-product>`)}`
          : html`<desk-products .app=${app}></desk-products>`;
      case "#/promotions":
        if (!id) return html`<desk-promotions .app=${app}></desk-promotions>`;
        return html`${keyed(id, html`<desk-promotion-form .app=${app} .promotionId=${id === "new" ? null : id}></desk-promotion-form>`)}`;
      case "#/channels":
        return channels(app, path);
      case "#/import":
        return html`<desk-import .app=${app}></desk-import>`;
      case "#/team":
        return html`<desk-team .app=${app}></desk-team>`;
      case "#/keys":
        return html`<desk-keys .app=${app}></desk-keys>`;
      default:
        return orders(app, path);
    }
  }
}

function orders(app: App, path: string[]): TemplateResult {
  const [place, second, third] = path;
  switch (place) {
    case "pickups":
      return html`<desk-pickups .app=${app}></desk-pickups>`;
    case "returns":
      return second === "new" && third
        ? html`${keyed(third, html`<desk-take-back .app=${app} .orderId=${third}></desk-take-back>`)}`
        : html`<desk-returns .app=${app}></desk-returns>`;
    case "mails":
      return html`<desk-mails .app=${app}></desk-mails>`;
    default:
      return second
        ? html`${keyed(second, html`<desk-order .app=${app} .orderId=${second}></desk-order>`)}`
        : html`<desk-orders .app=${app} .place=${place ?? ""}></desk-orders>`;
  }
}

function stores(app: App, id: string | null): TemplateResult {
  if (!id) return html`<desk-stores .app=${app}></desk-stores>`;
  return html`${keyed(id, html`<desk-store-form .app=${app} .locationId=${id === "new" ? null : id}></desk-store-form>`)}`;
}

function channels(app: App, path: string[]): TemplateResult {
  const [place, second, third, fourth] = path;
  if (place === "posts") {
    return second === "new"
      ? html`<desk-post-form .app=${app} .showId=${third ?? null}></desk-post-form>`
      : html`<desk-posts .app=${app}></desk-posts>`;
  }
  if (second === "listings") return html`<desk-listings .app=${app} .connectionId=${third && third !== "all" ? third : null} .listingState=${fourth ?? null}></desk-listings>`;
  if (second === "new") return html`${keyed(third ?? "", html`<desk-connect .app=${app} .connector=${third ?? null}></desk-connect>`)}`;
  if (second) return html`${keyed(second, html`<desk-connection .app=${app} .connectionId=${second}></desk-connection>`)}`;
  return html`<desk-channels .app=${app} .problem=${new URLSearchParams(place?.split("?")[1]).get("problem")}></desk-channels>`;
}
