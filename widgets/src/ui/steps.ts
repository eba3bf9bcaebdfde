// The way to a total, line by line: the amounts above the total add up to it, what is only contained in it stands below.

import { css, html, type TemplateResult } from "lit";
import type { Money, QuoteStep, TaxLine } from "../wire.gen";
import type { Speaker } from "./price";

export const stepStyles = css`
  .steps {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 8px 16px;
    font-size: var(--ls-text-md);
  }
  .steps dt {
    color: var(--ls-ink-2);
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .steps dt::first-letter {
    text-transform: uppercase;
  }
  .steps dd {
    text-align: right;
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .steps .off {
    color: var(--ls-sale);
    font-size: var(--ls-text-sm);
  }
  .steps .total {
    padding-top: 10px;
    border-top: 1px solid var(--ls-line);
    font-weight: 700;
    color: var(--ls-ink);
    font-size: var(--ls-text-lg);
  }
  .steps dd.total {
    margin-left: -16px;
  }
  .steps .within {
    grid-column: 1 / -1;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-3);
  }
`;

/** Tax that is inside the prices comes last and adds nothing; there is one step for each rate above zero. */
function withinOf(steps: readonly QuoteStep[], taxes: readonly TaxLine[]): number {
  const most = taxes.filter((tax) => tax.included && Number(tax.rate) > 0).length;
  let count = 0;
  while (count < most && steps[steps.length - 1 - count]?.amount.amount === 0) count++;
  return count;
}

export function stepsTo(total: Money, steps: readonly QuoteStep[], taxes: readonly TaxLine[], by: Speaker): TemplateResult {
  const within = withinOf(steps, taxes);
  const adding = steps.slice(0, steps.length - within);
  return html`<dl class="steps" data-testid="explanation">
    ${adding.map(({ text, amount }) => {
      const kind = amount.amount < 0 ? "off" : "";
      return html`<dt class=${kind} data-testid="step">${text}</dt>
        <dd class=${kind} data-testid="step-amount">${amount.amount === 0 ? by.t("checkout.free") : by.money(amount)}</dd>`;
    })}
    <dt class="total">${by.t("checkout.total")}</dt>
    <dd class="total" data-testid="total">${by.money(total)}</dd>
    ${steps.slice(adding.length).map(({ text }) => html`<dt class="within" data-testid="tax-included">${text}</dt>`)}
  </dl>`;
}
