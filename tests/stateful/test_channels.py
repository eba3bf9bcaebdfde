"""Whatever happens to products, prices, promotions, stock, channels, clocks and processes: at no
moment do two channels show different prices for a variant, and when the dust settles what shall be
there, what we say is there and what is there are the same on every channel.

Hypothesis drives the real services. For a long run:

    LIVESHOP_CHANNEL_EXAMPLES=5000 pytest tests/stateful/test_channels.py
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from syndication_builders import (
    FakeChannel,
    FakeFeed,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Stall,
    effective,
)

from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.promotions import wire as promotions_wire
from liveshop.promotions.model import PromotionEnded, Stored
from liveshop.promotions.prices import item_of
from liveshop.promotions.pricing import Context, price_of
from liveshop.storage import Database
from liveshop.syndication import connection_store
from liveshop.syndication.carried import carried
from liveshop.syndication.model import Connection

EXAMPLES = int(os.environ.get("LIVESHOP_CHANNEL_EXAMPLES", "0"))
"""So many others each time; without it the same few every time."""
START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
_files = count(1)

small = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("reprice"), small, st.integers(1000, 1005)),
    st.tuples(st.just("reprice"), small, st.integers(1000, 1005)),
    st.tuples(st.just("retitle"), small, small),
    st.tuples(st.just("stock"), small, st.sampled_from((0, 1, 19, 20, 21, 300))),
    st.tuples(st.just("sell"), small, st.booleans()),
    st.tuples(st.just("sizes"), small, st.integers(1, 3)),
    st.tuples(
        st.just("promote"),
        small,
        st.sampled_from((100, 250, 500)),
        st.sampled_from((None, 1, 5, 30, 24 * 31)),
        st.sampled_from((None, 1, 3, 49, 80)),
        st.sampled_from((None, 5)),
    ),
    st.tuples(st.just("end"), small),
    st.tuples(st.just("pause_promotion"), small),
    st.tuples(
        st.just("fault"),
        small,
        st.sampled_from(
            (
                *("before", "after", "unknown", "busy", "refuse", "defer", "ignore"),
                *("edit", "die", "attention", "review"),
            )
        ),
    ),
    st.tuples(st.just("mend"), small),
    st.tuples(st.just("connect"), st.integers(0, 3)),
    st.tuples(st.just("pause"), small),
    st.tuples(st.just("resume"), small),
    st.tuples(st.just("remove"), small),
    st.tuples(st.just("wait"), st.sampled_from((1, 20, 61, 300, 60 * 26, 60 * 80))),
    st.tuples(st.just("wait"), st.sampled_from((1, 20, 61, 300, 60 * 26, 60 * 80))),
    st.tuples(st.just("plan")),
    st.tuples(st.just("turn"), small),
    st.tuples(st.just("work")),
    st.tuples(st.just("work")),
    st.tuples(st.just("twice")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("repair"), small),
)


def test_no_two_channels_ever_show_different_prices_and_in_the_end_all_show_the_right_one(
    sqlite_template: Path, tmp_path: Path
) -> None:
    @given(
        st.lists(st.sampled_from(("hides", "withdraws", "feed", "rigid")), min_size=1, max_size=3),
        st.lists(steps, min_size=1, max_size=30),
    )
    @settings(
        max_examples=EXAMPLES or 30,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(kinds: list[str], script: list[tuple[Any, ...]]) -> None:
        note(f"{kinds} {script}")
        copy = tmp_path / f"{next(_files)}.sqlite3"
        shutil.copy(sqlite_template, copy)
        try:
            database = Database.open(f"sqlite+aiosqlite:///{copy}", pool_size=4)
            # Time zones are files, read before the loop runs.
            market = Market(Stall(database, ManualClock(START)))
            asyncio.run(_play(market, kinds, script))
        finally:
            for left in tmp_path.glob(f"{copy.name}*"):
                left.unlink()

    run()


async def _play(market: "Market", kinds: list[str], script: list[tuple[Any, ...]]) -> None:
    try:
        for _ in range(2):
            market.products.append(await market.stall.product(price=1000))
        for kind in kinds:
            await market.open(kind)
        for name, *given_ in script:
            await market.do(name, *given_)
        await market.come_to_rest()
    finally:
        await market.stall.database.close()


@dataclass(slots=True)
class Market:
    """A shop, its channels, and somebody who looks at all of them all the time."""

    stall: Stall
    products: list[Product] = field(default_factory=list)
    promotions: list[Stored] = field(default_factory=list)
    connections: list[tuple[Connection, Any]] = field(default_factory=list)
    is_sold: dict[str, bool] = field(default_factory=dict)

    async def open(self, kind: str) -> None:
        thing: Any = {
            "hides": lambda: FakeChannel(can_hide=True),
            "withdraws": lambda: FakeChannel(batch=2),
            "feed": lambda: FakeFeed(every=24 * 3600),
            "rigid": lambda: FakeChannel(can_schedule=False),
        }[kind]()
        if isinstance(thing, FakeChannel):
            thing.watch.append(self.look)
        self.connections.append(await self.stall.connect(thing, title=kind))

    async def do(self, name: str, *given_: Any) -> None:
        step: Callable[..., Awaitable[None]] = getattr(self, f"_{name}")
        with suppress(PromotionEnded):  # it has run out in the meantime
            await step(*given_)
        await self.look()

    async def look(self) -> None:
        """What people see at this moment."""
        now = self.stall.clock.now()
        seen: dict[str, dict[str, int]] = {}
        for connection, thing in self.connections:
            if isinstance(thing, FakeChannel):
                shown = thing.visible()
            else:
                shown = await self.stall.fed(connection)
            for id_, listing in shown.items():
                seen.setdefault(id_, {})[connection.title + connection.id[-4:]] = effective(
                    listing, now
                )
        for id_, prices in seen.items():
            assert len(set(prices.values())) == 1, (id_, prices)

    # What merchants do

    def _product(self, place: int) -> Product:
        return self.products[place % len(self.products)]

    async def _change(self, place: int, **changes: Any) -> None:
        product = self._product(place)
        usual = {"is_active": self.is_sold.get(product.id, True)}
        changed = await self.stall.change(product, **(usual | changes))
        self.products[place % len(self.products)] = changed

    async def _reprice(self, place: int, price: int) -> None:
        await self._change(place, price=price)

    async def _retitle(self, place: int, number: int) -> None:
        await self._change(place, title=f"Mug {number}")

    async def _sizes(self, place: int, number: int) -> None:
        await self._change(place, sizes=["S", "M", "L"][:number])

    async def _sell(self, place: int, is_sold: bool) -> None:
        self.is_sold[self._product(place).id] = is_sold
        await self._change(place, is_active=is_sold)

    async def _stock(self, place: int, amount: int) -> None:
        await self.stall.stock(self._product(place).variants[0].id, amount)

    async def _promote(
        self, place: int, permille: int, start: float | None, hours: float | None, limit: int | None
    ) -> None:
        self.promotions.append(
            await self.stall.reduce(
                permille,
                product=self._product(place) if place else None,
                starts_in_hours=start,
                hours=hours,
                limit_total=limit,
            )
        )

    async def _end(self, place: int) -> None:
        if self.promotions:
            one = self.promotions.pop(place % len(self.promotions))
            await self.stall.promotions.change_state(one.promotion.id, "ended")

    async def _pause_promotion(self, place: int) -> None:
        if self.promotions:
            one = self.promotions[place % len(self.promotions)]
            present = await self.stall.promotions.promotion(one.promotion.id)
            to: promotions_wire.NextState = "active" if present.state == "paused" else "paused"
            await self.stall.promotions.change_state(one.promotion.id, to)

    # What channels do

    def _channel(self, place: int) -> FakeChannel | None:
        channels = [thing for _, thing in self.connections if isinstance(thing, FakeChannel)]
        return channels[place % len(channels)] if channels else None

    async def _fault(self, place: int, kind: str) -> None:
        channel = self._channel(place)
        if channel is None:
            return
        faults = channel.faults
        before: dict[str, Exception] = {
            "before": RetryLater("It cannot answer now."),
            "busy": RetryLater("Too many requests.", after=90),
            "attention": NeedsAttention("The token was revoked."),
        }
        after: dict[str, Exception] = {
            "after": RetryLater("It cannot answer now."),
            "unknown": OutcomeUnknown("No answer came."),
        }
        faults.before += [before[kind]] if kind in before else []
        faults.after += [after[kind]] if kind in after else []
        faults.defers += ["It is looked at."] if kind == "defer" else []
        faults.ignores += kind == "ignore"
        faults.edits_titles |= kind == "edit"
        faults.died |= kind == "die"
        channel.in_review |= kind == "review"
        if kind == "refuse":
            faults.refuses.add(self._product(place).variants[0].id)

    async def _mend(self, place: int) -> None:
        channel = self._channel(place)
        if channel is not None:
            channel.mend()

    # What we do

    async def _connect(self, kind: int) -> None:
        if len(self.connections) < 4:
            await self.open(("hides", "withdraws", "feed", "rigid")[kind])

    async def _state(self, place: int, to: str) -> None:
        connection, _ = self.connections[place % len(self.connections)]
        present = await self.stall.connection(connection.id)
        if present.state not in ("removed", to):
            await self.stall.set_state(connection, to)

    async def _pause(self, place: int) -> None:
        await self._state(place, "paused")

    async def _resume(self, place: int) -> None:
        connection, _ = self.connections[place % len(self.connections)]
        if (await self.stall.connection(connection.id)).state == "paused":
            await self._state(place, "active")

    async def _remove(self, place: int) -> None:
        if len(self.connections) > 1:
            connection, thing = self.connections[place % len(self.connections)]
            async with self.stall.database.read() as conn:
                leaving = await connection_store.recall(conn, connection.id, "listings:leaving")
            if leaving is None:
                await self._state(place, "removed")
            if isinstance(thing, FakeFeed):
                self.connections.remove((connection, thing))

    async def _wait(self, minutes: int) -> None:
        self.stall.clock.advance(timedelta(minutes=minutes))

    async def _plan(self) -> None:
        await self.stall.plan()

    async def _turn(self, place: int) -> None:
        connection, thing = self.connections[place % len(self.connections)]
        present = await self.stall.connection(connection.id)
        if isinstance(thing, FakeChannel) and present.is_active:
            await self.stall.leased_turn(present)

    async def _work(self) -> None:
        await self.stall.work()

    async def _twice(self) -> None:
        await asyncio.gather(self.stall.work(), self.stall.work())

    async def _restart(self) -> None:
        self.stall.restart()

    async def _repair(self, place: int) -> None:
        connection, thing = self.connections[place % len(self.connections)]
        if isinstance(thing, FakeChannel):
            await self.stall.repair(connection)

    # When the dust settles

    async def come_to_rest(self) -> None:
        for connection, thing in self.connections:
            if isinstance(thing, FakeChannel):
                thing.mend()
            if (await self.stall.connection(connection.id)).state == "paused":
                await self.stall.set_state(connection, "active")
        for connection, thing in self.connections:
            if isinstance(thing, FakeChannel):
                await self.stall.repair(connection)
        await self.look()
        for _ in range(40):
            await self.stall.work()
            await self.look()
            if await self.stall.is_settled():
                break
            self.stall.clock.advance(timedelta(minutes=61))
            await self.look()
        else:
            raise AssertionError(await self.stall.rows())
        await self._all_are_right()

    async def _all_are_right(self) -> None:
        prices = await self._prices()
        for connection, thing in self.connections:
            present = await self.stall.connection(connection.id)
            if isinstance(thing, FakeFeed):
                shown = await self.stall.fed(connection)
            else:
                shown = thing.visible()
                wanted = {"live", "withdrawn"} if present.is_active else {"withdrawn"}
                states = {row.state for row in await self.stall.rows(connection)}
                assert states <= wanted, await self.stall.states(connection)
            now = self.stall.clock.now()
            expected = prices if present.is_active else {}
            assert {id_: effective(one, now) for id_, one in shown.items()} == expected
            for product in self.products:
                for variant in product.variants if self.is_sold.get(product.id, True) else ():
                    if variant.id in shown:
                        assert shown[variant.id].title.startswith(product.title)
                        assert not shown[variant.id].title.endswith("!")

    async def _prices(self) -> dict[str, int]:
        """By the function that prices carts."""
        stall, now = self.stall, self.stall.clock.now()
        outlets = await stall.planner.outlets.all()
        async with stall.database.read() as conn:
            announceable = await carried(
                conn, stall.prices.definitions, stall.planner.outlets.reaches(outlets), now
            )
        context = Context(
            now=now,
            currency="EUR",
            rates=stall.prices.rates,
            promotions=announceable.promotions,
        )
        return {
            variant.id: price_of(item_of(product, variant), context).price.amount
            for product in self.products
            if self.is_sold.get(product.id, True)
            for variant in product.variants
        }
