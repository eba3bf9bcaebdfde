/** <studio-wide-dialog>: the shared dialog with room for a form and what comes of it, side by side. */

import { css } from "lit";
import { customElement } from "lit/decorators.js";
import { Dialog } from "../ui/dialog";

@customElement("studio-wide-dialog")
export class WideDialog extends Dialog {
  static override styles = [
    ...Dialog.styles,
    css`
      @media (min-width: 521px) {
        dialog {
          width: min(940px, calc(100vw - 32px));
          max-height: min(92dvh, 900px);
        }
      }
      @media (max-width: 520px) {
        dialog {
          max-height: 94dvh;
        }
        .head {
          padding-left: 16px;
        }
        .body {
          padding: 16px;
        }
      }
    `,
  ];
}
