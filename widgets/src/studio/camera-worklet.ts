/** The microphone's samples, on the thread the browser keeps for sound: to the worker in blocks, their level to the page. */

import { BLOCK_SAMPLES, SAMPLE_RATE, type SoundBlock, type SoundLevel } from "./camera-messages";

declare const currentFrame: number;
declare const sampleRate: number;
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, kind: new () => AudioWorkletProcessor): void;

const LEVEL_EVERY_BLOCKS = 5;

class Microphone extends AudioWorkletProcessor {
  private to: MessagePort | null = null;
  private block = new Float32Array(BLOCK_SAMPLES);
  private filled = 0;
  private blocks = 0;
  private sum = 0;
  private peak = 0;
  private before = 0;
  /** Where the next sample at SAMPLE_RATE lies behind `before`, in samples of the context. */
  private ahead = 0;
  private readonly step = sampleRate / SAMPLE_RATE;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<MessagePort>) => {
      this.to = event.data;
    };
  }

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0] ?? [];
    // Nothing connected is silence, and time goes on.
    const length = input[0]?.length ?? 128;
    for (let index = 0; index < length; index += 1) {
      let sample = 0;
      for (const plane of input) sample += plane[index] ?? 0;
      this.resample(input.length > 1 ? sample / input.length : sample, (currentFrame + index + 1) / this.step);
    }
    return true;
  }

  /** Some browsers connect a microphone only at its own rate. Speech bears a straight line between two samples. */
  private resample(sample: number, end: number): void {
    if (this.step === 1) return this.put(sample, end);
    while (this.ahead < 1) {
      this.put(this.before + (sample - this.before) * this.ahead, end);
      this.ahead += this.step;
    }
    this.ahead -= 1;
    this.before = sample;
  }

  private put(sample: number, end: number): void {
    this.block[this.filled++] = sample;
    this.sum += sample * sample;
    this.peak = Math.max(this.peak, Math.abs(sample));
    if (this.filled < BLOCK_SAMPLES) return;
    if (this.to) {
      const message: SoundBlock = { samples: this.block, end };
      this.to.postMessage(message, [this.block.buffer]);
      this.block = new Float32Array(BLOCK_SAMPLES);
    }
    this.filled = 0;
    if (++this.blocks < LEVEL_EVERY_BLOCKS) return;
    const level: SoundLevel = { rms: Math.sqrt(this.sum / (BLOCK_SAMPLES * this.blocks)), peak: this.peak };
    this.port.postMessage(level);
    this.blocks = 0;
    this.sum = 0;
    this.peak = 0;
  }
}

registerProcessor("liveshop-microphone", Microphone);
