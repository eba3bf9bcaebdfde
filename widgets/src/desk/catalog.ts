/** Products and variants by their ids. */

import { ApiProblem, type Api } from "../state/api";
import type { Product, Products } from "../wire.gen";
import type { Chosen } from "./promotion-draft";

const PAGE = 100;
/** There is no list by ids: many are looked up by reading the catalog. Beyond this many pages they show their ids. */
const PAGES_MAX = 20;
const SINGLY_MAX = 20;

export async function allProducts(api: Api, pages = PAGES_MAX, enough: (found: readonly Product[]) => boolean = () => false): Promise<Product[]> {
  const found: Product[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < pages; page += 1) {
    const path: string = `/api/products?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    const answer: Products = await api.get<Products>(path);
    found.push(...answer.products);
    cursor = answer.next;
    if (!cursor || enough(found)) break;
  }
  return found;
}

export async function chosenProducts(api: Api, ids: readonly string[]): Promise<Chosen[]> {
  if (ids.length > SINGLY_MAX) {
    return among(api, ids, (product) => [{ id: product.id, product, variant: null }]);
  }
  return Promise.all(
    ids.map(async (id): Promise<Chosen> => {
      try {
        return { id, product: await api.get<Product>(`/api/products/${encodeURIComponent(id)}`), variant: null };
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 404) return { id, product: null, variant: null };
        throw error;
      }
    }),
  );
}

export async function chosenVariants(api: Api, ids: readonly string[]): Promise<Chosen[]> {
  return among(api, ids, (product) => product.variants.map((variant) => ({ id: variant.id, product, variant })));
}

async function among(api: Api, ids: readonly string[], parts: (product: Product) => Chosen[]): Promise<Chosen[]> {
  if (ids.length === 0) return [];
  const known = (products: readonly Product[]): Map<string, Chosen> => new Map(products.flatMap(parts).map((one) => [one.id, one]));
  const products = await allProducts(api, PAGES_MAX, (found) => {
    const have = known(found);
    return ids.every((id) => have.has(id));
  });
  const have = known(products);
  return ids.map((id) => have.get(id) ?? { id, product: null, variant: null });
}
