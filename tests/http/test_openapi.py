"""The server keeps what its OpenAPI document says, whatever is sent: schemathesis against it.

The server runs in a thread of its own, with real things in it. First every operation is called as
it is meant to be; then, as an admin, a host and a guest, with cases made from the document's own
schemas, good and bad ones, in which ids often are those of things that exist.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import builders
import catalog_builders
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from post_builders import Channel, FakePosting
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from liveshop.app import Liveshop, listening, wire
from liveshop.connect import GROUP, Connectors
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import OrderId, VariantId, ViewerId
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import wire as shows_wire
from liveshop.storage import Database
from liveshop.syndication import export_store
from liveshop.syndication import wire as syndication_wire
from liveshop.syndication.model import ConnectionId

CASES = 10
"""Made up by hypothesis for each operation and caller, beside the boundaries of its schema."""
BOUNDARIES = 30
REFUSALS = 6
BETWEEN_CALLS = timedelta(seconds=30)
"""The clock goes on between calls, or the rate limits would soon be all there is to see."""
HLS = {"playlist", "init", "segment"}
"""Answer only where there is video: tests/live has it."""
FEED = b"id,title,price,availability\nA1,Vase,20.00 EUR,in_stock\n"

load_all_checks()
PROMISES = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]


@schemathesis.serializer(
    "application/x-ndjson",
    "text/csv",
    "application/xml",
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/avif",
)
def as_it_is(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@dataclass(frozen=True)
class Running:
    """A server, and what exists in it by the names that parameters and fields have for it."""

    url: str
    clock: ManualClock
    things: Mapping[str, list[Any]]
    headers: Mapping[str, Mapping[str, str]]
    """Of each caller."""
    schema: Any
    session: requests.Session

    def call(self, caller: str, case: Case) -> requests.Response:
        """Raises FailureGroup when the answer breaks the document's word."""
        self.clock.advance(BETWEEN_CALLS)
        if caller == "host":
            case.cookies = {}  # a made-up session would take the place of the real one
        response = case.call(
            base_url=self.url, session=self.session, headers=dict(self.headers[caller])
        )
        case.validate_response(response, checks=PROMISES)
        return response

    def operations(self) -> Iterator[Any]:
        for found in self.schema.get_all_operations():
            operation = found.ok()
            if operation.definition.raw["operationId"] != "sign_out":
                yield operation


class OwnLoop:
    """An event loop in a thread of its own."""

    def __enter__(self) -> "OwnLoop":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")
        self._thread.start()
        return self

    def run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=60)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def running(
    database_url: str, tmp_path: Path, clock: ManualClock, no_blocking_calls: object, log: object
) -> Iterator[Running]:
    given_settings = builders.test_settings(
        tmp_path / "data",
        database_url=database_url,
        customers__algorithm="HS256",
        customers__key=builders.STOREFRONT_KEY,
    )
    connectors = Connectors.of(FakePosting(Channel(clock)), *every_connector())
    shop = wire(given_settings, Database.open(database_url), None, clock, connectors)
    with OwnLoop() as loop:
        opened = served(shop)
        url = loop.run(opened.__aenter__())
        try:
            things, headers = loop.run(furnish(shop))
            schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
            with requests.Session() as session:
                yield Running(url, clock, things, headers, schema, session)
        finally:
            loop.run(opened.__aexit__(None, None, None))


def every_connector() -> list[Any]:
    """The installed ones."""
    return [entry.load()() for entry in entry_points(group=GROUP)]


@asynccontextmanager
async def served(shop: Liveshop) -> AsyncIterator[str]:
    async with listening(shop.web_application(), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()


async def furnish(shop: Liveshop) -> tuple[dict[str, list[Any]], dict[str, dict[str, str]]]:
    """Products, shows in three states, staff, a guest with a cart and an order."""
    shirt = await builders.product(shop, title="Shirt", sizes=("S", "M"), stock=5000)
    mug = await builders.product(shop, title="Mug", stock=5000)
    picture = await shop.media.store_image(catalog_builders.picture(), alt="A shirt")
    live = await builders.live_show(shop, [shirt.id, mug.id])
    soon = shows_wire.ShowInput(title="Soon", starts_at=shop.clock.now() + timedelta(days=300))
    announced = await shop.shows.create_show(soon)
    await shop.shows.change_state(announced.id, "scheduled")
    draft = await shop.shows.create_show(shows_wire.ShowInput(title="A draft"))
    spare = await shop.accounts.create_staff(
        email="spare@shop.example", name="Spare", password=builders.PASSWORD, roles=["merchant"]
    )
    admin = await builders.staff_key(shop, "admin")
    await builders.key_with(shop, "shows:read")
    keys = await shop.accounts.list_keys()
    host = await shop.accounts.sign_in(
        await builders.staff(shop, "host"), builders.PASSWORD, "127.0.0.1"
    )
    guest = shop.customers.new_guest()
    for product in (mug, shirt):
        cart = await shop.carts.add_to_cart(
            ViewerId(guest.viewer_id), VariantId(product.variants[0].id), 1, live
        )
    rare = await builders.product(shop, title="Rare", stock=0)
    rare_id = VariantId(rare.variants[0].id)
    places = await shop.waitlist.join(ViewerId(guest.viewer_id), rare_id, live)
    hello = await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Hello", "de": "Hallo"},
            kind=promotions_wire.OrderPercentOff(permille=50),
            codes=["HELLO"],
        )
    )
    offer = await shop.offers.start_offer(
        live,
        shows_wire.OfferInput(
            product_id=shirt.id, kind=promotions_wire.PercentOff(permille=100), seconds=86_400
        ),
    )
    page = await shop.syndication.connections.create(
        syndication_wire.ConnectionInput(connector="fake_posting", title="Our page", config={})
    )
    replay = syndication_wire.PostInput(connection_id=page.id, kind="replay", show_id=live)
    posts = [await shop.syndication.posts.create(replay) for _ in range(2)]
    preview = await shop.syndication.posts.preview(replay)
    feed = await shop.syndication.connections.create(
        syndication_wire.ConnectionInput(connector="json_feed", title="Our app", config={})
    )
    network = await shop.syndication.connections.create(
        syndication_wire.ConnectionInput(connector="x", title="X", config={"client_id": "me"})
    )
    await shop.syndication.planner.plan(feed.id)
    runs = await shop.syndication.connections.runs(feed.id)
    refused = OrderId("ord_" + "0" * 26)
    source = ConnectionId(page.id)
    async with shop.database.write() as tx:  # as if a shop system did not take it
        await export_store.add(tx.conn, refused, source, shop.clock.now())
        await export_store.change(tx.conn, refused, source, state="refused", reason="No.")
    headers = {
        "admin": {"Authorization": f"Bearer {admin}"},
        "host": {"Cookie": f"liveshop_session={host.token}", "X-CSRF-Token": host.csrf_token},
        "guest": {"Authorization": f"Bearer {guest.token}"},
    }
    things: dict[str, list[Any]] = {
        "show_id": [live, announced.id, draft.id],
        "product_id": [shirt.id, mug.id],
        "product_ids": [[mug.id, shirt.id], [shirt.id]],
        "variant_id": [one.id for product in (mug, shirt, rare) for one in product.variants],
        "location_id": [place.id for place in await shop.catalog.locations()],
        "line_id": [line.id for line in cart.lines],
        "place_id": [place.id for place in places.places],
        "promotion_id": [hello.promotion.id],
        "offer_id": [offer.id],
        "code": ["HELLO"],
        "connection_id": [page.id, feed.id, network.id],
        "run_id": [run.id for run in runs],
        "exported_order_id": [refused],
        "connection_ids": [[page.id]],
        "post_id": [post.id for post in posts],
        "card": [preview.images[0].url.rpartition("/")[2]],
        "media_id": [picture.media_id],
        "cover_id": [picture.media_id],
        "image_ids": [[picture.media_id]],
        "staff_id": [spare.id],
        "key_id": [key.id for key in keys if key.permissions == ("shows:read",)],
        "file": ["160.webp", "160.jpg"],
        "format": ["google_csv", "google_xml", "ndjson"],
        "country": ["DE"],
        "email": ["ada@example.org"],
        "token": [builders.storefront_jwt(shop.clock)],
        "method": ["sandbox", "invoice"],
        "card_number": [builders.GOOD_CARD, builders.DECLINED_CARD],
        "currency": ["EUR"],
        "time_zone": ["Europe/Berlin"],
    }
    return things, headers


def good_calls(running: Running) -> list[tuple[str, str, dict[str, Any]]]:
    """(caller, operation, what to send): each operation as it is meant to be called."""
    one = {name: values[0] for name, values in running.things.items()}
    announced = running.things["show_id"][1]
    price = {"amount": 2500, "currency": "EUR"}
    product = {"title": "Bowl", "variants": [{"sku": "BOWL", "list_price": price}]}
    order = {
        "expected_total": {"amount": 2 * 2800 + 490, "currency": "EUR"},
        "email": "ada@example.org",
        "address": builders.ADDRESS,
        "payment": {"method": "sandbox", "card_number": builders.GOOD_CARD},
        "show_id": one["show_id"],
    }
    show = {"path_parameters": {"show_id": one["show_id"]}}
    soon = {"path_parameters": {"show_id": announced}}
    item = {"path_parameters": {"product_id": one["product_id"]}}
    variant = {"path_parameters": {"variant_id": one["variant_id"]}}
    line = {"path_parameters": {"line_id": one["line_id"]}}
    offer = {
        "product_id": running.things["product_id"][1],
        "kind": {"type": "percent_off", "permille": 100},
        "seconds": 60,
    }
    promotion = {
        "texts": {"en": "A tenth off", "de": "Ein Zehntel weniger"},
        "kind": {"type": "order_percent_off", "permille": 100},
        "codes": ["TENTH"],
    }
    stored = {"path_parameters": {"promotion_id": one["promotion_id"]}}
    planned = {"connection_ids": one["connection_ids"]}
    posted = {"path_parameters": {"post_id": one["post_id"]}}
    _, feed, network = (
        {"path_parameters": {"connection_id": id_}} for id_ in running.things["connection_id"]
    )
    exported = {"order_id": one["exported_order_id"]}
    at_source = {"path_parameters": exported | {"connection_id": one["connection_id"]}}
    connected = {"connector": "json_feed", "title": "Another", "config": {}}
    post = {
        "connection_id": one["connection_id"],
        "kind": "replay",
        "show_id": one["show_id"],
    }
    staff = {
        "email": "new@shop.example",
        "name": "New",
        "password": builders.PASSWORD,
        "roles": ["host"],
    }
    return [
        ("guest", "create_guest", {}),
        # Not as the guest, whose cart would become the customer's.
        ("host", "sign_on_customer", {"body": {"token": one["token"]}}),
        ("guest", "get_me", {}),
        ("guest", "change_me", {"body": {"name": "Ada"}}),
        ("guest", "get_shop", {}),
        ("guest", "list_shows", {"query": {"state": "live"}}),
        ("guest", "get_show", show),
        ("guest", "show_snapshot", show),
        ("guest", "show_calendar", soon),
        ("guest", "add_reminder", soon | {"body": {"email": one["email"], "consent": True}}),
        ("guest", "list_products", {"query": {"q": "mug", "limit": 5}}),
        ("guest", "get_product", item),
        (
            "guest",
            "get_image",
            {"path_parameters": {"media_id": one["media_id"], "file": "160.webp"}},
        ),
        (
            "guest",
            "get_image",
            {"path_parameters": {"media_id": one["media_id"], "file": "square-250.jpg"}},
        ),
        ("guest", "get_cart", {}),
        ("guest", "add_to_cart", {"body": {"variant_id": one["variant_id"]}}),
        ("guest", "extend_holds", {}),
        ("guest", "remove_line", {"path_parameters": {"line_id": running.things["line_id"][1]}}),
        ("guest", "set_quantity", line | {"body": {"quantity": 2}}),
        ("guest", "hold_again", {}),
        ("guest", "quote_cart", {"body": {"country": "DE"}}),
        ("guest", "add_code", {"body": {"code": "HELLO"}}),
        ("guest", "remove_code", {"path_parameters": {"code": "HELLO"}}),
        ("guest", "get_waitlist", {}),
        ("guest", "join_waitlist", {"body": {"variant_id": running.things["variant_id"][-1]}}),
        ("guest", "leave_waitlist", {"path_parameters": {"place_id": one["place_id"]}}),
        ("guest", "place_order", {"body": order, "headers": {"Idempotency-Key": "key-1"}}),
        ("host", "get_session", {}),
        ("host", "create_show", {"body": {"title": "New"}}),
        ("host", "change_show", show | {"body": {"title": "Newer"}}),
        ("host", "set_lineup", show | {"body": {"product_ids": one["product_ids"]}}),
        ("host", "pin_product", show | {"body": {"product_id": one["product_id"]}}),
        ("host", "unpin_product", show),
        ("host", "show_numbers", show),
        ("host", "preview_offer", show | {"body": offer}),
        ("host", "start_offer", show | {"body": offer}),
        ("guest", "list_offers", show),
        (
            "host",
            "stop_offer",
            {"path_parameters": {"show_id": one["show_id"], "offer_id": one["offer_id"]}},
        ),
        ("host", "list_promotions", {"query": {"limit": 5}}),
        ("admin", "create_promotion", {"body": promotion}),
        ("admin", "get_promotion", stored),
        ("admin", "replace_promotion", stored | {"body": promotion | {"codes": ["OTHER"]}}),
        ("admin", "preview_promotion", {"body": {"promotion": promotion | {"codes": ["NEW"]}}}),
        ("admin", "change_promotion_state", stored | {"body": {"to": "paused"}}),
        ("host", "list_messages", show),
        ("host", "list_sanctions", show),
        ("host", "change_show_state", soon | {"body": {"to": "live"}}),
        ("admin", "list_staff", {}),
        ("admin", "create_staff", {"body": staff}),
        (
            "admin",
            "change_staff",
            {"path_parameters": {"staff_id": one["staff_id"]}, "body": {"name": "Newer"}},
        ),
        ("admin", "list_keys", {}),
        ("admin", "create_key", {"body": {"name": "a key", "permissions": ["shows:read"]}}),
        ("admin", "revoke_key", {"path_parameters": {"key_id": one["key_id"]}}),
        ("admin", "create_product", {"body": product}),
        ("admin", "replace_product", item | {"body": product}),
        ("admin", "list_locations", {}),
        ("admin", "get_stock", variant),
        (
            "admin",
            "set_stock",
            variant | {"body": {"location_id": one["location_id"], "on_hand": 7000}},
        ),
        (
            "admin",
            "import_products",
            {"query": {"format": "google_csv"}, "body": FEED, "media_type": "text/csv"},
        ),
        (
            "admin",
            "upload_image",
            {
                "query": {"alt": "A bowl"},
                "media_type": "image/png",
                "body": catalog_builders.picture(kind="PNG"),
            },
        ),
        ("admin", "list_refused_exports", {}),
        ("admin", "list_order_exports", {"path_parameters": exported}),
        ("admin", "settle_order_export", at_source | {"body": {"reference": "V-17"}}),
        ("admin", "list_connectors", {}),
        ("admin", "list_connections", {}),
        ("admin", "create_connection", {"body": connected}),
        ("admin", "get_connection", feed),
        ("admin", "change_connection", feed | {"body": {"title": "Our new app"}}),
        ("admin", "check_connection", feed),
        ("admin", "authorise_connection", network),
        ("admin", "plan_connection", feed),
        ("admin", "sync_connection", feed),
        ("admin", "list_runs", feed),
        ("admin", "get_run", {"path_parameters": {"run_id": one["run_id"]}}),
        ("admin", "list_listings", {"query": {"limit": 5, "state": "pending"}}),
        ("admin", "repair_listings", feed | {"body": {}}),
        ("admin", "change_connection_state", feed | {"body": {"to": "paused"}}),
        ("admin", "preview_post", {"body": post}),
        ("admin", "create_post", {"body": post}),
        ("admin", "plan_show_posts", show | {"body": {**planned, "kinds": ["replay"]}}),
        ("admin", "list_posts", {"query": {"show_id": one["show_id"], "limit": 5}}),
        ("admin", "get_post", posted),
        ("admin", "cancel_post", posted),
        ("admin", "remove_post", posted),
        ("guest", "get_card", {"path_parameters": {"card": one["card"]}}),
        ("admin", "list_orders", {"query": {"limit": 5}}),
        (
            "guest",
            "sign_in",
            {"body": {"email": "spare@shop.example", "password": builders.PASSWORD}},
        ),
        ("host", "sign_out", {}),
    ]


def test_each_operation_does_what_the_document_says(running: Running) -> None:
    known = {
        operation.definition.raw["operationId"]: operation for operation in running.operations()
    }
    known["sign_out"] = running.schema["/api/session"]["DELETE"]
    called = set()
    for caller, name, sent in good_calls(running):
        case = known[name].Case(**sent)
        if "body" in sent and "media_type" not in sent:
            case.media_type = "application/json"
        response = running.call(caller, case)
        assert response.status_code in (200, 201, 204), (name, response.text)
        called.add(name)
        if name == "place_order":
            order = {"path_parameters": {"order_id": response.json()["id"]}}
            again = running.call("guest", known["get_order"].Case(**order))
            assert again.status_code == 200
            called.add("get_order")
    assert sorted(known.keys() - called) == sorted(HLS)


@pytest.mark.parametrize(
    ("database_url", "caller"),
    [("sqlite", "admin"), ("postgres", "admin"), ("sqlite", "host"), ("sqlite", "guest")],
    indirect=["database_url"],
)
def test_no_case_breaks_the_document(running: Running, caller: str) -> None:
    broken: dict[str, str] = {}
    for operation in running.operations():
        try:
            if boundaries(running, caller, operation):
                made_up(running, caller, operation)
        except FailureGroup as group:
            for failure in group.exceptions:
                broken.setdefault(f"{operation.label}: {failure.title}", str(group))
    assert not broken, "\n\n".join(f"{name}\n{told}" for name, told in broken.items())


def boundaries(running: Running, caller: str, operation: Any) -> bool:
    """Each limit of the schema, from both sides; False when this caller is only ever refused."""
    cases = running.schema.iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=running.schema.config.generation_for(operation=operation),
    )
    refused = 0
    for case, _ in zip(cases, range(BOUNDARIES), strict=False):
        refused = refused + 1 if running.call(caller, case).status_code == 403 else 0
        if refused == REFUSALS:
            return False
    return True


def made_up(running: Running, caller: str, operation: Any) -> None:
    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode)),
        choose=st.randoms(use_true_random=False),
    )
    def check(case: Case, choose: Any) -> None:
        def pick(name: str, value: Any) -> Any:
            known = running.things.get(name)
            return choose.choice(known) if known and choose.random() < 0.7 else value

        for container in (case.path_parameters, case.query):
            for name in list(container or {}):
                container[name] = pick(name, container[name])
        case.body = replaced(case.body, pick)
        running.call(caller, case)

    check()


def replaced(value: Any, pick: Callable[[str, Any], Any]) -> Any:
    """JSON in which fields named like things that exist often name one."""
    if isinstance(value, dict):
        return {name: pick(name, replaced(inner, pick)) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, pick) for inner in value]
    return value
