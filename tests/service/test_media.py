"""Pictures kept, rendered and fetched, with a real disk and a real web server."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from catalog_builders import csv_of, picture, run_import, shop

from connectors.sources.google_csv import GoogleCsv
from liveshop.catalog import jobs
from liveshop.catalog import media as media_module
from liveshop.catalog.fetch import FetchFailed, FetchRefused, fetcher
from liveshop.catalog.media import MediaService
from liveshop.catalog.model import (
    ImageTooLarge,
    MediaUnavailable,
    NotAnImage,
    ProductsTouched,
    UnknownMedia,
)
from liveshop.catalog.service import CatalogService
from liveshop.catalog.tables import product_image
from liveshop.catalog.wire import ImageLinks
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.settings import MediaSettings
from liveshop.storage import Database, Worker
from liveshop.web.outgoing import AddressRefused

WIDTHS = (160, 320, 640, 1280)
SETTINGS = MediaSettings(
    max_bytes=200_000, max_pixels=1_000_000, widths=WIDTHS, fetch_private_addresses=True
)


@pytest.fixture
def media(database: Database, clock: ManualClock, tmp_path: Path) -> Iterator[MediaService]:
    service = MediaService(database, clock, tmp_path, SETTINGS)
    yield service
    service.close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "media").rglob("*") if path.is_file())


async def test_the_same_picture_is_kept_once(media: MediaService, tmp_path: Path) -> None:
    first = await media.store_image(picture(), alt=" A  mug ")
    again = await asyncio.gather(*(media.store_image(picture(), alt="A mug") for _ in range(4)))
    other_text = await media.store_image(picture(), alt="Another mug")
    assert {one.media_id for one in again} == {first.media_id}
    assert other_text.media_id != first.media_id
    assert (first.alt, first.width, first.height) == ("A mug", 320, 240)
    assert len(files(tmp_path)) == 1
    assert set(await media.pictures([first.media_id, "med_x"])) == {first.media_id}


async def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    media: MediaService, tmp_path: Path
) -> None:
    for content, error in [
        (b"x" * 200_001, ImageTooLarge),
        (b"not a picture", NotAnImage),
        (picture(1200, 1200), ImageTooLarge),
        (picture()[:-500], NotAnImage),
    ]:
        with pytest.raises(error):
            await media.store_image(content)
    assert files(tmp_path) == []


async def test_a_rendition_is_made_once_and_then_found(
    media: MediaService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = media_module.render

    def counted(content: bytes, *, width: int, extension: str) -> bytes:
        made.append(width)
        return real(content, width=width, extension=extension)

    monkeypatch.setattr(media_module, "render", counted)
    kept = await media.store_image(picture(900, 600))
    assert made == [], "an upload renders nothing"
    for _ in range(2):
        paths = await asyncio.gather(
            *(media.rendition(kept.media_id, width=320, extension="webp") for _ in range(5))
        )
        assert len(set(paths)) == 1
    assert made == [320]
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    ("width", "extension"),
    [
        (321, "webp"),
        (1280, "webp"),
        (0, "jpg"),
        (-1, "jpg"),
        (320, "gif"),
        (320, "../x"),
        (320, ""),
    ],
)
async def test_sizes_and_formats_that_there_are_not_are_refused(
    media: MediaService, width: int, extension: str
) -> None:
    kept = await media.store_image(picture(900, 600))
    with pytest.raises(UnknownMedia):
        await media.rendition(kept.media_id, width=width, extension=extension)
    for name in ("med_x", "../../etc/passwd", "med_" + "0" * 26):
        with pytest.raises(UnknownMedia):
            await media.rendition(name, width=320, extension="jpg")


async def test_every_address_in_the_links_is_one_that_answers(media: MediaService) -> None:
    kept = await media.store_image(picture(700, 350))
    image = ImageLinks("https://shop.example", WIDTHS).image(kept, alt="A mug")
    assert (image.alt, image.width, image.height) == ("A mug", 700, 350)
    assert image.src.endswith(f"/media/{kept.media_id}/640.jpg")
    assert [source.type for source in image.sources] == ["image/avif", "image/webp", "image/jpeg"]
    for source in image.sources:
        for entry in source.srcset.split(", "):
            address, width = entry.split(" ")
            name = address.rsplit("/", 1)[-1]
            path = await media.rendition(
                kept.media_id, width=int(width[:-1]), extension=name.split(".")[1]
            )
            assert name == f"{width[:-1]}.{path.suffix[1:]}"


async def test_a_full_disk_or_read_only_folder_is_told_in_words_and_leaves_no_half_file(
    media: MediaService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MediaUnavailable, match="disk is full"):
        await media.store_image(picture())
    assert files(tmp_path) == []
    monkeypatch.setattr(os, "fsync", real)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(MediaUnavailable, match="cannot be written"):
        await media.store_image(picture())


# Fetching


class Origin:
    """Somebody's web server, with pictures and with malice."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_down = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.asked.append(name)
        if self.is_down:
            return web.Response(status=503)
        answers: dict[str, Callable[[], Awaitable[web.StreamResponse]]] = {
            "endless.jpg": lambda: self._endless(request),
        }
        if name in answers:
            return await answers[name]()
        if name.startswith("to:"):
            raise web.HTTPFound(name[3:])
        if name == "loop":
            raise web.HTTPFound("/loop")
        if name == "page.html":
            return web.Response(text="<h1>Sign in</h1>", content_type="text/html")
        if name == "text.jpg":
            return web.Response(body=b"not a picture", content_type="image/jpeg")
        if name.startswith("mug"):
            return web.Response(body=picture(), content_type="application/octet-stream")
        return web.Response(status=404)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\xff\xd8\xff" + bytes(50_000))


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
async def address(origin: Origin) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{name:.*}", origin.answer)
    server = TestServer(app)
    await server.start_server()
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


async def outcome(url: str, *, private_allowed: bool) -> object:
    async with fetcher(max_bytes=200_000, private_allowed=private_allowed) as session:
        try:
            return await session.fetch(url)
        except ShopError as error:
            return type(error)


async def test_pictures_are_fetched_through_redirects(address: str) -> None:
    assert await outcome(f"{address}/mug.jpg", private_allowed=True) == picture()
    assert await outcome(f"{address}/to:/mug.jpg", private_allowed=True) == picture()


async def test_what_others_serve_is_not_trusted(address: str) -> None:
    for name, error in {
        "endless.jpg": ImageTooLarge,
        "page.html": NotAnImage,
        "none.jpg": FetchRefused,
        "loop": FetchRefused,
        f"to:{quote('file:///etc/passwd', safe='')}": AddressRefused,
    }.items():
        assert await outcome(f"{address}/{name}", private_allowed=True) is error, name
    assert await outcome("http://127.0.0.1:9/x.jpg", private_allowed=True) is FetchFailed


async def test_nobody_leads_the_server_into_its_own_network(address: str, origin: Origin) -> None:
    port = address.rsplit(":", 1)[-1]
    for host in (
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0",
        "127.1",
        "169.254.169.254",
    ):
        url = f"http://{host}:{port}/mug.jpg"
        assert await outcome(url, private_allowed=False) is AddressRefused, host
    assert origin.asked == []


async def test_imported_pictures_reach_their_products_and_failures_are_kept_apart(
    database: Database, clock: ManualClock, media: MediaService, origin: Origin, address: str
) -> None:
    catalog = CatalogService(database, clock, shop())
    feed = csv_of(
        f"1,g,Shirt,5.00 EUR,S,{address}/mug1.jpg,{address}/none.jpg",
        f"2,g,Shirt,5.00 EUR,M,{address}/mug2.jpg,",
        f"3,,Mug,5.00 EUR,,{address}/mug1.jpg,{address}/text.jpg",
        header="id,item_group_id,title,price,size,image_link,additional_image_link",
    )
    await run_import(catalog, GoogleCsv(), feed)
    worker = Worker(database, jobs.handlers(media), clock)
    origin.is_down = True
    await worker.run_due()
    (shirt, mug) = (await catalog.products()).products
    assert shirt.product.pictures == ()

    origin.is_down = False
    origin.asked.clear()
    touched: list[ProductsTouched] = []
    database.listen(ProductsTouched, touched.append)
    clock.advance(timedelta(seconds=10))
    await worker.run_due()
    (shirt, mug) = (await catalog.products()).products
    assert len(shirt.product.pictures) == 2
    assert [variant.picture_key for variant in shirt.product.variants] == [
        one.key for one in shirt.product.pictures
    ]
    assert len(mug.product.pictures) == 1
    assert shirt.product.version > 1
    assert {id_ for one in touched for id_ in one.product_ids} == {shirt.product.id, mug.product.id}
    assert sorted(origin.asked) == ["mug1.jpg", "mug2.jpg", "none.jpg", "text.jpg"]
    async with database.read() as conn:
        problems = (
            (
                await conn.execute(
                    sa.select(product_image.c.problem).where(product_image.c.media_id.is_(None))
                )
            )
            .scalars()
            .all()
        )
    assert sorted("404" in (problem or "") for problem in problems) == [False, True]

    # The same feed again, and a new product with a picture that is known: nobody is asked.
    origin.asked.clear()
    await run_import(catalog, GoogleCsv(), feed)
    await run_import(
        catalog,
        GoogleCsv(),
        csv_of(f"4,Bowl,5.00 EUR,{address}/mug2.jpg", header="id,title,price,image_link"),
    )
    await worker.run_due()
    assert origin.asked == []
    bowl = (await catalog.products(query="bowl")).products[0]
    assert len(bowl.product.pictures) == 1
