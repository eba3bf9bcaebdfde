/** A track's pictures on their way to the worker: as a stream where the browser has one, otherwise from a video element. */

import type { Fit, SourceName, ToWorker } from "./camera-messages";

declare class MediaStreamTrackProcessor {
  constructor(init: { track: MediaStreamTrack; maxBufferSize?: number });
  readonly readable: ReadableStream<VideoFrame>;
}

export class Frames {
  private stopped = false;
  private video: HTMLVideoElement | null = null;

  constructor(worker: Worker, source: SourceName, track: MediaStreamTrack, fit: Fit) {
    const say = (message: ToWorker, transfer: Transferable[]): void => worker.postMessage(message, transfer);
    if ("MediaStreamTrackProcessor" in globalThis) {
      const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 2 });
      say({ t: "stream", source, stream: readable, fit }, [readable]);
      return;
    }
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.srcObject = new MediaStream([track]);
    this.video = video;
    const each = (): void => {
      if (this.stopped) return;
      try {
        const frame = new VideoFrame(video, { timestamp: Math.round(performance.now() * 1_000) });
        say({ t: "frame", source, frame, fit }, [frame]);
      } catch {
        // Between two cameras the element has no picture.
      }
      video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
    void video.play().catch(() => undefined);
  }

  stop(): void {
    this.stopped = true;
    if (this.video) this.video.srcObject = null;
    this.video = null;
  }
}

/** Without the stream pictures come only while the tab is looked at. */
export function needsForeground(): boolean {
  return !("MediaStreamTrackProcessor" in globalThis);
}
