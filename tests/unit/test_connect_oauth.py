"""OAuth against a server that rotates refresh tokens and ends everything when one comes twice."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import aiohttp
import pytest
import structlog
from aiohttp import web
from fakes.serving import serve

from liveshop.connect import NeedsAttention, OAuth, RetryLater
from liveshop.connect.oauth import MARGIN, TokenKeeper, Tokens, begin, exchange, refresh
from liveshop.kernel.clock import ManualClock

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
BACK = "https://shop.example/api/connections/callback"
FIELDS = {"client_id": "id/1 ü", "client_secret": "s3cr:et&+", "shop": "mugs&co"}


@dataclass
class Server:
    """Gives tokens that live an hour; a refresh token counts once, and its second use ends all."""

    code: str = "code-1"
    challenge: str = ""
    auth: str = "basic"
    number: int = 0
    live_refresh: str | None = None
    spent: set[str] = field(default_factory=set)
    is_revoked: bool = False
    rotates: bool = True
    fault: web.Response | None = None
    forms: list[dict[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    expires_in: Any = 3600

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/{shop}/token", self._token)])
        return app

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            return web.Response(
                status=self.fault.status, body=self.fault.body, headers=self.fault.headers
            )
        if not self._knows_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "authorization_code":
            proof = hashlib.sha256(form["code_verifier"].encode()).digest()
            is_right = base64.urlsafe_b64encode(proof).decode().rstrip("=") == self.challenge
            if not is_right or form["code"] != self.code or form["redirect_uri"] != BACK:
                return web.json_response({"error": "invalid_grant"}, status=400)
            self.code = ""
            return self._give()
        if form["refresh_token"] in self.spent:
            self.is_revoked = True  # somebody has stolen it
        if self.is_revoked or form["refresh_token"] != self.live_refresh:
            words = f"Token {form['refresh_token']} is not valid"
            return web.json_response(
                {"error": "invalid_grant", "error_description": words}, status=400
            )
        if self.rotates:
            self.spent.add(form["refresh_token"])
        return self._give()

    def _knows_client(self, request: web.Request, form: dict[str, str]) -> bool:
        if self.auth == "basic":
            kind, _, pair = request.headers.get("Authorization", "").partition(" ")
            given = base64.b64decode(pair).decode().split(":") if kind == "Basic" else []
            wanted = [FIELDS["client_id"], FIELDS["client_secret"]]
            return [unquote_plus(one) for one in given] == wanted
        if "Authorization" in request.headers or form.get("client_id") != FIELDS["client_id"]:
            return False
        return self.auth == "public" or form.get("client_secret") == FIELDS["client_secret"]

    def _give(self) -> web.Response:
        self.number += 1
        answer = {"access_token": f"access-{self.number}", "token_type": "bearer", "scope": "a b"}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if self.rotates or self.live_refresh is None:
            self.live_refresh = f"refresh-{self.number}"
            answer["refresh_token"] = self.live_refresh
        return web.json_response(answer)


class Store:
    """One for all keepers, as a database is. `events` tells in which order things happened."""

    def __init__(self, tokens: Tokens | None) -> None:
        self.tokens = tokens
        self.events: list[str] = []
        self.is_down = False
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        assert self._lock.locked()
        return self.tokens

    async def save(self, tokens: Tokens) -> None:
        assert self._lock.locked()
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError("the disk is full")
        self.tokens = tokens
        self.events.append(f"saved {tokens.access_token}")

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        async with self._lock:
            yield


@pytest.fixture
def server() -> Server:
    return Server(live_refresh="refresh-0")


@pytest.fixture
async def oauth(server: Server) -> AsyncIterator[OAuth]:
    async with serve(server.app()) as url:
        yield OAuth("https://login.example/go?x=1", f"{url}/{{shop}}/token", ("posts.write", "b"))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def store() -> Store:
    """With a token that has just run out."""
    return Store(Tokens("access-0", "refresh-0", NOW, "a b"))


@pytest.fixture
def keeper(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock
) -> TokenKeeper:
    return TokenKeeper(oauth, FIELDS, store, http, clock)


# Authorise


def test_the_address_to_authorise_at_holds_a_challenge_and_never_its_verifier(oauth: OAuth) -> None:
    oauth = replace(oauth, extra_params=(("access_type", "offline"),))
    url, verifier = begin(oauth, FIELDS, redirect_uri=BACK, state="st at&e")
    query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    assert query == {
        "x": "1",
        "response_type": "code",
        "client_id": FIELDS["client_id"],
        "redirect_uri": BACK,
        "state": "st at&e",
        "scope": "posts.write b",
        "code_challenge": digest.decode().rstrip("="),
        "code_challenge_method": "S256",
        "access_type": "offline",
    }
    assert 43 <= len(verifier) <= 128
    assert verifier not in url
    assert FIELDS["client_secret"] not in url
    assert begin(oauth, FIELDS, redirect_uri=BACK, state="s")[1] != verifier


def test_addresses_are_filled_from_the_configuration() -> None:
    oauth = OAuth("{base_url}/authorize", "https://{shop}.example/token", ())
    fields = {"client_id": "c", "base_url": "http://127.0.0.1:8/", "shop": "a/b"}
    url, _ = begin(oauth, fields, redirect_uri=BACK, state="s")
    assert url.startswith("http://127.0.0.1:8/authorize?response_type=code")
    assert "scope=" not in url
    oauth = OAuth("https://x.example/{shop}/authorize", "", ())
    url, _ = begin(oauth, fields, redirect_uri=BACK, state="s")
    assert url.startswith("https://x.example/a%2Fb/authorize?")


def test_an_address_that_cannot_be_filled_is_told() -> None:
    oauth = OAuth("{base_url}/authorize", "https://x.example/token", ())
    with pytest.raises(NeedsAttention, match="has no base_url"):
        begin(oauth, {"client_id": "c"}, redirect_uri=BACK, state="s")


def test_without_a_client_id_the_merchant_is_told(oauth: OAuth) -> None:
    with pytest.raises(NeedsAttention, match="client_id"):
        begin(oauth, {"client_id": ""}, redirect_uri=BACK, state="s")


@pytest.mark.parametrize("auth", ["basic", "body", "public"])
async def test_a_code_is_exchanged_for_tokens_once(
    server: Server, oauth: OAuth, http: aiohttp.ClientSession, auth: str
) -> None:
    server.auth = auth
    fields = dict(FIELDS)
    if auth == "public":
        fields["client_secret"] = ""
    oauth = replace(oauth, client_auth="basic" if auth != "body" else "body")
    url, verifier = begin(oauth, fields, redirect_uri=BACK, state="s")
    server.challenge = parse_qs(urlsplit(url).query)["code_challenge"][0]

    async def once() -> Tokens:
        return await exchange(
            http, oauth, fields, code="code-1", verifier=verifier, redirect_uri=BACK, now=NOW
        )

    assert await once() == Tokens("access-1", "refresh-1", NOW + timedelta(hours=1), "a b")
    with pytest.raises(NeedsAttention) as caught:
        await once()
    assert verifier not in str(caught.value)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(3600, 3600), ("3600", 3600), (None, None), (0, None), ("soon", None), (10**20, None)],
)
async def test_the_end_of_a_token_is_read_however_it_is_written(
    server: Server, oauth: OAuth, http: aiohttp.ClientSession, expires_in: Any, seconds: int | None
) -> None:
    server.expires_in = expires_in
    tokens = await refresh(http, oauth, FIELDS, Tokens("a", "refresh-0"), now=NOW)
    assert tokens.expires_at == (None if seconds is None else NOW + timedelta(seconds=seconds))


def test_no_text_shows_a_token() -> None:
    assert "hunter2" not in repr(Tokens("hunter2", "hunter2", NOW, "scope"))


# Refresh


async def test_a_fresh_token_is_used_as_it_is(
    keeper: TokenKeeper, store: Store, server: Server, clock: ManualClock
) -> None:
    store.tokens = Tokens("access-0", "refresh-0", NOW + MARGIN + timedelta(seconds=1))
    assert await keeper.access_token() == "access-0"
    assert await keeper.access_token() == "access-0"
    assert server.forms == []
    clock.advance(timedelta(seconds=2))  # still valid, but too close to its end
    assert await keeper.access_token() == "access-1"


async def test_a_token_without_an_end_is_used_until_it_is_refused(
    keeper: TokenKeeper, store: Store, clock: ManualClock
) -> None:
    store.tokens = Tokens("access-0", "refresh-0", None)
    clock.advance(timedelta(days=400))
    assert await keeper.access_token() == "access-0"
    assert await keeper.renewed("access-0") == "access-1"
    assert await keeper.renewed("access-0") == "access-1", "it was renewed meanwhile"


async def test_the_rotated_token_is_stored_before_the_new_one_is_given_out(
    keeper: TokenKeeper, store: Store
) -> None:
    store.events.append(f"got {await keeper.access_token()}")
    assert store.events == ["saved access-1", "got access-1"]
    assert store.tokens == Tokens("access-1", "refresh-1", NOW + timedelta(hours=1), "a b")


async def test_a_refresh_token_that_does_not_rotate_is_kept(
    keeper: TokenKeeper, store: Store, server: Server, clock: ManualClock
) -> None:
    server.rotates = False
    for number in (1, 2):
        assert await keeper.access_token() == f"access-{number}"
        assert store.tokens is not None
        assert store.tokens.refresh_token == "refresh-0"
        clock.advance(timedelta(hours=2))


async def test_many_who_ask_at_once_cause_one_refresh(keeper: TokenKeeper, server: Server) -> None:
    got = await asyncio.gather(
        *(keeper.access_token() for _ in range(10)),
        *(keeper.renewed("access-0") for _ in range(10)),
    )
    assert set(got) == {"access-1"}
    assert len(server.forms) == 1


async def test_two_processes_do_not_use_one_refresh_token_twice(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock, server: Server
) -> None:
    keepers = [TokenKeeper(oauth, FIELDS, store, http, clock) for _ in range(4)]
    for number in (1, 2, 3):
        got = await asyncio.gather(*(keeper.access_token() for keeper in keepers))
        assert set(got) == {f"access-{number}"}
        assert len(server.forms) == number
        clock.advance(timedelta(hours=1))
    assert not server.is_revoked


async def test_the_server_of_these_tests_notices_a_token_used_twice(
    oauth: OAuth, http: aiohttp.ClientSession, server: Server
) -> None:
    old = Tokens("access-0", "refresh-0")
    new = await refresh(http, oauth, FIELDS, old, now=NOW)
    for tokens in (old, new):
        with pytest.raises(NeedsAttention):
            await refresh(http, oauth, FIELDS, tokens, now=NOW)


async def test_a_token_refused_here_but_renewed_elsewhere_is_not_renewed_again(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock, server: Server
) -> None:
    ours, theirs = (TokenKeeper(oauth, FIELDS, store, http, clock) for _ in range(2))
    assert await ours.access_token() == "access-1"
    assert await theirs.renewed("access-1") == "access-2"
    assert await ours.renewed("access-1") == "access-2"
    assert len(server.forms) == 2


async def test_a_process_that_dies_after_storing_has_lost_nothing(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock, server: Server
) -> None:
    class Killed(BaseException):
        pass

    class Dying(Store):
        async def save(self, tokens: Tokens) -> None:
            await super().save(tokens)
            raise Killed

    dying = Dying(store.tokens)
    with pytest.raises(Killed):
        await TokenKeeper(oauth, FIELDS, dying, http, clock).access_token()
    after = Store(dying.tokens)
    restarted = TokenKeeper(oauth, FIELDS, after, http, clock)
    assert await restarted.access_token() == "access-1"
    clock.advance(timedelta(hours=1))
    assert await restarted.access_token() == "access-2"
    assert not server.is_revoked


async def test_a_process_that_dies_before_storing_needs_a_person_and_says_so(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock
) -> None:
    """Between the vendor's answer and our disk nothing can be done; but it ends in words."""
    assert store.tokens is not None
    await refresh(http, oauth, FIELDS, store.tokens, now=NOW)  # and gone
    with pytest.raises(NeedsAttention, match="Authorise the connection again"):
        await TokenKeeper(oauth, FIELDS, store, http, clock).access_token()


async def test_what_could_not_be_stored_is_not_used_and_stored_when_that_works_again(
    keeper: TokenKeeper, store: Store, server: Server, clock: ManualClock
) -> None:
    store.is_down = True
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            await keeper.access_token()
    assert len(server.forms) == 1, "the old refresh token was used a second time"
    store.is_down = False
    assert await keeper.access_token() == "access-1"
    assert store.tokens is not None
    assert store.tokens.refresh_token == "refresh-1"
    clock.advance(timedelta(hours=1))
    assert await keeper.access_token() == "access-2"
    assert not server.is_revoked


async def test_a_new_authorisation_is_not_overwritten_by_what_could_not_be_stored(
    keeper: TokenKeeper, store: Store
) -> None:
    store.is_down = True
    with pytest.raises(OSError, match="disk"):
        await keeper.access_token()
    store.is_down = False
    store.tokens = Tokens("authorised-anew", "refresh-x", NOW + timedelta(hours=1))
    assert await keeper.access_token() == "authorised-anew"
    assert store.events == []


async def test_who_gives_up_waiting_does_not_break_off_the_refresh(
    keeper: TokenKeeper, store: Store, server: Server
) -> None:
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(keeper.access_token())
    while not server.forms:
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    server.gate.set()
    assert await keeper.access_token() == "access-1"
    assert len(server.forms) == 1
    assert store.events == ["saved access-1"]


# When it does not work


async def test_a_withdrawn_authorisation_needs_a_person(
    keeper: TokenKeeper, server: Server
) -> None:
    server.is_revoked = True
    with pytest.raises(NeedsAttention) as caught:
        await keeper.access_token()
    told = str(caught.value)
    assert "Authorise the connection again" in told
    assert "is not valid" in told
    assert "refresh-0" not in told


async def test_a_connection_that_was_never_authorised_needs_a_person(
    keeper: TokenKeeper, store: Store
) -> None:
    store.tokens = None
    with pytest.raises(NeedsAttention, match="not authorised yet"):
        await keeper.access_token()


async def test_without_a_refresh_token_the_end_needs_a_person(
    keeper: TokenKeeper, store: Store, server: Server
) -> None:
    store.tokens = Tokens("access-0", None, NOW)
    with pytest.raises(NeedsAttention, match="has run out"):
        await keeper.access_token()
    assert server.forms == []


async def test_a_vendor_that_gives_the_refused_token_again_is_not_asked_for_ever(
    keeper: TokenKeeper, server: Server
) -> None:
    server.fault = web.json_response({"access_token": "access-0", "expires_in": 3600})
    with pytest.raises(NeedsAttention, match="the same access token"):
        await keeper.renewed("access-0")
    assert len(server.forms) == 1


async def test_wrong_client_credentials_are_told(
    oauth: OAuth, store: Store, http: aiohttp.ClientSession, clock: ManualClock
) -> None:
    wrong = {**FIELDS, "client_secret": "wr0ng-secret"}
    with pytest.raises(NeedsAttention, match="client id or its secret") as caught:
        await TokenKeeper(oauth, wrong, store, http, clock).access_token()
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("response", "kind", "after"),
    [
        (web.Response(status=500), RetryLater, None),
        (web.Response(status=503, headers={"Retry-After": "30"}), RetryLater, 30),
        (web.Response(status=429, headers={"Retry-After": "7"}), RetryLater, 7),
        (web.Response(status=408), RetryLater, None),
        (web.Response(status=200, body=b"<html>maintenance"), RetryLater, None),
        (web.Response(status=400, body=b'{"error": "temporarily_unavailable"}'), RetryLater, None),
        (web.Response(status=200, body=b'{"error": "bad_refresh_token"}'), NeedsAttention, None),
        (web.Response(status=400, body=b'{"error": {"message": "x", "type": "OAuthException"}}'),
         NeedsAttention, None),
        (web.Response(status=404), NeedsAttention, None),
        (web.Response(status=200, body=b'{"access_token": ""}'), RetryLater, None),
        (web.Response(status=200, body=b"[1]"), RetryLater, None),
    ],
)  # fmt: skip
async def test_an_answer_without_a_token_says_what_is_next(
    keeper: TokenKeeper,
    server: Server,
    store: Store,
    response: web.Response,
    kind: type[Exception],
    after: float | None,
) -> None:
    server.fault = response
    before = store.tokens
    with pytest.raises(kind) as caught:
        await keeper.access_token()
    assert type(caught.value) is kind
    assert getattr(caught.value, "after", None) == after
    assert store.tokens == before
    server.fault = None
    assert await keeper.access_token() == "access-1"


async def test_nothing_is_logged(keeper: TokenKeeper, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with structlog.testing.capture_logs() as logs:
        token = await keeper.access_token()
    told = f"{logs} {caplog.text}"
    for secret in (token, "refresh-0", "refresh-1", FIELDS["client_secret"]):
        assert secret not in told
