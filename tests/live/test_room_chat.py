"""The chat through real sockets and a real database: what one says, the others see."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta

import pytest
from room_builders import (
    CUSTOMER,
    GUEST,
    HOST,
    MERCHANT,
    MODERATOR,
    OTHER_GUEST,
    SHOW,
    RoomServer,
    ask,
    read,
    read_until,
    room_server,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import ChatService, live
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Unavailable
from liveshop.kernel.ids import ShowId, ViewerId, new_id
from liveshop.settings import ChatSettings
from liveshop.storage import Database
from liveshop.web.access import Principal

SHOW_ID = ShowId(SHOW)
MESSAGE = "msg_01K00000000000000000000000"


async def no_names(
    _conn: AsyncConnection, _viewer_ids: Collection[ViewerId]
) -> dict[ViewerId, str]:
    return {}


async def is_live(_conn: AsyncConnection, _show_id: ShowId) -> str | None:
    return "live"


@pytest.fixture
def service(database: Database, clock: ManualClock) -> ChatService:
    return ChatService(
        database,
        clock,
        ChatSettings(),
        viewer_names=no_names,
        show_state=is_live,
        secret="s" * 32,
    )


@pytest.fixture
async def server(
    database: Database, clock: ManualClock, service: ChatService
) -> AsyncIterator[RoomServer]:
    async with room_server(
        commands=lambda hub: live.commands(service, hub),
        on_hearts=service.add_hearts,
        trusted_proxies=1,
        clock=clock,
    ) as running:
        database.publish = running.publish
        running.bouncer.tokens = {
            "ada": GUEST,
            "bea": OTHER_GUEST,
            "cy": CUSTOMER,
            "hana": HOST,
            "mo": MODERATOR,
            "mia": MERCHANT,
        }
        yield running


async def test_the_author_sees_the_message_arrive_like_everybody(server: RoomServer) -> None:
    async with server.connect("ada") as ada, server.connect() as anybody:
        await read(ada)
        await read(anybody)
        sent = await ask(ada, 1, "chat.send", text="Is it blue?")
        async with server.connect("ada") as second_tab:
            hello = await read(second_tab)
        assert hello["offset"] == 1
        seen = await read(anybody)
        assert (seen["t"], seen["o"]) == ("chat.message", 1)
        assert seen["at"] == "2026-11-21T19:00:00.000Z"
        assert seen["d"]["message"] == {
            "id": sent["ok"]["message_id"],
            "author_id": GUEST.id,
            "name": "Ada",
            "role": "guest",
            "text": "Is it blue?",
            "at": "2026-11-21T19:00:00.000Z",
            "deleted": False,
        }


async def test_the_author_gets_the_event_too(server: RoomServer) -> None:
    async with server.connect("ada") as ada:
        await read(ada)
        await ada.send('{"id": 1, "t": "chat.send", "text": "hello"}')
        frames = [await read(ada), await read(ada)]
        assert [frame.get("t") for frame in frames] == ["chat.message", None]
        assert frames[0]["d"]["message"]["id"] == frames[1]["ok"]["message_id"]


async def test_an_accepted_message_is_in_the_database_whatever_happens_next(
    server: RoomServer, service: ChatService
) -> None:
    async with server.connect("ada") as ada:
        await read(ada)
        sent = await ask(ada, 1, "chat.send", text="remember me")
        await server.runner.cleanup()  # every task of the server is cancelled
    [kept] = await service.history(SHOW_ID)
    assert (kept.id, kept.text) == (sent["ok"]["message_id"], "remember me")


async def test_a_ban_acts_on_the_next_message_of_an_open_connection(server: RoomServer) -> None:
    async with (
        server.connect("ada") as ada,
        server.connect("bea") as bea,
        server.connect("hana") as hana,
    ):
        for client in (ada, bea, hana):
            await read(client)
        await ask(ada, 1, "chat.send", text="spam")
        assert (await ask(hana, 1, "chat.ban", viewer_id=GUEST.id))["ok"] == {}
        refused = await ask(ada, 2, "chat.send", text="more spam")
        assert refused["error"]["code"] == "banned"
        assert not refused["error"]["retryable"]
        sanctioned = await read_until(bea, "chat.sanctioned")
        assert sanctioned["d"] == {"viewer_id": GUEST.id, "kind": "ban", "until": None}
        assert (await ask(ada, 3, "ping"))["ok"]  # watching goes on


async def test_a_new_socket_tab_or_guest_token_does_not_get_past_a_ban(
    server: RoomServer, clock: ManualClock
) -> None:
    home = {"X-Forwarded-For": "93.184.216.34"}
    async with (
        server.connect("ada", additional_headers=home) as ada,
        server.connect("hana") as hana,
    ):
        await read(ada)
        await read(hana)
        await ask(ada, 1, "chat.send", text="spam")
        await ask(hana, 1, "chat.ban", viewer_id=GUEST.id)
    fresh = Principal("guest", new_id("gst", clock.now()), "Fresh")
    server.bouncer.tokens["fresh"] = fresh
    for token in ("ada", "fresh"):
        async with server.connect(token, additional_headers=home) as again:
            await read(again)
            refused = await ask(again, 1, "chat.send", text="back again")
            assert refused["error"]["code"] == "banned"
    elsewhere = {"X-Forwarded-For": "8.8.4.4"}
    async with server.connect("fresh", additional_headers=elsewhere) as other:
        await read(other)
        assert "ok" in await ask(other, 1, "chat.send", text="somebody else")


async def test_slow_mode_says_when_to_try_again(server: RoomServer, clock: ManualClock) -> None:
    async with server.connect("ada") as ada, server.connect("mo") as mo:
        await read(ada)
        await read(mo)
        await ask(mo, 1, "chat.configure", slow_mode_seconds=30)
        configured = await read_until(ada, "chat.configured")
        assert configured["d"]["settings"]["slow_mode_seconds"] == 30
        await ask(ada, 1, "chat.send", text="one")
        error = (await ask(ada, 2, "chat.send", text="two"))["error"]
        assert (error["code"], error["retryable"], error["retry_after"]) == ("slow_mode", True, 30)
        clock.advance(timedelta(seconds=30))
        assert "ok" in await ask(ada, 3, "chat.send", text="two")


async def test_a_mute_ends_by_itself(server: RoomServer, clock: ManualClock) -> None:
    async with server.connect("ada") as ada, server.connect("mo") as mo:
        await read(ada)
        await read(mo)
        await ask(ada, 1, "chat.send", text="one")
        await ask(mo, 1, "chat.mute", viewer_id=GUEST.id, seconds=60)
        assert (await ask(ada, 2, "chat.send", text="two"))["error"]["code"] == "muted"
        clock.advance(timedelta(seconds=60))
        assert "ok" in await ask(ada, 3, "chat.send", text="two")
        await ask(mo, 2, "chat.mute", viewer_id=GUEST.id, seconds=60)
        await ask(mo, 3, "chat.unban", viewer_id=GUEST.id)
        assert (await read_until(ada, "chat.sanctioned"))["d"]["kind"] == "mute"
        assert "ok" in await ask(ada, 4, "chat.send", text="three")


async def test_messages_are_deleted_and_pinned(server: RoomServer) -> None:
    async with server.connect("ada") as ada, server.connect("mo") as mo:
        await read(ada)
        await read(mo)
        message_id = (await ask(ada, 1, "chat.send", text="one"))["ok"]["message_id"]
        assert (await ask(mo, 1, "chat.pin", message_id=message_id))["ok"] == {}
        pinned = await read_until(ada, "chat.message_pinned")
        assert pinned["d"]["message"]["text"] == "one"
        assert (await ask(ada, 2, "chat.delete", message_id=message_id))["ok"] == {}
        assert (await read_until(mo, "chat.deleted"))["d"] == {"message_id": message_id}
        assert (await read_until(mo, "chat.message_pinned"))["d"] == {"message": None}
        gone = await ask(mo, 2, "chat.pin", message_id=message_id)
        assert gone["error"]["code"] == "no_such_message"


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u202e", "x" * 301, "\u0000", "see evil.com"])
async def test_bad_texts_are_refused_in_words(server: RoomServer, text: str) -> None:
    async with server.connect("ada") as ada:
        await read(ada)
        error = (await ask(ada, 1, "chat.send", text=text))["error"]
        assert error["code"] in ("bad_text", "link_refused")
        assert error["data"]["field"] == "text"


ALLOWED = {
    "ping": {None, "ada", "cy", "mia", "mo", "hana"},
    "chat.send": {"ada", "cy", "mo", "hana"},
    "chat.delete": {"ada", "cy", "mia", "mo", "hana"},
    "reaction.send": {"ada", "cy", "mia", "mo", "hana"},
    "chat.mute": {"mo", "hana"},
    "chat.ban": {"mo", "hana"},
    "chat.unban": {"mo", "hana"},
    "chat.pin": {"mo", "hana"},
    "chat.configure": {"mo", "hana"},
}
ARGUMENTS: dict[str, dict[str, object]] = {
    "ping": {},
    "chat.send": {"text": "hello"},
    "chat.delete": {"message_id": MESSAGE},
    "reaction.send": {"count": 1},
    "chat.mute": {"viewer_id": OTHER_GUEST.id, "seconds": 5},
    "chat.ban": {"viewer_id": OTHER_GUEST.id},
    "chat.unban": {"viewer_id": OTHER_GUEST.id},
    "chat.pin": {"message_id": None},
    "chat.configure": {},
}
REFUSED = {"not_signed_in", "forbidden", "not_a_chatter"}


async def test_every_command_is_open_to_exactly_those_in_the_table(server: RoomServer) -> None:
    assert set(server.socket.commands) == set(ALLOWED) == set(ARGUMENTS)
    for token in (None, "ada", "cy", "mia", "mo", "hana"):
        async with server.connect(token) as client:
            await read(client)
            for number, (command, arguments) in enumerate(ARGUMENTS.items()):
                answer = await ask(client, number, command, **arguments)
                refused = answer.get("error", {}).get("code") in REFUSED
                assert refused == (token not in ALLOWED[command]), (token, command, answer)


async def test_hearts_reach_everybody_together_and_are_kept(
    server: RoomServer, service: ChatService, database: Database
) -> None:
    async with server.connect("ada") as ada, server.connect("bea") as bea:
        await read(ada)
        await read(bea)
        for number in range(5):
            assert (await ask(ada, number, "reaction.send", count=10))["ok"] == {}
        await ask(bea, 1, "reaction.send", count=3)
        await server.hub.tick()
        assert (await read_until(bea, "viewers"))["d"] == {"count": 2}
        hearts = await read_until(bea, "hearts")
        assert hearts == {"t": "hearts", "d": {"total": 53, "added": 53}}
        await ask(ada, 10, "reaction.send", count=10)
        error = (await ask(ada, 11, "reaction.send", count=10))["error"]
        assert error["code"] == "rate_limited"
    async with database.read() as conn:
        assert (await service.counts(conn, SHOW_ID)).hearts == 53
    await server.socket.shutdown(1.0)
    async with database.read() as conn:
        assert (await service.counts(conn, SHOW_ID)).hearts == 63


async def test_the_database_away_is_one_clear_retryable_error(
    server: RoomServer, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The database does not answer at the moment.", retry_after=2.0)

    async with server.connect("ada") as ada:
        await read(ada)
        with monkeypatch.context() as broken:
            broken.setattr(service, "post_message", away)
            error = (await ask(ada, 1, "chat.send", text="hello"))["error"]
            assert (error["code"], error["retryable"], error["retry_after"]) == (
                "unavailable",
                True,
                2.0,
            )
        assert "ok" in await ask(ada, 2, "chat.send", text="hello")


async def test_snapshot_and_later_events_are_a_fresh_snapshot(
    server: RoomServer, service: ChatService, database: Database
) -> None:
    """Applied as the contract says: idempotent, from the position read before the snapshot."""
    async with server.connect("ada") as ada, server.connect("hana") as hana:
        await read(ada)
        await read(hana)
        ids = [
            (await ask(ada, n, "chat.send", text=f"message {n}"))["ok"]["message_id"]
            for n in range(3)
        ]
        position = await server.hub.position(SHOW)
        await ask(hana, 1, "chat.pin", message_id=ids[1])
        async with database.read() as conn:
            before = await service.recent(conn, SHOW_ID)
        await ask(hana, 2, "chat.delete", message_id=ids[0])
        await ask(hana, 3, "chat.configure", links_allowed=True)
        await ask(hana, 4, "chat.send", text="welcome")
        await ask(hana, 5, "chat.ban", viewer_id=GUEST.id)
    async with database.read() as conn:
        fresh = await service.recent(conn, SHOW_ID)
    messages = {message.id: message for message in before.messages}
    pinned = before.pinned.id if before.pinned else None
    links_allowed = before.settings.links_allowed
    async with server.connect(epoch=position.epoch, offset=position.offset) as client:
        await read(client)
        for _ in range((await server.hub.position(SHOW)).offset - position.offset):
            event = await read(client)
            data = event["d"]
            match event["t"]:
                case "chat.message":
                    messages[data["message"]["id"]] = type(before.messages[0])(**data["message"])
                case "chat.deleted":
                    gone = messages[data["message_id"]]
                    gone.text, gone.deleted = "", True
                case "chat.sanctioned":
                    for message in messages.values():
                        if message.author_id == data["viewer_id"]:
                            message.text, message.deleted = "", True
                case "chat.message_pinned":
                    pinned = data["message"]["id"] if data["message"] else None
                case "chat.configured":
                    links_allowed = data["settings"]["links_allowed"]
    assert list(messages.values()) == fresh.messages
    assert pinned is None
    assert fresh.pinned is None
    assert links_allowed
    assert fresh.settings.links_allowed


async def test_a_busy_chat_reaches_everybody_whole_and_in_order(server: RoomServer) -> None:
    people = []
    for n in range(6):
        who = Principal("customer", new_id("cus", datetime(2026, 1, 1, tzinfo=UTC)), f"C{n}")
        server.bouncer.tokens[f"c{n}"] = who
        people.append(f"c{n}")

    async def chatter(token: str) -> None:
        async with server.connect(token) as client:
            await read(client)
            for n in range(5):
                assert "ok" in await ask(client, n, "chat.send", text=f"{token} says {n}")

    async with server.connect() as watcher:
        await read(watcher)
        async with asyncio.TaskGroup() as group:
            for token in people:
                group.create_task(chatter(token))
        seen = [await read(watcher) for _ in range(30)]
    assert [event["o"] for event in seen] == list(range(1, 31))
    said = [event["d"]["message"]["text"] for event in seen]
    for token in people:
        assert [text for text in said if text.startswith(token)] == [
            f"{token} says {n}" for n in range(5)
        ]
