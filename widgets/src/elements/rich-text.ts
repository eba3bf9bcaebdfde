// Product descriptions: the server cleans them, and the player still builds only a handful of bare elements from them.
// A tokenizer of its own instead of innerHTML or DOMParser: both are refused under `require-trusted-types-for 'script'`.

const ALLOWED = new Set(["p", "br", "ul", "ol", "li", "strong", "b", "em", "i", "h3", "h4"]);
const TOKEN = /<!--[\s\S]*?-->|<(script|style|template)\b[\s\S]*?<\/\1\s*>|<(\/?)([a-z][a-z0-9]*)\b[^>]*>/gi;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

export function richText(source: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const open: Node[] = [fragment];
  const top = (): Node => open[open.length - 1]!;
  let end = 0;
  const text = (until: number): void => {
    if (until > end) top().appendChild(document.createTextNode(unescape(source.slice(end, until))));
  };
  for (const token of source.matchAll(TOKEN)) {
    text(token.index);
    end = token.index + token[0].length;
    const name = token[3]?.toLowerCase();
    if (!name || !ALLOWED.has(name)) continue;
    if (token[2]) {
      const at = open.findLastIndex((node) => node.nodeName.toLowerCase() === name);
      if (at > 0) open.length = at;
      continue;
    }
    const element = top().appendChild(document.createElement(name));
    if (name !== "br") open.push(element);
  }
  text(source.length);
  return fragment;
}

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name) return ENTITIES[name.toLowerCase()] ?? whole;
    const code = decimal ? Number(decimal) : parseInt(hex ?? "0", 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
