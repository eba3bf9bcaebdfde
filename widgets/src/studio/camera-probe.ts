/** How much the line carries upwards: two seconds of bytes the server throws away. */

import { framed, KIND } from "./camera-line";
import type { Refusal } from "./camera-messages";

const LASTS_MS = 2_000;
const GIVES_UP_MS = 8_000;
const PIECE_BYTES = 16_000;
/** On the way at first; each byte that arrives lets one more go. A weak line is not filled for half a minute. */
const FIRST_BYTES = 32_000;
const MOST_BYTES = 3_500_000;

export interface Probed {
  kbit: number | null;
  refusal: Refusal | null;
}

/** Null: given up, because the line is wanted for something else. */
export function probe(address: string, signal: AbortSignal): Promise<Probed | null> {
  return new Promise((resolve) => {
    const socket = new WebSocket(address, "liveshop.v1");
    socket.binaryType = "arraybuffer";
    const piece = new Uint8Array(PIECE_BYTES);
    // What all alike could be made small on its way.
    crypto.getRandomValues(piece);
    let sent = 0;
    let acked = 0;
    let startedAt = 0;
    let ackedAt = 0;
    let refusal: Refusal | null = null;
    const done = (): void => {
      signal.removeEventListener("abort", done);
      clearTimeout(end);
      clearTimeout(patience);
      socket.onclose = null;
      socket.onmessage = null;
      socket.close();
      const ms = ackedAt - startedAt;
      resolve(signal.aborted ? null : { kbit: acked > 0 && ms > 0 ? (acked * 8) / ms : null, refusal });
    };
    let end: ReturnType<typeof setTimeout> | undefined;
    const patience = setTimeout(done, GIVES_UP_MS);
    signal.addEventListener("abort", done);
    const more = (): void => {
      while (sent < MOST_BYTES && sent - acked < FIRST_BYTES + acked) {
        const bytes = framed(KIND.probe, 0, piece);
        socket.send(bytes);
        sent += bytes.length;
      }
      if (acked >= MOST_BYTES) done();
    };
    socket.onopen = () => {
      if (signal.aborted) return;
      startedAt = performance.now();
      end = setTimeout(() => {
        // Not one answer yet: a very weak line gets the time it needs for one.
        if (acked > 0) done();
      }, LASTS_MS);
      socket.send(JSON.stringify({ t: "probe" }));
      more();
    };
    socket.onmessage = (message) => {
      if (typeof message.data !== "string") return;
      const said = JSON.parse(message.data) as { t: string; bytes?: number; code?: string; message?: string };
      if (said.t === "refused") refusal = { code: said.code ?? "", message: said.message ?? "" };
      if (said.t !== "ack") return;
      acked = said.bytes ?? acked;
      ackedAt = performance.now();
      if (ackedAt - startedAt > LASTS_MS) done();
      else more();
    };
    socket.onclose = done;
  });
}
