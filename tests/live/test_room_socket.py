"""The door of a room: handshakes, tokens, origins, frames that are wrong, and every close code."""

import asyncio
import contextlib
import gc
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from room_builders import (
    GUEST,
    HOST,
    SHOW,
    RoomServer,
    ask,
    close_code,
    read,
    room_server,
    until,
)
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus

from liveshop.kernel.errors import Forbidden
from liveshop.realtime import CloseCode, CommandSpec, Hub, Position, Session
from liveshop.realtime.doors import Judge
from liveshop.realtime.hub import Joined
from liveshop.realtime.viewer import Viewer
from liveshop.settings import RealtimeSettings
from liveshop.web.access import SIGNED_IN, Principal, permission
from liveshop.web.wire import Wire


class Nothing(Wire):
    pass


class Gate:
    """Commands that a test can hold up or break."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.finished = 0

    def commands(self, _hub: Hub) -> list[CommandSpec]:
        async def wait(_session: Session, _args: Nothing) -> None:
            self.entered.set()
            await self.opened.wait()
            self.finished += 1

        async def fail(_session: Session, _args: Nothing) -> None:
            raise ZeroDivisionError("secret detail")

        async def moderate(_session: Session, _args: Nothing) -> None:
            return None

        return [
            CommandSpec("test.wait", Nothing, SIGNED_IN, wait, "wait"),
            CommandSpec("test.fail", Nothing, SIGNED_IN, fail, "fail"),
            CommandSpec(
                "test.moderate", Nothing, permission("chat:moderate"), moderate, "moderate"
            ),
        ]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def server(gate: Gate) -> AsyncIterator[RoomServer]:
    async with room_server(
        commands=gate.commands, embed_origins=frozenset({"https://storefront.test"})
    ) as running:
        running.bouncer.tokens = {"ada": GUEST, "hana": HOST}
        yield running


async def test_hello_says_where_the_log_is_and_who_one_is(server: RoomServer) -> None:
    await server.say(1, 2)
    async with server.connect("hana") as client:
        assert client.subprotocol == "liveshop.v1"
        hello = await read(client)
    position = await server.hub.position(SHOW)
    assert hello.pop("at").endswith("Z")
    assert hello == {
        "t": "hello",
        "epoch": position.epoch,
        "offset": 2,
        "you": {
            "kind": "staff",
            "viewer_id": HOST.id,
            "name": "Hana",
            "permissions": ["chat:moderate", "shows:read", "shows:write"],
        },
    }


@pytest.mark.parametrize("is_watched", [False, True])
async def test_who_was_let_in_just_before_the_show_closed_is_not_told_of_it(
    server: RoomServer, monkeypatch: pytest.MonkeyPatch, is_watched: bool
) -> None:
    """The room is sent away while he is at its door: nobody would send him away after that."""
    is_closed = False

    async def look(_show_id: str) -> Judge[None]:
        was_closed = is_closed

        def judge(_who: Principal) -> None:
            if was_closed:
                raise Forbidden("This show is for customers.")

        return judge

    join = server.hub.join

    async def late(viewer: Viewer, resume: Position | None = None) -> Joined:
        nonlocal is_closed
        is_closed = True
        await server.publish.renew(SHOW)
        return await join(viewer, resume)

    doors = server.socket._doors
    monkeypatch.setattr(doors, "_look", look)
    async with server.connect(show=SHOW) if is_watched else contextlib.nullcontext() as watcher:
        if watcher is not None:
            await read(watcher)  # so that what was looked up is kept
        monkeypatch.setattr(server.hub, "join", late)
        async with server.connect("ada") as client:
            with contextlib.suppress(ConnectionClosed):
                pytest.fail(f"it was told {await client.recv()!r}")
            assert await close_code(client) == CloseCode.NO_SUCH_SHOW
    await until(lambda: server.hub.connections == 0)


async def test_without_a_token_one_may_watch_but_not_speak(server: RoomServer) -> None:
    async with server.connect() as client:
        hello = await read(client)
        assert hello["you"] == {
            "kind": "anonymous",
            "viewer_id": None,
            "name": None,
            "permissions": [],
        }
        refused = await ask(client, 1, "test.wait")
        assert refused["error"]["code"] == "not_signed_in"
        assert (await ask(client, 2, "ping"))["ok"]["at"].endswith("Z")


async def test_errors_have_one_shape(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        refused = await ask(client, 1, "test.moderate")
        assert refused == {
            "id": 1,
            "error": {
                "code": "forbidden",
                "message": "This needs the permission chat:moderate.",
                "retryable": False,
                "retry_after": None,
                "data": {"access": "chat:moderate"},
            },
        }
        assert (await ask(client, 2, "test.unknown"))["error"]["code"] == "unknown_command"
        assert (await ask(client, 2, "ping")) == {
            "id": None,
            "error": {
                "code": "duplicate_id",
                "message": "id 2 was used before; each id must be larger than the last",
                "retryable": False,
                "retry_after": None,
                "data": {"id": 2},
            },
        }


async def test_a_fault_tells_nothing_and_ends_nothing(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        with capture_logs() as logged:
            refused = await ask(client, 1, "test.fail")
        assert refused["error"]["code"] == "internal"
        assert "secret" not in json.dumps(refused)
        assert [entry["event"] for entry in logged] == ["command_failed"]
        assert "ok" in await ask(client, 2, "ping")


@pytest.mark.parametrize(
    "frame",
    ["no json", "[]", "{", b"\x00\x01binary", "x" * 9000],
    ids=["text", "array", "half", "binary", "oversize"],
)
async def test_whoever_does_not_speak_the_protocol_is_closed(
    server: RoomServer, frame: str | bytes
) -> None:
    async with server.connect("ada") as client:
        await read(client)
        await client.send(frame)
        assert await close_code(client) == CloseCode.PROTOCOL_VIOLATED
    await until(lambda: server.hub.connections == 0)


async def test_broken_utf8_is_closed(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        await client.send(b'{"id": 1, "t": "\xff"}', text=True)
        assert await close_code(client) == CloseCode.PROTOCOL_VIOLATED


async def test_a_frame_far_too_large_is_not_even_read(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        with contextlib.suppress(ConnectionClosed):
            await client.send("x" * 3_000_000)
        assert await close_code(client) in (1009, 1006)  # cut off before all of it was sent
    await until(lambda: server.hub.connections == 0)


async def test_fragments_add_up_to_one_frame(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        await client.send(['{"id": 1, ', '"t": ', '"ping"}'])
        assert (await read(client))["id"] == 1


async def test_a_flood_is_closed(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        with contextlib.suppress(ConnectionClosed):
            for n in range(1000):
                await client.send(json.dumps({"id": n, "t": "ping"}))
        assert await close_code(client) == CloseCode.PROTOCOL_VIOLATED


async def test_pings_are_answered(server: RoomServer) -> None:
    async with server.connect() as client:
        await read(client)
        async with asyncio.timeout(5):
            await (await client.ping(b"are you there"))


@pytest.mark.parametrize("offered", [["chat.v2"], ["bearer.ada"], ["liveshop.v2", "bearer.ada"]])
async def test_another_subprotocol_is_refused_and_the_token_not_logged(
    server: RoomServer, offered: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="aiohttp"), pytest.raises(InvalidStatus) as refused:
        async with server.connect(subprotocols=offered):
            pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body or b"")["code"] == "wrong_subprotocol"
    # The client of this test writes down what it sends.
    ours = [one for one in caplog.records if not one.name.startswith("websockets")]
    assert not [one for one in ours if "bearer" in one.getMessage()]


async def test_a_plain_request_is_told_to_upgrade(server: RoomServer) -> None:
    url = server.url.replace("ws:", "http:")
    async with aiohttp.ClientSession() as session, session.get(f"{url}/live/{SHOW}") as answer:
        assert answer.status == 426
        assert (await answer.json())["code"] == "upgrade_required"


@pytest.mark.parametrize(
    "show", ["shw_01K0000000000000000000000X", "prd_01K00000000000000000000000", "nonsense"]
)
async def test_an_unknown_show_is_closed_for_good(server: RoomServer, show: str) -> None:
    async with server.connect("ada", show=show) as client:
        assert await close_code(client) == CloseCode.NO_SUCH_SHOW
    assert server.broker.rooms == 0


async def test_a_forged_or_expired_token_is_closed_for_good(server: RoomServer) -> None:
    async with server.connect("forged") as client:
        assert await close_code(client) == CloseCode.BAD_TOKEN


async def test_a_token_that_expires_meanwhile_ends_with_the_next_command(
    server: RoomServer,
) -> None:
    async with server.connect("ada") as client:
        await read(client)
        server.bouncer.tokens.clear()
        assert "ok" in await ask(client, 1, "ping")  # watching goes on
        await client.send(json.dumps({"id": 2, "t": "test.moderate"}))
        assert await close_code(client) == CloseCode.BAD_TOKEN


async def test_a_permission_taken_away_is_gone_with_the_next_command(server: RoomServer) -> None:
    async with server.connect("hana") as client:
        await read(client)
        assert "ok" in await ask(client, 1, "test.moderate")
        server.bouncer.tokens["hana"] = Principal("staff", HOST.id, "Hana")
        assert (await ask(client, 2, "test.moderate"))["error"]["code"] == "forbidden"


async def test_a_foreign_page_is_closed_for_good(server: RoomServer) -> None:
    async with server.connect("ada", origin="https://elsewhere.test") as client:
        assert await close_code(client) == CloseCode.FOREIGN_ORIGIN
    async with server.connect("ada", origin="null") as client:
        assert await close_code(client) == CloseCode.FOREIGN_ORIGIN


@pytest.mark.parametrize("origin", ["https://storefront.test", "https://shop.test", None])
async def test_own_pages_and_storefronts_come_in(server: RoomServer, origin: str | None) -> None:
    async with server.connect("ada", origin=origin) as client:
        assert (await read(client))["you"]["viewer_id"] == GUEST.id


async def test_a_cookie_counts_on_own_pages_only(server: RoomServer) -> None:
    """Otherwise any storefront's page could act as the staff member who reads it."""
    server.bouncer.cookie = Principal(
        "staff", HOST.id, HOST.name, HOST.permissions, csrf_token="from the cookie"
    )
    async with server.connect(origin="https://shop.test") as client:
        assert (await read(client))["you"]["kind"] == "staff"
    async with server.connect(origin="https://storefront.test") as client:
        assert (await read(client))["you"]["kind"] == "anonymous"
        assert (await ask(client, 1, "test.moderate"))["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize(
    ("epoch", "offset"), [("gone", 5), ("", "x"), ("e", -1), ("e", "9" * 40), ("e", "٣")]
)
async def test_a_place_that_is_not_known_means_reload(
    server: RoomServer, epoch: str, offset: object
) -> None:
    await server.say(1, 2)
    async with server.connect(epoch=epoch, offset=offset) as client:
        assert (await read(client))["offset"] == 2
        assert await read(client) == {"t": "resume_failed"}
        await server.say(3)
        assert (await read(client))["o"] == 3


async def test_going_down_sends_everybody_back_and_finishes_what_was_begun(
    server: RoomServer, gate: Gate
) -> None:
    async with server.connect("ada") as busy, server.connect() as idle:
        await read(busy)
        await read(idle)
        await busy.send(json.dumps({"id": 1, "t": "test.wait"}))
        await gate.entered.wait()
        down = asyncio.create_task(server.socket.shutdown(5.0))
        assert await close_code(idle) == CloseCode.GOING_DOWN
        assert not down.done()
        gate.opened.set()
        assert await close_code(busy) == CloseCode.GOING_DOWN
        await down
    assert gate.finished == 1
    async with server.connect("ada") as late:
        assert await close_code(late) == CloseCode.GOING_DOWN


async def test_who_is_disconnected_learns_why_and_leaves_nothing_behind(
    server: RoomServer,
) -> None:
    async with server.connect("ada") as client:
        await read(client)
        server.hub.disconnect(GUEST.id, CloseCode.BANNED)
        assert await close_code(client) == CloseCode.BANNED
        assert client.close_reason == "banned"
    await until(lambda: server.hub.rooms == 0)


async def test_a_client_that_vanishes_is_forgotten(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        client.transport.abort()
        await until(lambda: server.hub.rooms == 0)


@pytest.mark.parametrize("how", ["vanishes", "says goodbye", "is banned", "breaks the rules"])
async def test_nothing_of_who_left_waits_for_the_collector(server: RoomServer, how: str) -> None:
    """Which stops all rooms for as long as it takes to walk through everything there is."""

    def connections() -> int:
        return sum(type(one) is web.WebSocketResponse for one in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        assert connections() == 0
        async with server.connect("ada") as client:
            await read(client)
            assert connections() == 1
            if how == "vanishes":
                client.transport.abort()
            elif how == "is banned":
                server.hub.disconnect(GUEST.id, CloseCode.BANNED)
            elif how == "breaks the rules":
                await client.send(b"\xff")
        await until(lambda: server.hub.rooms == 0)
        await until(lambda: connections() == 0)
    finally:
        gc.enable()


async def test_compression_is_not_negotiated(server: RoomServer) -> None:
    async with server.connect("ada", compression="deflate") as client:
        assert client.protocol.extensions == []


async def test_every_code_says_whether_to_come_back() -> None:
    assert {code.name for code in CloseCode if code.comes_back} == {
        "GOING_DOWN",
        "TOO_SLOW",
        "LOG_LOST",
        "IDLE",
        "FAULT",
        "UNAVAILABLE",
        "CROWDED",
    }
    for code in CloseCode:
        assert code.reason
        assert len(code.reason.encode()) <= 123


async def test_the_silent_hear_a_ping_and_the_dead_are_cut_off() -> None:
    settings = RealtimeSettings(idle_seconds=0.0)
    async with room_server(settings=settings) as server, server.connect() as client:
        await read(client)
        await server.hub.tick()
        assert await close_code(client) == CloseCode.IDLE


def test_two_commands_of_one_name_are_refused(gate: Gate) -> None:
    async def build() -> None:
        twice: Any = lambda hub: [*gate.commands(hub), *gate.commands(hub)]  # noqa: E731
        async with room_server(commands=twice):
            pass

    with pytest.raises(ValueError, match="two commands are called"):
        asyncio.run(build())


async def test_a_node_that_drains_leaves_newcomers_to_the_load_balancer() -> None:
    async with room_server() as server:
        async with server.connect() as client:
            await client.recv()
            await server.socket.drain(0.0)
            assert await close_code(client) == CloseCode.GOING_DOWN
        with pytest.raises(InvalidStatus) as refused:
            async with server.connect():
                pass
        assert refused.value.response.status_code == 503
