// <ls-rehearsal>: says that the show is only practised, for as long as it is; fetched by those who were invited.

import { css, html, type TemplateResult } from "lit";
import de from "../../locales/rehearsal.de.json";
import en from "../../locales/rehearsal.en.json";
import { baseStyles } from "../ui/styles";
import { Part, define } from "./part";

export class LsRehearsal extends Part {
  static override styles = [
    baseStyles,
    css`
      p {
        margin: 0;
        padding: 6px 12px;
        border-radius: 999px;
        background: #ffd166;
        color: #1d1a10;
        font-size: 13px;
        line-height: 1.3;
      }
      p.over {
        padding: 16px;
        border-radius: 12px;
        text-align: center;
        font-size: 16px;
      }
    `,
  ];

  protected override render(): TemplateResult {
    const words = this.session.language === "de" ? de : en;
    if (this.session.room.status === "closed") {
      return html`<p class="over" role="alert" data-testid="rehearsal-over"><b>${words["rehearsal.over"]}</b><br />${words["rehearsal.over_text"]}</p>`;
    }
    return html`<p data-testid="rehearsal-mark"><b>${words["rehearsal"]}.</b> ${words["rehearsal.text"]}</p>`;
  }
}

define("ls-rehearsal", LsRehearsal);
