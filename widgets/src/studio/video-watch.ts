/** What arrives from the encoder, asked for each second while somebody looks. */

import type { Api } from "../state/api";
import type { VideoHealth } from "../wire.gen";

const ASK_EVERY_MS = 1_000;
/** A server that is away is asked less often. */
const ASK_AGAIN_MS = 3_000;
/** What was true before so many questions without an answer is no longer claimed. */
const FAILURES_BORNE = 1;

/** Fires "change" after each answer. */
export class VideoWatch extends EventTarget {
  /** Null: not known, or not any more. */
  health: VideoHealth | null = null;
  /** Why the last question was not answered. */
  error: unknown = null;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running = false;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
  ) {
    super();
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    document.addEventListener("visibilitychange", this.looked);
    void this.ask();
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.looked);
  }

  private readonly looked = (): void => {
    if (document.hidden) return;
    clearTimeout(this.timer);
    void this.ask();
  };

  private async ask(): Promise<void> {
    if (!document.hidden) {
      try {
        this.health = await this.api.get<VideoHealth>(`/api/shows/${encodeURIComponent(this.showId)}/video`);
        this.error = null;
        this.failures = 0;
      } catch (error) {
        this.error = error;
        if (++this.failures > FAILURES_BORNE) this.health = null;
      }
      this.dispatchEvent(new Event("change"));
    }
    if (!this.running) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), this.error ? ASK_AGAIN_MS : ASK_EVERY_MS);
  }
}
