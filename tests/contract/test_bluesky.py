"""Bluesky, against the real server: `@atproto/pds` from npm, and what it says is what counts.

Bad days that it does not make itself are made on the way to it.
"""

import io
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import aiohttp
import pds_server
import pytest
from aiohttp import web
from atproto_client import AsyncClient
from fakes.serving import serve
from hypothesis import given
from hypothesis import strategies as st
from pds_server import Account, FaultyWay, Pds
from PIL import Image

from connectors.channels.bluesky.poster import Bluesky, BlueskyPoster, record_key
from liveshop.connect import (
    NeedsAttention,
    OutcomeUnknown,
    Post,
    PostImage,
    RetryLater,
    SkipListing,
)
from liveshop.connect.contract import (
    Fault,
    PosterContract,
    PosterFarSide,
    SeenPost,
    open_connector,
)
from liveshop.kernel.clock import ManualClock

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def pds() -> Iterator[Pds]:
    with pds_server.running() as server:
        yield server


@dataclass
class House:
    """One account on the real server, and the way that leads there."""

    account: Account
    way: FaultyWay
    url: str
    """Of the way."""

    @property
    def config(self) -> Mapping[str, object]:
        return {
            "handle": self.account.keys.handle,
            "app_password": self.account.keys.app_password,
            "service_url": self.url,
        }


@asynccontextmanager
async def _house(pds: Pds, *, is_shared: bool = True) -> AsyncIterator[House]:
    way = FaultyWay(pds.url)
    async with (
        pds_server.account(pds, is_shared=is_shared) as account,
        aiohttp.ClientSession() as http,
        serve(way.app(http)) as url,
    ):
        yield House(account, way, url)


class BlueskyFarSide(PosterFarSide):
    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def config(self) -> Mapping[str, object]:
        return self._house.config

    @property
    def faults(self) -> Collection[Fault]:
        return get_args(Fault)

    async def fault(self, kind: Fault) -> None:
        self._house.way.fault(kind)

    async def heal(self) -> None:
        self._house.way.heal()

    async def posts(self) -> Sequence[SeenPost]:
        return [
            SeenPost(one["uri"], one["value"]["text"], tuple(_alts(one["value"])))
            for one in await self._house.account.records()
        ]


def _alts(record: Mapping[str, Any]) -> list[str]:
    return [image["alt"] for image in record.get("embed", {}).get("images", [])]


class TestContract(PosterContract):
    connector = "bluesky"

    @pytest.fixture(autouse=True)
    def _server(self, pds: Pds) -> None:
        self._pds = pds

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[BlueskyFarSide]:
        async with _house(self._pds) as house:
            yield BlueskyFarSide(house)


@pytest.fixture
async def house(pds: Pds) -> AsyncIterator[House]:
    async with _house(pds) as made:
        yield made


@pytest.fixture
async def poster(house: House, clock: ManualClock) -> AsyncIterator[BlueskyPoster]:
    async with open_connector(Bluesky(), house.config, clock=clock) as opened:
        yield opened


def _post(text: str, *images: PostImage, key: str = "post_1") -> Post:
    return Post(key, "announce", text, "de", START, images=images)


def _image(data: bytes | None = None, alt: str = "A red mug") -> PostImage:
    async def read() -> bytes:
        return _jpeg() if data is None else data

    return PostImage("https://shop.example/mug.jpg", "image/jpeg", alt, 1200, 628, read)


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1200, 628), "#b33").save(file, "JPEG")
    return file.getvalue()


# What people see


async def test_a_post_with_a_picture_and_its_description_is_there_as_sent(
    poster: BlueskyPoster, house: House, clock: ManualClock
) -> None:
    receipt = await poster.publish(_post("Neue Tassen", _image(alt="Eine rote Tasse")))
    (there,) = await house.account.records()
    assert there["uri"] == receipt.remote_id
    assert receipt.url is not None
    assert receipt.url.startswith(f"https://bsky.app/profile/{house.account.did}/post/")
    record = there["value"]
    assert record["text"] == "Neue Tassen"
    assert record["langs"] == ["de"]
    assert record["createdAt"] == "2026-11-21T19:00:00.000Z"
    (image,) = record["embed"]["images"]
    assert image["alt"] == "Eine rote Tasse"
    assert (image["aspectRatio"]["width"], image["aspectRatio"]["height"]) == (1200, 628)
    assert image["image"]["mimeType"] == "image/jpeg"
    assert await house.account.blob(image["image"]["ref"]["$link"]) == _jpeg()


async def test_links_and_hashtags_can_be_followed_whatever_stands_before_them(
    poster: BlueskyPoster, house: House
) -> None:
    text = (
        "Grüße 👩‍👧 aus Köln: #Töpferei, heute (https://shop.example/s/1?a=1&b=2).\n#ad 日本 #mugs"
    )
    await poster.publish(_post(text))
    (there,) = await house.account.records()
    encoded = text.encode()
    told = [
        (
            encoded[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(),
            facet["features"][0].get("uri") or facet["features"][0].get("tag"),
        )
        for facet in there["value"]["facets"]
    ]
    assert told == [
        ("#Töpferei", "Töpferei"),
        ("https://shop.example/s/1?a=1&b=2", "https://shop.example/s/1?a=1&b=2"),
        ("#ad", "ad"),
        ("#mugs", "mugs"),
    ]


async def test_a_link_without_a_picture_gets_a_card(poster: BlueskyPoster, house: House) -> None:
    await poster.publish(_post("Live um 20 Uhr\nhttps://shop.example/s/1"))
    await poster.publish(_post("Tasse https://shop.example/s/2", _image(), key="post_2"))
    records = {one["value"]["text"][:4]: one["value"] for one in await house.account.records()}
    card = records["Live"]["embed"]["external"]
    assert (card["uri"], card["title"]) == ("https://shop.example/s/1", "Live um 20 Uhr")
    assert "external" not in records["Tass"]["embed"]


async def test_301_graphemes_are_refused_by_the_server_too(house: House) -> None:
    async with open_connector(Bluesky(), house.config, limits={"bluesky.text": 400}) as unlimited:
        with pytest.raises(SkipListing, match="too long") as caught:
            await unlimited.publish(_post("ä" * 301))
        assert caught.value.field == "text"
        await unlimited.publish(_post("👩‍👧" * 160))
    assert len(await house.account.records()) == 1


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👧" * 300, "x" * 301])
async def test_a_text_too_long_is_not_sent(poster: BlueskyPoster, house: House, text: str) -> None:
    with pytest.raises(SkipListing) as caught:
        await poster.publish(_post(text, _image()))
    assert caught.value.field == "text"
    assert house.way.requests == []


async def test_a_picture_too_large_is_not_sent(poster: BlueskyPoster, house: House) -> None:
    with pytest.raises(SkipListing, match="1000001 bytes") as caught:
        await poster.publish(_post("Hello", _image(b"\xff" * 1_000_001)))
    assert caught.value.field == "images"
    assert not any(one.endswith("uploadBlob") for one in house.way.requests)


# Once, whatever happens


async def test_sending_a_post_again_makes_no_second_one(
    poster: BlueskyPoster, house: House, clock: ManualClock
) -> None:
    first = await poster.publish(_post("Hello", _image()))
    clock.advance(timedelta(minutes=5))
    assert await poster.publish(_post("Hello", _image())) == first
    assert len(await house.account.records()) == 1


async def test_the_server_refuses_a_second_record_with_the_same_key(
    house: House, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that both found nothing there: the guard is the server's."""
    async with (
        open_connector(Bluesky(), house.config, clock=clock) as one,
        open_connector(Bluesky(), house.config, clock=clock) as other,
    ):
        first = await one.publish(_post("Hello"))

        async def finds_nothing(_: Post) -> None:
            return None

        with monkeypatch.context() as blind:
            blind.setattr(other, "find", finds_nothing)
            with pytest.raises(OutcomeUnknown):
                await other.publish(_post("Hello, again"))
        assert await other.find(_post("Hello")) == first
    assert [one["value"]["text"] for one in await house.account.records()] == ["Hello"]


async def test_posts_made_in_one_moment_do_not_replace_each_other(
    poster: BlueskyPoster, house: House
) -> None:
    for number in range(5):
        await poster.publish(_post(f"Post {number}", key=f"post_{number}"))
    assert len(await house.account.records()) == 5


async def test_a_post_that_others_deleted_is_not_there(poster: BlueskyPoster, house: House) -> None:
    kept = await poster.publish(_post("Kept", key="post_1"))
    gone = await poster.publish(_post("Gone", key="post_2"))
    await house.account.delete(gone.remote_id)
    assert await poster.exists([kept.remote_id, gone.remote_id]) == [kept.remote_id]
    await poster.delete(gone.remote_id)


# Sessions


async def test_one_session_serves_many_calls(poster: BlueskyPoster, house: House) -> None:
    await poster.publish(_post("Hello"))
    await poster.exists([])
    await poster.diagnose()
    assert house.way.requests.count("com.atproto.server.createSession") == 1


async def test_a_session_that_the_server_ended_is_begun_anew(
    poster: BlueskyPoster, house: House
) -> None:
    await poster.publish(_post("Hello", key="post_1"))
    house.way.fault("expired")
    await poster.publish(_post("Hello again", key="post_2"))
    assert house.way.requests.count("com.atproto.server.createSession") == 2
    assert len(await house.account.records()) == 2


async def test_a_session_about_to_run_out_is_renewed_without_the_password(
    poster: BlueskyPoster, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poster.diagnose()
    monkeypatch.setattr(AsyncClient, "_should_refresh_session", lambda _: True)
    await poster.publish(_post("Hello"))
    assert "com.atproto.server.refreshSession" in house.way.requests
    assert house.way.requests.count("com.atproto.server.createSession") == 1


async def test_a_wrong_password_asks_for_attention(house: House) -> None:
    config = {**house.config, "app_password": "abcd-efgh-ijkl-mnop"}
    async with open_connector(Bluesky(), config) as poster:
        with pytest.raises(NeedsAttention, match="app password") as caught:
            await poster.diagnose()
    assert "abcd" not in str(caught.value)


async def test_a_revoked_app_password_asks_for_attention(pds: Pds) -> None:
    async with (
        _house(pds, is_shared=False) as house,
        open_connector(Bluesky(), house.config) as poster,
    ):
        await poster.publish(_post("Hello"))
        await house.account.ask(
            "POST", "com.atproto.server.revokeAppPassword", json={"name": "liveshop"}
        )
        house.way.fault("expired")  # what was signed in stays so for two hours
        with pytest.raises(NeedsAttention, match="app password"):
            await poster.publish(_post("Hello again", key="post_2"))


async def test_neither_password_nor_session_reaches_a_log(
    poster: BlueskyPoster, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await poster.publish(_post("Hello", _image()))
    assert house.account.keys.app_password not in caplog.text
    assert "Bearer" not in caplog.text
    assert "eyJ" not in caplog.text  # how a session's tokens begin


# Days on which something else than Bluesky answers


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: web.Response(text="<html>Sign in</html>", content_type="text/html"), RetryLater),
        (lambda: web.json_response({"did": 7}), RetryLater),
        (lambda: web.Response(status=502, text="<html>"), RetryLater),
        (lambda: web.Response(status=404, text="<html>"), NeedsAttention),
        (lambda: web.Response(status=302, headers={"Location": "/login"}), NeedsAttention),
        (lambda: web.json_response({"error": "AccountTakedown"}, status=401), NeedsAttention),
        (
            lambda: web.json_response({"error": "AuthFactorTokenRequired"}, status=401),
            NeedsAttention,
        ),
    ],
)
async def test_what_else_may_answer_is_told_in_words(
    answer: Callable[[], web.Response], error: type[Exception]
) -> None:
    async def handle(_: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with serve(app) as url:
        config = {"handle": "a.test", "app_password": "pass-word", "service_url": url}
        async with open_connector(Bluesky(), config) as poster:
            with pytest.raises(error):
                await poster.publish(_post("Hello"))


# Keys


@given(
    st.text(min_size=1, max_size=40),
    st.integers(0, 200 * 365),
)
def test_every_key_is_one_that_the_lexicon_allows(key: str, days: int) -> None:
    post = replace(_post("Hello", key=key), created_at=START + timedelta(days=days))
    made = record_key(post)
    assert re.fullmatch("[234567a-j][234567a-z]{12}", made)
    assert record_key(post) == made


def test_later_posts_have_later_keys() -> None:
    keys = [
        record_key(replace(_post("Hello"), created_at=START + timedelta(seconds=second)))
        for second in range(0, 5000, 50)
    ]
    assert keys == sorted(keys)


def test_a_thousand_posts_of_one_moment_have_a_thousand_keys() -> None:
    assert len({record_key(_post("Hello", key=f"post_{n}")) for n in range(1000)}) == 1000
