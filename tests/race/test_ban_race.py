"""A ban, and a message that is on its way on another node at that moment."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any

import builders
import pytest
from checkout_builders import somebody_waits_for_a_lock
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.chat import people_store
from liveshop.chat.model import Banned
from liveshop.kernel.ids import ShowId, ViewerId
from liveshop.web import Principal

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
TROLL = Principal("guest", "gst_01K00000000000000000000000", "Troll")
AGAIN = Principal("guest", "gst_01K00000000000000000000001", "Troll again")
ADDRESS = "198.41.0.4"


class Slow:
    """Holds up whoever has just been judged as `AGAIN`, until he may go on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_judged = asyncio.Event()
        self.may_go_on = asyncio.Event()
        judged = people_store.sanctions_on

        async def sanctions_on(
            conn: AsyncConnection,
            show_id: ShowId,
            asked: Collection[people_store.Asked],
            now: datetime,
        ) -> Any:
            found = await judged(conn, show_id, asked, now)
            if any(viewer_id == AGAIN.id for viewer_id, _ in asked):
                self.is_judged.set()
                await self.may_go_on.wait()
            return found

        patch.setattr(people_store, "sanctions_on", sanctions_on)


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    made = Slow(monkeypatch)
    yield made
    made.may_go_on.set()


async def _begun(nodes: list[Liveshop], slow: Slow) -> tuple[ShowId, "asyncio.Task[Any]"]:
    """The troll wrote; under a new token he writes again, and has just been judged."""
    here, there = nodes
    show_id = await builders.live_show(here)
    await here.chat.post_message(show_id, TROLL, "buy elsewhere", address=ADDRESS)
    writing = asyncio.create_task(
        there.chat.post_message(show_id, AGAIN, "buy elsewhere!", address=ADDRESS)
    )
    await slow.is_judged.wait()
    return show_id, writing


async def test_without_waiting_a_message_is_accepted_after_its_writer_was_banned(
    nodes: list[Liveshop], slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_waiting(_: AsyncConnection) -> None:
        return None

    monkeypatch.setattr(people_store, "wait_for_writers", not_waiting)
    show_id, writing = await _begun(nodes, slow)
    await nodes[0].chat.ban(show_id, builders.ALL_RIGHTS, ViewerId(TROLL.id))
    slow.may_go_on.set()
    assert await writing, "accepted after the ban was answered"


async def test_a_ban_is_answered_once_nobody_is_writing_without_knowing_of_it(
    nodes: list[Liveshop], slow: Slow
) -> None:
    here, there = nodes
    show_id, writing = await _begun(nodes, slow)
    ban = asyncio.create_task(here.chat.ban(show_id, builders.ALL_RIGHTS, ViewerId(TROLL.id)))
    await somebody_waits_for_a_lock(here)
    third = Principal("guest", "gst_01K00000000000000000000002", "Third")
    waiting = asyncio.create_task(
        there.chat.post_message(show_id, third, "and me", address=ADDRESS)
    )
    assert not ban.done()
    slow.may_go_on.set()
    assert await writing, "he was first"
    assert not waiting.done() or waiting.exception() is not None
    await ban
    with pytest.raises(Banned):
        await waiting
