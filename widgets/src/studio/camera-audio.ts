/** The sound of the show on the page: microphone and shared screen together, their level, and two ways out. */

import type { SoundLevel } from "./camera-messages";
import { SAMPLE_RATE } from "./camera-messages";

declare const __CAMERA_WORKLET__: string;

/** Where the system has no loudspeaker, a browser may wait for ever for its own sound. */
const OPENS_WITHIN_MS = 4_000;

type Name = "microphone" | "screen";

export class AudioGraph {
  level: SoundLevel = { rms: 0, peak: 0 };
  private context: AudioContext | null = null;
  private node: AudioWorkletNode | null = null;
  private mute: GainNode | null = null;
  private out: MediaStreamAudioDestinationNode | null = null;
  private readonly tracks = new Map<Name, MediaStreamTrack>();
  private readonly inputs = new Map<Name, MediaStreamAudioSourceNode>();
  private opening: Promise<void> | null = null;
  private isMuted = false;
  private closed = false;

  /** `renewed`: what `tap` and `track` gave before is silent from now on. */
  constructor(
    private readonly heard: (level: SoundLevel) => void,
    private readonly renewed: () => void,
  ) {}

  /** Whether the browser lets sound through. */
  get isRunning(): boolean {
    return this.context?.state === "running";
  }

  /** Sound of `name` from now on; null: none of it. Raises where the browser gives no sound; it may be asked again. */
  async connect(name: Name, track: MediaStreamTrack | null): Promise<void> {
    if (track) this.tracks.set(name, track);
    else this.tracks.delete(name);
    this.inputs.get(name)?.disconnect();
    this.inputs.delete(name);
    await (this.opening ??= this.open({ sampleRate: SAMPLE_RATE }));
    // Not waited for: where the system has no loudspeaker a browser may never come to it.
    this.wake();
    if (!track || this.tracks.get(name) !== track) return;
    try {
      this.input(name, track);
    } catch {
      await this.renew(track);
    }
  }

  /** For the worker: samples as they come. A port serves one run. */
  tap(): MessagePort | null {
    if (!this.node) return null;
    const { port1, port2 } = new MessageChannel();
    this.node.port.postMessage(port1, [port1]);
    return port2;
  }

  /** For a recorder: a track that stays while its microphones change. */
  track(): MediaStreamTrack | null {
    return this.out?.stream.getAudioTracks()[0] ?? null;
  }

  setMuted(on: boolean): void {
    this.isMuted = on;
    if (this.mute) this.mute.gain.value = on ? 0 : 1;
  }

  /** A call or another program may have held it. */
  wake(): void {
    if (this.context && this.context.state !== "running") void this.context.resume().catch(() => undefined);
  }

  close(): void {
    this.closed = true;
    this.tracks.clear();
    this.drop();
  }

  private drop(): void {
    for (const input of this.inputs.values()) input.disconnect();
    this.inputs.clear();
    void this.context?.close().catch(() => undefined);
    this.context = null;
    this.node = null;
    this.mute = null;
    this.out = null;
  }

  private async open(options: AudioContextOptions): Promise<void> {
    try {
      await within(this.build(options), OPENS_WITHIN_MS);
    } catch (error) {
      // A file that did not come once may come the next time.
      this.opening = null;
      this.drop();
      throw error;
    }
  }

  private async build(options: AudioContextOptions): Promise<void> {
    const context = new AudioContext(options);
    this.context = context;
    await context.audioWorklet.addModule(new URL(__CAMERA_WORKLET__, import.meta.url));
    if (this.closed || this.context !== context) {
      if (context.state !== "closed") await context.close();
      throw new Error("closed");
    }
    const node = new AudioWorkletNode(context, "liveshop-microphone", { numberOfInputs: 1, numberOfOutputs: 1 });
    node.port.onmessage = (event: MessageEvent<SoundLevel>) => {
      this.level = event.data;
      this.heard(event.data);
    };
    // It puts out nothing; unconnected, a browser need not run it.
    node.connect(context.destination);
    this.node = node;
    this.mute = context.createGain();
    this.mute.gain.value = this.isMuted ? 0 : 1;
    this.out = context.createMediaStreamDestination();
    this.mute.connect(this.out);
  }

  private input(name: Name, track: MediaStreamTrack): void {
    if (!this.context || !this.node || !this.mute) throw new Error("closed");
    const input = this.context.createMediaStreamSource(new MediaStream([track]));
    input.connect(this.mute);
    input.connect(this.node);
    this.inputs.set(name, input);
  }

  /** Firefox connects a microphone only to a context of its own rate: a new one, with all that was connected. */
  private async renew(track: MediaStreamTrack): Promise<void> {
    const { sampleRate } = track.getSettings();
    this.drop();
    await (this.opening = this.open(sampleRate ? { sampleRate } : {}));
    this.wake();
    for (const [name, one] of this.tracks) {
      try {
        this.input(name, one);
      } catch (error) {
        // The sound of a screen may have yet another rate: the microphone is worth more.
        if (one === track) throw error;
      }
    }
    this.renewed();
  }
}

async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("late")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
