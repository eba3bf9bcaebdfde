// How <ls-chat> looks.

import { css } from "lit";

export const chatStyles = css`
  :host {
    display: flex;
    flex-direction: column;
    min-height: 0;
    flex: 1;
    position: relative;
  }
  .pinned {
    display: flex;
    gap: 10px;
    margin: 12px 16px 4px;
    padding: 10px 12px;
    border-radius: var(--ls-radius-md);
    background: var(--ls-accent-soft);
    font-size: var(--ls-text-sm);
    line-height: 1.45;
  }
  .pinned b {
    unicode-bidi: isolate;
  }
  .pinned .icon {
    color: var(--ls-accent);
    margin-top: 1px;
  }
  .list {
    position: relative;
    flex: 1;
    min-height: 0;
    overflow-y: auto;
    overscroll-behavior: contain;
    padding: 12px 16px 8px;
    display: flex;
    flex-direction: column;
    gap: 2px;
    scrollbar-width: thin;
    scrollbar-color: var(--ls-line-2) transparent;
  }
  .list::before {
    content: "";
    margin-top: auto;
  }
  .list:focus-visible {
    box-shadow: inset 0 0 0 2px var(--ls-accent);
  }
  li {
    display: grid;
    grid-template-columns: 28px minmax(0, 1fr);
    gap: 10px;
    padding: 5px 0;
    font-size: var(--ls-text-md);
    line-height: 1.42;
  }
  .face {
    width: 28px;
    height: 28px;
    display: grid;
    place-items: center;
    border-radius: 50%;
    font-size: 11px;
    font-weight: 700;
    letter-spacing: 0.02em;
    color: #fff;
  }
  .c0 {
    background: #5b45c9;
  }
  .c1 {
    background: #a8326f;
  }
  .c2 {
    background: #14697c;
  }
  .c3 {
    background: #8a5206;
  }
  .c4 {
    background: #2d6a3a;
  }
  .c5 {
    background: #9c3a24;
  }
  .who {
    font-weight: 600;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
    margin-right: 6px;
    display: inline-flex;
    align-items: center;
    gap: 6px;
  }
  .text {
    overflow-wrap: anywhere;
    display: block;
  }
  li.staff .bubble,
  li.mine .bubble {
    justify-self: start;
    padding: 7px 12px 8px;
    border-radius: 4px 14px 14px 14px;
    background: var(--ls-surface-3);
  }
  li.mine .bubble {
    background: var(--ls-accent-soft);
  }
  li.staff .who {
    color: var(--ls-ink);
  }
  .gone {
    color: var(--ls-ink-3);
    font-style: italic;
    font-size: var(--ls-text-sm);
  }
  .more {
    display: block;
    text-align: center;
    color: var(--ls-ink-3);
    font-size: var(--ls-text-sm);
  }
  .empty {
    margin: auto;
    text-align: center;
    color: var(--ls-ink-3);
    font-size: var(--ls-text-sm);
    max-width: 24ch;
    line-height: 1.5;
  }
  .empty .icon {
    font-size: 25.6px;
    margin: 0 auto 8px;
    display: block;
    color: var(--ls-line-2);
  }
  .new {
    position: absolute;
    left: 50%;
    bottom: 84px;
    transform: translateX(-50%);
    min-height: 44px;
    padding: 0 16px;
    border-radius: var(--ls-radius-full);
    background: var(--ls-ink);
    color: #fff;
    font-size: var(--ls-text-sm);
    font-weight: 600;
    display: inline-flex;
    align-items: center;
    gap: 8px;
    box-shadow: var(--ls-shadow-2);
    white-space: nowrap;
  }
  .foot {
    padding: 8px 16px 14px;
    border-top: 1px solid var(--ls-line);
    display: grid;
    gap: 6px;
  }
  .compose {
    display: flex;
    gap: 8px;
    align-items: center;
  }
  .compose .input {
    border-radius: var(--ls-radius-full);
    background: var(--ls-surface-2);
    border-color: transparent;
    padding-inline: 18px;
  }
  .compose .input:focus {
    background: var(--ls-surface);
    border-color: var(--ls-accent);
  }
  .send {
    width: 46px;
    height: 46px;
    background: var(--ls-accent);
    color: var(--ls-accent-ink);
  }
  .send:hover:not(:disabled) {
    background: color-mix(in srgb, var(--ls-accent) 88%, #000);
  }
  .send:disabled {
    background: var(--ls-surface-3);
    color: var(--ls-ink-3);
  }
  .as {
    display: flex;
    align-items: center;
    gap: 4px;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-3);
    min-height: 30px;
  }
  .as b {
    font-weight: 600;
    color: var(--ls-ink-2);
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .as .link {
    font-size: var(--ls-text-sm);
    margin-block: -7px;
    padding-inline: 6px;
  }
  @container panel (max-height: 280px) {
    .pinned {
      margin: 6px 16px 0;
      padding: 6px 12px;
    }
    .pinned span {
      overflow: hidden;
      text-overflow: ellipsis;
      white-space: nowrap;
    }
    .foot {
      padding-block: 6px;
    }
    .foot:not(:focus-within) .as {
      display: none;
    }
  }
`;
