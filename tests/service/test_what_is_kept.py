"""What is kept of buyers, for how long, and what of it who may only read orders gets to see."""

from datetime import timedelta

import builders
import letter_builders as made
import sqlalchemy as sa
from builders import Api
from checkout_builders import viewer, wish_of
from letter_builders import bought, letters, store_place, work

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.mail.model import CODE_PICTURE, HIDDEN
from liveshop.orders import history, search, wire
from liveshop.orders.model import Actor, Address
from liveshop.orders.tables import order_event
from liveshop.storage.outbox import MAX_ATTEMPTS, job


async def test_mails_are_forgotten_after_their_time(shop: Liveshop, clock: ManualClock) -> None:
    await bought(shop)
    await work(shop)
    (mail,) = await letters(shop)
    clock.advance(timedelta(days=shop.settings.mail.keep_days - 1))
    for chore in shop.chores:
        await chore()
    assert (await letters(shop))[0].letter.text == mail.letter.text
    clock.advance(timedelta(days=2))
    for chore in shop.chores:
        await chore()
    (old,) = await letters(shop)
    assert (old.letter.text, old.letter.html, old.letter.code) == ("", None, None)
    assert (old.id, old.letter.kind, old.state) == (mail.id, mail.letter.kind, mail.state)


async def test_mails_of_who_is_forgotten_are_gone(shop: Liveshop) -> None:
    order = await bought(shop, number=1)
    other = await bought(shop, number=2, title="Bowl")
    await work(shop)
    await shop.customers.forget(order.viewer_id)
    assert [one.letter.order_id for one in await letters(shop)] == [other.id]


async def test_what_a_buyer_writes_stays_with_his_return(shop: Liveshop) -> None:
    order = await bought(shop)
    await made.ship(shop, order)
    await made.deliver(shop, order)
    actor = Actor("buyer", order.viewer_id)
    given = wire.ReturnInput(
        kind="by_post",
        lines=[wire.ReturnLineInput(position=0, quantity=1, reason="other")],
        note="My neighbour Ada takes parcels",
    )
    asked = await shop.returns.request(order.id, given, actor)
    assert asked.one.note == given.note
    ended = await shop.returns.withdraw(asked.one.id, "Ada again", actor)
    assert ended.one.note == given.note
    async with shop.database.read() as conn:
        notes = (await conn.scalars(sa.select(order_event.c.note))).all()
    assert set(notes) == {None}


async def test_who_may_only_read_cannot_act_as_the_buyer(api: Api, shop: Liveshop) -> None:
    place = await store_place(shop)
    order = await bought(shop, store_id=place, places=[place])
    await made.ready(shop, order)
    await work(shop)
    assert order.pickup_code is not None
    reader = api.with_token(await builders.key_with(shop, "orders:read"))
    writer = api.with_token(await builders.key_with(shop, "orders:read", "orders:write"))
    path = f"/api/orders/{order.id}/progress"
    assert (await reader.call("GET", path))[1]["status_url"] is None
    assert (await writer.call("GET", path))[1]["status_url"].endswith(made.page_of(shop, order))
    token = made.page_of(shop, order).removeprefix("/o/")
    for mail in await letters(shop):
        assert token in mail.letter.text
        _, whole = await writer.call("GET", f"/api/mails/{mail.id}")
        assert whole["text"] == mail.letter.text
        _, seen = await reader.call("GET", f"/api/mails/{mail.id}")
        told = f"{seen['text']} {seen['html']}"
        assert f"/o/{HIDDEN}" in told
        assert token not in told
        assert order.pickup_code not in told
        assert CODE_PICTURE not in told
        assert "data:image" not in told


async def test_a_name_that_grows_when_it_is_folded_is_taken_and_found(shop: Liveshop) -> None:
    long = "ﷺ" * 40
    order = await bought(shop, name=long)
    async with shop.database.read() as conn:
        found = await search.find(conn, wire.OrderQuery(q="ﷺ"), 10, cursor=None)
    assert [one.id for one in found] == [order.id]
    assert found[0].address == Address(**{"line2": None, **builders.ADDRESS, "name": long})


async def test_a_letter_is_never_given_up(shop: Liveshop, clock: ManualClock) -> None:
    async with shop.database.write() as tx:
        broken = history.LetterJob("evt_1")
        await tx.enqueue(history.TOPIC, broken, now=clock.now(), key="broken")
        await tx.conn.execute(sa.update(job).values(payload={}))
    for _ in range(MAX_ATTEMPTS + 2):
        await shop.worker.run_due()
        clock.advance(timedelta(hours=2))
    async with shop.database.read() as conn:
        assert (await conn.scalars(sa.select(job.c.state))).all() == ["queued"]


async def test_no_letter_is_made_inside_a_transaction(shop: Liveshop) -> None:
    variant_id = VariantId((await builders.product(shop, stock=20)).variants[0].id)
    for number in range(1, 9):
        buyer = viewer(number)
        await shop.carts.add_to_cart(buyer, variant_id, 1, None)
        await shop.orders.place_order(buyer, "k", await wish_of(shop, buyer))
    written = 0
    real = shop.database.write

    def counted():  # type: ignore[no-untyped-def]  # as the real one
        nonlocal written
        written += 1
        return real()

    shop.database.write = counted  # type: ignore[method-assign]
    assert await shop.worker.run_due()
    # Claimed and finished together; a number and a mail each.
    assert written == 2 + 8 * 2
    assert len(await letters(shop)) == 8
