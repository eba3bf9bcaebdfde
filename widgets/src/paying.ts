// Everything from the checkout on, with its words: fetched when there is something to pay for, so that nobody waits for
// it then.

import de from "../locales/de.json";
import en from "../locales/en.json";
import payingDe from "../locales/paying.de.json";
import payingEn from "../locales/paying.en.json";
import "./elements/checkout";
import "./elements/done";
import "./elements/payment";

Object.assign(en, payingEn);
Object.assign(de, payingDe);
