"""Invoices: numbered without a gap whoever asks at once, and printed as the order was agreed."""

import asyncio

import builders
import letter_builders as made
import pytest
import sqlalchemy as sa
from builders import Api
from letter_builders import bought, eur, work

from liveshop.app import Liveshop
from liveshop.kernel.ids import OrderId
from liveshop.orders import store
from liveshop.orders.invoices import Invoices, NoInvoice
from liveshop.orders.model import UnknownOrder
from liveshop.orders.tables import shop_order


@pytest.fixture
def invoices(wired: Liveshop) -> Invoices:
    """Made before the loop runs, because it reads files."""
    return Invoices(wired.database, wired.clock, wired.settings)


async def numbers(shop: Liveshop) -> list[int | None]:
    query = sa.select(shop_order.c.invoice_number).order_by(shop_order.c.invoice_number)
    async with shop.database.read() as conn:
        return list((await conn.scalars(query)).all())


async def test_numbers_follow_each_other_whoever_takes_them_at_once(
    shop: Liveshop, invoices: Invoices
) -> None:
    orders = [await bought(shop, number=number, title=f"Mug {number}") for number in range(1, 9)]
    pages = [invoices.page(order.id, "n") for order in orders for _ in range(3)]
    await asyncio.gather(*pages, shop.worker.run_due(), shop.worker.run_due())
    await work(shop)
    assert await numbers(shop) == list(range(1, 9))


async def test_a_number_whose_transaction_fails_is_taken_by_the_next(
    shop: Liveshop, invoices: Invoices
) -> None:
    first, second = [await bought(shop, number=n, title=f"Mug {n}") for n in (1, 2)]
    with pytest.raises(RuntimeError):
        async with shop.database.write() as tx:
            order = await store.locked(tx.conn, first.id)
            assert order is not None
            assert (await invoices.numbered(tx, order, shop.clock.now())).invoice_number == 1
            raise RuntimeError
    await invoices.page(second.id, "n")
    await invoices.page(first.id, "n")
    await invoices.page(second.id, "n")
    assert (await made.look(shop, second)).invoice_number == 1
    assert (await made.look(shop, first)).invoice_number == 2


async def test_an_invoice_says_what_was_agreed(shop: Liveshop, invoices: Invoices) -> None:
    order = await bought(shop, language="de", title="Kanne & Tasse")
    page = await invoices.page(order.id, "n")
    plain = page.replace("\u00a0", " ")
    for said in (
        "Rechnung",
        "R2026-000001",
        order.number,
        "21. November 2026",
        "Kanne &amp; Tasse",
        "28,00 €",
        "56,00 €",
        "Versand (Deutschland)",
        "60,90 €",
        "51,18 €",
        "9,72 €",
        "in den Preisen enthalten",
        "Ada Example",
        "20095 Hamburg",
        "noch nicht vollständig geliefert",
    ):
        assert said in plain, said
    shown = [made.de(step.amount) for step in order.explanation if step.amount.amount]
    assert all(amount in plain for amount in shown)


async def test_the_day_of_supply_is_when_all_of_it_had_left(
    shop: Liveshop, invoices: Invoices
) -> None:
    order = await bought(shop)
    await made.ship(shop, order)
    page = await invoices.page(order.id, "n")
    assert "<dt>Date of supply</dt><dd>21 November 2026</dd>" in page


async def test_an_invoice_that_is_not_paid_asks_for_a_transfer_and_one_paid_does_not(
    shop: Liveshop, invoices: Invoices
) -> None:
    order = await bought(shop, method="invoice")
    open_page = await invoices.page(order.id, "n")
    assert "Please transfer" in open_page
    await shop.desk.mark_paid(order.id, made.STAFF, None)
    paid = await invoices.page(order.id, "n")
    assert "Please transfer" not in paid
    assert "Paid by" in paid


async def test_refunds_are_listed_and_a_cancelled_order_asks_for_nothing(
    shop: Liveshop, invoices: Invoices
) -> None:
    order = await bought(shop)
    await invoices.page(order.id, "n")
    await shop.desk.refund(
        order.id, key="refund-1", amount=eur(1000), note="a scratch", actor=made.STAFF
    )
    page = await invoices.page(order.id, "n")
    assert "−€10.00" in page
    assert "goodwill" in page
    assert "scratch" not in page
    await shop.desk.cancel(order.id, made.STAFF, "no stock")
    page = await invoices.page(order.id, "n")
    assert "This order was cancelled" in page
    assert "−€50.90" in page


async def test_what_was_never_sold_has_no_invoice(shop: Liveshop, invoices: Invoices) -> None:
    order = await bought(shop, method="invoice")
    await shop.desk.cancel(order.id, made.STAFF, "a mistake")
    with pytest.raises(NoInvoice):
        await invoices.page(order.id, "n")
    with pytest.raises(UnknownOrder):
        await invoices.page(OrderId("ord_none"), "n")
    assert await numbers(shop) == [None]


async def test_staff_opens_an_invoice_and_a_key_without_the_right_does_not(
    api: Api, shop: Liveshop
) -> None:
    order = await bought(shop)
    path = f"/api/orders/{order.id}/invoice"
    reader = api.with_token(await builders.key_with(shop, "orders:read"))
    answer = await reader.fetch("GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert f'<style nonce="{nonce}">' in answer.text
    other = api.with_token(await builders.key_with(shop, "catalog:read"))
    assert (await other.fetch("GET", path)).status == 403
    assert (await api.fetch("GET", path)).status == 401
