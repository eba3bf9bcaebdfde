"""The chat's use cases on both databases: what is kept, what is told, what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chat_builders import ADA, ELSEWHERE, HOME, OTHER_SHOW_ID, SHOW_ID, Chat
from room_builders import CUSTOMER, GUEST, HOST, MERCHANT, MODERATOR, OTHER_GUEST, SHOW

from liveshop.chat import people_store, store, wire
from liveshop.chat.model import (
    Banned,
    Muted,
    NoSuchMessage,
    NoSuchViewer,
    NotAChatter,
    NotDuringThisShow,
    NotYourMessage,
    Said,
    SlowMode,
    TooManyMessages,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Forbidden, NotFound
from liveshop.kernel.ids import MessageId, ShowId, ViewerId, new_id
from liveshop.storage import Database
from liveshop.web.access import Principal


@pytest.fixture
def chat(database: Database, clock: ManualClock) -> Chat:
    return Chat(database, clock)


def guest(clock: ManualClock, name: str = "New") -> Principal:
    return Principal("guest", new_id("gst", clock.now()), name)


async def test_a_message_is_kept_and_told_with_the_same_content(chat: Chat) -> None:
    message_id = await chat.say(GUEST, "  Is it blue? ")
    [kept] = (await chat.snapshot()).messages
    assert kept == wire.ChatMessage(
        id=message_id,
        author_id=GUEST.id,
        name="Ada",
        role="guest",
        text="Is it blue?",
        at="2026-11-21T19:00:00.000Z",
        deleted=False,
    )
    [told] = chat.told
    assert (told.room, told.type) == (SHOW, "chat.message")
    assert told.data == wire.MessagePosted(message=kept)


async def test_names_are_looked_up_and_roles_shown(chat: Chat) -> None:
    chat.names[GUEST.id] = "Ada L."
    for who in (GUEST, CUSTOMER, HOST, MODERATOR):
        await chat.say(who, f"I am {who.name}")
    messages = (await chat.snapshot()).messages
    assert [(message.name, message.role) for message in messages] == [
        ("Ada L.", "guest"),
        ("Cy", "customer"),
        ("Hana", "host"),
        ("Mo", "moderator"),
    ]


async def test_messages_of_one_moment_keep_their_order(chat: Chat) -> None:
    for n in range(5):
        await chat.say(HOST, f"message {n}")
    assert await chat.texts() == [f"message {n}" for n in range(5)]


async def test_staff_without_a_part_in_the_chat_cannot_write(chat: Chat) -> None:
    with pytest.raises(NotAChatter):
        await chat.say(MERCHANT, "hello")


async def test_refused_messages_leave_no_trace(chat: Chat) -> None:
    chat.states[SHOW] = "ended"
    with pytest.raises(NotDuringThisShow):
        await chat.say(GUEST, "too late")
    with pytest.raises(NotFound):
        await chat.say(GUEST, "where am I", show=ShowId("shw_nowhere"))
    assert await chat.texts() == []
    assert chat.told == []
    with pytest.raises(NoSuchViewer):
        await chat.service.ban(SHOW_ID, HOST, ADA)


async def test_a_ban_acts_on_the_next_message_blanks_the_old_and_holds_everywhere(
    chat: Chat,
) -> None:
    await chat.say(GUEST, "spam one")
    await chat.say(OTHER_GUEST, "innocent")
    chat.take_told()
    sanction = await chat.service.ban(SHOW_ID, HOST, ADA)
    assert (sanction.kind, sanction.name, sanction.by, sanction.until) == (
        "ban",
        "Ada",
        "Hana",
        None,
    )
    assert chat.take_told() == [(SHOW, "chat.sanctioned")]
    assert await chat.texts() == ["", "innocent"]
    for show in (SHOW_ID, OTHER_SHOW_ID):
        with pytest.raises(Banned):
            await chat.say(GUEST, "spam two", show=show)
    assert await chat.service.sanctions(OTHER_SHOW_ID) == [sanction]


async def test_a_banned_viewer_is_not_back_as_a_new_guest_at_the_same_address(
    chat: Chat,
) -> None:
    await chat.say(OTHER_GUEST, "I was here before")
    await chat.say(GUEST, "spam", after=5)
    await chat.service.ban(SHOW_ID, HOST, ADA)
    chat.clock.advance(timedelta(seconds=30))
    with pytest.raises(Banned):
        await chat.say(guest(chat.clock), "spam again")
    with pytest.raises(Banned):
        await chat.say(guest(chat.clock), "in another show", show=OTHER_SHOW_ID)
    await chat.say(guest(chat.clock), "from somewhere else", address=ELSEWHERE)
    await chat.say(OTHER_GUEST, "still here")
    await chat.say(CUSTOMER, "same house, own account")
    chat.clock.advance(timedelta(hours=24))
    await chat.say(guest(chat.clock), "a day later")
    with pytest.raises(Banned):
        await chat.say(GUEST, "but not me")


async def test_a_ban_behind_an_unknown_proxy_hits_nobody_else(chat: Chat) -> None:
    await chat.say(GUEST, "spam", address="10.0.0.1")
    await chat.service.ban(SHOW_ID, HOST, ADA)
    await chat.say(guest(chat.clock), "hello", address="10.0.0.1")


async def test_lifting_a_ban_frees_the_viewer_and_the_address(chat: Chat) -> None:
    await chat.say(GUEST, "sorry")
    await chat.service.ban(SHOW_ID, HOST, ADA)
    chat.take_told()
    await chat.service.lift(SHOW_ID, ADA)
    await chat.service.lift(SHOW_ID, ADA)
    assert chat.take_told() == [(SHOW, "chat.sanctioned")]
    await chat.say(GUEST, "thank you")
    await chat.say(guest(chat.clock), "hello")
    assert await chat.service.sanctions(SHOW_ID) == []


async def test_a_mute_ends_by_itself_and_holds_in_its_show_only(chat: Chat) -> None:
    await chat.say(GUEST, "blah")
    sanction = await chat.service.mute(SHOW_ID, MODERATOR, ADA, seconds=60)
    assert sanction.until == "2026-11-21T19:01:00.000Z"
    with pytest.raises(Muted) as muted:
        await chat.say(GUEST, "blah blah", after=20)
    assert muted.value.retry_after == 40.0
    await chat.say(GUEST, "elsewhere", show=OTHER_SHOW_ID)
    await chat.say(GUEST, "back again", after=40)
    assert await chat.service.sanctions(SHOW_ID) == []
    assert await chat.texts() == ["blah", "back again"]


async def test_a_second_mute_replaces_the_first(chat: Chat) -> None:
    await chat.say(GUEST, "blah")
    await chat.service.mute(SHOW_ID, MODERATOR, ADA, seconds=60)
    await chat.service.mute(SHOW_ID, HOST, ADA, seconds=600)
    [sanction] = await chat.service.sanctions(SHOW_ID)
    assert (sanction.by, sanction.until) == ("Hana", "2026-11-21T19:10:00.000Z")


async def test_staff_and_strangers_cannot_be_sanctioned(chat: Chat) -> None:
    await chat.say(MODERATOR, "hello")
    with pytest.raises(Forbidden):
        await chat.service.ban(SHOW_ID, HOST, ViewerId(MODERATOR.id))
    with pytest.raises(NoSuchViewer):
        await chat.service.mute(SHOW_ID, HOST, ADA, seconds=60)


async def test_slow_mode_holds_for_viewers(chat: Chat) -> None:
    settings = await chat.service.configure(SHOW_ID, slow_mode_seconds=10)
    assert settings == wire.ChatSettings(slow_mode_seconds=10, links_allowed=False, paused=False)
    await chat.say(GUEST, "one")
    with pytest.raises(SlowMode):
        await chat.say(GUEST, "two", after=9)
    await chat.say(HOST, "one")
    await chat.say(HOST, "two")
    await chat.say(GUEST, "two", after=1)


async def test_deleting_does_not_buy_a_faster_pace(chat: Chat) -> None:
    await chat.service.configure(SHOW_ID, slow_mode_seconds=10)
    message_id = await chat.say(GUEST, "one")
    await chat.service.delete_message(SHOW_ID, GUEST, message_id)
    with pytest.raises(SlowMode):
        await chat.say(GUEST, "two")


async def test_messages_sent_at_once_do_not_slip_through_together(chat: Chat) -> None:
    """Neither to one node, where they share a transaction, nor to several."""
    nodes = [chat.service, chat.node(), chat.node()]
    attempts = [
        nodes[n % 3].post_message(SHOW_ID, GUEST, f"flood {n}", address=HOME) for n in range(20)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TooManyMessages)]
    assert len(refused) == 15
    assert len(await chat.texts()) == 5


async def test_without_the_authors_row_they_would(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race the row guards against. SQLite has one writer, so there it cannot happen."""

    async def not_taken(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(people_store, "touch_authors", not_taken)
    together = 1 if chat.database.is_sqlite else 8
    meeting = asyncio.Barrier(together)
    said_lately = store.said_lately

    async def all_look_at_once(*args: Any, **kwargs: Any) -> dict[ViewerId, list[Said]]:
        said = await said_lately(*args, **kwargs)
        await meeting.wait()
        return said

    monkeypatch.setattr(store, "said_lately", all_look_at_once)
    attempts = [
        chat.node().post_message(SHOW_ID, GUEST, f"flood {n}", address=HOME) for n in range(8)
    ]
    async with asyncio.timeout(10):
        await asyncio.gather(*attempts, return_exceptions=True)
    assert len(await chat.texts()) == (5 if chat.database.is_sqlite else 8)


async def test_a_ban_waits_for_a_message_in_flight_and_blanks_it_too(chat: Chat) -> None:
    await chat.say(GUEST, "first")
    acts = [chat.say(GUEST, f"flood {n}") for n in range(4)]
    outcomes = await asyncio.gather(
        *acts[:2], chat.service.ban(SHOW_ID, HOST, ADA), *acts[2:], return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert all(isinstance(one, Banned) for one in refused)
    assert set(await chat.texts()) == {""}


async def test_settings_change_one_by_one_and_are_told(chat: Chat) -> None:
    await chat.service.configure(SHOW_ID, paused=True)
    settings = await chat.service.configure(SHOW_ID, links_allowed=True)
    assert settings == wire.ChatSettings(slow_mode_seconds=0, links_allowed=True, paused=True)
    assert (await chat.snapshot()).settings == settings
    assert chat.told[-1].data == wire.ChatConfigured(settings=settings)
    with pytest.raises(NotFound):
        await chat.service.configure(ShowId("shw_nowhere"), paused=True)


async def test_ones_own_message_is_erased_by_deleting_it(chat: Chat) -> None:
    message_id = await chat.say(GUEST, "oops, my address")
    chat.take_told()
    await chat.service.delete_message(SHOW_ID, GUEST, message_id)
    await chat.service.delete_message(SHOW_ID, GUEST, message_id)
    assert chat.take_told() == [(SHOW, "chat.deleted")]
    [seen] = await chat.service.history(SHOW_ID)
    assert (seen.text, seen.deleted) == ("", True)


async def test_what_a_moderator_deletes_stays_in_the_record_only(chat: Chat) -> None:
    message_id = await chat.say(GUEST, "something rude")
    await chat.service.delete_message(SHOW_ID, MODERATOR, message_id)
    [shown] = (await chat.snapshot()).messages
    [recorded] = await chat.service.history(SHOW_ID)
    assert (shown.text, shown.deleted) == ("", True)
    assert (recorded.text, recorded.deleted) == ("something rude", True)


async def test_others_cannot_delete_and_unknown_messages_are_named(chat: Chat) -> None:
    message_id = await chat.say(GUEST, "mine")
    with pytest.raises(NotYourMessage):
        await chat.service.delete_message(SHOW_ID, OTHER_GUEST, message_id)
    with pytest.raises(NoSuchMessage):
        await chat.service.delete_message(OTHER_SHOW_ID, HOST, message_id)
    with pytest.raises(NoSuchMessage):
        await chat.service.delete_message(SHOW_ID, HOST, MessageId("msg_nothing"))
    assert await chat.texts() == ["mine"]


async def test_one_message_is_pinned_until_it_is_unpinned_or_deleted(chat: Chat) -> None:
    first, second = await chat.say(GUEST, "first"), await chat.say(GUEST, "second")
    await chat.service.pin_message(SHOW_ID, first)
    await chat.service.pin_message(SHOW_ID, second)
    pinned = (await chat.snapshot()).pinned
    assert pinned is not None
    assert pinned.id == second
    await chat.service.pin_message(SHOW_ID, None)
    assert (await chat.snapshot()).pinned is None

    await chat.service.pin_message(SHOW_ID, second)
    chat.take_told()
    await chat.service.delete_message(SHOW_ID, HOST, second)
    assert chat.take_told() == [(SHOW, "chat.deleted"), (SHOW, "chat.message_pinned")]
    assert (await chat.snapshot()).pinned is None
    with pytest.raises(NoSuchMessage):
        await chat.service.pin_message(SHOW_ID, second)

    await chat.service.pin_message(SHOW_ID, first)
    chat.take_told()
    await chat.service.ban(SHOW_ID, HOST, ADA)
    assert chat.take_told() == [(SHOW, "chat.sanctioned"), (SHOW, "chat.message_pinned")]
    assert (await chat.snapshot()).pinned is None


async def test_hearts_add_up_and_messages_are_counted(chat: Chat) -> None:
    assert await chat.service.add_hearts(SHOW, 5) == 5
    assert await chat.service.add_hearts(SHOW, 7) == 12
    totals = await asyncio.gather(*(chat.service.add_hearts(SHOW, 1) for _ in range(10)))
    assert sorted(totals) == list(range(13, 23))
    message_id = await chat.say(GUEST, "one")
    await chat.say(GUEST, "two")
    await chat.service.delete_message(SHOW_ID, GUEST, message_id)
    async with chat.database.read() as conn:
        counts = await chat.service.counts(conn, SHOW_ID)
        empty = await chat.service.counts(conn, OTHER_SHOW_ID)
    assert (counts.messages, counts.hearts) == (1, 22)
    assert (empty.messages, empty.hearts) == (0, 0)


async def test_history_goes_back_page_by_page(chat: Chat) -> None:
    for n in range(120):
        await chat.say(HOST, f"message {n}")
    last = await chat.service.history(SHOW_ID)
    first = await chat.service.history(SHOW_ID, before=MessageId(last[0].id))
    assert [message.text for message in first + last] == [f"message {n}" for n in range(120)]
    assert await chat.service.history(SHOW_ID, before=MessageId(first[0].id)) == []
    assert await chat.service.history(SHOW_ID, before=MessageId("msg_unknown")) == []
    assert len((await chat.snapshot()).messages) == 50
    with pytest.raises(NotFound):
        await chat.service.history(ShowId("shw_nowhere"))


async def test_addresses_are_forgotten_after_a_day(chat: Chat) -> None:
    await chat.say(GUEST, "spam")
    await chat.service.ban(SHOW_ID, HOST, ADA)
    await chat.say(OTHER_GUEST, "hello", address=ELSEWHERE)
    await chat.service.mute(SHOW_ID, HOST, ViewerId(OTHER_GUEST.id), seconds=60)
    chat.clock.advance(timedelta(hours=25))
    await chat.service.forget_addresses()
    async with chat.database.read() as conn:
        marks = await conn.exec_driver_sql(
            "SELECT address_mark FROM chat_author UNION ALL SELECT address_mark FROM chat_sanction"
        )
        assert [row[0] for row in marks] == [None, None, None]
    with pytest.raises(Banned):
        await chat.say(GUEST, "the ban itself stays")
