// embed.js: the loader a storefront includes. Defines <liveshop-show>, reserves its space and fetches the player when it comes near.
// Its address never changes, so it must stay tiny and know only the player's file name.

import type { FrameAction, FrameMode, Mounted, MountOptions } from "./player-api";

declare const __PLAYER__: string;

type PlayerModule = { mount(into: HTMLElement, options: MountOptions): Mounted };

const script = document.currentScript as HTMLScriptElement | null;
/** Where this script came from is where the server is, path prefix included. */
const HERE = new URL(".", script?.src || location.href).href.replace(/\/$/, "");

const WORDS: Record<string, Record<string, string>> = {
  en: { live: "Live", watch: "Watch the show", soon: "Upcoming show", failed: "The show could not be loaded.", retry: "Try again" },
  de: { live: "Live", watch: "Show ansehen", soon: "Nächste Show", failed: "Die Show konnte nicht geladen werden.", retry: "Erneut versuchen" },
};

// The heights are those of the player's layout, so that nothing moves when it arrives.
const STYLES = `
:host{display:block;contain:layout style;container-type:inline-size}
:host([hidden]){display:none}
.frame{height:max(560px,min(56.25cqi + 540px,100svh));border-radius:var(--liveshop-radius,18px);background:rgb(120 110 140/.12)}
@container (min-width:860px){.frame{height:calc((100cqi - 384px)*.5625 + 148px)}}
.frame.there{background:none}
:host([mode=floating]),:host([mode=button]){container-type:normal;contain:none;display:contents}
:host([mode=floating]) .frame{position:fixed;right:20px;bottom:20px;z-index:2147483000;width:min(392px,100vw - 24px);height:min(740px,100dvh - 40px);overflow:hidden;background:#fff;box-shadow:0 24px 64px rgb(21 19 29/.28),0 4px 12px rgb(21 19 29/.12);transition:width .3s,height .3s}
:host([mode=floating][mini]) .frame{width:min(280px,60vw);height:auto;aspect-ratio:16/9}
@media (max-width:520px){:host([mode=floating]:not([mini])) .frame{right:0;bottom:0;width:100vw;height:min(92dvh,780px);border-radius:18px 18px 0 0}}
.back{position:fixed;inset:0;margin:0;padding:0;border:0;width:100vw;height:100dvh;max-width:none;max-height:none;background:none;display:grid;place-items:center;container-type:inline-size}
.back::backdrop{background:rgb(12 10 18/.6);backdrop-filter:blur(4px)}
.back .frame{width:min(1280px,100cqi - 48px);height:min(calc((min(1280px,100cqi - 48px) - 384px)*.5625 + 148px),100dvh - 48px);min-height:min(600px,100dvh);overflow:hidden;background:#fff}
@media (max-width:900px){.back .frame{width:100%;height:100dvh;border-radius:0}}
.pill,.plain{all:unset;box-sizing:border-box;cursor:pointer;font:600 15px/1.2 var(--liveshop-font,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif);display:inline-flex;align-items:center;gap:10px;min-height:48px;padding:0 20px 0 14px;border-radius:99px;background:#15131d;color:#fff;transition:transform .15s}
.pill:hover{transform:translateY(-1px)}
.pill:focus-visible,.plain:focus-visible{box-shadow:0 0 0 2px #fff,0 0 0 4px var(--liveshop-accent,#4a2fe0)}
.pill b{display:inline-flex;align-items:center;gap:6px;padding:4px 9px;border-radius:99px;background:#e0213f;font-size:12px;letter-spacing:.05em;text-transform:uppercase}
.pill b.soon{background:#55516a;text-transform:none;letter-spacing:0}
.failed{height:100%;display:grid;place-content:center;justify-items:center;gap:14px;text-align:center;font:15px/1.5 var(--liveshop-font,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif);color:#55516a}
.plain{padding:0 20px}
@media (prefers-reduced-motion:reduce){*{transition:none!important}}`;

let sheet: CSSStyleSheet | undefined;
const modules = new Map<string, Promise<PlayerModule>>();
const mounted = new Set<Mounted>();
let identity: string | null = null;
const wanting: ((player: Mounted) => void)[] = [];

function load(base: string): Promise<PlayerModule> {
  let found = modules.get(base);
  if (!found) {
    found = import(/* a file of the server, not of the storefront */ `${base}/assets/${__PLAYER__}`) as Promise<PlayerModule>;
    // A failed load must not be remembered, or "try again" could never succeed.
    found.catch(() => modules.delete(base));
    modules.set(base, found);
  }
  return found;
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

class LiveshopShow extends HTMLElement {
  static observedAttributes = ["show", "mode", "lang", "base"];
  private player: Mounted | null = null;
  private frame: HTMLElement | null = null;
  private near: IntersectionObserver | null = null;
  private begun = false;
  private turn = 0;

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLES);
    }
    root.adoptedStyleSheets = [sheet];
    this.begin();
  }

  disconnectedCallback(): void {
    this.end();
  }

  attributeChangedCallback(_name: string, before: string | null, now: string | null): void {
    if (!this.begun || before === now) return;
    this.end();
    this.begin();
  }

  /** Opens a show in button mode, or one that was closed. */
  open(): void {
    if (this.player || !this.begun) return;
    this.showFrame();
  }

  close(): void {
    this.end();
    this.begin(true);
    // The pill was made anew; whoever closed the show by keyboard goes on from there.
    this.shadowRoot?.querySelector<HTMLElement>(".pill")?.focus();
    this.dispatchEvent(new CustomEvent("close", { bubbles: true, composed: true, detail: { show_id: this.show } }));
  }

  private get show(): string {
    return this.getAttribute("show") ?? "";
  }

  private get mode(): FrameMode {
    const mode = this.getAttribute("mode");
    return mode === "floating" || mode === "button" ? mode : "inline";
  }

  private get base(): string {
    return (this.getAttribute("base") ?? HERE).replace(/\/+$/, "");
  }

  private get languages(): string[] {
    return [this.lang, this.closest("[lang]")?.getAttribute("lang") ?? "", ...navigator.languages].filter(Boolean);
  }

  private word(key: string): string {
    const known = this.languages.map((l) => WORDS[l.slice(0, 2).toLowerCase()]).find(Boolean);
    return (known ?? WORDS["en"]!)[key]!;
  }

  private begin(closed = false): void {
    this.begun = true;
    if (!this.show) return;
    if (this.mode === "button") return this.showPill();
    if (this.mode === "floating") {
      if (!closed) this.showFrame();
      return;
    }
    this.frame = element("div", "frame");
    this.shadowRoot!.replaceChildren(this.frame);
    this.near = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        this.near?.disconnect();
        void this.fill();
      },
      { rootMargin: "600px" },
    );
    this.near.observe(this.frame);
  }

  private end(): void {
    this.turn++;
    this.begun = false;
    this.near?.disconnect();
    if (this.player) {
      mounted.delete(this.player);
      this.player.unmount();
      this.player = null;
    }
    this.removeAttribute("mini");
    this.shadowRoot?.replaceChildren();
  }

  private showPill(): void {
    const pill = element("button", "pill", this.word("watch"));
    pill.type = "button";
    pill.onclick = () => this.showFrame();
    this.shadowRoot!.replaceChildren(pill);
    const turn = this.turn;
    fetch(`${this.base}/api/shows/${encodeURIComponent(this.show)}`, { credentials: "omit" })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((show: { state: string; title: string } | null) => {
        if (!show || turn !== this.turn || !pill.isConnected) return;
        const live = show.state === "live";
        const badge = element("b", live ? "" : "soon", this.word(live ? "live" : show.state === "scheduled" ? "soon" : "watch"));
        pill.replaceChildren(badge, show.title);
      })
      .catch(() => undefined);
  }

  private showFrame(): void {
    this.frame = element("div", "frame");
    if (this.mode === "button") {
      const back = element("dialog", "back");
      back.setAttribute("aria-label", this.word("watch"));
      back.onclick = (event) => {
        if (event.target === back) this.close();
      };
      back.oncancel = (event) => {
        event.preventDefault();
        this.close();
      };
      back.append(this.frame);
      this.shadowRoot!.replaceChildren(back);
      back.showModal();
    } else {
      this.shadowRoot!.replaceChildren(this.frame);
    }
    void this.fill();
  }

  private async fill(): Promise<void> {
    const turn = this.turn;
    const frame = this.frame!;
    try {
      const module = await load(this.base);
      if (turn !== this.turn) return;
      this.player = module.mount(frame, {
        base: this.base,
        show: this.show,
        languages: this.languages,
        mode: this.mode,
        host: this,
        onFrame: (action) => this.onFrame(action),
      });
    } catch (error) {
      if (turn !== this.turn) return;
      console.error("liveshop:", error);
      return this.failed(frame);
    }
    frame.classList.add("there");
    mounted.add(this.player);
    if (identity) this.player.identify(identity).catch((error: unknown) => console.error("liveshop:", error));
    for (const want of wanting.splice(0)) want(this.player);
  }

  private failed(frame: HTMLElement): void {
    const box = element("div", "failed", this.word("failed"));
    box.setAttribute("role", "alert");
    const retry = element("button", "plain", this.word("retry"));
    retry.onclick = () => {
      frame.replaceChildren();
      void this.fill();
    };
    box.append(retry);
    frame.replaceChildren(box);
  }

  private onFrame(action: FrameAction): void {
    if (action === "close") return this.close();
    const mini = action === "minimise";
    this.toggleAttribute("mini", mini);
    this.player?.setMini(mini);
  }
}

const liveshop = {
  base: HERE,
  /** Tells every show on the page who the storefront's signed-in customer is, by a JWT the server trusts. */
  identify(jwt: string): Promise<{ viewer_id: string; name: string | null }> {
    identity = jwt;
    const players = [...mounted];
    if (players.length === 0) {
      return new Promise((resolve, reject) => {
        wanting.push((player) => player.identify(jwt).then(resolve, reject));
      });
    }
    return Promise.all(players.map((player) => player.identify(jwt))).then((people) => people[0]!);
  },
};

declare global {
  interface Window {
    liveshop?: typeof liveshop;
  }
}

// Included twice, the first one stays in charge.
if (!customElements.get("liveshop-show")) {
  window.liveshop = liveshop;
  customElements.define("liveshop-show", LiveshopShow);
}

export {};
