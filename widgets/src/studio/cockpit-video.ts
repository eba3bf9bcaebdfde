/** One line under the picture: whether the video arrives and how well, and the way to everything about it. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { isOn } from "../state/reduce";
import type { RoomClient } from "../state/room";
import type { Show, VideoHealth } from "../wire.gen";
import { icon } from "./icons";
import "./send-video";
import type { VideoWatch } from "./video-watch";
import { advices, arrives, asTold, hasSent, lookOf, meaning, rateWords, sizeWords, soundWords, standing } from "./video-words";
import { explain, View } from "./view";

@customElement("studio-cockpit-video")
export class CockpitVideo extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: VideoWatch;
  @state() private open = false;
  @state() private camera: "closed" | "loading" | "open" = "closed";

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

  /** Few shows are sent from a browser: its code comes when it is wanted. */
  private async openCamera(): Promise<void> {
    this.camera = "loading";
    try {
      await import("./camera");
      this.camera = "open";
    } catch {
      this.camera = "closed";
      this.app.toast(this.t("studio.camera_failed"), "bad");
    }
  }

  private closeCamera(): void {
    this.camera = "closed";
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-testid=camera-open]")?.focus());
  }

  protected override render(): TemplateResult {
    const health = asTold(this.watch.health, this.room.state);
    const live = isOn(this.show);
    return html`<div class="video-line" data-testid="video-line" data-state=${health?.state ?? "unknown"}>
        <span class="video-dot is-${lookOf(health, live)}" aria-hidden="true"></span>
        <div class="video-line-text">${this.words(health)}</div>
        ${this.app.can("shows:write") && this.camera !== "open"
          ? html`<button class="btn btn-small ${arrives(health) ? "btn-outline is-brief" : "btn-primary"}" data-testid="camera-open" aria-haspopup="dialog" title=${this.t("studio.camera_open")}
              ?disabled=${this.camera === "loading"} @click=${() => void this.openCamera()}>${icon("video")}<span>${this.t("studio.camera_open")}</span></button>`
          : nothing}
        <button class="btn btn-small btn-outline" data-testid="send-video" aria-haspopup="dialog"
          @click=${() => (this.open = true)}>${icon("settings")}<span>${this.t(hasSent(health) ? "studio.video_details" : "studio.video_send")}</span>
            ${hasSent(health) ? html`<span class="sr-only">${this.t("studio.video_about")}</span>` : nothing}</button>
      </div>
      ${this.open
        ? html`<studio-send-video .app=${this.app} .show=${this.show} .room=${this.room} .watch=${this.watch} @ls-close=${() => this.close()}></studio-send-video>`
        : nothing}
      ${this.camera === "open"
        ? html`<studio-camera .app=${this.app} .show=${this.show} .room=${this.room} .health=${health} @ls-close=${() => this.closeCamera()}></studio-camera>`
        : nothing}`;
  }

  private words(health: VideoHealth | null): TemplateResult {
    const { error } = this.watch;
    const { words } = this.app;
    if (!health) {
      return html`<p class="row-title" role="status">${this.t(error ? "studio.video_unknown" : "studio.video_asking")}</p>
        ${error ? html`<p class="quiet">${explain(error, words)}</p>` : nothing}`;
    }
    const live = isOn(this.show);
    const [worst, ...others] = arrives(health) ? advices(health) : [];
    const title = worst ? this.t(`studio.video_advice_${worst}`) : standing(health, live, words);
    const facts = [sizeWords(health, words), rateWords(health, words), soundWords(health, words)].filter(Boolean);
    return html`<p class="row-title" role="status">${title}${others.length > 0 ? html` <span class="count">${this.t("studio.video_and_more", { count: others.length })}</span>` : nothing}</p>
      ${arrives(health)
        ? html`<p class="quiet video-line-facts">${facts.join(" · ")}</p>`
        : html`<p class="quiet">${meaning(health, live, this.room.state?.video ?? null, this.room.serverNow(), words)}</p>`}`;
  }
}
