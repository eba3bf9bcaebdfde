/**
 * A host in front of a camera: devices, sound, and the worker that sends. Knows nothing of how it is shown.
 * It lives until it is closed, whatever part of it is on the screen.
 */

import { AudioGraph } from "./camera-audio";
import {
  DeviceFailed,
  devices,
  looksAtPerson,
  missing,
  openBoth,
  openCamera,
  openMicrophone,
  openScreen,
  suit,
  type Devices,
  type DeviceTrouble,
} from "./camera-devices";
import { choose, type Chosen, type Way } from "./camera-formats";
import { Frames, needsForeground } from "./camera-frames";
import type { Arrangement, FromWorker, Refusal, SourceName, Start, Status, ToWorker } from "./camera-messages";
import { startKbit } from "./camera-rate";
import { Recording } from "./camera-recorder";

declare const __CAMERA_WORKER__: string;

/** Where nothing was measured. */
const CAREFUL_KBIT = 1_500;
/** So long a goodbye may take on a weak line. */
const GOODBYE_MS = 1_000;
const SOUND_AGAIN_MS = 3_000;
const SOUND_TRIES = 10;

export type Step = "asking" | "trouble" | "check" | "sending" | "over";

export interface Extra {
  kind: "screen" | "second";
  track: MediaStreamTrack;
}

export interface LineTest {
  isRunning: boolean;
  kbit: number | null;
  refusal: Refusal | null;
}

/** Fires "change" when anything that is shown may have changed, "level" with each level of the sound. */
export class CameraSession extends EventTarget {
  step: Step = "asking";
  trouble: DeviceTrouble | null = null;
  /** The last thing that was asked for and did not work; what ran goes on. */
  failed: DeviceTrouble | null = null;
  chosen: Chosen | null = null;
  devices: Devices = { cameras: [], microphones: [] };
  camera: MediaStreamTrack | null = null;
  microphone: MediaStreamTrack | null = null;
  microphoneTrouble: DeviceTrouble | null = null;
  extra: Extra | null = null;
  arrangement: Arrangement = { main: "camera", inset: null };
  isCameraGone = false;
  isMicrophoneGone = false;
  isMuted = false;
  isUpright = false;
  test: LineTest = { isRunning: false, kbit: null, refusal: null };
  status: Status | null = null;
  notice: string | null = null;
  broken: string | null = null;
  isBusy = false;
  readonly audio = new AudioGraph(
    () => this.dispatchEvent(new Event("level")),
    () => this.tap(),
  );
  private worker: Worker | null = null;
  private readonly frames = new Map<SourceName, Frames>();
  private recording: Recording | null = null;
  private isUprightChosen = false;
  private lock: WakeLockSentinel | null = null;
  private closed = false;
  private soundTries = 0;
  private soundTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly showId: string,
    private readonly forced: Way | null,
  ) {
    super();
    this.isUpright = heldUpright();
    navigator.mediaDevices?.addEventListener("devicechange", this.listed);
    document.addEventListener("visibilitychange", this.looked);
    screen.orientation?.addEventListener("change", this.turned);
  }

  get mirrors(): boolean {
    return looksAtPerson(this.camera);
  }

  /** Whether the picture would stand still in another tab. */
  get needsForeground(): boolean {
    return this.chosen?.way === "webcodecs" && needsForeground();
  }

  async open(): Promise<void> {
    this.set({ step: "asking", trouble: null });
    this.letGoOfBoth();
    const trouble = missing();
    this.chosen = trouble ? null : await choose(this.forced);
    if (trouble || !this.chosen) return this.set({ step: "trouble", trouble: trouble ?? "too_old" });
    try {
      const { camera, microphone, trouble: of } = await openBoth();
      this.microphone = microphone;
      this.takeCamera(camera);
      this.microphoneTrouble = of;
      await this.takeMicrophone(microphone);
      this.devices = await devices();
      if (this.closed) return;
    } catch (error) {
      this.letGoOfBoth();
      return this.set({ step: "trouble", trouble: troubleOf(error) });
    }
    this.set({ step: "check" });
    this.measure();
  }

  measure(): void {
    this.test = { isRunning: true, kbit: null, refusal: null };
    this.say({ t: "probe", address: this.address() });
    this.changed();
  }

  async chooseCamera(deviceId: string): Promise<void> {
    await this.busily(async () => {
      const before = this.camera?.getSettings().deviceId;
      // Phones open one camera at a time.
      this.letGo(this.camera);
      try {
        this.takeCamera(await openCamera({ deviceId }));
      } catch (error) {
        if (before && before !== deviceId) await this.back(before);
        else this.set({ isCameraGone: true });
        throw error;
      }
    });
  }

  /** Front and back on a phone, the next one elsewhere. */
  async nextCamera(): Promise<void> {
    const facing = this.camera?.getSettings().facingMode;
    const { cameras } = this.devices;
    const at = cameras.findIndex(({ deviceId }) => deviceId === this.camera?.getSettings().deviceId);
    const next = cameras[(at + 1) % Math.max(1, cameras.length)];
    if (facing !== "user" && facing !== "environment") return next ? this.chooseCamera(next.deviceId) : undefined;
    await this.busily(async () => {
      const before = this.camera?.getSettings().deviceId;
      this.letGo(this.camera);
      try {
        this.takeCamera(await openCamera({ facing: facing === "user" ? "environment" : "user" }));
      } catch (error) {
        if (before) await this.back(before);
        throw error;
      }
    });
  }

  async chooseMicrophone(deviceId: string): Promise<void> {
    await this.busily(async () => {
      const track = await openMicrophone(deviceId || undefined);
      if (!this.closed) this.letGo(this.microphone);
      this.microphoneTrouble = null;
      await this.takeMicrophone(track);
    });
  }

  async shareScreen(): Promise<void> {
    await this.busily(async () => {
      const stream = await openScreen();
      const track = stream?.getVideoTracks()[0];
      if (!stream || !track) return;
      // The browser's own question may have stood open for longer than this.
      if (this.closed) return stream.getTracks().forEach((one) => one.stop());
      this.takeExtra({ kind: "screen", track }, { main: "extra", inset: "camera" });
      await this.audio.connect("screen", stream.getAudioTracks()[0] ?? null).catch(() => undefined);
    });
  }

  async addCamera(deviceId: string): Promise<void> {
    await this.busily(async () => {
      const track = await openCamera({ deviceId });
      this.takeExtra({ kind: "second", track }, { main: "camera", inset: "extra" });
    });
  }

  removeExtra(): void {
    this.letGo(this.extra?.track ?? null);
    this.extra = null;
    this.stopFrames("extra");
    void this.audio.connect("screen", null).catch(() => undefined);
    this.arrange({ main: "camera", inset: null });
  }

  swap(): void {
    const { main, inset } = this.arrangement;
    const other: SourceName = main === "camera" ? "extra" : "camera";
    this.arrange({ main: other, inset: inset ? main : null });
  }

  showInset(on: boolean): void {
    const { main } = this.arrangement;
    this.arrange({ main, inset: on ? (main === "camera" ? "extra" : "camera") : null });
  }

  upright(on: boolean): void {
    this.isUprightChosen = true;
    this.turn(on);
  }

  mute(on: boolean): void {
    this.isMuted = on;
    this.audio.setMuted(on);
    this.say({ t: "mute", on });
    this.changed();
  }

  send(): void {
    const { chosen } = this;
    if (!chosen) return;
    const { way, ...rest } = chosen;
    const start: Start = {
      t: "start",
      address: this.address(),
      kbit: this.test.kbit === null ? CAREFUL_KBIT : startKbit(this.test.kbit),
      isUpright: this.isUpright,
      isMuted: this.isMuted,
      format: way === "webcodecs" ? "webcodecs" : "recorder",
      ...rest,
    };
    this.status = null;
    this.broken = null;
    this.notice = null;
    // The test ends as the show begins.
    this.test = { ...this.test, isRunning: false };
    this.say(start);
    this.set({ step: "sending" });
    if (start.format === "webcodecs") {
      this.feed("camera", this.camera);
      this.feed("extra", this.extra?.track ?? null);
      this.say({ t: "arrange", arrangement: this.arrangement });
      this.tap();
    }
    void this.stayAwake();
  }

  /** On purpose: back to the check, the camera stays on. */
  stop(): void {
    this.stopSending();
    this.set({ step: "check" });
  }

  close(): void {
    if (this.worker) {
      this.stopSending();
      // It says "stopped" when its goodbye has left.
      setTimeout(() => this.dismiss(), GOODBYE_MS);
    }
    this.closed = true;
    clearTimeout(this.soundTimer);
    for (const track of [this.camera, this.microphone, this.extra?.track ?? null]) this.letGo(track);
    this.audio.close();
    navigator.mediaDevices?.removeEventListener("devicechange", this.listed);
    document.removeEventListener("visibilitychange", this.looked);
    screen.orientation?.removeEventListener("change", this.turned);
  }

  private dismiss(): void {
    this.worker?.terminate();
    this.worker = null;
  }

  private letGoOfBoth(): void {
    this.letGo(this.camera);
    this.letGo(this.microphone);
    this.camera = null;
    this.microphone = null;
  }

  private stopSending(): void {
    this.say({ t: "stop" });
    this.stopFrames("camera");
    this.stopFrames("extra");
    this.recording?.stop();
    this.recording = null;
    void this.lock?.release().catch(() => undefined);
    this.lock = null;
  }

  private readonly listed = (): void => {
    void devices().then((found) => this.set({ devices: found }));
  };

  private readonly looked = (): void => {
    if (!document.hidden && this.step === "sending") void this.stayAwake();
    this.audio.wake();
    this.changed();
  };

  private readonly turned = (): void => {
    if (!this.isUprightChosen) this.turn(heldUpright());
  };

  private turn(on: boolean): void {
    this.isUpright = on;
    this.say({ t: "upright", on });
    this.suit();
    this.changed();
  }

  private async back(deviceId: string): Promise<void> {
    try {
      this.takeCamera(await openCamera({ deviceId }));
    } catch {
      this.set({ isCameraGone: true });
    }
  }

  /** A recorder sends what the camera gives, uncut. */
  private suit(): void {
    if (this.camera && this.chosen?.way === "webcodecs") void suit(this.camera, this.isUpright);
  }

  private takeCamera(track: MediaStreamTrack): void {
    if (this.closed) return this.letGo(track);
    this.camera = track;
    this.isCameraGone = false;
    track.onended = () => {
      if (this.camera === track) this.set({ isCameraGone: true });
    };
    this.suit();
    if (this.step === "sending") this.feed("camera", track);
    this.changed();
  }

  private async takeMicrophone(track: MediaStreamTrack | null): Promise<void> {
    if (this.closed) return this.letGo(track);
    this.microphone = track;
    this.isMicrophoneGone = false;
    if (track) {
      track.onended = () => {
        if (this.microphone === track) this.set({ isMicrophoneGone: true });
      };
    }
    this.soundTries = 0;
    await this.connect();
    this.changed();
  }

  /** A browser that gives no sound does not cost the picture; it is asked again. */
  private async connect(): Promise<void> {
    const track = this.microphone;
    clearTimeout(this.soundTimer);
    try {
      await this.audio.connect("microphone", track);
      if (this.microphoneTrouble === "no_sound") {
        this.microphoneTrouble = null;
        this.tap();
      }
    } catch {
      if (this.closed || this.microphone !== track) return;
      this.microphoneTrouble ??= "no_sound";
      if (++this.soundTries <= SOUND_TRIES) this.soundTimer = setTimeout(() => void this.connect(), SOUND_AGAIN_MS);
    }
    this.changed();
  }

  /** What is sent takes its sound from the graph as it is now. */
  private tap(): void {
    if (this.step !== "sending") return;
    if (this.chosen?.way !== "webcodecs") {
      if (this.recording) this.say({ t: "renew" });
      return;
    }
    const port = this.audio.tap();
    if (port) this.say({ t: "sound", port }, [port]);
  }

  private takeExtra(extra: Extra, arrangement: Arrangement): void {
    if (this.closed) return this.letGo(extra.track);
    this.letGo(this.extra?.track ?? null);
    this.extra = extra;
    // The browser's own bar has a button for it, too.
    extra.track.onended = () => {
      if (this.extra === extra) this.removeExtra();
    };
    this.arrange(arrangement);
    if (this.step === "sending") this.feed("extra", extra.track);
  }

  private arrange(arrangement: Arrangement): void {
    this.arrangement = arrangement;
    this.say({ t: "arrange", arrangement });
    if (this.recording) this.say({ t: "renew" });
    this.changed();
  }

  private letGo(track: MediaStreamTrack | null): void {
    if (!track) return;
    track.onended = null;
    track.stop();
  }

  private feed(source: SourceName, track: MediaStreamTrack | null): void {
    this.stopFrames(source, track !== null);
    if (!track) return;
    if (this.chosen?.way !== "webcodecs") {
      if (this.recording) this.say({ t: "renew" });
      return;
    }
    const fit = source === "extra" && this.extra?.kind === "screen" ? "contain" : "cover";
    this.frames.set(source, new Frames(this.started(), source, track, fit));
  }

  private stopFrames(source: SourceName, isReplaced = false): void {
    this.frames.get(source)?.stop();
    this.frames.delete(source);
    if (!isReplaced) this.say({ t: "nothing", source });
  }

  private async busily(act: () => Promise<void>): Promise<void> {
    if (this.isBusy) return;
    this.set({ isBusy: true, failed: null });
    try {
      await act();
      this.devices = await devices();
    } catch (error) {
      this.failed = troubleOf(error);
    }
    this.set({ isBusy: false });
  }

  private heard(message: FromWorker): void {
    if (this.closed) {
      if (message.t === "stopped") this.dismiss();
      return;
    }
    switch (message.t) {
      case "status":
        this.status = message.status;
        if (message.status.state === "refused") this.over();
        break;
      case "probed":
        this.test = { isRunning: false, kbit: message.kbit, refusal: message.refusal };
        break;
      case "notice":
        this.notice = message.message;
        break;
      case "stopped":
        return;
      case "record":
        this.record(message.run, message.kbit);
        break;
      case "broken":
        this.broken = message.what;
        this.over();
        break;
    }
    this.changed();
  }

  private over(): void {
    if (this.step !== "sending") return;
    this.stopSending();
    this.step = "over";
  }

  private record(run: number, kbit: number): void {
    this.recording?.stop();
    const main = this.arrangement.main === "camera" ? this.camera : this.extra?.track;
    const tracks = [main, this.audio.track()].filter((track) => !!track);
    const broken = (): void => this.say({ t: "renew" });
    this.recording = new Recording(this.started(), run, new MediaStream(tracks), this.chosen?.mime ?? "", kbit, broken);
  }

  /** Screens that go dark end the show of a phone. */
  private async stayAwake(): Promise<void> {
    try {
      const lock = await navigator.wakeLock.request("screen");
      if (this.step !== "sending" || this.closed) return void lock.release();
      this.lock = lock;
    } catch {
      // Not everywhere, and not while the battery is low.
    }
  }

  private started(): Worker {
    if (!this.worker) {
      this.worker = new Worker(new URL(__CAMERA_WORKER__, import.meta.url));
      this.worker.onmessage = (event: MessageEvent<FromWorker>) => this.heard(event.data);
      this.worker.onerror = (event) => this.heard({ t: "broken", what: event.message });
    }
    return this.worker;
  }

  private say(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.closed) this.started().postMessage(message, transfer);
  }

  private address(): string {
    const url = new URL(`/live/${encodeURIComponent(this.showId)}/camera`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    url.search = "";
    return url.href;
  }

  private set(values: Partial<Pick<this, "step" | "trouble" | "failed" | "devices" | "isCameraGone" | "isMicrophoneGone" | "isBusy">>): void {
    Object.assign(this, values);
    this.changed();
  }

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}

function heldUpright(): boolean {
  return matchMedia("(pointer: coarse)").matches && matchMedia("(orientation: portrait)").matches;
}

function troubleOf(error: unknown): DeviceTrouble {
  return error instanceof DeviceFailed ? error.trouble : "device_failed";
}
