/** The host's studio: shows, their lineup, and the cockpit of a running one. */

import { html, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { keyed } from "lit/directives/keyed.js";
import "./cockpit";
import "./show-form";
import "./shows";
import { Shell, type Place } from "./shell";
import type { App } from "./view";

@customElement("liveshop-studio")
export class Studio extends Shell {
  protected override readonly house = "studio";

  protected override places(): Place[] {
    return [{ hash: "#/", label: "studio.shows", icon: "video", permissions: ["shows:read"] }];
  }

  protected override current(): string {
    return "#/";
  }

  protected override screen(app: App, path: string[]): TemplateResult {
    // What follows a question mark is the camera's.
    const [kind, id, act] = path.map((part) => part.split("?")[0]);
    if (kind === "shows" && id === "new") return html`${keyed("new", html`<studio-show-form .app=${app}></studio-show-form>`)}`;
    if (kind === "shows" && id && act === "edit") {
      return html`${keyed(id, html`<studio-show-form .app=${app} .showId=${id}></studio-show-form>`)}`;
    }
    if (kind === "shows" && id) return html`${keyed(id, html`<studio-cockpit .app=${app} .showId=${id}></studio-cockpit>`)}`;
    return html`<studio-shows .app=${app}></studio-shows>`;
  }
}
