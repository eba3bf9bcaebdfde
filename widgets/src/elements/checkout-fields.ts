// The fields of an address, and what can be wrong with them. Enough to catch a slip; the server has the last word.

export const FIELDS = ["email", "name", "line1", "line2", "postal_code", "city"] as const;
export type Field = (typeof FIELDS)[number];

export const AUTOCOMPLETE: Record<Field, string> = {
  email: "email",
  name: "shipping name",
  line1: "shipping address-line1",
  line2: "shipping address-line2",
  postal_code: "shipping postal-code",
  city: "shipping address-level2",
};

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]{2,}$/;
const POSTAL: Record<string, RegExp> = { DE: /^\d{5}$/, AT: /^\d{4}$/, CH: /^\d{4}$/, FR: /^\d{5}$/, US: /^\d{5}(-\d{4})?$/ };

/** The key of the words for what is wrong; null: nothing. */
export function wrongWith(field: Field, value: string, country: string): string | null {
  if (field === "line2") return null;
  if (!value) return `checkout.missing.${field}`;
  if (field === "email" && !EMAIL.test(value)) return "checkout.bad.email";
  if (field === "postal_code" && POSTAL[country]?.test(value) === false) return "checkout.bad.postal_code";
  return null;
}
