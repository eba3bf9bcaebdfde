"""Orders: what was agreed, and what has become of it."""
