/** The sound of the show on the page: microphone and shared screen together, their level, and two ways out. */

import type { SoundLevel } from "./camera-messages";
import { SAMPLE_RATE } from "./camera-messages";

declare const __CAMERA_WORKLET__: string;

export class AudioGraph {
  level: SoundLevel = { rms: 0, peak: 0 };
  private context: AudioContext | null = null;
  private node: AudioWorkletNode | null = null;
  private mute: GainNode | null = null;
  private out: MediaStreamAudioDestinationNode | null = null;
  private readonly inputs = new Map<string, MediaStreamAudioSourceNode>();
  private opening: Promise<void> | null = null;

  constructor(private readonly heard: (level: SoundLevel) => void) {}

  /** Sound of `name` from now on; null: none of it. */
  async connect(name: "microphone" | "screen", track: MediaStreamTrack | null): Promise<void> {
    await (this.opening ??= this.open());
    this.inputs.get(name)?.disconnect();
    this.inputs.delete(name);
    if (!track || !this.context || !this.node) return;
    const input = await this.input(track);
    if (this.mute) input.connect(this.mute);
    input.connect(this.node);
    this.inputs.set(name, input);
    // Not waited for: where the system has no loudspeaker a browser may never come to it.
    this.wake();
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
    if (this.mute) this.mute.gain.value = on ? 0 : 1;
  }

  /** A call or another program may have held it. */
  wake(): void {
    if (this.context && this.context.state !== "running") void this.context.resume().catch(() => undefined);
  }

  close(): void {
    for (const input of this.inputs.values()) input.disconnect();
    this.inputs.clear();
    void this.context?.close().catch(() => undefined);
    this.context = null;
    this.node = null;
  }

  private async open(): Promise<void> {
    await this.build({ sampleRate: SAMPLE_RATE });
  }

  private async build(options: AudioContextOptions): Promise<void> {
    const context = new AudioContext(options);
    this.context = context;
    await context.audioWorklet.addModule(new URL(__CAMERA_WORKLET__, import.meta.url));
    const node = new AudioWorkletNode(context, "liveshop-microphone", { numberOfInputs: 1, numberOfOutputs: 1 });
    node.port.onmessage = (event: MessageEvent<SoundLevel>) => {
      this.level = event.data;
      this.heard(event.data);
    };
    // It puts out nothing; unconnected, a browser need not run it.
    node.connect(context.destination);
    this.node = node;
    this.mute = context.createGain();
    this.out = context.createMediaStreamDestination();
    this.mute.connect(this.out);
  }

  private async input(track: MediaStreamTrack): Promise<MediaStreamAudioSourceNode> {
    const stream = new MediaStream([track]);
    if (!this.context) throw new Error("closed");
    try {
      return this.context.createMediaStreamSource(stream);
    } catch {
      // Firefox connects a microphone only to a context of its own rate.
      await this.context.close();
      await this.build({});
      return this.context.createMediaStreamSource(stream);
    }
  }
}
