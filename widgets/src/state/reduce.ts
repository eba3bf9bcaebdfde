// The room as a value: snapshot + later events = fresh snapshot. Pure; events are idempotent upserts.

import type {
  ChatMessage,
  ChatSettings,
  Pin,
  Product,
  RoomEvent,
  Show,
  Snapshot,
  Tick,
  VideoState,
} from "../wire.gen";

/** A fresh snapshot holds the last 50; a viewer who was there may scroll back further. */
const MESSAGES_KEPT = 200;
const PINS_KEPT = 100;
/** Of a loud room, one line for so many messages says how many more there were. */
const MESSAGES_PER_LINE = 20;

/** Messages that were not sent to this viewer: how many, and the last one he saw when the first of them was said. */
export interface Omitted {
  readonly after: string;
  readonly count: number;
}

export interface RoomState {
  readonly epoch: string;
  readonly offset: number;
  /** Server time of the snapshot or of the last logged event. */
  readonly at: string;
  readonly show: Show;
  /** In lineup order. */
  readonly products: readonly Product[];
  /** Ascending by time. */
  readonly pins: readonly Pin[];
  /** Whether the host's picture comes. */
  readonly video: VideoState;
  readonly messages: readonly ChatMessage[];
  readonly omitted: readonly Omitted[];
  readonly pinnedMessage: ChatMessage | null;
  readonly chatSettings: ChatSettings;
  readonly viewers: number;
  readonly hearts: number;
}

export function fromSnapshot(snapshot: Snapshot): RoomState {
  return {
    epoch: snapshot.epoch,
    offset: snapshot.offset,
    at: snapshot.at,
    show: snapshot.show,
    products: snapshot.products,
    pins: snapshot.pins,
    video: snapshot.video,
    messages: snapshot.chat.messages,
    omitted: [],
    pinnedMessage: snapshot.chat.pinned,
    chatSettings: snapshot.chat.settings,
    viewers: snapshot.viewers,
    hearts: snapshot.hearts,
  };
}

/** Seen and bought from: by everybody, or by those who were invited to its rehearsal. */
export const isOn = ({ state }: Show): boolean => state === "live" || state === "rehearsal";

export function isLogged(event: RoomEvent | Tick): event is RoomEvent {
  return "o" in event && typeof event.o === "number";
}

/** Events at or before the state's offset change nothing, so that a repeat cannot hurt. */
export function reduce(state: RoomState, event: RoomEvent | Tick): RoomState {
  if (!isLogged(event)) {
    if (event.t === "viewers") return { ...state, viewers: event.d.count };
    if (event.t === "hearts") return { ...state, hearts: event.d.total };
    return state;
  }
  if (event.o <= state.offset) return state;
  return { ...apply(state, event), offset: event.o, at: event.at ?? state.at };
}

function apply(state: RoomState, event: RoomEvent): RoomState {
  switch (event.t) {
    case "show.changed":
      return { ...state, show: event.d.show };
    case "video.changed":
      return { ...state, video: event.d };
    case "product.pinned":
      return { ...state, pins: withPin(state.pins, event.d) };
    case "product.unpinned":
      return { ...state, pins: withPin(state.pins, { product_id: null, at: event.d.at }) };
    case "lineup.changed":
      return { ...state, show: event.d.show, products: event.d.products };
    case "product.changed":
    // An offer comes and goes with the product as it is then: prices are never worked out here.
    case "offer.started":
    case "offer.ended": {
      const { product } = event.d;
      return { ...state, products: state.products.map((p) => (p.id === product.id ? product : p)) };
    }
    case "stock.changed": {
      const { product_id, variant_id, available } = event.d;
      return {
        ...state,
        products: state.products.map((p) =>
          p.id === product_id
            ? { ...p, variants: p.variants.map((v) => (v.id === variant_id ? { ...v, available } : v)) }
            : p,
        ),
      };
    }
    case "chat.message":
      return { ...state, messages: withMessage(state.messages, event.d.message) };
    case "more":
      // What of them a snapshot held already is not missing.
      return { ...state, omitted: withOmitted(state, event.o - Math.max(state.offset, event.from - 1)) };
    case "chat.deleted":
    case "chat.sanctioned": {
      const pinned = state.pinnedMessage && takenBack([state.pinnedMessage], event)[0]!;
      return {
        ...state,
        messages: takenBack(state.messages, event),
        pinnedMessage: pinned?.deleted ? null : pinned,
      };
    }
    case "chat.message_pinned":
      return { ...state, pinnedMessage: event.d.message };
    case "chat.configured":
      return { ...state, chatSettings: event.d.settings };
    default:
      // "order.placed" and "waitlist.moved" are told to whom they concern but change nothing; unknown events are of a newer server.
      return state;
  }
}

function withPin(pins: readonly Pin[], pin: Pin): readonly Pin[] {
  if (pins.some((p) => p.at === pin.at && p.product_id === pin.product_id)) return pins;
  return [...pins, { product_id: pin.product_id, at: pin.at }]
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
    .slice(-PINS_KEPT);
}

function withMessage(messages: readonly ChatMessage[], message: ChatMessage): readonly ChatMessage[] {
  if (messages.some((m) => m.id === message.id)) {
    return messages.map((m) => (m.id === message.id ? message : m));
  }
  return [...messages, message].slice(-MESSAGES_KEPT);
}

function withOmitted({ messages, omitted }: RoomState, count: number): readonly Omitted[] {
  const last = omitted.at(-1);
  const place = messages.findLastIndex((m) => m.id === last?.after);
  if (last && messages.length - place <= MESSAGES_PER_LINE) {
    return [...omitted.slice(0, -1), { ...last, count: last.count + count }];
  }
  return [...omitted, { after: messages.at(-1)?.id ?? "", count }].slice(-MESSAGES_KEPT / MESSAGES_PER_LINE);
}

/** Messages as they are after an event. A mute silences the future only; a ban also takes back what was said. */
export function takenBack(messages: readonly ChatMessage[], { t, d }: RoomEvent | Tick): readonly ChatMessage[] {
  const hit = (m: ChatMessage): boolean =>
    t === "chat.deleted" ? m.id === d.message_id : t === "chat.sanctioned" && d.kind === "ban" && m.author_id === d.viewer_id;
  return messages.some(hit) ? messages.map((m) => (hit(m) ? { ...m, text: "", deleted: true } : m)) : messages;
}

/** The product in focus at a moment of the video: the last pin not later than it. Null: nothing is pinned. */
export function pinnedAt(pins: readonly Pin[], playhead: number): string | null {
  let current: string | null = null;
  for (const pin of pins) {
    if (Date.parse(pin.at) > playhead) break;
    current = pin.product_id;
  }
  return current;
}
