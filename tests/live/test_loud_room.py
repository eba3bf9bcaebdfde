"""More is said than anybody can read: who gets what over a real socket, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chat_builders import HOME, SHOW_ID, Chat
from room_builders import (
    GUEST,
    HOST,
    MODERATOR,
    OTHER_GUEST,
    RoomServer,
    read,
    room_server,
)
from websockets.asyncio.client import ClientConnection

from liveshop.chat import live
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import new_id
from liveshop.storage import Database
from liveshop.web.access import Principal

CROWD, PER_SECOND = 60, 10


@pytest.fixture
def chat(database: Database, clock: ManualClock) -> Chat:
    return Chat(database, clock)


@pytest.fixture
async def server(chat: Chat, clock: ManualClock) -> AsyncIterator[RoomServer]:
    async with room_server(
        commands=lambda hub: live.commands(chat.service, hub),
        clock=clock,
        readable_per_second=PER_SECOND,
    ) as running:
        chat.database.publish = running.publish
        people = {"ada": GUEST, "bea": OTHER_GUEST, "hana": HOST, "mo": MODERATOR}
        running.bouncer.tokens = people
        yield running


async def heard(client: ClientConnection, since: int, until: int) -> list[dict[str, Any]]:
    """Logged frames, which follow each other without a gap or a repeat."""
    frames: list[dict[str, Any]] = []
    while since < until:
        frame = await read(client)
        if "o" in frame:
            assert frame.get("from", frame["o"]) == since + 1
            since = frame["o"]
            frames.append(frame)
    return frames


def texts(frames: list[dict[str, Any]]) -> list[str]:
    return [one["d"]["message"]["text"] for one in frames if one["t"] == "chat.message"]


async def test_viewers_get_a_choice_and_their_own_staff_and_the_record_everything(
    server: RoomServer, chat: Chat, clock: ManualClock
) -> None:
    crowd = [Principal("guest", new_id("gst", clock.now()), f"G{n}") for n in range(CROWD)]
    said = [(who, f"line {n}") for n, who in enumerate(crowd)]
    # Ada and the host come late, when the room is loud already.
    said += [(GUEST, "Ada's own"), (HOST, "welcome, everybody")]
    names = ("ada", "bea", "hana", "mo")
    async with (
        server.connect("ada") as ada,
        server.connect("bea") as bea,
        server.connect("hana") as hana,
        server.connect("mo") as mo,
        server.connect() as anybody,
    ):
        clients = [ada, bea, hana, mo, anybody]
        hello, *_ = [await read(client) for client in clients]
        await asyncio.gather(
            *(chat.service.post_message(SHOW_ID, who, text, address=HOME) for who, text in said)
        )
        last = hello["offset"] + len(said)
        frames = [await heard(client, hello["offset"], last) for client in clients]

    everything = [text for _, text in said]
    of = dict(zip((*names, "anybody"), frames, strict=True))
    for name in ("hana", "mo"):
        assert texts(of[name]) == everything
    for name in ("ada", "bea", "anybody"):
        seen = texts(of[name])
        left_out = [one["d"]["count"] for one in of[name] if one["t"] == "more"]
        assert len(seen) + sum(left_out) == len(said)
        assert len(seen) < len(said) / 2
        assert ("Ada's own" in seen) is (name == "ada")
        assert "welcome, everybody" in seen
    async with server.connect("bea", epoch=hello["epoch"], offset=hello["offset"]) as again:
        await read(again)
        assert texts(await heard(again, hello["offset"], last)) == everything
    history = await chat.service.history(SHOW_ID)
    assert [message.text for message in history] == everything
