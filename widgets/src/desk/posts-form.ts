/** A new post beside what will be sent, word for word. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiProblem } from "../state/api";
import { areaField, focusFirstWrong, inputField, radioField, selectField, whysOf, type Whys } from "../studio/fields";
import { icon } from "../studio/icons";
import { Latest } from "../studio/latest";
import type { Found } from "../studio/product-search";
import "../studio/product-search";
import { productFace } from "../studio/product-words";
import { whenWords as showTime } from "../studio/show-words";
import { empty, explain, LoadingView } from "../studio/view";
import { localZone, wallToInstant } from "../studio/zone";
import type { Connection, Connections, Post, PostInput, PostPreview, Product, Show, ShowState } from "../wire.gen";
import { languageName } from "./channels-fields";
import { roleIcon } from "./channels-words";
import { OWN_TIMING, POST_KINDS, type PostKind } from "./posts-words";

const FIELDS = ["connection_id", "kind", "show_id", "product_id", "language", "template", "when", "send_at", "minutes_before"];
const REMINDER_MINUTES = 30;
const MAX_TEMPLATE = 4_000;
/** What a template of one's own begins with. */
const STARTERS = {
  show: "{{ show_title }}\n{{ when }}\n\n{{ description | may_shorten }}\n\n{{ link }}",
  product: "{{ product_title }}: {{ price }}\n\n{{ description | may_shorten }}\n\n{{ link }}",
} as const;
/** What is to be said of a show in this state. */
const KIND_OF: Partial<Record<ShowState, PostKind>> = { draft: "announce", scheduled: "announce", live: "live_now", replay: "replay" };

interface Page {
  connections: Connection[];
  shows: Show[];
}

interface Draft {
  connectionId: string;
  kind: PostKind;
  showId: string;
  product: Product | null;
  language: string;
  /** Null: that of the house. */
  template: string | null;
  isPaid: boolean;
  when: "now" | "at" | "own";
  /** As typed, in the zone of the browser. */
  at: string;
  minutes: string;
}

@customElement("desk-post-form")
export class PostForm extends LoadingView<Page> {
  /** The show it begins with. */
  @property() showId: string | null = null;
  @state() private draft: Draft | null = null;
  @state() private whys: Whys = {};
  @state() private busy = false;
  private tried = false;
  /** The kind was chosen, not taken from the show. */
  private isKindChosen = false;
  private readonly latest = new Latest<PostInput, PostPreview>(this, (input) => this.app.api.post<PostPreview>("/api/posts/preview", input));

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("posts.new")} · ${this.app.shop.name}`;
  }

  protected override async fetch(): Promise<Page> {
    const { api } = this.app;
    const [{ connections }, { shows }] = await Promise.all([api.get<Connections>("/api/connections"), api.get<{ shows: Show[] }>("/api/shows")]);
    const posters = connections.filter(({ roles, is_leaving }) => roles.includes("poster") && !is_leaving);
    const first = posters[0];
    if (first && this.draft === null) {
      const show = shows.find(({ id }) => id === this.showId) ?? null;
      this.draft = {
        connectionId: first.id,
        kind: (show && KIND_OF[show.state]) ?? "announce",
        showId: show?.id ?? "",
        product: null,
        language: first.language,
        template: null,
        isPaid: false,
        when: "now",
        at: "",
        minutes: String(REMINDER_MINUTES),
      };
    }
    return { connections: posters, shows };
  }

  private set(change: Partial<Draft>): void {
    if (!this.draft) return;
    this.draft = { ...this.draft, ...change };
    this.whys = {};
  }

  /** A show that is on air is not announced any more: the kind follows, unless it was chosen. */
  private choose(show: Show | null, draft: Draft): void {
    const isFree = show !== null && !this.isKindChosen && draft.kind !== "product_moment";
    this.set({ showId: show?.id ?? "", kind: isFree ? (KIND_OF[show.state] ?? draft.kind) : draft.kind });
  }

  /** What is sent to the server; null: something it needs is still to be chosen. */
  private input(draft: Draft): PostInput | null {
    const isProduct = draft.kind === "product_moment";
    if (isProduct ? !draft.product || (draft.when === "own" && !draft.showId) : !draft.showId) return null;
    const input: PostInput = { connection_id: draft.connectionId, kind: draft.kind, language: draft.language, is_paid_partnership: draft.isPaid };
    if (draft.showId) input.show_id = draft.showId;
    if (isProduct && draft.product) input.product_id = draft.product.id;
    if (draft.template !== null) {
      if (!draft.template.trim()) return null;
      input.template = draft.template;
    }
    if (draft.when === "own") {
      input.when = OWN_TIMING[draft.kind];
      if (draft.kind === "reminder" && /^\d+$/.test(draft.minutes.trim())) input.minutes_before = Number(draft.minutes);
    }
    return input;
  }

  private missing(draft: Draft): Whys {
    const whys: Record<string, string> = {};
    if (draft.kind === "product_moment" && !draft.product) whys["product_id"] = this.t("posts.product_missing");
    if ((draft.kind !== "product_moment" || draft.when === "own") && !draft.showId) whys["show_id"] = this.t("posts.show_missing");
    if (draft.template !== null && !draft.template.trim()) whys["template"] = this.t("posts.template_missing");
    if (draft.when === "at") {
      const found = draft.at ? wallToInstant(draft.at, localZone()) : null;
      if (!found) whys["send_at"] = this.t("posts.at_missing");
      else if (found.at.getTime() <= Date.now()) whys["send_at"] = this.t("posts.at_past");
    }
    if (draft.when === "own" && draft.kind === "reminder" && !/^[1-9]\d{0,4}$/.test(draft.minutes.trim())) whys["minutes_before"] = this.t("posts.minutes_wrong");
    return whys;
  }

  private async send(event: Event, draft: Draft): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    this.tried = true;
    const whys = this.missing(draft);
    const input = this.input(draft);
    if (Object.keys(whys).length > 0 || !input) {
      this.requestUpdate();
      return this.showFirstWrong();
    }
    if (draft.when === "at") input.send_at = wallToInstant(draft.at, localZone())?.at.toISOString() ?? null;
    this.busy = true;
    try {
      await this.app.api.post<Post>("/api/posts", input);
      this.app.toast(this.t(draft.when === "now" ? "posts.sent_off" : "posts.planned"), "good");
      location.hash = "#/posts";
    } catch (error) {
      this.whys = this.whysOf(error, draft);
      await this.showFirstWrong();
    } finally {
      this.busy = false;
    }
  }

  /** What is wrong with the words is wrong with the merchant's template, where it is his. */
  private whysOf(error: unknown, draft: Draft): Whys {
    const isOfWords = error instanceof ApiProblem && (error.code === "bad_template" || error.code === "too_long");
    if (isOfWords && draft.template !== null) return { template: explain(error, this.app.words) };
    return whysOf(error, this.app.words, FIELDS);
  }

  private async showFirstWrong(): Promise<void> {
    await this.updateComplete;
    focusFirstWrong(this);
  }

  protected override render(): TemplateResult {
    return html`<div class="page-bar"><a class="icon-btn" href="#/posts" aria-label=${this.t("studio.back")}>${icon("back")}</a><h1>${this.t("posts.new")}</h1></div>${super.render()}`;
  }

  protected override ready(page: Page): TemplateResult {
    const { draft } = this;
    if (!draft) return empty(this.t("posts.no_account"), this.t("posts.no_account_hint"), html`<a class="btn btn-primary" href="#/channels/new">${this.t("channels.connect")}</a>`);
    this.latest.ask(this.input(draft));
    const asked = this.latest.error ? this.whysOf(this.latest.error, draft) : {};
    const whys: Whys = { ...asked, ...this.whys, ...(this.tried ? this.missing(draft) : {}) };
    return html`<div class="with-preview with-bar">
      <form class="sheet" id="post-form" novalidate data-testid="post-form" @submit=${(event: Event) => void this.send(event, draft)}>
        <section class="card" aria-labelledby="post-what"><h2 id="post-what">${this.t("posts.section_what")}</h2>${this.whatFields(draft, page, whys)}</section>
        <section class="card" aria-labelledby="post-words"><h2 id="post-words">${this.t("posts.section_words")}</h2>${this.wordFields(draft, whys)}</section>
        <section class="card" aria-labelledby="post-when"><h2 id="post-when">${this.t("posts.section_when")}</h2>${this.whenFields(draft, whys)}</section>
      </form>
      <aside class="card preview" tabindex="0" aria-labelledby="post-preview-title" data-testid="post-preview">${this.preview(draft, page, asked)}</aside>
      <div class="save-bar"><div role="alert">${this.whys[""] ? html`<p class="problem" data-testid="post-problem">${icon("warn")}<span>${this.whys[""]}</span></p>` : nothing}</div>
          <a class="btn" href="#/posts">${this.t("studio.cancel")}</a>
          <button class="btn btn-primary" form="post-form" data-testid="send-post" ?disabled=${this.busy}>${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon(draft.when === "now" ? "send" : "clock")}${this.t(draft.when === "now" ? "posts.send" : "posts.schedule")}</button></div>
    </div>`;
  }

  private whatFields(draft: Draft, page: Page, whys: Whys): TemplateResult {
    const { words } = this.app;
    const isProduct = draft.kind === "product_moment";
    const shows = [...page.shows].reverse();
    return html`${selectField({
        id: "post-connection",
        label: this.t("posts.channel"),
        value: draft.connectionId,
        testid: "post-connection",
        why: whys["connection_id"],
        change: (value) => this.set({ connectionId: value, language: page.connections.find(({ id }) => id === value)?.language ?? draft.language }),
        choices: page.connections.map(({ id, title, connector_title }) => ({ value: id, label: title === connector_title ? title : `${title} (${connector_title})` })),
      })}
      ${radioField({
        id: "post-kind",
        label: this.t("posts.kind"),
        value: draft.kind,
        testid: "post-kind",
        change: (value) => {
          this.isKindChosen = true;
          this.set({ kind: value as PostKind });
        },
        choices: POST_KINDS.map((value) => ({ value, label: this.t(`posts.kind_${value}`), hint: this.t(`posts.about_${value}`) })),
      })}
      ${selectField({
        id: "post-show",
        label: this.t(isProduct ? "posts.show_optional" : "posts.show"),
        value: draft.showId,
        testid: "post-show",
        why: whys["show_id"],
        change: (value) => this.choose(shows.find(({ id }) => id === value) ?? null, draft),
        choices: [{ value: "", label: this.t(isProduct ? "posts.show_none" : "posts.show_choose") }, ...shows.map((show) => ({ value: show.id, label: `${show.title} · ${this.t(`page.state_${show.state}`)} · ${showTime(show, words)}` }))],
      })}
      ${isProduct ? this.productField(draft, whys["product_id"]) : nothing}`;
  }

  private productField(draft: Draft, why: string | undefined): TemplateResult {
    return html`<div class="field" role="group" aria-labelledby="post-product"><span class="label" id="post-product">${this.t("posts.product")}</span>
      ${draft.product
        ? html`<div class="row rows chosen-product" data-testid="post-product"><span class="row-main">${productFace(draft.product, null, this.app.words)}</span>
            <button type="button" class="btn btn-outline btn-small" data-testid="other-product" @click=${() => this.set({ product: null })}>${this.t("posts.product_other")}</button></div>`
        : html`<studio-product-search .app=${this.app} @pick=${(event: CustomEvent<Found>) => this.set({ product: event.detail.product })}></studio-product-search>`}
      ${why ? html`<p class="error" role="alert">${why}</p>` : nothing}</div>`;
  }

  private wordFields(draft: Draft, whys: Whys): TemplateResult {
    const { shop, words } = this.app;
    return html`${shop.languages.length > 1
        ? selectField({
            id: "post-language",
            label: this.t("posts.language"),
            value: draft.language,
            testid: "post-language",
            why: whys["language"],
            change: (value) => this.set({ language: value }),
            choices: shop.languages.map((value) => ({ value, label: languageName(value, words.lang) })),
          })
        : nothing}
      ${radioField({
        id: "post-template",
        label: this.t("posts.text"),
        value: draft.template === null ? "house" : "own",
        testid: "post-text-by",
        inline: true,
        change: (value) => this.set({ template: value === "house" ? null : (draft.template ?? STARTERS[draft.kind === "product_moment" ? "product" : "show"]) }),
        choices: ["house", "own"].map((value) => ({ value, label: this.t(`posts.text_${value}`) })),
      })}
      ${draft.template === null
        ? this.houseTemplate()
        : html`${areaField({ id: "post-template-text", label: this.t("posts.template"), rows: 8, max: MAX_TEMPLATE, value: draft.template, testid: "post-template-text", why: whys["template"], change: (value) => this.set({ template: value }) })}
            <details class="more"><summary>${this.t("posts.template_help")}</summary><p class="hint template-help">${this.t("posts.template_names")}</p></details>`}
      <div class="field"><label class="check"><input type="checkbox" class="switch" role="switch" id="post-paid" data-testid="post-paid" aria-describedby="post-paid-hint" .checked=${draft.isPaid}
          @change=${(event: Event) => this.set({ isPaid: (event.target as HTMLInputElement).checked })} /><span>${this.t("posts.paid")}</span></label>
        <p class="hint" id="post-paid-hint">${this.t("posts.paid_hint")}</p></div>`;
  }

  private houseTemplate(): TemplateResult | typeof nothing {
    const template = this.latest.value?.template;
    if (!template) return nothing;
    return html`<details class="more"><summary>${this.t("posts.house_template")}</summary><pre class="template-source" tabindex="0" data-testid="house-template">${template}</pre></details>`;
  }

  private whenFields(draft: Draft, whys: Whys): TemplateResult {
    const own = OWN_TIMING[draft.kind];
    return html`${radioField({
        id: "post-timing",
        label: this.t("posts.when"),
        value: draft.when,
        testid: "post-when",
        change: (value) => this.set({ when: value as Draft["when"] }),
        choices: [
          { value: "now", label: this.t("posts.now") },
          { value: "at", label: this.t("posts.at") },
          { value: "own", label: this.t(`posts.when_${own}`), hint: this.t("posts.own_hint") },
        ],
      })}
      ${draft.when === "at"
        ? inputField({ id: "post-at", label: this.t("posts.at_time"), type: "datetime-local", value: draft.at, testid: "post-at", hint: this.t("posts.at_zone", { zone: localZone() }), why: whys["send_at"], change: (value) => this.set({ at: value }) })
        : nothing}
      ${draft.when === "own" && draft.kind === "reminder"
        ? inputField({ id: "post-minutes", label: this.t("posts.minutes"), value: draft.minutes, mode: "numeric", unit: "min", testid: "post-minutes", why: whys["minutes_before"], change: (value) => this.set({ minutes: value }) })
        : nothing}
      ${whys["when"] ? html`<p class="error" role="alert">${whys["when"]}</p>` : nothing}`;
  }

  private preview(draft: Draft, page: Page, asked: Whys): TemplateResult {
    const connection = page.connections.find(({ id }) => id === draft.connectionId);
    const { value, busy, error } = this.latest;
    const why = error ? Object.values(asked)[0] : "";
    return html`<h2 id="post-preview-title">${this.t("posts.preview")}</h2>
      ${connection?.needs_authorisation || connection?.state === "attention" || connection?.state === "paused"
        ? html`<p class="note note-warn preview-note">${icon("warn")}<span>${this.t(connection.needs_authorisation ? "posts.unauthorised" : `posts.connection_${connection.state}`)}</span></p>`
        : nothing}
      <div class="preview-body ${busy && value ? "is-old" : ""}" aria-busy=${busy ? "true" : "false"}>
        ${why ? html`<p class="problem" role="status" data-testid="preview-problem">${icon("warn")}<span>${why}</span></p>` : nothing}
        ${value && connection
          ? this.mock(value, connection, draft)
          : why
            ? nothing
            : html`<p class="hint" data-testid="preview-hint">${busy ? html`<span class="spinner" aria-hidden="true"></span> ${this.t("studio.loading")}` : this.t(this.hintKey(draft))}</p>`}
      </div>`;
  }

  private hintKey(draft: Draft): string {
    if (draft.template !== null && !draft.template.trim()) return "posts.template_missing";
    return draft.kind === "product_moment" && !draft.product ? "posts.preview_product" : "posts.preview_show";
  }

  private mock(value: PostPreview, connection: Connection, draft: Draft): TemplateResult {
    return html`${value.notes.length > 0 ? html`<div class="note" data-testid="preview-notes">${icon("info")}<ul class="bullets">${value.notes.map((note) => html`<li>${note}</li>`)}</ul></div>` : nothing}
      <article class="mock" aria-label=${this.t("posts.preview")}>
        <header><span class="connection-icon" aria-hidden="true">${roleIcon(connection)}</span><p><strong>${connection.title}</strong><span class="quiet">${connection.connector_title}${draft.isPaid ? html` · ${this.t("posts.paid_short")}` : nothing}</span></p></header>
        <p class="post-text" data-testid="preview-text" lang=${draft.language}>${value.text}</p>
        ${value.images.map(
          (image) => html`<figure><img src=${image.url} alt=${image.alt} width=${image.width} height=${image.height} data-testid="preview-image" />
            <figcaption><span class="badge">ALT</span> ${image.alt || this.t("posts.no_alt")}</figcaption></figure>`,
        )}
        ${value.link ? html`<p class="mock-link" data-testid="preview-link">${icon("external")}<span>${value.link}</span></p>` : nothing}
      </article>
      <p class="post-length ${value.length > value.limit ? "error" : "quiet"}" data-testid="preview-length">${this.t("posts.length", { length: value.length, limit: value.limit })}</p>
      ${value.cost ? html`<p class="note" data-testid="preview-cost">${icon("info")}<span>${value.cost}</span></p>` : nothing}
      <p class="hint">${this.t(draft.when === "now" ? "posts.preview_now" : "posts.preview_later")}</p>`;
  }
}
