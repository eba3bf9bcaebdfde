/** How the show is doing, in seven figures and the line of its audience. */

import { html, nothing, svg, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Numbers } from "../wire.gen";
import { View } from "./view";

const WIDTH = 240;
const HEIGHT = 44;

@customElement("studio-cockpit-numbers")
export class CockpitNumbers extends View {
  @property({ attribute: false }) numbers: Numbers | null = null;
  /** From the room, newer than the numbers between two polls. */
  @property({ type: Number }) viewers = 0;
  @property({ type: Number }) hearts = 0;
  @property({ attribute: false }) samples: number[] = [];

  protected override render(): TemplateResult {
    const { numbers } = this;
    const count = (value: number | undefined): string => (value === undefined ? "–" : this.app.words.number(value));
    const figure = (key: string, value: string, look = ""): TemplateResult =>
      html`<div class="figure ${look}"><dt>${this.t(`studio.number_${key}`)}</dt><dd data-testid="number-${key}">${value}</dd></div>`;
    return html`<header class="panel-head"><h2>${this.t("studio.numbers")}</h2></header>
      <dl class="figures">
        ${figure("viewers", count(this.viewers), "figure-large")}
        ${figure("revenue", numbers ? this.money(numbers.revenue) : "–", "figure-large")}
        ${figure("orders", count(numbers?.orders))}
        ${figure("carts", count(numbers?.carts))}
        ${figure("peak", count(numbers ? Math.max(numbers.peak_viewers, this.viewers) : undefined))}
        ${figure("messages", count(numbers?.messages))}
        ${figure("hearts", count(Math.max(this.hearts, numbers?.hearts ?? 0)))}
      </dl>
      ${this.line()}`;
  }

  private line(): TemplateResult | typeof nothing {
    const { samples } = this;
    if (samples.length < 3) return nothing;
    const top = Math.max(...samples, 1);
    const points = samples
      .map((value, index) => `${((index / (samples.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 3 - (value / top) * (HEIGHT - 6)).toFixed(1)}`)
      .join(" ");
    return html`<figure class="spark"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        ${svg`<polygon points="0,${HEIGHT} ${points} ${WIDTH},${HEIGHT}"></polygon><polyline points=${points}></polyline>`}</svg>
      <figcaption class="hint">${this.t("studio.spark")}</figcaption></figure>`;
  }
}
