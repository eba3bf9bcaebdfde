// Keyboard focus in shadow trees: what can take it, keeping it inside a sheet, giving it back.

const CANDIDATES =
  'a[href],button:not([disabled]),input:not([disabled]),select:not([disabled]),textarea:not([disabled]),[tabindex]:not([tabindex="-1"])';

/** Focusable elements in reading order, through open shadow roots and slots. */
export function focusables(root: Element | ShadowRoot): HTMLElement[] {
  const found: HTMLElement[] = [];
  const visit = (node: Element): void => {
    if (node instanceof HTMLElement) {
      if (node.hidden || node.inert) return;
      if (node.matches(CANDIDATES) && node.getClientRects().length > 0) found.push(node);
    }
    if (node instanceof HTMLSlotElement) {
      const assigned = node.assignedElements();
      for (const child of assigned.length > 0 ? assigned : node.children) visit(child);
      return;
    }
    for (const child of (node.shadowRoot ?? node).children) visit(child);
  };
  for (const child of root.children) visit(child);
  return found;
}

/** The element that really has the focus, however deep. */
export function deepActive(): HTMLElement | null {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active instanceof HTMLElement ? active : null;
}

/** Call on a Tab keydown: wraps from the last element to the first and back. */
export function keepInside(root: Element | ShadowRoot, event: KeyboardEvent): void {
  if (event.key !== "Tab") return;
  const all = focusables(root);
  const first = all[0];
  const last = all[all.length - 1];
  if (!first || !last) return;
  const active = deepActive();
  const outside = !active || !all.includes(active);
  if (event.shiftKey ? active === first || outside : active === last || outside) {
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}
