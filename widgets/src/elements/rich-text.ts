// Product descriptions: the server cleans them, and the player still builds only a handful of bare elements from them.

const ALLOWED = new Set(["P", "BR", "UL", "OL", "LI", "STRONG", "B", "EM", "I", "H3", "H4"]);

export function richText(source: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  copy(new DOMParser().parseFromString(source, "text/html").body, fragment);
  return fragment;
}

function copy(from: Node, to: Node): void {
  for (const child of from.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) to.appendChild(document.createTextNode(child.textContent ?? ""));
    else if (child instanceof Element && !/^(SCRIPT|STYLE|TEMPLATE)$/.test(child.tagName)) {
      const target = ALLOWED.has(child.tagName) ? to.appendChild(document.createElement(child.tagName)) : to;
      copy(child, target);
    }
  }
}
