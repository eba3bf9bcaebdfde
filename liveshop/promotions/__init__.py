"""Promotions: one rule for every channel, the one function that prices, and the price history."""
