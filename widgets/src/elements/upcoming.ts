// <ls-countdown> and <ls-remind>: the time before the show, in the viewer's own time zone.

import { html, css, nothing, type TemplateResult } from "lit";
import { state } from "lit/decorators.js";
import type { Reminder } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";

export class LsCountdown extends Part {
  static override styles = [
    baseStyles,
    css`
      :host {
        display: grid;
        gap: 10px;
        justify-items: start;
        color: #fff;
      }
      .label {
        font-size: var(--ls-text-sm);
        font-weight: 600;
        color: var(--ls-on-dark-2);
      }
      .units {
        display: flex;
        gap: 8px;
      }
      .units span {
        min-width: 62px;
        padding: 9px 8px 8px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-glass);
        backdrop-filter: blur(14px);
        text-align: center;
        font-size: 11px;
        color: var(--ls-on-dark-2);
      }
      .units b {
        display: block;
        font-size: 26px;
        line-height: 1.1;
        color: #fff;
        font-variant-numeric: tabular-nums;
        letter-spacing: -0.02em;
      }
      .when {
        font-size: var(--ls-text-md);
      }
      @container stage (max-width: 600px) {
        .units span {
          min-width: 52px;
          padding: 6px;
        }
        .units b {
          font-size: 20px;
        }
        .when {
          font-size: var(--ls-text-sm);
        }
      }
    `,
  ];

  protected override render(): TemplateResult | typeof nothing {
    const at = this.session.room.state?.show.starts_at;
    if (!at) return html`<span class="label">${this.t("upcoming.soon")}</span>`;
    const left = this.secondsLeft(at);
    const when = this.session.i18n.date(at, {
      weekday: "long",
      day: "numeric",
      month: "long",
      hour: "numeric",
      minute: "2-digit",
      timeZoneName: "short",
    });
    if (left <= 0) return html`<span class="label">${this.t("upcoming.any_moment")}</span><span class="when">${when}</span>`;
    const units: [string, number][] = [
      ["day", Math.floor(left / 86400)],
      ["hour", Math.floor(left / 3600) % 24],
      ["minute", Math.floor(left / 60) % 60],
      ["second", left % 60],
    ];
    const shown = units[0]![1] > 0 ? units : units.slice(1);
    return html`<span class="label">${this.t("upcoming.starts_in")}</span>
      <span class="units" role="timer" aria-label=${when}>
        ${shown.map(([unit, n]) => html`<span><b>${String(n).padStart(2, "0")}</b>${this.t(`upcoming.${unit}`, { count: n })}</span>`)}
      </span>
      <time class="when" datetime=${at}>${when}</time>`;
  }
}

export class LsRemind extends Part {
  @state() private email = "";
  @state() private consent = false;
  @state() private problem = "";
  @state() private busy = false;
  @state() private done = false;

  static override styles = [
    baseStyles,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      form {
        display: grid;
        gap: 4px;
      }
      .row {
        display: flex;
        gap: 8px;
      }
      .row .input {
        flex: 1;
        min-width: 0;
      }
      .row .btn {
        min-height: 46px;
      }
      .consent {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 44px;
        font-size: var(--ls-text-sm);
        line-height: 1.35;
        color: var(--ls-ink-2);
        cursor: pointer;
      }
      .consent input {
        width: 20px;
        height: 20px;
        margin: 0;
        flex: none;
        accent-color: var(--ls-accent);
      }
      .second {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 16px;
      }
      .calendar {
        flex: none;
      }
      .done {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 8px 12px;
      }
      .calendar {
        font-size: var(--ls-text-sm);
        color: var(--ls-accent);
        font-weight: 600;
        display: inline-flex;
        align-items: center;
        gap: 6px;
        min-height: 44px;
        text-underline-offset: 3px;
      }
    `,
  ];

  private async submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.busy) return;
    if (!/^[^\s@]+@[^\s@]+\.[^\s@]{2,}$/.test(this.email.trim())) {
      this.problem = this.t("checkout.bad.email");
      this.renderRoot.querySelector<HTMLInputElement>("[type=email]")?.focus();
      return;
    }
    if (!this.consent) {
      this.problem = this.t("upcoming.consent_needed");
      this.renderRoot.querySelector<HTMLInputElement>("[type=checkbox]")?.focus();
      return;
    }
    this.busy = true;
    this.problem = "";
    try {
      await this.session.api.post<Reminder>(`/api/shows/${this.session.showId}/reminders`, {
        email: this.email.trim(),
        language: this.session.i18n.lang.split("-")[0],
        consent: true,
      });
      this.done = true;
      this.session.track("reminder");
    } catch (error) {
      this.problem = this.session.words(error);
    } finally {
      this.busy = false;
    }
  }

  private calendar(): TemplateResult {
    const href = `${this.session.api.base}/api/shows/${this.session.showId}/calendar.ics`;
    return html`<a class="calendar" href=${href}>${icon("calendar")}${this.t("upcoming.calendar")}</a>`;
  }

  protected override render(): TemplateResult {
    if (this.done) {
      return html`<div class="done" role="status">
        <span class="note note-good">${icon("check")}${this.t("upcoming.reminded", { email: this.email.trim() })}</span>
        ${this.calendar()}
      </div>`;
    }
    // The operator has no way to send mail: only the calendar then.
    if (this.session.shop?.reminders === false) return this.calendar();
    return html`<form novalidate @submit=${this.submit}>
      <div class="row">
        <input
          class="input"
          type="email"
          name="email"
          autocomplete="email"
          data-testid="remind-email"
          placeholder=${this.t("upcoming.email")}
          aria-label=${this.t("upcoming.email")}
          aria-invalid=${this.problem && !this.consent ? nothing : this.problem ? "true" : nothing}
          .value=${this.email}
          @input=${(event: Event) => (this.email = (event.target as HTMLInputElement).value)}
        />
        <button class="btn btn-primary" data-testid="remind-submit" ?disabled=${this.busy}>${icon("bell")}${this.t("upcoming.remind")}</button>
      </div>
      <div class="second"><label class="consent">
        <input
          type="checkbox"
          name="consent"
          data-testid="remind-consent"
          .checked=${this.consent}
          @change=${(event: Event) => (this.consent = (event.target as HTMLInputElement).checked)}
        />
        <span>${this.t("upcoming.consent")}</span>
      </label>
      ${this.calendar()}</div>
      <div role="status">${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}</div>
    </form>`;
  }
}

define("ls-countdown", LsCountdown);
define("ls-remind", LsRemind);

declare global {
  interface HTMLElementTagNameMap {
    "ls-countdown": LsCountdown;
    "ls-remind": LsRemind;
  }
}
