"""Liveshop: a self-hosted live-shopping server. Import from the rooms; nothing runs here."""

__version__ = "0.1.0"
