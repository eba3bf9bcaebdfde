// What embed.js and the player module say to each other. Types only: embed.js may be older than the player it loads.

export type FrameMode = "inline" | "floating" | "button";
export type FrameAction = "close" | "minimise" | "expand";

export interface MountOptions {
  base: string;
  show: string;
  /** Wishes in order; the first language there are texts for wins. */
  languages: readonly string[];
  mode: FrameMode;
  /** The element the embed events are dispatched from. */
  host: HTMLElement;
  onFrame: (action: FrameAction) => void;
}

export interface Mounted {
  identify(jwt: string): Promise<{ viewer_id: string; name: string | null }>;
  setMini(mini: boolean): void;
  unmount(): void;
}
