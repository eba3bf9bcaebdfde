/** Before anybody sees it: picture, light, sound, line, and one button. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { live as asShown } from "lit/directives/live.js";
import type { Show } from "../wire.gen";
import { lightOf, SoundWatch, type LightVerdict } from "./camera-meters";
import type { CameraPicture } from "./camera-picture-view";
import type { CameraSession } from "./camera-session";
import { lineWords, rateText, refusalWords } from "./camera-words";
import { icon } from "./icons";
import { meter } from "./meter";
import type { Look } from "./video-words";
import { View } from "./view";

const LOOK_EVERY_MS = 500;
/** So long without its sound, and the browser waits for a loudspeaker or for a call to end. */
const HELD_TURNS = 4;

/** Fires "ls-send" and "ls-live". */
@customElement("studio-camera-check")
export class CameraCheck extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) session!: CameraSession;
  @property({ attribute: false }) picture: CameraPicture | null = null;
  /** Somebody else's video arrives: it would be replaced. */
  @property({ type: Boolean }) replaces = false;
  @state() private light: LightVerdict = "waiting";
  private heldTurns = 0;
  private readonly sound = new SoundWatch();
  private readonly canvas = document.createElement("canvas");
  private timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.redraw);
    this.session.addEventListener("level", this.heard);
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  override disconnectedCallback(): void {
    clearInterval(this.timer);
    this.session.removeEventListener("change", this.redraw);
    this.session.removeEventListener("level", this.heard);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private readonly heard = (): void => {
    this.sound.take(this.session.audio.level);
    this.requestUpdate();
  };

  private look(): void {
    this.heldTurns = this.session.audio.isRunning ? 0 : this.heldTurns + 1;
    if (this.heldTurns === HELD_TURNS || this.heldTurns === 0) this.requestUpdate();
    const video = this.picture?.video;
    if (video) this.light = lightOf(video, this.canvas);
  }

  protected override render(): TemplateResult {
    const { session } = this;
    const live = this.show.state === "live";
    const refused = session.test.refusal;
    return html`<div class="camera-checks">
        ${session.failed ? html`<p class="problem" role="alert">${icon("warn")}<span>${this.t(`camera.trouble_${session.failed}`)}
          ${this.t(`camera.trouble_${session.failed}_do`)}</span></p>` : nothing}
        ${session.chosen && session.chosen.way !== "webcodecs" ? html`<p class="note" data-testid="camera-way">${icon("info")}<span>${this.t(`camera.way_${session.chosen.way}`)}</span></p>` : nothing}
        ${session.needsForeground ? html`<p class="note">${icon("info")}<span>${this.t("camera.foreground")}</span></p>` : nothing}
        ${this.cameraField()}${this.microphoneField()}${this.line()}${this.shapeField()}
      </div>
      <div class="camera-go">
        ${this.replaces ? html`<p class="note note-warn" data-testid="camera-replaces">${icon("warn")}<span>${this.t("camera.replaces")}</span></p>` : nothing}
        <button class="btn ${live ? "btn-primary" : "btn-outline"}" data-testid="camera-send" ?disabled=${!!refused || session.isCameraGone} @click=${() => this.dispatchEvent(new Event("ls-send"))}>
          ${icon("send")}<span>${this.t("camera.send")}</span></button>
        ${live ? nothing : html`<button class="btn btn-primary" data-testid="camera-live" ?disabled=${!!refused || session.isCameraGone} @click=${() => this.dispatchEvent(new Event("ls-live"))}>
          ${icon("video")}<span>${this.t("camera.go_live")}</span></button>`}
        <p class="hint">${this.t(live ? "camera.send_hint_live" : "camera.send_hint")}</p>
      </div>`;
  }

  private cameraField(): TemplateResult {
    const { session } = this;
    const verdict = session.isCameraGone ? "gone" : this.light;
    const look: Look = verdict === "good" ? "good" : verdict === "waiting" ? "idle" : verdict === "gone" || verdict === "black" ? "bad" : "warn";
    return html`<div class="field"><label for="camera-pick">${this.t("camera.camera")}</label>
      <select class="input" id="camera-pick" data-testid="camera-pick" ?disabled=${session.isBusy}
        @change=${(event: Event) => void session.chooseCamera((event.target as HTMLSelectElement).value)}>
        ${options(session.devices.cameras, session.camera, this.t("camera.camera"))}</select>
      ${this.verdict(look, `camera.light_${verdict}`, "camera-light", verdict)}</div>`;
  }

  private microphoneField(): TemplateResult {
    const { session } = this;
    const trouble = session.microphoneTrouble;
    const verdict = trouble ?? (session.isMicrophoneGone ? "gone" : this.heldTurns >= HELD_TURNS ? "held" : this.sound.verdict);
    const look: Look = verdict === "good" ? "good" : verdict === "waiting" ? "idle" : verdict === "quiet" || verdict === "loud" ? "warn" : "bad";
    const words = trouble ? `camera.trouble_${trouble === "denied" ? "denied_microphone" : trouble}` : `camera.sound_${verdict}`;
    return html`<div class="field"><label for="microphone-pick">${this.t("camera.microphone")}</label>
      <select class="input" id="microphone-pick" data-testid="microphone-pick" ?disabled=${session.isBusy}
        @change=${(event: Event) => void session.chooseMicrophone((event.target as HTMLSelectElement).value)}>
        ${options(session.devices.microphones, session.microphone, this.t("camera.microphone"))}</select>
      ${meter(trouble ? 0 : this.sound.share, 100)}
      ${this.verdict(look, words, "camera-sound", verdict)}</div>`;
  }

  private shapeField(): TemplateResult {
    const { session } = this;
    const one = (upright: boolean): TemplateResult => html`<label class="camera-shape"><input type="radio" name="camera-shape" data-testid="camera-${upright ? "upright" : "wide"}"
      .checked=${session.isUpright === upright} @change=${() => session.upright(upright)} />${icon(upright ? "phone" : "laptop")}
      <span>${this.t(upright ? "camera.upright" : "camera.wide")}</span></label>`;
    return html`<fieldset class="field"><legend>${this.t("camera.shape")}</legend><div class="camera-shapes">${one(false)}${one(true)}</div></fieldset>`;
  }

  private line(): TemplateResult {
    const { isRunning, kbit, refusal } = this.session.test;
    const found = kbit === null ? null : lineWords(kbit, this.app.words);
    const told = refusal ? refusalWords(refusal.code, refusal.message, this.app.words) : null;
    return html`<div class="field" data-testid="camera-line" data-kbit=${kbit === null ? nothing : Math.round(kbit)}>
      <span class="label">${this.t("camera.line")}</span>
      <div class="camera-line" role="status">
        ${isRunning
          ? html`<span class="spinner" aria-hidden="true"></span><span>${this.t("camera.line_testing")}</span>`
          : told
            ? html`<span class="video-dot is-bad" aria-hidden="true"></span><span><strong>${told.title}</strong> ${told.hint}</span>`
            : found && kbit !== null
              ? html`<span class="video-dot is-${found.look}" aria-hidden="true"></span><span>${found.text} <span class="quiet">${rateText(kbit, this.app.words)}</span></span>`
              : html`<span class="video-dot is-warn" aria-hidden="true"></span><span>${this.t("camera.line_unknown")}</span>`}
        ${isRunning ? nothing : html`<button class="btn btn-small btn-ghost" data-testid="camera-test" @click=${() => this.session.measure()}>${this.t("camera.line_again")}</button>`}
      </div></div>`;
  }

  private verdict(look: Look, key: string, testid: string, verdict: string): TemplateResult {
    return html`<p class="camera-verdict" role="status" data-testid=${testid} data-verdict=${verdict}>
      <span class="video-dot is-${look}" aria-hidden="true"></span><span>${this.t(key)}</span></p>`;
  }
}

function options(list: readonly MediaDeviceInfo[], track: MediaStreamTrack | null, fallback: string): TemplateResult[] | TemplateResult {
  if (list.length === 0) return html`<option>${track?.label || fallback}</option>`;
  const chosen = track?.getSettings().deviceId;
  return list.map(
    ({ deviceId, label }, index) => html`<option value=${deviceId} .selected=${asShown(deviceId === chosen)}>${label || `${fallback} ${index + 1}`}</option>`,
  );
}
