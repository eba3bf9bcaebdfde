"""Products, variants, prices, stock by location, pictures and their renditions, import."""
