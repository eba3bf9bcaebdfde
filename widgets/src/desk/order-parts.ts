/** The parts of an order's page that only tell: lines and sums, how the total came about, and all that happened. */

import { html, nothing, type TemplateResult } from "lit";
import type { I18n } from "../state/i18n";
import { formatMoney } from "../state/money";
import { whenWords } from "../studio/order-words";
import { variantName } from "../studio/product-words";
import type { Money, Order, OrderEvent, TaxLine } from "../wire.gen";

export function lines(order: Order, words: I18n): TemplateResult {
  const { t } = words;
  const money = (value: Money): string => formatMoney(value, words.lang);
  const { currency } = order.total;
  const sum = { amount: order.lines.reduce((total, line) => total + line.total.amount, 0), currency };
  const discount = { amount: order.lines.reduce((total, line) => total + line.payable.amount, 0) - sum.amount, currency };
  const tax = (line: TaxLine): string => t(line.included ? "desk.tax" : "desk.tax_added", { rate: words.number(Number(line.rate)), basis: money(line.basis) });
  return html`<section class="card" aria-labelledby="lines-title"><h2 id="lines-title">${t("desk.order_lines")}</h2>
    <table class="table">
      <thead><tr><th scope="col">${t("desk.article")}</th><th scope="col" class="num">${t("desk.quantity")}</th>
        <th scope="col" class="num only-wide">${t("desk.unit_price")}</th><th scope="col" class="num">${t("desk.line_total")}</th></tr></thead>
      <tbody>${order.lines.map(
        (line) => html`<tr><th scope="row">${line.title}<span class="quiet">${[variantName(line.values), line.sku].filter(Boolean).join(" · ")}</span>
            ${line.payable.amount === line.total.amount ? nothing : html`<span class="quiet">${t("desk.payable", { amount: money(line.payable) })}</span>`}</th>
          <td class="num">${words.number(line.quantity)}</td><td class="num only-wide">${money(line.unit_price)}</td><td class="num">${money(line.total)}</td></tr>`,
      )}</tbody>
    </table>
    <dl class="sums">
      <div><dt>${t("desk.subtotal")}</dt><dd>${money(sum)}</dd></div>
      ${discount.amount === 0 ? nothing : html`<div><dt>${t("desk.order_discount")}</dt><dd>${money(discount)}</dd></div>`}
      <div><dt>${t("desk.shipping")}</dt><dd>${money(order.shipping)}</dd></div>
      ${order.taxes.filter((line) => !line.included).map((line) => html`<div data-testid="tax-added"><dt>${tax(line)}</dt><dd>${money(line.amount)}</dd></div>`)}
      <div class="sums-total"><dt>${t("desk.total")}</dt><dd>${money(order.total)}</dd></div>
      ${order.taxes.filter((line) => line.included).map((line) => html`<div class="quiet" data-testid="tax-included"><dt>${tax(line)}</dt><dd>${money(line.amount)}</dd></div>`)}
    </dl>
    ${explanation(order, words)}
  </section>`;
}

/** As the buyer was told it. What is inside a price already adds nothing, and says no amount. */
function explanation(order: Order, words: I18n): TemplateResult | typeof nothing {
  if (order.explanation.length === 0) return nothing;
  return html`<details class="more"><summary>${words.t("desk.explanation")}</summary>
    <ol class="steps" data-testid="explanation">${order.explanation.map(
      (step) => html`<li><span>${step.text}</span>${step.amount.amount === 0 ? nothing : html`<span class="num">${formatMoney(step.amount, words.lang)}</span>`}</li>`,
    )}<li class="steps-total"><span>${words.t("desk.total")}</span><span class="num">${formatMoney(order.total, words.lang)}</span></li></ol></details>`;
}

/** Who did what when, and why; the latest first. */
export function history(events: readonly OrderEvent[], words: I18n): TemplateResult | typeof nothing {
  if (events.length === 0) return nothing;
  return html`<section class="card" aria-labelledby="history-title"><h2 id="history-title">${words.t("orders.history")}</h2>
    <ol class="timeline" data-testid="history">${[...events].reverse().map(
      (event) => html`<li data-kind=${event.kind}><p><strong>${eventWords(event, words)}</strong></p>
        <p class="quiet"><time datetime=${event.at}>${whenWords(event.at, words)}</time> · ${actorWords(event, words)}</p>
        ${event.note ? html`<p class="timeline-note">“${event.note}”</p>` : nothing}</li>`,
    )}</ol></section>`;
}

function eventWords(event: OrderEvent, words: I18n): string {
  const key = `orders.event_${event.kind}`;
  return [words.has(key) ? words.t(key) : event.kind, ...detailWords(event, words)].join(" · ");
}

function detailWords({ data }: OrderEvent, words: I18n): string[] {
  const said: string[] = [];
  const { amount, currency } = data;
  if (typeof amount === "number" && typeof currency === "string") said.push(formatMoney({ amount, currency }, words.lang));
  for (const name of ["carrier", "tracking", "location", "store"]) {
    const value = data[name];
    if (typeof value === "string" && value && !/^[a-z]{3}_/.test(value)) said.push(value);
  }
  for (const [name, prefix] of [["cause", "orders.cause_"], ["payment_state", "studio.payment_"]] as const) {
    const key = `${prefix}${String(data[name] ?? "")}`;
    if (data[name] && words.has(key)) said.push(words.t(key));
  }
  if (typeof data["pieces"] === "number") said.push(words.t("desk.pieces", { count: data["pieces"] }));
  return said;
}

function actorWords(event: OrderEvent, words: I18n): string {
  return event.actor === "staff" && event.actor_name ? event.actor_name : words.t(`orders.by_${event.actor}`);
}
