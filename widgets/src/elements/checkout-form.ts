// What a buyer types about himself: kept for this tab, taken over from his last order, checked before it is sent.

import type { Address, KnownBuyer } from "../wire.gen";
import { storageOrNull } from "../state/api";
import { FIELDS, wrongWith, type Field } from "./checkout-fields";

export type Values = Record<Field, string>;

const EMPTY: Values = { email: "", name: "", line1: "", line2: "", postal_code: "", city: "" };
/** Who collects says who he is. */
const FOR_PICKUP: readonly Field[] = ["email", "name"];

export interface Typed {
  values: Values;
  country: string;
}

const storage = storageOrNull(() => sessionStorage);

function slotOf(base: string): string {
  return `liveshop:form:${new URL(base, location.href).host}`;
}

/** Survives a reload in this tab; card numbers are never kept. */
export function keepForm(base: string, typed: Typed): void {
  try {
    storage?.setItem(slotOf(base), JSON.stringify(typed));
  } catch {
    // Then it has to be typed again.
  }
}

/** What was typed in this tab, else what the last order said, else nothing. */
export function recallForm(base: string, buyer: KnownBuyer | null): Typed {
  try {
    const kept = JSON.parse(storage?.getItem(slotOf(base)) ?? "null") as Typed | null;
    if (kept?.values.email) return { values: { ...EMPTY, ...kept.values }, country: kept.country };
  } catch {
    // Written by an older version.
  }
  const address = buyer?.address;
  const values = { ...EMPTY, ...(address ? fromAddress(address) : {}), email: buyer?.email ?? "" };
  return { values, country: address?.country ?? "" };
}

function fromAddress({ name, line1, line2, postal_code, city }: Address): Partial<Values> {
  return { name, line1: line1 ?? "", line2: line2 ?? "", postal_code: postal_code ?? "", city: city ?? "" };
}

export function fieldsFor(isPickup: boolean): readonly Field[] {
  return isPickup ? FOR_PICKUP : FIELDS;
}

export function addressOf(values: Values, country: string, isPickup: boolean): Address {
  const text = (field: Field): string => values[field].trim();
  if (isPickup) return { name: text("name"), country };
  return {
    name: text("name"),
    line1: text("line1"),
    line2: text("line2") || null,
    postal_code: text("postal_code"),
    city: text("city"),
    country,
  };
}

/** The keys of the words for what is wrong, by field. */
export function wrongOf({ values, country }: Typed, isPickup: boolean): Partial<Record<Field, string>> {
  const wrong: Partial<Record<Field, string>> = {};
  for (const field of fieldsFor(isPickup)) {
    const key = wrongWith(field, values[field].trim(), country);
    if (key) wrong[field] = key;
  }
  return wrong;
}
