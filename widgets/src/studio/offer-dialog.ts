/** Starting an offer: what it takes off, for how long and how many, beside what viewers will see of it. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiProblem } from "../state/api";
import type { Offer, OfferInput, OfferPreview, Product } from "../wire.gen";
import { currencySign } from "./amounts";
import { focusFirstWrong, inputField, radioField, whyFor, whysOf, type Whys } from "./fields";
import { icon } from "./icons";
import { languageName } from "./kind-words";
import { Latest } from "./latest";
import { MINUTES, newOffer, OFFER_KINDS, offerInput, secondsOf, type OfferDraft } from "./offer-draft";
import { offerCard, offerLine } from "./offer-preview";
import { offersPath } from "./offers";
import { variantName } from "./product-words";
import { View } from "./view";
import "./wide-dialog";

const FIELDS = ["kind", "seconds", "variant_ids", "products", "units", "limit.total", "per_customer", "limit.per_customer", "texts"];

/** Fires "started" (`CustomEvent<Offer>`) and "ls-close". */
@customElement("studio-offer-dialog")
export class OfferDialog extends View {
  @property() showId = "";
  @property({ attribute: false }) product!: Product;
  /** Changes when an offer of this show starts or ends: what was true of the preview may not be any more. */
  @property() running = "";
  @state() private draft: OfferDraft = newOffer();
  @state() private whys: Whys = {};
  @state() private busy = false;
  /** Fields complain once somebody tried to start; a half-typed number is no mistake. */
  private tried = false;
  private opener: Element | null = null;
  private readonly preview = new Latest<OfferInput, OfferPreview>(this, (input) =>
    this.app.api.post<OfferPreview>(`${offersPath(this.showId)}/preview`, input, { headers: { "Accept-Language": this.app.words.lang } }),
  );

  override connectedCallback(): void {
    super.connectedCallback();
    this.opener = document.activeElement;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    if (this.opener instanceof HTMLElement && this.opener.isConnected) this.opener.focus();
  }

  private set(change: Partial<OfferDraft>): void {
    this.draft = { ...this.draft, ...change };
    this.whys = {};
  }

  private checked(): ReturnType<typeof offerInput> {
    return offerInput(this.draft, this.product, this.app.shop.currency, this.app.words);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("running") && changed.get("running") !== undefined) {
      this.preview.forget();
      this.whys = {};
    }
    this.preview.ask(this.checked().input);
  }

  private async start(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.tried = true;
    const { input } = this.checked();
    if (!input) {
      this.requestUpdate();
      await this.updateComplete;
      focusFirstWrong(this);
      return;
    }
    this.busy = true;
    this.whys = {};
    try {
      const offer = await this.app.api.post<Offer>(offersPath(this.showId), input);
      this.dispatchEvent(new CustomEvent<Offer>("started", { detail: offer }));
      this.close();
    } catch (error) {
      this.whys = this.refusal(error);
      await this.updateComplete;
      focusFirstWrong(this);
    } finally {
      this.busy = false;
    }
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  /** What the form found, then what the server said to the last try or preview. */
  private problems(): Whys {
    const own = this.tried ? this.checked().whys : {};
    const asked = this.preview.error ? this.refusal(this.preview.error) : {};
    return { ...asked, ...this.whys, ...own };
  }

  private refusal(error: unknown): Whys {
    if (error instanceof ApiProblem && error.code === "overlapping_promotion") return { "": this.t("studio.offer_overlaps") };
    return whysOf(error, this.app.words, FIELDS);
  }

  protected override render(): TemplateResult {
    const whys = this.problems();
    return html`<studio-wide-dialog .open=${true} .label=${this.t("studio.offer_for", { title: this.product.title })} .closeLabel=${this.t("studio.close")}
      @ls-close=${() => this.close()}>
      <div class="offer-form" data-testid="offer-dialog">
        <form id="offer-form" class="stack" novalidate @submit=${(event: Event) => void this.start(event)}>
          ${this.kind(whys)}${this.variants(whys)}${this.time(whys)}${this.limits(whys)}${this.names(whys)}
        </form>
        <section class="offer-preview" aria-labelledby="offer-preview-title" data-testid="offer-preview">
          <h3 id="offer-preview-title">${this.t("studio.offer_preview")} ${this.preview.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}</h3>
          ${this.shown()}
        </section>
      </div>
      <div slot="foot" class="dialog-foot">
        ${this.preview.value ? offerLine(this.preview.value, this.draft.variantIds ?? [], this.app.words) : nothing}
        <div role="alert">${whys[""] ? html`<p class="problem" data-testid="offer-problem">${icon("warn")}<span>${whys[""]}</span></p>` : nothing}</div>
        <button type="button" class="btn" @click=${() => this.close()}>${this.t("studio.cancel")}</button>
        <button class="btn btn-primary" form="offer-form" data-testid="offer-start" ?disabled=${this.busy}>
          ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon("bolt")}${this.t("studio.offer_start")}</button>
      </div>
    </studio-wide-dialog>`;
  }

  private shown(): TemplateResult {
    const { value, busy, error } = this.preview;
    if (!value) return html`<p class="hint preview-none">${this.t(busy ? "studio.loading" : error ? "studio.offer_preview_refused" : "studio.offer_preview_none")}</p>`;
    return html`<div class=${this.preview.busy ? "is-old" : ""}>${offerCard(value, this.draft.variantIds ?? [], secondsOf(this.draft, this.app.words.lang) ?? 0, this.app.words)}</div>`;
  }

  private kind(whys: Whys): TemplateResult {
    const { kind, values } = this.draft;
    const { currency } = this.app.shop;
    return html`${radioField({
        id: "offer-kind",
        label: this.t("studio.offer_kind"),
        value: kind,
        testid: "offer-kind",
        inline: true,
        change: (value) => this.set({ kind: value as OfferDraft["kind"] }),
        choices: OFFER_KINDS.map((value) => ({ value, label: this.t(`studio.kind_${value}`) })),
      })}
      ${inputField({
        id: "offer-value",
        label: this.t(`studio.value_${kind}`),
        value: values[kind],
        mode: "decimal",
        max: 15,
        testid: "offer-value",
        unit: kind === "percent_off" ? "%" : currencySign(currency, this.app.words.lang),
        why: whyFor(whys, "kind"),
        change: (value) => this.set({ values: { ...values, [kind]: value } }),
      })}`;
  }

  private variants(whys: Whys): TemplateResult | typeof nothing {
    const { product, draft } = this;
    const why = whyFor(whys, "variant_ids", "products");
    if (product.variants.length < 2) return why ? html`<p class="error">${why}</p>` : nothing;
    const chosen = draft.variantIds;
    const toggle = (id: string, on: boolean): void => {
      const others = (chosen ?? []).filter((other) => other !== id);
      this.set({ variantIds: on ? [...others, id] : others });
    };
    return html`${radioField({
        id: "offer-variants",
        label: this.t("studio.offer_variants"),
        value: chosen ? "some" : "all",
        testid: "offer-variants",
        inline: true,
        why,
        change: (value) => this.set({ variantIds: value === "some" ? [] : null }),
        choices: [
          { value: "all", label: this.t("studio.variants_all") },
          { value: "some", label: this.t("studio.variants_some") },
        ],
      })}
      ${chosen
        ? html`<div class="checks" role="group" aria-label=${this.t("studio.variants_some")}>${product.variants.map(
            (variant) => html`<label class="check"><input type="checkbox" data-testid="offer-variant-${variant.id}" aria-invalid=${why ? "true" : nothing} .checked=${chosen.includes(variant.id)}
              @change=${(event: Event) => toggle(variant.id, (event.target as HTMLInputElement).checked)} /><span>${variantName(variant.values) || variant.sku}</span></label>`,
          )}</div>`
        : nothing}`;
  }

  private time(whys: Whys): TemplateResult {
    const { minutes, ownMinutes } = this.draft;
    const why = whyFor(whys, "seconds");
    return html`${radioField({
        id: "offer-minutes",
        label: this.t("studio.offer_minutes"),
        value: minutes,
        testid: "offer-minutes",
        inline: true,
        why: minutes === "own" ? undefined : why,
        change: (value) => this.set({ minutes: value as OfferDraft["minutes"] }),
        choices: [
          ...MINUTES.map((value) => ({ value, label: this.t("studio.minutes", { count: Number(value) }) })),
          { value: "own", label: this.t("studio.minutes_own") },
        ],
      })}
      ${minutes === "own"
        ? inputField({
            id: "offer-own-minutes",
            label: this.t("studio.minutes_own_label"),
            value: ownMinutes,
            mode: "decimal",
            max: 7,
            testid: "offer-own-minutes",
            unit: this.t("studio.minutes_unit"),
            why,
            change: (value) => this.set({ ownMinutes: value }),
          })
        : nothing}`;
  }

  private limits(whys: Whys): TemplateResult {
    return html`<div class="pair pair-tight">
      ${inputField({
        id: "offer-units-field",
        label: this.t("studio.offer_units_label"),
        value: this.draft.units,
        mode: "numeric",
        max: 7,
        testid: "offer-units-field",
        hint: this.t("studio.offer_units_hint"),
        why: whyFor(whys, "units", "limit.total"),
        change: (value) => this.set({ units: value }),
      })}
      ${inputField({
        id: "offer-per-customer",
        label: this.t("studio.offer_per_customer"),
        value: this.draft.perCustomer,
        mode: "numeric",
        max: 4,
        testid: "offer-per-customer",
        hint: this.t("studio.offer_per_customer_hint"),
        why: whyFor(whys, "per_customer", "limit.per_customer"),
        change: (value) => this.set({ perCustomer: value }),
      })}</div>`;
  }

  private names(whys: Whys): TemplateResult {
    const { texts } = this.draft;
    return html`<details class="more" ?open=${Boolean(whyFor(whys, "texts"))}><summary>${this.t("studio.offer_name")}</summary>
      <div class="stack">${this.app.shop.languages.map((language) =>
        inputField({
          id: `offer-text-${language}`,
          label: languageName(language, this.app.words.lang),
          value: texts[language] ?? "",
          max: 80,
          testid: `offer-text-${language}`,
          placeholder: this.product.title,
          why: whyFor(whys, `texts.${language}`) ?? whys["texts"],
          change: (value) => this.set({ texts: { ...texts, [language]: value } }),
        }),
      )}</div></details>`;
  }
}
