"""Sources of products: one file each."""
