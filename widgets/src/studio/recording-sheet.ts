/** Everything about a show's recording: what viewers see of it, what was made of it, how long it is kept. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import type { Recording, Show } from "../wire.gen";
import { radioField } from "./fields";
import { icon } from "./icons";
import "./recording-files";
import type { RecordingTrim } from "./recording-trim";
import "./recording-trim";
import type { RecordingWatch } from "./recording-watch";
import { bytesWords, lengthWords, recordingLook, recordingTitle } from "./recording-words";
import { explain, View } from "./view";
import "./wide-dialog";
import { instantToWall, localZone, wallToInstant } from "./zone";

const MONTH_MS = 30 * 86_400_000;

/** Fires "ls-close". */
@customElement("studio-recording")
export class RecordingSheet extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: RecordingWatch;
  /** A day as chosen, "" for ever; null: as it is. */
  @state() private keep: string | null = null;
  @state() private keepWhy = "";
  @state() private busy = false;
  @query("studio-recording-trim") private trim!: RecordingTrim | null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch.addEventListener("change", this.redraw);
    this.watch.soon();
  }

  override disconnectedCallback(): void {
    this.watch.removeEventListener("change", this.redraw);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private close(event: Event): void {
    event.stopPropagation();
    this.dispatchEvent(new CustomEvent("ls-close"));
  }

  protected override render(): TemplateResult {
    const { recording } = this.watch;
    return html`<studio-wide-dialog .open=${true} .label=${this.t("recording.title")} .closeLabel=${this.t("studio.close")}
      @ls-close=${(event: Event) => this.close(event)}>
      ${recording ? this.sheet(recording) : nothing}
    </studio-wide-dialog>`;
  }

  private sheet(recording: Recording): TemplateResult {
    const may = this.app.can("shows:write");
    const parts = { app: this.app, show: this.show, watch: this.watch };
    return html`<div class="video-sheet" data-testid="recording-sheet" @placed=${this.redraw}
      @look=${(event: CustomEvent<string>) => this.trim?.lookAt(event.detail)}>
      <div class="video-column">
        <studio-recording-trim .app=${parts.app} .show=${parts.show} .watch=${parts.watch} .version=${recording}></studio-recording-trim>
        ${may ? html`<studio-recording-clips .app=${parts.app} .show=${parts.show} .room=${this.room} .watch=${parts.watch} .version=${recording}
              .placeOf=${(date: string) => this.trim?.placeOf(date) ?? null}
              .secondsBetween=${(from: string, until: string) => this.trim?.secondsBetween(from, until) ?? null}></studio-recording-clips>` : nothing}
      </div>
      <div class="video-column">
        ${this.about(recording)}
        <studio-recording-files .app=${parts.app} .show=${parts.show} .room=${this.room} .watch=${parts.watch} .version=${recording}></studio-recording-files>
        ${may ? this.keeping(recording) : nothing}
      </div>
    </div>`;
  }

  private about(recording: Recording): TemplateResult {
    const { words } = this.app;
    const look = recordingLook(recording, this.show);
    const fact = (key: string, value: string): TemplateResult | typeof nothing =>
      value ? html`<div class="fact"><dt>${this.t(`recording.fact_${key}`)}</dt><dd data-testid="recording-${key}">${value}</dd></div>` : nothing;
    const when = recording.started_at ? words.date(recording.started_at, { dateStyle: "medium", timeStyle: "short" }) : "";
    return html`<section class="video-arrives" aria-labelledby="recording-about-title">
      <div class="video-standing is-${look}">
        <span class="video-dot is-${look}" aria-hidden="true"></span>
        <div><h3 id="recording-about-title">${recordingTitle(recording, this.show, words)}</h3>
          <p>${this.t(this.show.state === "replay" ? "recording.public_hint" : "recording.private_hint")}</p></div>
      </div>
      ${recording.shortage
        ? html`<p class="note note-warn" data-testid="recording-shortage">${icon("warn")}<span>${this.t("recording.short")}
            ${words.lang.startsWith("en") ? recording.shortage : nothing}</span></p>`
        : nothing}
      <dl class="facts">
        ${fact("when", when)}
        ${fact("length", lengthWords(recording.seconds, words))}
        ${fact("size", bytesWords(recording.bytes, words))}
        ${fact("gaps", recording.gaps > 0 ? this.t("recording.gaps_text", { count: recording.gaps }) : "")}
        ${fact("loudness", recording.loudness_lufs === null ? "" : this.t("recording.lufs", { lufs: words.number(Math.round(recording.loudness_lufs)) }))}
        ${fact("place", recording.is_archived ? this.t("recording.archived") : "")}
      </dl>
    </section>`;
  }

  private keeping(recording: Recording): TemplateResult {
    const zone = this.app.shop.time_zone || localZone();
    const until = recording.expires_at;
    const day = until ? instantToWall(new Date(until), zone).slice(0, 10) : "";
    const shown = this.keep ?? day;
    const today = instantToWall(new Date(), zone).slice(0, 10);
    const later = day || instantToWall(new Date(Date.now() + MONTH_MS), zone).slice(0, 10);
    const set = (value: string): void => {
      this.keep = value;
      this.keepWhy = "";
    };
    return html`<section class="stack recording-keep" aria-labelledby="recording-keep-title">
      <h3 id="recording-keep-title">${this.t("recording.keep")}</h3>
      <form class="stack" novalidate @submit=${(event: Event) => void this.saveKeep(event, shown, zone)}>
        ${radioField({
          id: "recording-keep",
          label: this.t("recording.keep_how"),
          value: shown ? "until" : "forever",
          inline: true,
          testid: "keep",
          change: (value) => set(value === "forever" ? "" : later),
          choices: [
            { value: "until", label: this.t("recording.keep_until") },
            { value: "forever", label: this.t("recording.keep_forever") },
          ],
        })}
        ${shown
          ? html`<label class="field"><span class="sr-only">${this.t("recording.keep_day")}</span>
              <input class="input" type="date" min=${today} data-testid="keep-day" .value=${shown} aria-invalid=${this.keepWhy ? "true" : nothing}
                @change=${(event: Event) => set((event.target as HTMLInputElement).value || later)} /></label>`
          : nothing}
        ${this.keepWhy ? html`<p class="error" role="alert">${this.keepWhy}</p>` : nothing}
        ${shown !== day ? html`<div><button class="btn btn-primary" data-testid="save-keep" ?disabled=${this.busy}>${this.t("studio.save")}</button></div>` : nothing}
      </form>
      <div><button class="btn btn-ghost recording-delete" data-testid="delete-recording" ?disabled=${this.busy} @click=${() => void this.removeIt(recording)}>
        ${icon("trash")}<span>${this.t("recording.delete")}</span></button></div>
    </section>`;
  }

  private async saveKeep(event: Event, day: string, zone: string): Promise<void> {
    event.preventDefault();
    // To the end of that day.
    const until = day ? (wallToInstant(`${day}T23:59`, zone)?.at.toISOString() ?? null) : null;
    this.busy = true;
    try {
      this.watch.told(await this.app.api.put<Recording>(`${this.watch.path}/recording/keep`, { until }));
      this.keep = null;
      this.app.toast(this.t("studio.saved"), "good");
    } catch (error) {
      this.keepWhy = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  /** Asks twice: nothing brings it back. */
  private async removeIt(recording: Recording): Promise<void> {
    const { words } = this.app;
    const length = lengthWords(recording.seconds, words);
    const yes = this.t("recording.delete");
    const first = { title: this.t("recording.ask_delete"), text: this.t("recording.ask_delete_text", { title: this.show.title }), yes, danger: true };
    if ((await this.app.ask(first)) === null) return;
    const again = { title: this.t("recording.ask_delete_again"), text: this.t("recording.ask_delete_again_text", { length }), yes: this.t("recording.delete_for_good"), danger: true };
    if ((await this.app.ask(again)) === null) return;
    this.busy = true;
    try {
      await this.app.api.del(`${this.watch.path}/recording`);
      this.app.toast(this.t("recording.deleted"), "good");
      this.watch.soon();
      this.dispatchEvent(new CustomEvent("ls-close"));
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = false;
    }
  }
}
