/** What became of the video so far: every drop, with the time it took to come back. */

import { html, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { LogEntry, ShowLog } from "../wire.gen";
import { logLook, logWords } from "./video-words";
import { failure, LoadingView } from "./view";

const LISTED = 30;

@customElement("studio-video-log")
export class VideoLog extends LoadingView<LogEntry[]> {
  @property() showId = "";
  /** Where the video stands: when that changes there is something new to read. */
  @property() standing = "";

  protected override async fetch(): Promise<LogEntry[]> {
    const { entries } = await this.app.api.get<ShowLog>(`/api/shows/${encodeURIComponent(this.showId)}/log`);
    return entries.slice(-LISTED).reverse();
  }

  protected override updated(changed: PropertyValues<this>): void {
    super.updated(changed);
    if (changed.get("standing") !== undefined) void this.load(true);
  }

  protected override render(): TemplateResult {
    return html`<section aria-labelledby="video-log-title"><h3 id="video-log-title">${this.t("studio.video_log")}</h3>
      ${this.loaded.kind === "ready"
        ? this.ready(this.loaded.value)
        : this.loaded.kind === "failed"
          ? failure(this.loaded.why, this.t("studio.try_again"), () => void this.load())
          : html`<p class="quiet" role="status">${this.t("studio.loading")}</p>`}</section>`;
  }

  protected override ready(entries: LogEntry[]): TemplateResult {
    if (entries.length === 0) return html`<p class="quiet">${this.t("studio.video_log_empty")}</p>`;
    return html`<ol class="video-log" tabindex="0" role="list" aria-labelledby="video-log-title">${entries.map(
      (entry) => html`<li data-testid="video-log-entry" data-kind=${entry.kind}><span class="video-dot is-${logLook(entry.kind)}" aria-hidden="true"></span>
        <time datetime=${entry.at}>${this.app.words.date(entry.at, { hour: "2-digit", minute: "2-digit", second: "2-digit" })}</time>
        <span>${logWords(entry, this.app.words)}</span></li>`,
    )}</ol>`;
  }
}
