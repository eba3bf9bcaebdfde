"""Bad input and bad days: one clear answer with a code and what to do; nothing lost, no 500.

A fault nobody foresaw would be logged with its traceback, and `log` fails the test it happens in.
"""

import ctypes
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import jwt
import pytest
from builders import Answer, Api

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.shows import wire as shows_wire

NOTHING = "0" * 26
JSON = "application/json"


@pytest.fixture
async def admin(api: Api, shop: Liveshop) -> Api:
    """On both databases, for what may reach them."""
    return api.with_token(await builders.staff_key(shop, "admin"))


@pytest.fixture
async def site_admin(site: Api, site_shop: Liveshop) -> Api:
    return site.with_token(await builders.staff_key(site_shop, "admin"))


def said(answer: Answer) -> tuple[int, str]:
    """(status, code) of a problem that has all a problem must have."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem = answer.json
    assert problem["status"] == answer.status
    assert problem["type"] == f"urn:liveshop:{problem['code']}"
    assert problem["title"]
    assert problem["detail"].endswith(".") or problem["detail"].endswith(")"), problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return answer.status, problem["code"]


# -- addresses and methods


async def test_ids_of_nothing_are_named_for_what_they_are_not(admin: Api, api: Api) -> None:
    guest = await api.as_guest()
    body: dict[str, Any] = {
        "title": "Bowl",
        "variants": [{"sku": "B", "list_price": {"amount": 1, "currency": "EUR"}}],
    }
    for caller, method, path, sent, code in (
        (api, "GET", f"/api/shows/shw_{NOTHING}", None, "unknown_show"),
        (api, "GET", f"/api/shows/shw_{NOTHING}/snapshot", None, "unknown_show"),
        (api, "GET", f"/api/shows/shw_{NOTHING}/calendar.ics", None, "unknown_show"),
        (admin, "GET", f"/api/shows/shw_{NOTHING}/numbers", None, "unknown_show"),
        (admin, "PATCH", f"/api/shows/shw_{NOTHING}", {"title": "x"}, "unknown_show"),
        (admin, "POST", f"/api/shows/shw_{NOTHING}/state", {"to": "live"}, "unknown_show"),
        (admin, "PUT", f"/api/shows/shw_{NOTHING}/pin", {"product_id": "p"}, "unknown_show"),
        (admin, "DELETE", f"/api/shows/shw_{NOTHING}/pin", None, "unknown_show"),
        (admin, "POST", "/api/shows", {"title": "x", "product_ids": ["p"]}, "unknown_product"),
        (admin, "POST", "/api/shows", {"title": "x", "cover_id": "m"}, "unknown_media"),
        (api, "GET", f"/api/products/prd_{NOTHING}", None, "unknown_product"),
        (admin, "PUT", f"/api/products/prd_{NOTHING}", body, "unknown_product"),
        (admin, "GET", f"/api/variants/var_{NOTHING}/stock", None, "unknown_variant"),
        (guest, "POST", "/api/cart/lines", {"variant_id": "var_x"}, "unknown_variant"),
        (guest, "DELETE", "/api/cart/lines/lin_x", None, "unknown_line"),
        (guest, "GET", f"/api/orders/ord_{NOTHING}", None, "unknown_order"),
        (admin, "GET", f"/api/orders/ord_{NOTHING}", None, "unknown_order"),
        (admin, "POST", "/api/imports?format=sapphire", None, "unknown_connector"),
        (api, "GET", f"/media/med_{NOTHING}/640.webp", None, "unknown_media"),
    ):
        raw = b"x" if "imports" in path else None
        kind = {"Content_Type": "text/csv"} if raw else {}
        answer = await caller.fetch(method, path, sent, raw=raw, **kind)
        assert said(answer) == (404, code), (method, path, answer.text)


@pytest.mark.parametrize(
    "segment",
    [
        "%00",
        "%FF%FE",
        "%ED%A0%80",
        "%F0%9F%9B%92",
        "..%2F..%2Fetc%2Fpasswd",
        "'%20OR%201=1",
        "%",
        "%2e%2e",
        "a" * 201,
        "%0D%0AX-Injected:%201",
        "\u0660",
    ],
)
async def test_strange_addresses_lead_nowhere(site: Api, site_admin: Api, segment: str) -> None:
    for path in (
        "/api/shows/{}",
        "/api/products/{}",
        "/s/{}",
        "/hls/{}/index.m3u8",
        "/assets/{}",
        "/media/{}/640.webp",
        "/media/med_x/{}",
        "/api/orders/{}",
        "/{}",
        "/hls/shw_x/segment-{}.m4s",
    ):
        answer = await site_admin.fetch("GET", path.format(segment))
        assert answer.status in (400, 404), (path, answer.status)
        assert "X-Injected" not in answer.headers


async def test_an_unknown_address_and_a_wrong_method_say_so(site: Api) -> None:
    assert said(await site.fetch("GET", "/api/nothing")) == (404, "not_found")
    assert said(await site.fetch("GET", "/wp-login.php")) == (404, "not_found")
    answer = await site.fetch("DELETE", "/api/shows")
    assert said(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.json["data"]["allowed"] == answer.headers["Allow"]
    answer = await site.fetch("POST", "/embed.js")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert (await site.fetch("BREW", "/api/shows")).status in (400, 405)


async def test_head_answers_like_get_without_the_body(site: Api, site_shop: Liveshop) -> None:
    show_id = await builders.live_show(site_shop)
    for path in (
        "/",
        f"/s/{show_id}",
        "/api/shows",
        f"/api/shows/{show_id}",
        "/embed.js",
        "/healthz",
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
    ):
        head, get = await site.fetch("HEAD", path), await site.fetch("GET", path)
        assert (head.status, head.body) == (200, b""), path
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert (await site.fetch("HEAD", "/api/cart")).status == 401
    assert (await site.fetch("HEAD", "/s/nothing")).status == 404


# -- bodies


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b"nonsense", 400, "bad_request"),
        (b'{"title": "a"} trailing', 400, "bad_request"),
        (b'{"title": "\xff\xfe"}', 400, "bad_request"),
        (b'{"title": "\xed\xa0\x80"}', 400, "bad_request"),
        (b'{"title": "\\ud800"}', 400, "bad_request"),
        (b'{"title": NaN}', 400, "bad_request"),
        (b"\xef\xbb\xbf{}", 400, "bad_request"),
        (b'{"title": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "invalid"),
        (b'{"title": "a", "starts_at": ' * 8000, 422, "invalid"),
        (b'{"title": "a\\u0000b"}', 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"title": 7}', 422, "invalid"),
        (b'{"title": null}', 422, "invalid"),
        (b'{"title": ""}', 422, "invalid"),
        (b'{"title": "%s"}' % (b"a" * 201), 422, "invalid"),
        (b'{"title": "a", "titel": "b"}', 422, "invalid"),
        (b'{"title": "a", "starts_at": "tomorrow"}', 422, "invalid"),
        (b'{"title": "a", "starts_at": "2026-11-21T19:00:00"}', 422, "invalid"),
        (b'{"title": "a", "starts_at": 1e400}', 422, "invalid"),
        (b'{"title": "a", "languages": []}', 422, "invalid"),
        (b'{"title": "a", "languages": ["tlh"]}', 422, "bad_show"),
        (b'{"title": "a", "time_zone": "Mars/Olympus"}', 422, "bad_show"),
        (b'{"title": "a", "time_zone": "../../etc/passwd"}', 422, "bad_show"),
        (b'{"title": "a", "replay_url": "javascript:alert(1)"}', 422, "bad_show"),
        (b'{"title": "\\u200b\\u202e"}', 422, "bad_text"),
        (b'{"title": "a", "product_ids": ["p", "p"]}', 422, "bad_show"),
    ],
)
async def test_a_body_that_is_wrong_is_told_how(
    site_admin: Api, raw: bytes, status: int, code: str
) -> None:
    answer = await site_admin.fetch("POST", "/api/shows", raw=raw, Content_Type=JSON)
    assert said(answer) == (status, code), answer.text
    _, listed = await site_admin.call("GET", "/api/shows")
    assert listed["shows"] == []


async def test_an_escaped_backslash_before_u0000_is_just_text(admin: Api) -> None:
    raw = rb'{"title": "about \\u0000 in JSON"}'
    answer = await admin.fetch("POST", "/api/shows", raw=raw, Content_Type=JSON)
    assert (answer.status, answer.json["title"]) == (201, r"about \u0000 in JSON")


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("0001-01-01T00:00:00+14:00", 422),
        ("9999-12-31T23:59:59-12:00", 422),
        ("0001-01-01T00:00:00Z", 422),
        ("9999-12-31T23:59:59Z", 422),
        ("2026-11-21T19:00:00+01:00", 201),
    ],
)
async def test_a_moment_at_the_end_of_time_is_refused(
    admin: Api, api: Api, moment: str, status: int
) -> None:
    answer = await admin.fetch("POST", "/api/shows", {"title": "a", "starts_at": moment})
    assert answer.status == status, answer.text
    if status == 422:
        assert said(answer)[1] in ("bad_show", "invalid")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", ";;;"]
)
async def test_a_body_of_another_kind_is_told_which_are_taken(site_admin: Api, kind: str) -> None:
    answer = await site_admin.fetch("POST", "/api/shows", raw=b'{"title": "a"}', Content_Type=kind)
    assert said(answer) == (415, "wrong_media_type")
    assert answer.json["data"]["accepts"] == [JSON]


async def test_a_body_too_large_is_refused_and_the_limit_named(
    site_admin: Api, site_shop: Liveshop
) -> None:
    limit = site_shop.settings.server.max_body_bytes
    large = b'{"title": "' + b"a" * limit + b'"}'

    async def in_pieces() -> Any:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    for raw in (large, in_pieces()):
        answer = await site_admin.fetch("POST", "/api/shows", raw=raw, Content_Type=JSON)
        assert said(answer) == (413, "too_large")
        assert answer.json["data"]["limit"] == limit


async def test_a_compressed_body_is_counted_as_what_it_becomes(
    site_admin: Api, site_shop: Liveshop
) -> None:
    limit = site_shop.settings.server.max_body_bytes
    bomb = zlib.compress(b'{"title": "' + b"a" * 50 * limit + b'"}')
    assert len(bomb) < limit
    for raw, encoding, expected in (
        (bomb, "deflate", (413, "too_large")),
        (b"not compressed", "deflate", (400, "bad_request")),
        (b"not compressed", "gzip", (400, "bad_request")),
    ):
        answer = await site_admin.fetch(
            "POST", "/api/shows", raw=raw, Content_Type=JSON, Content_Encoding=encoding
        )
        assert said(answer) == expected, (encoding, answer.text)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid"),
        ("limit=x", "invalid"),
        ("limit=1e9", "invalid"),
        ("limit=" + "9" * 5000, "invalid"),
        ("lmit=5", "invalid"),
        ("q=%00", "invalid"),
        ("q=a%00b", "invalid"),
        ("q=" + "a" * 201, "invalid"),
        ("cursor=x", "bad_cursor"),
        ("cursor=%F0%9F%9B%92", "bad_cursor"),
    ],
)
async def test_a_query_that_is_wrong_is_told_how(api: Api, query: str, code: str) -> None:
    answer = await api.fetch("GET", f"/api/products?{query}")
    assert said(answer) == (422, code), answer.text


@pytest.mark.parametrize("q", ["%25", "_", "%FF", "%ED%A0%80", "'", "%5C", "%F0%9F%9B%92", "*"])
async def test_a_search_for_signs_finds_what_has_them(api: Api, shop: Liveshop, q: str) -> None:
    await builders.product(shop)
    status, found = await api.call("GET", f"/api/products?q={q}")
    assert (status, found["products"]) == (200, [])


async def test_files_that_are_no_catalog_and_no_picture(admin: Api) -> None:
    feed = await admin.fetch(
        "POST", "/api/imports?format=google_csv", raw=b"a,b\n1,2\n", Content_Type="text/csv"
    )
    assert said(feed) == (422, "wrong_columns")
    feed = await admin.fetch(
        "POST", "/api/imports?format=google_csv", raw=b"\x00\xff\xfe" * 100, Content_Type="text/csv"
    )
    assert said(feed)[0] == 422
    for raw in (b"", b"GIF89a", b"\xff\xd8\xff\xe0 and nothing more", b"<svg/>"):
        picture = await admin.fetch("POST", "/api/media", raw=raw, Content_Type="image/jpeg")
        assert said(picture) == (422, "not_an_image"), raw


# -- who asks


async def test_tokens_that_do_not_hold_are_refused_and_told_apart_from_none(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    guest = await site.as_guest()
    head, payload, signature = guest.token.split(".")
    forged = jwt.encode({"sub": "gst_" + NOTHING}, "another secret of 32 characters or more....")
    unsigned = jwt.encode({"sub": "gst_" + NOTHING}, None, algorithm="none")
    for token in (
        f"{head}.{payload}.{signature[:-2]}xx",
        f"{head}.{payload}.",
        forged,
        unsigned,
        "x",
        "a.b.c",
        "lsk_" + "A" * 43,
        "lsk_",
        "\u00e9",
        "x" * 10_000,
    ):
        if len(token) > 8000:
            continue
        answer = await site.fetch("GET", "/api/cart", Authorization=f"Bearer {token}")
        assert said(answer) == (401, "bad_token"), token
    for header in ("", "Basic QWxhZGRpbg==", "Bearer", "nonsense"):
        answer = await site.fetch("GET", "/api/cart", Authorization=header)
        assert said(answer)[0] == 401, header
    clock.advance(timedelta(days=site_shop.settings.customers.guest_days, seconds=1))
    assert said(await guest.fetch("GET", "/api/cart")) == (401, "bad_token")
    answer = await site.fetch("GET", "/api/session", Cookie="liveshop_session=" + "A" * 43)
    assert said(answer) == (401, "not_signed_in")
    answer = await site.fetch("GET", "/api/session", Cookie='liveshop_session="\\000";;=;')
    assert answer.status == 401


@pytest.mark.parametrize("origin", ["http://[", "null", "//", "http://a:b:c", "\u00fc", "x" * 5000])
async def test_an_origin_that_is_none_is_foreign(
    site: Api, site_shop: Liveshop, origin: str
) -> None:
    host = await site.signed_in(await builders.staff(site_shop, "host"))
    answer = await host.fetch("POST", "/api/shows", {"title": "a"}, Origin=origin)
    assert said(answer) == (403, "bad_csrf_token")
    assert "Access-Control-Allow-Origin" not in answer.headers
    socket_answer = await site.fetch(
        "GET",
        f"/live/shw_{NOTHING}",
        Origin=origin,
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Protocol="liveshop.v1",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert socket_answer.status == 101


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"aud": "another shop"},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\x00b"},
        {"sub": "a" * 300},
        {"sub": "\U000e0001"},
    ],
)
async def test_a_storefront_that_vouches_badly_is_told_why(
    site: Api, clock: ManualClock, claims: dict[str, Any]
) -> None:
    token = builders.storefront_jwt(clock, **claims)
    answer = await site.fetch("POST", "/api/customers/sign-on", {"token": token})
    assert said(answer) == (401, "bad_sign_on")
    assert answer.json["data"]["reason"]


async def test_sign_on_where_none_is_set_up_says_so(api: Api) -> None:
    answer = await api.fetch("POST", "/api/customers/sign-on", {"token": "x"})
    assert said(answer) == (404, "sign_on_not_configured")


async def test_guessing_passwords_is_slowed_down_and_says_for_how_long(site: Api) -> None:
    guess = {"email": "mira@shop.example", "password": "a guess or two"}
    answers = [await site.fetch("POST", "/api/session", guess) for _ in range(6)]
    assert said(answers[0]) == (401, "bad_credentials")
    assert said(answers[-1]) == (429, "rate_limited")
    assert int(answers[-1].headers["Retry-After"]) > 0


# -- what changed meanwhile


async def test_a_price_that_changed_is_told_with_the_new_one(
    api: Api, shop: Liveshop, admin: Api
) -> None:
    mug = await builders.product(shop, price=2800)
    guest = await api.as_guest()
    await guest.call("POST", "/api/cart/lines", {"variant_id": mug.variants[0].id})
    _, quote = await guest.call("POST", "/api/cart/quote", {"country": "DE"})
    status, _ = await admin.call(
        "PUT",
        f"/api/products/{mug.id}",
        {
            "title": "Mug",
            "variants": [
                {"sku": mug.variants[0].sku, "list_price": {"amount": 2900, "currency": "EUR"}}
            ],
        },
    )
    assert status == 200
    status, problem = await guest.order("key-1", expected_total=quote["total"])
    assert (status, problem["code"]) == (409, "price_changed")
    assert problem["data"]["quote"]["total"]["amount"] == 2900 + 490
    status, _ = await guest.order("key-1", expected_total=problem["data"]["quote"]["total"])
    assert status == 201


async def test_what_is_not_live_cannot_be_pinned(api: Api, shop: Liveshop, admin: Api) -> None:
    mug = await builders.product(shop)
    lamp = await builders.product(shop, title="Lamp")
    show = await shop.shows.create_show(shows_wire.ShowInput(title="A show", product_ids=[mug.id]))
    answer = await admin.fetch("PUT", f"/api/shows/{show.id}/pin", {"product_id": mug.id})
    assert said(answer) == (409, "show_not_live")
    await shop.shows.change_state(show.id, "live")
    answer = await admin.fetch("PUT", f"/api/shows/{show.id}/pin", {"product_id": lamp.id})
    assert said(answer) == (409, "not_in_lineup")


async def test_a_cart_is_the_callers_own_whatever_line_is_named(api: Api, shop: Liveshop) -> None:
    mug = await builders.product(shop)
    mine, yours = await api.as_guest(), await api.as_guest()
    _, cart = await mine.call("POST", "/api/cart/lines", {"variant_id": mug.variants[0].id})
    line = f"/api/cart/lines/{cart['lines'][0]['id']}"
    assert said(await yours.fetch("DELETE", line)) == (404, "unknown_line")
    assert said(await yours.fetch("PATCH", line, {"quantity": 5})) == (404, "unknown_line")
    _, after = await mine.call("GET", "/api/cart")
    assert after["lines"] == cart["lines"]


async def test_an_order_needs_its_key_and_a_usable_form(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    guest = await api.as_guest()
    good = {
        "expected_total": {"amount": 3290, "currency": "EUR"},
        "email": "ada@example.org",
        "address": builders.ADDRESS,
        "payment": {"method": "invoice"},
    }
    assert said(await guest.fetch("POST", "/api/orders", good)) == (400, "bad_request")
    answer = await guest.fetch("POST", "/api/orders", good, Idempotency_Key="k" * 201)
    assert said(answer) == (422, "invalid")
    answer = await guest.fetch("POST", "/api/orders", good, Idempotency_Key="k")
    assert said(answer) == (409, "cart_empty")
    mug = await builders.product(shop)
    await guest.call("POST", "/api/cart/lines", {"variant_id": mug.variants[0].id})
    for number, (change, code) in enumerate(
        (
            ({"email": "nonsense"}, "invalid"),
            ({"email": "a\u200b@\u202eb"}, "invalid"),
            ({"address": builders.ADDRESS | {"country": "de"}}, "invalid"),
            ({"address": builders.ADDRESS | {"country": "NZ"}}, "not_delivered"),
            ({"address": builders.ADDRESS | {"name": "\u200b"}}, "bad_text"),
            ({"payment": {"method": "barter"}}, "unknown_payment_method"),
            ({"payment": {"method": "sandbox"}}, "bad_payment_input"),
            ({"payment": {"method": "sandbox", "card_number": "four"}}, "bad_payment_input"),
            ({"expected_total": {"amount": 10**30, "currency": "EUR"}}, "invalid"),
            ({"expected_total": {"amount": -1, "currency": "EUR"}}, "price_changed"),
        )
    ):
        answer = await guest.fetch(
            "POST", "/api/orders", good | change, Idempotency_Key=f"key-{number}"
        )
        assert said(answer)[1] == code, (change, answer.text)
        clock.advance(timedelta(seconds=5))
    answer = await guest.fetch(
        "POST", "/api/orders", good | {"show_id": f"shw_{NOTHING}"}, Idempotency_Key="key-show"
    )
    assert said(answer)[1] == "unknown_show"


# -- bad days of the machine


@pytest.fixture
async def kept(site: Api, site_shop: Liveshop) -> dict[str, Any]:
    """A guest with a cart, before the bad day."""
    mug = await builders.product(site_shop, stock=3)
    guest = await site.as_guest()
    _, cart = await guest.call("POST", "/api/cart/lines", {"variant_id": mug.variants[0].id})
    return {"guest": guest, "variant": mug.variants[0].id, "cart": cart}


async def tell_writer(shop: Liveshop, pragma: str) -> None:
    """On the one connection that writes, outside of a transaction."""
    async with shop.database._writer.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(pragma)


@pytest.mark.parametrize("bad_day", ["full disk", "read-only"])
async def test_a_disk_that_takes_no_more_is_said_so_and_nothing_is_lost(
    bad_day: str, site: Api, site_shop: Liveshop, kept: dict[str, Any]
) -> None:
    """SQLite itself is told the disk ends here; the errors are the ones a real disk gives."""
    guest: Api = kept["guest"]
    bad, good, words = {
        "full disk": (
            "PRAGMA max_page_count = 1",
            "PRAGMA max_page_count = 1000000",
            "disk is full",
        ),
        "read-only": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "cannot be written"),
    }[bad_day]
    await tell_writer(site_shop, bad)
    refused = None
    for number in range(400):
        answer = await (await site.as_guest()).fetch(
            "PUT", "/api/me", {"name": f"Somebody {'x' * 20}{number % 10}"}
        )
        if answer.status != 200:
            refused = answer
            break
    assert refused is not None
    assert said(refused) == (503, "storage_unavailable")
    assert words in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    answer = await guest.fetch("GET", "/api/cart")  # reading goes on
    assert (answer.status, answer.json["lines"]) == (200, kept["cart"]["lines"])
    await tell_writer(site_shop, good)
    status, order = await guest.order("key-1")
    assert (status, order["state"]) == (201, "confirmed")
    assert await builders.available(site_shop, VariantId(kept["variant"])) == 2


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that other users of this machine may look into."""
    with tempfile.TemporaryDirectory(prefix="liveshop-bad-day-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def give_up_root() -> None:
    """Run what comes without the right of root to write where permissions say no."""
    drop_from_bounding_set, override_permissions = 24, 1
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(drop_from_bounding_set, override_permissions, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def liveshop(
    *arguments: str, folder: Path, as_mortal: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; `as_mortal` where root would be let through."""
    given = {
        "PATH": os.environ["PATH"],
        "LIVESHOP_DATA_DIR": str(folder),
        "LIVESHOP_SERVER__SECRET": builders.SECRET,
        "COLUMNS": "400",
        "PYTHONDONTWRITEBYTECODE": "1",
    } | environ
    return subprocess.run(
        [sys.executable, "-m", "liveshop", *arguments],
        env=given,
        cwd=folder if folder.is_dir() else "/",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=give_up_root if as_mortal and os.geteuid() == 0 else None,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said, in words and without a traceback."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    _, found, words = done.stderr.partition("liveshop: ")  # before it stands what was logged
    assert found, done.stderr
    assert done.stdout == ""
    return words


def test_all_that_is_wrong_with_the_settings_is_said_at_once(outside: Path) -> None:
    words = complaint(
        liveshop(
            "serve",
            folder=outside,
            LIVESHOP_SERVER__SECRET="short",
            LIVESHOP_SERVER__PORT="eighty",
            LIVESHOP_PAYMENTS__METHODS="sandbox",
            LIVESHOP_COLOUR="blue",
            LIVESHOP_SHOP__CURENCY="EUR",
            LIVESHOP_CUSTOMERS__KEY_FILE="/nowhere",
        )
    )
    for name in (
        "server.port",
        "colour",
        "shop.curency",
        "LIVESHOP_CUSTOMERS__KEY_FILE",
        "server.secret",
        "payments.methods",
    ):
        assert name in words, words
    assert list(outside.iterdir()) == []


def test_dangerous_defaults_do_not_start_in_production(outside: Path) -> None:
    words = complaint(liveshop("serve", folder=outside, LIVESHOP_PAYMENTS__METHODS="sandbox"))
    assert "sandbox takes no money" in words
    words = complaint(liveshop("serve", folder=outside, LIVESHOP_SERVER__SECRET=""))
    assert "at least 32 random characters" in words
    words = complaint(liveshop("serve", folder=outside, LIVESHOP_PAYMENTS__METHODS="barter"))
    assert "there is no method barter" in words


def test_a_port_in_use_is_said_so(outside: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = complaint(liveshop("serve", "--port", str(port), folder=outside))
    assert "the port is in use" in words
    assert "--port" in words


def test_a_database_of_a_newer_version_is_left_alone(outside: Path) -> None:
    assert liveshop("migrate", folder=outside).returncode == 0
    path = outside / "liveshop.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    connection.close()
    before = path.read_bytes()
    for command in ("serve", "migrate", "worker"):
        words = complaint(liveshop(command, folder=outside))
        assert "9999_from_the_future" in words
        assert "Install the version that wrote it" in words
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(outside: Path) -> None:
    path = outside / "liveshop.sqlite3"
    path.write_bytes(b"This is somebody's diary, not a database. " * 100)
    before = path.read_bytes()
    words = complaint(liveshop("serve", folder=outside))
    assert "not a database" in words
    assert path.read_bytes() == before


def test_a_read_only_data_folder_is_said_so(outside: Path) -> None:
    outside.chmod(0o555)
    words = complaint(liveshop("serve", folder=outside, as_mortal=True))
    assert "cannot be written" in words
    assert "owner and permissions" in words
    words = complaint(liveshop("serve", folder=outside / "deeper", as_mortal=True))
    assert "cannot be written" in words


def test_a_database_that_is_away_is_said_so(outside: Path) -> None:
    words = complaint(
        liveshop(
            "serve",
            folder=outside,
            LIVESHOP_DATABASE__URL="postgresql+asyncpg://liveshop:hunter2@127.0.0.1:1/liveshop",
        )
    )
    assert "database" in words
    assert "try again" in words


def test_a_configuration_that_cannot_be_read_is_said_so(outside: Path) -> None:
    (outside / "liveshop.toml").write_text("[server\nport = 1")
    assert "liveshop.toml" in complaint(liveshop("serve", folder=outside))
    assert "no such file" in complaint(
        liveshop("--config", "nowhere.toml", "serve", folder=outside)
    )
