// Fills the shelf from the shop's public product list. The embed needs none of this.

const base = document.body.dataset.base;
const shelf = document.querySelector(".grid");
const SHOWN = 4;

function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function priceOf(product) {
  const cheapest = product.variants.map((variant) => variant.price).sort((a, b) => a.amount - b.amount)[0];
  if (!cheapest) return "";
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: cheapest.currency });
  return format.format(cheapest.amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** What stands behind the # in a product's address: where this page shows it. */
function homeOf(product) {
  return product.url?.split("#")[1] ?? product.id;
}

function card(product) {
  const item = make("li");
  item.id = homeOf(product);
  const shot = make("span", "shot");
  const image = product.images[0];
  if (image) {
    const picture = make("picture");
    for (const { type, srcset } of image.sources) {
      const source = make("source");
      source.type = type;
      source.sizes = "(max-width: 860px) 50vw, 300px";
      source.srcset = srcset;
      picture.append(source);
    }
    const img = make("img");
    img.alt = image.alt;
    img.width = image.width;
    img.height = image.height;
    img.loading = "lazy";
    img.src = image.src;
    picture.append(img);
    shot.append(picture);
  }
  const line = make("span", "line");
  line.append(make("b", "", product.title), make("span", "", priceOf(product)));
  item.append(shot, line);
  return item;
}

async function fill() {
  const answer = await fetch(`${base}/api/products?limit=100`);
  if (!answer.ok) throw new Error(`the shop answered ${answer.status}`);
  const { products } = await answer.json();
  // Whoever comes from a channel sees first what he came for.
  const wanted = decodeURIComponent(location.hash.slice(1));
  products.sort((a, b) => Number(homeOf(b) === wanted) - Number(homeOf(a) === wanted));
  shelf.replaceChildren(...products.slice(0, SHOWN).map(card));
  if (wanted) document.getElementById(wanted)?.scrollIntoView({ block: "center" });
}

try {
  await fill();
} catch {
  // Without the shelf the page is still whole.
  document.querySelector(".shelf").hidden = true;
} finally {
  shelf.removeAttribute("aria-busy");
}
