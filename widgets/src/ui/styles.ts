// Shared styles as constructable stylesheets, made once and adopted by every shadow root.

import { unsafeCSS, type CSSResult } from "lit";
import tokens from "../../styles/tokens.css";
import base from "../../styles/base.css";

export const tokenStyles: CSSResult = unsafeCSS(tokens);
export const baseStyles: CSSResult = unsafeCSS(base);
