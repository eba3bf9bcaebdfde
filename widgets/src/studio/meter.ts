/** How much of something is taken, as a bar. Drawn, not styled: the pages' policy allows no style attributes. */

import { html, svg, type TemplateResult } from "lit";

export function meter(taken: number, of: number): TemplateResult {
  const share = of > 0 ? Math.min(100, Math.max(0, (taken / of) * 100)) : 0;
  return html`<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">${svg`<rect width=${share.toFixed(1)} height="6"></rect>`}</svg>`;
}
