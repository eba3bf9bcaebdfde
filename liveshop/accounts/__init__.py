"""The people and programs that run the shop: staff, their sessions and roles, API keys."""
