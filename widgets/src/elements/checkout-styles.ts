// How <ls-checkout> looks.

import { css } from "lit";

export const checkoutStyles = css`
  :host {
    display: contents;
  }
  form {
    padding: 18px 20px 24px;
    display: grid;
    gap: 26px;
  }
  h3 {
    font-size: var(--ls-text-md);
    font-weight: 700;
    margin-bottom: 12px;
    letter-spacing: -0.005em;
  }
  .fields {
    display: grid;
    grid-template-columns: 2fr 3fr;
    gap: 12px;
  }
  .all {
    grid-column: 1 / -1;
  }
  .opt {
    font-weight: 400;
    color: var(--ls-ink-3);
  }
  .methods {
    display: grid;
    gap: 10px;
  }
  .method {
    border-radius: var(--ls-radius-md);
    box-shadow: inset 0 0 0 1px var(--ls-line-2);
    transition: box-shadow var(--ls-fast);
  }
  .method.on {
    box-shadow: inset 0 0 0 2px var(--ls-accent);
  }
  .method > label {
    display: flex;
    align-items: center;
    gap: 12px;
    min-height: 56px;
    padding: 8px 16px;
    cursor: pointer;
    font-weight: 600;
    font-size: var(--ls-text-md);
  }
  .method.off > label {
    cursor: default;
    color: var(--ls-ink-3);
  }
  .method label > .icon {
    color: var(--ls-ink-3);
    font-size: 17px;
  }
  .method.on label > .icon {
    color: var(--ls-accent);
  }
  .what {
    flex: 1;
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .method small.when {
    color: var(--ls-good);
    font-weight: 600;
  }
  .method small.bad {
    color: var(--ls-bad);
  }
  .head {
    display: flex;
    justify-content: space-between;
    gap: 12px;
  }
  .head b {
    font-weight: 600;
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .more {
    margin-top: 4px;
    font-size: var(--ls-text-sm);
  }
  .compact {
    gap: 0;
    padding-top: 6px;
  }
  .compact > section {
    padding: 14px 0;
  }
  .compact > section + section {
    border-top: 1px solid var(--ls-line);
  }
  .line {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 2px 12px;
    align-items: start;
  }
  .line h3 {
    margin: 0;
    font-size: var(--ls-text-sm);
    font-weight: 600;
    color: var(--ls-ink-2);
  }
  .line p {
    grid-column: 1;
    font-size: var(--ls-text-md);
    line-height: 1.4;
    overflow-wrap: anywhere;
  }
  .line p b {
    font-weight: 600;
  }
  .line p span {
    display: block;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
  }
  .line .link {
    grid-area: 1 / 2 / span 2;
    margin-top: -10px;
    font-size: var(--ls-text-sm);
  }
  .method small {
    display: block;
    font-weight: 400;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
    margin-top: 1px;
  }
  .method input[type="radio"] {
    width: 20px;
    height: 20px;
    margin: 0;
    accent-color: var(--ls-accent);
    flex: none;
  }
  .method .badge {
    margin-left: auto;
  }
  .inside {
    padding: 0 16px 4px;
    display: grid;
    gap: 2px;
  }
  .testrow {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0 8px;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
  }
  .testrow .link {
    font-size: var(--ls-text-sm);
    font-variant-numeric: tabular-nums;
  }
  .unused {
    margin-top: 12px;
    display: grid;
    gap: 4px;
  }
  .unused b {
    text-transform: uppercase;
  }
  .foot {
    display: grid;
    gap: 10px;
  }
  .safe {
    display: flex;
    justify-content: center;
    align-items: center;
    gap: 6px;
    font-size: var(--ls-text-xs);
    color: var(--ls-ink-3);
  }
`;
