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
