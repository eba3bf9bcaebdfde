/** The sound: a clock of samples that never stops, and its encoder. Whatever happens to the microphone, silence goes on. */

import { base64, bytesOf } from "./camera-bytes";
import { Origin } from "./camera-clock";
import { BLOCK_SAMPLES, microseconds, SAMPLE_RATE, type SoundBlock, type SoundChoice } from "./camera-messages";
import type { TrackConfig } from "./camera-line";

const BLOCK_US = (BLOCK_SAMPLES / SAMPLE_RATE) * 1e6;
const BITRATE = 64_000;
/** Without sound for so long, silence is filled in. */
const MISSING_US = 250_000;
const FILL_UP_TO_US = 100_000;
/** Clocks of sound cards drift by up to a second in some hours: followed in steps nobody hears. */
const SLEW_US = 400;
const SLEW_FROM_US = 4_000;
const JUMP_US = 180_000;
const RELEARN_US = 1_500_000;
/** In a minute. */
const FAILURES_BORNE = 5;

export interface SoundEvents {
  packet(timestamp: number, bytes: Uint8Array): void;
  config(config: TrackConfig): void;
  broken(what: string): void;
}

export class Sound {
  isMuted = false;
  private readonly origin = new Origin();
  private encoder: AudioEncoder | null = null;
  private port: MessagePort | null = null;
  /** When the next sample belongs. */
  private next: number | null = null;
  private off = 0;
  private isFilled = false;
  /** Opus gives one packet for each block, in order: their times need not pass through the encoder's own counting. */
  private times: number[] = [];
  private failedAt: number[] = [];

  constructor(
    private readonly choice: SoundChoice,
    private readonly events: SoundEvents,
  ) {
    if (choice.codec === "pcm") {
      events.config({ codec: "pcm", sample_rate: SAMPLE_RATE, channels: 1 });
      return;
    }
    if (choice.codec === "opus") events.config({ codec: "opus", sample_rate: SAMPLE_RATE, channels: 1 });
    this.encoder = this.made();
  }

  private made(): AudioEncoder {
    const encoder: AudioEncoder = new AudioEncoder({
      output: (chunk, metadata) => this.encoded(chunk, metadata),
      error: (error) => {
        if (this.encoder === encoder) this.failed(error);
      },
    });
    encoder.configure({ codec: this.choice.codec, sampleRate: SAMPLE_RATE, numberOfChannels: 1, bitrate: BITRATE });
    return encoder;
  }

  private failed(error: DOMException): void {
    const now = performance.now();
    this.failedAt = [...this.failedAt.filter((at) => now - at < 60_000), now];
    if (this.failedAt.length > FAILURES_BORNE) return this.events.broken(`sound: ${error.message}`);
    this.times = [];
    this.encoder = this.made();
  }

  listen(port: MessagePort): void {
    if (this.port) this.port.onmessage = null;
    this.port = port;
    this.origin.reset();
    port.onmessage = (event: MessageEvent<SoundBlock>) => this.take(event.data);
  }

  /** Called several times a second. */
  tend(now: number): void {
    this.next ??= now;
    // What is silent anyway is not waited for: a player's picture waits for its sound.
    if (now - this.next < (this.isFilled ? FILL_UP_TO_US : MISSING_US)) return;
    if (now - this.next > JUMP_US + RELEARN_US) this.next = now - MISSING_US;
    this.isFilled = true;
    while (this.next < now - FILL_UP_TO_US) this.encode(new Float32Array(BLOCK_SAMPLES));
  }

  close(): void {
    if (this.port) this.port.onmessage = null;
    if (this.encoder && this.encoder.state !== "closed") this.encoder.close();
    this.encoder = null;
  }

  private take({ samples, end }: SoundBlock): void {
    const now = microseconds();
    const start = this.origin.map((end / SAMPLE_RATE) * 1e6, now) - BLOCK_US;
    const off = start - (this.next ?? start);
    if (off < -RELEARN_US) {
      // The browser held the sound's clock, as during a phone call.
      this.origin.reset();
      return;
    }
    // Its place was filled with silence.
    if (off < (this.isFilled ? -BLOCK_US : -JUMP_US)) return;
    this.isFilled = false;
    if (this.next === null || off > JUMP_US) {
      this.next = start;
      this.off = 0;
    }
    this.off += (start - this.next - this.off) * 0.02;
    if (Math.abs(this.off) > SLEW_FROM_US) this.next += Math.sign(this.off) * SLEW_US;
    this.encode(this.isMuted ? new Float32Array(BLOCK_SAMPLES) : samples);
  }

  private encode(samples: Float32Array): void {
    const timestamp = this.next ?? microseconds();
    this.next = timestamp + BLOCK_US;
    if (this.choice.codec === "pcm") {
      this.events.packet(timestamp, pcm(samples));
      return;
    }
    const { encoder } = this;
    if (encoder?.state !== "configured") return;
    const data = new AudioData({
      format: "f32-planar",
      sampleRate: SAMPLE_RATE,
      numberOfFrames: BLOCK_SAMPLES,
      numberOfChannels: 1,
      timestamp: Math.round(timestamp),
      data: samples as Float32Array<ArrayBuffer>,
    });
    if (this.choice.codec === "opus") this.times.push(timestamp);
    encoder.encode(data);
    data.close();
  }

  private encoded(chunk: EncodedAudioChunk, metadata?: EncodedAudioChunkMetadata): void {
    const description = metadata?.decoderConfig?.description;
    if (this.choice.codec !== "opus" && description) {
      this.events.config({ codec: this.choice.codec, sample_rate: SAMPLE_RATE, channels: 1, description: base64(bytesOf(description)) });
    }
    const bytes = new Uint8Array(chunk.byteLength);
    chunk.copyTo(bytes);
    this.events.packet(this.times.shift() ?? chunk.timestamp, bytes);
  }
}

function pcm(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, index) => view.setInt16(index * 2, Math.max(-1, Math.min(1, sample)) * 32_767, true));
  return bytes;
}
