"""Listings and posts that the suites send."""

import io
from datetime import datetime
from uuid import uuid4

from PIL import Image

from liveshop.connect.limits import RENDITIONS, ImageLimit
from liveshop.connect.listings import Listing, ListingImage
from liveshop.connect.posts import Post, PostImage
from liveshop.kernel.money import Money

SHOP = "https://shop.example"
HOSTILE = '<b>Größe & "2"</b>, it\'s 5 < 6; 👕 = ok'
"""What breaks formats that are put together by hand."""


def listing(number: int, *, currency: str = "EUR", images: ImageLimit | None = None) -> Listing:
    """A mug, in stock, with a picture; each number is another product."""
    rendition = RENDITIONS[images.rendition if images else "clean"]
    return Listing(
        id=f"var_{number:04}",
        group_id=f"prd_{number:04}",
        sku=f"MUG-{number}",
        title=f"Stoneware mug {number}",
        description=f"Fired twice, number {number}.",
        link=f"{SHOP}/mug-{number}",
        language="en",
        price=Money(1990 + number, currency),
        quantity=5,
        gtin=gtin(number),
        brand="Nord",
        category="Kitchen > Mugs",
        images=(
            ListingImage(
                f"{SHOP}/media/mug-{number}.jpg",
                f"A grey mug with the number {number}",
                rendition.width,
                rendition.height,
            ),
        ),
    )


def gtin(number: int) -> str:
    """An EAN-13 with a right check digit."""
    body = f"400638{number:06}"
    odd, even = (sum(map(int, body[start::2])) for start in (0, 1))
    return f"{body}{-(odd + 3 * even) % 10}"


def post(number: int, *, created_at: datetime, images: ImageLimit) -> Post:
    """An announcement with a picture. Its text is its own: some channels refuse one twice."""
    rendition = RENDITIONS[images.rendition]
    width, height = rendition.width, rendition.height
    mark = uuid4().hex[:8]

    async def read() -> bytes:
        return jpeg(width, height)

    return Post(
        key=f"pst_{number:04}_{mark}",
        kind="announce",
        text=f"Number {number} ({mark}): mugs & bowls, today at 19:00 — 20 % off <b>all</b> 🎉",
        language="en",
        created_at=created_at,
        images=(
            PostImage(
                url=f"{SHOP}/media/card-{number}.jpg",
                media_type="image/jpeg",
                alt=f"A shelf with mugs, picture {number}",
                width=width,
                height=height,
                read=read,
            ),
        ),
    )


def jpeg(width: int, height: int) -> bytes:
    """One plain colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (120, 130, 140)).save(out, "JPEG")
    return out.getvalue()
