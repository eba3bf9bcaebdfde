// The realtime side of one show: socket, resume, snapshot, commands. State comes down, commands go up.
// Snapshot first, socket second: the page shows the room even where WebSockets are blocked.

import type { CommandError, Commands, Hello, RoomEvent, Snapshot, Tick, You } from "../wire.gen";
import { ApiProblem, type Api } from "./api";
import { ServerClock } from "./clock";
import { fromSnapshot, isLogged, reduce, type RoomState } from "./reduce";

const PING_EVERY_MS = 25_000;
const ANSWER_WITHIN_MS = 10_000;
/** A loud room is not drawn anew for each event; after a moment of quiet an event shows at once. */
const CHANGE_EVERY_MS = 50;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const NO_SUCH_SHOW = 4504;
const CUSTOMERS_ONLY = "customers_only";

export type RoomStatus = "connecting" | "open" | "reconnecting" | "closed";

export class CommandFailed extends Error {
  constructor(readonly error: CommandError) {
    super(error.message);
    this.name = "CommandFailed";
  }
}

interface Waiting {
  resolve: (ok: never) => void;
  reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

export interface RoomOptions {
  /** The bearer token for the socket; null connects read-only, or by the session cookie on the server's own pages. */
  token?: () => Promise<string | null>;
  /** The token was refused. True: a new one is there, come back with it. */
  renew?: () => Promise<boolean>;
  /** Who asks for a show that is not for everybody; null: nobody who is known. */
  member?: () => Api | null;
}

/**
 * Events: "change" (state), "status" (status), "event" (`CustomEvent<RoomEvent | Tick>`, after it was applied),
 * "failed" (the first snapshot did not come; `error` says why).
 */
export class RoomClient extends EventTarget {
  state: RoomState | null = null;
  status: RoomStatus = "connecting";
  you: You | null = null;
  error: ApiProblem | null = null;
  /** Why the server closed for good: 4500 banned, ... */
  closeCode: number | null = null;
  readonly clock = new ServerClock();

  private socket: WebSocket | null = null;
  private live = false;
  private wanted = false;
  private failures = 0;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private nextId = 1;
  private readonly waiting = new Map<number, Waiting>();
  private buffer: RoomEvent[] | null = null;
  /** How far this line has told: where its events began, then the last one. */
  private told: { epoch: string; offset: number } | null = null;
  private loading: Promise<void> | null = null;
  private renewed = false;
  private changing: ReturnType<typeof setTimeout> | undefined;
  private changedAt = 0;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
    private readonly options: RoomOptions = {},
  ) {
    super();
  }

  /** Now, by the server's clock, in milliseconds. */
  serverNow(): number {
    return this.clock.now();
  }

  async connect(): Promise<void> {
    if (this.wanted) return;
    this.wanted = true;
    this.closeCode = null;
    addEventListener("online", this.retryNow);
    document.addEventListener("visibilitychange", this.retryNow);
    await this.open();
  }

  close(): void {
    this.wanted = false;
    removeEventListener("online", this.retryNow);
    document.removeEventListener("visibilitychange", this.retryNow);
    this.drop();
    this.setStatus("closed");
  }

  /** Drop the socket and come back at once, e.g. after the identity changed: then also to what was closed to the old one. */
  reconnect(): void {
    if (!this.wanted) {
      if (this.error?.code === CUSTOMERS_ONLY) void this.connect();
      return;
    }
    this.closeCode = null;
    this.drop();
    void this.open();
  }

  /** Who is quicker than the first connection waits for it; on a broken one he is told at once. */
  async command<T extends keyof Commands>(t: T, args: Commands[T]["args"]): Promise<Commands[T]["ok"]> {
    if (this.status === "connecting") await this.settled();
    const socket = this.socket;
    if (!socket || !this.live) throw offline();
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(offline());
      }, ANSWER_WITHIN_MS);
      this.waiting.set(id, { resolve: resolve as (ok: never) => void, reject, timer });
      socket.send(JSON.stringify({ ...args, id, t }));
    });
  }

  private settled(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.removeEventListener("status", done);
        resolve();
      };
      const timer = setTimeout(done, ANSWER_WITHIN_MS);
      this.addEventListener("status", done);
    });
  }

  private async open(): Promise<void> {
    clearTimeout(this.retryTimer);
    if (!this.wanted) return;
    this.setStatus(this.state ? "reconnecting" : "connecting");
    try {
      if (!this.state) await this.loadSnapshot();
    } catch (error) {
      this.failed(error);
      if (this.wanted) this.retryLater();
      return;
    }
    if (!this.wanted || this.socket) return;
    let token: string | null = null;
    try {
      token = (await this.options.token?.()) ?? null;
    } catch {
      // Reading needs no token; chat will say so when it is used.
    }
    if (!this.wanted || this.socket || !this.state) return;
    const url = new URL(`${this.api.base}/live/${encodeURIComponent(this.showId)}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("epoch", this.state.epoch);
    url.searchParams.set("offset", String(this.state.offset));
    const protocols = ["liveshop.v1"];
    if (token) protocols.push(`bearer.${token}`);
    const socket = new WebSocket(url, protocols);
    this.socket = socket;
    // A proxy that swallows the upgrade must not leave the page waiting for ever.
    const opening = setTimeout(() => socket.close(), ANSWER_WITHIN_MS);
    socket.onmessage = (message) => {
      clearTimeout(opening);
      if (this.socket === socket && typeof message.data === "string") this.receive(message.data);
    };
    socket.onclose = (event) => {
      clearTimeout(opening);
      if (this.socket === socket) void this.closed(event.code);
    };
  }

  private receive(text: string): void {
    let frame: Record<string, unknown>;
    try {
      frame = JSON.parse(text) as Record<string, unknown>;
    } catch {
      return;
    }
    if (typeof frame["id"] === "number") return this.answered(frame);
    switch (frame["t"]) {
      case "hello":
        return this.greeted(frame as unknown as Hello);
      case "resume_failed":
        return this.reload();
      default:
        if (frame["d"]) this.event(frame as unknown as RoomEvent | Tick);
    }
  }

  private greeted(hello: Hello): void {
    this.clock.heard(hello.at);
    this.you = hello.you;
    this.told = { epoch: hello.epoch, offset: hello.offset };
    this.live = true;
    this.failures = 0;
    this.renewed = false;
    this.pingTimer = setInterval(() => {
      this.command("ping", {}).then(
        ({ at }) => this.clock.heard(at),
        () => this.socket && this.lost(),
      );
    }, PING_EVERY_MS);
    this.setStatus("open");
    if (this.state && hello.epoch !== this.state.epoch) this.reload();
    this.dispatchEvent(new Event("change"));
  }

  private event(event: RoomEvent | Tick): void {
    if (!this.state) return;
    if (!isLogged(event)) return this.applied(event);
    if (this.buffer) {
      this.buffer.push(event);
      return;
    }
    if (firstOf(event) > this.state.offset + 1) {
      // An event is missing. Never guess: take the whole room again, and keep this one for after it.
      this.reload();
      this.buffer = [event];
      return;
    }
    if (this.told) this.told.offset = event.o;
    if (event.o <= this.state.offset) return;
    this.applied(event);
  }

  private applied(event: RoomEvent | Tick): void {
    if (!this.state) return;
    this.state = reduce(this.state, event);
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
    this.changing ??= setTimeout(() => {
      this.changing = undefined;
      this.changedAt = performance.now();
      this.dispatchEvent(new Event("change"));
    }, this.changedAt + CHANGE_EVERY_MS - performance.now());
  }

  /** Asks for the room as it is now: what is held may no longer be right. */
  reload(): void {
    this.buffer = [];
    this.loadSnapshot().then(
      () => {
        const later = this.buffer ?? [];
        this.buffer = null;
        if (!this.hasWhatWasTold()) return this.lost();
        for (const event of later) {
          if (!this.state || event.o <= this.state.offset) continue;
          if (firstOf(event) > this.state.offset + 1) return this.lost();
          if (this.told) this.told.offset = event.o;
          this.applied(event);
        }
      },
      (error: unknown) => {
        this.buffer = null;
        if (error instanceof ApiProblem && error.status === 403) {
          // It became a show for customers while we were here, or its rehearsal is over.
          this.state = null;
          this.drop();
          this.failed(error);
        } else this.lost();
      },
    );
  }

  /** A snapshot may be some time old, and this line does not tell twice; another one begins where the snapshot ends. */
  private hasWhatWasTold(): boolean {
    const { state, told } = this;
    return !state || !told || (state.epoch === told.epoch && state.offset >= told.offset);
  }

  private failed(error: unknown): void {
    this.error = error instanceof ApiProblem ? error : new ApiProblem(0, "unreachable", String(error), {}, null);
    this.dispatchEvent(new Event("failed"));
    if (this.error.status >= 400 && this.error.status < 500 && this.error.status !== 429) {
      this.wanted = false;
      this.setStatus("closed");
    }
  }

  private loadSnapshot(): Promise<void> {
    this.loading ??= this.snapshot()
      .then((snapshot) => {
        this.clock.heard(snapshot.at);
        this.state = fromSnapshot(snapshot);
        this.error = null;
        this.dispatchEvent(new Event("change"));
      })
      .finally(() => {
        this.loading = null;
      });
    return this.loading;
  }

  private snapshot(): Promise<Snapshot> {
    const path = `/api/shows/${encodeURIComponent(this.showId)}/snapshot`;
    return this.api.get<Snapshot>(path).catch((error: unknown) => {
      const member = error instanceof ApiProblem && error.code === CUSTOMERS_ONLY ? this.options.member?.() : null;
      if (!member) throw error;
      return member.get<Snapshot>(path);
    });
  }

  private answered(frame: Record<string, unknown>): void {
    const waiting = this.waiting.get(frame["id"] as number);
    if (!waiting) return;
    this.waiting.delete(frame["id"] as number);
    clearTimeout(waiting.timer);
    if (frame["error"]) waiting.reject(new CommandFailed(frame["error"] as CommandError));
    else waiting.resolve((frame["ok"] ?? {}) as never);
  }

  private async closed(code: number): Promise<void> {
    this.drop();
    if (!this.wanted) return;
    if (code === 4501 && !this.renewed && this.options.renew) {
      this.renewed = true;
      if (await this.options.renew().catch(() => false)) return void this.open();
    }
    if (code === NO_SUCH_SHOW) {
      // The snapshot says why: it is gone, or not for everybody any more.
      this.state = null;
      this.setStatus("reconnecting");
      this.retryLater();
      return;
    }
    if (code >= 4500 && code <= 4999) {
      this.closeCode = code;
      this.wanted = false;
      this.setStatus("closed");
      return;
    }
    this.setStatus("reconnecting");
    this.retryLater();
  }

  /** The line is dead though nobody closed it (sleep, a network change). */
  private lost(): void {
    this.drop();
    if (!this.wanted) return;
    this.setStatus("reconnecting");
    this.retryLater();
  }

  private drop(): void {
    clearTimeout(this.retryTimer);
    clearInterval(this.pingTimer);
    this.live = false;
    this.buffer = null;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    for (const waiting of this.waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(offline());
    }
    this.waiting.clear();
  }

  private retryLater(): void {
    clearTimeout(this.retryTimer);
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures++);
    // Jitter, so that a restarted server is not met by everybody in the same second.
    this.retryTimer = setTimeout(() => void this.open(), ceiling * (0.5 + Math.random() / 2));
  }

  private readonly retryNow = (): void => {
    if (!this.wanted || this.socket || document.hidden) return;
    this.failures = 0;
    void this.open();
  };

  private setStatus(status: RoomStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.dispatchEvent(new Event("status"));
  }
}

function firstOf(event: RoomEvent): number {
  return event.t === "more" ? event.from : event.o;
}

function offline(): CommandFailed {
  return new CommandFailed({
    code: "offline",
    message: "Not connected.",
    retryable: true,
    retry_after: null,
    data: {},
  });
}
