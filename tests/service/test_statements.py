"""How many statements a cart costs. Exact numbers, so that one more is noticed and has a reason."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import viewer, wish_of

from liveshop.app import Liveshop
from liveshop.checkout.offers import Asked
from liveshop.checkout.reserve import Wish
from liveshop.checkout.service import Quoting
from liveshop.checkout.waitlist import Joining
from liveshop.kernel.ids import LineId, VariantId
from liveshop.orders.model import Order
from liveshop.payments.model import ChargeAnswer
from liveshop.web.access import Principal

ADA = viewer(1)


class Counter:
    """What a shop's database was sent, but for what begins and ends transactions."""

    def __init__(self, shop: Liveshop) -> None:
        self.sent: list[str] = []
        self.engines = {shop.database._writer.sync_engine, shop.database._reader.sync_engine}
        for engine in self.engines:
            sa.event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.sent.append(statement)

    def close(self) -> None:
        for engine in self.engines:
            sa.event.remove(engine, "before_cursor_execute", self._count)


@pytest.fixture
def counter(shop: Liveshop) -> Iterator[Counter]:
    counting = Counter(shop)
    yield counting
    counting.close()


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=1000)).variants[0].id)


async def test_a_cart_operation_costs_so_many_statements_and_no_more(
    shop: Liveshop, mug: VariantId, counter: Counter
) -> None:
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=9)).variants[0].id)
    line_ids: list[LineId] = []
    spent: dict[str, int] = {}

    async def count(name: str, act: Callable[[], Awaitable[object]]) -> None:
        counter.sent.clear()
        await act()
        spent[name] = len(counter.sent)

    await shop.carts.add_to_cart(viewer(2), mug, 1, None)  # definitions and such are read once
    await count("an empty cart", lambda: shop.carts.cart_of(ADA))
    await count("add", lambda: shop.carts.add_to_cart(ADA, mug, 1, None))
    await count("add more of it", lambda: shop.carts.add_to_cart(ADA, mug, 1, None))
    await count("add another article", lambda: shop.carts.add_to_cart(ADA, lamp, 1, None))
    line_ids += [LineId(line.id) for line in (await shop.carts.cart_of(ADA)).lines]
    await count("a cart", lambda: shop.carts.cart_of(ADA))
    await count("more by number", lambda: shop.carts.set_quantity(ADA, line_ids[0], 5))
    await count("less by number", lambda: shop.carts.set_quantity(ADA, line_ids[0], 2))
    await count("extend", lambda: shop.carts.extend(ADA))
    await count("remove", lambda: shop.carts.remove_line(ADA, line_ids[1]))
    await count("quote", lambda: shop.carts.quote(ADA, "DE"))
    given = await wish_of(shop, ADA)
    await count("order", lambda: shop.orders.place_order(ADA, "key", given))
    assert spent == (SQLITE if shop.database.is_sqlite else POSTGRESQL)


@pytest.mark.parametrize("buyers", [1, 16, 64])
async def test_a_group_costs_as_many_statements_as_one_buyer(
    shop: Liveshop, mug: VariantId, counter: Counter, buyers: int
) -> None:
    group = [Wish(viewer(100 + number), 1, variant_id=mug) for number in range(buyers)]
    counter.sent.clear()
    await shop.carts._reservations._write(group)
    whole = SQLITE["add"] if shop.database.is_sqlite else POSTGRESQL["add"]
    assert len(counter.sent) == whole, counter.sent


@pytest.mark.parametrize("buyers", [1, 16, 64])
async def test_a_group_of_orders_costs_as_many_statements_as_one_order(
    shop: Liveshop, mug: VariantId, counter: Counter, buyers: int
) -> None:
    group: list[Asked] = []
    for number in range(100, 100 + buyers):
        await shop.carts.add_to_cart(viewer(number), mug, 1, None)
        wish = replace(await wish_of(shop, viewer(number)), email=f"{number}@example.org")
        group.append(Asked(viewer(number), f"key-{number}", wish))
    spent: list[int] = []

    async def count(acting: Awaitable[Sequence[object]]) -> list[Order]:
        counter.sent.clear()
        answers = await acting
        spent.append(len(counter.sent))
        return [one for one in answers if isinstance(one, Order)]

    quotes = [Quoting(one.viewer_id, "DE", "en", "ship", None) for one in group]
    await count(shop.carts._quote_each(quotes))
    placed = await count(shop.orders._placing._answer(group))
    answer = ChargeAnswer("paid", "yes")
    settled = await count(shop.orders._settle_placed([(order, answer) for order in placed]))
    assert {order.state for order in settled} == {"confirmed"}
    assert len(settled) == buyers
    # On PostgreSQL, locks: of stock; of the orders and of their stock.
    assert spent == ([4, 14, 12] if shop.database.is_sqlite else [4, 15, 14])


@pytest.fixture
async def rare(shop: Liveshop) -> VariantId:
    """The last one is held, and three wait."""
    rare = VariantId((await builders.product(shop, title="Rare", stock=1)).variants[0].id)
    await shop.carts.add_to_cart(ADA, rare, 1, None)
    for number in range(3):
        await shop.waitlist.join(viewer(20 + number), rare, None)
    return rare


@pytest.mark.parametrize("comers", [1, 16, 64])
async def test_a_group_that_begins_to_wait_costs_as_many_statements_as_one(
    shop: Liveshop, rare: VariantId, counter: Counter, comers: int
) -> None:
    counter.sent.clear()
    await shop.waitlist._write([Joining(viewer(100 + one), rare, None) for one in range(comers)])
    # Carts, what there is to do for the queue, articles, who holds it, what is free, the queue,
    # and the new places; on PostgreSQL the lock.
    assert len(counter.sent) == (7 if shop.database.is_sqlite else 8), counter.sent


@pytest.mark.parametrize("viewers", [1, 3])
async def test_many_who_look_where_they_stand_cost_as_many_statements_as_one(
    shop: Liveshop, rare: VariantId, counter: Counter, viewers: int
) -> None:
    counter.sent.clear()
    seen = await shop.waitlist._look([viewer(20 + number) for number in range(viewers)])
    assert [one.places[0].position for one in seen] == list(range(1, viewers + 1))
    assert len(counter.sent) == 2, counter.sent


@pytest.mark.parametrize("people", [1, 16, 64])
async def test_a_crowd_that_chats_costs_as_many_statements_as_one_guest(
    shop: Liveshop, counter: Counter, people: int
) -> None:
    show_id = await builders.live_show(shop)
    guests = [Principal("guest", viewer(number), "Ada") for number in range(people)]
    counter.sent.clear()
    await asyncio.gather(
        *(shop.chat.post_message(show_id, who, "hello", address="8.8.4.4") for who in guests)
    )
    # The show, the names, the authors, the rules, what is in force, what they said, the messages.
    assert len(counter.sent) == 7, counter.sent


SQLITE = {
    "an empty cart": 3,
    "add": 12,
    "add more of it": 11,
    "add another article": 12,
    "a cart": 4,
    "more by number": 12,
    "less by number": 13,
    "extend": 9,
    "remove": 11,
    "quote": 4,
    "order": 27,
}
POSTGRESQL = SQLITE | {
    # Locks, which SQLite does not need.
    "add": 13,
    "add more of it": 12,
    "add another article": 13,
    "more by number": 13,
    "less by number": 15,
    "extend": 10,
    "remove": 13,
    "order": 30,
}
