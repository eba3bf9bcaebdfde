/** For browsers that encode only into a container: a recorder whose bytes go out as they are handed over. */

import type { ToWorker } from "./camera-messages";

const SLICE_MS = 100;
const KEYFRAME_EVERY_MS = 1_000;
/** Some hand an MP4 over only once in each keyframe's time. */
const MP4_KEYFRAME_EVERY_MS = 500;

export class Recording {
  private readonly recorder: MediaRecorder;
  private order: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(worker: Worker, run: number, stream: MediaStream, mime: string, kbit: number, broken: () => void) {
    const options = {
      mimeType: mime,
      videoBitsPerSecond: kbit * 1_000,
      audioBitsPerSecond: 64_000,
      videoKeyFrameIntervalDuration: mime.startsWith("video/mp4") ? MP4_KEYFRAME_EVERY_MS : KEYFRAME_EVERY_MS,
    };
    this.recorder = new MediaRecorder(stream, options);
    this.recorder.ondataavailable = ({ data }) => {
      const at = performance.now() * 1_000;
      this.order = this.order.then(async () => {
        const bytes = await data.arrayBuffer();
        if (this.stopped || bytes.byteLength === 0) return;
        const message: ToWorker = { t: "recorded", run, bytes, at };
        worker.postMessage(message, [bytes]);
      });
    };
    this.recorder.onerror = broken;
    this.recorder.start(SLICE_MS);
  }

  stop(): void {
    this.stopped = true;
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }
}
