"""A running show sent on to other platforms: one connection of its own to each destination."""
