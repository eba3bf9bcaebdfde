// How <ls-payment> looks.

import { css } from "lit";

export const paymentStyles = css`
  :host {
    display: contents;
  }
  .wait {
    display: grid;
    justify-items: center;
    gap: 10px;
    padding: 40px 24px;
    text-align: center;
    color: var(--ls-ink-2);
    font-size: var(--ls-text-md);
    line-height: 1.5;
  }
  .wait > .spinner,
  .wait > .icon {
    font-size: 34px;
    color: var(--ls-accent);
    margin-bottom: 6px;
  }
  .wait b {
    color: var(--ls-ink);
    font-size: var(--ls-text-lg);
  }
  .wait p {
    max-width: 34ch;
  }
  .sum {
    display: flex;
    justify-content: space-between;
    align-items: baseline;
    gap: 16px;
    margin: 18px 20px 0;
    padding: 14px 18px;
    border-radius: var(--ls-radius-md);
    background: var(--ls-surface-2);
    color: var(--ls-ink-2);
  }
  .sum b {
    color: var(--ls-ink);
    font-size: 18px;
    font-variant-numeric: tabular-nums;
  }
  .fields {
    padding: 18px 20px 24px;
  }
  .fields:empty {
    display: none;
  }
  .until {
    margin: 12px 20px 0;
    font-size: var(--ls-text-sm);
    color: var(--ls-ink-2);
  }
  .foot {
    display: grid;
    gap: 10px;
  }
  dialog {
    width: min(420px, calc(100vw - 24px));
    padding: 0;
    border: 0;
    border-radius: var(--ls-radius);
    background: var(--ls-surface);
    color: var(--ls-ink);
    box-shadow: var(--ls-shadow-3);
    font-family: var(--ls-font);
    font-size: var(--ls-text-md);
    line-height: 1.45;
  }
  dialog::backdrop {
    background: rgb(12 10 18 / 0.28);
  }
  .bank {
    display: grid;
    gap: 14px;
    padding: 18px 20px 20px;
  }
  .bank header {
    display: flex;
    align-items: center;
    gap: 10px;
    margin: -6px -8px -4px 0;
  }
  .bank h3 {
    flex: 1;
    font-size: var(--ls-text-lg);
    letter-spacing: -0.01em;
    outline: none;
  }
  .bank dl {
    display: grid;
    grid-template-columns: auto 1fr;
    gap: 4px 16px;
    padding: 12px 14px;
    border-radius: var(--ls-radius-md);
    background: var(--ls-surface-2);
    font-size: var(--ls-text-sm);
  }
  .bank dt {
    color: var(--ls-ink-2);
  }
  .bank dd {
    text-align: right;
    font-weight: 600;
    font-variant-numeric: tabular-nums;
  }
  .bank p {
    color: var(--ls-ink-2);
  }
  .answers {
    display: grid;
    grid-template-columns: 1fr 1fr;
    gap: 8px;
  }
`;
