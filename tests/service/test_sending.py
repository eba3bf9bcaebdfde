"""Posts on their way: once whatever breaks, at their moment or not at all, and looked after."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import post_builders
import pytest
from post_builders import DAYS, START, Day, Killed, Posting
from room_builders import until

from liveshop.app import Liveshop
from liveshop.connect import NeedsAttention, RetryLater
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import wire as shows_wire
from liveshop.syndication import connection_store, wire
from liveshop.syndication.sending import GRACE, NEVER_SEEN, READ_FOR
from liveshop.web import MoneyOut

MINUTE = timedelta(minutes=1)
GOOD_IN_THE_END = [day for day in DAYS if day not in ("refuses", "shows_nothing")]
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where nothing depends on the kind of database."""


@pytest.fixture
def made(wired: Liveshop, clock: ManualClock) -> Posting:
    return post_builders.posting(wired, clock)


@pytest.fixture
async def posting(made: Posting, shop: Liveshop) -> AsyncIterator[Posting]:
    made.channel.limits = post_builders.WORDS_ONLY  # pictures take time, and are tested elsewhere
    await made.ready()
    yield made
    await made.open.close()


async def states(posting: Posting, *ids: str) -> list[str]:
    return [(await posting.row(id_)).state for id_ in ids]


async def test_a_post_is_sent_written_down_and_seen_to_be_there(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    assert (sent.state, sent.text) == ("scheduled", None)
    await posting.turn()
    [there] = posting.channel.made
    row = await posting.row(sent.id)
    assert (row.state, row.remote_id, row.text) == ("sent", there.remote_id, there.post.text)
    assert there.post.key == sent.id
    posting.clock.advance(2 * MINUTE)
    await posting.turn()
    shown = await posting.posts.post(sent.id)
    assert (shown.state, shown.text) == ("live", there.post.text)
    assert shown.url == "https://channel.example/remote-1"
    assert len(posting.channel.made) == 1


async def test_what_is_sent_is_on_record_before_the_request(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["dies_before"]
    with pytest.raises(Killed):
        await posting.turn()
    row = await posting.row(sent.id)
    assert (row.state, row.sending_at) == ("sending", posting.clock.now())
    assert row.text is not None
    assert "Winter evening" in row.text


@sqlite
async def test_no_post_is_ever_made_twice(posting: Posting) -> None:
    """Every day a channel can have, with a process that dies before or after each of its
    transactions."""
    show_id = await posting.show(state="live")
    for day, at, is_after in post_builders.combinations():
        told = f"{day} {at} {is_after}"
        posting.channel.days = [day]
        sent = await posting.post(
            kind="live_now", show_id=show_id, template=f"{told} {{{{ link }}}}"
        )
        with contextlib.suppress(Killed, RetryLater, NeedsAttention, ZeroDivisionError):
            dying = posting.dying(at, is_after=is_after)
            for _ in range(3):
                await posting.turn(dying)
                posting.clock.advance(timedelta(seconds=25))
        await posting.settle()
        row = await posting.row(sent.id)
        made = posting.channel.of(sent.id)
        if day == "refuses" and not made:
            assert row.state == "refused", told
        elif day == "shows_nothing" and row.state == "removed":
            assert len(made) == 1, told
        else:
            assert row.state == "live", told
            seen = [one for one in made if one.remote_id not in posting.channel.gone]
            assert [one.remote_id for one in seen] == [row.remote_id], told


@sqlite
@pytest.mark.parametrize("first", GOOD_IN_THE_END)
async def test_two_bad_days_make_no_second_post_either(posting: Posting, first: Day) -> None:
    show_id = await posting.show(state="live")
    for second in GOOD_IN_THE_END:
        template = f"{second} {{{{ link }}}}"
        sent = await posting.post(kind="live_now", show_id=show_id, template=template)
        posting.channel.days = [first, second]
        await posting.settle()
        assert (await posting.row(sent.id)).state == "live", second
        assert len(posting.channel.of(sent.id)) == 1, second
        posting.channel.days = []


@sqlite
async def test_an_unheard_post_is_looked_for_until_it_cannot_come_any_more(
    posting: Posting,
) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["unheard_lost"]
    begun = posting.clock.now()
    await posting.turn()
    assert (await posting.posts.post(sent.id)).state == "unclear"
    while posting.clock.now() - begun < GRACE:
        assert posting.channel.made == []
        posting.clock.advance(timedelta(seconds=20))
        await posting.turn()
    assert len(posting.channel.finds) in range(4, 10)
    assert [one.post.key for one in posting.channel.made] == [sent.id]
    assert (await posting.row(sent.id)).attempts == 2
    tried = {one.created_at for one in (*posting.channel.finds, posting.channel.made[0].post)}
    assert tried == {begun}


@sqlite
async def test_a_post_that_turns_up_late_is_found_and_not_repeated(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["unheard_late"]
    await posting.settle()
    row = await posting.row(sent.id)
    assert (row.state, row.remote_id, row.attempts) == ("live", "remote-1", 1)
    assert len(posting.channel.made) == 1


@sqlite
async def test_two_processes_that_send_at_once_make_one_post(posting: Posting) -> None:
    """Such as one that was held up so long that its lease was taken by another."""
    sent = await posting.post(show_id=await posting.show())
    posting.channel.gate = asyncio.Event()
    slow = asyncio.create_task(posting.turn())
    await until(lambda: posting.channel.at_gate == 1)
    other = posting.dying(0, is_after=False)
    await other.turn(posting.connection)
    assert await states(posting, sent.id) == ["unclear"]
    posting.channel.gate.set()
    await slow
    assert await states(posting, sent.id) == ["sent"]
    await posting.settle()
    assert (await states(posting, sent.id), len(posting.channel.made)) == (["live"], 1)


@sqlite
async def test_a_refused_post_says_why_and_does_not_hold_up_the_others(posting: Posting) -> None:
    show_id = await posting.show()
    refused = await posting.post(show_id=show_id)
    posting.clock.advance(timedelta(seconds=1))
    good = await posting.post(show_id=show_id)
    posting.channel.days = ["refuses"]
    await posting.turn()
    assert await states(posting, refused.id, good.id) == ["refused", "sent"]
    assert (await posting.posts.post(refused.id)).reason == "The text breaks a rule of the channel."
    assert (await posting.posts.post(refused.id)).text is None


@sqlite
async def test_a_busy_channel_is_waited_for_as_long_as_it_asks(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["busy"]
    with pytest.raises(RetryLater):
        await posting.turn()
    row = await posting.row(sent.id)
    assert (row.state, row.reason, row.text) == ("scheduled", "Too many posts for now.", None)
    assert row.due_at is not None
    assert row.due_at - posting.clock.now() >= timedelta(seconds=30)
    await posting.turn()
    assert posting.channel.made == []
    posting.clock.advance(timedelta(seconds=34))
    await posting.turn()
    assert await states(posting, sent.id) == ["sent"]


@sqlite
async def test_a_locked_channel_is_told_of_and_the_post_waits(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["locked"]
    with pytest.raises(NeedsAttention):
        await posting.turn()
    row = await posting.row(sent.id)
    assert (row.state, row.reason) == ("scheduled", "Authorise the channel again.")
    await posting.turn()
    assert await states(posting, sent.id) == ["sent"]


@sqlite
async def test_a_post_that_never_comes_is_given_up_in_the_end(posting: Posting) -> None:
    show_id = await posting.show(state="live")
    sent = await posting.post(show_id=show_id, kind="live_now")
    posting.channel.days = ["unheard_lost"] * 40
    await posting.settle(rounds=600)
    row = await posting.row(sent.id)
    assert row.state == "refused"
    assert row.reason == "It was tried 20 times, and never came to be there."


# What is to be seen


@sqlite
async def test_a_post_that_is_taken_off_elsewhere_is_known_to_be_gone(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    await posting.settle()
    assert await states(posting, sent.id) == ["live"]
    posting.channel.gone.add("remote-1")
    posting.clock.advance(timedelta(hours=13))
    await posting.turn()
    shown = await posting.posts.post(sent.id)
    assert (shown.state, shown.reason) == (
        "removed",
        "It is no longer on the channel, and not because of us.",
    )


@sqlite
async def test_what_a_channel_takes_and_does_not_show_is_not_called_live(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    posting.channel.days = ["shows_nothing"]
    begun = posting.clock.now()
    seen = []
    while (await posting.row(sent.id)).state != "removed":
        await posting.turn()
        seen.append((await posting.row(sent.id)).state)
        posting.clock.advance(MINUTE)
    assert "live" not in seen
    assert posting.clock.now() - begun >= NEVER_SEEN
    reason = (await posting.posts.post(sent.id)).reason
    assert reason == "The channel took it, but does not show it."


@sqlite
async def test_old_posts_are_no_longer_asked_for(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    await posting.settle()
    posting.clock.advance(READ_FOR + timedelta(days=1))
    assert await posting.turn() is None
    assert (await posting.row(sent.id)).due_at is None


# Moments


async def test_posts_wait_for_the_end_of_a_rehearsal(posting: Posting) -> None:
    mug = await posting.mug()
    show_id = await posting.show(state="draft", product_ids=[mug.id])
    await posting.posts.plan_show(
        show_id,
        [posting.connection.id],
        ["announce", "reminder", "live_now", "product_moment"],
        reminder_minutes=20,
    )

    async def kinds() -> list[str]:
        await posting.turn()
        return [one.post.kind for one in posting.channel.made]

    async def rehearse() -> None:
        await posting.shop.shows.change_state(show_id, "rehearsal")
        await posting.shop.shows.pin_product(show_id, mug.id)
        await posting.turn()
        posting.clock.advance(MINUTE)

    await rehearse()
    assert await kinds() == []
    await posting.shop.shows.change_state(show_id, "draft")
    await posting.shop.shows.change_state(show_id, "scheduled")
    assert await kinds() == ["announce"]
    posting.clock.advance(START - 22 * MINUTE)
    await rehearse()
    posting.clock.advance(MINUTE)
    assert await kinds() == ["announce"]
    await posting.shop.shows.change_state(show_id, "scheduled")
    posting.clock.advance(MINUTE)
    assert await kinds() == ["announce", "reminder"]
    await posting.shop.shows.change_state(show_id, "live")
    assert await kinds() == ["announce", "reminder", "live_now"]


async def test_the_posts_of_a_show_go_out_when_it_comes_to_them(posting: Posting) -> None:
    mug = await posting.mug()
    show_id = await posting.show(
        state="draft", product_ids=[mug.id], replay_url="https://shop.example/replay.mp4"
    )
    planned = await posting.posts.plan_show(
        show_id,
        [posting.connection.id],
        ["announce", "reminder", "live_now", "product_moment", "replay"],
        reminder_minutes=20,
    )
    announce, reminder, live, moment, replay = [one.id for one in planned]

    def kinds() -> list[str]:
        return [one.post.kind for one in posting.channel.made]

    await posting.turn()
    assert kinds() == []
    await posting.shop.shows.change_state(show_id, "scheduled")
    await posting.turn()
    assert kinds() == ["announce"]
    expected = posting.clock.now() + START - 20 * MINUTE
    assert (await posting.posts.post(reminder)).send_at == expected
    posting.clock.advance(START - 21 * MINUTE)
    await posting.turn()
    assert kinds() == ["announce"]
    posting.clock.advance(MINUTE)
    await posting.turn()
    assert kinds() == ["announce", "reminder"]
    await posting.shop.shows.change_state(show_id, "live")
    await posting.turn()
    assert kinds() == ["announce", "reminder", "live_now"]
    await posting.shop.shows.pin_product(show_id, mug.id)
    await posting.turn()
    assert kinds() == ["announce", "reminder", "live_now", "product_moment"]
    await posting.shop.shows.change_state(show_id, "ended")
    await posting.turn()
    await posting.shop.shows.change_state(show_id, "replay")
    await posting.turn()
    assert kinds()[4:] == ["replay"]
    assert set(await states(posting, announce, reminder, live, moment, replay)) <= {"sent", "live"}


async def test_a_show_plans_its_posts_once_however_often_it_is_asked(posting: Posting) -> None:
    show_id = await posting.show()
    first = await posting.posts.plan_show(show_id, [posting.connection.id], ["announce"])
    await posting.settle()
    again = await posting.posts.plan_show(
        show_id, [posting.connection.id, posting.connection.id], ["announce", "announce"]
    )
    assert [one.id for one in again] == [one.id for one in first]
    await posting.settle()
    assert len(posting.channel.made) == 1


@sqlite
async def test_moving_a_show_moves_its_reminder(posting: Posting) -> None:
    show_id = await posting.show()
    [reminder] = await posting.posts.plan_show(show_id, [posting.connection.id], ["reminder"])
    await posting.turn()
    moved_to = posting.clock.now() + timedelta(days=3)
    await posting.shop.shows.change_show(show_id, shows_wire.ShowChange(starts_at=moved_to))
    posting.clock.advance(START)
    await posting.turn()
    assert posting.channel.made == []
    shown = await posting.posts.post(reminder.id)
    assert shown.send_at == moved_to - 30 * MINUTE
    posting.clock.advance(moved_to - 30 * MINUTE - posting.clock.now())
    await posting.turn()
    assert len(posting.channel.made) == 1


@sqlite
async def test_a_moment_that_comes_asks_for_a_turn(posting: Posting) -> None:
    show_id = await posting.show()
    await posting.posts.plan_show(show_id, [posting.connection.id], ["live_now"])
    later = posting.clock.now() + timedelta(days=1)
    async with posting.shop.database.write() as tx:
        await connection_store.set_turn(tx.conn, posting.connection.id, due_at=later)
    await posting.shop.shows.change_state(show_id, "live")
    await posting.turns.follow_shows()
    async with posting.shop.database.read() as conn:
        connection = await connection_store.by_id(conn, posting.connection.id)
    assert connection is not None
    assert connection.due_at == posting.clock.now()


LATE: list[tuple[dict[str, Any], list[str], timedelta, str]] = [
    ({"kind": "announce"}, [], START, "The start of the show has passed."),
    ({"kind": "announce"}, ["live"], MINUTE, "The start of the show has passed."),
    ({"kind": "announce"}, ["live", "ended"], MINUTE, "The start of the show has passed."),
    ({"kind": "reminder"}, ["live"], MINUTE, "The start of the show has passed."),
    (
        {"kind": "reminder", "when": "before_start"},
        ["live"],
        MINUTE,
        "The start of the show has passed.",
    ),
    ({"kind": "live_now"}, ["live", "ended"], MINUTE, "The show is over."),
    ({"kind": "live_now", "when": "on_live"}, ["live", "ended"], MINUTE, "The show is over."),
]


@sqlite
@pytest.mark.parametrize(("given", "steps", "passed", "reason"), LATE)
async def test_a_post_that_missed_its_moment_is_cancelled_and_not_sent_late(
    posting: Posting, given: dict[str, Any], steps: list[Any], passed: timedelta, reason: str
) -> None:
    show_id = await posting.show()
    late = await posting.post(show_id=show_id, **given)
    for step in steps:
        await posting.shop.shows.change_state(show_id, step)
    posting.clock.advance(passed)
    await posting.turn()
    shown = await posting.posts.post(late.id)
    assert (shown.state, shown.reason) == ("cancelled", reason)
    assert posting.channel.made == []


@sqlite
async def test_a_product_moment_nobody_waits_for_any_more_is_cancelled(posting: Posting) -> None:
    mug = await posting.mug()
    show_id = await posting.show(product_ids=[mug.id])
    await posting.posts.plan_show(show_id, [posting.connection.id], ["product_moment"])
    await posting.shop.shows.change_state(show_id, "live")
    await posting.shop.shows.change_state(show_id, "ended")
    await posting.turn()
    [shown] = (await posting.posts.list_posts(wire.PostQuery(show_id=show_id))).posts
    assert (shown.state, shown.reason) == ("cancelled", "The show is over.")


@sqlite
async def test_what_could_not_be_sent_for_a_day_is_given_up(posting: Posting) -> None:
    mug = await posting.mug(url="https://shop.example/mug")
    post = await posting.post(kind="product_moment", product_id=mug.id)
    posting.clock.advance(timedelta(hours=25))
    await posting.turn()
    shown = await posting.posts.post(post.id)
    assert (shown.state, shown.reason) == (
        "cancelled",
        "It could not be sent for a day. Make a new one.",
    )


@sqlite
async def test_a_pin_from_before_the_post_was_asked_for_is_not_its_moment(
    posting: Posting,
) -> None:
    mug = await posting.mug()
    show_id = await posting.show(state="live", product_ids=[mug.id])
    await posting.shop.shows.pin_product(show_id, mug.id)
    posting.clock.advance(MINUTE)
    await posting.posts.plan_show(show_id, [posting.connection.id], ["product_moment"])
    await posting.turn()
    assert posting.channel.made == []
    await posting.shop.shows.pin_product(show_id, mug.id)
    await posting.turn()
    assert len(posting.channel.made) == 1


@sqlite
async def test_a_post_waits_for_what_it_says_to_become_true(posting: Posting) -> None:
    show_id = await posting.show(state="draft")
    early = await posting.post(show_id=show_id, kind="live_now")
    await posting.turn()
    shown = await posting.posts.post(early.id)
    assert (shown.state, shown.reason) == (
        "scheduled",
        "The show is a draft. The post waits until the show is announced.",
    )
    await posting.shop.shows.change_state(show_id, "live")
    posting.clock.advance(2 * MINUTE)
    await posting.turn()
    assert await states(posting, early.id) == ["sent"]


@sqlite
async def test_a_show_for_customers_is_not_told_to_everybody(posting: Posting) -> None:
    show_id = await posting.show(audience="customers")
    post = await posting.post(show_id=show_id)
    await posting.turn()
    shown = await posting.posts.post(post.id)
    assert (shown.state, shown.reason) == (
        "scheduled",
        "The show is for customers. The post waits until it is for everyone.",
    )
    await posting.shop.shows.change_show(show_id, shows_wire.ShowChange(audience="everyone"))
    posting.clock.advance(2 * MINUTE)
    await posting.turn()
    assert await states(posting, post.id) == ["sent"]


async def test_a_removed_connection_sends_nothing_more(posting: Posting) -> None:
    sent = await posting.post(show_id=await posting.show())
    async with posting.shop.database.write() as tx:
        now = posting.clock.now()
        await connection_store.change(tx.conn, posting.connection.id, now, state="removed")
    await posting.turns.follow_shows()
    shown = await posting.posts.post(sent.id)
    assert (shown.state, shown.reason) == ("cancelled", "The channel was disconnected.")


async def test_a_price_that_changes_before_sending_is_the_new_one(posting: Posting) -> None:
    mug = await posting.mug()
    show_id = await posting.show(state="live", product_ids=[mug.id])
    later = posting.clock.now() + timedelta(minutes=10)
    given = {"kind": "product_moment", "show_id": show_id, "product_id": mug.id, "send_at": later}
    before = await posting.posts.preview(posting.asked(**given))
    assert "28" in before.text
    await posting.post(**given)
    await cheaper(posting, mug.variants[0].id, 1900)
    posting.clock.advance(timedelta(minutes=11))
    await posting.turn()
    [there] = posting.channel.made
    assert "19" in there.post.text
    assert "28.00" not in there.post.text or "instead" in there.post.text


async def cheaper(posting: Posting, variant_id: VariantId, amount: int) -> None:
    await posting.shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Sale", "de": "Sale"},
            kind=promotions_wire.FixedPrice(price=MoneyOut(amount=amount, currency="EUR")),
            variant_ids=[variant_id],
        )
    )
