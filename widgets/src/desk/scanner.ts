/**
 * Reads a QR code with the device's camera.
 * The browser's own detector where it has one that knows QR codes; else a decoder in a chunk of its own, loaded only here.
 * The camera is on while this element is on the page, and no longer.
 */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { View } from "../studio/view";

/** Between two looks at the picture. */
const LOOK_MS = 120;
/** Codes fill much of the picture: more would only cost time. */
const LONGEST_SIDE = 800;

type Read = (video: HTMLVideoElement) => Promise<string | null>;

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}

interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
}

/** Fires "code" with the text as detail, once for each text, and "failed" when there is no camera to be had. */
@customElement("desk-scanner")
export class Scanner extends View {
  /** Said below the picture: what is wrong with what was read last. */
  @property() problem = "";
  @state() private why = "";
  @state() private running = false;
  @query("video") private video!: HTMLVideoElement;
  private stream: MediaStream | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private read: Read | null = null;
  private last = "";

  override connectedCallback(): void {
    super.connectedCallback();
    void this.updateComplete.then(() => this.start());
  }

  override disconnectedCallback(): void {
    this.stop();
    super.disconnectedCallback();
  }

  private async start(): Promise<void> {
    this.why = "";
    try {
      // Missing where the page was opened without TLS.
      if (!("mediaDevices" in navigator)) throw new DOMException("", "NotFoundError");
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: "environment" } }, audio: false });
      if (!this.isConnected) return end(stream);
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      this.running = true;
      this.read = await reader();
      this.look();
    } catch (error) {
      if (!this.isConnected) return;
      this.stop();
      this.why = this.t(error instanceof DOMException && error.name === "NotAllowedError" ? "pickups.camera_refused" : "pickups.camera_missing");
      this.dispatchEvent(new CustomEvent("failed"));
    }
  }

  private look(): void {
    this.timer = setTimeout(() => {
      void this.once().finally(() => {
        if (this.stream) this.look();
      });
    }, LOOK_MS);
  }

  private async once(): Promise<void> {
    const text = (await this.read?.(this.video).catch(() => null))?.trim();
    if (!text || text === this.last || !this.stream) return;
    this.last = text;
    this.dispatchEvent(new CustomEvent<string>("code", { detail: text }));
  }

  private stop(): void {
    clearTimeout(this.timer);
    if (this.stream) end(this.stream);
    this.stream = null;
    this.running = false;
  }

  protected override render(): TemplateResult {
    if (this.why) return html`<p class="note note-warn" role="alert" data-testid="camera-problem">${icon("video")}<span>${this.why}</span></p>`;
    return html`<div class="scanner" data-testid="scanner"><video muted playsinline aria-label=${this.t("pickups.camera")}></video><span class="scanner-frame" aria-hidden="true"></span>
        ${this.running ? nothing : html`<span class="scanner-wait" role="status"><span class="spinner" aria-hidden="true"></span><span class="sr-only">${this.t("studio.loading")}</span></span>`}</div>
      <p class="hint" role="status">${this.problem || this.t("pickups.camera_hint")}</p>`;
  }
}

function end(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

async function reader(): Promise<Read> {
  const { BarcodeDetector } = globalThis as { BarcodeDetector?: DetectorClass };
  if (BarcodeDetector && (await BarcodeDetector.getSupportedFormats().catch(() => [] as string[])).includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null;
  }
  const { decodePicture } = await import("./decode");
  const canvas = document.createElement("canvas");
  return (video) => Promise.resolve(video.videoWidth > 0 ? decodePicture(pixelsOf(video, canvas)) : null);
}

function pixelsOf(video: HTMLVideoElement, canvas: HTMLCanvasElement): ImageData {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const pen = canvas.getContext("2d", { willReadFrequently: true })!;
  pen.drawImage(video, 0, 0, canvas.width, canvas.height);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}
