/** Everything about a show's video: how to connect an encoder, what arrives, the delay of the camera, what happened. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { isOn } from "../state/reduce";
import type { RoomClient } from "../state/room";
import type { Show, VideoHealth } from "../wire.gen";
import "./encoder-delay";
import { icon } from "./icons";
import { meter } from "./meter";
import "./simulcast";
import "./stream-key";
import "./video-log";
import type { VideoWatch } from "./video-watch";
import {
  advices,
  arrives,
  asTold,
  bitrateWords,
  channelWords,
  hasSent,
  keyframeWords,
  levelShare,
  lookOf,
  lostWords,
  meaning,
  rateWords,
  sizeWords,
  soundWords,
  standing,
  steadyWords,
} from "./video-words";
import { explain, View } from "./view";
import "./wide-dialog";

/** Fires "ls-close". */
@customElement("studio-send-video")
export class SendVideo extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: VideoWatch;
  /** Whoever comes before the video wants to connect, whoever comes later to look. Stays so while this is open: a key that
      is shown once must not be drawn anew. */
  @state() private connecting = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.connecting = !hasSent(asTold(this.watch.health, this.room.state));
    this.watch.addEventListener("change", this.redraw);
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
    return html`<studio-wide-dialog .open=${true} .label=${this.t("studio.video_send")} .closeLabel=${this.t("studio.close")}
      @ls-close=${(event: Event) => this.close(event)}>
      ${this.sheet()}
    </studio-wide-dialog>`;
  }

  private sheet(): TemplateResult {
    const log = html`<studio-video-log .app=${this.app} .showId=${this.show.id} .standing=${this.watch.health?.state ?? ""}></studio-video-log>`;
    if (!this.app.can("shows:write")) return html`<div class="video-sheet is-narrow" data-testid="video-sheet"><div class="video-column">${this.arriving()}${log}</div></div>`;
    const delay = html`<studio-encoder-delay .app=${this.app} .show=${this.show} .room=${this.room} .watch=${this.watch}></studio-encoder-delay>`;
    const connect = html`<section class="video-connect" aria-labelledby="video-connect-title">
      <h3 id="video-connect-title">${this.t("studio.video_connect")}</h3>
      <studio-stream-key .app=${this.app} .show=${this.show}></studio-stream-key>
      ${this.steps()}
    </section>`;
    const elsewhere = html`<studio-simulcast .app=${this.app} .show=${this.show}></studio-simulcast>`;
    return this.connecting
      ? html`<div class="video-sheet" data-testid="video-sheet"><div class="video-column">${this.arriving()}${connect}</div><div class="video-column">${elsewhere}${delay}${log}</div></div>`
      : html`<div class="video-sheet" data-testid="video-sheet"><div class="video-column">${this.arriving()}${elsewhere}${delay}</div><div class="video-column">${connect}${log}</div></div>`;
  }

  private arriving(): TemplateResult {
    const { error } = this.watch;
    const health = asTold(this.watch.health, this.room.state);
    const { words } = this.app;
    const live = isOn(this.show);
    const title = health ? standing(health, live, words) : this.t(error ? "studio.video_unknown" : "studio.video_asking");
    const hint = health ? meaning(health, live, this.room.state?.video ?? null, this.room.serverNow(), words) : error ? explain(error, words) : "";
    const goesOn = this.t("studio.video_away_hint");
    return html`<section class="video-arrives" aria-labelledby="video-arrives-title" data-testid="video-arrives" data-state=${health?.state ?? "unknown"}>
      <div class="video-standing is-${lookOf(health, live)}">
        <span class="video-dot is-${lookOf(health, live)}" aria-hidden="true"></span>
        <div><h3 id="video-arrives-title">${title}</h3>${hint ? html`<p>${hint}</p>` : nothing}
          ${health?.state === "away" && hint !== goesOn ? html`<p>${goesOn}</p>` : nothing}</div>
      </div>
      ${arrives(health) ? html`${this.advice(health)}${this.facts(health)}` : nothing}
    </section>`;
  }

  private advice(health: VideoHealth): TemplateResult | typeof nothing {
    const codes = advices(health);
    if (codes.length === 0) return nothing;
    return html`<ul class="video-advice">${codes.map(
      (code) => html`<li class="note note-warn" data-testid="advice-${code}">${icon("warn")}
        <span><strong>${this.t(`studio.video_advice_${code}`)}</strong> ${this.t(`studio.video_advice_${code}_do`)}</span></li>`,
    )}</ul>`;
  }

  private facts(health: VideoHealth): TemplateResult {
    const { words } = this.app;
    const level = levelShare(health);
    const fact = (key: string, value: string, more: TemplateResult | typeof nothing = nothing): TemplateResult | typeof nothing =>
      value ? html`<div class="fact"><dt>${this.t(`studio.video_fact_${key}`)}</dt><dd data-testid="video-${key}">${value}${more}</dd></div>` : nothing;
    const joined = (...parts: string[]): string => parts.filter(Boolean).join(", ");
    return html`<dl class="facts">
      ${fact("picture", joined(sizeWords(health, words), rateWords(health, words)))}
      ${fact("sound", joined(soundWords(health, words), channelWords(health, words)), level === null ? nothing : meter(level, 100))}
      ${fact("keyframes", keyframeWords(health, words))}
      ${fact("line", joined(bitrateWords(health, words), steadyWords(health, words)))}
      ${fact("lost", lostWords(health, words))}
      ${fact("since", health.since ? words.time(health.since) : "")}
    </dl>`;
  }

  private steps(): TemplateResult {
    return html`<details class="more obs" ?open=${this.connecting}>
      <summary>${this.t("studio.obs_title")}</summary>
      <ol class="obs-steps">${["stream", "output", "encoder", "video", "start"].map(
        (step) => html`<li><strong>${this.t(`studio.obs_${step}`)}</strong><span>${this.t(`studio.obs_${step}_do`)}</span></li>`,
      )}</ol>
      <p class="hint">${this.t("studio.obs_others")}</p>
    </details>`;
  }
}
