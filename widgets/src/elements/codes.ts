// <ls-codes>: the codes in the cart, what each does not do and why, and a field for one more.

import { html, css, nothing, type TemplateResult } from "lit";
import { query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { CartCode } from "../wire.gen";
import { baseStyles } from "../ui/styles";
import { icon } from "../ui/icon";
import { Part, define } from "./part";

export class LsCodes extends Part {
  @state() private open = false;
  @state() private typed = "";
  @state() private problem = "";
  @state() private busy = false;
  @query("input") private field!: HTMLInputElement | null;

  static override styles = [
    baseStyles,
    css`
      :host {
        display: block;
        padding: 4px 20px 8px;
        border-top: 1px solid var(--ls-line);
      }
      ul {
        display: grid;
        gap: 6px;
        padding: 8px 0 4px;
      }
      li {
        display: flex;
        align-items: center;
        gap: 10px;
        padding-left: 12px;
        border-radius: var(--ls-radius-md);
        background: var(--ls-good-soft);
        font-size: var(--ls-text-sm);
        line-height: 1.35;
      }
      li.idle {
        background: var(--ls-surface-2);
      }
      li > .icon {
        color: var(--ls-good);
        font-size: 15px;
      }
      li.idle > .icon {
        color: var(--ls-ink-3);
      }
      li > span {
        flex: 1;
        min-width: 0;
        padding: 6px 0;
      }
      b {
        font-weight: 650;
        letter-spacing: 0.02em;
        text-transform: uppercase;
        overflow-wrap: anywhere;
      }
      small {
        display: block;
        font-size: inherit;
        color: var(--ls-ink-2);
      }
      .link {
        font-size: var(--ls-text-sm);
        margin-left: -4px;
      }
      form {
        display: grid;
        gap: 6px;
        padding: 8px 0;
      }
      label {
        font-size: var(--ls-text-sm);
        font-weight: 600;
        color: var(--ls-ink-2);
      }
      .row {
        display: flex;
        gap: 8px;
      }
      .input {
        flex: 1;
        min-width: 0;
        text-transform: uppercase;
      }
      .row .btn {
        min-height: 46px;
      }
    `,
  ];

  private async show(): Promise<void> {
    this.open = true;
    await this.updateComplete;
    this.field?.focus();
  }

  private async act(work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = "";
    try {
      await work();
      return true;
    } catch (error) {
      this.problem = this.session.words(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  private async submit(event: Event): Promise<void> {
    event.preventDefault();
    const code = this.typed.trim();
    if (!code) {
      this.problem = this.t("cart.code_missing");
    } else if (await this.act(() => this.session.cart.enterCode(code))) {
      this.typed = "";
      this.session.track("code");
    }
    await this.updateComplete;
    this.field?.focus();
  }

  private async drop(code: string): Promise<void> {
    if (!(await this.act(() => this.session.cart.removeCode(code)))) return;
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>("input, .link")?.focus();
  }

  private one({ code, reason }: CartCode): TemplateResult {
    const { t } = this.session.i18n;
    return html`<li class=${reason ? "idle" : ""} data-testid="cart-code">
      ${icon(reason ? "info" : "tag")}<span
        ><b>${code}</b>${reason ? html`<small data-testid="code-reason">${t(`cart.code_reason.${reason}`)}</small>` : nothing}</span
      ><button
        class="icon-btn"
        data-testid="code-remove"
        aria-label=${t("cart.code_remove", { code })}
        ?disabled=${this.busy}
        @click=${() => this.drop(code)}
      >
        ${icon("close")}
      </button>
    </li>`;
  }

  protected override render(): TemplateResult {
    const { t } = this.session.i18n;
    const codes = this.session.cart.cart?.codes ?? [];
    return html`${codes.length > 0
        ? html`<ul aria-label=${t("cart.codes")}>
            ${repeat(
              codes,
              ({ code }) => code,
              (code) => this.one(code),
            )}
          </ul>`
        : nothing}
      ${this.open
        ? html`<form novalidate @submit=${this.submit}>
            <label for="code">${t("cart.code")}</label>
            <div class="row">
              <input
                class="input"
                id="code"
                name="code"
                data-testid="code-input"
                maxlength="60"
                autocomplete="off"
                autocapitalize="characters"
                spellcheck="false"
                enterkeyhint="done"
                aria-invalid=${this.problem ? "true" : nothing}
                aria-describedby="code-problem"
                .value=${this.typed}
                @input=${(event: Event) => (this.typed = (event.target as HTMLInputElement).value)}
              />
              <button class="btn btn-outline" data-testid="code-apply" ?disabled=${this.busy}>${t("cart.code_apply")}</button>
            </div>
          </form>`
        : html`<button class="link" data-testid="code-open" @click=${this.show}>${t("cart.code_question")}</button>`}
      <div role="status" id="code-problem" data-testid="code-problem">
        ${this.problem ? html`<p class="error">${this.problem}</p>` : nothing}
      </div>`;
  }
}

define("ls-codes", LsCodes);

declare global {
  interface HTMLElementTagNameMap {
    "ls-codes": LsCodes;
  }
}
