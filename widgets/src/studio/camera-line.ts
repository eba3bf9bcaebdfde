/**
 * The WebSocket a camera sends over: opening, resuming, and what the server says. It notices by silence that the line is
 * dead, long before the browser does, and comes back by itself for as long as it is wanted.
 */

import type { Refusal } from "./camera-messages";

const OPENS_WITHIN_MS = 6_000;
const PING_EVERY_MS = 1_000;
/** So long without a word from the server, who answers each ping, and the line is dead. */
const SILENCE_MS = 4_000;
const BACKOFF_FIRST_MS = 400;
const BACKOFF_MAX_MS = 4_000;
const REFUSED_BACKOFF_MS = 2_000;
/** A line that lasted so long begins its next search from the start. */
const PROVED_MS = 10_000;
/** Kind and time before each payload. */
const HEADER_BYTES = 9;

export const KIND = { delta: 0, key: 1, sound: 2, container: 3, probe: 4 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

export interface TrackConfig {
  codec: string;
  description?: string;
  width?: number;
  height?: number;
  sample_rate?: number;
  channels?: number;
}

export interface Configs {
  video: TrackConfig | null;
  audio: TrackConfig | null;
}

export interface Begin extends Configs {
  format: "webcodecs" | "recorder";
  mime: string | null;
}

type Said =
  | { t: "ready"; resume: string; state: "preview" | "on_air"; max_kbit_per_second?: number | null }
  | { t: "refused"; code: string; message: string; retryable: boolean; retry_after: number | null }
  | { t: "ack"; bytes: number; timestamp: number }
  | { t: "state"; state: "preview" | "on_air" }
  | { t: "notice"; code: string; message: string }
  | { t: "pong"; at: number };

export interface LineEvents {
  /** The socket is open. Null: what is sent is not known yet; then `begin()` is called when it is. */
  opened(): Begin | null;
  ready(maxKbit: number | null): void;
  acked(bytes: number): void;
  onAir(is: boolean): void;
  notice(code: string, message: string): void;
  lost(): void;
  /** It will not come back. */
  refused(refusal: Refusal): void;
}

export type LineState = "opening" | "ready" | "waiting" | "over";

export class Line {
  state: LineState = "opening";
  /** Media bytes handed to this socket. */
  sent = 0;
  acked = 0;
  private socket: WebSocket | null = null;
  private resume: string | null = null;
  private refusal: (Refusal & { retryable: boolean; after: number | null }) | null = null;
  private failures = 0;
  private heardAt = 0;
  private openedAt = 0;
  private pingedAt = 0;
  private begun = false;
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly address: string,
    private readonly events: LineEvents,
  ) {
    this.open();
  }

  get inFlight(): number {
    return this.sent - this.acked;
  }

  /** Called several times a second. */
  tend(now: number): void {
    const { socket } = this;
    if (!socket) return;
    if (this.state === "opening") {
      if (now - this.openedAt > OPENS_WITHIN_MS) this.drop();
      return;
    }
    if (now - this.heardAt > SILENCE_MS) this.drop();
    else if (now - this.pingedAt >= PING_EVERY_MS) {
      this.pingedAt = now;
      socket.send(JSON.stringify({ t: "ping", at: Math.round(now) }));
    }
  }

  begin(begin: Begin): void {
    if (this.begun || this.socket?.readyState !== WebSocket.OPEN) return;
    this.begun = true;
    this.socket.send(JSON.stringify({ t: "begin", ...begin, resume: this.resume }));
  }

  tell(message: Record<string, unknown>): void {
    if (this.state === "ready") this.socket?.send(JSON.stringify(message));
  }

  media(kind: Kind, timestamp: number, payload: Uint8Array): void {
    if (!this.socket) return;
    const bytes = framed(kind, timestamp, payload);
    this.sent += bytes.length;
    this.socket.send(bytes);
  }

  /** Comes back at once, as after a change of the network. */
  renew(): void {
    if (this.state === "over") return;
    this.failures = 0;
    this.drop();
    clearTimeout(this.retry);
    this.open();
  }

  hurry(): void {
    if (this.state === "waiting") this.renew();
  }

  /** Done when what was sent has left. */
  close(): Promise<void> {
    this.tell({ t: "bye" });
    this.state = "over";
    clearTimeout(this.retry);
    const { socket } = this;
    this.socket = null;
    if (!socket) return Promise.resolve();
    return new Promise((resolve) => {
      socket.onclose = () => resolve();
      socket.close();
    });
  }

  private open(): void {
    this.state = "opening";
    this.openedAt = performance.now();
    this.begun = false;
    this.refusal = null;
    this.sent = 0;
    this.acked = 0;
    const socket = new WebSocket(this.address, "liveshop.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.heardAt = performance.now();
      const begin = this.events.opened();
      if (begin) this.begin(begin);
    };
    socket.onmessage = (message) => {
      if (this.socket === socket && typeof message.data === "string") this.receive(JSON.parse(message.data) as Said);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
  }

  private receive(said: Said): void {
    this.heardAt = performance.now();
    switch (said.t) {
      case "ready":
        this.resume = said.resume;
        this.state = "ready";
        this.events.ready(said.max_kbit_per_second ?? null);
        this.events.onAir(said.state === "on_air");
        break;
      case "ack":
        this.acked = said.bytes;
        this.events.acked(said.bytes);
        break;
      case "state":
        this.events.onAir(said.state === "on_air");
        break;
      case "notice":
        this.events.notice(said.code, said.message);
        break;
      case "refused":
        this.refusal = { code: said.code, message: said.message, retryable: said.retryable, after: said.retry_after };
        break;
      default:
        break;
    }
  }

  /** Forgets the socket without waiting for it: a dead line does not answer a goodbye either. */
  private drop(): void {
    if (!this.socket) return;
    const { socket } = this;
    this.socket = null;
    socket.close();
    this.closed(1006);
  }

  private closed(code: number): void {
    this.socket = null;
    if (this.state === "over") return;
    const { refusal } = this;
    if (code >= 4_500 || (refusal && !refusal.retryable)) {
      this.state = "over";
      this.events.refused(refusal ?? { code: `closed_${code}`, message: "" });
      return;
    }
    if (this.state === "ready" && performance.now() - this.openedAt > PROVED_MS) this.failures = 0;
    this.state = "waiting";
    this.events.lost();
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures++);
    const wait = refusal ? Math.max(REFUSED_BACKOFF_MS, (refusal.after ?? 0) * 1_000) : 0;
    this.retry = setTimeout(() => this.open(), wait + ceiling * (0.5 + Math.random() / 2));
  }
}

export function framed(kind: Kind, timestamp: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes[0] = kind;
  new DataView(bytes.buffer).setBigInt64(1, BigInt(Math.round(timestamp)));
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}
