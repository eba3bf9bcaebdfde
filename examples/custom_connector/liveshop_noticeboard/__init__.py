"""A connector for Liveshop, and the small service that it connects."""
