"""Messages that come together: one transaction, each judged as if it had come alone."""

import asyncio
import contextlib
import gc
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from chat_builders import ADA, HOME, OTHER_SHOW_ID, SHOW_ID, Chat
from room_builders import CUSTOMER, GUEST, HOST, MODERATOR, OTHER_GUEST

from liveshop.chat import ChatService, people_store, store, tables
from liveshop.chat.model import Banned, ChatPaused, LinkRefused, RepeatedMessage, SlowMode
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import MessageId, ViewerId, new_id
from liveshop.kernel.text import BadText
from liveshop.storage import Database, StorageUnavailable
from liveshop.web.access import Principal


@pytest.fixture
def chat(database: Database, clock: ManualClock) -> Chat:
    return Chat(database, clock)


@pytest.fixture
def sent(chat: Chat) -> Iterator[list[str]]:
    """The statements of writing transactions."""
    statements: list[str] = []

    def keep(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with listening(chat, keep):
        yield statements


@contextlib.contextmanager
def listening(chat: Chat, keep: Callable[..., None]) -> Iterator[None]:
    engine = chat.database._writer.sync_engine
    sa.event.listen(engine, "before_cursor_execute", keep)
    yield
    sa.event.remove(engine, "before_cursor_execute", keep)


def guests(chat: Chat, count: int) -> list[Principal]:
    return [Principal("guest", new_id("gst", chat.clock.now()), f"G{n}") for n in range(count)]


Outcome = MessageId | BaseException


async def at_once(
    service: ChatService, said: Iterable[tuple[Principal, str]], address: str = HOME
) -> list[Outcome]:
    posting = [service.post_message(SHOW_ID, who, text, address=address) for who, text in said]
    return await asyncio.gather(*posting, return_exceptions=True)


async def authors(chat: Chat) -> set[str]:
    async with chat.database.read() as conn:
        return set(await conn.scalars(sa.select(tables.author.c.author_id)))


@pytest.mark.parametrize("count", [1, 16, 64])
async def test_a_batch_costs_as_many_statements_as_one_message(
    chat: Chat, sent: list[str], count: int
) -> None:
    """Here the ports that look up the show and the names ask nothing."""
    await at_once(chat.service, [(who, "hello") for who in guests(chat, count)])
    # The authors, the rules, what is in force, what they said, the messages.
    assert len(sent) == 5, sent
    sent.clear()
    await at_once(chat.service, [(HOST, f"{n}") for n in range(count)])
    assert len(sent) == 3, sent


async def test_a_refused_message_of_a_batch_is_refused_for_its_author_only(chat: Chat) -> None:
    await chat.say(GUEST, "first")
    outcomes = await at_once(
        chat.service,
        [
            (GUEST, "once"),
            (OTHER_GUEST, "look at evil.example.com"),
            (CUSTOMER, "two"),
            (OTHER_GUEST, "\u200b"),
            (GUEST, "ONCE"),
            (MODERATOR, "three"),
            (CUSTOMER, "four"),
        ],
    )
    assert [type(one) for one in outcomes] == [
        str,
        LinkRefused,
        str,
        BadText,
        RepeatedMessage,
        str,
        str,
    ]
    assert await chat.texts() == ["first", "once", "two", "three", "four"]
    assert await authors(chat) == {GUEST.id, CUSTOMER.id, MODERATOR.id}
    events: list[Any] = chat.told[1:]
    told = [(one.data.message.text, one.sampled_by, one.needs_room) for one in events]
    assert told == [
        ("once", GUEST.id, True),
        ("two", CUSTOMER.id, True),
        ("three", "", True),
        ("four", CUSTOMER.id, True),
    ]


async def test_a_batch_in_which_all_are_refused_leaves_no_trace(chat: Chat) -> None:
    await chat.service.configure(SHOW_ID, paused=True)
    chat.take_told()
    outcomes = await at_once(chat.service, [(who, "hello") for who in guests(chat, 3)])
    assert {type(one) for one in outcomes} == {ChatPaused}
    assert await authors(chat) == set()
    assert chat.take_told() == []


async def test_slow_mode_holds_within_a_batch(chat: Chat) -> None:
    await chat.service.configure(SHOW_ID, slow_mode_seconds=30)
    said = [(GUEST, "a"), (OTHER_GUEST, "b"), (GUEST, "c"), (HOST, "d"), (HOST, "e")]
    outcomes = await at_once(chat.service, said)
    assert [type(one) for one in outcomes] == [str, str, SlowMode, str, str]


async def test_what_is_wrong_with_one_message_harms_no_other(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nobody foresaw: here a message the database will not take."""
    add_messages = store.add_messages

    async def picky(conn: Any, items: Sequence[store.Message]) -> None:
        assert all(item.text != "poison" for item in items)
        await add_messages(conn, items)

    monkeypatch.setattr(store, "add_messages", picky)
    said = [(GUEST, "one"), (OTHER_GUEST, "poison"), (CUSTOMER, "two")]
    outcomes = await at_once(chat.service, said)
    assert [type(one) for one in outcomes] == [str, AssertionError, str]
    assert await chat.texts() == ["one", "two"]


async def test_shows_in_which_nobody_writes_any_more_are_not_kept(chat: Chat) -> None:
    await at_once(chat.service, [(who, "hello") for who in guests(chat, 70)])
    gc.collect()
    assert len(chat.service._posting._shows) == 0


async def test_a_loud_show_does_not_hold_up_a_quiet_one(chat: Chat) -> None:
    ended: list[str] = []

    async def say(who: Principal, show: Any, name: str, text: str = "hello") -> None:
        await chat.service.post_message(show, who, text, address=HOME)
        ended.append(name)

    early, *crowd = guests(chat, 201)
    # So that neither has to open a connection, which takes longer than some batches.
    await asyncio.gather(
        say(early, SHOW_ID, "loud", "early"), say(CUSTOMER, OTHER_SHOW_ID, "quiet", "early")
    )
    ended.clear()
    loud = [say(who, SHOW_ID, "loud") for who in crowd]
    await asyncio.gather(*loud, say(CUSTOMER, OTHER_SHOW_ID, "quiet"))
    assert ended.index("quiet") <= 64, "after one batch of the loud show at most"


async def test_a_ban_on_another_node_blanks_what_a_batch_lets_through(chat: Chat) -> None:
    """Whichever of the two is first: nothing of the banned stays, and of others everything."""
    here, there = chat.service, chat.node()
    others = guests(chat, 6)
    await chat.say(GUEST, "first", address="10.0.0.1")
    said = [(who, "innocent") for who in others]
    said[3:3] = [(GUEST, "flood one"), (GUEST, "flood two")]
    outcomes, _ = await asyncio.gather(
        at_once(here, said, address="10.0.0.1"), there.ban(SHOW_ID, HOST, ADA)
    )
    refused = [type(one) for one in outcomes if isinstance(one, Exception)]
    assert refused in ([], [Banned, Banned])
    texts = await chat.texts()
    assert [text for text in texts if text] == ["innocent"] * 6
    [after] = await at_once(here, [(GUEST, "again")])
    assert isinstance(after, Banned)


async def test_two_nodes_that_take_authors_in_different_orders_deadlock_on_postgresql(
    chat: Chat,
) -> None:
    """The reason for the order that the next test is about. SQLite has one writer."""
    if chat.database.is_sqlite:
        return
    pair = [people_store.Author(ViewerId(who.id), "G", None) for who in guests(chat, 2)]
    both_hold_one = asyncio.Barrier(2)

    async def take(first: people_store.Author, second: people_store.Author) -> None:
        async with chat.database.write() as tx:
            await people_store.touch_authors(tx.conn, SHOW_ID, [first], now=chat.clock.now())
            await both_hold_one.wait()
            await people_store.touch_authors(tx.conn, SHOW_ID, [second], now=chat.clock.now())

    ended = await asyncio.gather(take(*pair), take(*reversed(pair)), return_exceptions=True)
    assert [type(one) for one in ended if one is not None] == [StorageUnavailable]


async def test_a_batch_takes_its_authors_in_one_order(chat: Chat) -> None:
    crowd = guests(chat, 20)
    random.Random(8).shuffle(crowd)
    taken: list[str] = []

    def keep(_conn: object, _cursor: object, statement: str, rows: Any, *_: object) -> None:
        if statement.startswith("INSERT INTO chat_author"):
            taken.extend(value for row in rows for value in row if str(value).startswith("gst_"))

    with listening(chat, keep):
        await at_once(chat.service, [(who, "hello") for who in crowd])
    assert taken == sorted(who.id for who in crowd)
