"""Checkout: carts with holds, quotes that say what a cart costs now, and placing an order."""
