"""What we ask Shopify, in GraphQL, for the Admin API of version 2026-10.

Lists are read by id, `id:>N`, instead of by the API's own cursors: these end after 25,000 entries
(https://shopify.dev/docs/api/usage/limits) and do not outlive a pause.
"""

from connectors.sources.shopify.admin import Operation

_VARIANT = """
fragment VariantFields on ProductVariant {
  id sku barcode price compareAtPrice
  selectedOptions { name value }
  media(first: 1) { nodes { ... on MediaImage { id image { url } } } }
  ...StockFields
}
"""
_STOCK_ANYWHERE = """
fragment StockFields on ProductVariant {
  sellableOnlineQuantity
  inventoryItem { id tracked }
}
"""
_STOCK_AT_LOCATION = """
fragment StockFields on ProductVariant {
  inventoryItem {
    id tracked
    inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } }
  }
}
"""
_PRODUCT = """
fragment ProductFields on Product {
  id title descriptionHtml vendor productType status onlineStoreUrl hasOnlyDefaultVariant
  category { fullName }
  options { name }
  media(first: 10) { nodes { ... on MediaImage { id image { url } } } }
  variants(first: $variants) {
    nodes { ...VariantFields }
    pageInfo { hasNextPage endCursor }
  }
}
"""


class Queries:
    """The reading ones. `at_location`: they take `$location` and count the stock there."""

    def __init__(self, *, at_location: bool) -> None:
        stock = _STOCK_AT_LOCATION if at_location else _STOCK_ANYWHERE
        location = ", $location: ID!" if at_location else ""
        self.products = Operation(
            "products",
            f"""query products(
  $first: Int!, $query: String, $variants: Int!{location}
) {{
  shop {{ currencyCode }}
  products(first: $first, query: $query, sortKey: ID) {{
    nodes {{ ...ProductFields }}
    pageInfo {{ hasNextPage }}
  }}
}}
{_PRODUCT}{_VARIANT}{stock}""",
        )
        self.variants = Operation(
            "variants",
            f"""query variants($id: ID!, $first: Int!, $after: String{location}) {{
  product(id: $id) {{
    id
    variants(first: $first, after: $after) {{
      nodes {{ ...VariantFields }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}
{_VARIANT}{stock}""",
        )
        self.stock = Operation(
            "stock",
            f"""query stock($ids: [ID!]!{location}) {{
  nodes(ids: $ids) {{ id ... on ProductVariant {{ ...StockFields }} }}
}}
{stock}""",
        )


PRODUCT_IDS = Operation(
    "productIds",
    """query productIds($first: Int!, $query: String) {
  products(first: $first, query: $query, sortKey: ID) {
    nodes { id }
    pageInfo { hasNextPage }
  }
}""",
)

LOCATIONS = Operation(
    "locations",
    """query locations { locations(first: 2) { nodes { id name } } }""",
)

SET_STOCK = Operation(
    "setStock",
    """mutation setStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}""",
    is_change=True,
)

FIND_ORDER = Operation(
    "findOrder",
    """query findOrder($query: String!) {
  shop { currencyCode }
  orders(first: 5, query: $query) { nodes { id sourceIdentifier } }
}""",
)

CREATE_ORDER = Operation(
    "createOrder",
    """mutation createOrder($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {
  orderCreate(order: $order, options: $options) {
    order { id name }
    userErrors { code field message }
  }
}""",
    is_change=True,
)

ORDER_STATE = Operation(
    "orderState",
    """query orderState($id: ID!) { order(id: $id) { id cancelledAt } }""",
)

CANCEL_ORDER = Operation(
    "cancelOrder",
    """mutation cancelOrder(
  $id: ID!, $reason: OrderCancelReason!, $note: String, $refund: OrderCancelRefundMethodInput
) {
  orderCancel(
    orderId: $id, reason: $reason, refundMethod: $refund, restock: true, notifyCustomer: false,
    staffNote: $note
  ) {
    job { id done }
    orderCancelUserErrors { code field message }
  }
}""",
    is_change=True,
)

JOB = Operation("job", """query job($id: ID!) { job(id: $id) { id done } }""")

INSTALLATION = Operation(
    "installation",
    """query installation {
  shop { name currencyCode }
  currentAppInstallation { accessScopes { handle } }
}""",
)

LOCATION = Operation(
    "location", """query location($id: ID!) { location(id: $id) { id isActive } }"""
)
