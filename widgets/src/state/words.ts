// What the server refused, in the viewer's words.

import { ApiProblem } from "./api";
import type { I18n, Params } from "./i18n";

/** Which figure of a problem decides between singular and plural. */
const COUNTED: Record<string, string> = { out_of_stock: "available", limit_per_customer: "max" };

export function problemWords(error: unknown, i18n: I18n): string {
  if (!(error instanceof ApiProblem)) return error instanceof Error && error.message ? error.message : i18n.t("error.unknown");
  const key = error.unreachable ? "error.unreachable" : error.status === 429 ? "error.rate_limited" : keyOf(error);
  return i18n.has(key) ? i18n.t(key, paramsOf(error)) : error.detail || i18n.t("error.unknown");
}

function keyOf({ code, data }: ApiProblem): string {
  if (code === "code_not_valid") return `cart.code_reason.${String(data["reason"])}`;
  if (code === "out_of_stock" && data["available"] === 0) return "error.sold_out";
  if (code === "limit_per_customer" && Number(data["bought"]) > 0) return "error.limit_bought";
  return `error.${code}`;
}

function paramsOf(problem: ApiProblem): Params {
  const params: Params = {};
  for (const [name, value] of Object.entries(problem.data)) {
    if (typeof value === "number" || typeof value === "string") params[name] = value;
  }
  const count = problem.status === 429 ? problem.retryAfter && Math.ceil(problem.retryAfter) : params[COUNTED[problem.code] ?? ""];
  if (typeof count === "number") params["count"] = count;
  return params;
}
