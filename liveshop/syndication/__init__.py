"""Syndication: one catalog and one set of prices, true on every channel."""
