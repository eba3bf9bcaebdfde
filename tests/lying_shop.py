"""A server that speaks `liveshop.v1` and the shop's HTTP, and lies where a test asks it to.

What watches a server must be seen to notice: here each fault is planted, once, on purpose.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

SHOW = "shw_01K00000000000000000000000"
MONEY = {"amount": 3290, "currency": "EUR"}


@dataclass
class LyingShop:
    """Events have even faults: `drop`, `repeat` and `swap` name the offset that the first viewer
    of all does not get, gets twice, or gets after the next one. `never` is told to nobody, though
    its author is told that it was said. `state` and `demo` are what the shop says of itself."""

    drop: int = 0
    repeat: int = 0
    swap: int = 0
    never: int = 0
    forget_orders: bool = False
    order_twice: bool = False
    state: str = "live"
    demo: bool = True
    close_with: int = 0
    """The first viewer's connection is ended with this code after its first event."""
    url: str = ""
    orders: dict[str, str] = field(default_factory=dict)
    posted: int = 0
    offset: int = 0
    _log: list[dict[str, Any]] = field(default_factory=list)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _held: dict[str, Any] | None = None
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    async def shop(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "name": "Liar",
                "countries": [{"code": "DE"}],
                "payment_methods": [{"id": "invoice", "deliveries": ["ship"]}],
                "demo": self.demo,
            }
        )

    def _show(self) -> dict[str, Any]:
        return {"id": SHOW, "title": "A show", "state": self.state, "starts_at": None}

    async def shows(self, _: web.Request) -> web.Response:
        return web.json_response({"shows": [self._show()] if self.state == "live" else []})

    async def show(self, request: web.Request) -> web.Response:
        if request.match_info["show_id"] != SHOW:
            return web.json_response({"code": "unknown_show", "detail": "No."}, status=404)
        return web.json_response(self._show())

    async def snapshot(self, _: web.Request) -> web.Response:
        chat: dict[str, Any] = {"messages": [], "settings": {"slow_mode_seconds": 0}}
        products = [{"variants": [{"id": "var_1", "available": 5}]}]
        return web.json_response(
            {"epoch": "e", "offset": self.offset, "chat": chat, "products": products}
        )

    async def guest(self, _: web.Request) -> web.Response:
        return web.json_response({"token": f"guest-{next(self._ids)}"}, status=201)

    async def cart(self, _: web.Request) -> web.Response:
        return web.json_response({"lines": []})

    async def quote(self, _: web.Request) -> web.Response:
        return web.json_response({"total": MONEY, "lines": []})

    async def order(self, request: web.Request) -> web.Response:
        self.posted += 1
        key = request.headers["Idempotency-Key"]
        fresh = f"ord_{next(self._ids)}"
        id_ = fresh if self.order_twice else self.orders.setdefault(key, fresh)
        return web.json_response({"id": id_, "state": "confirmed", "total": MONEY}, status=201)

    async def read_order(self, request: web.Request) -> web.Response:
        if self.forget_orders:
            return web.json_response({"code": "unknown_order", "detail": "No."}, status=404)
        id_ = request.match_info["order_id"]
        return web.json_response({"id": id_, "state": "confirmed", "total": MONEY})

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("liveshop.v1",))
        await socket.prepare(request)
        since = int(request.query.get("offset", self.offset))
        await socket.send_json(
            {"t": "hello", "epoch": "e", "offset": since, "at": "", "you": {"kind": "guest"}}
        )
        for event in self._log[since:]:
            await socket.send_json(event)
        self._sockets.append(socket)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                await self._said(socket, json.loads(frame.data))
        if socket in self._sockets[1:]:  # the first is remembered, to be lied to for ever
            self._sockets.remove(socket)
        return socket

    async def _said(self, author: web.WebSocketResponse, command: dict[str, Any]) -> None:
        if command["t"] == "chat.send":
            self.offset += 1
            event = {
                "t": "chat.message",
                "o": self.offset,
                "at": "",
                "d": {"message": {"id": f"msg_{self.offset}", "text": command["text"]}},
            }
            if self.offset == self.never:
                event = {"t": "note", "o": self.offset, "at": "", "d": {}}
            self._log.append(event)
            for number, socket in enumerate(tuple(self._sockets)):
                await self._give(socket, event, is_first=number == 0)
        await author.send_json({"id": command["id"], "ok": {}})

    async def _give(
        self, socket: web.WebSocketResponse, event: dict[str, Any], *, is_first: bool
    ) -> None:
        events = [event]
        if is_first:
            if event["o"] == self.drop:
                return
            if event["o"] == self.repeat:
                events = [event, event]
            if event["o"] == self.swap:
                self._held = event
                return
            if self._held is not None:
                events, self._held = [event, self._held], None
        with contextlib.suppress(ConnectionError):
            for one in events:
                await socket.send_json(one)
            if is_first and self.close_with and not socket.closed:
                # Not waited for: the one who is sent away may be the one who speaks.
                code, self.close_with = self.close_with, 0
                self._closing = asyncio.create_task(socket.close(code=code))


@contextlib.asynccontextmanager
async def lying_shop(**lies: Any) -> AsyncIterator[LyingShop]:
    shop = LyingShop(**lies)
    app = web.Application()
    app.add_routes(
        [
            web.get("/api/shop", shop.shop),
            web.get("/api/shows", shop.shows),
            web.get("/api/shows/{show_id}", shop.show),
            web.get("/api/shows/{show_id}/snapshot", shop.snapshot),
            web.post("/api/guests", shop.guest),
            web.post("/api/cart/lines", shop.cart),
            web.post("/api/cart/quote", shop.quote),
            web.post("/api/orders", shop.order),
            web.get("/api/orders/{order_id}", shop.read_order),
            web.get("/live/{show_id}", shop.live),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield shop
    finally:
        await runner.cleanup()
