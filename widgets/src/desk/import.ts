/** Bringing products in from a file, with every row that could not be taken. */

import { html, nothing, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { icon } from "../studio/icons";
import { explain, View } from "../studio/view";

/** Twenty thousand rows take a minute; a slow disk takes longer. */
const IMPORT_WITHIN_MS = 900_000;

type Format = "google_csv" | "google_xml" | "ndjson";

const MEDIA_TYPES: Record<Format, string> = {
  google_csv: "text/csv",
  google_xml: "application/xml",
  ndjson: "application/x-ndjson",
};

function formatOf(name: string): Format {
  if (/\.(ndjson|jsonl|json)$/i.test(name)) return "ndjson";
  return /\.xml$/i.test(name) ? "google_xml" : "google_csv";
}

interface ImportReport {
  rows: number;
  products_created: number;
  products_updated: number;
  unchanged: number;
  failed: number;
  problems: { line: number; source_id: string | null; reason: string }[];
  problems_total: number;
}

@customElement("desk-import")
export class Import extends View {
  @state() private file: File | null = null;
  @state() private format: Format = "google_csv";
  @state() private busy = false;
  @state() private why = "";
  @state() private report: ImportReport | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.t("desk.import")} · ${this.app.shop.name}`;
  }

  private chosen(event: Event): void {
    this.file = (event.target as HTMLInputElement).files?.[0] ?? null;
    this.report = null;
    this.why = "";
    if (this.file) this.format = formatOf(this.file.name);
  }

  private async run(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    if (!this.file) {
      this.why = this.t("desk.import_no_file");
      return;
    }
    this.busy = true;
    this.why = "";
    this.report = null;
    try {
      this.report = await this.app.api.post<ImportReport>(`/api/imports?format=${this.format}`, this.file, {
        raw: true,
        headers: { "Content-Type": MEDIA_TYPES[this.format] },
        signal: AbortSignal.timeout(IMPORT_WITHIN_MS),
      });
    } catch (error) {
      this.why = explain(error, this.app.words);
    } finally {
      this.busy = false;
    }
  }

  protected override render(): TemplateResult {
    const { words } = this.app;
    return html`<div class="page-bar"><h1>${this.t("desk.import")}</h1></div>
      <form class="card import" @submit=${(event: Event) => void this.run(event)}>
        <p class="quiet">${this.t("desk.import_lead")}</p>
        <div class="drop">
          ${icon("upload")}
          <p>${this.file ? html`<strong>${this.file.name}</strong> <span class="quiet">${sizeWords(this.file.size, words.lang)}</span>` : this.t("desk.import_choose_hint")}</p>
          <span class="file btn btn-outline"><span>${this.t(this.file ? "desk.import_choose_other" : "desk.import_choose")}</span>
            <input type="file" accept=".csv,.tsv,.txt,.xml,.ndjson,.jsonl,.json,text/csv,application/xml,application/x-ndjson" data-testid="import-file" aria-label=${this.t("desk.import_choose")}
              ?disabled=${this.busy} @change=${(event: Event) => this.chosen(event)} /></span>
        </div>
        <fieldset class="field"><legend>${this.t("desk.import_format")}</legend>
          <div class="checks">${(["google_csv", "google_xml", "ndjson"] as const).map(
            (format) => html`<label class="check"><input type="radio" name="format" value=${format} .checked=${this.format === format}
              @change=${() => (this.format = format)} /><span>${this.t(`desk.import_${format}`)}</span></label>`,
          )}</div></fieldset>
        <div role="alert">${this.why ? html`<p class="problem">${icon("warn")}<span>${this.why}</span></p>` : nothing}</div>
        <button class="btn btn-primary" data-testid="import-run" ?disabled=${this.busy}>
          ${this.busy ? html`<span class="spinner" aria-hidden="true"></span>${this.t("desk.import_busy")}` : this.t("desk.import_run")}</button>
        ${this.busy ? html`<p class="hint" role="status">${this.t("desk.import_wait")}</p>` : nothing}
      </form>
      ${this.report ? this.reportView(this.report) : nothing}`;
  }

  private reportView(report: ImportReport): TemplateResult {
    const figures: [string, number][] = [
      ["rows", report.rows],
      ["created", report.products_created],
      ["updated", report.products_updated],
      ["unchanged", report.unchanged],
      ["failed", report.failed],
    ];
    return html`<section class="card" aria-labelledby="report-title" data-testid="import-report">
      <div role="status"><h2 id="report-title">${this.t(report.failed > 0 ? "desk.report_partly" : "desk.report_good")}</h2></div>
      <dl class="figures figures-row">${figures.map(
        ([key, value]) => html`<div class="figure ${key === "failed" && value > 0 ? "figure-bad" : ""}"><dt>${this.t(`desk.report_${key}`)}</dt><dd data-testid="import-${key}">${this.app.words.number(value)}</dd></div>`,
      )}</dl>
      ${report.problems.length > 0
        ? html`<h3>${this.t("desk.problems")}</h3>
            <p class="quiet">${this.t("desk.problems_hint")} ${report.problems_total > report.problems.length ? this.t("desk.problems_first", { shown: report.problems.length, total: report.problems_total }) : nothing}</p>
            <div class="table-scroll table-tall" tabindex="0" role="region" aria-label=${this.t("desk.problems")}><table class="table">
              <thead><tr><th scope="col" class="num">${this.t("desk.line")}</th><th scope="col">${this.t("desk.source_id")}</th><th scope="col">${this.t("desk.reason")}</th></tr></thead>
              <tbody>${report.problems.map(
                (problem) => html`<tr><td class="num">${this.app.words.number(problem.line)}</td><td>${problem.source_id ? html`<code>${problem.source_id}</code>` : "–"}</td><td>${problem.reason}</td></tr>`,
              )}</tbody></table></div>`
        : nothing}
    </section>`;
  }
}

function sizeWords(bytes: number, lang: string): string {
  const [unit, value] = bytes >= 1_000_000 ? (["megabyte", bytes / 1_000_000] as const) : (["kilobyte", bytes / 1_000] as const);
  return new Intl.NumberFormat(lang, { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
}
