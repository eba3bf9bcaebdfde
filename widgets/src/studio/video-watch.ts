/** What arrives from the encoder, asked for each second while somebody looks. */

import type { Api } from "../state/api";
import type { VideoHealth } from "../wire.gen";

const ASK_EVERY_MS = 1_000;
/** A server that is away is asked less often. */
const ASK_AGAIN_MS = 4_000;

/** Fires "change" after each answer. */
export class VideoWatch extends EventTarget {
  health: VideoHealth | null = null;
  /** The last question was not answered; `health` is what was known before. */
  error: unknown = null;
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
      } catch (error) {
        this.error = error;
      }
      this.dispatchEvent(new Event("change"));
    }
    if (!this.running) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), this.error ? ASK_AGAIN_MS : ASK_EVERY_MS);
  }
}
