// <ls-hearts>: the heart button and the hearts that rise over the video. Taps are sent in handfuls, never one by one.

import { html, css, type TemplateResult } from "lit";
import { query, state } from "lit/decorators.js";
import type { Tick } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";

const SEND_EVERY_MS = 600;
const MOST_AT_ONCE = 10;
const MOST_ON_SCREEN = 24;
const COLORS = ["#ff4d6d", "#ff8fa3", "#ffb347", "#c77dff", "#ff5d8f"];

export class LsHearts extends Part {
  @state() private bump = 0;
  @query(".sky") private sky!: HTMLElement;
  private pending = 0;
  private mine = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  static override styles = [
    baseStyles,
    css`
      :host {
        position: absolute;
        right: 12px;
        bottom: 56px;
        width: 56px;
        pointer-events: none;
        z-index: 3;
      }
      button {
        pointer-events: auto;
        position: relative;
        width: 52px;
        min-height: 52px;
        display: grid;
        justify-items: center;
        align-content: center;
        gap: 1px;
        border-radius: var(--ls-radius-full);
        background: var(--ls-glass);
        backdrop-filter: blur(10px);
        color: #fff;
        font-size: 18.4px;
        transition: transform var(--ls-fast) var(--ls-ease);
      }
      button:active {
        transform: scale(0.9);
      }
      .count {
        font-size: 11px;
        font-weight: 700;
        line-height: 1;
        font-variant-numeric: tabular-nums;
      }
      .sky {
        position: absolute;
        inset: auto 0 100%;
        height: 0;
      }
      .heart {
        position: absolute;
        bottom: 0;
        left: 14px;
        width: 24px;
        height: 24px;
        will-change: transform, opacity;
      }
      .heart svg {
        display: block;
        width: 100%;
        height: 100%;
        filter: drop-shadow(0 2px 4px rgb(0 0 0 / 0.3));
      }
    `,
  ];

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener("event", this.onEvent);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener("event", this.onEvent);
    clearTimeout(this.timer);
  }

  private readonly onEvent = (event: Event): void => {
    const tick = (event as CustomEvent<Tick>).detail;
    if (tick.t !== "hearts") return;
    // Own taps were drawn when they were made.
    const others = Math.max(0, tick.d.added - this.mine);
    this.mine = Math.max(0, this.mine - tick.d.added);
    this.bump = 0;
    for (let i = 0; i < Math.min(others, 8); i++) setTimeout(() => this.rise(), Math.random() * 900);
  };

  private tap(): void {
    this.rise();
    this.bump += 1;
    this.pending = Math.min(MOST_AT_ONCE, this.pending + 1);
    this.timer ??= setTimeout(() => this.flush(), SEND_EVERY_MS);
  }

  private flush(): void {
    this.timer = undefined;
    const count = this.pending;
    this.pending = 0;
    this.mine += count;
    this.session.room.command("reaction.send", { count }).catch(() => {
      // A heart that did not arrive is not worth a message.
      this.mine = Math.max(0, this.mine - count);
    });
    this.session.track("heart", { count });
  }

  private rise(): void {
    if (this.calm.matches || document.hidden || this.sky.childElementCount >= MOST_ON_SCREEN) return;
    const heart = document.createElement("span");
    heart.className = "heart";
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.setAttribute("viewBox", "0 0 24 24");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M12 20S3.5 15 3.5 9.2A4.6 4.6 0 0 1 12 6.8a4.6 4.6 0 0 1 8.5 2.4C20.5 15 12 20 12 20Z");
    path.setAttribute("fill", COLORS[Math.floor(Math.random() * COLORS.length)]!);
    drawing.append(path);
    heart.append(drawing);
    this.sky.append(heart);
    const sway = (Math.random() - 0.5) * 44;
    const size = 0.8 + Math.random() * 0.6;
    heart
      .animate(
        [
          { transform: `translate(0, 8px) scale(0.2)`, opacity: 0 },
          { transform: `translate(${sway * 0.3}px, -30px) scale(${size})`, opacity: 1, offset: 0.15 },
          { transform: `translate(${sway}px, -120px) scale(${size})`, opacity: 0.9, offset: 0.6 },
          { transform: `translate(${-sway * 0.6}px, -210px) scale(${size * 0.9})`, opacity: 0 },
        ],
        { duration: 2000 + Math.random() * 900, easing: "ease-out" },
      )
      .finished.finally(() => heart.remove());
  }

  protected override render(): TemplateResult {
    const total = (this.session.room.state?.hearts ?? 0) + this.bump;
    return html`<div class="sky" aria-hidden="true"></div>
      <button aria-label=${this.t("hearts.send", { total: this.session.i18n.compact(total) })} @click=${this.tap}>
        ${icon("heart", true)}<span class="count" aria-hidden="true">${this.session.i18n.compact(total)}</span>
      </button>`;
  }
}

define("ls-hearts", LsHearts);

declare global {
  interface HTMLElementTagNameMap {
    "ls-hearts": LsHearts;
  }
}
