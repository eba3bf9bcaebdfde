/** One line under the picture: what is recorded of the show, and the way to everything about it. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import type { Show } from "../wire.gen";
import { icon } from "./icons";
import "./recording-sheet";
import { RecordingWatch } from "./recording-watch";
import { isOver, recordingFacts, recordingLook, recordingTitle } from "./recording-words";
import { explain, View } from "./view";

@customElement("studio-recording-line")
export class RecordingLine extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @state() private open = false;
  private watch!: RecordingWatch;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch = new RecordingWatch(this.app.api, this.show.id);
    this.watch.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    this.watch.removeEventListener("change", this.redraw);
    this.watch.stop();
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => {
    const { recording, error } = this.watch;
    const detail = recording?.state ?? (error ? "unknown" : null);
    this.dispatchEvent(new CustomEvent("recording", { detail, bubbles: true }));
    this.requestUpdate();
  };

  protected override updated(): void {
    const { show } = this;
    if (this.app.can("shows:read") && (show.state === "live" || isOver(show))) this.watch.start(isOver(show));
    else this.watch.stop();
  }

  private close(): void {
    this.open = false;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-testid=recording]")?.focus());
  }

  protected override render(): TemplateResult | typeof nothing {
    const { show } = this;
    const { recording, error } = this.watch;
    if (!isOver(show)) {
      // While it goes on only what is wrong is worth a line.
      return show.state === "live" && recording?.shortage
        ? html`<p class="recording-stopped note note-warn" role="status" data-testid="recording-stopped">${icon("warn")}
            <span><strong>${this.t(this.watch.grows === false ? "recording.stopped" : "recording.short")}</strong>
              ${this.shortage(recording.shortage)} ${this.t(this.watch.grows ? "recording.goes_on" : "recording.stopped_text")}</span></p>`
        : nothing;
    }
    const text = recording
      ? html`<p class="row-title" role="status">${recordingTitle(recording, show, this.app.words)}</p>
          <p class="quiet">${recordingFacts(recording, this.app.words)}</p>`
      : html`<p class="row-title" role="status">${this.t(error ? "recording.unknown" : "recording.asking")}</p>
          ${error ? html`<p class="quiet">${explain(error, this.app.words)}</p>` : nothing}`;
    return html`<div class="video-line recording-line" data-testid="recording-line" data-state=${recording?.state ?? "unknown"}>
        <span class="video-dot is-${recordingLook(recording, show)}" aria-hidden="true"></span>
        <div class="video-line-text">${text}</div>
        ${recording?.state === "ended"
          ? html`<button class="btn btn-small btn-outline" data-testid="recording" aria-haspopup="dialog" @click=${() => (this.open = true)}>
              ${icon("video")}<span>${this.t("recording.open")}</span></button>`
          : nothing}
      </div>
      ${this.open && recording?.state === "ended"
        ? html`<studio-recording .app=${this.app} .show=${show} .room=${this.room} .watch=${this.watch} @ls-close=${() => this.close()}></studio-recording>`
        : nothing}`;
  }

  private shortage(words: string): string {
    // The server says exactly what is missing, in English only.
    return this.app.words.lang.startsWith("en") ? words : "";
  }
}
