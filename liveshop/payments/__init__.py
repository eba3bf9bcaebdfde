"""Payments: the port to providers, and what they answered."""
