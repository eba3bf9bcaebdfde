/**
 * The frame around studio and desk: session, sign-in, top bar, toasts, questions, and the screen the hash names.
 * Routes live in the hash, so the server serves one page and a reload keeps the place.
 */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { I18n } from "../state/i18n";
import type { Shop } from "../wire.gen";
import "../ui/dialog";
import { icon, type IconName, mark } from "./icons";
import { StaffSession } from "./session";
import "./sign-in";
import { explain, failure, type App, type Question, type ToastKind } from "./view";
import { wordsFor } from "./words";

const TOAST_MS = 6_000;
const TOAST_BAD_MS = 12_000;

export interface Place {
  hash: string;
  label: string;
  icon: IconName;
  /** Any one of these is enough. */
  permissions: string[];
}

interface Toast {
  id: number;
  text: string;
  kind: ToastKind;
}

interface Asked extends Question {
  resolve: (answer: string | null) => void;
}

export abstract class Shell extends LitElement {
  @property({ attribute: "shop-name" }) shopName = "";
  @property({ type: Boolean }) demo = false;

  @state() private stage: "starting" | "signed-out" | "signed-in" | "failed" = "starting";
  @state() protected path: string[] = [];
  @state() private toasts: Toast[] = [];
  @state() private asked: Asked | null = null;

  protected words!: I18n;
  protected app: App | null = null;
  private readonly session = new StaffSession();
  private failure = "";
  private lastToast = 0;
  private opener: Element | null = null;

  /** "studio" or "desk": names the words and the styles. */
  protected abstract readonly house: "studio" | "desk";
  protected abstract places(): Place[];
  protected abstract screen(app: App, path: string[]): TemplateResult;
  /** The place that is current, as its hash. */
  protected abstract current(path: string[]): string;

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.words = wordsFor(this.lang);
    this.path = readPath();
    this.session.auth.onSignedOut = () => this.signedOut();
    addEventListener("hashchange", this.moved);
    void this.start();
  }

  override disconnectedCallback(): void {
    removeEventListener("hashchange", this.moved);
    super.disconnectedCallback();
  }

  private async start(): Promise<void> {
    this.stage = "starting";
    try {
      if (await this.session.restore()) await this.enter();
      else this.stage = "signed-out";
    } catch (error) {
      this.failure = explain(error, this.words);
      this.stage = "failed";
    }
  }

  private async enter(): Promise<void> {
    const staff = this.session.staff;
    if (!staff) return;
    const shop = await this.session.api.get<Shop>("/api/shop");
    this.app = {
      api: this.session.api,
      words: this.words,
      staff,
      shop,
      can: (permission) => staff.permissions.includes(permission),
      toast: (text, kind = "info") => this.toast(text, kind),
      ask: (question) => this.ask(question),
    };
    this.stage = "signed-in";
  }

  private signedOut(): void {
    if (this.stage !== "signed-in") return;
    this.session.forget();
    this.app = null;
    this.stage = "signed-out";
    this.toast(this.words.t("studio.signed_out"), "info");
  }

  private async leave(): Promise<void> {
    try {
      await this.session.signOut();
    } catch (error) {
      this.toast(explain(error, this.words), "bad");
      return;
    }
    this.app = null;
    this.stage = "signed-out";
  }

  private readonly moved = (): void => {
    this.path = readPath();
    void this.updateComplete.then(() => {
      scrollTo(0, 0);
      this.querySelector<HTMLElement>("#main")?.focus({ preventScroll: true });
    });
  };

  private toast(text: string, kind: ToastKind): void {
    const id = ++this.lastToast;
    this.toasts = [...this.toasts.slice(-3), { id, text, kind }];
    setTimeout(() => this.dismiss(id), kind === "bad" ? TOAST_BAD_MS : TOAST_MS);
  }

  private dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  private ask(question: Question): Promise<string | null> {
    this.asked?.resolve(null);
    this.opener = document.activeElement;
    return new Promise((resolve) => {
      this.asked = { ...question, resolve };
    });
  }

  private answer(answer: string | null): void {
    const asked = this.asked;
    this.asked = null;
    asked?.resolve(answer);
    if (this.opener instanceof HTMLElement && this.opener.isConnected) this.opener.focus();
  }

  protected override render(): TemplateResult {
    return html`${this.stageView()}
      <div class="toasts" role="status" aria-live="polite">
        ${repeat(
          this.toasts,
          (toast) => toast.id,
          (toast) => html`<div class="toast toast-${toast.kind}" data-testid="toast">
            ${icon(toast.kind === "bad" ? "warn" : toast.kind === "good" ? "check" : "chat")}
            <span>${toast.text}</span>
            <button class="icon-btn" aria-label=${this.words.t("studio.dismiss")} @click=${() => this.dismiss(toast.id)}>${icon("close")}</button>
          </div>`,
        )}
      </div>
      ${this.asked ? this.questionView(this.asked) : nothing}`;
  }

  private stageView(): TemplateResult {
    switch (this.stage) {
      case "starting":
        return html`<div class="starting" role="status"><span class="spinner" aria-hidden="true"></span>
          <span class="sr-only">${this.words.t("studio.loading")}</span></div>`;
      case "failed":
        return html`<main class="starting">${failure(this.failure, this.words.t("studio.try_again"), () => void this.start())}</main>`;
      case "signed-out":
        return html`<studio-sign-in .words=${this.words} .session=${this.session} .house=${this.house}
          .shopName=${this.shopName} @signed-in=${() => void this.enterOrFail()}></studio-sign-in>`;
      case "signed-in":
        return this.app ? this.frame(this.app) : html``;
    }
  }

  private async enterOrFail(): Promise<void> {
    try {
      await this.enter();
    } catch (error) {
      this.failure = explain(error, this.words);
      this.stage = "failed";
    }
  }

  private frame(app: App): TemplateResult {
    const t = app.words.t;
    const places = this.places().filter((place) => place.permissions.some((permission) => app.can(permission)));
    const current = this.current(this.path);
    const other = this.house === "studio" ? "desk" : "studio";
    return html`
      <button class="skip btn btn-primary" @click=${() => this.querySelector<HTMLElement>("#main")?.focus()}>${t("page.skip")}</button>
      <header class="bar">
        <a class="brand" href="#/" aria-label="${this.shopName} ${t(`page.nav_${this.house}`)}">${mark()}<span class="brand-name">${this.shopName}</span>
          <span class="brand-house">${t(`page.nav_${this.house}`)}</span></a>
        ${this.demo ? html`<span class="badge">${t("page.demo")}</span>` : nothing}
        <span class="bar-gap"></span>
        <a class="bar-link" href="/${other}">${icon(other === "desk" ? "box" : "video")}<span>${t(`page.nav_${other}`)}</span></a>
        <span class="who" title=${app.staff.email}><span class="who-initials" aria-hidden="true">${initials(app.staff.name)}</span><span class="who-name">${app.staff.name}</span></span>
        <button class="icon-btn" data-testid="sign-out" aria-label=${t("studio.sign_out")} title=${t("studio.sign_out")}
          @click=${() => void this.leave()}>${icon("out")}</button>
      </header>
      ${places.length > 1
        ? html`<nav class="places" aria-label=${t("page.nav")}>
            ${places.map(
              (place) => html`<a href=${place.hash} aria-current=${place.hash === current ? "page" : nothing}>
                ${icon(place.icon)}<span>${t(place.label)}</span></a>`,
            )}
          </nav>`
        : nothing}
      <main id="main" class="screen" tabindex="-1">
        ${places.length > 0
          ? this.screen(app, this.path)
          : html`<div class="empty"><h1>${t("studio.no_access")}</h1><p>${t("studio.no_access_hint")}</p>
              <a class="btn" href="/${other}">${t(`page.nav_${other}`)}</a></div>`}
      </main>`;
  }

  private questionView(asked: Asked): TemplateResult {
    const answer = (event: Event): void => {
      event.preventDefault();
      const chosen = new FormData(event.currentTarget as HTMLFormElement).get("choice");
      this.answer(typeof chosen === "string" ? chosen : "");
    };
    return html`<ls-dialog .open=${true} .label=${asked.title} .closeLabel=${this.words.t("studio.cancel")}
      @ls-close=${() => this.answer(null)}>
      <form class="question" @submit=${answer}>
        <p>${asked.text}</p>
        ${asked.choices
          ? html`<fieldset class="choices"><legend class="sr-only">${asked.title}</legend>
              ${asked.choices.map(
                (choice, index) => html`<label class="choice"><input type="radio" name="choice" value=${choice.value} ?checked=${index === 0} />
                  <span>${choice.label}</span></label>`,
              )}</fieldset>`
          : nothing}
        <div class="actions">
          <button type="button" class="btn" @click=${() => this.answer(null)}>${this.words.t("studio.cancel")}</button>
          <button class="btn ${asked.danger ? "btn-danger" : "btn-primary"}" data-testid="confirm" autofocus>${asked.yes}</button>
        </div>
      </form>
    </ls-dialog>`;
  }
}

function initials(name: string): string {
  const parts = name.trim().split(/\s+/);
  return ((parts[0]?.[0] ?? "") + (parts.length > 1 ? (parts.at(-1)?.[0] ?? "") : "")).toUpperCase();
}

function readPath(): string[] {
  return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
}
