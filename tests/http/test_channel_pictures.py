"""Pictures as channels fetch them: public, in the size and under the cap that the address says."""

import io

import builders
import pytest
from builders import Api
from catalog_builders import picture
from PIL import Image

from liveshop.app import Liveshop
from liveshop.catalog.wire import ImageLinks
from liveshop.connect import RENDITIONS


@pytest.fixture
async def media_id(site: Api, site_shop: Liveshop) -> str:
    merchant = await site.signed_in(await builders.staff(site_shop, "merchant"))
    raw = picture(900, 600)
    answer = await merchant.fetch("POST", "/api/media", raw=raw, Content_Type="image/jpeg")
    assert answer.status == 201, answer.text
    return str(answer.json["id"])


async def test_anybody_may_fetch_a_picture_as_channels_want_it(site: Api, media_id: str) -> None:
    for rendition in RENDITIONS.values():
        address = ImageLinks("", (640,)).channel(media_id, rendition.name, 1_000_000)
        answer = await site.fetch("GET", address)
        assert answer.status == 200, answer.text
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert len(answer.body) <= 950_000
        with Image.open(io.BytesIO(answer.body)) as image:
            assert image.size == (rendition.width, rendition.height)


async def test_the_same_picture_is_made_once(site: Api, site_shop: Liveshop, media_id: str) -> None:
    path = await site_shop.media.channel_picture(media_id, "pin", 5_000_000)
    before = path.stat().st_mtime_ns
    answer = await site.fetch("GET", f"/media/{media_id}/pin-5000.jpg")
    assert answer.body == path.read_bytes()
    assert path.stat().st_mtime_ns == before


async def test_there_is_no_other_size_and_no_other_cap(site: Api, media_id: str) -> None:
    for file in (
        "square-951.jpg",
        "square-0950.jpg",
        "square-%D9%A9%D9%A5%D9%A0.jpg",
        "square-950.png",
        "square-950.jpg.jpg",
        "square-950",
        "square.jpg",
        "SQUARE-950.jpg",
        "huge-950.jpg",
        "square--950.jpg",
        "-950.jpg",
        "950.jpg",
        "99999999999999999999.jpg",
        "..%2f..%2fsquare-950.jpg",
    ):
        status, answer = await site.call("GET", f"/media/{media_id}/{file}")
        assert status == 404, file
        assert answer["code"] in ("unknown_media", "not_found")


async def test_a_picture_that_is_not_there_is_not_there(site: Api) -> None:
    for media_id in (f"med_{'0' * 26}", "prd_1", "med_", "..%2f"):
        status, _ = await site.call("GET", f"/media/{media_id}/square-950.jpg")
        assert status == 404
