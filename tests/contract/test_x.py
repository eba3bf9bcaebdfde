"""X, against a fake that holds every request and every answer against X's own specification."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import get_args
from unittest import SkipTest

import aiohttp
import pytest
from aiohttp import web
from fakes.openapi import VIOLATION, NoSpecification
from fakes.serving import serve
from fakes.x import SCOPES, FakeX, make_app, weight
from yarl import URL

from connectors.channels.x.poster import X, XPoster
from liveshop.connect import (
    NeedsAttention,
    OutcomeUnknown,
    Post,
    Poster,
    PostImage,
    RetryLater,
    SkipListing,
)
from liveshop.connect.contract import (
    TOKEN_PREFIX,
    ContractTokens,
    Fault,
    PosterContract,
    PosterFarSide,
    SeenPost,
    open_connector,
)
from liveshop.connect.oauth import begin, exchange, refresh
from liveshop.connect.texts import measure
from liveshop.kernel.clock import ManualClock

SECRET = "client-secret-of-the-app"


class XFarSide(PosterFarSide):
    def __init__(self, url: str, fake: FakeX) -> None:
        self._url = url
        self._fake = fake

    @property
    def config(self) -> Mapping[str, object]:
        return {
            "client_id": "app",
            "client_secret": SECRET,
            "api_url": self._url,
            "site_url": self._url,
        }

    @property
    def faults(self) -> Collection[Fault]:
        return get_args(Fault)

    async def fault(self, kind: Fault) -> None:
        self._fake.fault(kind)

    async def heal(self) -> None:
        self._fake.heal()

    async def posts(self) -> Sequence[SeenPost]:
        return [
            SeenPost(one.id, one.written, tuple(media.alt or "" for media in one.media))
            for one in self._fake.posts.values()
        ]


class TestContract(PosterContract):
    connector = "x"
    _numbers = count(100)

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[XFarSide]:
        async with _fake_x() as (url, fake):
            yield XFarSide(url, fake)

    async def act(self, side: Poster) -> None:
        """Another post each time: X refuses the same text twice."""
        await side.publish(self.post(side, next(self._numbers)))


@asynccontextmanager
async def _fake_x(clock: ManualClock | None = None) -> AsyncIterator[tuple[str, FakeX]]:
    try:
        app, fake = await asyncio.to_thread(make_app, clock)
    except NoSpecification as error:
        raise SkipTest(str(error)) from None
    async with serve(app) as url:
        yield url, fake
    assert fake.violations == []


@pytest.fixture
async def served(clock: ManualClock) -> AsyncIterator[tuple[str, FakeX]]:
    async with _fake_x(clock) as (url, fake):
        yield url, fake


@pytest.fixture
def fake(served: tuple[str, FakeX]) -> FakeX:
    return served[1]


@pytest.fixture
async def poster(served: tuple[str, FakeX], clock: ManualClock) -> AsyncIterator[XPoster]:
    async with _opened(served[0], clock) as opened:
        yield opened


@asynccontextmanager
async def _opened(url: str, clock: ManualClock) -> AsyncIterator[XPoster]:
    config = {"client_id": "app", "client_secret": SECRET, "api_url": url, "site_url": url}
    async with open_connector(X(), config, clock=clock, tokens=ContractTokens()) as opened:
        yield opened


def _post(clock: ManualClock, text: str, *images: PostImage) -> Post:
    return Post("post_1", "announce", text, "en", clock.now(), images=images)


def _image(data: bytes = b"\xff\xd8 a picture", alt: str = "A red mug") -> PostImage:
    async def read() -> bytes:
        return data

    return PostImage("https://shop.example/mug.jpg", "image/jpeg", alt, 1200, 628, read)


# What X's specification does not know


async def test_a_wrong_field_name_is_caught(poster: XPoster, fake: FakeX) -> None:
    with pytest.raises(RetryLater, match=str(VIOLATION)):
        await poster._api.call("POST", "/2/tweets", json={"message": "Hello"})
    assert "'message' was unexpected" in fake.violations.pop()
    assert fake.violations == []
    assert fake.posts == {}


async def test_a_wrong_parameter_is_caught(poster: XPoster, fake: FakeX) -> None:
    with pytest.raises(RetryLater, match=str(VIOLATION)):
        await poster._api.call("GET", "/2/users/me", params={"fields": "username"})
    assert "query parameter fields is unknown" in fake.violations.pop()
    assert fake.violations == []


async def test_a_wrong_field_in_an_answer_of_the_fake_is_caught(
    poster: XPoster, fake: FakeX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fakes.x.USER_ID", 2244994945)  # X's ids are texts
    with pytest.raises(RetryLater, match=str(VIOLATION)):
        await poster.diagnose()
    assert "is not of type 'string'" in fake.violations.pop()
    assert fake.violations == []


# Tokens


async def test_tokens_come_by_code_and_proof_and_rotate(
    served: tuple[str, FakeX], clock: ManualClock
) -> None:
    url, fake = served
    fields = {"client_id": "app", "client_secret": SECRET, "api_url": url, "site_url": url}
    back = "https://shop.example/api/authorised"
    address, verifier = begin(X.oauth, fields, redirect_uri=back, state="state-1")
    async with aiohttp.ClientSession() as http:
        async with http.get(address, allow_redirects=False) as answer:
            sent_to = URL(answer.headers["Location"])
        assert sent_to.query["state"] == "state-1"
        tokens = await exchange(
            http,
            X.oauth,
            fields,
            code=sent_to.query["code"],
            verifier=verifier,
            redirect_uri=back,
            now=clock.now(),
        )
        assert tokens.expires_at == clock.now() + timedelta(hours=2)
        assert tokens.scope == SCOPES
        newer = await refresh(http, X.oauth, fields, tokens, now=clock.now())
        assert newer.refresh_token != tokens.refresh_token
        assert fake.accepts(newer.access_token)
        with pytest.raises(NeedsAttention):  # it was used up
            await refresh(http, X.oauth, fields, tokens, now=clock.now())


async def test_a_wrong_verifier_gives_no_tokens(
    served: tuple[str, FakeX], clock: ManualClock
) -> None:
    url, fake = served
    fields = {"client_id": "app", "client_secret": SECRET, "api_url": url, "site_url": url}
    code = fake.allow(client_id="app", redirect_uri="https://shop.example", challenge="other")
    async with aiohttp.ClientSession() as http:
        with pytest.raises(NeedsAttention):
            await exchange(
                http,
                X.oauth,
                fields,
                code=code,
                verifier="mine",
                redirect_uri="https://shop.example",
                now=clock.now(),
            )


async def test_no_token_reaches_a_log_though_tweepy_writes_headers(
    served: tuple[str, FakeX],
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "tweepy.asynchronous.client")
    async with _opened(served[0], clock) as poster:
        await poster.publish(_post(clock, "Hello", _image()))
        assert TOKEN_PREFIX not in caplog.text
        held_back: list[str] = []

        def hold_back(record: logging.LogRecord) -> bool:
            held_back.append(record.getMessage())
            return False

        tweepys = logging.getLogger("tweepy.asynchronous.client")
        monkeypatch.setattr(tweepys, "filters", [hold_back])
        await poster.diagnose()
        assert TOKEN_PREFIX in held_back[0], "tweepy no longer writes them; the filter may go"


# What people see


async def test_a_paid_partnership_is_declared(
    poster: XPoster, fake: FakeX, clock: ManualClock
) -> None:
    await poster.publish(replace(_post(clock, "#ad New mugs"), is_paid_partnership=True))
    await poster.publish(_post(clock, "Old mugs"))
    assert [one.is_paid_partnership for one in fake.posts.values()] == [True, False]


async def test_what_x_accepts_and_does_not_show_is_not_there(
    poster: XPoster, fake: FakeX, clock: ManualClock
) -> None:
    fake.fault("shows_nothing")
    receipt = await poster.publish(_post(clock, "Hello"))
    assert await poster.exists([receipt.remote_id]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Tea & mugs <3 -> now",
        "Live at 20:00 https://shop.example/s/1?utm_source=x&copy=2&lt=3#top #mugs",
        "https://shop.example/ and https://shop.example/b",
        "All mugs at example.com/Mugs today",
        "Gru\u0308\u00dfe aus Ko\u0308ln",  # decomposed, as some keyboards write
        "Line one\n\nLine two \U0001f469\u200d\U0001f467",
    ],
)
@pytest.mark.parametrize("pictures", [0, 2])
async def test_our_own_post_is_recognised_as_x_gives_it_back(
    poster: XPoster, clock: ManualClock, text: str, pictures: int
) -> None:
    images = [_image()] * pictures
    sent = _post(clock, text, *images)
    receipt = await poster.publish(sent)
    await poster.publish(_post(clock, f"{text} tomorrow", *images))
    assert await poster.find(sent) == receipt
    assert await poster.find(_post(clock, f"{text}, too")) is None


async def test_an_older_post_with_the_same_text_is_not_this_one(
    poster: XPoster, clock: ManualClock
) -> None:
    await poster.publish(_post(clock, "We are live"))
    clock.advance(timedelta(days=1))
    assert await poster.find(_post(clock, "We are live")) is None


async def test_a_post_is_found_behind_a_hundred_later_ones(
    poster: XPoster, fake: FakeX, clock: ManualClock
) -> None:
    first = _post(clock, "The first")
    receipt = await poster.publish(first)
    for number in range(150):
        fake.store(f"Later {number}", [], is_paid_partnership=False)
    assert await poster.find(first) == receipt
    assert await poster.exists([*fake.posts, "1"]) == list(fake.posts)


# Refused


async def test_a_text_that_was_posted_already_has_to_be_changed(
    poster: XPoster, clock: ManualClock
) -> None:
    await poster.publish(_post(clock, "Hello"))
    with pytest.raises(SkipListing, match="already") as caught:
        await poster.publish(_post(clock, "Hello"))
    assert caught.value.field == "text"


async def test_used_up_credits_ask_for_attention(
    poster: XPoster, fake: FakeX, clock: ManualClock
) -> None:
    fake.fault("no_credits")
    with pytest.raises(NeedsAttention, match="credits"):
        await poster.publish(_post(clock, "Hello"))


@pytest.mark.parametrize(
    ("images", "said"),
    [([_image()] * 5, "4 pictures"), ([_image(b"\xff" * 5_000_001)], "5000001 bytes")],
)
async def test_pictures_that_x_would_refuse_are_not_sent(
    poster: XPoster, fake: FakeX, clock: ManualClock, images: list[PostImage], said: str
) -> None:
    with pytest.raises(SkipListing, match=said) as caught:
        await poster.publish(_post(clock, "Hello", *images))
    assert caught.value.field == "images"
    assert fake.requests == []


async def test_a_post_without_a_description_of_its_picture_asks_for_none(
    poster: XPoster, fake: FakeX, clock: ManualClock
) -> None:
    await poster.publish(_post(clock, "Hello", _image(alt="")))
    assert fake.requests == ["POST /2/media/upload", "POST /2/tweets"]


# Days on which something else than X answers


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, b"<html>Sign in to the hotel</html>", "text/html"),
        (201, b"{}", "application/json"),
        (201, b'{"data": [1]}', "application/json"),
        (502, b"<html>Bad gateway</html>", "text/html"),
        (503, b"", "application/json"),
        (500, b'{"errors": "no"}', "application/json"),
    ],
)
async def test_an_answer_that_says_nothing_leaves_the_outcome_open(
    clock: ManualClock, status: int, body: bytes, content_type: str
) -> None:
    async with (
        _stub(lambda _: web.Response(body=body, status=status, content_type=content_type)) as url,
        _opened(url, clock) as poster,
    ):
        with pytest.raises(OutcomeUnknown):
            await poster.publish(_post(clock, "Hello"))


async def test_what_could_not_be_sent_was_not_posted(clock: ManualClock) -> None:
    async with _stub(lambda _: web.Response()) as url:
        pass
    async with _opened(url, clock) as poster:
        with pytest.raises(RetryLater) as caught:
            await poster.publish(_post(clock, "Hello"))
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_daily_limit_is_waited_for(clock: ManualClock) -> None:
    soon, tomorrow = (
        str(int((clock.now() + wait).timestamp()))
        for wait in (timedelta(minutes=10), timedelta(hours=9))
    )
    headers = {
        "x-rate-limit-reset": soon,
        "x-user-limit-24hour-remaining": "0",
        "x-user-limit-24hour-reset": tomorrow,
        "x-app-limit-24hour-remaining": "7",
        "x-app-limit-24hour-reset": "nonsense",
    }
    async with (
        _stub(lambda _: web.json_response({}, status=429, headers=headers)) as url,
        _opened(url, clock) as poster,
    ):
        with pytest.raises(RetryLater) as caught:
            await poster.publish(_post(clock, "Hello"))
    assert caught.value.after == 9 * 3600


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "passed over"])
async def test_posts_are_found_where_x_knows_the_older_name_of_their_fields(
    clock: ManualClock, is_refused: bool
) -> None:
    """The specification calls them post.fields, the guides tweet.fields."""

    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/me"):
            return web.json_response({"data": {"id": "7"}})
        told = {"id": "12", "text": "Look https://t.co/a"}
        if "tweet.fields" in request.query:
            url = {"url": "https://t.co/a", "expanded_url": "https://shop.example/s/1"}
            told |= {"created_at": "2026-11-21T19:00:00Z", "entities": {"urls": [url]}}
        elif is_refused:
            detail = "The query parameter [post.fields] is not one of [id, tweet.fields]"
            return web.json_response({"detail": detail}, status=400)
        return web.json_response({"data": [told]})

    async with _stub(answer) as url, _opened(url, clock) as poster:
        found = await poster.find(_post(clock, "Look https://shop.example/s/1"))
        assert found is not None
        assert found.remote_id == "12"
        assert await poster.find(_post(clock, "Look")) is None


async def test_posts_that_cannot_be_recognised_are_not_said_to_be_missing(
    clock: ManualClock,
) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/me"):
            return web.json_response({"data": {"id": "7"}})
        return web.json_response({"data": [{"id": "12", "text": "Look https://t.co/a"}]})

    async with _stub(answer) as url, _opened(url, clock) as poster:
        with pytest.raises(RetryLater):
            await poster.find(_post(clock, "Look https://shop.example/s/1"))


# Costs and counts


async def test_a_link_costs_thirteen_times_as_much_and_the_merchant_is_told(
    poster: XPoster, clock: ManualClock
) -> None:
    plain = poster.cost(_post(clock, "Hello"))
    linked = poster.cost(_post(clock, "Hello https://shop.example/s/1"))
    assert (plain.milli_cents, linked.milli_cents) == (1500, 20_000)
    assert "$0.015" in plain.words
    assert "$0.200" in linked.words
    assert "$0.015" in linked.words


async def test_describing_pictures_costs_too(poster: XPoster, clock: ManualClock) -> None:
    cost = poster.cost(_post(clock, "Hello", _image(), _image(), _image(alt="")))
    assert cost.milli_cents == 1500 + 2 * 500
    assert "$0.025" in cost.words
    assert "$0.010" in cost.words


@pytest.mark.parametrize(
    "text",
    [
        "Plain words",
        "Grüße, 49,90 €",
        "日本語のテキスト",
        "\U0001f469\u200d\U0001f467 and \U0001f1e9\U0001f1ea",
        "Look https://example.com/a/very/long/way/to/a/mug?utm_source=x now",
    ],
)
def test_the_fake_counts_as_we_do(text: str) -> None:
    assert weight(text) == measure(text, "x_weighted")


@asynccontextmanager
async def _stub(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with serve(app) as url:
        yield url
