/** Small habits this browser keeps: the carrier used last, the store it stands in. */

export function recall(key: string): string {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage may be forbidden; it is then asked for again.
  }
}

const STORE = "liveshop:desk:store";

/** The store this desk stands in. */
export function ownStore(): string {
  return recall(STORE);
}

export function chooseStore(id: string): void {
  remember(STORE, id);
}
