"""Plugins: shop systems that products come from, channels that listings go to."""
