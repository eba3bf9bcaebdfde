/**
 * A mail as its reader sees it, in a frame that runs no script and has no forms.
 * The frame inherits the page's policy, which knows no inline styles: they are taken out of the text and set through the
 * object model, where the policy allows what this page itself does.
 */

import { html, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { LoadingView } from "../studio/view";
import "../studio/wide-dialog";
import type { MailText } from "../wire.gen";
import { mailNote } from "./mails";

const STYLE = /<style[^>]*>([\s\S]*?)<\/style>/gi;
const STYLE_ATTRIBUTE = /(<[a-z][^<>]*?)\sstyle="/gi;

/** Fires "ls-close". */
@customElement("desk-mail-dialog")
export class MailDialog extends LoadingView<MailText> {
  @property() mailId = "";
  @property() subject = "";

  protected override fetch(): Promise<MailText> {
    return this.app.api.get<MailText>(`/api/mails/${encodeURIComponent(this.mailId)}`);
  }

  protected override render(): TemplateResult {
    return html`<studio-wide-dialog .open=${true} .label=${this.subject} .closeLabel=${this.t("studio.close")} @ls-close=${() => this.dispatchEvent(new CustomEvent("ls-close"))}>
      ${super.render()}</studio-wide-dialog>`;
  }

  protected override ready({ mail, text, html: page }: MailText): TemplateResult {
    return html`<div class="stack" data-testid="mail">
      <p class="quiet">${this.t("mails.to", { recipient: mail.recipient })}</p>${mailNote(mail, this.app.words)}
      ${page === null
        ? html`<pre class="mail-text">${text}</pre>`
        : html`<iframe class="mail-page" title=${mail.subject} sandbox="allow-same-origin" data-testid="mail-page" srcdoc=${bare(page)}
              @load=${(event: Event) => dress(event.currentTarget as HTMLIFrameElement, page)}></iframe>
            <details class="more"><summary>${this.t("mails.as_text")}</summary><pre class="mail-text" tabindex="0">${text}</pre></details>`}
    </div>`;
  }
}

function bare(page: string): string {
  let told = page.replace(STYLE, "");
  // A tag may have attributes before its style: once more until there is none.
  for (let before = ""; before !== told; ) {
    before = told;
    told = told.replace(STYLE_ATTRIBUTE, '$1 data-style="');
  }
  return told;
}

function dress(frame: HTMLIFrameElement, page: string): void {
  const { contentDocument: inside, contentWindow: view } = frame;
  if (!inside || !view) return;
  const Sheet = (view as Window & typeof globalThis).CSSStyleSheet;
  inside.adoptedStyleSheets = [...page.matchAll(STYLE)].map(([, rules]) => {
    const sheet = new Sheet();
    sheet.replaceSync(rules ?? "");
    return sheet;
  });
  for (const styled of inside.querySelectorAll<HTMLElement>("[data-style]")) styled.style.cssText = styled.dataset["style"] ?? "";
  frame.style.height = `${inside.documentElement.scrollHeight + 2}px`;
}
