/**
 * All that sends a camera's picture and sound, away from the page: what the page draws cannot delay it, and a tab in the
 * background keeps its pace here.
 */

import { KIND, Line, type Begin, type Configs, type TrackConfig } from "./camera-line";
import { Outbox } from "./camera-outbox";
import { Pictures } from "./camera-picture";
import { probe } from "./camera-probe";
import { Rate } from "./camera-rate";
import { Sound } from "./camera-sound";
import { microseconds, type FromWorker, type Refusal, type SendState, type Start, type Status, type ToWorker } from "./camera-messages";

const TEND_EVERY_MS = 100;
const STATUS_EVERY_TURNS = 5;
/** So long without a turn, and it was this machine that stood still: what arrived meanwhile has yet to be read. */
const STOOD_STILL_MS = 250;
/** Without pictures for so long it is worth saying. */
const TELL_SKIPPING_MS = 1_000;
/** So long without a byte taken, and the line carries nothing, though nothing has said so yet. */
const STUCK_MS = 2_000;

const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  addEventListener(type: "online", listener: () => void): void;
};

function say(message: FromWorker): void {
  scope.postMessage(message);
}

class Sender {
  private readonly line: Line;
  private readonly outbox: Outbox;
  private readonly rate: Rate;
  private readonly pictures: Pictures | null;
  private readonly sound: Sound | null;
  private readonly timer: ReturnType<typeof setInterval>;
  private configs: Configs = { video: null, audio: null };
  private onAir: boolean | null = null;
  private refusal: Refusal | null = null;
  private skippingSince: number | null = null;
  private late = 0;
  private turns = 0;
  private turnedAt = performance.now();
  private run = 0;
  private everReady = false;
  private told: SendState = "connecting";
  private isMuted: boolean;

  constructor(private readonly start: Start) {
    this.isMuted = start.isMuted;
    this.rate = new Rate(start.kbit);
    const { video, sound } = start;
    const broken = (what: string): void => this.broken(what);
    this.line = new Line(start.address, {
      opened: () => this.begin(),
      ready: (maxKbit) => this.ready(maxKbit),
      acked: (bytes) => this.outbox.acked(bytes),
      onAir: (is) => {
        this.onAir = is;
        this.tell();
      },
      notice: (code, message) => say({ t: "notice", code, message }),
      lost: () => this.tell(),
      refused: (refusal) => {
        this.refusal = refusal;
        this.stopMaking();
        this.tell();
      },
    });
    this.outbox = new Outbox(this.line, () => this.pictures?.keyframe());
    this.sound = sound
      ? new Sound(sound, {
          packet: (timestamp, bytes) => this.outbox.put(KIND.sound, timestamp, bytes),
          config: (config) => this.learn("audio", config),
          broken,
        })
      : null;
    if (this.sound) this.sound.isMuted = start.isMuted;
    this.pictures = video
      ? new Pictures(video, start.isUpright, this.rate.kbit, this.rate.lines, {
          picture: (timestamp, bytes, isKey) => this.outbox.put(isKey ? KIND.key : KIND.delta, timestamp, bytes, isKey ? this.configs : null),
          config: (config) => this.learn("video", config),
          broken,
          // Some encoders hold dozens of pictures before they say what they make.
          isWanted: () => !this.configs.video || (this.line.state === "ready" && !this.outbox.isSkipping),
        })
      : null;
    this.timer = setInterval(() => this.tend(), TEND_EVERY_MS);
  }

  online(): void {
    this.line.hurry();
  }

  hear(message: ToWorker): void {
    switch (message.t) {
      case "stream":
        this.pictures?.follow(message.source, message.stream, message.fit);
        break;
      case "frame":
        if (this.pictures) this.pictures.show(message.source, message.frame, message.fit);
        else message.frame.close();
        break;
      case "nothing":
        this.pictures?.nothing(message.source);
        break;
      case "arrange":
        this.pictures?.arrange(message.arrangement);
        break;
      case "sound":
        this.sound?.listen(message.port);
        break;
      case "upright":
        this.pictures?.upright(message.on);
        break;
      case "mute":
        this.isMuted = message.on;
        if (this.sound) this.sound.isMuted = message.on;
        this.line.tell({ t: "muted", on: message.on });
        break;
      case "recorded":
        if (message.run === this.run) this.outbox.put(KIND.container, microseconds(), new Uint8Array(message.bytes));
        break;
      case "renew":
        this.line.renew();
        break;
      default:
        break;
    }
  }

  /** Done when the goodbye has left. */
  stop(): Promise<void> {
    const closed = this.line.close();
    this.stopMaking();
    this.tell();
    return closed;
  }

  private stopMaking(): void {
    clearInterval(this.timer);
    this.pictures?.close();
    this.sound?.close();
  }

  private broken(what: string): void {
    void this.line.close();
    this.stopMaking();
    say({ t: "broken", what });
  }

  private learn(kind: "video" | "audio", config: TrackConfig): void {
    this.configs = { ...this.configs, [kind]: config };
    const begin = this.begin();
    if (begin) this.line.begin(begin);
  }

  /** Null while an encoder has not said yet what it makes. */
  private begin(): Begin | null {
    const { format, mime } = this.start;
    if (format === "recorder") return { format, mime, video: null, audio: null };
    const { video, audio } = this.configs;
    return video && (audio || !this.start.sound) ? { format, mime: null, video, audio } : null;
  }

  private ready(maxKbit: number | null): void {
    if (this.everReady) this.rate.restart(performance.now());
    this.everReady = true;
    if (maxKbit) this.rate.limit(maxKbit);
    this.outbox.restart(this.configs);
    this.late = 0;
    if (this.isMuted) this.line.tell({ t: "muted", on: true });
    if (this.start.format === "recorder") this.record();
    this.tell();
  }

  private record(): void {
    this.run += 1;
    say({ t: "record", run: this.run, kbit: this.rate.kbit });
  }

  private tend(): void {
    const now = performance.now();
    const isRecorder = this.start.format === "recorder";
    const stoodStill = now - this.turnedAt > STOOD_STILL_MS;
    this.turnedAt = now;
    if (stoodStill) return;
    this.line.tend(now);
    this.sound?.tend(microseconds());
    if (this.line.state === "ready") {
      this.late = this.outbox.tend(now, isRecorder);
      if (!isRecorder) {
        this.rate.look({
          now,
          lateMs: this.late,
          oldestAt: this.outbox.oldestAt(now),
          takenBytes: this.line.acked,
          acks: this.outbox.acks,
          isBusy: this.pictures?.isBusy ?? false,
        });
      } else if (this.outbox.isOverfull) {
        // A recorder keeps the rate it began with: less needs a new one, and that a new connection.
        this.rate.fall(now, this.outbox.throughput(now));
        this.line.renew();
      }
      this.outbox.kbit = this.rate.kbit;
      this.pictures?.ask(this.rate.kbit, this.rate.lines);
    }
    const skipping = this.line.state === "ready" && this.outbox.isSkipping && !this.outbox.isStarting;
    this.skippingSince = skipping ? (this.skippingSince ?? now) : null;
    if (++this.turns % STATUS_EVERY_TURNS === 0 || this.state(now) !== this.told) this.tell();
  }

  private state(now: number): SendState {
    if (this.refusal) return "refused";
    switch (this.line.state) {
      case "over":
        return "stopped";
      case "ready":
        if (this.late > STUCK_MS && now - this.outbox.ackedAt > STUCK_MS) return "lost";
        return this.rate.isReduced || this.isSoundOnly(now) ? "weak" : "sending";
      default:
        return this.everReady ? "lost" : "connecting";
    }
  }

  private isSoundOnly(now: number): boolean {
    return this.skippingSince !== null && now - this.skippingSince > TELL_SKIPPING_MS;
  }

  private tell(): void {
    const now = performance.now();
    this.told = this.state(now);
    const status: Status = {
      state: this.told,
      onAir: this.onAir,
      refusal: this.refusal,
      kbit: this.rate.kbit,
      throughputKbit: Math.round(this.outbox.throughput(now)),
      width: this.pictures?.size.width ?? 0,
      height: this.pictures?.size.height ?? 0,
      rate: this.pictures?.rate ?? 0,
      backlogMs: Math.round(this.late),
      isSoundOnly: this.isSoundOnly(now),
      isBusy: this.pictures?.isBusy ?? false,
    };
    say({ t: "status", status });
  }
}

let sender: Sender | null = null;
let stopping: Promise<void> = Promise.resolve();
let probing: AbortController | null = null;

scope.addEventListener("online", () => sender?.online());

/** The line is for one at a time: a test beside the show would make both look weak. */
async function test(address: string): Promise<void> {
  probing = new AbortController();
  const probed = await probe(address, probing.signal);
  if (probed) say({ t: "probed", ...probed });
}

scope.onmessage = ({ data }) => {
  if (data.t === "probe" || data.t === "start" || data.t === "stop") probing?.abort();
  if (data.t === "probe") void test(data.address);
  else if (data.t === "start") {
    void sender?.stop();
    sender = new Sender(data);
  } else if (data.t === "stop") {
    if (sender) stopping = sender.stop();
    sender = null;
    void stopping.then(() => say({ t: "stopped" }));
  } else if (sender) sender.hear(data);
  else if (data.t === "frame") data.frame.close();
};
