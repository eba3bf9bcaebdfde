// What had been said by a moment of the replay. Spans of some minutes are fetched as they are needed; while somebody
// looks for a place nothing is asked for, and what is not in sight is forgotten again.

import type { Api } from "../state/api";
import type { ChatMessage, MessagePage } from "../wire.gen";

const SPAN_MS = 300_000;
const SPANS_KEPT = 8;
/** The next span is fetched this long before it begins. */
const AHEAD_MS = 60_000;
/** A playhead that moves by more was moved by somebody. */
const JUMP_MS = 5000;
const SETTLE_MS = 350;
const AGAIN_MS = 5000;
const SHOWN = 100;
/** As many as one answer holds at most; then there may be more. */
const PAGE = 500;
const PAGES_AT_MOST = 8;

interface Span {
  /** Null: on its way. */
  messages: ChatMessage[] | null;
  askedAt: number;
}

export class ReplayChat {
  messages: readonly ChatMessage[] = [];
  private readonly spans = new Map<number, Span>();
  private last = NaN;
  private settledAt = 0;

  constructor(
    private readonly api: Api,
    private readonly showId: string,
    private readonly began: number,
  ) {}

  /** True: there is something else to show than before. */
  at(playhead: number): boolean {
    const now = performance.now();
    if (Math.abs(playhead - this.last) > JUMP_MS) this.settledAt = now + SETTLE_MS;
    this.last = playhead;
    const number = this.numberOf(playhead);
    if (now >= this.settledAt) {
      // The one before it, so that a span does not begin with an empty chat.
      this.want(number);
      if (number > 0) this.want(number - 1);
      if (this.numberOf(playhead + AHEAD_MS) > number) this.want(number + 1);
      this.forget(number);
    }
    return this.show(number, playhead);
  }

  /** Somebody was taken back what he said: what is held may hold it still. */
  drop(): void {
    this.spans.clear();
  }

  private numberOf(date: number): number {
    return Math.max(0, Math.floor((date - this.began) / SPAN_MS));
  }

  private show(number: number, playhead: number): boolean {
    const here = this.spans.get(number)?.messages;
    const before = this.spans.get(number - 1)?.messages ?? [];
    const all = here ? [...before, ...here] : [];
    let end = all.length;
    while (end > 0 && Date.parse(all[end - 1]!.at) > playhead) end -= 1;
    const shown = all.slice(Math.max(0, end - SHOWN), end);
    const old = this.messages;
    if (shown.length === old.length && shown.at(-1) === old.at(-1) && shown[0] === old[0]) return false;
    this.messages = shown;
    return true;
  }

  private want(number: number): void {
    const known = this.spans.get(number);
    const now = performance.now();
    if (known && (known.messages || now - known.askedAt < AGAIN_MS)) return;
    const span: Span = { messages: null, askedAt: now };
    this.spans.set(number, span);
    this.fetch(number).then(
      (messages) => (span.messages = messages),
      () => undefined, // Asked again while it is in sight.
    );
  }

  private async fetch(number: number): Promise<ChatMessage[]> {
    // The first one also holds what was said before the show began.
    const from = number === 0 ? this.began - SPAN_MS : this.began + number * SPAN_MS;
    const until = new Date(this.began + (number + 1) * SPAN_MS).toISOString();
    const found = new Map<string, ChatMessage>();
    let begin = new Date(from).toISOString();
    for (let page = 0; page < PAGES_AT_MOST; page++) {
      const query = new URLSearchParams({ from: begin, until });
      const path = `/api/shows/${encodeURIComponent(this.showId)}/replay/chat?${query.toString()}`;
      const { messages } = await this.api.get<MessagePage>(path);
      for (const message of messages) found.set(message.id, message);
      const last = messages.at(-1);
      if (messages.length < PAGE || !last || last.at === begin) break;
      begin = last.at;
    }
    return [...found.values()];
  }

  private forget(number: number): void {
    for (const known of this.spans.keys()) {
      if (this.spans.size > SPANS_KEPT && Math.abs(known - number) > 1) this.spans.delete(known);
    }
  }
}
