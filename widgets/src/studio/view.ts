/**
 * What every screen of the studio and the desk stands on.
 * Screens render into the page itself, not into a shadow root: they are never embedded elsewhere, and one stylesheet,
 * one tab order and one place for labels and ids is worth more here than isolation.
 */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { icon } from "./icons";
import { ApiProblem, type Api } from "../state/api";
import { CommandFailed } from "../state/room";
import { formatMoney } from "../state/money";
import type { I18n, Params } from "../state/i18n";
import type { Money, Shop, Staff } from "../wire.gen";

export type ToastKind = "info" | "good" | "bad";

export interface Question {
  title: string;
  text: string;
  /** What the confirming button says: a verb, never "OK". */
  yes: string;
  danger?: boolean;
  /** One of these must be chosen; the answer is the chosen value. */
  choices?: { value: string; label: string }[];
}

/** What a screen needs of its surroundings. */
export interface App {
  readonly api: Api;
  readonly words: I18n;
  readonly staff: Staff;
  readonly shop: Shop;
  can(permission: string): boolean;
  toast(text: string, kind?: ToastKind): void;
  /** Null: the person stepped back. Without choices the answer is "". */
  ask(question: Question): Promise<string | null>;
}

export abstract class View extends LitElement {
  @property({ attribute: false }) app!: App;

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  protected t(key: string, params?: Params): string {
    return this.app.words.t(key, params);
  }

  protected money(value: Money): string {
    return formatMoney(value, this.app.words.lang);
  }

  /** Puts a text on the clipboard and says so. False: the browser did not allow it; it must be on the screen to be selected. */
  protected async copy(text: string): Promise<boolean> {
    try {
      await navigator.clipboard.writeText(text);
      this.app.toast(this.t("studio.copied"), "good");
      return true;
    } catch {
      // The clipboard needs a secure page and permission.
      this.app.toast(this.t("studio.copy_failed"), "bad");
      return false;
    }
  }

  /** Shows what went wrong as a toast: for acts whose place on the screen has no room for a sentence. */
  protected complain(error: unknown): void {
    this.app.toast(explain(error, this.app.words), "bad");
  }
}

export type Loaded<T> = { kind: "loading" } | { kind: "ready"; value: T } | { kind: "failed"; why: string };

/** A screen that shows one thing from the server, with its loading and error states. */
export abstract class LoadingView<T> extends View {
  @state() protected loaded: Loaded<T> = { kind: "loading" };
  private attempt = 0;

  protected abstract fetch(): Promise<T>;
  protected abstract ready(value: T): TemplateResult;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.load();
  }

  /** `quiet` keeps what is on the screen until the new answer is there. */
  protected async load(quiet = false): Promise<void> {
    const attempt = ++this.attempt;
    if (!quiet) this.loaded = { kind: "loading" };
    try {
      const value = await this.fetch();
      if (attempt === this.attempt) this.loaded = { kind: "ready", value };
    } catch (error) {
      if (attempt !== this.attempt) return;
      if (quiet && this.loaded.kind === "ready") this.complain(error);
      else this.loaded = { kind: "failed", why: explain(error, this.app.words) };
    }
  }

  protected replace(value: T): void {
    this.attempt += 1;
    this.loaded = { kind: "ready", value };
  }

  protected override render(): TemplateResult {
    switch (this.loaded.kind) {
      case "loading":
        return loadingRows(this.t("studio.loading"));
      case "failed":
        return failure(this.loaded.why, this.t("studio.try_again"), () => void this.load());
      case "ready":
        return this.ready(this.loaded.value);
    }
  }
}

/** An error in the reader's language where we know its code, in the server's words otherwise. */
export function explain(error: unknown, words: I18n): string {
  const said = (code: string, text: string, after: number | null): string => {
    const key = `studio.error.${code}`;
    const base = words.has(key) ? words.t(key) : text || words.t("studio.error.unknown");
    return after ? `${base} ${words.t("studio.error.wait", { count: Math.ceil(after) })}` : base;
  };
  if (error instanceof ApiProblem) {
    if (error.unreachable) return said("unreachable", error.detail, null);
    return said(error.code, error.detail, error.retryAfter);
  }
  if (error instanceof CommandFailed) {
    return said(error.error.code, error.error.message, error.error.retry_after);
  }
  return words.t("studio.error.unknown");
}

/** For fields that are there to be copied from: their focus takes all. */
export function selectAll(event: Event): void {
  (event.target as HTMLInputElement).select();
}

export function loadingRows(label: string): TemplateResult {
  return html`<div class="loading" role="status"><span class="sr-only">${label}</span>
    <span class="bone"></span><span class="bone"></span><span class="bone"></span></div>`;
}

export function failure(why: string, again: string, retry: () => void): TemplateResult {
  return html`<div class="failure" role="alert">${icon("warn")}<p>${why}</p>
    <button class="btn" @click=${retry}>${again}</button></div>`;
}

export function empty(title: string, hint: string, action: TemplateResult | typeof nothing = nothing): TemplateResult {
  return html`<div class="empty"><h2>${title}</h2><p>${hint}</p>${action}</div>`;
}
