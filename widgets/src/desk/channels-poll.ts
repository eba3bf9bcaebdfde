/** Asking the server again and again, and not while nobody looks. */

import type { ReactiveController, ReactiveControllerHost } from "lit";

const SOON_MS = 400;
const KEEN_MS = 2_000;
const KEEN_FOR_MS = 30_000;
/** Until the first answer is there, there is nothing to go by. */
export const UNLOADED_MS = 1_000;

export class Polling implements ReactiveController {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private connected = false;
  private busy = false;
  private keenUntil = 0;

  /** `ask` does not fail. `pause`: milliseconds until the next time, read after each answer. */
  constructor(
    host: ReactiveControllerHost,
    private readonly ask: () => Promise<void>,
    private readonly pause: () => number,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.connected = true;
    document.addEventListener("visibilitychange", this.seen);
    this.plan();
  }

  hostDisconnected(): void {
    this.connected = false;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.seen);
  }

  /** Something was begun: look now, and often for a while. */
  soon(): void {
    clearTimeout(this.timer);
    this.keenUntil = Date.now() + KEEN_FOR_MS;
    this.timer = setTimeout(() => void this.turn(), SOON_MS);
  }

  private readonly seen = (): void => {
    clearTimeout(this.timer);
    if (!document.hidden) void this.turn();
  };

  private plan(): void {
    clearTimeout(this.timer);
    if (!this.connected || document.hidden) return;
    const pause = Date.now() < this.keenUntil ? Math.min(KEEN_MS, this.pause()) : this.pause();
    this.timer = setTimeout(() => void this.turn(), pause);
  }

  private async turn(): Promise<void> {
    if (this.busy || !this.connected) return;
    this.busy = true;
    try {
      await this.ask();
    } finally {
      this.busy = false;
      this.plan();
    }
  }
}
