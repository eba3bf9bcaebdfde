/** Asking the server again and again, and not while nobody looks. */

import type { ReactiveController, ReactiveControllerHost } from "lit";

export class Polling implements ReactiveController {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private connected = false;
  private busy = false;

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

  /** Something was begun: look now rather than later. */
  soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.turn(), SOON_MS);
  }

  private readonly seen = (): void => {
    clearTimeout(this.timer);
    if (!document.hidden) void this.turn();
  };

  private plan(): void {
    clearTimeout(this.timer);
    if (this.connected && !document.hidden) this.timer = setTimeout(() => void this.turn(), this.pause());
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

const SOON_MS = 400;
