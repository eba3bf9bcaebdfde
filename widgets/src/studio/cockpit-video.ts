/** One line under the picture: whether the video arrives and how well, and the way to everything about it. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import type { Show } from "../wire.gen";
import { icon } from "./icons";
import "./send-video";
import type { VideoWatch } from "./video-watch";
import { advices, arrives, lookOf, meaning, rateWords, sizeWords, soundWords, standing } from "./video-words";
import { explain, View } from "./view";

@customElement("studio-cockpit-video")
export class CockpitVideo extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: VideoWatch;
  @state() private open = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    this.watch.removeEventListener("change", this.redraw);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private close(): void {
    this.open = false;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-testid=send-video]")?.focus());
  }

  protected override render(): TemplateResult {
    const { health } = this.watch;
    const live = this.show.state === "live";
    return html`<div class="video-line" data-testid="video-line" data-state=${health?.state ?? "unknown"}>
        <span class="video-dot is-${lookOf(health, live)}" aria-hidden="true"></span>
        <div class="video-line-text">${this.words()}</div>
        <button class="btn btn-small ${arrives(health) || live ? "btn-outline" : "btn-primary"}" data-testid="send-video" aria-haspopup="dialog"
          @click=${() => (this.open = true)}>${icon("settings")}<span>${this.t(arrives(health) ? "studio.video_details" : "studio.video_send")}</span></button>
      </div>
      ${this.open
        ? html`<studio-send-video .app=${this.app} .show=${this.show} .room=${this.room} .watch=${this.watch} @ls-close=${() => this.close()}></studio-send-video>`
        : nothing}`;
  }

  private words(): TemplateResult {
    const { health, error } = this.watch;
    const { words } = this.app;
    if (!health) {
      return html`<p class="row-title" role="status">${this.t(error ? "studio.video_unknown" : "studio.video_asking")}</p>
        ${error ? html`<p class="quiet">${explain(error, words)}</p>` : nothing}`;
    }
    const live = this.show.state === "live";
    const [worst, ...others] = arrives(health) ? advices(health) : [];
    const title = worst ? this.t(`studio.video_advice_${worst}`) : standing(health, live, words);
    const facts = [sizeWords(health, words), rateWords(health, words), soundWords(health, words)].filter(Boolean);
    return html`<p class="row-title" role="status">${title}${others.length > 0 ? html` <span class="count">${this.t("studio.video_and_more", { count: others.length })}</span>` : nothing}</p>
      <p class="quiet">${arrives(health) ? facts.join(" · ") : meaning(health, live, this.room.state?.video ?? null, this.room.serverNow(), words)}</p>`;
  }
}
