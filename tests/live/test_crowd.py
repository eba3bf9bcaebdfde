"""A crowd against real servers, over real sockets; and against one that lies, to see it noticed."""

import asyncio
import contextlib
import queue
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import builders
import msgspec
import pytest
from click.testing import CliRunner
from lying_shop import SHOW, lying_shop

from liveshop.app import Liveshop, wire
from liveshop.cli.crowd import crowd_command
from liveshop.crowd import CannotStart, Plan, Report, Tick, run_crowd
from liveshop.kernel.clock import SystemClock
from liveshop.serving import listening
from liveshop.shows.wire import ShowInput
from liveshop.storage import Database


def plan_for(url: str, **given: Any) -> Plan:
    """Short, quick to come back, and as talkative as the room allows."""
    settings: dict[str, Any] = {
        "viewers": 5,
        "chatters": 2,
        "chat_per_minute": 28.0,
        "arrival": "at-once",
        "seconds": 2.5,
        "backoff_first_seconds": 0.05,
        "backoff_max_seconds": 0.2,
        "settle_seconds": 8.0,
        "tick_seconds": 0.05,
    }
    return Plan(addresses=(url,), **(settings | given))


async def lied_to(**lies: Any) -> Report:
    """What a crowd reports that has said three things and then ended."""
    stop = asyncio.Event()

    def look(tick: Tick) -> None:
        if tick.acknowledged >= 3 and tick.here + len(lies) >= 5:
            stop.set()

    async with lying_shop(**lies) as shop:
        plan = plan_for(shop.url, chatters=5, seconds=20)
        return await run_crowd(plan, look, stop=stop)


async def lied_to_at_the_end() -> Report:
    """The same, and the first viewer does not get the very last event."""
    stop = asyncio.Event()
    async with lying_shop() as shop:

        def look(tick: Tick) -> None:
            if tick.acknowledged and not shop.drop:
                shop.drop = shop.offset + 1
            if shop.drop and shop.offset >= shop.drop:
                stop.set()

        plan = plan_for(shop.url, chatters=5, seconds=20, settle_seconds=1.0)
        return await run_crowd(plan, look, stop=stop)


class House:
    """A real shop on one database, that can be stopped and started at the same address."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder = folder
        self._database = database
        self._open = contextlib.AsyncExitStack()
        self.port = 0
        self.shop: Liveshop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.shop = await asyncio.to_thread(self._wired)
        self._open.push_async_callback(self.shop.database.close)
        self._open.push_async_callback(self.shop.syndication.close)
        served = listening(self.shop.web_application(), "127.0.0.1", self.port)
        self.port = await self._open.enter_async_context(served)

    def _wired(self) -> Liveshop:
        settings = builders.test_settings(
            self._folder,
            database_url=f"sqlite+aiosqlite:///{self._database}",
        )
        database = Database.open(settings.database_url)
        return wire(settings, database, None, SystemClock())

    async def stop(self) -> None:
        await self.shop.drain(asyncio.Event())
        await self._open.aclose()


@pytest.fixture
async def house(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[House]:
    copy = tmp_path / "shop.sqlite3"
    shutil.copy(sqlite_template, copy)
    house = House(tmp_path / "data", copy)
    await house.start()
    mug = await builders.product(house.shop, stock=2)
    await builders.live_show(house.shop, [mug.id])
    yield house
    await house.stop()


async def test_a_crowd_watches_writes_and_buys_and_finds_everything_in_order(house: House) -> None:
    ticks: list[Tick] = []
    plan = plan_for(
        house.url, viewers=30, chatters=10, buyers=3, buy=True, arrival="show", seconds=3
    )
    report = await run_crowd(plan, ticks.append)
    assert report.ok, report.verdict
    assert report.joins.came_in == 30
    assert report.chat.acknowledged >= 3
    assert report.delivery_ms.count >= 10 * report.chat.acknowledged
    # Two are there: the third buyer finds the shelf empty, which is no fault.
    assert (report.orders.placed, report.orders.refused) == (2, {"out_of_stock": 1})
    assert report.orders.states == {"confirmed": 2}
    assert max(tick.here for tick in ticks) == report.joins.most_at_once
    whole = [record for record in report.records if record.runs]
    assert len(whole) >= 25
    assert all(record.is_complete for record in report.records)


async def test_a_host_practises_with_a_crowd_that_takes_no_real_stock(house: House) -> None:
    shop = house.shop
    vase = await builders.product(shop, title="Vase", stock=2)
    created = await shop.shows.create_show(ShowInput(title="Soon", product_ids=[vase.id]))
    await shop.shows.change_state(created.id, "rehearsal")
    plan = plan_for(house.url, chatters=5, buyers=3, buy=True, seconds=2)
    async with aiohttp.ClientSession() as client:
        host = {"Authorization": f"Bearer {await builders.staff_key(shop, 'host')}"}
        path = f"{house.url}/api/shows/{created.id}/rehearsal/invite"
        async with client.post(path, headers=host) as answer:
            code = (await answer.json())["code"]
    report = await run_crowd(msgspec.structs.replace(plan, invitation=code))
    assert report.ok, report.verdict
    assert (report.show_id, report.joins.came_in) == (created.id, 5)
    assert (report.orders.placed, report.orders.refused) == (2, {"out_of_stock": 1})
    assert await builders.available(shop, vase.variants[0].id) == 2
    with pytest.raises(CannotStart, match="The invitation does not hold"):
        await run_crowd(msgspec.structs.replace(plan, invitation=code[:-1] + "~"))


async def test_everybody_comes_back_when_the_server_was_restarted_and_nobody_missed_a_word(
    house: House,
) -> None:
    """Its memory of the room is gone, so a new epoch begins and everybody reloads."""
    everybody, enough = asyncio.Event(), asyncio.Event()
    said = 0

    def look(tick: Tick) -> None:
        nonlocal said
        if tick.here == 12 and tick.acknowledged > 2 and not everybody.is_set():
            everybody.set()
            said = tick.acknowledged
        if tick.reconnects == 12 and tick.acknowledged > said + 4:
            enough.set()

    async with asyncio.TaskGroup() as group:
        plan = plan_for(house.url, viewers=12, chatters=6, seconds=20)
        running = group.create_task(run_crowd(plan, look, stop=enough))
        await everybody.wait()
        await house.stop()
        await house.start()
    report = running.result()
    assert report.ok, report.verdict
    assert report.lines.reconnects == 12
    assert report.log.reloads == 12
    assert report.lines.closes == {"4001": 12}
    assert all(len({run.epoch for run in record.runs}) == 2 for record in report.records)


async def test_what_a_room_does_wrong_is_noticed_whatever_it_is() -> None:
    dropped, last, repeated, swapped, unsaid, banned, slow = await asyncio.gather(
        lied_to(drop=1),
        lied_to_at_the_end(),
        lied_to(repeat=1),
        lied_to(swap=1),
        lied_to(never=1),
        lied_to(close_with=4500),
        lied_to(close_with=4008),
    )
    assert (dropped.log.gaps, dropped.log.missed, dropped.log.behind) == (1, 1, 0)
    assert (dropped.chat.lost, dropped.chat.lost_deliveries) == (1, 1)
    assert "1 event missing in 1 gap" in dropped.verdict
    # Nothing comes after it that would show a gap: the end of the log is asked for.
    assert (last.log.gaps, last.log.behind, last.chat.lost) == (0, 1, 1)
    assert "did not get the end of the log" in last.verdict
    assert (repeated.log.repeats, repeated.log.gaps, repeated.chat.lost) == (1, 0, 0)
    assert (swapped.log.out_of_order, swapped.log.gaps, swapped.chat.lost) == (1, 0, 0)
    assert (unsaid.chat.unseen, unsaid.log.gaps) == (1, 0)
    assert banned.joins.turned_away == {"closed with 4500": 1}
    assert "1 viewer turned away" in banned.verdict
    assert not any(one.ok for one in (dropped, last, repeated, swapped, unsaid, banned))
    # Told to come back, he comes back: that is no fault.
    assert (slow.ok, slow.lines.reconnects, slow.lines.closes) == (True, 1, {"4008": 1})


async def test_orders_that_are_forgotten_or_placed_twice_are_noticed() -> None:
    async with lying_shop(forget_orders=True) as one, lying_shop(order_twice=True) as two:
        forgotten, twice = await asyncio.gather(
            run_crowd(plan_for(one.url, buyers=5, buy=True, seconds=1.5)),
            run_crowd(plan_for(two.url, buyers=5, orders_each=8, buy=True, seconds=1.5)),
        )
    assert forgotten.orders.placed == forgotten.orders.lost > 0
    assert not forgotten.ok
    assert twice.orders.twice > 0
    assert "placed twice under one key" in twice.verdict


async def test_nothing_is_bought_from_a_shop_that_sells_for_real() -> None:
    async with lying_shop(demo=False) as shop:
        with pytest.raises(CannotStart, match="sells for real"):
            await run_crowd(plan_for(shop.url, buyers=1, buy=True))
        shop.demo = True
        with pytest.raises(CannotStart, match="--buy"):
            await run_crowd(plan_for(shop.url, buyers=1))
        assert shop.posted == 0


async def test_why_a_crowd_cannot_start_is_said_in_words(unused_tcp_port: int) -> None:
    with pytest.raises(CannotStart, match="does not answer: connection refused"):
        await run_crowd(plan_for(f"http://127.0.0.1:{unused_tcp_port}"))
    async with lying_shop(state="scheduled") as shop:
        with pytest.raises(CannotStart, match="No show is live"):
            await run_crowd(plan_for(shop.url))
        with pytest.raises(CannotStart, match="“A show” is scheduled, not live"):
            await run_crowd(plan_for(shop.url, show_id=SHOW))
        with pytest.raises(CannotStart, match="There is no show"):
            await run_crowd(plan_for(shop.url, show_id=SHOW[:-1] + "9"))
        with pytest.raises(CannotStart, match="is not a Liveshop server"):
            await run_crowd(plan_for(f"{shop.url}/elsewhere"))


async def test_a_crowd_of_two_processes_counts_as_one() -> None:
    async with lying_shop() as shop:
        plan = plan_for(shop.url, viewers=6, chatters=6, seconds=2)
        report = await run_crowd(plan, processes=2)
    assert report.ok, report.verdict
    assert (report.processes, report.joins.came_in, len(report.records)) == (2, 6, 6)
    # What a chatter of one process says is measured in the other one too.
    assert report.delivery_ms.count > 3 * report.chat.acknowledged > 0


@pytest.fixture
def lying_url() -> Iterator[str]:
    """Of a shop in another thread, that drops its first event: the command runs a loop itself."""
    address: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with lying_shop(drop=1) as shop:
            address.put(shop.url)
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    yield address.get(timeout=10)
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


def test_the_command_reports_one_json_object_and_ends_with_1_when_it_was_not_good(
    lying_url: str,
) -> None:
    people = ["--viewers", "5", "--chatters", "100%", "--chat-per-minute", "28"]
    how = ["--seconds", "2.2", "--arrival", "at-once", "--processes", "1", "--json"]
    told = CliRunner().invoke(crowd_command, [lying_url, *people, *how])
    report = msgspec.json.decode(told.stdout)
    assert (told.exit_code, report["ok"], report["log"]["gaps"]) == (1, False, 1)
    assert report["verdict"] in told.stderr
    assert "records" not in report
