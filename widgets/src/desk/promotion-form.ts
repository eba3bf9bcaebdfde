/** One promotion, made or changed, beside what it does to prices on every channel. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { focusFirstWrong, whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { ApiProblem } from "../state/api";
import { LoadingView } from "../studio/view";
import type { PreviewInput, Product, Promotion, PromotionInput, Show } from "../wire.gen";
import { allProducts, chosenProducts, chosenVariants } from "./catalog";
import { draftOf, inputOf, isPerUnit, newPromotion, type PromotionDraft } from "./promotion-draft";
import { audienceFields, kindFields, limitFields, moreFields, nameFields, periodFields, rangeFields, type Parts } from "./promotion-fields";
import "./promotion-preview";
import { phaseBadge, promotionName, usedWords } from "./promotion-words";

const FIELDS = ["texts", "kind", "scope", "trigger", "codes", "code", "products", "product_ids", "variant_ids", "category", "period", "starts_at", "ends_at", "limit", "limit_total", "limit_per_customer", "priority", "group", "stacking", "show_id", "segment"];

const RIVALS_NAMED = 3;

interface Sheet {
  promotion: Promotion | null;
  draft: PromotionDraft;
  shows: Show[];
}

@customElement("desk-promotion-form")
export class PromotionForm extends LoadingView<Sheet> {
  @property() promotionId: string | null = null;
  @state() private busy = false;
  @state() private whys: Whys = {};
  @state() private previewError: unknown = null;
  /** Somebody else saved it in the meantime. */
  @state() private overtaken = false;
  @state() private categories: string[] = [];
  /** The promotions this one may not overlap. */
  @state() private rivals: readonly Promotion[] = [];
  private tried = false;
  private dirty = false;

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("beforeunload", this.leaving);
    document.title = `${this.t(this.promotionId ? "desk.promotion" : "desk.promotion_new")} · ${this.app.shop.name}`;
    void this.loadCategories();
  }

  override disconnectedCallback(): void {
    removeEventListener("beforeunload", this.leaving);
    super.disconnectedCallback();
  }

  private readonly leaving = (event: BeforeUnloadEvent): void => {
    if (this.dirty) event.preventDefault();
  };

  protected override async fetch(): Promise<Sheet> {
    const { api } = this.app;
    const listed = api.get<{ shows: Show[] }>("/api/shows");
    if (!this.promotionId) return { promotion: null, draft: newPromotion(), shows: (await listed).shows };
    const [promotion, { shows }] = await Promise.all([api.get<Promotion>(this.path()), listed]);
    return this.sheetOf(promotion, shows);
  }

  private async sheetOf(promotion: Promotion, shows: Show[]): Promise<Sheet> {
    const { api, words } = this.app;
    const [products, variants] = await Promise.all([chosenProducts(api, promotion.product_ids), chosenVariants(api, promotion.variant_ids)]);
    return { promotion, shows, draft: draftOf(promotion, products, variants, words.lang) };
  }

  private async loadCategories(): Promise<void> {
    try {
      const products: Product[] = await allProducts(this.app.api, 1);
      this.categories = [...new Set(products.map(({ category }) => category).filter((name) => name !== null))].sort((a, b) => a.localeCompare(b));
    } catch {
      // They are suggestions only; any category can be typed.
    }
  }

  private path(act = ""): string {
    return `/api/promotions/${encodeURIComponent(this.promotionId ?? "")}${act}`;
  }

  private get sheet(): Sheet | null {
    return this.loaded.kind === "ready" ? this.loaded.value : null;
  }

  private set(change: Partial<PromotionDraft>): void {
    if (!this.sheet) return;
    this.dirty = true;
    this.whys = {};
    this.replace({ ...this.sheet, draft: { ...this.sheet.draft, ...change } });
  }

  private checked({ draft, promotion }: Sheet): ReturnType<typeof inputOf> {
    const { shop, words } = this.app;
    return inputOf(draft, { currency: shop.currency, languages: shop.languages, read: promotion, words });
  }

  /** A promotion without a name has a preview all the same. */
  private previewInput(sheet: Sheet): PreviewInput | null {
    const unnamed = this.t("desk.promotion_new");
    const texts = Object.fromEntries(this.app.shop.languages.map((language) => [language, sheet.draft.texts[language]?.trim() || unnamed]));
    const { input } = this.checked({ ...sheet, draft: { ...sheet.draft, texts } });
    return input && { promotion: input, ...(this.promotionId ? { promotion_id: this.promotionId } : {}) };
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    const { sheet } = this;
    if (!sheet || this.busy) return;
    this.tried = true;
    const { input } = this.checked(sheet);
    if (!input) {
      this.requestUpdate();
      return this.showFirstWrong();
    }
    await this.send(input);
  }

  private async send(input: PromotionInput): Promise<void> {
    this.busy = true;
    this.whys = {};
    this.overtaken = false;
    try {
      const { api } = this.app;
      await (this.promotionId ? api.put<Promotion>(this.path(), input) : api.post<Promotion>("/api/promotions", input));
      this.dirty = false;
      this.app.toast(this.t("studio.saved"), "good");
      location.hash = "#/promotions";
    } catch (error) {
      this.overtaken = error instanceof ApiProblem && error.status === 409 && error.code.endsWith("_changed");
      if (!this.overtaken) {
        this.whys = whysOf(error, this.app.words, FIELDS);
        void this.findRivals(error);
        await this.showFirstWrong();
      }
    } finally {
      this.busy = false;
    }
  }

  private asked(error: unknown): void {
    this.previewError = error;
    void this.findRivals(error);
  }

  /** Who is in the way, by name: the server says which, the merchant knows them by what they are called. */
  private async findRivals(error: unknown): Promise<void> {
    const ids = error instanceof ApiProblem && error.code === "overlapping_promotion" ? error.data["promotion_ids"] : null;
    const named = Array.isArray(ids) ? ids.slice(0, RIVALS_NAMED).map(String) : [];
    try {
      this.rivals = await Promise.all(named.map((id) => this.app.api.get<Promotion>(`/api/promotions/${encodeURIComponent(id)}`)));
    } catch {
      this.rivals = []; // the refusal itself is told all the same
    }
  }

  private async showFirstWrong(): Promise<void> {
    await this.updateComplete;
    focusFirstWrong(this);
  }

  /** What was typed goes on top of the newer one, knowingly. */
  private async saveOver(): Promise<void> {
    const { sheet } = this;
    if (!sheet || this.busy) return;
    this.busy = true;
    try {
      const promotion = await this.app.api.get<Promotion>(this.path());
      this.replace({ ...sheet, promotion });
      const { input } = this.checked({ ...sheet, promotion });
      if (input) await this.send(input);
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }

  private async takeNewer(): Promise<void> {
    this.overtaken = false;
    this.dirty = false;
    this.tried = false;
    await this.load();
  }

  private async turn(to: "active" | "paused" | "ended", promotion: Promotion): Promise<void> {
    const name = promotionName(promotion, this.app.words);
    if (to === "ended") {
      const answer = await this.app.ask({ title: this.t("desk.ask_end", { name }), text: this.t("desk.ask_end_text"), yes: this.t("desk.end"), danger: true });
      if (answer === null) return;
    }
    this.busy = true;
    try {
      const changed = await this.app.api.post<Promotion>(this.path("/state"), { to });
      // The typed stays; only what was stored is another now.
      if (this.sheet) this.replace({ ...this.sheet, promotion: changed });
      this.app.toast(this.t(`desk.promotion_${to === "active" ? "resumed" : to}`, { name }), "good");
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    const promotion = this.sheet?.promotion;
    return html`<div class="page-bar"><a class="icon-btn" href="#/promotions" aria-label=${this.t("studio.back")}>${icon("back")}</a>
        <h1>${promotion ? promotionName(promotion, this.app.words) : this.t(this.promotionId ? "desk.promotion" : "desk.promotion_new")}</h1>
        ${promotion ? phaseBadge(promotion, this.app.words) : nothing}
        ${promotion && promotion.phase !== "ended" && this.app.can("promotions:write") ? this.acts(promotion) : nothing}</div>
      ${super.render()}`;
  }

  private acts(promotion: Promotion): TemplateResult {
    const paused = promotion.state === "paused";
    return html`<button class="btn btn-outline" data-testid="turn-promotion" ?disabled=${this.busy} @click=${() => void this.turn(paused ? "active" : "paused", promotion)}>
        ${icon(paused ? "play" : "pause")}${this.t(paused ? "desk.resume" : "desk.pause")}</button>
      <button class="btn btn-outline" data-testid="end-promotion" ?disabled=${this.busy} @click=${() => void this.turn("ended", promotion)}>${icon("stop")}${this.t("desk.end")}</button>`;
  }

  protected override ready(sheet: Sheet): TemplateResult {
    const { promotion, draft } = sheet;
    const asked = this.previewError ? whysOf(this.previewError, this.app.words, FIELDS) : {};
    const whys = { ...asked, ...this.whys, ...(this.tried ? this.checked(sheet).whys : {}) };
    const disabled = promotion?.phase === "ended" || !this.app.can("promotions:write");
    const parts: Parts = { app: this.app, draft, whys, disabled, shows: sheet.shows, categories: this.categories, set: (change) => this.set(change) };
    return html`
      ${promotion?.phase === "ended" ? html`<p class="note">${this.t("desk.promotion_is_over")}</p>` : nothing}
      ${promotion ? html`<p class="quiet form-facts">${usedWords(promotion, this.app.words)}</p>` : nothing}
      <div class="with-preview">
        <form class="sheet" novalidate data-testid="promotion-form" @submit=${(event: Event) => void this.save(event)}>
          ${section("what", this.t("desk.section_what"), html`${nameFields(parts)}${kindFields(parts)}`)}
          ${section("who", this.t("desk.section_who"), audienceFields(parts))}
          ${section("on", this.t("desk.section_on"), rangeFields(parts))}
          ${section("when", this.t("desk.section_when"), periodFields(parts))}
          ${section("limits", this.t("desk.section_limits"), html`${limitFields(parts)}${moreFields(parts)}`)}
          ${disabled ? nothing : this.saveBar(whys)}
        </form>
        <aside class="card preview" aria-labelledby="preview-title" data-testid="promotion-preview">
          <desk-promotion-preview .app=${this.app} .input=${this.previewInput(sheet)} .whole=${!isPerUnit(draft.kind)}
            @asked=${(event: CustomEvent<unknown>) => this.asked(event.detail)}></desk-promotion-preview>
        </aside>
      </div>`;
  }

  private saveBar(whys: Whys): TemplateResult {
    return html`<div class="save-bar">
      <div role="alert">${this.overtaken
        ? html`<div class="note note-warn overtaken" data-testid="promotion-overtaken">${icon("warn")}<p>${this.t("desk.promotion_overtaken")}</p>
            <button type="button" class="btn btn-outline btn-small" data-testid="take-newer" @click=${() => void this.takeNewer()}>${this.t("desk.take_newer")}</button>
            <button type="button" class="btn btn-outline btn-small" data-testid="save-over" ?disabled=${this.busy} @click=${() => void this.saveOver()}>${this.t("desk.save_over")}</button></div>`
        : whys[""]
          ? html`<p class="problem" data-testid="promotion-problem">${icon("warn")}<span>${whys[""]}</span></p>`
          : nothing}${this.rivals.length > 0
          ? html`<p class="rivals" data-testid="promotion-rivals">${this.t("desk.overlaps_with")} ${this.rivals.map(
              (rival, index) => html`${index > 0 ? ", " : ""}<a href="#/promotions/${rival.id}" target="_blank">${promotionName(rival, this.app.words)}</a>`,
            )}</p>`
          : nothing}</div>
      <a class="btn" href="#/promotions">${this.t("studio.cancel")}</a>
      <button class="btn btn-primary" data-testid="save-promotion" ?disabled=${this.busy}>
        ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.t("studio.save")}</button>
    </div>`;
  }
}

function section(id: string, title: string, body: TemplateResult): TemplateResult {
  return html`<section class="card" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${body}</section>`;
}
