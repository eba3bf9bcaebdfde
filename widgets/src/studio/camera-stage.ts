/** On camera: one's own picture over the whole screen, how it stands in words, the controls, the lineup. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import { isOn, type RoomState } from "../state/reduce";
import type { Show } from "../wire.gen";
import { canShareScreen } from "./camera-devices";
import "./camera-lineup";
import type { Status } from "./camera-messages";
import type { CameraSession } from "./camera-session";
import { rateText, standingOf } from "./camera-words";
import { icon, type IconName } from "./icons";
import { sizeWords } from "./video-words";
import { View } from "./view";

/** Fires "ls-stop", "ls-live" and "ls-small". */
@customElement("studio-camera-stage")
export class CameraStage extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) version!: RoomState;
  @property({ attribute: false }) session!: CameraSession;
  @property({ type: Boolean }) isBack = false;
  @property({ type: Boolean }) isStarting = false;
  @property() trouble = "";
  @state() private picking = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    this.session.removeEventListener("change", this.redraw);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private fire(name: "ls-stop" | "ls-live" | "ls-small"): void {
    this.dispatchEvent(new Event(name));
  }

  protected override render(): TemplateResult {
    const { session } = this;
    const standing = standingOf(session, this.isBack, this.app.words);
    const live = isOn(this.show);
    return html`<header class="camera-top">
        <button class="icon-btn camera-round" data-testid="camera-small" aria-label=${this.t("camera.small")} title=${this.t("camera.small")} @click=${() => this.fire("ls-small")}>${icon("down")}</button>
        <div class="camera-standing is-${standing.look}" role="status" data-testid="camera-state">
          <span class="video-dot is-${standing.look}" aria-hidden="true"></span><strong>${standing.title}</strong>
        </div>
        <button class="btn btn-danger" data-testid="camera-stop" @click=${() => this.fire("ls-stop")}>${icon("stop")}<span>${this.t("camera.stop")}</span></button>
        ${this.facts(live)}
      </header>
      <div class="camera-notes">
        ${standing.hint ? html`<p class="camera-note is-${standing.look}" data-testid="camera-hint">${standing.hint}</p>` : nothing}
        ${this.gone()}
        ${session.isMuted ? html`<p class="camera-note is-warn">${icon("micOff")}<span>${this.t("camera.muted_note")}</span></p>` : nothing}
        ${session.failed ? html`<p class="camera-note is-bad" role="alert">${this.t(`camera.trouble_${session.failed}`)} ${this.t(`camera.trouble_${session.failed}_do`)}</p>` : nothing}
        ${this.trouble ? html`<p class="camera-note is-bad" role="alert">${this.trouble}</p>` : nothing}
        ${session.notice ? html`<p class="camera-note" role="status">${session.notice}</p>` : nothing}
      </div>
      <footer class="camera-bottom">
        ${live
          ? nothing
          : html`<button class="btn btn-primary camera-start" data-testid="camera-start" ?disabled=${this.isStarting || !isThrough(session.status)} @click=${() => this.fire("ls-live")}>
              ${icon("video")}<span>${this.t("studio.act_start")}</span></button>`}
        <studio-camera-lineup .app=${this.app} .version=${this.version}
          @ls-trouble=${(event: CustomEvent<string>) => this.dispatchEvent(new CustomEvent("ls-trouble", { detail: event.detail }))}></studio-camera-lineup>
        ${this.picking ? this.sources() : nothing}
        <div class="camera-controls" role="toolbar" aria-label=${this.t("camera.controls")}>
          ${this.control(session.isMuted ? "micOff" : "mic", session.isMuted ? "unmute" : "mute", () => session.mute(!session.isMuted), session.isMuted)}
          ${session.devices.cameras.length > 1 ? this.control("flip", "switch", () => void session.nextCamera()) : nothing}
          ${session.extra
            ? this.control("pip", "pictures", () => (this.picking = !this.picking), this.picking, true)
            : canShareScreen() || this.others().length > 0
              ? this.control("screen", "share", () => this.share(), this.picking, this.others().length > 0)
              : nothing}
          ${this.control(session.isUpright ? "laptop" : "phone", session.isUpright ? "wide" : "upright", () => session.upright(!session.isUpright))}
        </div>
      </footer>`;
  }

  private control(name: IconName, key: string, act: () => void, on?: boolean, opens = false): TemplateResult {
    const { isBusy } = this.session;
    return html`<button class="camera-control" data-testid="camera-${key === "unmute" ? "mute" : key === "wide" ? "upright" : key}" ?disabled=${isBusy}
      aria-pressed=${on !== undefined && !opens ? String(on) : nothing} aria-expanded=${opens ? String(on ?? false) : nothing} @click=${act}>
      ${icon(name)}<span>${this.t(`camera.do_${key}`)}</span></button>`;
  }

  private others(): MediaDeviceInfo[] {
    const own = this.session.camera?.getSettings().deviceId;
    return this.session.devices.cameras.filter(({ deviceId }) => deviceId !== own);
  }

  private share(): void {
    if (this.others().length > 0) this.picking = !this.picking;
    else void this.session.shareScreen();
  }

  /** What else can be shown, or how what is shown is arranged. */
  private sources(): TemplateResult {
    const { session } = this;
    const act = (testid: string, words: string, name: IconName, run: () => void): TemplateResult => html`<button class="btn btn-small" data-testid=${testid}
      @click=${() => {
        this.picking = false;
        run();
      }}>${icon(name)}<span>${words}</span></button>`;
    if (session.extra) {
      const isScreen = session.extra.kind === "screen";
      return html`<div class="camera-sources" role="group" aria-label=${this.t("camera.do_pictures")}>
        ${act("camera-swap", this.t("camera.swap"), "refresh", () => session.swap())}
        ${act("camera-inset", this.t(session.arrangement.inset ? "camera.inset_off" : "camera.inset_on"), "pip", () => session.showInset(!session.arrangement.inset))}
        ${act("camera-unshare", this.t(isScreen ? "camera.screen_off" : "camera.second_off"), "close", () => session.removeExtra())}
      </div>`;
    }
    return html`<div class="camera-sources" role="group" aria-label=${this.t("camera.do_share")}>
      ${canShareScreen() ? act("camera-screen", this.t("camera.your_screen"), "screen", () => void session.shareScreen()) : nothing}
      ${this.others().map(({ deviceId, label }, index) => act(`camera-second-${index}`, label || this.t("camera.second_picture"), "video", () => void session.addCamera(deviceId)))}
    </div>`;
  }

  private gone(): TemplateResult | typeof nothing {
    const { session } = this;
    if (session.isCameraGone) {
      return html`<div class="camera-note is-bad" role="alert" data-testid="camera-gone"><p><strong>${this.t("camera.gone")}</strong> ${this.t("camera.gone_do")}</p>
        <div class="camera-offers">${session.devices.cameras.map(
          ({ deviceId, label }) => html`<button class="btn btn-small" ?disabled=${session.isBusy} @click=${() => void session.chooseCamera(deviceId)}>${label || this.t("camera.camera")}</button>`,
        )}</div></div>`;
    }
    if (session.isMicrophoneGone) {
      return html`<div class="camera-note is-bad" role="alert" data-testid="microphone-gone"><p><strong>${this.t("camera.microphone_gone")}</strong> ${this.t("camera.microphone_gone_do")}</p>
        <div class="camera-offers">${session.devices.microphones.map(
          ({ deviceId, label }) => html`<button class="btn btn-small" ?disabled=${session.isBusy} @click=${() => void session.chooseMicrophone(deviceId)}>${label || this.t("camera.microphone")}</button>`,
        )}</div></div>`;
    }
    return nothing;
  }

  private facts(live: boolean): TemplateResult {
    const { status } = this.session;
    const { words } = this.app;
    const facts =
      status && status.state !== "lost" && status.state !== "connecting"
        ? [status.width ? sizeWords(status, words) : "", status.rate ? words.t("studio.video_rate", { rate: words.number(status.rate) }) : "", status.throughputKbit ? rateText(status.throughputKbit, words) : ""]
        : [];
    return html`<p class="camera-facts" data-testid="camera-facts">${this.show.state === "rehearsal" ? html`<b class="badge badge-warn">${this.t("page.state_rehearsal")}</b>` : nothing}${live ? html`<span>${icon("eye")}${words.number(this.version.viewers)}<span class="sr-only">${this.t("camera.watching")}</span></span>` : nothing}
      <span>${facts.filter(Boolean).join(" · ")}</span></p>`;
  }
}

/** What is sent arrives, if not as well as it might. */
export function isThrough(status: Status | null): boolean {
  return status?.state === "sending" || status?.state === "weak";
}
