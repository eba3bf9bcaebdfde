"""Whatever merchants, carts, orders and time do to promotions, a variant has one price at a time,
and no limit is passed.

Hypothesis drives the real services on real databases. The model keeps what merchants said, what
carts claimed and what orders used, and works every price out a second time, unit by unit; what was
the price at a moment has to stay it in the history of prices.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from itertools import count
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from promotions_house import SHOW, House, given, money, percent

from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import OrderId, ShowId, ViewerId
from liveshop.kernel.money import Money
from liveshop.promotions import claims, store, wire
from liveshop.promotions.history import PriceChange, history_of
from liveshop.promotions.model import (
    LimitBelowUsed,
    OverlappingPromotion,
    PromotionEnded,
    PromotionId,
    Stored,
    UsedUp,
    covers,
)
from liveshop.promotions.prices import item_of
from liveshop.promotions.pricing import Context, price_cart, price_of
from liveshop.storage import Database

T = TypeVar("T")
PRICE = 2999
BUYERS = 3
_examples = count(1)
buyers = st.integers(0, BUYERS - 1)
units = st.integers(1, 5)
places = st.integers(0, 9)
shows = st.sampled_from((None, SHOW))
kinds = st.one_of(
    st.integers(1, 1000).map(percent),
    st.integers(1, 3000).map(lambda amount: wire.AmountOff(amount=money(amount))),
    st.integers(1, 3000).map(lambda amount: wire.FixedPrice(price=money(amount))),
)
limits = st.sampled_from((None, 1, 4, 9))
rations = st.sampled_from((None, None, 1, 3))
codes = st.sampled_from((None, None, "evening"))


@dataclass(slots=True)
class Said:
    """A promotion as merchants said it last."""

    id: PromotionId
    given: wire.PromotionInput
    state: wire.NextState = "active"
    ends_at: datetime | None = None
    had_at_most: int = 0
    """What was gone of it when its limit was set: more than the limit allows, perhaps, where carts
    had claimed it."""

    def is_over(self, now: datetime) -> bool:
        return self.ends_at is not None and self.ends_at <= now

    def is_open(self, now: datetime, show: ShowId | None, typed: Collection[str]) -> bool:
        starts_at, wanted = self.given.starts_at, self.given.show_id
        return (
            self.state == "active"
            and not self.is_over(now)
            and (starts_at is None or starts_at <= now)
            and (wanted is None or wanted == show)
            and (not self.given.codes or not set(self.given.codes).isdisjoint(typed))
        )

    def lowered(self, price: int) -> int:
        match self.given.kind:
            case wire.PercentOff(permille=permille):
                off = (Decimal(price) * permille / 1000).quantize(Decimal(1), ROUND_HALF_UP)
                return price - int(off)
            case wire.AmountOff(amount=amount):
                return max(0, price - amount.amount)
            case wire.FixedPrice(price=fixed):
                return min(price, fixed.amount)
        raise AssertionError(self.given.kind)

    @property
    def rank(self) -> tuple[int, str]:
        return -self.given.priority, self.id


@dataclass(frozen=True, slots=True)
class Claimed:
    viewer: str
    units: Counter[PromotionId]
    until: datetime


@dataclass(frozen=True, slots=True)
class Used:
    viewer: str
    email: str
    units: Counter[PromotionId]


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks: what his own line has claimed is not gone for him."""

    show: ShowId | None = None
    viewer: str = ""
    email: str = ""
    owners: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(slots=True)
class Books:
    """The model: what is promised to whom, and what a unit costs him."""

    said: dict[PromotionId, Said] = field(default_factory=dict)
    claims: dict[str, Claimed] = field(default_factory=dict)
    orders: dict[OrderId, Used] = field(default_factory=dict)

    def used(self, id_: PromotionId) -> int:
        return sum(one.units[id_] for one in self.orders.values())

    def claimed(self, id_: PromotionId, now: datetime, but_for: Collection[str] = ()) -> int:
        return sum(
            one.units[id_]
            for owner, one in self.claims.items()
            if one.until > now and owner not in but_for
        )

    def had(self, id_: PromotionId, who: Who) -> int:
        return sum(
            one.units[id_]
            for one in self.orders.values()
            if who.viewer == one.viewer or who.email == one.email
        )

    def left(self, one: Said, who: Who, now: datetime) -> int | None:
        """How many units he can still have of it; None: any number."""
        rests = []
        if one.given.limit_total is not None:
            gone = self.used(one.id) + self.claimed(one.id, now, who.owners)
            rests.append(one.given.limit_total - gone)
        if one.given.limit_per_customer is not None:
            rests.append(one.given.limit_per_customer - self.had(one.id, who))
        return max(0, min(rests)) if rests else None

    def bought(
        self,
        quantity: int,
        who: Who,
        now: datetime,
        left: Callable[[Said], int | None] | None = None,
    ) -> tuple[list[int], Counter[PromotionId]]:
        """What each unit costs, and how many units use what; `left`: not as it is for him."""
        open_now = [one for one in self.said.values() if one.is_open(now, who.show, {*who.codes})]
        rest = {one.id: left(one) if left else self.left(one, who, now) for one in open_now}
        prices, used = [], Counter[PromotionId]()
        for _ in range(quantity):
            still = sorted((one for one in open_now if rest[one.id] != 0), key=lambda x: x.rank)
            price, counting = _cheapest(still)
            prices.append(price)
            for one in counting:
                used[one] += 1
                if (had := rest[one]) is not None:
                    rest[one] = had - 1
        return prices, used


def _cheapest(open_now: list[Said]) -> tuple[int, list[PromotionId]]:
    """What saves most counts: an exclusive one alone, or all stackable ones one after another."""
    choices = [[one] for one in open_now if one.given.stacking == "exclusive"]
    choices.append([one for one in open_now if one.given.stacking == "stackable"])
    trials = []
    for choice in filter(None, choices):
        price, counting = PRICE, []
        for one in choice:
            after = one.lowered(price)
            if after < price:
                counting.append(one.id)
            price = after
        trials.append((price, choice[0].rank, counting))
    if not trials:
        return PRICE, []
    price, _, counting = min(trials, key=lambda trial: trial[:2])
    return price, counting


class Promotions(RuleBasedStateMachine):
    """One shop for all examples; each has a product and promotions of its own."""

    house: House
    loop: asyncio.AbstractEventLoop
    product: Product

    def __init__(self) -> None:
        super().__init__()
        self.example = next(_examples)
        self.books = Books()
        self.numbers = count(1)
        self.past: list[tuple[datetime, dict[ShowId | None, int]]] = []
        """What anybody paid at moments that are gone, were limits without end."""

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    def chosen(self, place: int) -> Said:
        known = list(self.books.said.values())
        return known[place % len(known)]

    def who(self, buyer: int, show: ShowId | None = None, *, line: int = 0, **more: Any) -> Who:
        viewer = f"gst_{self.example}_{buyer}"
        owner = f"lin_{self.example}_{buyer}_{line}"
        return Who(show, viewer, f"{viewer}@example.org", (owner,), **more)

    @initialize(seed=st.integers(0, 2**32), acts=st.integers(20, 40))
    def open_the_shop(self, seed: int, acts: int) -> None:
        """After an evening at which a little of everything has happened: Hypothesis alone tries
        few things in many ways, and prices go wrong where many things meet."""
        self.product = self.run(self.house.product(f"Cup {self.example}", PRICE))
        self.opened_at = self.now
        self.house.pass_time(minutes=1)
        self.make(self.input(percent(250), 9, stacking="stackable", limit_per_customer=3))
        dice = Random(seed)
        for _ in range(acts):
            self.act(dice)
            self.no_limit_is_passed()
            self.everybody_is_told_one_price()

    def act(self, dice: Random) -> None:
        buyer, line, place = dice.choice((0, 0, 1, 2)), dice.randrange(2), dice.randrange(10)
        show, quantity = dice.choice((None, SHOW)), dice.randint(1, 5)
        amount = money(dice.randint(1, 3000))
        kind: wire.Kind = dice.choice(
            (
                percent(dice.randint(1, 1000)),
                wire.AmountOff(amount=amount),
                wire.FixedPrice(price=amount),
            )
        )
        what = {
            "limit": dice.choice((None, 1, 4, 9)),
            "ration": dice.choice((None, 1, 3)),
            "code": dice.choice((None, None, "evening")),
        }
        known_by = dice.choice(("both", "name", "email"))
        start, length = dice.choice((-1, 0, 2)), dice.choice((None, 3))
        stacking, priority = dice.choice(("exclusive", "stackable")), dice.randrange(4)
        wanted = [(buyer, quantity, show, line), (dice.randrange(BUYERS), quantity, SHOW, 0)]
        acts: list[tuple[int, Callable[[], None]]] = [
            (
                4,
                lambda: self.create(
                    kind, **what, show=show, start=start, length=length,
                    stacking=stacking, priority=priority,
                ),
            ),
            (2, lambda: self.replace(place, kind, **what, show=show)),
            (2, lambda: self.change_state(place, dice.choice(("paused", "active", "active")))),
            (1, lambda: self.change_state(place, "ended")),
            (5, lambda: self.time_passes(dice.choice((1, 9, 9, 10, 10, 60)))),
            (5, lambda: self.claim(wanted)),
            (1, lambda: self.release(buyer, line)),
            (3, lambda: self.extend(buyer, line, dice.choice((1, 15, 15)))),
            (1, self.sweep),
            (5, lambda: self.order(buyer, quantity, show, line, place < 3, known_by)),
            (1, lambda: self.order_at_a_price_of_yesterday(buyer, place, quantity)),
            (1, lambda: self.cancel(place, twice=place < 5) if self.books.orders else None),
        ]  # fmt: skip
        weights, choices = zip(*acts, strict=True)
        dice.choices(choices, weights)[0]()

    # what merchants do

    def input(self, kind: wire.Kind, limit: int | None, **changes: Any) -> wire.PromotionInput:
        return given(kind, product_ids=[self.product.id], limit_total=limit, **changes)

    def coded(self, code: str | None) -> list[str]:
        """Codes are this example's own: they are looked up in the whole shop."""
        return [f"{code}{self.example}"] if code else []

    def make(self, made: wire.PromotionInput) -> None:
        stored = self.run(self.house.promotions.create_promotion(made))
        id_ = stored.promotion.id
        self.books.said[id_] = Said(id_, made, ends_at=made.ends_at)

    @rule(
        kind=kinds,
        limit=limits,
        ration=rations,
        show=shows,
        code=codes,
        start=st.sampled_from((-1, -1, 0, 2)),
        length=st.sampled_from((None, None, 3)),
        stacking=st.sampled_from(("exclusive", "stackable")),
        priority=st.integers(0, 1),
    )
    def create(
        self,
        kind: wire.Kind,
        limit: int | None,
        ration: int | None,
        show: ShowId | None,
        code: str | None,
        start: int,
        length: int | None,
        **more: Any,
    ) -> None:
        begin = self.now + timedelta(hours=max(0, start))
        made = self.input(
            kind,
            limit,
            limit_per_customer=ration,
            show_id=show,
            codes=self.coded(code),
            starts_at=None if start < 0 else begin,
            ends_at=None if length is None else begin + timedelta(hours=length),
            **more,
        )
        try:
            self.make(made)
        except OverlappingPromotion:
            assert made.stacking == "exclusive"

    @rule(place=places, kind=kinds, limit=limits, ration=rations, show=shows, code=codes)
    def replace(
        self,
        place: int,
        kind: wire.Kind,
        limit: int | None,
        ration: int | None,
        show: ShowId | None,
        code: str | None,
    ) -> None:
        changed = self.input(
            kind,
            limit,
            limit_per_customer=ration,
            show_id=show,
            codes=self.coded(code),
            stacking="stackable",
        )
        before = self.chosen(place)
        try:
            self.run(self.house.promotions.replace_promotion(before.id, changed))
        except PromotionEnded:
            assert before.is_over(self.now)
        except LimitBelowUsed:
            assert limit is not None
            assert limit < self.books.used(before.id)
        else:
            assert not before.is_over(self.now)
            before.given, before.ends_at = changed, None
            before.had_at_most = self.gone(before.id)

    def gone(self, id_: PromotionId) -> int:
        return self.books.used(id_) + self.books.claimed(id_, self.now)

    @rule(place=places, to=st.sampled_from(("paused", "active", "ended")))
    def change_state(self, place: int, to: wire.NextState) -> None:
        before = self.chosen(place)
        try:
            self.run(self.house.promotions.change_state(before.id, to))
        except OverlappingPromotion:
            assert (before.state, to) == ("paused", "active")
            assert before.given.stacking == "exclusive"
        except PromotionEnded:
            assert before.is_over(self.now)
            assert to != before.state
        else:
            if to != "ended":
                before.state = to
            elif not before.is_over(self.now):
                before.ends_at = self.now

    @rule(minutes=st.sampled_from((1, 9, 10, 60, 60 * 24 * 20)))
    def time_passes(self, minutes: int) -> None:
        anybody = {
            show: self.books.bought(1, Who(show), self.now, lambda _: None)[0][0]
            for show in (None, SHOW)
        }
        self.past.append((self.now, anybody))
        self.house.pass_time(minutes=minutes)

    # what buyers do

    @rule(
        wanted=st.lists(st.tuples(buyers, units, shows, st.integers(0, 1)), min_size=1, max_size=2)
    )
    def claim(self, wanted: list[tuple[int, int, ShowId | None, int]]) -> None:
        """Lines that come together: the first come first."""
        asked = {self.who(b, show, line=line): n for b, n, show, line in wanted}
        asked = {who: n for who, n in asked.items() if _is_first_of_its_line(who, asked)}
        made = [self.claim_of(who, quantity) for who, quantity in asked.items()]

        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.claim(tx.conn, self.house.prices, made, self.now)

        self.run(go())
        self.claim_in_books(asked)

    def claim_of(self, who: Who, quantity: int) -> claims.Claim:
        return self.house.claim_of(
            self.product, quantity, owner=who.owners[0], viewer=who.viewer, show_id=who.show
        )

    def claim_in_books(self, asked: Mapping[Who, int]) -> None:
        now, books = self.now, self.books
        if not self.limited():
            return  # nothing to keep; what was claimed of one that is paused lapses by itself
        for who in asked:
            books.claims.pop(who.owners[0], None)
        for who, quantity in asked.items():
            asking = Who(who.show, who.viewer)
            _, used = books.bought(quantity, asking, now, partial(self.free, asking))
            kept = Counter({id_: used[id_] for id_ in self.limited() if used[id_]})
            until = now + timedelta(seconds=600)
            books.claims[who.owners[0]] = Claimed(who.viewer, kept, until)

    def limited(self) -> list[PromotionId]:
        """Of which something could be claimed, by one who is in the right show."""
        return [
            one.id
            for one in self.books.said.values()
            if one.given.limit_total is not None and one.is_open(self.now, self.show_of(one), ())
        ]

    def show_of(self, one: Said) -> ShowId | None:
        return None if one.given.show_id is None else ShowId(one.given.show_id)

    def free(self, who: Who, one: Said) -> int | None:
        """What a line may claim: of his ration a buyer's other lines have their part too."""
        left = self.books.left(one, who, self.now)
        ration = one.given.limit_per_customer
        if left is None or ration is None or one.given.limit_total is None:
            return left
        mine = sum(
            claimed.units[one.id]
            for claimed in self.books.claims.values()
            if claimed.viewer == who.viewer and claimed.until > self.now
        )
        return max(0, min(left, ration - self.books.had(one.id, who) - mine))

    @rule(buyer=buyers, line=st.integers(0, 1))
    def release(self, buyer: int, line: int) -> None:
        owners = self.who(buyer, line=line).owners

        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.release(tx.conn, owners)

        self.run(go())
        self.books.claims.pop(owners[0], None)

    @rule(buyer=buyers, line=st.integers(0, 1), minutes=st.sampled_from((1, 15)))
    def extend(self, buyer: int, line: int, minutes: int) -> None:
        live = [owner for owner, one in self.books.claims.items() if one.until > self.now]
        if not live:
            return  # only what is held can be held longer
        owner = live[(2 * buyer + line) % len(live)]
        before = self.books.claims[owner]
        until = self.now + timedelta(minutes=minutes)

        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.extend(tx.conn, {owner: until})

        self.run(go())
        self.books.claims[owner] = Claimed(before.viewer, before.units, until)

    @rule()
    def sweep(self) -> None:
        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.sweep(tx.conn, self.now)

        self.run(go())

    async def context(self, who: Who) -> Context:
        """In the show or not as the line says, and not as the asker does."""
        async with self.house.database.read() as conn:
            return await self.house.prices.context(
                conn,
                now=self.now,
                viewer_id=ViewerId(who.viewer),
                email=who.email,
                owners=who.owners,
                codes=who.codes,
            )

    @rule(
        buyer=buyers, quantity=units, show=shows, line=st.integers(0, 1), typed=st.booleans(),
        known_by=st.sampled_from(("both", "name", "email")),
    )  # fmt: skip
    def order(
        self, buyer: int, quantity: int, show: ShowId | None, line: int, typed: bool, known_by: str
    ) -> None:
        """What the price function says can be used is what the model says, and is to be had."""
        who = self.who(buyer, show, line=line, codes=tuple(self.coded("evening")) if typed else ())
        other = f"gst_{self.example}_x{next(self.numbers)}"
        if known_by == "name":
            who = Who(show, who.viewer, f"{other}@example.org", who.owners, who.codes)
        elif known_by == "email":
            who = Who(show, other, who.email, who.owners, who.codes)
        prices, used = self.books.bought(quantity, who, self.now)
        priced = price_cart([self.claim_of(who, quantity).line], self.run(self.context(who)))
        assert priced.goods.amount == sum(prices)
        assert priced.used == used
        assert priced.lines[0].unit_price.amount == prices[0]
        try:
            self.use(who, used)
        except UsedUp as error:
            raise AssertionError("a price that was shown was refused") from error

    def use(self, who: Who, used: Counter[PromotionId]) -> None:
        order_id = OrderId(f"ord_{self.example}_{next(self.numbers)}")

        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.record_uses(
                    tx.conn,
                    self.house.prices,
                    order_id=order_id,
                    viewer_id=ViewerId(who.viewer),
                    email=who.email,
                    used=used,
                    owners=who.owners,
                    now=self.now,
                )

        self.run(go())
        self.books.orders[order_id] = Used(who.viewer, who.email, used)
        for owner in who.owners:
            self.books.claims.pop(owner, None)

    @rule(buyer=buyers, place=places, quantity=units)
    def order_at_a_price_of_yesterday(self, buyer: int, place: int, quantity: int) -> None:
        """Whatever a screen may have said: what is not there any more is refused."""
        who, one = self.who(buyer), self.chosen(place)
        left = self.books.left(one, who, self.now)
        is_there = left is None or quantity <= left
        try:
            self.use(who, Counter({one.id: quantity}))
        except UsedUp:
            assert not is_there
        else:
            assert is_there, "more than there is was used"

    @precondition(lambda self: self.books.orders)
    @rule(place=places, twice=st.booleans())
    def cancel(self, place: int, twice: bool) -> None:
        known = list(self.books.orders)
        order_id = known[place % len(known)]

        async def go() -> None:
            async with self.house.database.write() as tx:
                await claims.give_back_uses(tx.conn, order_id)

        for _ in range(1 + twice):
            self.run(go())
        del self.books.orders[order_id]

    # what holds after every step

    @invariant()
    def no_limit_is_passed(self) -> None:
        for stored in self.run(self.stored()):
            id_, limit = stored.promotion.id, stored.promotion.limit
            assert stored.promotion.used == self.books.used(id_)
            assert stored.claimed == self.books.claimed(id_, self.now)
            said = self.books.said[id_]
            assert limit.total == said.given.limit_total
            if limit.total is not None:
                assert stored.promotion.used <= limit.total
                gone = stored.promotion.used + stored.claimed
                assert gone <= max(limit.total, said.had_at_most)

    async def stored(self) -> list[Stored]:
        house = self.house
        async with house.database.read() as conn:
            return await store.stored(
                conn, house.prices.definitions, self.now, store.is_one_of([*self.books.said])
            )

    @invariant()
    def everybody_is_told_one_price(self) -> None:
        if hasattr(self, "product"):
            self.run(self.check_prices())

    async def check_prices(self) -> None:
        house, now = self.house, self.now
        variant_id = self.product.variants[0].id
        item = item_of(self.product, self.product.variants[0])
        fresh = House(house.database, house.clock)  # another process
        async with house.database.read() as conn:
            cart = await house.prices.context(conn, now=now)
            for show in (None, SHOW):
                shown = (await house.prices.shown(conn, [self.product], now, show))[variant_id]
                other = (await fresh.prices.shown(conn, [self.product], now, show))[variant_id]
                context = await house.prices.context(conn, now=now, show_id=show)
                line = house.claim_of(self.product, show_id=show).line
                assert shown == other
                assert (
                    shown.price == price_of(item, context).price == price_cart([line], cart).goods
                )
                [price], used = self.books.bought(1, Who(show), now)
                assert shown.price.amount == price
                assert {one.id for one in shown.promotions} == used.keys()
            versions = await store.versions_since(conn, house.prices.definitions, self.opened_at)
        held = [
            one for version in versions if (one := version.held()) and covers(one.products, item)
        ]
        listed = [PriceChange(datetime.min.replace(tzinfo=now.tzinfo), item.price)]
        known = history_of(item, listed, held, house.prices.zone)
        for moment, prices in self.past:
            for show, amount in prices.items():
                assert known.price(moment, show) == Money(amount, "EUR")

    def teardown(self) -> None:
        for promotion_id in self.books.said:
            self.run(self.house.promotions.change_state(promotion_id, "ended"))


def _is_first_of_its_line(who: Who, asked: Mapping[Who, int]) -> bool:
    return who is next(one for one in asked if one.owners == who.owners)


def test_a_variant_has_one_price_at_a_time_and_no_limit_is_passed(
    database_url: str, clock: ManualClock, loop: asyncio.AbstractEventLoop
) -> None:
    database = Database.open(database_url)
    house = House(database, clock)
    run_state_machine_as_test(
        type("PromotionsHere", (Promotions,), {"house": house, "loop": loop}),
        settings=settings(
            max_examples=12 if database.is_sqlite else 6,
            stateful_step_count=10,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    loop.run_until_complete(database.close())


# Faults that the model has met, told on their own.


async def test_a_promotion_that_needs_a_code_by_now_was_a_price_for_everybody_before(
    database: Database, clock: ManualClock
) -> None:
    """So it stays the lowest price of 30 days."""
    house = House(database, clock)
    mug = await house.product(price=2800)
    half = (await house.promotion(percent(500), product_ids=[mug.id])).promotion
    house.pass_time(days=5)
    coded = given(percent(500), product_ids=[mug.id], codes=["evening"])
    await house.promotions.replace_promotion(half.id, coded)
    house.pass_time(days=5)
    await house.promotion(percent(100), product_ids=[mug.id])
    shown = await house.shown(mug)
    assert (shown.price, shown.lowest_30_days) == (Money(2520, "EUR"), Money(1400, "EUR"))


async def test_who_has_used_up_his_ration_claims_the_limited_price_that_comes_in_its_place(
    database: Database, clock: ManualClock
) -> None:
    house = House(database, clock)
    mug = await house.product()
    exclusive: dict[str, Any] = {"product_ids": [mug.id], "stacking": "exclusive"}
    once = await house.promotion(percent(500), **exclusive, limit_per_customer=1, priority=1)
    last = await house.promotion(percent(250), **exclusive, limit_total=1)
    async with database.write() as tx:
        await claims.record_uses(
            tx.conn,
            house.prices,
            order_id=OrderId("ord_1"),
            viewer_id=ViewerId("gst_1"),
            email="ada@example.org",
            used={once.promotion.id: 1},
            owners=[],
            now=clock.now(),
        )
    await house.claim(mug, viewer="gst_2")
    assert await house.claimed(last) == 0
    await house.claim(mug, viewer="gst_1")
    assert await house.claimed(last) == 1
