/** What the page that holds camera and microphone and the worker that sends tell each other. */

export type Format = "webcodecs" | "recorder";

/** How a picture that has another shape than the show's fills it: what stands over is cut off, or stays empty. */
export type Fit = "cover" | "contain";

/** `extra` is a shared screen or a second camera. */
export type SourceName = "camera" | "extra";

/** One fills the picture; the other, if it is shown, stands in its corner. */
export interface Arrangement {
  main: SourceName;
  inset: SourceName | null;
}

export interface VideoChoice {
  codec: string;
  bitrateMode: VideoEncoderBitrateMode;
}

export interface SoundChoice {
  codec: "opus" | "mp4a.40.2" | "pcm";
}

export interface Start {
  t: "start";
  address: string;
  /** Where to begin; the line decides about the rest. */
  kbit: number;
  isUpright: boolean;
  isMuted: boolean;
  format: Format;
  /** For the recorder. */
  mime: string | null;
  video: VideoChoice | null;
  sound: SoundChoice | null;
}

export type ToWorker =
  | Start
  | { t: "probe"; address: string }
  | { t: "stream"; source: SourceName; stream: ReadableStream<VideoFrame>; fit: Fit }
  | { t: "frame"; source: SourceName; frame: VideoFrame; fit: Fit }
  | { t: "nothing"; source: SourceName }
  | { t: "arrange"; arrangement: Arrangement }
  | { t: "sound"; port: MessagePort }
  | { t: "upright"; on: boolean }
  | { t: "mute"; on: boolean }
  | { t: "recorded"; run: number; bytes: ArrayBuffer; at: number }
  /** A new connection, for a recorder that must begin anew. */
  | { t: "renew" }
  | { t: "stop" };

export type SendState = "connecting" | "sending" | "weak" | "lost" | "refused" | "stopped";

export interface Refusal {
  code: string;
  message: string;
}

export interface Status {
  state: SendState;
  /** Whether the viewers see it; null before the server has said so. */
  onAir: boolean | null;
  refusal: Refusal | null;
  /** What the encoder is asked for. */
  kbit: number;
  /** What was taken by the server in the last seconds. */
  throughputKbit: number;
  width: number;
  height: number;
  /** Pictures in the last second. */
  rate: number;
  backlogMs: number;
  /** No picture is sent at the moment, so that the sound gets through. */
  isSoundOnly: boolean;
  /** This device cannot encode as fast as pictures come. */
  isBusy: boolean;
}

export type FromWorker =
  | { t: "status"; status: Status }
  | { t: "probed"; kbit: number | null; refusal: Refusal | null }
  | { t: "notice"; code: string; message: string }
  /** A recorder's bytes play only from their beginning: each connection needs a recorder of its own. */
  | { t: "record"; run: number; kbit: number }
  | { t: "broken"; what: string }
  /** The goodbye is sent. */
  | { t: "stopped" };

/** From the sound's own thread to the worker: one plane of mono at SAMPLE_RATE, and its last sample's number. */
export interface SoundBlock {
  samples: Float32Array;
  end: number;
}

/** From the sound's own thread to the page. Both of 1. */
export interface SoundLevel {
  rms: number;
  peak: number;
}

export const SAMPLE_RATE = 48_000;
/** 20 ms: what one Opus packet holds. */
export const BLOCK_SAMPLES = 960;
export const FRAME_RATE = 30;

/** Microseconds of the clock that pictures and sound share. */
export function microseconds(): number {
  return performance.now() * 1_000;
}
