// How <ls-product> looks.

import { css } from "lit";

export const productStyles = css`
  :host {
    display: contents;
  }
  .shot {
    position: relative;
    background: var(--ls-surface-2);
    /* Low enough that the price and its conditions show without scrolling. */
    aspect-ratio: 2 / 1;
    overflow: hidden;
  }
  .shot img {
    width: 100%;
    height: 100%;
    object-fit: cover;
  }
  .shot picture,
  .thumbs picture {
    display: contents;
  }
  .shot .badge {
    position: absolute;
    left: 16px;
    top: 16px;
  }
  @container player (min-width: 860px) {
    .shot {
      aspect-ratio: 16 / 9;
    }
  }
  .thumbs {
    display: flex;
    gap: 8px;
    padding: 8px 20px 0;
    overflow-x: auto;
    scrollbar-width: none;
  }
  .thumbs button {
    width: 48px;
    height: 48px;
    flex: none;
    border-radius: 10px;
    overflow: hidden;
    background: var(--ls-surface-2);
    box-shadow: inset 0 0 0 1px var(--ls-line);
    padding: 0;
    margin: 4px 0;
  }
  .thumbs img {
    width: 100%;
    height: 100%;
    object-fit: cover;
  }
  .thumbs button[aria-pressed="true"] {
    box-shadow: 0 0 0 2px var(--ls-surface), 0 0 0 4px var(--ls-ink);
  }
  .thumbs button:focus-visible {
    box-shadow: var(--ls-focus);
  }
  .about {
    padding: 12px 20px 24px;
    display: grid;
    gap: 18px;
  }
  .brand {
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-3);
    margin-bottom: 2px;
  }
  h3 {
    font-size: var(--ls-text-xl);
    line-height: 1.22;
    letter-spacing: -0.018em;
    font-weight: 700;
    text-wrap: balance;
  }
  .prices {
    display: flex;
    flex-wrap: wrap;
    align-items: baseline;
    gap: 4px 10px;
    margin-top: 8px;
  }
  .prices .price {
    font-size: 20px;
  }
  .prices .badge {
    align-self: center;
  }
  .lowest,
  .because {
    font-size: var(--ls-text-sm);
    margin-top: 2px;
  }
  .deal {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 6px 10px;
    margin-top: 10px;
  }
  .deal .offer {
    font-size: var(--ls-text-sm);
    padding: 4px 9px;
  }
  .deal .because {
    margin: 0;
  }
  .tiers {
    width: 100%;
    border-collapse: collapse;
    font-size: var(--ls-text-sm);
  }
  .tiers caption {
    padding-bottom: 4px;
    font-weight: 600;
    text-align: left;
  }
  .tiers caption .icon {
    margin-right: 6px;
    vertical-align: -0.25em;
    color: var(--ls-ink-3);
  }
  .tiers :is(th, td) {
    padding: 7px 0;
    border-top: 1px solid var(--ls-line);
    font-weight: 400;
    text-align: left;
  }
  .tiers td {
    text-align: right;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  h4 {
    margin: 0 0 4px;
    font-size: var(--ls-text-sm);
    font-weight: 600;
  }
  .parts li {
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
  }
  .taxes {
    font-size: var(--ls-text-xs);
    color: var(--ls-ink-3);
    margin-top: 3px;
  }
  legend {
    font-size: var(--ls-text-sm);
    font-weight: 600;
    padding: 0;
    margin-bottom: 9px;
    display: flex;
    gap: 6px;
  }
  legend span {
    font-weight: 400;
    color: var(--ls-ink-2);
  }
  .values {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
  }
  .value {
    position: relative;
    display: inline-grid;
    place-items: center;
    min-width: 50px;
    min-height: 44px;
    padding: 0 14px;
    border-radius: var(--ls-radius-md);
    box-shadow: inset 0 0 0 1px var(--ls-line-2);
    font-size: var(--ls-text-md);
    font-weight: 500;
    cursor: pointer;
    transition: box-shadow var(--ls-fast), background-color var(--ls-fast);
  }
  .value:hover {
    box-shadow: inset 0 0 0 1px var(--ls-ink-2);
  }
  .value input {
    position: absolute;
    inset: 0;
    margin: 0;
    opacity: 0;
    cursor: inherit;
    width: 100%;
    height: 100%;
  }
  .value.on {
    background: var(--ls-ink);
    color: #fff;
    box-shadow: none;
  }
  .value:focus-within:has(:focus-visible) {
    outline: 2px solid var(--ls-accent);
    outline-offset: 2px;
  }
  .value.off {
    color: var(--ls-ink-3);
    background: var(--ls-surface-2);
    box-shadow: inset 0 0 0 1px var(--ls-line);
    text-decoration: line-through;
  }
  .value.off.on {
    color: var(--ls-ink);
    box-shadow: inset 0 0 0 2px var(--ls-ink);
  }
  .value.never {
    opacity: 0.55;
    cursor: not-allowed;
  }
  .stock {
    display: flex;
    align-items: center;
    gap: 8px;
    font-size: var(--ls-text-sm);
    font-weight: 600;
  }
  .stock::before {
    content: "";
    width: 8px;
    height: 8px;
    border-radius: 50%;
    background: currentColor;
  }
  .stock.good {
    color: var(--ls-good);
  }
  .stock.few {
    color: var(--ls-warn);
  }
  .stock.out {
    color: var(--ls-bad);
  }
  .text {
    font-size: var(--ls-text-md);
    line-height: 1.58;
    color: var(--ls-ink-2);
  }
  .text p + p,
  .text ul,
  .text ol {
    margin-top: 10px;
  }
  .text li {
    margin-left: 18px;
    list-style: disc;
  }
  .promise {
    display: grid;
    gap: 8px;
    padding-top: 16px;
    border-top: 1px solid var(--ls-line);
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
  }
  .promise li {
    display: flex;
    gap: 10px;
    align-items: center;
  }
  .promise .icon {
    color: var(--ls-ink-3);
  }
  .foot {
    display: grid;
    gap: 8px;
  }
  .done {
    display: grid;
    grid-template-columns: 1fr 1fr;
    gap: 8px;
  }
  .fit {
    display: flex;
    align-items: center;
    gap: 8px;
    color: var(--ls-ink-2);
  }
  .detail {
    display: inline-flex;
    align-items: center;
    min-height: 44px;
    font-size: var(--ls-text-sm);
    font-weight: 600;
    color: var(--ls-accent);
    text-underline-offset: 3px;
    justify-self: start;
  }
`;
