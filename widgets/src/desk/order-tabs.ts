/** What stands above everything that has to do with orders, and above products and stores. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import type { App } from "../studio/view";

export type OrderTab = "orders" | "pickups" | "returns" | "mails";
export type StockTab = "products" | "stores";

const ORDER_TABS: readonly OrderTab[] = ["orders", "pickups", "returns", "mails"];
const STOCK_TABS: readonly StockTab[] = ["products", "stores"];

export function orderTabs(current: OrderTab, words: I18n): TemplateResult {
  return tabs(ORDER_TABS, current, words, words.t("orders.tabs"));
}

export function stockTabs(current: StockTab, app: App): TemplateResult {
  return tabs(STOCK_TABS, current, app.words, app.words.t("stores.tabs"));
}

function tabs(all: readonly string[], current: string, words: I18n, label: string): TemplateResult {
  return html`<nav class="subnav" aria-label=${label}>${all.map(
    (tab) => html`<a href="#/${tab}" data-testid="tab-${tab}" aria-current=${tab === current ? "page" : nothing}>${words.t(`orders.tab_${tab}`)}</a>`,
  )}</nav>`;
}
