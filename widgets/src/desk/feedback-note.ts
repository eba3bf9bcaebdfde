/** What buyers said in the two questions, in one line above the orders; nothing while nobody has answered. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { View } from "../studio/view";
import type { FeedbackSummary } from "../wire.gen";

@customElement("desk-feedback-note")
export class FeedbackNote extends View {
  @state() private summary: FeedbackSummary | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    // A line more or less: that it is missing is no reason to complain.
    void this.app.api
      .get<FeedbackSummary>("/api/feedback/summary")
      .then((summary) => (this.summary = summary))
      .catch(() => undefined);
  }

  protected override render(): TemplateResult | typeof nothing {
    const { summary } = this;
    if (!summary || summary.count === 0) return nothing;
    const { satisfied, satisfaction, effort } = summary;
    const share = satisfied === null ? null : new Intl.NumberFormat(this.app.words.lang, { style: "percent" }).format(satisfied);
    const said = [
      share === null ? "" : this.t("orders.feedback_line", { share, count: satisfaction.count }),
      effort.mean === null ? "" : this.t("orders.feedback_effort", { value: Math.round(effort.mean * 10) / 10 }),
    ].filter(Boolean);
    return html`<p class="feedback-note quiet" data-testid="feedback-summary">${icon("heart")}<span>${said.join(" · ")}</span></p>`;
  }
}
