// One family of line icons, drawn for a 24 px grid. Icons are decoration: the control around them has the name.

import { svg, html, type TemplateResult } from "lit";

const PATHS = {
  bag: "M6 8h12l1 12H5L6 8Z M9 10V7a3 3 0 0 1 6 0v3",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15L6 16Z M10 20.5a2 2 0 0 0 4 0",
  calendar: "M5 6h14v14H5z M5 10h14 M9 3.5V7 M15 3.5V7",
  card: "M3.5 6h17v12h-17z M3.5 10h17",
  chat: "M4 5h16v11H10l-5 4v-4H4z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  chevron: "M9 5l7 7-7 7",
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12 M18 6L6 18",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z M12 7.5V12l3 2",
  down: "M5 9l7 7 7-7",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z",
  expand: "M4 9V4h5 M20 9V4h-5 M4 15v5h5 M20 15v5h-5",
  heart: "M12 20S3.5 15 3.5 9.2A4.6 4.6 0 0 1 12 6.8a4.6 4.6 0 0 1 8.5 2.4C20.5 15 12 20 12 20Z",
  info: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z M12 11v5 M12 8v.01",
  lock: "M6 11h12v9H6z M8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  mic: "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4Z M6.5 11.5a5.5 5.5 0 0 0 11 0 M12 17v3",
  minus: "M6 12h12",
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4Z M16 9.5l5 5 M21 9.5l-5 5",
  pause: "M8.5 5.5v13 M15.5 5.5v13",
  pin: "M9 4h6l-.7 6 3.2 3.5H6.5L9.7 10 9 4Z M12 13.5V20",
  pip: "M4 5.5h16v13H4z M12.5 12h5v4h-5z",
  play: "M8 5.5v13l10-6.5-10-6.5Z",
  plus: "M12 6v12 M6 12h12",
  refresh: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9 M19.5 4.5V9H15",
  search: "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z M16 16l4 4",
  send: "M4.5 12L20 4.5 15.5 20l-3.8-6.2L4.5 12Z M11.7 13.8L20 4.5",
  settings: "M4 7h9 M17 7h3 M15 5v4 M4 17h3 M11 17h9 M9 15v4",
  shrink: "M9 4v5H4 M15 4v5h5 M9 20v-5H4 M15 20v-5h5",
  store: "M5 10.5V20h14v-9.5 M3.5 10l2-6h13l2 6Z M10 20v-5h4v5",
  tag: "M4 4.5h7.5L20 13l-7 7L4 11.5Z M8 8.5v.01",
  trash: "M5 7h14 M10 7V4.5h4V7 M7 7l1 13h8l1-13",
  truck: "M3 6.5h11v10H3z M14 10h4l3 3.2v3.3h-7 M7.5 15.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z M17 15.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
  user: "M12 4.5a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6Z M4.8 20a7.2 7.2 0 0 1 14.4 0",
  video: "M3.5 6.5h11v11h-11z M14.5 10.5l6-3.5v10l-6-3.5",
  volume: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5H4Z M15.5 9a4 4 0 0 1 0 6 M18 6.5a8 8 0 0 1 0 11",
  warn: "M12 4.5l9 15.5H3l9-15.5Z M12 10v4.5 M12 17.2v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName, solid = false): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    ${svg`<path d=${PATHS[name]} fill=${solid ? "currentColor" : "none"}></path>`}
  </svg>`;
}
