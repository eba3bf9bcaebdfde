/** What this browser can make of a picture: WebCodecs where it can, a recorder where it cannot. */

import { FRAME_RATE, SAMPLE_RATE, type SoundChoice, type VideoChoice } from "./camera-messages";

export const WAYS = ["webcodecs", "recorder-h264", "recorder-mp4", "recorder-vp8"] as const;
export type Way = (typeof WAYS)[number];

export interface Chosen {
  way: Way;
  video: VideoChoice | null;
  sound: SoundChoice | null;
  mime: string | null;
}

/** Level 3.1 is 1280 × 720 at 30; baseline first: every player knows it, and every encoder makes it. */
const CODECS = ["avc1.42E01F", "avc1.42001F", "avc1.4D401F", "avc1.64001F"];

const MIMES: Record<Exclude<Way, "webcodecs">, string[]> = {
  "recorder-h264": ["video/webm;codecs=h264,opus", "video/webm;codecs=avc1,opus"],
  "recorder-mp4": ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4;codecs=avc1.42E01F,opus", "video/mp4"],
  "recorder-vp8": ["video/webm;codecs=vp8,opus", "video/webm"],
};

/** An encoder that holds more pictures than this is none for live: Firefox's H.264 on Linux holds forty. */
const HELD_MOST = 12;
const FIRST_WITHIN_MS = 1_500;

/** Null: none of it. `forced` is tried alone. */
export async function choose(forced: Way | null): Promise<Chosen | null> {
  let slow: Chosen | null = null;
  for (const way of forced ? [forced] : WAYS) {
    const chosen = way === "webcodecs" ? await webcodecs() : recorder(way);
    if (!chosen) continue;
    if (forced || !chosen.video || (await isPrompt(configOf(chosen.video)))) return chosen;
    slow = chosen;
  }
  return slow;
}

async function webcodecs(): Promise<Chosen | null> {
  if (typeof VideoEncoder === "undefined" || typeof AudioWorkletNode === "undefined" || typeof OffscreenCanvas === "undefined") return null;
  const takesFrames = "MediaStreamTrackProcessor" in globalThis || "requestVideoFrameCallback" in HTMLVideoElement.prototype;
  const video = takesFrames ? await encoder() : null;
  return video ? { way: "webcodecs", video, sound: await soundEncoder(), mime: null } : null;
}

async function encoder(): Promise<VideoChoice | null> {
  for (const bitrateMode of ["constant", "variable"] as const) {
    for (const codec of CODECS) {
      const choice: VideoChoice = { codec, bitrateMode };
      try {
        if ((await VideoEncoder.isConfigSupported(configOf(choice))).supported) return choice;
      } catch {
        // A value it does not know is an answer too.
      }
    }
  }
  return null;
}

function configOf({ codec, bitrateMode }: VideoChoice): VideoEncoderConfig {
  return {
    codec,
    bitrateMode,
    width: 1_280,
    height: 720,
    bitrate: 2_500_000,
    framerate: FRAME_RATE,
    latencyMode: "realtime",
    avc: { format: "avc" },
  };
}

/** Whether pictures come out of it soon after they went in. */
async function isPrompt(config: VideoEncoderConfig): Promise<boolean> {
  const canvas = new OffscreenCanvas(config.width, config.height);
  canvas.getContext("2d");
  let encoder: VideoEncoder | undefined;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      encoder = new VideoEncoder({ output: () => resolve(true), error: reject });
      encoder.configure(config);
      for (let index = 0; index < HELD_MOST; index++) {
        const frame = new VideoFrame(canvas, { timestamp: Math.round((index * 1e6) / FRAME_RATE) });
        encoder.encode(frame, { keyFrame: index === 0 });
        frame.close();
      }
      setTimeout(() => resolve(false), FIRST_WITHIN_MS);
    });
  } catch {
    return false;
  } finally {
    if (encoder && encoder.state !== "closed") encoder.close();
  }
}

async function soundEncoder(): Promise<SoundChoice> {
  if (typeof AudioEncoder === "undefined") return { codec: "pcm" };
  for (const codec of ["opus", "mp4a.40.2"] as const) {
    try {
      const config: AudioEncoderConfig = { codec, sampleRate: SAMPLE_RATE, numberOfChannels: 1, bitrate: 64_000 };
      if ((await AudioEncoder.isConfigSupported(config)).supported) return { codec };
    } catch {
      // As above.
    }
  }
  return { codec: "pcm" };
}

function recorder(way: Exclude<Way, "webcodecs">): Chosen | null {
  if (typeof MediaRecorder === "undefined") return null;
  const mime = MIMES[way].find((type) => MediaRecorder.isTypeSupported(type));
  return mime ? { way, video: null, sound: null, mime } : null;
}

/** `?camera=…` behind the hash's path or in the address: for trying out what another browser would do. */
export function forcedWay(): Way | null {
  const query = location.hash.split("?")[1] ?? location.search;
  const wish = new URLSearchParams(query).get("camera");
  return WAYS.find((way) => way === wish) ?? null;
}
