/** The shared icons and those only studio and desk need, drawn in the same family. */

import { html, svg, type TemplateResult } from "lit";
import { icon as shared, type IconName as SharedIcon } from "../ui/icon";

const MORE = {
  arrowDown: "M12 5v14 M6 13l6 6 6-6",
  arrowUp: "M12 19V5 M6 11l6-6 6 6",
  ban: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z M6 6l12 12",
  bolt: "M13 3L5 13.5h6L11 21l8-10.5h-6L13 3Z",
  box: "M12 3.5l7.5 4.2v8.6L12 20.5l-7.5-4.2V7.7L12 3.5Z M12 12v8.5 M12 12L4.6 7.8 M12 12l7.4-4.2",
  chart: "M4 20h16 M7 16v-5 M12 16V5 M17 16V8.5",
  code: "M8.5 7l-5 5 5 5 M15.5 7l5 5-5 5",
  copy: "M8.5 8.5h12v12h-12z M15.5 5.5v-2h-12v12h2",
  edit: "M4 20l.8-4L16.5 4.3l3.2 3.2L8 19.2 4 20Z",
  external: "M14 4h6v6 M20 4l-9 9 M18 14v6H4V6h6",
  flip: "M4 8.5h12.5 M13 5l3.5 3.5L13 12 M20 15.5H7.5 M11 12l-3.5 3.5L11 19",
  image: "M3.5 4.5h17v15h-17z M4 17l5-4.5 3.5 3 3.5-3.5 4.5 4 M9 8.5v.01",
  key: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z M11 12l8.5-8.5 M16.5 6.5L19 9",
  laptop: "M5.5 6h13v9h-13z M3 18.5h18",
  list: "M9 6.5h11 M9 12h11 M9 17.5h11 M4.5 6.5v.01 M4.5 12v.01 M4.5 17.5v.01",
  micOff: "M9.5 6.5a2.5 2.5 0 0 1 5 0v4 M9.5 9.5v2a2.5 2.5 0 0 0 4 2 M6.5 11.5a5.5 5.5 0 0 0 8.7 4.4 M17.5 11.5v.5 M12 17v3 M5 4.5l14 15",
  more: "M6 12v.01 M12 12v.01 M18 12v.01",
  out: "M10 4.5H4v15h6 M15 16.5l4.5-4.5L15 7.5 M19.5 12H10",
  megaphone: "M4 10v4h3l9 4.5v-13L7 10H4Z M7.5 14.2l1.3 5.3h2.4l-1.4-4.1 M19 9.5a3.5 3.5 0 0 1 0 5",
  people: "M9 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z M2.5 19.5a6.5 6.5 0 0 1 13 0 M15.5 4.8a3.5 3.5 0 0 1 0 6.4 M17.5 13.8a6.5 6.5 0 0 1 4 5.7",
  phone: "M8 3.5h8v17H8z M11 17.5h2",
  screen: "M4 5h16v11H4z M9 19.5h6 M12 13V8 M9.8 10.2L12 8l2.2 2.2",
  share: "M17.5 3.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z M6 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z M17.5 15.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z M8.3 10.8l7-3.6 M8.3 13.2l7 3.6",
  stop: "M6.5 6.5h11v11h-11z",
  tag: "M4 12.5V4h8.5l7.5 7.5-8.5 8.5L4 12.5Z M8.2 8.2v.01",
  upload: "M12 15.5V4.5 M7 9l5-5 5 5 M4.5 15.5v4h15v-4",
} as const;

export type IconName = SharedIcon | keyof typeof MORE;

export function icon(name: IconName): TemplateResult {
  if (!(name in MORE)) return shared(name as SharedIcon);
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    ${svg`<path d=${MORE[name as keyof typeof MORE]}></path>`}
  </svg>`;
}

export function mark(): TemplateResult {
  return html`<svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="9" fill="currentColor"/><path d="M12.2 9.7a1.2 1.2 0 0 1 1.8-1l8.7 5.3a2.4 2.4 0 0 1 0 4L14 23.3a1.2 1.2 0 0 1-1.8-1z" fill="#fff"/></svg>`;
}
