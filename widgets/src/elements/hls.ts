// hls.js (light) in a chunk of its own: loaded only when there is a stream to play.

import Hls from "hls.js/light";

export interface Stream {
  /** Wall-clock time of the frame on screen, in milliseconds; null before the first one. */
  playhead(): number | null;
  toLiveEdge(): void;
  destroy(): void;
}

/** Null: this browser has no Media Source Extensions (then it plays HLS natively). */
export function attach(video: HTMLVideoElement, url: string, onTrouble: (fatal: boolean) => void): Stream | null {
  if (!Hls.isSupported()) return null;
  const hls = new Hls({
    // Workers start from blob: URLs, which a storefront's strict CSP refuses.
    enableWorker: false,
    backBufferLength: 20,
    liveSyncDurationCount: 3,
    liveMaxLatencyDurationCount: 12,
    maxLiveSyncPlaybackRate: 1.08,
    liveDurationInfinity: true,
    manifestLoadPolicy: {
      default: {
        maxTimeToFirstByteMs: 8000,
        maxLoadTimeMs: 12000,
        timeoutRetry: { maxNumRetry: 3, retryDelayMs: 500, maxRetryDelayMs: 4000 },
        errorRetry: { maxNumRetry: 3, retryDelayMs: 500, maxRetryDelayMs: 4000 },
      },
    },
  });
  let retry: ReturnType<typeof setTimeout> | undefined;
  let mediaErrors = 0;
  hls.on(Hls.Events.ERROR, (_event, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && mediaErrors++ < 3) {
      hls.recoverMediaError();
      return;
    }
    onTrouble(true);
    clearTimeout(retry);
    // A server that restarts begins a new playlist: load it from the start, with jitter.
    retry = setTimeout(
      () => {
        hls.loadSource(url);
        hls.startLoad(-1);
      },
      1000 + Math.random() * 2000,
    );
  });
  hls.on(Hls.Events.FRAG_BUFFERED, () => onTrouble(false));
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    playhead: () => hls.playingDate?.getTime() ?? null,
    toLiveEdge: () => {
      const edge = hls.liveSyncPosition;
      if (edge !== null && Number.isFinite(edge)) video.currentTime = edge;
    },
    destroy: () => {
      clearTimeout(retry);
      hls.destroy();
    },
  };
}
