/** Where a show is sent on to: each destination with its switch and how it does, and the form to add one. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Destination, DestinationList, Leg, Show, Simulcast } from "../wire.gen";
import { focusFirstWrong, inputField, whyFor, whysOf, type Whys } from "./fields";
import { icon } from "./icons";
import { addressWhy, isInTrouble, legFacts, legLook, legTitle, legTrouble } from "./simulcast-words";
import { explain, failure, LoadingView } from "./view";

const ASK_EVERY_MS = 2_000;

interface Draft {
  /** Of the one that is changed; "" for a new one. */
  id: string;
  name: string;
  url: string;
  key: string;
  /** The address that is stored, which the stored key belongs to. */
  savedUrl: string;
  /** Its connection supplies address and key. */
  byConnection: boolean;
}

/** The stored key is sent to no other address, so it has to be entered again. */
function isMoved(draft: Draft): boolean {
  return draft.id !== "" && !draft.byConnection && draft.url.trim() !== draft.savedUrl;
}

function keyHint(draft: Draft): string {
  if (!draft.id) return "simulcast.key_hint";
  return isMoved(draft) ? "simulcast.key_moved" : "simulcast.key_kept";
}

@customElement("studio-simulcast")
export class SimulcastCard extends LoadingView<Simulcast> {
  @property({ attribute: false }) show!: Show;
  @state() private draft: Draft | null = null;
  @state() private whys: Whys = {};
  @state() private busy = false;
  /** A host may be sharing this very screen. */
  @state() private shown = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** What was asked before an act is answered with what was. */
  private acts = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.later();
  }

  override disconnectedCallback(): void {
    clearTimeout(this.timer);
    super.disconnectedCallback();
  }

  private get path(): string {
    return `/api/shows/${encodeURIComponent(this.show.id)}/simulcast`;
  }

  private get over(): boolean {
    return this.show.state === "ended" || this.show.state === "replay";
  }

  protected override fetch(): Promise<Simulcast> {
    return this.app.api.get<Simulcast>(this.path);
  }

  /** One question at a time, however slow the line. */
  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), ASK_EVERY_MS);
  }

  private async look(): Promise<void> {
    if (!document.hidden && !this.busy && !this.over && this.loaded.kind === "ready") await this.again();
    if (this.isConnected) this.later();
  }

  /** A question that fails says nothing: the sheet above tells that the server is away. */
  private async again(): Promise<void> {
    const { acts } = this;
    try {
      const told = await this.fetch();
      if (acts === this.acts && this.isConnected) this.replace(told);
    } catch {
      // The next one may go through.
    }
  }

  private async act(what: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.acts += 1;
    try {
      await what();
    } finally {
      this.busy = false;
    }
  }

  private async turn(leg: Leg, input: HTMLInputElement): Promise<void> {
    await this.act(async () => {
      try {
        this.replace(await this.app.api.put<Simulcast>(`${this.path}/${encodeURIComponent(leg.destination_id)}`, { is_on: input.checked }));
      } catch (error) {
        input.checked = leg.is_on;
        this.complain(error);
      }
    });
  }

  private async drop(leg: Leg): Promise<void> {
    const yes = this.t("simulcast.remove");
    const text = this.t("simulcast.ask_remove_text");
    if ((await this.app.ask({ title: this.t("simulcast.ask_remove", { name: leg.name }), text, yes, danger: true })) === null) return;
    await this.act(async () => {
      try {
        await this.app.api.del<unknown>(`/api/destinations/${encodeURIComponent(leg.destination_id)}`);
        if (this.draft?.id === leg.destination_id) this.draft = null;
      } catch (error) {
        this.complain(error);
      }
      await this.load(true);
    });
  }

  private async open(leg: Leg | null): Promise<void> {
    this.whys = {};
    this.shown = false;
    if (leg === null) {
      this.draft = { id: "", name: "", url: "", key: "", savedUrl: "", byConnection: false };
    } else {
      let found: Destination | undefined;
      try {
        const { destinations } = await this.app.api.get<DestinationList>("/api/destinations");
        found = destinations.find(({ id }) => id === leg.destination_id);
      } catch (error) {
        this.complain(error);
      }
      if (!found) return;
      this.draft = { id: found.id, name: found.name, url: found.url, key: "", savedUrl: found.url, byConnection: found.connection_id !== null };
    }
    await this.updateComplete;
    this.querySelector<HTMLElement>("#destination-name")?.focus();
  }

  private wrong(draft: Draft): Whys {
    const why: Record<string, string> = {};
    if (!draft.name.trim()) why["name"] = this.t("simulcast.name_missing");
    const url = draft.byConnection ? "" : addressWhy(draft.url, this.app.words);
    if (url) why["url"] = url;
    if (!draft.key.trim()) {
      if (!draft.id) why["key"] = this.t("simulcast.key_missing");
      else if (isMoved(draft)) why["key"] = this.t("simulcast.key_moved");
    }
    return why;
  }

  private async save(event: Event, draft: Draft): Promise<void> {
    event.preventDefault();
    this.whys = this.wrong(draft);
    if (Object.keys(this.whys).length > 0) {
      await this.updateComplete;
      focusFirstWrong(this);
      return;
    }
    await this.act(async () => {
      const name = draft.name.trim();
      const address = draft.byConnection ? {} : { url: draft.url.trim() };
      const key = draft.key.trim() ? { key: draft.key.trim() } : {};
      try {
        const given = { name, ...address, ...key };
        if (draft.id) await this.app.api.patch<Destination>(`/api/destinations/${encodeURIComponent(draft.id)}`, given);
        else await this.app.api.post<Destination>("/api/destinations", given);
        this.draft = null;
        await this.load(true);
        if (!draft.id) this.app.toast(this.t("simulcast.added", { name }));
      } catch (error) {
        const whys = whysOf(error, this.app.words, ["name", "url", "key"]);
        this.whys = Object.keys(whys).length > 0 ? whys : { "": explain(error, this.app.words) };
      }
    });
    await this.updateComplete;
    if (this.draft === null) this.querySelector<HTMLElement>("[data-testid=add-destination]")?.focus();
  }

  protected override render(): TemplateResult {
    return html`<section class="stack simulcast" aria-labelledby="simulcast-title" data-testid="simulcast">
      <h3 id="simulcast-title">${this.t("simulcast.title")}</h3>
      ${this.content()}
    </section>`;
  }

  private content(): TemplateResult {
    if (this.loaded.kind === "loading") return html`<p class="quiet" role="status">${this.t("studio.loading")}</p>`;
    if (this.loaded.kind === "failed") return failure(this.loaded.why, this.t("studio.try_again"), () => void this.load());
    return this.ready(this.loaded.value);
  }

  protected override ready({ legs }: Simulcast): TemplateResult {
    const shown = this.over ? legs.filter((leg) => leg.is_on) : legs;
    return html`${shown.length === 0 ? html`<p class="quiet">${this.t(this.over ? "simulcast.over" : "simulcast.none")}</p>` : nothing}
      <ul class="legs">${repeat(
        shown,
        (leg) => leg.destination_id,
        (leg) => this.row(leg),
      )}</ul>
      ${this.over
        ? nothing
        : this.draft
          ? this.form(this.draft)
          : html`<div><button class="btn btn-outline btn-small" data-testid="add-destination" @click=${() => void this.open(null)}>${icon("plus")}${this.t("simulcast.add")}</button></div>`}`;
  }

  private row(leg: Leg): TemplateResult {
    const { words } = this.app;
    const look = legLook(leg);
    const facts = legFacts(leg, words);
    const trouble = legTrouble(leg, words);
    const label = this.t("simulcast.switch", { name: leg.name });
    const act = (key: string, name: "edit" | "trash", run: () => void): TemplateResult =>
      html`<button class="icon-btn" data-testid="${key}-destination" ?disabled=${this.busy} aria-label=${this.t(`simulcast.${key}_one`, { name: leg.name })}
        title=${this.t(`simulcast.${key}`)} @click=${run}>${icon(name)}</button>`;
    return html`<li class="leg" data-testid="leg" data-state=${leg.state}>
      <span class="video-dot is-${look}" aria-hidden="true"></span>
      <div class="leg-text"><p class="row-title">${leg.name}</p>
        <p class="quiet" data-testid="leg-state">${legTitle(leg, words)}${facts ? html` · <span class="leg-facts">${facts}</span>` : nothing}</p></div>
      ${this.over
        ? nothing
        : html`<span class="leg-acts">${act("change", "edit", () => void this.open(leg))}${act("remove", "trash", () => void this.drop(leg))}</span>
            <input type="checkbox" class="switch" role="switch" data-testid="leg-switch" aria-label=${label} .checked=${leg.is_on} ?disabled=${this.busy}
              @change=${(event: Event) => void this.turn(leg, event.target as HTMLInputElement)} />`}
      ${isInTrouble(leg) ? html`<p class="note note-${leg.state === "refused" ? "bad" : "warn"} leg-trouble" data-testid="leg-trouble">${icon("warn")}<span>${trouble}</span></p>` : nothing}
    </li>`;
  }

  private form(draft: Draft): TemplateResult {
    const set = (change: Partial<Draft>): void => {
      this.draft = { ...draft, ...change };
    };
    const { whys } = this;
    const name = inputField({
      id: "destination-name",
      label: this.t("simulcast.name"),
      value: draft.name,
      max: 100,
      testid: "destination-name",
      why: whyFor(whys, "name"),
      change: (value) => set({ name: value }),
    });
    const title = this.t(draft.id ? "simulcast.change_title" : "simulcast.add");
    return html`<form class="stack leg-form" novalidate aria-label=${title} data-testid="destination-form" @submit=${(event: Event) => void this.save(event, draft)}>
      <h4>${title}</h4>
      ${name}
      ${draft.byConnection ? html`<p class="quiet">${this.t("simulcast.by_connection")}</p>` : html`${this.addressField(draft, set)}${this.keyField(draft, set)}`}
      ${whyFor(whys, "") ? html`<p class="error" role="alert">${whys[""]}</p>` : nothing}
      <div class="leg-form-acts"><button class="btn btn-primary btn-small" data-testid="save-destination" ?disabled=${this.busy}>${this.t("studio.save")}</button>
        <button type="button" class="btn btn-ghost btn-small" @click=${() => (this.draft = null)}>${this.t("studio.cancel")}</button></div>
    </form>`;
  }

  private addressField(draft: Draft, set: (change: Partial<Draft>) => void): TemplateResult {
    return inputField({
      id: "destination-url",
      label: this.t("simulcast.url"),
      value: draft.url,
      hint: this.t("simulcast.url_hint"),
      max: 2000,
      mode: "url",
      placeholder: "rtmps://",
      testid: "destination-url",
      why: whyFor(this.whys, "url"),
      change: (value) => set({ url: value }),
    });
  }

  private keyField(draft: Draft, set: (change: Partial<Draft>) => void): TemplateResult {
    const why = whyFor(this.whys, "key");
    const label = this.t(this.shown ? "studio.key_hide" : "studio.key_show");
    return html`<div class="field"><label for="destination-key">${this.t("simulcast.key")}</label>
      <span class="copy-row"><input class="input code" id="destination-key" type=${this.shown ? "text" : "password"} autocomplete="off" spellcheck="false" maxlength="1000"
          data-testid="destination-key" .value=${draft.key} aria-invalid=${why ? "true" : nothing} aria-describedby=${why ? "destination-key-hint destination-key-why" : "destination-key-hint"}
          @input=${(event: Event) => set({ key: (event.target as HTMLInputElement).value })} />
        <button type="button" class="icon-btn" aria-pressed=${this.shown ? "true" : "false"} aria-label=${label} title=${label} @click=${() => (this.shown = !this.shown)}>${icon("eye")}</button></span>
      <p class="hint" id="destination-key-hint">${this.t(keyHint(draft))}</p>
      ${why ? html`<p class="error" id="destination-key-why">${why}</p>` : nothing}</div>`;
  }
}
