"""Pictures of the demo shop, drawn by Pillow in one studio style; nothing is downloaded or bundled.

`draw` gives catalogue pictures, `cover` the still life of a show, `sprite` an object cut out.
"""

from liveshop.demo.art.catalogue import (
    ANGLES,
    COLOURS,
    PRODUCT_KEYS,
    cover,
    draw,
    forget,
    sprite,
)

__all__ = ["ANGLES", "COLOURS", "PRODUCT_KEYS", "cover", "draw", "forget", "sprite"]
