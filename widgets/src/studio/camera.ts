/**
 * Going live from this browser: check, one button, on camera; small in a corner while the host uses the cockpit.
 * Loaded when it is opened. It sends for as long as it stands in the page, whatever it shows.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { isOn } from "../state/reduce";
import type { RoomClient } from "../state/room";
import type { Show, VideoHealth } from "../wire.gen";
import "./camera-check";
import { forcedWay } from "./camera-formats";
import { cameraHere } from "./camera-here";
import "./camera-picture-view";
import type { CameraPicture } from "./camera-picture-view";
import { CameraSession } from "./camera-session";
import { isThrough } from "./camera-stage";
import { refusalWords, standingOf } from "./camera-words";
import { icon } from "./icons";
import { arrives } from "./video-words";
import { explain, View } from "./view";

const BACK_FOR_MS = 5_000;
/** The entry of the browser's history that "Back" takes away first while the camera sends. */
const GUARD = "liveshop-camera";

/** Fires "ls-close" when it may be taken off the page. */
@customElement("studio-camera")
export class Camera extends View {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) health: VideoHealth | null = null;
  @state() private isSmall = false;
  @state() private isBack = false;
  @state() private isStarting = false;
  @state() private trouble = "";
  @query("dialog") private dialog!: HTMLDialogElement | null;
  @query("studio-camera-picture") private picture!: CameraPicture | null;
  private session!: CameraSession;
  private wasLost = false;
  private wantsLive = false;
  private isAsking = false;
  private home = "";
  private backTimer: ReturnType<typeof setTimeout> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.session = new CameraSession(this.show.id, forcedWay());
    this.session.addEventListener("change", this.changed);
    this.room.addEventListener("change", this.redraw);
    addEventListener("beforeunload", this.leaving);
    document.addEventListener("click", this.clicked, true);
    addEventListener("popstate", this.strayed, true);
    addEventListener("hashchange", this.strayed, true);
    void this.session.open();
  }

  override disconnectedCallback(): void {
    this.session.removeEventListener("change", this.changed);
    this.room.removeEventListener("change", this.redraw);
    removeEventListener("beforeunload", this.leaving);
    document.removeEventListener("click", this.clicked, true);
    removeEventListener("popstate", this.strayed, true);
    removeEventListener("hashchange", this.strayed, true);
    cameraHere.ends();
    clearTimeout(this.backTimer);
    this.session.close();
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  private readonly changed = (): void => {
    const { status } = this.session;
    this.tellTests();
    if (this.isSending) {
      cameraHere.sends(this.show.id);
      this.guard();
    } else cameraHere.ends();
    if (status?.state === "lost") this.wasLost = true;
    else if (this.wasLost && isThrough(status)) {
      this.wasLost = false;
      this.isBack = true;
      clearTimeout(this.backTimer);
      this.backTimer = setTimeout(() => (this.isBack = false), BACK_FOR_MS);
    }
    // Viewers are let in when there is something to see.
    if (this.wantsLive && isThrough(status) && status?.throughputKbit) {
      this.wantsLive = false;
      void this.startShow();
    }
    // What needs an answer is not hidden in a corner.
    if (this.session.step === "over") this.isSmall = false;
    this.requestUpdate();
  };

  private tellTests(): void {
    const { step, status, chosen } = this.session;
    const told: Record<string, string> = { step, state: step === "sending" || step === "over" ? (status?.state ?? "connecting") : step, way: chosen?.way ?? "" };
    if (status && step === "sending") {
      Object.assign(told, {
        kbit: String(status.kbit),
        sent: String(status.throughputKbit),
        size: `${status.width}x${status.height}`,
        fps: String(status.rate),
        backlog: String(status.backlogMs),
        busy: String(status.isBusy),
        onAir: status.onAir === null ? "" : String(status.onAir),
      });
    }
    Object.assign(this.dataset, told);
  }

  private get isSending(): boolean {
    return this.session.step === "sending";
  }

  private readonly leaving = (event: BeforeUnloadEvent): void => {
    if (this.isSending) event.preventDefault();
  };

  /** Another screen of the studio would end it: asked first. */
  private readonly clicked = (event: MouseEvent): void => {
    if (!this.isSending || event.defaultPrevented || event.ctrlKey || event.metaKey) return;
    const link = (event.target as Element | null)?.closest?.<HTMLAnchorElement>('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    event.stopPropagation();
    void this.askToLeave(link.hash);
  };

  private guard(): void {
    this.home ||= location.href;
    if (history.state !== GUARD) history.pushState(GUARD, "", this.home);
  }

  /** "Back", or another address typed: the page stays where it is, and asks. */
  private readonly strayed = (event: Event): void => {
    if (!this.isSending) return;
    event.stopImmediatePropagation();
    if (history.state === GUARD && location.href === this.home) return;
    const { hash, href } = location;
    const isElsewhere = href !== this.home;
    history.pushState(GUARD, "", this.home);
    void this.askToLeave(isElsewhere ? hash : null);
  };

  private async askToLeave(hash: string | null): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    const isLeaving = await this.stop(hash !== null);
    this.isAsking = false;
    if (isLeaving && hash !== null) location.replace(hash || "#/");
  }

  /** False: the person stayed. */
  private async stop(isElsewhere = false): Promise<boolean> {
    const live = isOn(this.show);
    const answer = await this.app.ask({
      title: this.t("camera.ask_stop"),
      text: this.t(live ? "camera.ask_stop_live" : "camera.ask_stop_preview"),
      yes: this.t("camera.stop"),
      danger: true,
    });
    if (answer === null) return false;
    this.session.stop();
    this.leave(isElsewhere);
    return true;
  }

  /** `isElsewhere`: the guard's place in the history is taken by what comes. */
  private leave(isElsewhere = false): void {
    if (!isElsewhere && history.state === GUARD) history.back();
    this.dialog?.close();
    this.dispatchEvent(new Event("ls-close"));
  }

  private async live(): Promise<void> {
    const answer = await this.app.ask({
      title: this.t("studio.ask_start"),
      text: this.t("studio.ask_start_text", { title: this.show.title }),
      yes: this.t("studio.act_start"),
    });
    if (answer === null) return;
    if (this.isSending) return this.startShow();
    this.wantsLive = true;
    this.session.send();
  }

  private async startShow(): Promise<void> {
    if (isOn(this.show)) return;
    this.isStarting = true;
    this.trouble = "";
    try {
      await this.app.api.post<Show>(`/api/shows/${encodeURIComponent(this.show.id)}/state`, { to: "live" });
    } catch (error) {
      this.trouble = explain(error, this.app.words);
    } finally {
      this.isStarting = false;
    }
  }

  private escaped(event: Event): void {
    event.preventDefault();
    if (this.isSending) this.small(true);
    else this.leave();
  }

  private small(on: boolean): void {
    this.isSmall = on;
    void this.updateComplete.then(() => {
      if (on) this.querySelector<HTMLElement>("[data-testid=camera-large]")?.focus();
    });
  }

  protected override updated(): void {
    const { dialog } = this;
    if (dialog && !dialog.open) dialog.showModal();
  }

  protected override render(): TemplateResult {
    if (this.isSmall && this.isSending) return this.corner();
    const { step } = this.session;
    return html`<dialog class="camera" data-step=${step} aria-label=${this.t("camera.title")} @cancel=${(event: Event) => this.escaped(event)}>
      ${step === "sending" ? this.stage() : this.offCamera()}
    </dialog>`;
  }

  private offCamera(): TemplateResult {
    const { session } = this;
    return html`<header class="camera-head"><h2>${this.t("camera.title")}</h2>
        <button class="icon-btn" data-testid="camera-close" aria-label=${this.t("studio.close")} @click=${() => this.leave()}>${icon("close")}</button></header>
      ${session.step === "check"
        ? html`<div class="camera-check">
            <div class="camera-screen"><studio-camera-picture .app=${this.app} .session=${session}></studio-camera-picture>
              ${session.mirrors ? html`<p class="camera-mirror">${this.t("camera.mirrored")}</p>` : nothing}</div>
            <studio-camera-check .app=${this.app} .show=${this.show} .session=${session} .picture=${this.picture} .replaces=${arrives(this.health)}
              @ls-send=${() => session.send()} @ls-live=${() => void this.live()}></studio-camera-check>
          </div>`
        : html`<div class="camera-words" role=${session.step === "asking" ? "status" : "alert"}>${this.words()}</div>`}`;
  }

  private words(): TemplateResult {
    const { session } = this;
    if (session.step === "asking") {
      return html`<span class="spinner" aria-hidden="true"></span><h3>${this.t("camera.asking")}</h3><p>${this.t("camera.asking_do")}</p>`;
    }
    const refusal = session.status?.refusal;
    const over = refusal ? refusalWords(refusal.code, refusal.message, this.app.words) : null;
    const key = session.trouble ? `camera.trouble_${session.trouble}` : "camera.broken";
    return html`${icon("warn")}<h3 data-testid="camera-trouble" data-code=${refusal?.code ?? session.trouble ?? "broken"}>${over?.title ?? this.t(key)}</h3>
      <p>${over?.hint ?? this.t(`${key}_do`)}</p>
      <div class="camera-words-acts"><button class="btn btn-primary" data-testid="camera-again" @click=${() => this.again()}>${this.t("studio.try_again")}</button>
        <button class="btn" @click=${() => this.leave()}>${this.t("studio.close")}</button></div>`;
  }

  private again(): void {
    if (this.session.step === "over") {
      this.session.stop();
      this.session.measure();
    } else void this.session.open();
  }

  private stage(): TemplateResult | typeof nothing {
    const version = this.room.state;
    if (!version) return nothing;
    return html`<div class="camera-screen"><studio-camera-picture .app=${this.app} .session=${this.session}></studio-camera-picture></div>
      <studio-camera-stage .app=${this.app} .show=${this.show} .room=${this.room} .version=${version} .session=${this.session} .isBack=${this.isBack}
        .isStarting=${this.isStarting} .trouble=${this.trouble} @ls-stop=${() => void this.stop()} @ls-live=${() => void this.live()} @ls-small=${() => this.small(true)}
        @ls-trouble=${(event: CustomEvent<string>) => (this.trouble = event.detail)}></studio-camera-stage>`;
  }

  private corner(): TemplateResult {
    const { session } = this;
    const standing = standingOf(session, this.isBack, this.app.words);
    const mute = this.t(session.isMuted ? "camera.do_unmute" : "camera.do_mute");
    return html`<section class="camera-corner" aria-label=${this.t("camera.title")}>
      <studio-camera-picture .app=${this.app} .session=${session}></studio-camera-picture>
      <p class="camera-corner-words" role="status" data-testid="camera-state"><span class="video-dot is-${standing.look}" aria-hidden="true"></span>${standing.title}</p>
      <div class="camera-corner-acts">
        <button class="icon-btn" data-testid="camera-mute" aria-pressed=${session.isMuted ? "true" : "false"} aria-label=${mute} title=${mute} @click=${() => session.mute(!session.isMuted)}>${icon(session.isMuted ? "micOff" : "mic")}</button>
        <button class="icon-btn" data-testid="camera-large" aria-label=${this.t("camera.large")} title=${this.t("camera.large")} @click=${() => this.small(false)}>${icon("expand")}</button>
        <button class="icon-btn camera-corner-stop" data-testid="camera-stop" aria-label=${this.t("camera.stop_label")} title=${this.t("camera.stop_label")} @click=${() => void this.stop()}>${icon("stop")}</button>
      </div>
    </section>`;
  }
}
