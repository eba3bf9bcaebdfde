"""Shopify as a source, by its GraphQL Admin API."""

from connectors.sources.shopify.admin import ShopifyConfig
from connectors.sources.shopify.source import Shopify, ShopifySource

__all__ = ["Shopify", "ShopifyConfig", "ShopifySource"]
