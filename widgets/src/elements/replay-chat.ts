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

interface Joined {
  here: readonly ChatMessage[] | null;
  before: readonly ChatMessage[] | null;
  all: readonly ChatMessage[];
  times: readonly number[];
}

/** How many of these moments, in time order, are not after this one. */
function endOf(times: readonly number[], moment: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! > moment) high = middle;
    else low = middle + 1;
  }
  return low;
}

export class ReplayChat {
  messages: readonly ChatMessage[] = [];
  private readonly spans = new Map<number, Span>();
  /** Messages that were taken back, and people whose messages were. */
  private readonly gone = new Set<string>();
  private joined: Joined | null = null;
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

  /** What was said is taken back: one message, or all of one person. An answer on its way may hold it still. */
  drop(id: string): void {
    this.gone.add(id);
    for (const span of this.spans.values()) if (span.messages) span.messages = this.standing(span.messages);
  }

  private standing(messages: readonly ChatMessage[]): ChatMessage[] {
    return messages.filter(({ id, author_id: author }) => !this.gone.has(id) && !this.gone.has(author));
  }

  private numberOf(date: number): number {
    return Math.max(0, Math.floor((date - this.began) / SPAN_MS));
  }

  private show(number: number, playhead: number): boolean {
    const { all, times } = this.join(number);
    const end = endOf(times, playhead);
    const shown = all.slice(Math.max(0, end - SHOWN), end);
    const old = this.messages;
    if (shown.length === old.length && shown.at(-1) === old.at(-1) && shown[0] === old[0]) return false;
    this.messages = shown;
    return true;
  }

  /** What is in sight, put together once and not at every look. */
  private join(number: number): Joined {
    const here = this.spans.get(number)?.messages ?? null;
    const before = this.spans.get(number - 1)?.messages ?? null;
    const known = this.joined;
    if (known && known.here === here && known.before === before) return known;
    const all = here ? [...(before ?? []), ...here] : [];
    return (this.joined = { here, before, all, times: all.map(({ at }) => Date.parse(at)) });
  }

  private want(number: number): void {
    const known = this.spans.get(number);
    const now = performance.now();
    if (known && (known.messages || now - known.askedAt < AGAIN_MS)) return;
    const span: Span = { messages: null, askedAt: now };
    this.spans.set(number, span);
    this.fetch(number).then(
      (messages) => (span.messages = this.standing(messages)),
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
