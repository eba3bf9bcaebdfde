/** How long this person's camera and encoder take, so that a product appears when its name is said. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { RoomClient } from "../state/room";
import type { EncoderDelay, Show } from "../wire.gen";
import { inputField } from "./fields";
import { icon } from "./icons";
import "./measure-delay";
import { canMonitor } from "./monitor-socket";
import type { VideoWatch } from "./video-watch";
import { arrives } from "./video-words";
import { explain, failure, LoadingView } from "./view";

const PATH = "/api/encoder-delay";
const MOST_MS = 3_000;

@customElement("studio-encoder-delay")
export class EncoderDelayCard extends LoadingView<EncoderDelay> {
  @property({ attribute: false }) show!: Show;
  @property({ attribute: false }) room!: RoomClient;
  @property({ attribute: false }) watch!: VideoWatch;
  @state() private typed: string | null = null;
  @state() private why = "";
  @state() private busy = false;
  @state() private measuring = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.watch.addEventListener("change", this.redraw);
  }

  override disconnectedCallback(): void {
    this.watch.removeEventListener("change", this.redraw);
    super.disconnectedCallback();
  }

  private readonly redraw = (): void => this.requestUpdate();

  protected override fetch(): Promise<EncoderDelay> {
    return this.app.api.get<EncoderDelay>(PATH);
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    const text = (this.typed ?? "").trim();
    const milliseconds = Number(text);
    if (!/^\d+$/.test(text) || milliseconds > MOST_MS) {
      this.why = this.t("studio.delay_wrong", { most: MOST_MS });
      this.querySelector<HTMLElement>("#encoder-delay")?.focus();
      return;
    }
    if (this.busy) return;
    this.busy = true;
    try {
      this.saved(await this.app.api.put<EncoderDelay>(PATH, { milliseconds }));
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  private saved(delay: EncoderDelay): void {
    this.replace(delay);
    this.typed = null;
    this.why = "";
    this.app.toast(this.t("studio.delay_saved"), "good");
  }

  private done(event: CustomEvent<EncoderDelay | null>): void {
    this.measuring = false;
    if (event.detail) this.saved(event.detail);
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-testid=measure-delay]")?.focus());
  }

  protected override render(): TemplateResult {
    return html`<section class="stack" aria-labelledby="delay-title"><div><h3 id="delay-title">${this.t("studio.delay_title")}</h3>
        <p class="hint">${this.t("studio.delay_hint")}</p></div>
      ${this.loaded.kind === "ready"
        ? this.ready(this.loaded.value)
        : this.loaded.kind === "failed"
          ? failure(this.loaded.why, this.t("studio.try_again"), () => void this.load())
          : html`<p class="quiet" role="status">${this.t("studio.loading")}</p>`}</section>`;
  }

  protected override ready(delay: EncoderDelay): TemplateResult {
    const { health } = this.watch;
    const value = this.typed ?? (delay.set_at ? String(delay.milliseconds) : "");
    const changed = this.typed !== null && this.typed.trim() !== (delay.set_at ? String(delay.milliseconds) : "");
    const can = arrives(health) && canMonitor();
    return html`<form class="delay" novalidate @submit=${(event: Event) => void this.save(event)}>
        ${inputField({
          id: "encoder-delay",
          label: this.t("studio.delay_label"),
          value,
          mode: "numeric",
          max: 4,
          unit: this.t("studio.milliseconds_unit"),
          placeholder: "0",
          testid: "encoder-delay",
          why: this.why,
          change: (text) => {
            this.typed = text;
            this.why = "";
          },
        })}
        <div class="delay-acts">
          <button type="button" class="btn ${changed ? "" : "btn-primary"}" data-testid="measure-delay" ?disabled=${!can} aria-describedby=${can ? nothing : "measure-hint"}
            aria-haspopup="dialog" @click=${() => (this.measuring = true)}>${icon("clock")}${this.t("studio.delay_measure")}</button>
          ${changed ? html`<button class="btn btn-primary" data-testid="save-delay" ?disabled=${this.busy}>${this.t("studio.save")}</button>` : nothing}
        </div>
      </form>
      ${can ? nothing : html`<p class="hint" id="measure-hint">${this.t(arrives(health) ? "studio.delay_cannot" : "studio.delay_send_first")}</p>`}
      ${this.measuring
        ? html`<studio-measure-delay .app=${this.app} .showId=${this.show.id} .room=${this.room}
            @done=${(event: CustomEvent<EncoderDelay | null>) => this.done(event)}></studio-measure-delay>`
        : nothing}`;
  }
}
