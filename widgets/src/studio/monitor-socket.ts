/**
 * The picture as it comes from the encoder, for the show's own staff: fragments over a WebSocket into the browser's
 * own decoder, about half a second behind. Viewers get theirs over HTTP, where caches can stand in between.
 */

/** How much is kept ahead of the picture: less stutters on fragments of a tenth of a second. */
const AHEAD_SECONDS = 0.25;
const AHEAD_MAX_SECONDS = 0.9;
const STALL_ADDS_SECONDS = 0.1;
const CALM_TAKES_SECONDS = 0.002;
/** From here on a jump disturbs less than minutes of catching up. */
const FAR_SECONDS = 1.5;
const TEND_EVERY_MS = 100;
const KEPT_SECONDS = 8;
/** A decoder that takes none of so many fragments will take no more. */
const WAITING_MAX = 300;
const OPENS_WITHIN_MS = 10_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 10_000;

interface Init {
  type: "init";
  codecs: string;
  width: number;
  height: number;
  /** When media time zero arrived, by the server's clock. */
  origin: string;
  /** How long before that it was taken, as far as that was measured. */
  capture_delay_ms: number;
}

type Message = Init | { type: "origin"; origin: string; capture_delay_ms: number } | { type: "off" };

export type FeedState = "waiting" | "playing" | "refused";

type Sources = typeof MediaSource;

/** iPhones have only the managed kind. Null: this browser cannot be fed. */
function sources(): Sources | null {
  const global = globalThis as { MediaSource?: Sources; ManagedMediaSource?: Sources };
  return global.MediaSource ?? global.ManagedMediaSource ?? null;
}

export function canMonitor(): boolean {
  return sources() !== null;
}

/** Fires "state" when `state` changes, "picture" when the first picture of a run can be seen. */
export class MonitorFeed extends EventTarget {
  state: FeedState = "waiting";
  private socket: WebSocket | null = null;
  private run: Run | null = null;
  private wanted = true;
  private failures = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly showId: string,
  ) {
    super();
    this.open();
  }

  /** When a picture arrived at the server, in milliseconds by its clock; null while there is none. */
  arrivedAt(mediaTime: number): number | null {
    return this.run ? this.run.origin + mediaTime * 1_000 : null;
  }

  /** When the picture on the screen was taken. */
  playhead(): number | null {
    if (!this.run?.started) return null;
    const arrived = this.arrivedAt(this.video.currentTime);
    return arrived === null ? null : arrived - this.run.captureDelay;
  }

  close(): void {
    this.wanted = false;
    clearTimeout(this.retry);
    this.drop();
    this.video.removeAttribute("src");
    this.video.load();
  }

  private open(): void {
    const url = new URL(`/live/${encodeURIComponent(this.showId)}/monitor`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, "liveshop.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const opening = setTimeout(() => socket.close(), OPENS_WITHIN_MS);
    socket.onopen = () => clearTimeout(opening);
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(message.data as string | ArrayBuffer);
    };
    socket.onclose = (event) => {
      clearTimeout(opening);
      if (this.socket === socket) this.closed(event.code);
    };
  }

  private receive(data: string | ArrayBuffer): void {
    if (typeof data !== "string") {
      this.run?.feed(data);
      return;
    }
    const message = JSON.parse(data) as Message;
    if (message.type === "init") this.begin(message);
    else if (message.type === "off") this.end();
    else if (message.type === "origin" && this.run) {
      this.run.origin = Date.parse(message.origin);
      this.run.captureDelay = message.capture_delay_ms;
    }
  }

  private begin(init: Init): void {
    const kind = sources();
    if (!kind) return;
    this.run?.close();
    this.run = new Run(kind, this.video, init, {
      started: () => {
        this.failures = 0;
        this.set("playing");
        this.dispatchEvent(new Event("picture"));
      },
      broken: () => this.socket?.close(),
    });
  }

  /** The encoder is gone; the last picture stays until somebody covers it or the next run begins. */
  private end(): void {
    this.run?.close();
    this.run = null;
    this.set("waiting");
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.run?.close();
    this.run = null;
  }

  private closed(code: number): void {
    this.drop();
    if (!this.wanted) return;
    if (code >= 4500 && code <= 4999) {
      this.wanted = false;
      this.set("refused");
      return;
    }
    this.set("waiting");
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures++);
    this.retry = setTimeout(() => this.open(), ceiling * (0.5 + Math.random() / 2));
  }

  private set(state: FeedState): void {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

interface Listener {
  started: () => void;
  broken: () => void;
}

/** One publisher with one set of parameters: a media source of its own, so that nothing of the last one remains. */
class Run {
  origin: number;
  captureDelay: number;
  started = false;
  private readonly source: MediaSource;
  private readonly address: string;
  private readonly timer: ReturnType<typeof setInterval>;
  private buffer: SourceBuffer | null = null;
  private waiting: ArrayBuffer[] = [];
  private wantedAhead = AHEAD_SECONDS;
  private smoothAhead = AHEAD_SECONDS;
  private open = true;

  constructor(
    kind: Sources,
    private readonly video: HTMLVideoElement,
    init: Init,
    private readonly listener: Listener,
  ) {
    this.origin = Date.parse(init.origin);
    this.captureDelay = init.capture_delay_ms;
    this.source = new kind();
    this.address = URL.createObjectURL(this.source);
    // A managed source is refused where the picture may be sent to a television.
    video.disableRemotePlayback = true;
    this.source.addEventListener("sourceopen", () => this.opened(init.codecs), { once: true });
    video.addEventListener("error", this.broken);
    video.addEventListener("waiting", this.stalled);
    video.src = this.address;
    this.timer = setInterval(() => this.tend(), TEND_EVERY_MS);
  }

  feed(bytes: ArrayBuffer): void {
    this.waiting.push(bytes);
    if (this.waiting.length > WAITING_MAX) this.broken();
    else this.pump();
  }

  close(): void {
    this.open = false;
    clearInterval(this.timer);
    this.video.removeEventListener("error", this.broken);
    this.video.removeEventListener("waiting", this.stalled);
    this.waiting = [];
    URL.revokeObjectURL(this.address);
  }

  private readonly broken = (): void => {
    if (this.open) this.listener.broken();
  };

  private readonly stalled = (): void => {
    if (this.started) this.wantedAhead = Math.min(AHEAD_MAX_SECONDS, this.wantedAhead + STALL_ADDS_SECONDS);
  };

  private opened(codecs: string): void {
    if (!this.open) return;
    try {
      this.buffer = this.source.addSourceBuffer(`video/mp4; codecs="${codecs}"`);
    } catch {
      return this.broken();
    }
    this.buffer.addEventListener("updateend", () => this.pump());
    this.pump();
  }

  private pump(): void {
    const { buffer } = this;
    if (!this.open || !buffer || buffer.updating || this.source.readyState !== "open") return;
    try {
      const first = buffer.buffered.length > 0 ? buffer.buffered.start(0) : Infinity;
      if (this.video.currentTime - first > 2 * KEPT_SECONDS) {
        buffer.remove(0, this.video.currentTime - KEPT_SECONDS);
        return;
      }
      const next = this.waiting.shift();
      if (next) buffer.appendBuffer(next);
    } catch {
      this.broken();
    }
  }

  /** Keeps the picture close behind what has arrived: a little faster or slower, or by a jump. */
  private tend(): void {
    const ranges = this.buffer?.buffered;
    if (!this.open || !ranges || ranges.length === 0 || this.video.seeking) return;
    const end = ranges.end(ranges.length - 1);
    const start = ranges.start(ranges.length - 1);
    const ahead = end - this.video.currentTime;
    if (!this.started) {
      if (end - start < this.wantedAhead) return;
      this.started = true;
      this.video.currentTime = Math.max(start, end - this.wantedAhead);
      this.video.play().catch(() => {
        // Muted autoplay is refused only in power saving; pressing the sound button plays it.
      });
      this.listener.started();
      return;
    }
    if (ahead > FAR_SECONDS || ahead < 0 || this.video.currentTime < start) {
      this.video.currentTime = Math.max(start, end - this.wantedAhead);
      this.smoothAhead = this.wantedAhead;
      return;
    }
    this.wantedAhead = Math.max(AHEAD_SECONDS, this.wantedAhead - CALM_TAKES_SECONDS);
    this.smoothAhead += (ahead - this.smoothAhead) * 0.2;
    const off = this.smoothAhead - this.wantedAhead;
    this.video.playbackRate = Math.abs(off) < 0.04 ? 1 : Math.min(1.2, Math.max(0.9, 1 + off * 0.5));
  }
}
