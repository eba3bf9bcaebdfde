/** What is made of a recording: files of the whole, and clips of products' moments. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { clockText } from "../state/i18n";
import type { RoomClient } from "../state/room";
import { picture } from "../ui/picture";
import type { Chapter, FileInput, Recording, RecordingFile, Show } from "../wire.gen";
import { icon } from "./icons";
import { meter } from "./meter";
import type { RecordingWatch } from "./recording-watch";
import { bytesWords, fileName, fileTitle, lengthWords } from "./recording-words";
import { View } from "./view";

/** A clip begins at a keyframe, which may be a little before its moment. */
const NEAR_MS = 5_000;

function isSame(at: string | null, moment: string): boolean {
  return at !== null && Math.abs(Date.parse(at) - Date.parse(moment)) < NEAR_MS;
}

abstract class RecordingPart extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: RecordingWatch;
  /** Changes with what there is to draw. */
  @property({ attribute: false }) version: Recording | null = null;
  @state() protected busy = "";

  protected titleOf(productId: string | null): string {
    const product = this.room.state?.products.find(({ id }) => id === productId);
    return product?.title ?? this.watch.chapters.find((chapter) => chapter.product_id === productId)?.title ?? "";
  }

  protected async make(key: string, wanted: Partial<FileInput> & Pick<FileInput, "kind">): Promise<void> {
    this.busy = key;
    try {
      await this.app.api.post<RecordingFile>(`${this.watch.path}/recording/files`, wanted);
      this.app.toast(this.t("recording.making"));
      this.watch.soon();
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = "";
    }
  }
}

@customElement("studio-recording-files")
export class RecordingFiles extends RecordingPart {
  protected override render(): TemplateResult | typeof nothing {
    const { recording } = this.watch;
    if (!recording) return nothing;
    const files = recording.files.filter(({ kind }) => kind === "mp4" || kind === "clip");
    const pictures = recording.files.find(({ kind, state: at }) => kind === "sprites" && (at === "waiting" || at === "making"));
    const may = this.app.can("shows:write");
    const whole = (isEven: boolean): boolean => files.some((file) => file.kind === "mp4" && file.is_loudness_normal === isEven && file.state !== "failed");
    return html`<section class="stack" aria-labelledby="recording-files-title" data-testid="recording-files">
      <h3 id="recording-files-title">${this.t("recording.files")}</h3>
      ${files.length === 0
        ? html`<p class="hint">${this.t("recording.files_none")}</p>`
        : html`<ul class="recording-files">${repeat(files, ({ id }) => id, (file) => this.one(file, may))}</ul>`}
      ${pictures ? html`<p class="hint" role="status">${this.t("recording.pictures_making")}</p>` : nothing}
      ${may
        ? html`<div class="recording-acts">
            ${whole(false) ? nothing : this.maker("mp4", false)} ${whole(true) ? nothing : this.maker("mp4_even", true)}
          </div>`
        : nothing}
    </section>`;
  }

  private maker(key: string, isEven: boolean): TemplateResult {
    return html`<button class="btn btn-outline" data-testid="make-${key}" ?disabled=${this.busy !== ""} @click=${() => void this.make(key, { kind: "mp4", is_loudness_normal: isEven })}>
      ${icon("video")}<span>${this.t(`recording.make_${key}`)}</span></button>`;
  }

  private one(file: RecordingFile, may: boolean): TemplateResult {
    const { words } = this.app;
    const title = this.titleOf(file.product_id);
    const name = fileTitle(file, title, words);
    const making = file.state === "waiting" || file.state === "making";
    const size = file.width && file.height ? `${file.width} × ${file.height}` : "";
    const facts = [file.seconds ? clockText(file.seconds) : "", file.bytes ? bytesWords(file.bytes, words) : "", size];
    return html`<li data-testid="recording-file" data-kind=${file.kind} data-state=${file.state}>
      <div class="recording-file-text">
        <p class="row-title">${name}</p>
        ${making
          ? html`<p class="quiet" role="status">${file.state === "waiting" ? this.t("recording.waiting") : this.t("recording.percent", { percent: words.number(file.percent) })}</p>
              ${meter(file.percent, 100)}`
          : file.state === "failed"
            ? html`<p class="error">${this.t("recording.failed")}${words.lang.startsWith("en") && file.detail ? ` ${file.detail}` : ""}</p>`
            : html`<p class="quiet">${facts.filter(Boolean).join(" · ")}</p>`}
      </div>
      ${file.url
        ? html`<a class="icon-btn" href=${file.url} download=${fileName(file, this.show, title)} data-testid="download" title=${this.t("recording.download")}
            aria-label=${this.t("recording.download_file", { name })}>${icon("arrowDown")}</a>`
        : nothing}
      ${may
        ? html`<button class="icon-btn" data-testid="delete-file" title=${this.t("recording.delete_file")} aria-label=${this.t("recording.delete_file_name", { name })}
            ?disabled=${this.busy !== ""} @click=${() => void this.removeIt(file, name)}>${icon("trash")}</button>`
        : nothing}
    </li>`;
  }

  private async removeIt(file: RecordingFile, name: string): Promise<void> {
    if (file.state === "ready") {
      const question = { title: this.t("recording.ask_delete_file"), text: this.t("recording.ask_delete_file_text", { name }), yes: this.t("recording.delete_file"), danger: true };
      if ((await this.app.ask(question)) === null) return;
    }
    this.busy = file.id;
    try {
      await this.app.api.del(`${this.watch.path}/recording/files/${encodeURIComponent(file.id)}`);
      this.watch.soon();
    } catch (error) {
      this.complain(error);
    } finally {
      this.busy = "";
    }
  }
}

/** The moments of products, to be seen in the preview and cut out. */
@customElement("studio-recording-clips")
export class RecordingClips extends RecordingPart {
  /** Where in the recording a moment is, in seconds; null: not known yet. */
  @property({ attribute: false }) placeOf: (date: string) => number | null = () => null;
  /** How much of it is between two moments, in seconds; null: not known yet. */
  @property({ attribute: false }) secondsBetween: (from: string, until: string) => number | null = () => null;
  @state() private isUpright = false;

  protected override render(): TemplateResult | typeof nothing {
    const moments = this.watch.chapters.filter(({ product_id }) => product_id !== null);
    if (moments.length === 0) return nothing;
    return html`<section class="stack" aria-labelledby="recording-clips-title">
      <div><h3 id="recording-clips-title">${this.t("recording.clips")}</h3><p class="hint">${this.t("recording.clips_hint")}</p></div>
      <label class="check"><input type="checkbox" data-testid="clip-upright" .checked=${this.isUpright}
          @change=${(event: Event) => (this.isUpright = (event.target as HTMLInputElement).checked)} /><span>${this.t("recording.clip_upright")}</span></label>
      <ul class="recording-clips">${moments.map((moment) => this.one(moment))}</ul>
    </section>`;
  }

  private one(moment: Chapter): TemplateResult {
    const title = this.titleOf(moment.product_id) || moment.title;
    const product = this.room.state?.products.find(({ id }) => id === moment.product_id);
    const seconds = this.secondsBetween(moment.from_at, moment.until_at);
    const known = this.watch.recording?.files.find(
      (file) => file.kind === "clip" && file.state !== "failed" && file.is_vertical === this.isUpright && isSame(file.from_at, moment.from_at),
    );
    const place = this.placeOf(moment.from_at);
    const facts = [place === null ? "" : clockText(place), seconds === null ? "" : lengthWords(seconds, this.app.words)];
    const look = (): boolean => this.dispatchEvent(new CustomEvent("look", { detail: moment.from_at, bubbles: true }));
    return html`<li data-testid="moment">
      <button class="recording-moment" aria-label=${this.t("recording.look_at", { title })} title=${this.t("recording.look")} @click=${look}>
        <span class="recording-shot">${product?.images[0] ? picture(product.images[0], { sizes: "40px", alt: "" }) : icon("play")}</span>
        <span><span class="row-title">${title}</span>
          <span class="quiet">${facts.filter(Boolean).join(" · ")}</span></span>
      </button>
      ${known
        ? html`<span class="badge ${known.state === "ready" ? "badge-good" : ""}">${this.t(known.state === "ready" ? "recording.clip_ready" : "recording.clip_making")}</span>`
        : html`<button class="btn btn-small btn-outline" data-testid="make-clip" ?disabled=${this.busy !== ""} aria-label=${this.t("recording.clip_make_of", { title })}
            @click=${() => void this.cut(moment)}>${this.t("recording.clip_make")}</button>`}
    </li>`;
  }

  private cut({ product_id, from_at, until_at }: Chapter): Promise<void> {
    return this.make(from_at, { kind: "clip", product_id, from_at, until_at, is_vertical: this.isUpright });
  }
}
