// What stands in for a picture that is not there: the show's cover, and words.

import { html, nothing, type TemplateResult } from "lit";
import type { Image } from "../wire.gen";

export function card(
  cover: Image | null | undefined,
  title: string,
  text: string,
  more: TemplateResult | typeof nothing = nothing,
): TemplateResult {
  return html`<div class="card" data-testid="video-card">
    ${cover
      ? html`<picture>
          ${cover.sources.map(({ type, srcset }) => html`<source type=${type} srcset=${srcset} sizes="100vw" />`)}
          <img src=${cover.src} alt="" draggable="false" />
        </picture>`
      : nothing}
    <div class="words" role="status"><b>${title}</b><p>${text}</p>${more}</div>
  </div>`;
}
