/** Asking the server while somebody types: a moment after the last change, and only the newest answer counts. */

import type { ReactiveController, ReactiveControllerHost } from "lit";

const PAUSE_MS = 300;

export class Latest<I, O> implements ReactiveController {
  /** The answer to the last question that was answered; it stays on the screen while the next one is asked. */
  value: O | null = null;
  error: unknown = null;
  busy = false;
  private connected = false;
  private key: string | undefined;
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly fetch: (input: I) => Promise<O>,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.connected = true;
  }

  /** A last drawing of a dialog that is closed already asks nothing. */
  hostDisconnected(): void {
    this.connected = false;
    this.turn += 1;
    clearTimeout(this.timer);
    this.key = undefined;
  }

  /** Null: there is nothing to ask yet. The same question twice is asked once. */
  ask(input: I | null): void {
    const key = JSON.stringify(input);
    if (!this.connected || key === this.key) return;
    this.key = key;
    clearTimeout(this.timer);
    this.turn += 1;
    this.busy = input !== null;
    if (input === null) {
      this.value = null;
      this.error = null;
      return;
    }
    this.timer = setTimeout(() => void this.run(input, this.turn), PAUSE_MS);
  }

  /** The same question is worth asking again. */
  forget(): void {
    this.key = undefined;
  }

  private async run(input: I, turn: number): Promise<void> {
    let value: O | null = null;
    let failure: unknown = null;
    try {
      value = await this.fetch(input);
    } catch (error) {
      failure = error;
    }
    if (turn !== this.turn) return;
    this.value = value;
    this.error = failure;
    this.busy = false;
    this.host.requestUpdate();
  }
}
