"""Who may do what: every endpoint and every socket command against everybody who may ask.

The tables are written by hand and not derived from the code: they are what was decided. An
endpoint or command without a row fails, and so does a row without one.
"""

import json
import re
from typing import Any

import builders
import pytest
from builders import Api
from websockets.asyncio.client import connect

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.web import PERMISSIONS
from liveshop.web.assets import load

ROLES = ("anonymous", "guest", "customer", "host", "moderator", "merchant", "admin")
KEYS = tuple(f"key:{permission}" for permission in PERMISSIONS)
"""An API key for each permission, with that one alone."""
CALLERS = (*ROLES, *KEYS)

EVERYBODY = frozenset(CALLERS)
SIGNED_IN = EVERYBODY - {"anonymous"}
VIEWERS = frozenset({"guest", "customer"})
STAFF = frozenset({"host", "moderator", "merchant", "admin"})
HOST = frozenset({"host", "admin", "key:shows:write"})
BACKSTAGE = frozenset({"host", "moderator", "merchant", "admin", "key:shows:read"})
MODERATORS = frozenset({"host", "moderator", "admin", "key:chat:moderate"})
STOCK_READERS = frozenset({"host", "merchant", "admin", "key:catalog:read"})
MERCHANTS = frozenset({"merchant", "admin", "key:catalog:write"})
PICTURES = frozenset({"host", "merchant", "admin", "key:media:write"})
"""Hosts upload the covers of their shows."""
PROMOTION_READERS = frozenset({"host", "merchant", "admin", "key:promotions:read"})
PROMOTERS = frozenset({"merchant", "admin", "key:promotions:write"})
CHANNEL_READERS = frozenset({"merchant", "admin", "key:channels:read"})
CHANNEL_WRITERS = frozenset({"merchant", "admin", "key:channels:write"})
ORDER_READERS = frozenset({"host", "merchant", "admin", "key:orders:read"})
ORDER_WRITERS = frozenset({"merchant", "admin", "key:orders:write"})
ADMINS = frozenset({"admin", "key:staff:admin"})
CHATTERS = VIEWERS | MODERATORS | {"key:shows:write"}
"""Staff speak with a role of the show; a merchant or a key for the catalog has none."""

BY_LINK = frozenset({"POST /o/{token}/return", "POST /o/{token}/feedback"})
"""The address is the permission: cookies are not looked at, so they vouch for nothing."""

ENDPOINTS = {
    "POST /api/session": EVERYBODY,
    "GET /api/session": STAFF,
    "DELETE /api/session": STAFF,
    "GET /api/staff": ADMINS,
    "POST /api/staff": ADMINS,
    "PATCH /api/staff/{staff_id}": ADMINS,
    "GET /api/keys": ADMINS,
    "POST /api/keys": ADMINS,
    "DELETE /api/keys/{key_id}": ADMINS,
    "POST /api/guests": EVERYBODY,
    "POST /api/customers/sign-on": EVERYBODY,
    "GET /api/me": SIGNED_IN,
    "PUT /api/me": VIEWERS,
    "GET /api/products": EVERYBODY,
    "GET /api/products/{product_id}": EVERYBODY,
    "POST /api/products": MERCHANTS,
    "PUT /api/products/{product_id}": MERCHANTS,
    "GET /api/locations": STOCK_READERS,
    "POST /api/locations": MERCHANTS,
    "PUT /api/locations/{location_id}": MERCHANTS,
    "GET /api/stores": EVERYBODY,
    "GET /api/products/{product_id}/qr.svg": STOCK_READERS,
    "GET /api/variants/{variant_id}/delivery": EVERYBODY,
    "GET /api/variants/{variant_id}/stock": STOCK_READERS,
    "PUT /api/variants/{variant_id}/stock": MERCHANTS,
    "POST /api/imports": MERCHANTS,
    "GET /api/promotions": PROMOTION_READERS,
    "POST /api/promotions": PROMOTERS,
    "GET /api/promotions/{promotion_id}": PROMOTION_READERS,
    "PUT /api/promotions/{promotion_id}": PROMOTERS,
    "POST /api/promotions/{promotion_id}/state": PROMOTERS,
    "POST /api/promotions/preview": PROMOTION_READERS,
    "POST /api/media": PICTURES,
    "GET /media/{media_id}/{file}": EVERYBODY,
    "GET /api/shows": EVERYBODY,
    "POST /api/shows": HOST,
    "GET /api/shows/{show_id}": EVERYBODY,
    "PATCH /api/shows/{show_id}": HOST,
    "POST /api/shows/{show_id}/state": HOST,
    "POST /api/shows/{show_id}/rehearsal/invite": HOST,
    "POST /api/rehearsals/guests": EVERYBODY,
    "PUT /api/shows/{show_id}/lineup": HOST,
    "PUT /api/shows/{show_id}/pin": HOST,
    "DELETE /api/shows/{show_id}/pin": HOST,
    "GET /api/shows/{show_id}/offers": EVERYBODY,
    "POST /api/shows/{show_id}/offers": HOST,
    "POST /api/shows/{show_id}/offers/preview": HOST,
    "DELETE /api/shows/{show_id}/offers/{offer_id}": HOST,
    "GET /api/shows/{show_id}/calendar.ics": EVERYBODY,
    "POST /api/shows/{show_id}/reminders": EVERYBODY,
    "GET /api/shows/{show_id}/snapshot": EVERYBODY,
    "GET /api/shows/{show_id}/numbers": BACKSTAGE,
    "GET /api/shows/{show_id}/video": BACKSTAGE,
    "GET /api/shows/{show_id}/log": BACKSTAGE,
    "GET /api/shows/{show_id}/stream-keys": BACKSTAGE,
    "POST /api/shows/{show_id}/stream-keys": HOST,
    "DELETE /api/shows/{show_id}/stream-keys/{person_id}": HOST,
    "GET /api/shows/{show_id}/replay": EVERYBODY,
    "GET /api/shows/{show_id}/replay/chat": EVERYBODY,
    "GET /api/shows/{show_id}/recording": BACKSTAGE,
    "PUT /api/shows/{show_id}/recording/trim": HOST,
    "PUT /api/shows/{show_id}/recording/keep": HOST,
    "DELETE /api/shows/{show_id}/recording": HOST,
    "POST /api/shows/{show_id}/recording/files": HOST,
    "DELETE /api/shows/{show_id}/recording/files/{file_id}": HOST,
    "GET /api/destinations": BACKSTAGE,
    "POST /api/destinations": HOST,
    "PATCH /api/destinations/{destination_id}": HOST,
    "DELETE /api/destinations/{destination_id}": HOST,
    "GET /api/shows/{show_id}/simulcast": BACKSTAGE,
    "PUT /api/shows/{show_id}/simulcast/{destination_id}": HOST,
    "GET /api/encoder-delay": HOST,
    "PUT /api/encoder-delay": HOST,
    "GET /api/shows/{show_id}/messages": MODERATORS,
    "GET /api/shows/{show_id}/sanctions": MODERATORS,
    "GET /api/shop": EVERYBODY,
    "GET /api/cart": VIEWERS,
    "POST /api/cart/lines": VIEWERS,
    "PATCH /api/cart/lines/{line_id}": VIEWERS,
    "DELETE /api/cart/lines/{line_id}": VIEWERS,
    "POST /api/cart/hold": VIEWERS,
    "POST /api/cart/extend": VIEWERS,
    "POST /api/cart/codes": VIEWERS,
    "DELETE /api/cart/codes/{code}": VIEWERS,
    "GET /api/waitlist": VIEWERS,
    "POST /api/waitlist": VIEWERS,
    "DELETE /api/waitlist/{place_id}": VIEWERS,
    "POST /api/cart/quote": VIEWERS,
    "POST /api/cart/delivery": VIEWERS,
    "POST /api/orders": VIEWERS,
    "POST /api/orders/{order_id}/payment/check": VIEWERS,
    "POST /api/orders/{order_id}/payment/cancel": VIEWERS,
    "POST /api/orders/{order_id}/payment/sandbox": VIEWERS,
    "GET /api/buyer": VIEWERS,
    "POST /hooks/{provider}": EVERYBODY,
    "GET /api/orders": ORDER_READERS,
    "GET /api/orders.csv": ORDER_READERS,
    "GET /api/orders/{order_id}": SIGNED_IN,
    "GET /api/orders/{order_id}/progress": SIGNED_IN,
    "GET /api/fulfilments": ORDER_READERS,
    "POST /api/fulfilments/{fulfilment_id}/ship": ORDER_WRITERS,
    "POST /api/fulfilments/{fulfilment_id}/ready": ORDER_WRITERS,
    "POST /api/fulfilments/{fulfilment_id}/deliver": ORDER_WRITERS,
    "GET /api/pickups/{code}": ORDER_WRITERS,
    "POST /api/pickups/{code}/collect": ORDER_WRITERS,
    "POST /api/orders/{order_id}/cancel": ORDER_WRITERS,
    "POST /api/orders/{order_id}/refunds": ORDER_WRITERS,
    "POST /api/orders/{order_id}/paid": ORDER_WRITERS,
    "POST /api/refunds/{refund_id}/done": ORDER_WRITERS,
    "POST /api/orders/{order_id}/returns": SIGNED_IN,
    "GET /api/returns": ORDER_READERS,
    "POST /api/returns/{return_id}/receive": ORDER_WRITERS,
    "POST /api/returns/{return_id}/refuse": ORDER_WRITERS,
    "POST /api/returns/{return_id}/withdraw": SIGNED_IN,
    "POST /api/orders/{order_id}/feedback": VIEWERS,
    "GET /api/feedback/summary": ORDER_READERS,
    "GET /api/orders/{order_id}/invoice": ORDER_READERS,
    "GET /api/mails": ORDER_READERS,
    "GET /api/mails/{mail_id}": ORDER_READERS,
    "GET /o/{token}": EVERYBODY,
    "GET /o/{token}/invoice": EVERYBODY,
    "POST /o/{token}/return": EVERYBODY,
    "POST /o/{token}/feedback": EVERYBODY,
    "GET /api/order-exports": ORDER_READERS,
    "GET /api/orders/{order_id}/exports": ORDER_READERS,
    "POST /api/orders/{order_id}/exports/{connection_id}": frozenset(
        {"merchant", "admin", "key:orders:write"}
    ),
    "GET /api/connectors": CHANNEL_READERS,
    "GET /api/connections": CHANNEL_READERS,
    "POST /api/connections": CHANNEL_WRITERS,
    "GET /api/connections/{connection_id}": CHANNEL_READERS,
    "PATCH /api/connections/{connection_id}": CHANNEL_WRITERS,
    "POST /api/connections/{connection_id}/state": CHANNEL_WRITERS,
    "POST /api/connections/{connection_id}/check": CHANNEL_WRITERS,
    "POST /api/connections/{connection_id}/authorise": CHANNEL_WRITERS,
    "GET /api/connections/{connection_id}/plan": CHANNEL_READERS,
    "POST /api/connections/{connection_id}/sync": CHANNEL_WRITERS,
    "GET /api/connections/{connection_id}/runs": CHANNEL_READERS,
    "POST /api/connections/{connection_id}/repair": CHANNEL_WRITERS,
    "GET /api/runs/{run_id}": CHANNEL_READERS,
    "GET /api/listings": CHANNEL_READERS,
    "GET /oauth/callback": EVERYBODY,
    "GET /feeds/{token}/{name}": EVERYBODY,
    "POST /api/posts/preview": CHANNEL_READERS,
    "POST /api/posts": CHANNEL_WRITERS,
    "GET /api/posts": CHANNEL_READERS,
    "GET /api/posts/{post_id}": CHANNEL_READERS,
    "POST /api/posts/{post_id}/cancel": CHANNEL_WRITERS,
    "DELETE /api/posts/{post_id}": CHANNEL_WRITERS,
    "POST /api/shows/{show_id}/posts": CHANNEL_WRITERS,
    "GET /media/cards/{card}": EVERYBODY,
    "GET /hls/{show_id}/index.m3u8": EVERYBODY,
    "GET /hls/{show_id}/thumbnail.jpg": EVERYBODY,
    "GET /hls/{show_id}/{rendition}/live.m3u8": EVERYBODY,
    "GET /hls/{show_id}/{rendition}/init-{number}.mp4": EVERYBODY,
    "GET /hls/{show_id}/{rendition}/segment-{number}.m4s": EVERYBODY,
    "GET /hls/{show_id}/{rendition}/part-{number}.m4s": EVERYBODY,
    "GET /hls/{show_id}/rewind/index.m3u8": EVERYBODY,
    "GET /hls/{show_id}/rewind/init-{number}.mp4": EVERYBODY,
    "GET /hls/{show_id}/rewind/chunk-{number}.m4s": EVERYBODY,
    "GET /hls/{show_id}/replay/index.m3u8": EVERYBODY,
    "GET /hls/{show_id}/replay/init-{number}.mp4": EVERYBODY,
    "GET /hls/{show_id}/replay/chunk-{number}.m4s": EVERYBODY,
    "GET /hls/{show_id}/files/{file_id}.mp4": EVERYBODY,
    "GET /hls/{show_id}/files/{file_id}.jpg": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /api/openapi.json": EVERYBODY,
    "GET /api/docs": EVERYBODY,
    "GET /assets/{name}": EVERYBODY,
    "GET /embed.js": EVERYBODY,
    "GET /": EVERYBODY,
    "GET /s/{show_id}": EVERYBODY,
    "GET /s/{show_id}/card.jpg": EVERYBODY,
    "GET /studio": EVERYBODY,
    "GET /desk": EVERYBODY,
    "GET /oembed": EVERYBODY,
}

_MESSAGE = "msg_" + "0" * 26
_VIEWER = "gst_" + "0" * 26
COMMANDS: dict[str, tuple[frozenset[str], dict[str, Any]]] = {
    "ping": (EVERYBODY, {}),
    "chat.send": (CHATTERS, {"text": "hello"}),
    "chat.delete": (SIGNED_IN, {"message_id": _MESSAGE}),
    "chat.mute": (MODERATORS, {"viewer_id": _VIEWER, "seconds": 60}),
    "chat.ban": (MODERATORS, {"viewer_id": _VIEWER}),
    "chat.unban": (MODERATORS, {"viewer_id": _VIEWER}),
    "chat.pin": (MODERATORS, {"message_id": None}),
    "chat.configure": (MODERATORS, {"paused": False}),
    "reaction.send": (SIGNED_IN, {"count": 1}),
}


@pytest.fixture(scope="session")
def stylesheet() -> str:
    return load().names["page.css"]


@pytest.fixture
async def show_id(site_shop: Liveshop) -> str:
    return await builders.live_show(site_shop)


async def caller_of(name: str, site: Api, shop: Liveshop, clock: ManualClock) -> Api:
    """Somebody of this kind, with the credentials that such a one really has."""
    if name == "anonymous":
        return site
    if name == "guest":
        return await site.as_guest()
    if name == "customer":
        status, answer = await site.call(
            "POST", "/api/customers/sign-on", {"token": builders.storefront_jwt(clock)}
        )
        assert status == 200, answer
        return site.with_token(answer["token"])
    if name.startswith("key:"):
        return site.with_token(await builders.key_with(shop, name.removeprefix("key:")))
    return await site.signed_in(await builders.staff(shop, name))


def address_of(path: str, **known: str) -> str:
    """The path with things that exist where they are given, else with ids of nothing."""
    nothing = {
        "staff_id": "stf",
        "key_id": "key",
        "product_id": "prd",
        "variant_id": "var",
        "line_id": "lin",
        "order_id": "ord",
        "return_id": "ret",
        "fulfilment_id": "ful",
        "refund_id": "rfd",
        "location_id": "loc",
        "media_id": "med",
        "place_id": "plc",
        "promotion_id": "prm",
        "offer_id": "prm",
        "post_id": "pst",
        "connection_id": "con",
        "run_id": "run",
        "mail_id": "mai",
        "person_id": "stf",
        "file_id": "rcf",
        "destination_id": "dst",
    }
    values = {name: f"{prefix}_{'0' * 26}" for name, prefix in nothing.items()}
    values |= {"file": "640.webp", "number": "1", "code": "WELCOME", "provider": "bank"} | known
    values |= {"rendition": "video"}
    values |= {"card": "0" * 32 + ".jpg", "token": "0" * 22, "name": "products.json"}
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


def in_order(rows: dict[str, Any]) -> list[str]:
    """Signing out comes last: it would make nobody of the caller."""
    return sorted(rows, key=lambda row: row == "DELETE /api/session")


def test_every_endpoint_and_command_has_a_row_and_every_row_is_one(site_wired: Liveshop) -> None:
    endpoints = {f"{one.method} {one.path}" for one in site_wired.endpoints}
    assert sorted(endpoints ^ ENDPOINTS.keys()) == []
    assert sorted(site_wired.socket.commands.keys() ^ COMMANDS.keys()) == []


def test_every_route_of_the_server_is_an_endpoint_or_a_socket(site_wired: Liveshop) -> None:
    served = set()
    for resource in site_wired.web_application().router.resources():
        for route in resource:
            if route.method not in ("HEAD", "OPTIONS"):
                served.add(f"{route.method} {resource.canonical}")
    assert sorted(served ^ ENDPOINTS.keys()) == [
        "GET /live/{show_id}",
        "GET /live/{show_id}/camera",
        "GET /live/{show_id}/monitor",
    ]


@pytest.mark.parametrize("name", CALLERS)
async def test_the_server_lets_in_whom_the_table_lets_in(
    name: str, site: Api, site_shop: Liveshop, clock: ManualClock, show_id: str, stylesheet: str
) -> None:
    caller = await caller_of(name, site, site_shop, clock)
    wrong = []
    for row in in_order(ENDPOINTS):
        method, path = row.split(" ")
        body = None if method == "GET" else {}
        answer = await caller.fetch(
            method, address_of(path, show_id=show_id, name=stylesheet), body
        )
        if name in ENDPOINTS[row]:
            good = answer.status not in (401, 403) and answer.status < 500
        else:
            good = answer.status == (401 if name == "anonymous" else 403)
            good = good and answer.json["code"] and answer.json["detail"]
        if not good:
            wrong.append((row, answer.status, answer.text[:200]))
    assert wrong == []


@pytest.mark.parametrize("name", sorted(STAFF))
async def test_a_cookie_alone_does_nothing_unsafe(
    name: str, site: Api, site_shop: Liveshop, clock: ManualClock, show_id: str
) -> None:
    """Browsers send cookies unasked, also for pages of somebody else."""
    browser = await caller_of(name, site, site_shop, clock)
    without = Api(site.client, session=browser.session)
    other = browser.csrf[::-1]
    assert other != browser.csrf
    old = Api(site.client, session=browser.session, csrf=other)
    wrong = []
    for row in in_order(ENDPOINTS):
        method, path = row.split(" ")
        if method == "GET" or row in BY_LINK:
            continue
        expected = "bad_csrf_token" if name in ENDPOINTS[row] else "forbidden"
        address = address_of(path, show_id=show_id)
        answers = [
            await without.fetch(method, address, {}),
            await old.fetch(method, address, {}),
            await browser.fetch(method, address, {}, Origin="https://elsewhere.example"),
        ]
        wrong += [
            (row, answer.status, answer.text[:200])
            for answer in answers
            if (answer.status, answer.json.get("code")) != (403, expected)
        ]
    assert wrong == []
    assert (await browser.call("GET", "/api/session"))[0] == 200


async def test_a_cookie_is_out_of_reach_for_scripts_and_foreign_posts(
    site: Api, site_shop: Liveshop
) -> None:
    email = await builders.staff(site_shop, "host")
    answer = await site.fetch(
        "POST", "/api/session", {"email": email, "password": builders.PASSWORD}
    )
    attributes = answer.headers["Set-Cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=lax" in attributes


@pytest.mark.parametrize("name", CALLERS)
async def test_the_socket_lets_in_whom_the_table_lets_in(
    name: str, site: Api, site_shop: Liveshop, clock: ManualClock, show_id: str
) -> None:
    caller = await caller_of(name, site, site_shop, clock)
    url = str(site.client.make_url(f"/live/{show_id}")).replace("http:", "ws:")
    protocols = ["liveshop.v1", *([f"bearer.{caller.token}"] if caller.token else [])]
    headers = {"Cookie": caller.session} if caller.session else {}
    wrong = []
    async with connect(
        url, subprotocols=protocols, additional_headers=headers, proxy=None
    ) as client:
        hello = json.loads(await client.recv())
        assert hello["t"] == "hello"
        for number, (command, (allowed, fields)) in enumerate(COMMANDS.items()):
            await client.send(json.dumps({"id": number, "t": command, **fields}))
            while (frame := json.loads(await client.recv())).get("id") != number:
                pass
            code = frame.get("error", {}).get("code")
            if name in allowed:
                good = code not in ("not_signed_in", "forbidden", "not_a_chatter", "internal")
            elif name == "anonymous":
                good = code == "not_signed_in"
            else:
                good = code in ("forbidden", "not_a_chatter")
            if not good:
                wrong.append((command, frame))
    assert wrong == []
