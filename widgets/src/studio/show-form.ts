/** Creating and editing a show. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { picture } from "../ui/picture";
import type { Api } from "../state/api";
import type { Image, Product, Show, ShowInput } from "../wire.gen";
import { minutesText, parseMinutes } from "./amounts";
import { inputField, radioField } from "./fields";
import { icon } from "./icons";
import { languageName } from "./kind-words";
import "./lineup-picker";
import { explain, LoadingView } from "./view";
import { allZones, instantToWall, localZone, wallToInstant } from "./zone";

const UPLOAD_WITHIN_MS = 120_000;
const HOLD_SECONDS_MIN = 60;
const HOLD_SECONDS_MAX = 86_400;

interface Draft {
  show: Show | null;
  title: string;
  description: string;
  languages: string[];
  zone: string;
  /** Value of the datetime-local field, wall time in `zone`; "" means not planned yet. */
  wall: string;
  host: string;
  cover: Image | null;
  products: Product[];
  replayUrl: string;
  holdMode: Show["hold_mode"];
  /** As typed; "" is the shop's own time. */
  holdMinutes: string;
  audience: Show["audience"];
}

@customElement("studio-show-form")
export class ShowForm extends LoadingView<Draft> {
  @property() showId: string | null = null;
  @state() private busy = false;
  @state() private uploading = false;
  @state() private why = "";
  @state() private coverWhy = "";
  @state() private untitled = false;
  @state() private holdWhy = "";
  private dirty = false;

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("beforeunload", this.leaving);
    document.title = `${this.t(this.showId ? "studio.edit" : "studio.new_show")} · ${this.app.shop.name}`;
  }

  override disconnectedCallback(): void {
    removeEventListener("beforeunload", this.leaving);
    super.disconnectedCallback();
  }

  private readonly leaving = (event: BeforeUnloadEvent): void => {
    if (this.dirty) event.preventDefault();
  };

  protected override async fetch(): Promise<Draft> {
    const { api, shop, staff } = this.app;
    if (!this.showId) {
      return {
        show: null,
        title: "",
        description: "",
        languages: shop.languages.slice(0, 1),
        zone: localZone(),
        wall: "",
        host: staff.name,
        cover: null,
        products: [],
        replayUrl: "",
        holdMode: "hold_on_add",
        holdMinutes: "",
        audience: "everyone",
      };
    }
    const show = await api.get<Show>(`/api/shows/${encodeURIComponent(this.showId)}`);
    const products = await Promise.all(
      show.lineup.map((id) => api.get<Product>(`/api/products/${encodeURIComponent(id)}`)),
    );
    return {
      show,
      title: show.title,
      description: show.description,
      languages: show.languages,
      zone: show.time_zone,
      wall: show.starts_at ? instantToWall(new Date(show.starts_at), show.time_zone) : "",
      host: show.host_name ?? "",
      cover: show.cover,
      products,
      replayUrl: show.replay_url ?? "",
      holdMode: show.hold_mode,
      holdMinutes: show.hold_seconds === null ? "" : minutesText(show.hold_seconds, this.app.words.lang),
      audience: show.audience,
    };
  }

  private set(change: Partial<Draft>): void {
    if (this.loaded.kind !== "ready") return;
    this.dirty = true;
    this.replace({ ...this.loaded.value, ...change });
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    if (this.loaded.kind !== "ready" || this.busy) return;
    const draft = this.loaded.value;
    this.untitled = draft.title.trim() === "";
    if (this.untitled) {
      this.querySelector<HTMLInputElement>("#show-title")?.focus();
      return;
    }
    this.holdWhy = holdSeconds(draft, this.app.words.lang) === undefined ? this.t("studio.form_hold_wrong") : "";
    if (this.holdWhy) {
      this.querySelector<HTMLInputElement>("#hold-minutes")?.focus();
      return;
    }
    this.busy = true;
    this.why = "";
    try {
      const show = await store(this.app.api, draft, this.app.words.lang);
      this.dirty = false;
      this.app.toast(this.t("studio.saved"), "good");
      // The way back leads past the form: there a new show would begin anew.
      location.replace(`#/shows/${show.id}`);
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private async upload(event: Event): Promise<void> {
    const field = event.target as HTMLInputElement;
    const file = field.files?.[0];
    if (!file || this.loaded.kind !== "ready") return;
    this.uploading = true;
    this.coverWhy = "";
    try {
      const alt = this.loaded.value.title.trim() || file.name.replace(/\.\w+$/, "");
      const cover = await this.app.api.post<Image>(`/api/media?alt=${encodeURIComponent(alt)}`, file, {
        raw: true,
        headers: { "Content-Type": file.type || "application/octet-stream" },
        signal: AbortSignal.timeout(UPLOAD_WITHIN_MS),
      });
      this.set({ cover });
    } catch (error) {
      this.coverWhy = explain(error, this.app.words);
    } finally {
      this.uploading = false;
      field.value = "";
    }
  }

  private toggleLanguage(language: string, on: boolean, draft: Draft): void {
    const rest = draft.languages.filter((other) => other !== language);
    this.set({ languages: on ? [...rest, language] : rest });
  }

  protected override ready(draft: Draft): TemplateResult {
    const heading = draft.show ? draft.show.title : this.t("studio.new_show");
    const target = draft.show ? `#/shows/${draft.show.id}` : "#/";
    return html`
      <div class="page-bar"><a class="icon-btn" href=${target} aria-label=${this.t("studio.back")}>${icon("back")}</a><h1>${heading}</h1></div>
      <form class="sheet" novalidate @submit=${(event: Event) => void this.save(event)}>
        <section class="card" aria-labelledby="about-title">
          <h2 id="about-title">${this.t("studio.form_about")}</h2>
          <label class="field"><span>${this.t("studio.form_title")}</span>
            <input id="show-title" class="input" required maxlength="200" .value=${draft.title} aria-invalid=${this.untitled ? "true" : nothing}
              aria-describedby=${this.untitled ? "title-why" : nothing}
              @input=${(event: Event) => this.set({ title: (event.target as HTMLInputElement).value })} /></label>
          ${this.untitled ? html`<p id="title-why" class="error" role="alert">${this.t("studio.form_title_missing")}</p>` : nothing}
          <label class="field"><span>${this.t("studio.form_description")}</span>
            <textarea class="input" rows="5" maxlength="5000" .value=${draft.description}
              @input=${(event: Event) => this.set({ description: (event.target as HTMLTextAreaElement).value })}></textarea></label>
          <label class="field"><span>${this.t("studio.form_host")}</span>
            <input class="input" maxlength="100" .value=${draft.host} @input=${(event: Event) => this.set({ host: (event.target as HTMLInputElement).value })} /></label>
          <fieldset class="field"><legend>${this.t("studio.form_languages")}</legend>
            <div class="checks">${[...new Set([...this.app.shop.languages, ...draft.languages])].map(
              (language) => html`<label class="check"><input type="checkbox" .checked=${draft.languages.includes(language)}
                @change=${(event: Event) => this.toggleLanguage(language, (event.target as HTMLInputElement).checked, draft)} />
                <span>${languageName(language, this.app.words.lang)}</span></label>`,
            )}</div></fieldset>
        </section>
        <section class="card" aria-labelledby="time-title">
          <h2 id="time-title">${this.t("studio.form_time")}</h2>
          <div class="pair">
            <label class="field"><span>${this.t("studio.form_starts")}</span>
              <input class="input" type="datetime-local" .value=${draft.wall} @change=${(event: Event) => this.set({ wall: (event.target as HTMLInputElement).value })} /></label>
            <label class="field"><span>${this.t("studio.form_zone")}</span>
              <select class="input" @change=${(event: Event) => this.set({ zone: (event.target as HTMLSelectElement).value })}>
                ${zonesWith(draft.zone).map((zone) => html`<option value=${zone} ?selected=${zone === draft.zone}>${zone.replaceAll("_", " ")}</option>`)}
              </select></label>
          </div>
          ${this.timeWords(draft)}
        </section>
        ${this.audience(draft)}
        ${this.holds(draft)}
        <section class="card" aria-labelledby="cover-title">
          <h2 id="cover-title">${this.t("studio.form_cover")}</h2>
          <div class="cover">
            <span class="cover-picture">${draft.cover ? picture(draft.cover, { sizes: "20rem" }) : html`<span class="no-picture">${icon("image")}</span>`}</span>
            <div class="cover-acts">
              <p class="hint" id="cover-hint">${this.t("studio.form_cover_hint")}</p>
              <span class="file btn btn-outline">${this.uploading ? html`<span class="spinner" aria-hidden="true"></span>` : icon("upload")}
                <span>${this.t(draft.cover ? "studio.form_cover_change" : "studio.form_cover_choose")}</span>
                <input type="file" accept="image/jpeg,image/png,image/webp,image/avif" aria-label=${this.t("studio.form_cover_choose")} aria-describedby="cover-hint"
                  ?disabled=${this.uploading} @change=${(event: Event) => void this.upload(event)} /></span>
              ${draft.cover ? html`<button type="button" class="btn btn-ghost" @click=${() => this.set({ cover: null })}>${this.t("studio.form_cover_remove")}</button>` : nothing}
              ${this.coverWhy ? html`<p class="error" role="alert">${this.coverWhy}</p>` : nothing}
            </div>
          </div>
        </section>
        <section class="card" aria-labelledby="lineup-form-title">
          <h2 id="lineup-form-title">${this.t("studio.lineup")}</h2>
          <studio-lineup-picker .app=${this.app} .products=${draft.products}
            @lineup=${(event: CustomEvent<Product[]>) => this.set({ products: event.detail })}></studio-lineup-picker>
        </section>
        ${draft.show?.state === "ended" || draft.show?.state === "replay"
          ? html`<section class="card" aria-labelledby="replay-title">
              <h2 id="replay-title">${this.t("studio.form_replay")}</h2>
              <label class="field"><span>${this.t("studio.form_replay_url")}</span>
                <input class="input" type="url" inputmode="url" .value=${draft.replayUrl}
                  @input=${(event: Event) => this.set({ replayUrl: (event.target as HTMLInputElement).value })} /></label>
              <p class="hint">${this.t("studio.form_replay_hint")}</p>
            </section>`
          : nothing}
        <div class="save-bar">
          <div role="alert">${this.why ? html`<p class="problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
          <a class="btn" href=${target}>${this.t("studio.cancel")}</a>
          <button class="btn btn-primary" data-testid="save-show" ?disabled=${this.busy || this.uploading}>
            ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${this.t("studio.save")}</button>
        </div>
      </form>`;
  }

  private audience(draft: Draft): TemplateResult {
    return html`<section class="card" aria-labelledby="audience-title">
      <h2 id="audience-title">${this.t("studio.form_audience")}</h2>
      ${radioField({
        id: "audience",
        label: this.t("studio.form_audience_who"),
        value: draft.audience,
        testid: "audience",
        change: (value) => this.set({ audience: value as Show["audience"] }),
        choices: (["everyone", "customers"] as const).map((audience) => ({
          value: audience,
          label: this.t(`studio.form_audience_${audience}`),
          hint: this.t(`studio.form_audience_${audience}_hint`),
        })),
      })}
    </section>`;
  }

  private holds(draft: Draft): TemplateResult {
    const usual = Math.round(this.app.shop.hold_seconds / 60);
    return html`<section class="card" aria-labelledby="hold-title">
      <h2 id="hold-title">${this.t("studio.form_hold")}</h2>
      ${radioField({
        id: "hold-mode",
        label: this.t("studio.form_hold_mode"),
        value: draft.holdMode,
        testid: "hold-mode",
        change: (value) => this.set({ holdMode: value as Show["hold_mode"] }),
        choices: (["hold_on_add", "first_paid"] as const).map((mode) => ({
          value: mode,
          label: this.t(`studio.form_${mode}`),
          hint: this.t(`studio.form_${mode}_hint`),
        })),
      })}
      ${draft.holdMode === "hold_on_add"
        ? html`<div class="pair">${inputField({
            id: "hold-minutes",
            label: this.t("studio.form_hold_minutes"),
            value: draft.holdMinutes,
            mode: "decimal",
            max: 7,
            testid: "hold-minutes",
            unit: this.t("studio.minutes_unit"),
            placeholder: String(usual),
            hint: this.t("studio.form_hold_minutes_hint", { count: usual }),
            why: this.holdWhy,
            change: (value) => this.set({ holdMinutes: value }),
          })}</div>`
        : nothing}
    </section>`;
  }

  /** What the wall time means for the reader, and whether the clocks change in that hour. */
  private timeWords(draft: Draft): TemplateResult {
    if (!draft.wall) return html`<p class="hint">${this.t("studio.form_no_time")}</p>`;
    const meant = wallToInstant(draft.wall, draft.zone);
    if (!meant) return html`<p class="error">${this.t("studio.form_time_wrong")}</p>`;
    const words = this.app.words.date(meant.at, { dateStyle: "full", timeStyle: "short", timeZone: localZone() });
    return html`<p class="hint">${this.t("studio.form_time_here", { time: words, zone: localZone() })}</p>
      ${meant.kind === "exact" ? nothing : html`<p class="note note-warn">${this.t(`studio.form_time_${meant.kind}`)}</p>`}`;
  }
}

/** Null: the shop's own time. Undefined: not a time a hold can last. */
function holdSeconds(draft: Draft, lang: string): number | null | undefined {
  if (draft.holdMinutes.trim() === "" || draft.holdMode === "first_paid") return null;
  const seconds = parseMinutes(draft.holdMinutes, lang);
  return seconds === null || seconds < HOLD_SECONDS_MIN || seconds > HOLD_SECONDS_MAX ? undefined : seconds;
}

/** What both creating and changing take; the lineup of an existing show has a request of its own. */
function inputOf(draft: Draft, lang: string): Omit<ShowInput, "product_ids"> {
  return {
    title: draft.title.trim(),
    description: draft.description.trim(),
    ...(draft.languages.length > 0 ? { languages: draft.languages } : {}),
    time_zone: draft.zone,
    starts_at: draft.wall ? (wallToInstant(draft.wall, draft.zone)?.at.toISOString() ?? null) : null,
    host_name: draft.host.trim(),
    cover_id: draft.cover?.id ?? null,
    hold_mode: draft.holdMode,
    hold_seconds: holdSeconds(draft, lang) ?? null,
    audience: draft.audience,
    ...(draft.show ? { replay_url: draft.replayUrl.trim() || null } : {}),
  };
}

async function store(api: Api, draft: Draft, lang: string): Promise<Show> {
  const input = inputOf(draft, lang);
  const product_ids = draft.products.map((product) => product.id);
  if (!draft.show) return api.post<Show>("/api/shows", { ...input, product_ids });
  const path = `/api/shows/${encodeURIComponent(draft.show.id)}`;
  const show = await api.patch<Show>(path, input);
  if (product_ids.join() === draft.show.lineup.join()) return show;
  return api.put<Show>(`${path}/lineup`, { product_ids });
}

function zonesWith(zone: string): string[] {
  const zones = allZones();
  return zones.includes(zone) ? zones : [zone, ...zones];
}
