// The server's time on this device, so that every screen counts down to the same moment.

/** A difference as large as this means that somebody set a clock; a smaller one is the network's delay. */
const SET_MS = 3000;

export class ServerClock {
  /** Server time minus this device's clock, in milliseconds. */
  offset = 0;
  private asked = false;

  now(): number {
    return Date.now() + this.offset;
  }

  /** An answer was written at this time of the server. Delay only makes it look older: the youngest-looking one is right. */
  heard(at: string): void {
    const offset = Date.parse(at) - Date.now();
    if (this.asked && offset <= this.offset && this.offset - offset < SET_MS) return;
    this.offset = offset;
    this.asked = true;
  }

  /** Milliseconds until a moment, below zero once it has passed. */
  until(at: string): number {
    return Date.parse(at) - this.now();
  }

  /** Whole seconds until a moment; 0 when it has passed or there is none. */
  secondsLeft(at: string | null): number {
    return at === null ? 0 : Math.max(0, Math.ceil(this.until(at) / 1000));
  }
}
