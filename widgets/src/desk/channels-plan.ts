/** What a sync would do now, before it is done. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { LoadingView } from "../studio/view";
import "../studio/wide-dialog";
import type { Change, Connection, Plan } from "../wire.gen";
import { badgeClass, spanWords, type Look } from "./channels-words";

const ACTIONS = ["publish", "update", "hide", "withdraw", "skip"] as const;
const LOOKS: Record<Change["action"], Look> = { publish: "good", update: "accent", hide: "warn", withdraw: "warn", skip: "bad" };

/** Fires "sync" when it shall be done, "ls-close" when it is put away. */
@customElement("desk-plan")
export class PlanDialog extends LoadingView<Plan> {
  @property({ attribute: false }) connection!: Connection;

  protected override fetch(): Promise<Plan> {
    return this.app.api.get<Plan>(`/api/connections/${encodeURIComponent(this.connection.id)}/plan`);
  }

  private get canSync(): boolean {
    return this.connection.state === "active" && !this.connection.needs_authorisation && this.app.can("channels:write");
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    return html`<studio-wide-dialog .open=${true} .label=${this.t("channels.plan_of", { name: this.connection.title })} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.close()}>
      <div class="plan" tabindex="0" role="region" aria-label=${this.t("channels.plan_changes")} data-testid="plan-dialog">${super.render()}</div>
      <div slot="foot" class="actions plan-foot"><button class="btn" @click=${() => this.close()}>${this.t("studio.close")}</button>
        ${this.loaded.kind === "ready" && this.canSync
          ? html`<button class="btn btn-primary" data-testid="plan-sync" @click=${() => this.dispatchEvent(new CustomEvent("sync"))}>${icon("refresh")}${this.t("channels.sync")}</button>`
          : nothing}</div></studio-wide-dialog>`;
  }

  protected override ready(plan: Plan): TemplateResult {
    const { words } = this.app;
    const total = ACTIONS.reduce((sum, action) => sum + plan[action], 0);
    return html`<div class="stack">
      <p>${this.t(total === 0 ? "channels.plan_nothing" : "channels.plan_lead")}</p>
      <dl class="figures-row"><div class="figure"><dt>${this.t("channels.plan_checked")}</dt><dd data-testid="plan-checked">${words.number(plan.checked)}</dd></div>
        <div class="figure"><dt>${this.t("channels.plan_unchanged")}</dt><dd>${words.number(plan.unchanged)}</dd></div>
        ${ACTIONS.map(
          (action) => html`<div class="figure ${action === "skip" && plan.skip > 0 ? "figure-bad" : ""}"><dt>${this.t(`channels.plan_${action}`)}</dt><dd data-testid="plan-${action}">${words.number(plan[action])}</dd></div>`,
        )}</dl>
      ${plan.requests > 0
        ? html`<p class="quiet">${this.t("channels.plan_requests", { count: plan.requests })}${plan.seconds > 0 ? html` ${this.t("channels.plan_time", { time: spanWords(plan.seconds, words) })}` : nothing}</p>`
        : nothing}
      ${plan.notes.length > 0
        ? html`<div class="note">${icon("info")}<ul class="bullets">${plan.notes.map((note) => html`<li>${note}</li>`)}</ul></div>`
        : nothing}
      ${plan.changes.length > 0 ? this.changes(plan, total) : nothing}
    </div>`;
  }

  private changes(plan: Plan, total: number): TemplateResult {
    return html`<section aria-labelledby="plan-changes"><h3 id="plan-changes">${this.t("channels.plan_changes")}</h3>
      ${total > plan.changes.length ? html`<p class="quiet">${this.t("channels.plan_first", { shown: plan.changes.length, total })}</p>` : nothing}
      <ul class="plan-changes">${alike(plan.changes).map(
        ([change, count]) => html`<li data-testid="plan-change"><span class=${badgeClass(LOOKS[change.action])}>${this.t(`channels.act_${change.action}`)}</span>
          <span><span class="row-title">${change.title}</span>${count > 1 ? html` <span class="quiet plan-count">${this.t("channels.variants", { count })}</span>` : nothing}${this.details(change)}</span></li>`,
      )}</ul></section>`;
  }

  private details(change: Change): TemplateResult | typeof nothing {
    const { words } = this.app;
    const fields = (change.fields ?? []).map((field) => (words.has(`channels.part_${field}`) ? words.t(`channels.part_${field}`) : field));
    const said = [fields.length > 0 ? this.t("channels.plan_fields", { fields: fields.join(", ") }) : "", change.reason ?? ""].filter(Boolean);
    return said.length > 0 ? html`<span class="quiet">${said.join(" · ")}</span>` : nothing;
  }
}

/** Variants of one product with which the same happens for the same reason are told once. */
function alike(changes: readonly Change[]): [Change, number][] {
  const found = new Map<string, [Change, number]>();
  for (const change of changes) {
    const key = JSON.stringify([change.product_id, change.action, change.reason, change.fields]);
    found.set(key, [change, (found.get(key)?.[1] ?? 0) + 1]);
  }
  return [...found.values()];
}
