// hls.js (light) in a chunk of its own: loaded only when there is a stream to play.

import Hls from "hls.js/light";

export interface Stream {
  /** Wall-clock time of the frame on screen, in milliseconds; null before the first one. */
  playhead(): number | null;
  toLiveEdge(): void;
  /** The viewer pressed play or pause; a stream that comes back after a failure respects it. */
  want(playing: boolean): void;
  destroy(): void;
}

const WATCH_EVERY_MS = 2000;
const STUCK_MS = 8000;

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
  // Loading anew pauses the element; whether it should play is the viewer's decision, kept here.
  let wanted = true;
  const startOver = (): void => {
    clearTimeout(retry);
    // Jitter, so that a restarted server is not met by everybody in the same second.
    retry = setTimeout(
      () => {
        hls.loadSource(url);
        hls.startLoad(-1);
      },
      500 + Math.random() * 1500,
    );
  };
  // A server that lost its stream may begin a new playlist without any error: then nothing ever fits the old one.
  let lastTime = -1;
  let movedAt = Date.now();
  const watch = setInterval(() => {
    if (video.currentTime !== lastTime || (video.paused && !wanted)) {
      lastTime = video.currentTime;
      movedAt = Date.now();
      return;
    }
    if (Date.now() - movedAt < STUCK_MS || document.hidden) return;
    movedAt = Date.now();
    onTrouble(true);
    startOver();
  }, WATCH_EVERY_MS);
  hls.on(Hls.Events.ERROR, (_event, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && mediaErrors++ < 3) {
      hls.recoverMediaError();
      return;
    }
    onTrouble(true);
    startOver();
  });
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    // Refused autoplay is dealt with by whoever started the video first.
    if (wanted && lastTime > 0) video.play().catch(() => undefined);
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
    want: (playing) => {
      wanted = playing;
    },
    destroy: () => {
      clearTimeout(retry);
      clearInterval(watch);
      hls.destroy();
    },
  };
}
