/** All promotions, the one record every channel's prices come from. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { radioField } from "../studio/fields";
import { icon } from "../studio/icons";
import { kindWords } from "../studio/kind-words";
import { meter } from "../studio/meter";
import { empty, explain, LoadingView } from "../studio/view";
import type { Promotion, Promotions, Show } from "../wire.gen";
import { audienceWords, periodWords, phaseBadge, promotionName, rangeWords, usedWords } from "./promotion-words";

interface Page extends Promotions {
  /** To name the shows they are for. */
  shows: Show[];
}

@customElement("desk-promotions")
export class PromotionList extends LoadingView<Page> {
  @state() private ended = false;
  @state() private busy = false;
  @state() private moreWhy = "";

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.promotions")} · ${this.app.shop.name}`;
  }

  private path(cursor: string | null): string {
    const query = new URLSearchParams();
    if (this.ended) query.set("ended", "true");
    if (cursor) query.set("cursor", cursor);
    return `/api/promotions?${query.toString()}`;
  }

  protected override async fetch(): Promise<Page> {
    const [page, { shows }] = await Promise.all([
      this.app.api.get<Promotions>(this.path(null)),
      this.app.api.get<{ shows: Show[] }>("/api/shows"),
    ]);
    return { ...page, shows };
  }

  private async loadMore(page: Page): Promise<void> {
    this.busy = true;
    this.moreWhy = "";
    try {
      const rest = await this.app.api.get<Promotions>(this.path(page.next));
      const known = new Set(page.promotions.map(({ id }) => id));
      this.replace({ ...page, promotions: [...page.promotions, ...rest.promotions.filter(({ id }) => !known.has(id))], next: rest.next });
    } catch (error) {
      this.moreWhy = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private filter(ended: boolean): void {
    this.ended = ended;
    void this.load(true);
  }

  private async turn(promotion: Promotion, page: Page): Promise<void> {
    this.busy = true;
    try {
      const to = promotion.state === "paused" ? "active" : "paused";
      const changed = await this.app.api.post<Promotion>(`/api/promotions/${encodeURIComponent(promotion.id)}/state`, { to });
      this.replace({ ...page, promotions: page.promotions.map((other) => (other.id === changed.id ? changed : other)) });
      this.app.toast(this.t(to === "paused" ? "desk.promotion_paused" : "desk.promotion_resumed", { name: promotionName(promotion, this.app.words) }), "good");
    } catch (error) {
      this.complain(error);
      void this.load(true);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><h1>${this.t("desk.promotions")}</h1>
        ${this.app.can("promotions:write")
          ? html`<a class="btn btn-primary" href="#/promotions/new" data-testid="new-promotion">${icon("plus")}${this.t("desk.promotion_new")}</a>`
          : nothing}</div>
      ${radioField({
        id: "promotions-filter",
        label: this.t("desk.filter"),
        value: this.ended ? "ended" : "current",
        testid: "filter",
        inline: true,
        change: (value) => this.filter(value === "ended"),
        choices: ["current", "ended"].map((value) => ({ value, label: this.t(`desk.filter_${value}`) })),
      })}
      ${super.render()}`;
  }

  protected override ready(page: Page): TemplateResult {
    if (page.promotions.length === 0) return empty(this.t(this.ended ? "desk.promotions_none_ended" : "desk.promotions_empty"), this.t("desk.promotions_empty_hint"));
    return html`<ul class="rows">${page.promotions.map((promotion) => this.row(promotion, page))}</ul>
      ${this.moreWhy ? html`<p class="error" role="alert">${this.moreWhy}</p>` : nothing}
      ${page.next ? html`<button class="btn btn-wide" data-testid="more-promotions" ?disabled=${this.busy} @click=${() => void this.loadMore(page)}>${this.t("desk.more")}</button>` : nothing}`;
  }

  private row(promotion: Promotion, page: Page): TemplateResult {
    const { words } = this.app;
    const name = promotionName(promotion, words);
    const paused = promotion.state === "paused";
    const act = this.t(paused ? "desk.resume_one" : "desk.pause_one", { name });
    return html`<li class="row promotion-row" data-testid="promotion-row" data-promotion=${promotion.id}>
      <a class="row-main" href="#/promotions/${promotion.id}">
        <span class="row-text"><span class="row-title">${name}</span>
          <span class="promotion-does">${kindWords(promotion.kind, words)} · ${rangeWords(promotion, words)}</span>
          <span class="quiet">${audienceWords(promotion, page.shows, words)} · ${periodWords(promotion, words)}</span></span>
        <span class="row-end">${phaseBadge(promotion, words)}<span class="quiet promotion-used" data-testid="promotion-used">${usedWords(promotion, words)}</span>
          ${promotion.limit_total === null ? nothing : meter(promotion.used, promotion.limit_total)}</span>
      </a>
      ${this.app.can("promotions:write") && promotion.phase !== "ended"
        ? html`<button class="icon-btn" data-testid="turn-promotion" aria-label=${act} title=${act} ?disabled=${this.busy} @click=${() => void this.turn(promotion, page)}>${icon(paused ? "play" : "pause")}</button>`
        : nothing}</li>`;
  }
}
