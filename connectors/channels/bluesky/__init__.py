"""Bluesky. `session` keeps the account signed in; `poster` is the connector."""
