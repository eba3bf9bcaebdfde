"""What goes with a link to a show: its live picture, renewed, and drawn onto a card."""

import asyncio
import html
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import builders
import pytest
from builders import Api
from making_builders import Take, shot
from PIL import Image

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.pages.share_pictures import draw
from liveshop.shows import wire as shows_wire
from liveshop.video.model import Publishing, Sample
from liveshop.video.signing import PlaybackLinks
from liveshop.video.thumbnail import Thumbnails

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
LANDSCAPE = Take(seconds=3, width=640, height=360, sound_rate=0)
UPRIGHT = replace(LANDSCAPE, width=360, height=640)


@pytest.fixture
async def running(site_shop: Liveshop) -> ShowId:
    return await builders.live_show(site_shop)


async def send(
    shop: Liveshop, show_id: ShowId, take: Take, *, since: float = 0.0, is_due: bool = True
) -> None:
    """Sends it, and waits for the picture if it is time for another one."""
    video, audio, samples = await asyncio.to_thread(shot, take)
    before = shop.stage.thumbnails.newest(show_id)
    publisher = shop.stage.video.publish(Publishing(show_id), video, audio)
    publisher.write(samples, origin=ORIGIN + timedelta(seconds=since))
    publisher.close()
    if is_due:
        await until_renewed(shop.stage.thumbnails, show_id, before)


async def until_renewed(thumbnails: Thumbnails, show_id: ShowId, before: object) -> None:
    async with asyncio.timeout(10):
        while thumbnails.newest(show_id) is before:
            await asyncio.sleep(0.01)  # between two questions


def image(body: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(body))
    opened.load()
    return opened


async def loaded(site: Api, address: str | None) -> Image.Image:
    assert address is not None
    url = urlsplit(address)
    answer = await site.fetch("GET", f"{url.path}?{url.query}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    return image(answer.body)


async def metas(site: Api, show_id: ShowId) -> dict[str, str]:
    """What the show's page tells whoever shares it."""
    answer = await site.fetch("GET", f"/s/{show_id}", Accept="text/html")
    assert answer.status == 200
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)">', answer.text)
    told = {name: html.unescape(content) for name, content in found}
    assert told.get("og:image") == told.get("twitter:image")
    is_large = told["twitter:card"] == "summary_large_image"
    assert is_large == ("og:image" in told)
    return told


async def test_a_running_show_has_a_picture_of_now(
    site: Api, site_shop: Liveshop, running: ShowId
) -> None:
    path = f"/hls/{running}/thumbnail.jpg"
    nothing = await site.fetch("GET", path)
    assert (nothing.status, nothing.json["code"]) == (404, "video_not_on_air")
    await send(site_shop, running, LANDSCAPE)
    first = await site.fetch("GET", path)
    assert first.headers["Content-Type"] == "image/jpeg"
    assert first.headers["Cache-Control"] == "public, max-age=5"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert image(first.body).size == (640, 360)
    await send(site_shop, running, LANDSCAPE, since=3, is_due=False)
    assert (await site.fetch("GET", path)).body == first.body
    await send(site_shop, running, UPRIGHT, since=31)
    assert image((await site.fetch("GET", path)).body).size == (360, 640)
    await site_shop.shows.change_state(running, "ended")
    assert (await site.fetch("GET", path)).status == 404


async def test_the_picture_of_a_show_for_customers_needs_a_signed_address(
    site: Api, site_shop: Liveshop, running: ShowId
) -> None:
    await site_shop.shows.change_show(running, shows_wire.ShowChange(audience="customers"))
    await send(site_shop, running, LANDSCAPE)
    refused = await site.fetch("GET", f"/hls/{running}/thumbnail.jpg")
    assert (refused.status, refused.json["code"]) == (403, "video_bad_link")
    settings = site_shop.settings
    links = PlaybackLinks(settings.server.secret, settings.video.link_hours)
    signed = links.signed(running, site_shop.clock.now())
    assert (await site.fetch("GET", f"/hls/{signed}/thumbnail.jpg")).status == 200
    card = await site.fetch("GET", f"/s/{running}/card.jpg")
    assert (card.status, card.json["code"]) == (403, "customers_only")


async def test_the_page_of_a_running_show_is_shared_with_its_live_picture(
    site: Api, site_shop: Liveshop, running: ShowId
) -> None:
    assert "og:image" not in await metas(site, running)
    card = await site.fetch("GET", f"/s/{running}/card.jpg")
    assert (card.status, card.json["code"]) == (404, "no_card")
    await send(site_shop, running, LANDSCAPE)
    told = await metas(site, running)
    address = told["og:image"]
    assert address.startswith(f"{site_shop.settings.public_url}/s/{running}/card.jpg?v=")
    first = await loaded(site, address)
    assert first.size == (1200, 630)
    assert (told["og:image:width"], told["og:image:height"]) == ("1200", "630")
    oembed = await site.fetch("GET", f"/oembed?url={site_shop.settings.public_url}/s/{running}")
    assert oembed.json["thumbnail_url"] == address
    await send(site_shop, running, UPRIGHT, since=31)
    renewed = (await metas(site, running))["og:image"]
    assert renewed != address
    assert (await loaded(site, renewed)).tobytes() != first.tobytes()
    await site_shop.shows.change_state(running, "ended")
    assert "og:image" not in await metas(site, running)
    assert (await site.fetch("GET", f"/s/{running}/card.jpg")).status == 404


async def test_a_crowd_that_wants_the_card_has_it_drawn_once(
    site: Api, site_shop: Liveshop, running: ShowId, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(site_shop, running, LANDSCAPE)
    drawn: list[str] = []

    def counted(picture: bytes, title: str, host_name: str, shop_name: str) -> bytes:
        drawn.append(title)
        return draw(picture, title, host_name, shop_name)

    monkeypatch.setattr("liveshop.pages.share_pictures.draw", counted)
    cards = await asyncio.gather(
        *(site.fetch("GET", f"/s/{running}/card.jpg?v={n}") for n in range(8))
    )
    assert {card.status for card in cards} == {200}
    assert drawn == ["A show"]
    await site_shop.shows.change_show(running, shows_wire.ShowChange(title="Another title"))
    await site.fetch("GET", f"/s/{running}/card.jpg")
    assert drawn == ["A show", "Another title"]


async def test_a_keyframe_that_cannot_be_decoded_leaves_the_picture_before(
    site: Api, site_shop: Liveshop, running: ShowId
) -> None:
    await send(site_shop, running, LANDSCAPE)
    before = site_shop.stage.thumbnails.newest(running)
    video, audio, samples = await asyncio.to_thread(shot, LANDSCAPE)
    publisher = site_shop.stage.video.publish(Publishing(running), video, audio)
    noise = [replace(sample, data=b"\0\0\0\x04noise") for sample in samples]
    publisher.write(noise, origin=ORIGIN + timedelta(seconds=40))
    publisher.write(moved(samples, 3), origin=ORIGIN + timedelta(seconds=80))
    await until_renewed(site_shop.stage.thumbnails, running, before)


def moved(samples: tuple[Sample, ...], seconds: int) -> list[Sample]:
    return [
        replace(sample, dts=sample.dts + seconds * 90_000, pts=sample.pts + seconds * 90_000)
        for sample in samples
    ]


async def test_a_replay_is_shared_with_its_poster(
    site: Api, site_shop: Liveshop, running: ShowId, clock: ManualClock
) -> None:
    await send(site_shop, running, LANDSCAPE)
    clock.advance(timedelta(seconds=5))
    await site_shop.shows.change_state(running, "ended")
    async with asyncio.timeout(20):
        while "/files/" not in (address := (await metas(site, running)).get("og:image", "")):
            await asyncio.sleep(0.05)  # between two questions
    assert (await loaded(site, address)).size == (640, 360)
