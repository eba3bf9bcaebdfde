"""What every source promises: all products, all changes, and each order exactly once."""

from collections.abc import Mapping
from typing import Any, ClassVar
from unittest import SkipTest

from liveshop.connect.connector import Role
from liveshop.connect.contract.far_side import FarOrder, FarProduct, SourceFarSide
from liveshop.connect.contract.suite import FarSideContract, optional, play
from liveshop.connect.errors import RetryLater
from liveshop.connect.listings import Accepted, Refused
from liveshop.connect.model import BadRow, SourceProduct, SourceRow
from liveshop.connect.sources import (
    OrderAddress,
    OrderItem,
    OrderTarget,
    Source,
    SourceOrder,
    SourcePage,
    StockWrite,
)
from liveshop.kernel.money import Money

_MANY = 7


class SourceContract(FarSideContract[SourceFarSide, Source]):
    """Inherit it, set `connector`, and write `far_side`: see `SourceFarSide`. Of a source that is
    an `OrderTarget` too, orders and stock are tried; of others that is skipped aloud."""

    role: ClassVar[Role] = "source"
    protocol: ClassVar[Any] = Source

    async def settle(self, far: SourceFarSide) -> None:
        """Wait until the shop system shows what was done to it. Override it where that takes a
        while, as with a search index."""

    async def act(self, side: Source) -> None:
        async for _page in side.products():
            pass

    async def stocked(self, far: SourceFarSide, count: int = _MANY) -> list[FarProduct]:
        """So many mugs: number n costs 10.00 + n cents, and there are n + 3 of it."""
        made = [
            await far.add_product(
                title=f'Mug {number} & "bowl" — größer',
                price=Money(1000 + number, far.currency),
                quantity=number + 3,
            )
            for number in range(count)
        ]
        await self.settle(far)
        return made

    # Reading

    async def test_every_product_comes_once_and_as_it_is(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            found = products_of([page async for page in source.products()])
            assert found.keys() == {one.product_id for one in made}
            for number, one in enumerate(made):
                product = found[one.product_id]
                assert product.title == f'Mug {number} & "bowl" — größer'
                assert product.is_active
                (variant,) = product.variants
                assert variant.source_id == one.variant_id
                assert variant.price == Money(1000 + number, far.currency)
                assert variant.quantity in (None, number + 3), "the source's count is another"

    async def test_only_the_last_page_has_no_cursor_and_it_has_the_mark(self) -> None:
        async with self.both() as (source, far):
            for count in (0, _MANY):
                await self.stocked(far, count)
                pages = [page async for page in source.products()]
                assert pages, "not even an empty page: then there is no mark"
                assert all(page.cursor is not None for page in pages[:-1])
                assert pages[-1].cursor is None
                assert pages[-1].mark is not None

    async def test_a_run_that_broke_off_goes_on_at_its_cursor(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            pages = [page async for page in source.products()]
            if len(pages) == 1:
                raise SkipTest("all fits on one page; let `config` make pages smaller")
            for at, page in enumerate(pages[:-1], start=1):
                rest = [later async for later in source.products(page.cursor)]
                together = products_of([*pages[:at], *rest])
                assert together.keys() == {one.product_id for one in made}
                assert rest[-1].mark is not None

    async def test_changes_hold_what_is_new_or_different_since_the_mark(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            mark = _mark([page async for page in source.products()])
            await far.change_product(made[1], title="Jug", price=Money(2500, far.currency))
            new = await far.add_product(title="Bowl", price=Money(900, far.currency), quantity=1)
            await self.settle(far)
            pages = [page async for page in source.changes(mark)]
            changed = products_of(pages)
            assert changed.keys() >= {made[1].product_id, new.product_id}
            assert changed[made[1].product_id].title == "Jug"
            assert changed[made[1].product_id].variants[0].price == Money(2500, far.currency)
            await far.change_product(made[2], title="Cup")
            await self.settle(far)
            later = products_of([page async for page in source.changes(_mark(pages))])
            assert later[made[2].product_id].title == "Cup"

    async def test_a_change_made_during_a_run_is_in_the_run_or_in_the_next_changes(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            pages: list[SourcePage] = []
            async for page in source.products():
                if not pages:
                    await far.change_product(made[0], title="Jug")
                    await far.change_product(made[-1], title="Cup")
                    await self.settle(far)
                pages.append(page)
            latest = products_of(pages)
            async for page in source.changes(_mark(pages)):
                latest.update(products_of([page]))
            assert latest[made[0].product_id].title == "Jug"
            assert latest[made[-1].product_id].title == "Cup"

    async def test_what_was_deleted_is_missing_from_the_ids(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            await far.remove_product(made[3])
            await self.settle(far)
            ids = [one async for some in source.product_ids() for one in some]
            expected = {one.product_id for one in made} - {made[3].product_id}
            assert sorted(ids) == sorted(expected)

    async def test_quantities_are_what_can_be_sold_now(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far, 3)
            await far.change_product(made[1], quantity=0)
            await self.settle(far)
            counts = await source.quantities([one.variant_id for one in made])
            assert dict(counts) == {
                made[0].variant_id: 3,
                made[1].variant_id: 0,
                made[2].variant_id: 5,
            }
            assert dict(await source.quantities([])) == {}

    async def test_an_unknown_variant_has_no_quantity(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far, 2)
            await far.remove_product(made[1])
            await self.settle(far)
            counts = await source.quantities([one.variant_id for one in made])
            assert counts.get(made[0].variant_id) == 3
            assert counts.get(made[1].variant_id, 0) == 0

    async def test_a_product_that_cannot_be_read_spoils_only_itself(self) -> None:
        async with self.both() as (source, far):
            made = await self.stocked(far)
            await optional(far.spoil_product(made[2]), "spoil_product")
            await self.settle(far)
            pages = [page async for page in source.products()]
            bad = [row for page in pages for row in page.rows if isinstance(row, BadRow)]
            assert len(bad) == 1, bad
            assert bad[0].reason.strip()
            others = {one.product_id for one in made} - {made[2].product_id}
            assert products_of(pages).keys() == others

    # Writing back

    async def test_an_order_is_written_back_as_it_was_paid(self) -> None:
        async with self.both() as (source, far):
            target = _target(source)
            made = await self.stocked(far, 3)
            order = self.order(far, made[0], quantity=2)
            reference = await target.place_order(order)
            await self.settle(far)
            (there,) = await optional(far.orders(), "orders")
            _check_order(there, order, reference)
            left = await source.quantities([made[0].variant_id])
            assert left[made[0].variant_id] == 1, "the source still counts the units as for sale"

    async def test_an_order_called_twice_is_made_once(self) -> None:
        async with self.far_side() as far:
            made = await self.stocked(far, 1)
            references = set()
            for _ in range(2):  # the second time after a restart
                async with self.opened(far) as source:
                    order = self.order(far, made[0])
                    references.add(await _target(source).place_order(order))
            assert len(references) == 1
            assert len(await optional(far.orders(), "orders")) == 1

    async def test_two_orders_are_two(self) -> None:
        async with self.both() as (source, far):
            target = _target(source)
            made = await self.stocked(far, 1)
            for key in ("ord_one", "ord_two"):
                await target.place_order(self.order(far, made[0], key=key))
            assert len(await optional(far.orders(), "orders")) == 2

    async def test_an_order_whose_answer_was_lost_is_made_once(self) -> None:
        async with self.far_side() as far:
            made = await self.stocked(far, 1)
            async with self.opened(far) as source:
                target = _target(source)
                await play(far, "lost_answer")
                error = await self.error_of(target.place_order(self.order(far, made[0])))
                assert isinstance(error, RetryLater), f"an answer was lost: {error!r}"
                await far.heal()
            async with self.opened(far) as source:
                reference = await _target(source).place_order(self.order(far, made[0]))
            await self.settle(far)
            (there,) = await optional(far.orders(), "orders")
            _check_order(there, self.order(far, made[0]), reference)

    async def test_a_cancelled_order_is_cancelled_once_and_its_units_come_back(self) -> None:
        async with self.both() as (source, far):
            target = _target(source)
            made = await self.stocked(far, 1)
            reference = await target.place_order(self.order(far, made[0], quantity=2))
            for _ in range(2):
                await target.cancel_order(reference, reason="The buyer asked for it.")
            await self.settle(far)
            (there,) = await optional(far.orders(), "orders")
            assert there.is_cancelled
            assert dict(await source.quantities([made[0].variant_id])) == {made[0].variant_id: 3}

    async def test_stock_is_set_only_where_the_source_has_the_expected_count(self) -> None:
        async with self.both() as (source, far):
            target = _target(source)
            first, second, third = await self.stocked(far, 3)  # 3, 4 and 5 units
            verdicts = await target.write_stock(
                [
                    StockWrite(first.variant_id, 7),
                    StockWrite(second.variant_id, 1, expected=4),
                    StockWrite(third.variant_id, 0, expected=9),
                ]
            )
            await self.settle(far)
            by_id = {one.id: one for one in verdicts}
            assert isinstance(by_id[first.variant_id], Accepted), by_id
            assert isinstance(by_id[second.variant_id], Accepted), by_id
            assert isinstance(by_id[third.variant_id], Refused), by_id
            ids = [one.variant_id for one in (first, second, third)]
            assert dict(await source.quantities(ids)) == dict(zip(ids, (7, 1, 5), strict=True))

    def order(
        self, far: SourceFarSide, product: FarProduct, *, quantity: int = 1, key: str = "ord_one"
    ) -> SourceOrder:
        """A paid order of product number 0. Override it where the source wants more."""
        each, shipping = Money(1000, far.currency), Money(490, far.currency)
        return SourceOrder(
            key=key,
            number=f"LS-{key}",
            email="ada@shop.example",
            address=OrderAddress("Ada Lovelace", "St. James's Square 12", "10115", "Berlin", "DE"),
            items=(
                OrderItem(
                    source_id=product.variant_id,
                    sku=product.variant_id,
                    title="Mug 0",
                    quantity=quantity,
                    unit_price=each,
                    total=each * quantity,
                ),
            ),
            shipping=shipping,
            total=each * quantity + shipping,
            payment_method="card",
            payment_reference=f"pay_{key}",
        )


def products_of(pages: list[SourcePage]) -> dict[str, SourceProduct]:
    """The products by id; of one that comes twice the later."""
    found: dict[str, SourceProduct] = {}
    for page in pages:
        for row in page.rows:
            if isinstance(row, SourceRow):
                found[row.product.source_id] = row.product
    return found


def _mark(pages: list[SourcePage]) -> str:
    mark = pages[-1].mark
    assert mark is not None, "the last page has no mark"
    return mark


def _target(source: Source) -> OrderTarget:
    if not isinstance(source, OrderTarget):
        raise SkipTest("this source takes no orders")
    return source


def _check_order(there: FarOrder, order: SourceOrder, reference: str) -> None:
    assert there.reference == reference
    assert there.is_paid, "the order is not marked as paid"
    assert not there.is_cancelled
    assert there.total == order.total, "the source has another total than was paid"
    wanted: Mapping[str, int] = {item.source_id: item.quantity for item in order.items}
    assert dict(there.quantities) == wanted
