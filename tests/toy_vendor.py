"""A vendor small enough to see through, and its connector; `toy_far_sides` looks at it.

With it the contract suites are tried on something right, and on the same thing with one mistake.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import msgspec
from aiohttp import web

from liveshop.connect import (
    Accepted,
    BadRow,
    FeedInfo,
    FeedLimits,
    ImageLimit,
    Kit,
    Limit,
    Listing,
    ListingLimits,
    OAuth,
    Post,
    PostCost,
    PostLimits,
    PostReceipt,
    Problem,
    Refused,
    Role,
    Secret,
    Seen,
    SkipListing,
    SourceOrder,
    SourcePage,
    SourceProduct,
    SourceRow,
    SourceVariant,
    StageShow,
    StageTarget,
    StockWrite,
    TextLimit,
    Verdict,
    format_price,
    parse_price,
)
from liveshop.connect.contract import WAIT_SECONDS, Fault
from liveshop.connect.http import Answer, call_authorised
from liveshop.kernel.money import Money

Mistake = Literal[
    "",
    "doubles",
    "cents_lost",
    "ignores_withdrawal",
    "batch_fails_whole",
    "asks_when_opened",
    "forgets_the_wait",
    "tells_the_key",
    "posts_twice",
    "finds_anything",
    "no_alt",
    "cuts_silently",
    "orders_twice",
    "overwrites_stock",
    "mark_too_late",
    "stops_at_bad_rows",
    "counts_sold",
    "not_escaped",
    "no_sale",
    "dates_itself",
    "controls_left_in",
    "two_decimals_for_all",
    "second_broadcast",
    "key_in_address",
]
TOY_STAGE = "rtmps://live.toy.example/app"
_BATCH = Limit("toy.batch", 50, "listings", date(2026, 11, 1), "https://toy.example/docs")
# The vendor


@dataclass
class Toy:
    """What it holds. `serial` counts all changes, so that one can ask for what is new."""

    listings: dict[str, dict[str, str]] = field(default_factory=dict)
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    broadcasts: dict[str, dict[str, str]] = field(default_factory=dict)
    serial: int = 0
    fault: Fault | None = None
    tokens_seen: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._weather])
        app.add_routes(
            [
                web.get("/me", self._me),
                web.put("/listings", self._put_listings),
                web.post("/listings/get", self._get_listings),
                web.post("/posts", self._add_post),
                web.get("/posts", self._list_posts),
                web.delete("/posts/{id}", self._delete_post),
                web.get("/products", self._list_products),
                web.post("/orders", self._add_order),
                web.get("/orders", self._list_orders),
                web.post("/orders/{id}/cancel", self._cancel_order),
                web.put("/stock/{id}", self._set_stock),
                web.get("/broadcasts", self._list_broadcasts),
                web.post("/broadcasts", self._add_broadcast),
            ]
        )
        return app

    @web.middleware
    async def _weather(self, request: web.Request, handler: Any) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.tokens_seen.add(token)
        if self.fault == "revoked" or token in self.expired:
            return web.json_response({"error": {"message": f"no: {token}"}}, status=401)
        if self.fault == "forbidden":
            return web.json_response({"message": "scope listings:write is missing"}, status=403)
        if self.fault == "unavailable":
            return web.Response(status=503, text="<html>later</html>")
        if self.fault in ("too_many", "too_many_until"):
            wait = {"Retry-After": str(WAIT_SECONDS)} if self.fault == "too_many_until" else {}
            return web.json_response({"message": "slow down"}, status=429, headers=wait)
        answer: web.Response = await handler(request)
        makes = request.method == "PUT" or request.path in (
            "/posts",
            "/orders",
            "/broadcasts",
        )
        if self.fault == "lost_answer" and makes and request.method != "GET":
            assert request.transport is not None
            request.transport.close()
        if self.fault == "half_sent":
            body = answer.body
            assert isinstance(body, bytes)
            half = web.StreamResponse(status=200, headers={"Content-Length": str(len(body) + 9)})
            await half.prepare(request)
            await half.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return half
        return answer

    async def _me(self, request: web.Request) -> web.Response:
        return web.json_response({"name": "toy"})

    async def _put_listings(self, request: web.Request) -> web.Response:
        said = {}
        for key, fields in (await request.json()).items():
            if fields is None:
                self.listings.pop(key, None)
            elif key.split("#")[0] in self.refused:
                said[key] = "no mugs on Sundays"
            else:
                self.listings[key] = fields
        return web.json_response({"refused": said})

    async def _get_listings(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        return web.json_response(
            {key: self.listings[key] for key in wanted if key in self.listings}
        )

    async def _add_post(self, request: web.Request) -> web.Response:
        post = await request.json()
        if len(post["text"]) > 400:
            return web.json_response({"message": "text too long"}, status=422)
        id_ = f"p{self.next()}"
        self.posts[id_] = post
        return web.json_response({"id": id_}, status=201)

    async def _list_posts(self, request: web.Request) -> web.Response:
        return web.json_response([{"id": id_, **post} for id_, post in self.posts.items()])

    async def _delete_post(self, request: web.Request) -> web.Response:
        found = self.posts.pop(request.match_info["id"], None)
        return web.json_response({}, status=404 if found is None else 200)

    async def _list_products(self, request: web.Request) -> web.Response:
        since = int(request.query.get("since", "0"))
        after = request.query.get("after", "")
        found = sorted(
            (one for one in self.products.values() if one["serial"] > since),
            key=lambda one: str(one["id"]),
        )
        rest = [one for one in found if one["id"] > after]
        page = rest[:3]
        more = page[-1]["id"] if len(rest) > 3 else None
        return web.json_response({"products": page, "more": more, "serial": self.serial})

    async def _add_order(self, request: web.Request) -> web.Response:
        order = await request.json()
        id_ = f"o{self.next()}"
        self.orders[id_] = {**order, "cancelled": False}
        for item in order["items"]:
            self.products[item["id"].removesuffix("-v")]["sold"] += item["quantity"]
        return web.json_response({"id": id_}, status=201)

    async def _list_orders(self, request: web.Request) -> web.Response:
        found = [{"id": id_, **order} for id_, order in self.orders.items()]
        return web.json_response([one for one in found if one["key"] == request.query["key"]])

    async def _cancel_order(self, request: web.Request) -> web.Response:
        order = self.orders[request.match_info["id"]]
        if not order["cancelled"]:
            order["cancelled"] = True
            for item in order["items"]:
                self.products[item["id"].removesuffix("-v")]["sold"] -= item["quantity"]
        return web.json_response({})

    async def _set_stock(self, request: web.Request) -> web.Response:
        given = await request.json()
        product = self.products[request.match_info["id"].removesuffix("-v")]
        if given["expected"] not in (None, product["quantity"]):
            return web.json_response({"message": "another count"}, status=409)
        product["quantity"] = given["quantity"]
        return web.json_response({})

    async def _list_broadcasts(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.broadcasts.values()))

    async def _add_broadcast(self, request: web.Request) -> web.Response:
        given = await request.json()
        id_ = f"b{self.next()}"
        self.broadcasts[id_] = {"show": given["show"], "key": f"{id_}-of-the-toy"}
        return web.json_response(self.broadcasts[id_], status=201)


# Its connector


class ToyConfig(msgspec.Struct, frozen=True):
    base_url: str
    key: Secret


class ToyConnector:
    name = "toy"
    title = "Toy"
    config = ToyConfig
    oauth = OAuth("https://toy.example/authorize", "https://toy.example/token", ("all",))

    def __init__(self, role: Role, mistake: Mistake = "") -> None:
        self.roles: frozenset[Role] = frozenset({role})
        self._kind = {
            "channel": ToyChannel,
            "poster": ToyPoster,
            "source": ToySource,
            "feed": ToyFeed,
            "stage": ToyStage,
        }[role]
        self._mistake: Mistake = mistake

    @asynccontextmanager
    async def open(self, config: ToyConfig, kit: Kit) -> AsyncIterator[Any]:
        opened = self._kind(config, kit, self._mistake)
        if self._mistake == "asks_when_opened":
            await opened.ask("GET", "/me")
        yield opened


class _Opened:
    def __init__(self, config: ToyConfig, kit: Kit, mistake: Mistake) -> None:
        self._config = config
        self._kit = kit
        self._mistake = mistake

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        if self._mistake == "tells_the_key":
            more.setdefault("params", {})
        try:
            return await call_authorised(
                self._kit,
                method,
                self._config.base_url + path,
                who="Toy",
                headers={"X-Key": self._config.key.reveal()},
                secrets=(self._config.key,),
                **more,
            )
        except SkipListing as error:
            raise SkipListing(error.detail, field="text") from None
        except Exception as error:
            if self._mistake == "forgets_the_wait" and hasattr(error, "after"):
                error.after = None
            if self._mistake == "tells_the_key":
                error.args = (f"{error} with {self._config.key.reveal()}",)
            raise

    async def diagnose(self) -> Iterable[str]:
        await self.ask("GET", "/me")
        return []


class ToyChannel(_Opened):
    @property
    def listing_limits(self) -> ListingLimits:
        return ListingLimits(
            batch=self._kit.limit(_BATCH),
            read_batch=2,
            title=TextLimit(100),
            description=TextLimit(1000),
            images=ImageLimit("clean", 1, 1_000_000),
            can_hide=True,
        )

    def check(self, listing: Listing) -> Sequence[Problem]:
        return [] if listing.title else [Problem("title", "Give the product a title.")]

    def shown(self, listing: Listing) -> Mapping[str, str]:
        price = listing.sale.price if listing.sale else listing.price
        return {
            "title": listing.title,
            "price": f"{price.amount / 100:.2f} {price.currency}",
            "description": listing.description,
        }

    async def publish(self, listings: Sequence[Listing]) -> Sequence[Verdict]:
        given: dict[str, Any] = {}
        for one in listings:
            sent = {**self.shown(one), "hidden": "" if one.is_visible else "yes"}
            if self._mistake == "cents_lost":
                sent["price"] = sent["price"].replace(".91", ".90")
            key = f"{one.id}#{id(self)}" if self._mistake == "doubles" else one.id
            given[key] = sent
        refused = (await self.ask("PUT", "/listings", json=given)).json()["refused"]
        if refused and self._mistake == "batch_fails_whole":
            return [Refused(one.id, "the batch failed") for one in listings]
        return [
            Refused(one.id, f"Toy says: {refused[one.id]}")
            if one.id in refused
            else Accepted(one.id)
            for one in listings
        ]

    async def withdraw(self, ids: Sequence[str]) -> Sequence[Verdict]:
        if self._mistake != "ignores_withdrawal":
            await self.ask("PUT", "/listings", json=dict.fromkeys(ids))
        return [Accepted(id_) for id_ in ids]

    async def read_back(self, ids: Collection[str]) -> Mapping[str, Seen]:
        found = (await self.ask("POST", "/listings/get", json=list(ids))).json()
        return {
            id_: Seen(id_, status="hidden" if fields.pop("hidden") else "live", shown=fields)
            for id_, fields in found.items()
        }


class ToyPoster(_Opened):
    post_limits = PostLimits(
        TextLimit(400), ImageLimit("landscape", 2, 1_000_000, alt=TextLimit(100)), link="beside"
    )

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def publish(self, post: Post) -> PostReceipt:
        text = post.text[:400] if self._mistake == "cuts_silently" else post.text
        sent = {
            "text": text,
            "link": post.link,
            "key": post.key,
            "alts": [] if self._mistake == "no_alt" else [image.alt for image in post.images],
        }
        repeats = self._mistake == "posts_twice"
        try:
            answer = await self.ask("POST", "/posts", json=sent, is_repeatable=repeats)
        except Exception:
            if repeats:
                answer = await self.ask("POST", "/posts", json=sent)
            raise
        return PostReceipt(answer.json()["id"])

    async def _all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("GET", "/posts")).json()
        return found

    async def find(self, post: Post) -> PostReceipt | None:
        for one in await self._all():
            if one["key"] == post.key or self._mistake == "finds_anything":
                return PostReceipt(one["id"])
        return None

    async def delete(self, remote_id: str) -> None:
        await self.ask("DELETE", f"/posts/{remote_id}", passes={404})

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        there = {one["id"] for one in await self._all()}
        return [id_ for id_ in remote_ids if id_ in there]


class ToyStage(_Opened):
    async def target(self, show: StageShow) -> StageTarget:
        there = (await self.ask("GET", "/broadcasts")).json()
        found = next((one for one in there if one["show"] == show.key), None)
        if found is None or self._mistake == "second_broadcast":
            found = (await self.ask("POST", "/broadcasts", json={"show": show.key})).json()
        key = found["key"]
        if self._mistake == "key_in_address":
            return StageTarget(f"{TOY_STAGE}/{key}", key)
        return StageTarget(TOY_STAGE, key)


class ToySource(_Opened):
    async def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        since, _, after = (cursor or "0:").partition(":")
        async for page in self._pages(int(since), after, None):
            yield page

    async def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        async for page in self._pages(int(mark), "", None):
            yield page

    async def _pages(self, since: int, after: str, mark: str | None) -> AsyncIterator[SourcePage]:
        # The cursor carries the mark of the run's first page, so that no change is lost.
        after, _, begun = after.partition("@")
        mark = begun or None
        while True:
            query = {"since": str(since), "after": after}
            page = (await self.ask("GET", "/products", params=query)).json()
            if mark is None or self._mistake == "mark_too_late":
                mark = str(page["serial"])
            rows = [_row(one) for one in page["products"]]
            if self._mistake == "stops_at_bad_rows" and any(isinstance(r, BadRow) for r in rows):
                raise ValueError("a row is wrong")
            if page["more"] is None:
                yield SourcePage(rows, mark=mark)
                return
            after = page["more"]
            yield SourcePage(rows, cursor=f"{since}:{after}@{mark}")

    async def product_ids(self) -> AsyncIterator[Sequence[str]]:
        async for page in self._pages(0, "", None):
            yield [
                str(row.source_id if isinstance(row, BadRow) else row.product.source_id)
                for row in page.rows
            ]

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        after: str | None = ""
        while source_ids and after is not None:
            page = (await self.ask("GET", "/products", params={"after": after})).json()
            for one in page["products"]:
                sold = 0 if self._mistake == "counts_sold" else one["sold"]
                counts[f"{one['id']}-v"] = one["quantity"] - sold
            after = page["more"]
        return {id_: counts[id_] for id_ in source_ids if id_ in counts}

    async def place_order(self, order: SourceOrder) -> str:
        if self._mistake != "orders_twice":
            query = {"key": order.key}
            for found in (await self.ask("GET", "/orders", params=query)).json():
                return str(found["id"])
        sent = {
            "key": order.key,
            "total": [order.total.amount, order.total.currency],
            "items": [{"id": one.source_id, "quantity": one.quantity} for one in order.items],
        }
        return str((await self.ask("POST", "/orders", json=sent)).json()["id"])

    async def cancel_order(self, reference: str, *, reason: str) -> None:
        await self.ask("POST", f"/orders/{reference}/cancel", json={"reason": reason})

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Verdict]:
        verdicts: list[Verdict] = []
        for one in writes:
            expected = None if self._mistake == "overwrites_stock" else one.expected
            sent = {"quantity": one.quantity, "expected": expected}
            answer = await self.ask("PUT", f"/stock/{one.source_id}", json=sent, passes={409})
            verdicts.append(
                Accepted(one.source_id)
                if answer.is_success
                else Refused(one.source_id, "Toy has another count.")
            )
        return verdicts


class ToyFeed(_Opened):
    """Lines of JSON, the first one about the feed."""

    media_type = "application/x-ndjson"
    file_name = "toy.ndjson"
    feed_limits = FeedLimits(
        TextLimit(100), TextLimit(1000), ImageLimit("clean", 1, 1_000_000), 86_400
    )

    async def diagnose(self) -> Iterable[str]:
        return []

    def check(self, listing: Listing) -> Sequence[Problem]:
        return [] if listing.title else [Problem("title", "Give the product a title.")]

    def head(self, info: FeedInfo) -> bytes:
        made = {"title": info.title}
        if self._mistake == "dates_itself":
            made["at"] = str(id(self))
        return msgspec.json.encode(made) + b"\n"

    def item(self, listing: Listing, *, is_first: bool) -> bytes:
        sale = None if self._mistake == "no_sale" else listing.sale
        fields = {
            "id": listing.id,
            "title": self._clean(listing.title),
            "description": self._clean(listing.description),
            "link": listing.link,
            "price": self._price(listing.price),
            "sale": self._price(sale.price) if sale else None,
            "until": str(sale.ends_at) if sale else None,
            "available": listing.is_available,
        }
        if self._mistake == "not_escaped":
            fields["description"] = ""
            return msgspec.json.encode(fields)[:-1] + (
                f',"description":"{listing.description}"}}\n'.encode()
            )
        return msgspec.json.encode(fields) + b"\n"

    def tail(self) -> bytes:
        return b""

    def _clean(self, text: str) -> str:
        if self._mistake == "controls_left_in":
            return text
        return "".join(one for one in text if one.isprintable() or one in "\n\t")

    def _price(self, price: Money) -> str:
        if self._mistake == "two_decimals_for_all":
            return toy_price(price)
        return format_price(price)


def _row(one: Mapping[str, Any]) -> SourceRow | BadRow:
    try:
        price = parse_price(one["price"])
    except ValueError as error:
        return BadRow(0, one["id"], str(error))
    variant = SourceVariant(f"{one['id']}-v", one["id"], price, quantity=one["quantity"])
    return SourceRow(0, SourceProduct(one["id"], one["title"], (variant,)))


def toy_price(price: Money) -> str:
    return f"{price.amount / 100:.2f} {price.currency}"
