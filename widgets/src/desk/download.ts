/** Files the server makes: fetched, so that a refusal is told in words instead of being saved. */

import { ApiProblem } from "../state/api";
import type { Problem } from "../wire.gen";

export async function download(path: string, name: string): Promise<void> {
  const response = await fetch(path, { credentials: "same-origin" }).catch(() => {
    throw new ApiProblem(0, "unreachable", "The server could not be reached.", {}, null);
  });
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
    throw new ApiProblem(response.status, problem.code ?? `http_${response.status}`, problem.detail ?? response.statusText, problem.data ?? {}, null);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  // The browser reads the address when it saves, which is after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
