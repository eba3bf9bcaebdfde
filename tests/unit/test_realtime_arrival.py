"""Coming in by the thousands: what is looked up and made once, and what may not be shared."""

import asyncio
from typing import Any

import pytest

from liveshop.chat.snapshot import Made, Sharing
from liveshop.kernel.errors import Forbidden, Unavailable
from liveshop.realtime.addresses import Addresses
from liveshop.realtime.doors import Doors, Judge
from liveshop.web.access import ANONYMOUS, Principal


class Room:
    """A show's room, its number of changes, and how often the show was looked up."""

    def __init__(self) -> None:
        self.mark: int | None = 1
        self.now = 0.0
        self.looks = 0
        self.is_open = True
        self.fault: Exception | None = None
        self.doors = Doors(self.look, lambda _: self.mark, monotonic=lambda: self.now)

    async def look(self, _show_id: str) -> Judge[int]:
        self.looks += 1
        was_open, number = self.is_open, self.looks
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault

        def judge(_who: Principal) -> int:
            if not was_open:
                raise Forbidden("It is closed.")
            return number

        return judge

    async def come(self, count: int = 1) -> list[Any]:
        comers = [self.doors.check("shw_1", ANONYMOUS) for _ in range(count)]
        return await asyncio.gather(*comers, return_exceptions=True)


async def test_a_crowd_comes_in_by_one_look() -> None:
    room = Room()
    assert await room.come(100) == [1] * 100
    room.now = 0.9
    assert await room.come(100) == [1] * 100
    room.now = 1.1
    assert await room.come(1) == [2]


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_show_that_was_closed_lets_nobody_in_by_an_old_look(is_heard: bool) -> None:
    room = Room()
    if is_heard:
        assert await room.come() == [1]
    room.is_open, room.mark = False, 2 if is_heard else None
    assert all(isinstance(answer, Forbidden) for answer in await room.come(3))
    assert room.looks == (2 if is_heard else 3)


async def test_a_look_that_failed_is_not_kept_and_one_who_leaves_takes_nothing_along() -> None:
    room = Room()
    room.fault = Unavailable("The database does not answer.")
    assert [type(answer) for answer in await room.come(2)] == [Unavailable] * 2
    room.fault = None
    first = asyncio.create_task(room.doors.check("shw_1", ANONYMOUS))
    second = asyncio.create_task(room.doors.check("shw_1", ANONYMOUS))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 2


class Maker:
    """A room in which things happen, and the snapshots made of it."""

    def __init__(self) -> None:
        self.news: int | None = 1
        self.log = 1
        self.now = 0.0
        self.made = 0
        self.sharing = Sharing(lambda _: self.news, lambda: self.now, lambda _: self.log)

    async def make(self) -> Made:
        self.made += 1
        number = self.made
        await asyncio.sleep(0)
        return Made(None, b"%d" % number)  # type: ignore[arg-type]  # the show is not looked at

    async def ask(self, count: int = 1, version: int = 1) -> list[int]:
        asking = [self.sharing.get("shw_1", version, self.make) for _ in range(count)]
        return [int(made.shared) for made in await asyncio.gather(*asking)]


async def test_a_snapshot_is_shared_while_nothing_happens_and_never_between_versions() -> None:
    maker = Maker()
    assert await maker.ask(50) == [1] * 50
    maker.news = 2
    assert await maker.ask(2) == [2, 2]
    assert await maker.ask(2, version=2) == [3, 3]
    maker.now = 1.1
    assert await maker.ask(version=2) == [4]
    maker.news = None
    assert await maker.ask(3, version=2) == [5, 6, 7]


async def test_what_was_made_before_the_log_was_lost_is_given_to_nobody() -> None:
    """However often one was made shortly before."""
    maker = Maker()
    for step in range(10):
        maker.news = step
        await maker.ask()
    made = maker.made
    assert await maker.ask() == [made]
    maker.log = 2
    assert await maker.ask(20) == [made + 1] * 20


async def test_where_something_always_happens_it_is_made_about_once_a_second() -> None:
    maker = Maker()
    for step in range(1000):
        maker.now = step / 100
        maker.news = step
        await maker.ask(7)
    assert 10 <= maker.made <= 16


@pytest.mark.parametrize(
    ("one", "other", "are_together"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("2001:db8:1:2::a", "2001:db8:1:2:ffff::b", True),
        ("2001:db8:1:2::a", "2001:db8:1:3::a", False),
        ("no address", "no address", True),
    ],
)
def test_connections_are_counted_by_whose_they_are(
    one: str, other: str, are_together: bool
) -> None:
    addresses = Addresses(1)
    assert addresses.enter(one)
    assert addresses.enter(other) is not are_together
    addresses.leave(other)
    addresses.leave(one)
    assert addresses.enter(other)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_no_limit_and_0_is_none(address: str) -> None:
    limited, unlimited = Addresses(1), Addresses(0)
    assert [limited.enter(address) for _ in range(5)] == [True] * 5
    assert [unlimited.enter("203.0.113.9") for _ in range(5)] == [True] * 5
