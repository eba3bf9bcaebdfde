// A stream on a video element, by hls.js (light): plays live close to its end, recordings from a moment on, and comes
// back by itself from whatever ends it.

import type { ErrorData, LevelDetails, LoadPolicy } from "hls.js";
import Hls from "hls.js/light";
import { LiveEdge } from "./live-edge";
import { dateOf, positionOf, type Stretch } from "./timeline";

export interface Figures {
  /** Seconds behind the end of the stream; null while it is no live stream or does not play. */
  latency: number | null;
  target: number;
  stalls: number;
}

export interface Stream {
  readonly figures: Figures;
  /** Whether it keeps close to live; not where something moved the video back (a headset, a page's script). */
  readonly followsLive: boolean;
  /** What there is of a recording; empty before it is known. */
  readonly stretches: readonly Stretch[];
  /** Wall-clock time of the frame on screen, in milliseconds; null before the first one. */
  playhead(): number | null;
  toLiveEdge(): void;
  /** The viewer pressed play or pause; a stream that comes back after a failure respects it. */
  want(playing: boolean): void;
  /** Whether the host's picture is being sent, as the room says. Null: the room does not know. */
  heard(onAir: boolean | null): void;
  /** To a moment of a recording, in wall-clock milliseconds. False: it is not in there. */
  seek(date: number): boolean;
  destroy(): void;
}

export interface StreamOptions {
  /** For a recording: play from this moment on, in wall-clock milliseconds. */
  from?: number;
  /** Loading anew takes the picture off the element: the last chance to keep it. */
  onBlank?: () => void;
  onStall?: () => void;
  /** The address is not (or no longer) good for this viewer. */
  onDenied?: () => void;
}

const STEER_EVERY_MS = 100;
const STUCK_MS = 6000;
/** A stream that is silent this long while the host is away is left alone until the room tells of him. */
const REST_AFTER_MS = 8000;
/** Jitter, so that a restarted server is not met by everybody in the same moment. */
const SOON_MS = 400;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 12_000;
/** A stream that ends this little after what was seen has nothing new to show. */
const NEWS_MS = 300;
const MEDIA_ERRORS_BORNE = 3;
const MEDIA_ERRORS_WITHIN_MS = 60_000;
const JUMP_AT_MOST_EVERY_MS = 3000;
const BLAMED_MS = 4000;
/** Less than a picture lasts: nothing to be shown is shorter. */
const PART_LEAST_S = 0.015;
/** hls.js itself never seeks back so far. */
const MOVED_BACK_S = 1;

const policy = (firstByteMs: number, times: number): LoadPolicy => ({
  default: {
    maxTimeToFirstByteMs: firstByteMs,
    maxLoadTimeMs: 20_000,
    timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: times, retryDelayMs: 300, maxRetryDelayMs: 3000 },
  },
});

/** Null: this browser has no Media Source Extensions (then it plays HLS natively). */
export function attach(
  video: HTMLVideoElement,
  url: string,
  onTrouble: (fatal: boolean) => void,
  options: StreamOptions = {},
): Stream | null {
  return Hls.isSupported() ? new HlsStream(video, url, onTrouble, options) : null;
}

class HlsStream implements Stream {
  private hls: Hls;
  private readonly edge = new LiveEdge();
  private readonly timer: ReturnType<typeof setInterval>;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private rest: ReturnType<typeof setTimeout> | undefined;
  private attempts = 0;
  private mediaErrors = 0;
  private mediaErrorAt = 0;
  private onAir: boolean | null = null;
  private resting = false;
  /** Loading anew pauses the element; whether it should play is the viewer's decision, kept here. */
  private wanted = true;
  private isGone = false;
  private isLeft = false;
  private started = false;
  private played = false;
  private latency: number | null = null;
  /** The last frame's wall-clock time: what is loaded anew goes on from here. */
  private seen: number | null = null;
  /** Where in a recording without dates to go on. */
  private position = -1;
  private lastTime = -1;
  private movedAt = performance.now();
  private stalledAt = -Infinity;
  private jumpedAt = -JUMP_AT_MOST_EVERY_MS;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly onTrouble: (fatal: boolean) => void,
    private readonly options: StreamOptions,
  ) {
    this.hls = this.open();
    this.timer = setInterval(() => this.tick(), STEER_EVERY_MS);
    video.addEventListener("playing", this.onPlaying);
    video.addEventListener("waiting", this.onWaiting);
    video.addEventListener("seeking", this.onSeeking);
    addEventListener("online", this.onOnline);
  }

  get figures(): Figures {
    return { latency: this.latency, target: this.edge.target, stalls: this.edge.stalls };
  }

  get followsLive(): boolean {
    return !this.isLeft;
  }

  get stretches(): readonly Stretch[] {
    const details = this.hls.latestLevelDetails;
    return details && !details.live ? details.fragments : [];
  }

  playhead(): number | null {
    const { video, stretches } = this;
    // After a seek hls.js goes on counting from the fragment before it, beyond a gap too, until the new one is there.
    if (stretches.length > 0) return video.readyState > 0 ? dateOf(stretches, video.currentTime) : null;
    return this.hls.playingDate?.getTime() ?? null;
  }

  toLiveEdge(): void {
    const details = this.hls.latestLevelDetails;
    const edge = details?.partList?.length ? liveEnd(details) - this.edge.target : this.hls.liveSyncPosition;
    if (edge === null || !Number.isFinite(edge) || this.resting) return;
    this.isLeft = false;
    this.edge.moved();
    this.lastTime = this.video.currentTime = edge;
  }

  want(playing: boolean): void {
    this.wanted = playing;
  }

  heard(onAir: boolean | null): void {
    if (onAir === this.onAir) return;
    this.onAir = onAir;
    clearTimeout(this.rest);
    if (onAir === false) {
      // The picture may have run dry before the room could say why.
      if (performance.now() - this.stalledAt < BLAMED_MS) this.edge.pardon();
      // Soon back, the open request for the next part is the fastest way to hear of it.
      this.rest = setTimeout(() => this.sleep(), REST_AFTER_MS);
    } else if (this.resting || this.retry !== undefined) {
      this.resting = false;
      this.attempts = 0;
      this.again(Math.random() * SOON_MS);
    }
  }

  seek(date: number): boolean {
    const details = this.hls.latestLevelDetails;
    const position = details && positionOf(details.fragments, date);
    if (position == null) return false;
    this.video.currentTime = position;
    return true;
  }

  destroy(): void {
    this.isGone = true;
    clearInterval(this.timer);
    clearTimeout(this.retry);
    clearTimeout(this.rest);
    this.video.removeEventListener("playing", this.onPlaying);
    this.video.removeEventListener("waiting", this.onWaiting);
    this.video.removeEventListener("seeking", this.onSeeking);
    removeEventListener("online", this.onOnline);
    this.video.playbackRate = 1;
    this.hls.destroy();
  }

  private open(): Hls {
    const recorded = this.options.from !== undefined;
    const hls = new Hls({
      // Workers start from blob: URLs, which a storefront's strict CSP refuses.
      enableWorker: false,
      autoStartLoad: !recorded,
      startPosition: this.position,
      backBufferLength: recorded ? 60 : 20,
      maxBufferLength: 20,
      liveDurationInfinity: true,
      // The distance to live and its speed are steered here. A liveSyncDuration would replace the server's PART-HOLD-BACK.
      maxLiveSyncPlaybackRate: 1,
      liveSyncOnStallIncrease: 0.1,
      // Its default of 0.25 skips the short last part of an encoder's run when the next run is known with it. Appended
      // late the part's pictures are dropped: sound goes on over the hole, the picture stands for three seconds.
      maxFragLookUpTolerance: PART_LEAST_S,
      // Two renditions at most: measuring the first segment costs more than it brings.
      testBandwidth: false,
      abrEwmaDefaultEstimate: 4_000_000,
      manifestLoadPolicy: policy(8000, 0),
      // A blocking reload answers when the next part is there.
      playlistLoadPolicy: policy(12_000, 3),
      fragLoadPolicy: policy(6000, 2),
    });
    leaveToUs(hls);
    hls.on(Hls.Events.BUFFER_CREATED, (_event, { tracks }) => {
      for (const { buffer } of Object.values(tracks)) if (buffer) beginRunsAnew(buffer);
    });
    this.started = this.played = this.isLeft = false;
    this.lastTime = -1;
    hls.on(Hls.Events.ERROR, (_event, data) => this.failed(data));
    hls.on(Hls.Events.LEVEL_LOADED, (_event, data) => this.loaded(data.details));
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      this.attempts = 0;
      this.onTrouble(false);
    });
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
    return hls;
  }

  private loaded(details: LevelDetails): void {
    if (this.started) return;
    this.started = true;
    const { from } = this.options;
    if (from !== undefined) {
      this.hls.startLoad(positionOf(details.fragments, this.seen ?? from) ?? -1);
    } else if (details.live && this.seen !== null && endDate(details) < this.seen + NEWS_MS) {
      // Nothing came since: to play its last second once more would tell of a picture that is not there.
      this.hls.stopLoad();
      this.again();
    }
  }

  private failed(data: ErrorData): void {
    if (!data.fatal) return;
    const now = performance.now();
    if (now - this.mediaErrorAt > MEDIA_ERRORS_WITHIN_MS) this.mediaErrors = 0;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && this.mediaErrors++ < MEDIA_ERRORS_BORNE) {
      this.mediaErrorAt = now;
      this.played = false;
      const goesOn = this.wanted && !this.video.paused;
      this.options.onBlank?.();
      this.hls.recoverMediaError();
      if (goesOn) this.play();
      return;
    }
    if (data.response?.code === 403) this.options.onDenied?.();
    if (this.onAir === false) return this.sleep();
    this.onTrouble(true);
    this.again();
  }

  /** Nobody sends: asking the server would bring nothing. */
  private sleep(): void {
    clearTimeout(this.rest);
    clearTimeout(this.retry);
    this.retry = undefined;
    this.resting = true;
    this.hls.stopLoad();
  }

  private again(delay?: number): void {
    if (this.isGone) return;
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempts);
    if (delay === undefined) this.attempts += 1;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.startOver(), delay ?? ceiling * (0.5 + Math.random() / 2));
  }

  private startOver(): void {
    this.retry = undefined;
    this.movedAt = performance.now();
    this.options.onBlank?.();
    this.position = this.hls.latestLevelDetails?.live === false ? this.video.currentTime : -1;
    this.hls.destroy();
    this.edge.moved();
    this.hls = this.open();
    if (this.wanted) this.play();
  }

  private play(): void {
    this.video.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.video.muted) return;
      // Better silent than not back at all.
      this.video.muted = true;
      this.video.play().catch(() => undefined);
    });
  }

  private tick(): void {
    const now = performance.now();
    if (this.retry === undefined && !this.resting) this.watch(now);
    if (this.played) this.seen = this.playhead() ?? this.seen;
    this.steer(now);
  }

  /** A server that lost its stream may begin a new playlist without any error: then nothing ever fits the old one. */
  private watch(now: number): void {
    const { video } = this;
    const still = video.ended || (video.paused && (!this.wanted || video.readyState >= 3));
    if (video.currentTime !== this.lastTime || still || document.hidden) {
      this.lastTime = video.currentTime;
      this.movedAt = now;
      return;
    }
    if (now - this.movedAt < STUCK_MS || this.onAir === false) return;
    this.movedAt = now;
    this.onTrouble(true);
    this.again();
  }

  private steer(now: number): void {
    const { video } = this;
    const details = this.hls.latestLevelDetails;
    const parts = details?.live && details.partList?.length;
    if (!parts || !video.readyState || video.paused || video.seeking || this.isLeft) {
      this.latency = null;
      // A recording is watched as fast as its viewer likes.
      const rate = details?.live === false ? video.defaultPlaybackRate : 1;
      if (video.playbackRate !== rate) video.playbackRate = rate;
      return;
    }
    const end = liveEnd(details);
    this.latency = end - video.currentTime;
    const [ahead, hole] = buffered(video);
    const speed = this.edge.steer({ latency: this.latency, ahead, age: details.age }, now / 1000);
    if (speed !== "jump") {
      // Over a hole hls.js helps, but only a video that wants to run.
      const rate = hole ? 1 : speed;
      if (video.playbackRate !== rate) video.playbackRate = rate;
    } else if (now - this.jumpedAt > JUMP_AT_MOST_EVERY_MS) {
      this.jumpedAt = now;
      this.edge.moved();
      this.lastTime = video.currentTime = end - this.edge.target;
    }
  }

  private readonly onPlaying = (): void => {
    this.played = true;
  };

  private readonly onWaiting = (): void => {
    if (!this.played || this.video.seeking || this.video.paused) return;
    this.stalledAt = performance.now();
    this.edge.stalled(this.stalledAt / 1000, this.onAir !== false);
    this.options.onStall?.();
  };

  private readonly onSeeking = (): void => {
    if (this.played && this.video.currentTime < this.lastTime - MOVED_BACK_S) this.isLeft = true;
  };

  private readonly onOnline = (): void => {
    if (this.retry === undefined) return;
    this.attempts = 0;
    this.again(Math.random() * SOON_MS);
  };
}

/** What hls.js does of its own accord and has no setting for; its version is pinned. */
interface StreamController {
  synchronizeToLiveEdge?: () => void;
  alignPlaylists?: (details: LevelDetails, previous?: LevelDetails, last?: LevelDetails) => number;
}

function leaveToUs(hls: Hls): void {
  const controller = (hls as unknown as { streamController?: StreamController }).streamController;
  // When the encoder has gone and the last frames were played, it takes the end for a place too far from live and goes
  // back: the last second is played once more and stalls once more.
  if (controller?.synchronizeToLiveEdge) controller.synchronizeToLiveEdge = () => undefined;
  const align = controller?.alignPlaylists;
  if (!align) return;
  // While it loads parts it knows no fragment's times, and lays a young playlist anew by its dates whenever it comes
  // again. The dates of a stream's first seconds still move: playlist and media would lie apart for good.
  controller.alignPlaylists = (details, previous, last) =>
    previous && previous === last && details.startSN <= previous.endSN
      ? details.fragmentStart
      : align.call(controller, details, previous, last);
}

/**
 * Between two runs of an encoder sound may be missing for some frames. MSE takes that for a hole in everything and drops
 * pictures up to the next keyframe (3.5.8, coded frame processing); after an abort it compares with nothing.
 */
function beginRunsAnew(buffer: SourceBuffer): void {
  const { appendBuffer } = buffer;
  let offset = buffer.timestampOffset;
  buffer.appendBuffer = (data) => {
    if (buffer.timestampOffset !== offset) {
      offset = buffer.timestampOffset;
      buffer.abort();
    }
    appendBuffer.call(buffer, data);
  };
}

/** Where the end of the stream is by now: it goes on growing between two playlists. */
function liveEnd(details: LevelDetails): number {
  return details.edge + details.age;
}

function endDate(details: LevelDetails): number {
  const last = details.fragments.at(-1);
  return last?.programDateTime == null ? Infinity : last.programDateTime + (details.edge - last.start) * 1000;
}

/** Seconds buffered ahead of the frame on screen, and whether more lies behind a hole. */
function buffered({ buffered: ranges, currentTime }: HTMLVideoElement): [ahead: number, hole: boolean] {
  let ahead = 0;
  let hole = false;
  for (let i = 0; i < ranges.length; i++) {
    if (ranges.start(i) > currentTime) hole = true;
    else if (ranges.end(i) > currentTime) ahead = ranges.end(i) - currentTime;
  }
  return [ahead, hole];
}
