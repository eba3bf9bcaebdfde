"""Requests of connectors: each way to fail becomes the error that says what is next."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from fakes.serving import serve

from liveshop.connect import (
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Secret,
    SkipListing,
)
from liveshop.connect.contract import ContractTokens, kit_for
from liveshop.connect.http import Answer, call, call_authorised, error_of, retry_after, scrub
from liveshop.kernel.clock import ManualClock

pytestmark = pytest.mark.tells_secrets("url")

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
TOKEN = "tok/en+4711"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Vendor:
    """Answers as the test says, and counts."""

    def __init__(self) -> None:
        self.answer: Handler = self._ok
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def _ok(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.answer(request)

    def says(self, status: int, body: Any = None, **headers: str) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.json_response(body, status=status, headers=named)

        self.answer = answer


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
async def url(vendor: Vendor) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vendor.handle)
    async with serve(app) as base:
        yield f"{base}/things?access_token={TOKEN}"


@pytest.fixture
async def kit(clock: ManualClock) -> AsyncIterator[Kit]:
    async with kit_for(clock=clock, tokens=ContractTokens()) as opened:
        yield opened


async def ask(kit: Kit, method: str, url: str, **more: Any) -> Answer:
    more.setdefault("secrets", (Secret(TOKEN),))
    return await call(kit.http, method, url, who="Toy", clock=kit.clock, **more)


async def test_an_answer_is_whole_and_its_headers_are_found_in_any_case(
    kit: Kit, vendor: Vendor, url: str
) -> None:
    vendor.says(201, {"größe": 1}, X_Count="7")
    answer = await ask(kit, "POST", url, json={"n": [1]}, headers={"X-Own": "a"})
    assert (answer.status, answer.is_success, answer.json()) == (201, True, {"größe": 1})
    assert answer.headers["x-count"] == "7"
    assert vendor.bodies == [b'{"n":[1]}']
    assert vendor.requests[0].content_type == "application/json"
    assert vendor.requests[0].headers["Accept"] == "application/json"
    assert vendor.requests[0].headers["X-Own"] == "a"


async def test_a_redirect_is_not_followed(kit: Kit, vendor: Vendor, url: str) -> None:
    vendor.says(302, None, Location="http://127.0.0.1:1/elsewhere")
    assert (await ask(kit, "GET", url)).status == 302
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("status", "method", "kind"),
    [
        (400, "POST", SkipListing),
        (404, "GET", SkipListing),
        (422, "PUT", SkipListing),
        (401, "POST", NeedsAttention),
        (402, "POST", NeedsAttention),
        (403, "GET", NeedsAttention),
        (408, "POST", RetryLater),
        (425, "POST", RetryLater),
        (429, "POST", RetryLater),
        (500, "GET", RetryLater),
        (503, "PUT", RetryLater),
        (500, "POST", OutcomeUnknown),
        (502, "PATCH", OutcomeUnknown),
    ],
)
async def test_a_status_says_what_to_do_next(
    kit: Kit, vendor: Vendor, url: str, status: int, method: str, kind: type[Exception]
) -> None:
    vendor.says(status, {"error": {"message": f"The token {TOKEN} of ada@shop.example is odd"}})
    with pytest.raises(kind) as caught:
        await ask(kit, method, url)
    assert type(caught.value) is kind
    told = f"{caught.value} {caught.value!r}"
    assert "The token … of … is odd" in told
    assert str(status) in told
    assert len(vendor.requests) == 1, "it repeated by itself"


async def test_a_status_that_is_asked_for_passes(kit: Kit, vendor: Vendor, url: str) -> None:
    vendor.says(409, {"why": "exists"})
    assert (await ask(kit, "POST", url, passes={409})).json() == {"why": "exists"}


async def test_what_the_caller_knows_to_be_repeatable_is_never_of_unknown_outcome(
    kit: Kit, vendor: Vendor, url: str
) -> None:
    vendor.says(500)
    with pytest.raises(RetryLater) as caught:
        await ask(kit, "POST", url, is_repeatable=True)
    assert type(caught.value) is RetryLater
    with pytest.raises(OutcomeUnknown):
        await ask(kit, "GET", url, is_repeatable=False)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sat, 21 Nov 2026 19:02:00 GMT", 120.0),
        ("Saturday, 21-Nov-26 19:02:00 GMT", 120.0),
        ("Sat, 21 Nov 2026 18:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 20:02:00 +0100", 120.0),
        ("soon", None),
        ("-5", None),
        ("١٧", None),
        ("Sat, 99 Nov 2026 19:02:00 GMT", None),
        ("", None),
    ],
)
async def test_the_time_to_wait_is_read_in_seconds_or_as_a_date(
    kit: Kit, vendor: Vendor, url: str, value: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds
    if not value.isascii():
        return
    for status in (429, 503):
        vendor.says(status, None, Retry_After=value)
        with pytest.raises(RetryLater) as caught:
            await ask(kit, "POST", url)
        assert caught.value.after == seconds


async def test_without_a_header_there_is_no_time() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(("method", "kind"), [("GET", RetryLater), ("POST", OutcomeUnknown)])
async def test_half_an_answer_is_none(
    kit: Kit, vendor: Vendor, url: str, method: str, kind: type[Exception]
) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"id": 1')
        assert request.transport is not None
        request.transport.close()
        return response

    vendor.answer = half
    with pytest.raises(kind) as caught:
        await ask(kit, method, url)
    assert type(caught.value) is kind
    assert len(vendor.requests) == 1


async def test_half_of_an_error_is_still_that_error(kit: Kit, vendor: Vendor, url: str) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=429, headers={"Content-Length": "100"})
        response.headers["Retry-After"] = "9"
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    vendor.answer = half
    with pytest.raises(RetryLater) as caught:
        await ask(kit, "POST", url)
    assert type(caught.value) is RetryLater
    assert caught.value.after == 9


@pytest.mark.parametrize(("method", "kind"), [("PUT", RetryLater), ("POST", OutcomeUnknown)])
async def test_a_connection_closed_without_an_answer(
    kit: Kit, vendor: Vendor, url: str, method: str, kind: type[Exception]
) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    vendor.answer = gone
    with pytest.raises(kind) as caught:
        await ask(kit, method, url)
    assert type(caught.value) is kind


@pytest.mark.parametrize(("method", "kind"), [("GET", RetryLater), ("POST", OutcomeUnknown)])
async def test_no_answer_in_time(
    kit: Kit, vendor: Vendor, url: str, method: str, kind: type[Exception]
) -> None:
    never = asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    vendor.answer = late
    with pytest.raises(kind, match="in time") as caught:
        await ask(kit, method, url, timeout_seconds=0.05)
    assert type(caught.value) is kind
    never.set()


async def test_what_cannot_be_reached_had_no_effect(kit: Kit) -> None:
    with pytest.raises(RetryLater, match="cannot be reached") as caught:
        await ask(kit, "POST", f"http://127.0.0.1:1/x?access_token={TOKEN}")
    assert type(caught.value) is RetryLater


@pytest.mark.parametrize(
    "address", ["not an address", "ftp://toy.example/", "http://", "http://[x"]
)
async def test_an_address_that_is_none_is_for_the_merchant_to_correct(
    kit: Kit, address: str
) -> None:
    with pytest.raises(NeedsAttention, match="not a web address"):
        await ask(kit, "GET", address)


async def test_no_error_and_no_cause_of_it_holds_a_token(
    kit: Kit, vendor: Vendor, url: str
) -> None:
    vendor.says(400, {"detail": f"no: {url}"})
    for address in (url, url.replace("http", "no-http"), f"http://127.0.0.1:1/{TOKEN}"):
        with pytest.raises(Exception, match="Toy") as caught:
            await ask(kit, "GET", address)
        chain: BaseException | None = caught.value
        assert "Traceback" not in str(chain)
        assert TOKEN not in f"{chain} {chain!r} {chain.__cause__!r}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_an_answer_without_end_is_given_up_and_not_kept(
    kit: Kit, vendor: Vendor, url: str
) -> None:
    async def bomb(request: web.Request) -> web.StreamResponse:
        packed = gzip.compress(b"0" * 5_000_000)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    vendor.answer = bomb
    with pytest.raises(RetryLater, match="more than 64 KB"):
        await ask(kit, "GET", url, max_body=65_536)


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"a"', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_is_told_in_words(body: bytes) -> None:
    with pytest.raises(RetryLater, match="cannot be read") as caught:
        Answer(200, {}, body, "Toy").json()
    assert type(caught.value) is RetryLater
    with pytest.raises(OutcomeUnknown):
        Answer(200, {}, body, "Toy", is_repeatable=False).json()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "Bad page", "code": 100}}', "Bad page"),
        (b'{"title": "Forbidden", "detail": "No such scope"}', "No such scope"),
        (b'{"errors": [{"message": "one"}, {"message": "two"}]}', "one"),
        (b'{"error": "invalid", "error_description": "Long ago"}', "Long ago"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "many\\n  lines"}', "many lines"),
        (b'{"message": ' * 40 + b'"deep"' + b"}" * 40, ""),
        (b'"just a text"', ""),
        (b"<h1>Error</h1>", ""),
    ],
)
def test_the_words_of_an_error_are_found(body: bytes, words: str) -> None:
    error = error_of(Answer(400, {}, body, "Toy"), NOW)
    assert str(error) == (f"Toy answered 400: {words}." if words else "Toy answered 400.")


def test_long_words_are_cut() -> None:
    error = error_of(Answer(400, {}, b'{"message": "' + b"x" * 9000 + b'"}', "Toy"), NOW)
    assert len(str(error)) < 400


def test_a_secret_is_scrubbed_however_it_is_written() -> None:
    text = "a tok/en+4711 b tok%2Fen%2B4711 c tok/en%2B4711 d"
    assert scrub(text, [Secret(TOKEN), ""]) == "a … b … c … d"
    assert scrub("abcabc abc", ["abc", "abcabc"]) == "… …"


# With the connection's token


async def test_a_refused_token_is_renewed_once(kit: Kit, vendor: Vendor, url: str) -> None:
    async def only_second(request: web.Request) -> web.StreamResponse:
        is_new = request.headers["Authorization"] == "Bearer contract-token-2"
        return web.json_response({}, status=200 if is_new else 401)

    vendor.answer = only_second
    answer = await call_authorised(kit, "POST", url, who="Toy", json={"n": 1})
    assert answer.status == 200
    assert vendor.bodies == [b'{"n":1}'] * 2


async def test_a_token_refused_twice_needs_a_person(kit: Kit, vendor: Vendor, url: str) -> None:
    vendor.says(401, {"message": "bad contract-token-2"})
    for passes in (set[int](), {401, 404}):
        with pytest.raises(NeedsAttention) as caught:
            await call_authorised(kit, "GET", url, who="Toy", passes=passes)
        assert "contract-token" not in str(caught.value)
        assert "Authorise it again" in str(caught.value)
