// A responsive picture from the server's renditions. Width and height are set so that nothing jumps when it loads.

import { html, nothing, type TemplateResult } from "lit";
import type { Image } from "../wire.gen";

export interface PictureOptions {
  /** The `sizes` attribute: how wide the picture is shown. */
  sizes: string;
  /** An empty text for decoration beside a name that says the same. */
  alt?: string;
  eager?: boolean;
}

export function picture(
  image: Image | null | undefined,
  { sizes, alt, eager = false }: PictureOptions,
): TemplateResult {
  if (!image) return html`<span class="no-picture" aria-hidden="true"></span>`;
  return html`<picture>
    ${image.sources.map(
      (source) => html`<source type=${source.type} srcset=${source.srcset} sizes=${sizes} />`,
    )}
    <img
      src=${image.src}
      alt=${alt ?? image.alt}
      width=${image.width || nothing}
      height=${image.height || nothing}
      loading=${eager ? "eager" : "lazy"}
      decoding="async"
      draggable="false"
    />
  </picture>`;
}
