/** What is recorded of a show and made of it, asked for more often while something is being made. */

import { ApiProblem, type Api } from "../state/api";
import type { Chapter, Recording, Replay } from "../wire.gen";

const BUSY_MS = 1_500;
const LIVE_MS = 10_000;
const IDLE_MS = 30_000;
/** A recording grows chunk by chunk: sooner than this nothing can be said about it. */
const JUDGE_AFTER_MS = 8_000;

/** Fires "change" after each answer. */
export class RecordingWatch extends EventTarget {
  /** Null: not known, or not any more. */
  recording: Recording | null = null;
  /** Of what viewers see of it. */
  chapters: readonly Chapter[] = [];
  error: unknown = null;
  /** Whether more of it came since it was asked before; null: not known yet. */
  grows: boolean | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isRunning = false;
  private isOver = false;
  private chaptersOf = "";
  private turn = 0;
  private judged: { at: number; bytes: number } | null = null;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
  ) {
    super();
  }

  /** `isOver`: after the show. May be told again and again. */
  start(isOver: boolean): void {
    if (this.isRunning && isOver === this.isOver) return;
    this.isOver = isOver;
    if (!this.isRunning) document.addEventListener("visibilitychange", this.looked);
    this.isRunning = true;
    this.soon();
  }

  stop(): void {
    this.isRunning = false;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.looked);
  }

  /** Something was asked for: its answer is not far. */
  soon(): void {
    clearTimeout(this.timer);
    if (this.isRunning) void this.ask();
  }

  /** An act answered with what is true now. */
  told(recording: Recording): void {
    this.turn += 1;
    this.recording = recording;
    this.dispatchEvent(new Event("change"));
    this.soon();
  }

  get path(): string {
    return `/api/shows/${encodeURIComponent(this.showId)}`;
  }

  private readonly looked = (): void => {
    if (!document.hidden) this.soon();
  };

  private async ask(): Promise<void> {
    const turn = ++this.turn;
    try {
      const { hidden } = document;
      const recording = hidden ? this.recording : await this.api.get<Recording>(`${this.path}/recording`);
      if (turn !== this.turn) return;
      if (recording && !hidden) this.judge(recording.bytes);
      this.recording = recording;
      this.error = null;
      await this.findChapters();
    } catch (error) {
      if (turn !== this.turn) return;
      this.error = error;
    }
    if (turn !== this.turn) return;
    this.dispatchEvent(new Event("change"));
    if (this.isRunning) this.timer = setTimeout(() => void this.ask(), this.pace);
  }

  private judge(bytes: number): void {
    const at = performance.now();
    const before = this.judged;
    if (before && at - before.at < JUDGE_AFTER_MS) return;
    if (before) this.grows = bytes > before.bytes;
    this.judged = { at, bytes };
  }

  private async findChapters(): Promise<void> {
    const { recording } = this;
    const wanted = recording?.state === "ended" ? JSON.stringify(recording.trim) : "";
    if (wanted === this.chaptersOf) return;
    try {
      this.chapters = wanted ? (await this.api.get<Replay>(`${this.path}/replay`)).chapters : [];
      this.chaptersOf = wanted;
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      this.chapters = [];
    }
  }

  private get pace(): number {
    const { recording, error } = this;
    if (error) return LIVE_MS;
    if (!this.isOver) return LIVE_MS;
    const isBusy = recording?.state === "recording" || recording?.files.some(({ state }) => state === "waiting" || state === "making");
    return isBusy ? BUSY_MS : IDLE_MS;
  }
}
