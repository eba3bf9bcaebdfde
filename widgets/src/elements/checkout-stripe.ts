// One set of Stripe's fields for each player: what was typed in the checkout is confirmed in the payment sheet.

import { StripeFields } from "../state/stripe";
import type { Session } from "../state/session";

const known = new WeakMap<Session, StripeFields>();

/** `by` is a sheet of the player. */
export function fieldsOf(session: Session, by: HTMLElement): StripeFields {
  let fields = known.get(session);
  if (!fields) {
    const player = (by.getRootNode() as ShadowRoot).host as HTMLElement;
    fields = new StripeFields(session.host, session.i18n.lang, player);
    known.set(session, fields);
  }
  return fields;
}
