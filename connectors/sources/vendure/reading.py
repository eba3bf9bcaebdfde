"""What Vendure says of products, as rows for the catalog."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urljoin

from liveshop.connect import BadRow, SourceProduct, SourceRow, SourceVariant
from liveshop.kernel.money import Money

_STOCK = """
  trackInventory
  outOfStockThreshold
  useGlobalOutOfStockThreshold
  stockLevels { stockLocationId stockOnHand stockAllocated }
"""
SHOP = """
  globalSettings { trackInventory outOfStockThreshold }
  stockLocations(options: { take: 100 }) { items { id } }
"""
"""Part of every query that reads stock: what it takes to tell what can be sold."""
STOCK_OF_VARIANTS = f"""
query($options: ProductVariantListOptions) {{
  {SHOP}
  productVariants(options: $options) {{ items {{ id {_STOCK} }} }}
}}
"""
PRODUCT_IDS = """
query($options: ProductListOptions) { products(options: $options) { items { id } } }
"""
CHANGED_VARIANTS = """
query($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id productId } }
}
"""
SOLD_VARIANTS = """
query($options: OrderListOptions) {
  orders(options: $options) { items { id lines { productVariant { productId } } } }
}
"""
_TAX_CLASSES = ("reduced", "zero")


def products_query(gtin_field: str) -> str:
    """`gtin_field`: a custom field of variants, or empty."""
    custom = f"customFields {{ gtin: {gtin_field} }}" if gtin_field else ""
    return f"""
query($options: ProductListOptions) {{
  {SHOP}
  products(options: $options) {{
    items {{
      id
      enabled
      name
      slug
      description
      featuredAsset {{ type source }}
      assets {{ type source }}
      optionGroups {{ id name }}
      facetValues {{ name facet {{ code }} }}
      variants {{
        id
        enabled
        sku
        price
        priceWithTax
        currencyCode
        taxCategory {{ name }}
        options {{ name groupId }}
        featuredAsset {{ type source }}
        {_STOCK}
        {custom}
      }}
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read it, by the connection's configuration."""

    base_url: str
    prices: Literal["with_tax", "without_tax"]
    product_url: str
    brand_facet: str
    category_facet: str
    untracked_quantity: int

    def row(self, product: Mapping[str, Any], shop: "Shop") -> SourceRow | BadRow:
        on_sale = [variant for variant in product["variants"] if variant["enabled"]]
        variants = on_sale or product["variants"]
        if not variants:
            return BadRow(0, product["id"], "the product has no variants in Vendure")
        groups = [group["id"] for group in product["optionGroups"]]
        return SourceRow(
            0,
            SourceProduct(
                source_id=product["id"],
                title=product["name"],
                variants=tuple(self._variant(one, groups, shop) for one in variants),
                option_names=tuple(group["name"] for group in product["optionGroups"]),
                description_html=product["description"],
                brand=_facet(product, self.brand_facet),
                category=_facet(product, self.category_facet),
                url=self._url(product["slug"]),
                image_urls=self._pictures(product),
                is_active=product["enabled"] and bool(on_sale),
            ),
        )

    def _variant(
        self, variant: Mapping[str, Any], groups: Sequence[str], shop: "Shop"
    ) -> SourceVariant:
        price = variant["priceWithTax" if self.prices == "with_tax" else "price"]
        values = {option["groupId"]: option["name"] for option in variant["options"]}
        category = variant["taxCategory"]["name"].casefold()
        quantity = shop.saleable(variant)
        if quantity is None and self.untracked_quantity:
            quantity = self.untracked_quantity
        return SourceVariant(
            source_id=variant["id"],
            sku=variant["sku"].strip() or variant["id"],
            price=Money(price, variant["currencyCode"]),
            values=tuple(values.get(group, "") for group in groups),
            gtin=(variant.get("customFields") or {}).get("gtin") or None,
            tax_class=next((name for name in _TAX_CLASSES if name in category), "standard"),
            quantity=quantity,
            image_url=self._picture(variant["featuredAsset"]),
        )

    def _url(self, slug: str) -> str | None:
        return self.product_url.replace("{slug}", quote(slug)) if self.product_url else None

    def _pictures(self, product: Mapping[str, Any]) -> tuple[str, ...]:
        found = [self._picture(one) for one in (product["featuredAsset"], *product["assets"])]
        return tuple(dict.fromkeys(url for url in found if url))

    def _picture(self, asset: Mapping[str, Any] | None) -> str | None:
        if asset is None or asset["type"] != "IMAGE":
            return None
        return urljoin(self.base_url, str(asset["source"]))


@dataclass(frozen=True, slots=True)
class Shop:
    """What holds for all stock of a channel."""

    tracks_inventory: bool
    threshold: int
    location_ids: Collection[str]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Shop":
        """From an answer that has `SHOP` in it."""
        settings = data["globalSettings"]
        return cls(
            tracks_inventory=settings["trackInventory"],
            threshold=settings["outOfStockThreshold"],
            location_ids={one["id"] for one in data["stockLocations"]["items"]},
        )

    def saleable(self, variant: Mapping[str, Any]) -> int | None:
        """How many units can be sold, at the locations of the channel, as Vendure itself counts;
        None where it does not."""
        tracks = variant["trackInventory"]
        if tracks == "FALSE" or (tracks == "INHERIT" and not self.tracks_inventory):
            return None
        return max(0, self.in_stock(variant) - self.threshold_of(variant))

    def in_stock(self, variant: Mapping[str, Any]) -> int:
        """What lies there and belongs to no order yet."""
        return sum(
            level["stockOnHand"] - level["stockAllocated"]
            for level in variant["stockLevels"]
            if level["stockLocationId"] in self.location_ids
        )

    def threshold_of(self, variant: Mapping[str, Any]) -> int:
        if variant["useGlobalOutOfStockThreshold"]:
            return self.threshold
        return int(variant["outOfStockThreshold"])


def _facet(product: Mapping[str, Any], code: str) -> str | None:
    """The values of a facet, joined as one text."""
    values = [one["name"] for one in product["facetValues"] if one["facet"]["code"] == code]
    return " / ".join(values) or None
