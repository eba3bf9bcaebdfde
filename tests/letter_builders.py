"""Makers for tests of mails, invoices and the buyer's page: orders bought in a wired shop."""

from dataclasses import replace
from typing import Any

import builders
import checkout_builders
import sqlalchemy as sa

from liveshop.app import Liveshop
from liveshop.catalog.model import Hours, Location, LocationAddress
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.kernel.money import Money
from liveshop.mail import store as mails
from liveshop.mail.model import Mail
from liveshop.mail.tables import mail
from liveshop.orders import fulfilment_store, history, store, wire
from liveshop.orders.model import Actor, Address, Fulfilment, Order, OrderEvent
from liveshop.orders.status_link import token_of
from liveshop.orders.tables import order_event
from liveshop.payments.model import Delivery

STAFF = Actor("staff", "stf_tests", "Somebody of the shop")
IBAN = "DE89370400440532013000"
COMPANY: dict[str, Any] = {
    "company__name": "Lindholm Warenhaus GmbH",
    "company__address": ["Speicherstraße 5", "20457 Hamburg"],
    "company__vat_id": "DE123456789",
    "company__email": "hallo@lindholm.example",
    "company__iban": IBAN,
    "company__bank": "Commerzbank",
}
SETTINGS: dict[str, Any] = {
    **COMPANY,
    "payments__methods": ["sandbox", "invoice", "at_pickup"],
}
_IN_ORDER = sa.select(mail.c.id).order_by(mail.c.created_at, mail.c.id)
OPEN = (("09:00", "13:00"), ("14:00", "18:30"))


async def store_place(shop: Liveshop, name: str = "Laden Altona") -> LocationId:
    """A store in which goods can be collected."""
    wanted = Location(
        id=LocationId(""),
        name=name,
        kind="store",
        priority=5,
        address=LocationAddress("Große Bergstraße 1", "22767", "Hamburg", "DE"),
        hours=Hours({str(day): OPEN for day in range(1, 7)}, {"2026-11-26": ()}),
        phone="+49 40 123456",
        is_pickup=True,
    )
    return (await shop.catalog.places.create(wanted)).id


async def bought(
    shop: Liveshop,
    *,
    number: int = 1,
    quantity: int = 2,
    title: str = "Mug",
    method: str = "sandbox",
    language: str = "en",
    store_id: LocationId | None = None,
    places: list[LocationId] | None = None,
    stock: int | list[int] = 9,
    **address: Any,
) -> Order:
    """An order that was placed and confirmed; `places` of stock, or one warehouse."""
    product = await builders.product(shop, title=title, stock=stock, places=places)
    buyer = checkout_builders.viewer(number)
    await shop.carts.add_to_cart(buyer, VariantId(product.variants[0].id), quantity, None)
    delivery: Delivery = "pickup" if store_id else "ship"
    quote = await shop.carts.quote(buyer, "DE", language, delivery, store_id)
    wish = replace(
        checkout_builders.wish(quote.total, method=method),
        card_number=builders.GOOD_CARD if method == "sandbox" else None,
        language=language,
        delivery=delivery,
        store_id=store_id,
        address=Address(**{"line2": None, **builders.ADDRESS, **address}),
    )
    return await shop.orders.place_order(buyer, f"key-{number}", wish)


async def work(shop: Liveshop) -> None:
    """Everything that is due, mails too."""
    while await shop.worker.run_due() or await shop.mail_worker.run_due():
        pass


async def look(shop: Liveshop, order: Order) -> Order:
    async with shop.database.read() as conn:
        found = await store.by_id(conn, order.id)
    assert found is not None
    return found


async def fulfilments(shop: Liveshop, order: Order) -> list[Fulfilment]:
    async with shop.database.read() as conn:
        return await fulfilment_store.of_order(conn, order.id)


async def letters(shop: Liveshop) -> list[Mail]:
    """All mails, the first first, with what they say."""
    async with shop.database.read() as conn:
        ids = (
            await conn.scalars(sa.select(mail.c.id).order_by(mail.c.created_at, mail.c.id))
        ).all()
        found = [await mails.by_id(conn, mail_id) for mail_id in ids]
    return [one for one in found if one is not None]


async def letter(shop: Liveshop, kind: str) -> Mail:
    """The newest of this kind, once everything due is done."""
    await work(shop)
    return [one for one in await letters(shop) if one.letter.kind == kind][-1]


async def note(shop: Liveshop, event: OrderEvent) -> None:
    async with shop.database.write() as tx:
        await history.note(tx, event)


async def event_ids(shop: Liveshop, kind: str) -> list[str]:
    query = sa.select(order_event.c.id).where(order_event.c.kind == kind)
    async with shop.database.read() as conn:
        return list((await conn.scalars(query)).all())


async def ship(shop: Liveshop, order: Order, **given: str) -> None:
    for one in await fulfilments(shop, order):
        if one.state == "open":
            await shop.fulfilments.ship(one.id, STAFF, wire.ShipInput(**given))


async def deliver(shop: Liveshop, order: Order) -> None:
    for one in await fulfilments(shop, order):
        await shop.fulfilments.deliver(one.id, STAFF)


async def ready(shop: Liveshop, order: Order) -> None:
    for one in await fulfilments(shop, order):
        if one.kind == "ship_to_store" and one.state == "open":
            await shop.fulfilments.ship(one.id, STAFF, wire.ShipInput())
        await shop.fulfilments.ready(one.id, STAFF)


def page_of(shop: Liveshop, order: Order) -> str:
    """The path of the buyer's page."""
    return f"/o/{token_of(order.id, shop.settings.server.secret)}"


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


def buyer_of(order: Order) -> Actor:
    return Actor("buyer", order.viewer_id)


def de(money: Money) -> str:
    """An amount as a German reads it, without the space that does not break."""
    sign = "−" if money.amount < 0 else ""
    return f"{sign}{abs(money.amount) / 100:.2f} €".replace(".", ",")
