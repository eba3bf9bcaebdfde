/** One's own picture as it goes out: cut to the show's shape, the small one in its corner. Mirrored for oneself only. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { SourceName } from "./camera-messages";
import type { CameraSession } from "./camera-session";
import { View } from "./view";

@customElement("studio-camera-picture")
export class CameraPicture extends View {
  @property({ attribute: false }) session!: CameraSession;
  private readonly streams = new Map<SourceName, { track: MediaStreamTrack; stream: MediaStream }>();

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    this.session.removeEventListener("change", this.redraw);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  /** The large picture's element. */
  get video(): HTMLVideoElement | null {
    return this.querySelector("video");
  }

  private stream(source: SourceName): MediaStream | null {
    const track = source === "camera" ? this.session.camera : (this.session.extra?.track ?? null);
    if (!track) return null;
    const known = this.streams.get(source);
    if (known?.track === track) return known.stream;
    const stream = new MediaStream([track]);
    this.streams.set(source, { track, stream });
    return stream;
  }

  protected override render(): TemplateResult {
    const { arrangement, isUpright } = this.session;
    return html`<div class="camera-picture ${isUpright ? "is-upright" : ""}">
      ${this.one(arrangement.main, "main")}
      ${arrangement.inset ? this.one(arrangement.inset, "inset") : nothing}
    </div>`;
  }

  private one(source: SourceName, place: "main" | "inset"): TemplateResult {
    const { session } = this;
    const isScreen = source === "extra" && session.extra?.kind === "screen";
    const mirrored = source === "camera" && session.mirrors;
    const label = this.t(isScreen ? "camera.your_screen" : source === "extra" ? "camera.second_picture" : "camera.your_picture");
    return html`<video class="is-${place} ${isScreen ? "is-screen" : ""} ${mirrored ? "is-mirrored" : ""}" playsinline autoplay
      .muted=${true} .srcObject=${this.stream(source)} aria-label=${label}></video>`;
  }
}
