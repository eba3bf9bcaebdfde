"""Letters about orders: true, once, in the buyer's language, and only what still holds."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import builders
import letter_builders as made
import pytest
import sqlalchemy as sa
from letter_builders import bought, letter, letters, work

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.mail.model import CODE_PICTURE
from liveshop.orders import history
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import OrderEvent, invoice_number
from liveshop.orders.tables import order_counter
from liveshop.orders.templating import Templates
from liveshop.storage import Database


@pytest.fixture
def house_wired(sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Liveshop:
    copy = tmp_path / "house.sqlite3"
    shutil.copy(sqlite_template, copy)
    settings = builders.test_settings(
        tmp_path / "data", database_url=f"sqlite+aiosqlite:///{copy}", **made.SETTINGS
    )
    return wire(settings, Database.open(settings.database_url), None, clock)


@pytest.fixture
async def house(house_wired: Liveshop) -> AsyncIterator[Liveshop]:
    """A shop with an address and an account, in which everything can be paid for."""
    yield house_wired
    await house_wired.syndication.close()
    await house_wired.payments.close()
    await asyncio.to_thread(house_wired.media.close)
    await house_wired.database.close()


class Read(HTMLParser):
    """The text of a mail as somebody reads it, and the elements it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


async def test_a_confirmation_says_what_was_bought_when_it_comes_and_what_was_paid(
    shop: Liveshop,
) -> None:
    order = await bought(shop)
    told = (await letter(shop, "order.confirmed")).letter
    assert told.subject == f"Thank you – your order {order.number}"
    assert (told.recipient, told.language, told.order_id) == ("ada@example.org", "en", order.id)
    for text in (told.text, Read(told.html or "").text):
        assert "Hello Ada Example," in text
        assert "Tuesday, 24 November – Thursday, 26 November" in text
        assert "2 × Mug" in text
        assert "€60.90" in text
        assert "Paid." in text
        assert "Invoice R2026-000001" in text
    link = made.page_of(shop, order)
    assert f"{shop.settings.public_url}{link}" in told.text
    assert f"{shop.settings.public_url}{link}/invoice" in (told.html or "")


async def test_a_job_that_runs_twice_writes_one_letter_and_takes_one_number(
    shop: Liveshop,
) -> None:
    order = await bought(shop)
    (event_id,) = await made.event_ids(shop, "order.confirmed")
    await work(shop)
    async with shop.database.write() as tx:
        await tx.enqueue(history.TOPIC, history.LetterJob(event_id), now=shop.clock.now())
    await work(shop)
    assert len(await letters(shop)) == 1
    assert (await made.look(shop, order)).invoice_number == 1
    async with shop.database.read() as conn:
        last = await conn.scalar(
            sa.select(order_counter.c.last_number).where(order_counter.c.id == 2)
        )
    assert last == 1


async def test_a_parcel_is_told_with_its_tracking(house: Liveshop) -> None:
    order = await bought(house)
    await made.ship(house, order, carrier="DHL", tracking="00340434161094")
    told = (await letter(house, "fulfilment.shipped")).letter
    assert told.subject == f"On its way: order {order.number}"
    for text in (told.text, Read(told.html or "").text):
        assert "DHL" in text
        assert "00340434161094" in text
        assert "2 × Mug" in text


async def test_a_pickup_is_told_with_its_code_and_where_and_when(house: Liveshop) -> None:
    place = await made.store_place(house)
    order = await bought(house, store_id=place, places=[place], method="at_pickup", language="de")
    first = (await letter(house, "order.confirmed")).letter
    assert first.code is None
    assert order.pickup_code not in first.text
    assert "Du bezahlst 56,00\u00a0€ in der Filiale" in first.text
    await made.ready(house, order)
    told = (await letter(house, "fulfilment.ready")).letter
    assert told.code == order.pickup_code
    assert CODE_PICTURE in (told.html or "")
    for text in (told.text, Read(told.html or "").text):
        assert order.pickup_code is not None
        assert order.pickup_code in text
        assert "Laden Altona" in text
        assert "Große Bergstraße 1" in text
        assert "09:00–13:00, 14:00–18:30 Uhr" in text
        assert "Samstag, 28. November" in text
        assert "56,00" in text


async def test_what_was_collected_before_its_letter_is_not_called_ready(house: Liveshop) -> None:
    place = await made.store_place(house)
    order = await bought(house, store_id=place, places=[place])
    await made.ready(house, order)
    assert order.pickup_code is not None
    await house.fulfilments.collect(order.pickup_code, orders_wire.CollectInput(), made.STAFF)
    await work(house)
    kinds = {mail.letter.kind for mail in await letters(house)}
    assert "fulfilment.ready" not in kinds
    assert "fulfilment.collected" in kinds


async def test_goods_for_a_store_are_not_told_to_be_on_their_way_to_the_buyer(
    house: Liveshop,
) -> None:
    warehouse = await builders.location(house)
    place = await made.store_place(house)
    order = await bought(house, store_id=place, places=[warehouse])
    (one,) = await made.fulfilments(house, order)
    assert one.kind == "ship_to_store"
    await house.fulfilments.ship(one.id, made.STAFF, orders_wire.ShipInput())
    await work(house)
    assert {mail.letter.kind for mail in await letters(house)} == {"order.confirmed"}


async def test_who_does_not_collect_hears_that_and_what_goes_back(
    house: Liveshop, clock: ManualClock
) -> None:
    place = await made.store_place(house)
    order = await bought(house, store_id=place, places=[place])
    await made.ready(house, order)
    clock.advance(timedelta(days=10))
    assert await house.fulfilments.release_overdue() == 1
    told = (await letter(house, "fulfilment.released")).letter
    assert "€56.00 goes back the way you paid" in told.text
    assert "Laden Altona" in told.text


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("sandbox", "€60.90 goes back the way you paid."),
        ("invoice", "Nothing was charged, and nothing will be."),
    ],
)
async def test_a_cancelled_order_is_told_with_what_goes_back(
    method: str, sentence: str, house: Liveshop
) -> None:
    order = await bought(house, method=method)
    await work(house)
    await house.desk.cancel(order.id, made.STAFF, "the last one broke")
    told = (await letter(house, "order.cancelled")).letter
    assert sentence in told.text
    assert "broke" not in told.text, "notes of staff are not for buyers"


async def test_an_order_cancelled_before_its_confirmation_was_written_gets_no_invoice(
    house: Liveshop,
) -> None:
    order = await bought(house, method="invoice")
    await house.desk.cancel(order.id, made.STAFF, "a mistake")
    await work(house)
    assert [mail.letter.kind for mail in await letters(house)] == ["order.cancelled"]
    assert invoice_number(await made.look(house, order)) is None


async def test_an_invoice_says_where_to_transfer_to(house: Liveshop) -> None:
    await bought(house, method="invoice")
    told = (await letter(house, "order.confirmed")).letter
    assert (
        "Please transfer €60.90 to DE89 3704 0044 0532 0130 00 (Lindholm Warenhaus GmbH) and give "
        "the number R2026-000001 as the reference." in told.text
    )


async def test_a_refund_is_told_when_it_is_done(house: Liveshop) -> None:
    order = await bought(house)
    await house.desk.refund(
        order.id, key="refund-1", amount=made.eur(1000), note="a scratch", actor=made.STAFF
    )
    while await house.reconciler.run_due():
        pass
    told = (await letter(house, "refund.done")).letter
    assert f"We have paid back €10.00 for your order {order.number}." in told.text
    assert "scratch" not in told.text


async def test_a_refused_return_is_told_with_the_reason(house: Liveshop) -> None:
    order = await bought(house)
    await made.ship(house, order)
    await made.deliver(house, order)
    asked = await house.returns.request(
        order.id,
        orders_wire.ReturnInput(
            kind="by_post",
            lines=[orders_wire.ReturnLineInput(position=0, quantity=1, reason="damaged")],
        ),
        made.buyer_of(order),
    )
    await house.returns.refuse(asked.one.id, "It was worn outside.", made.STAFF)
    told = (await letter(house, "return.refused")).letter
    assert "It was worn outside." in told.text
    assert "1 × Mug" in told.text


@pytest.mark.parametrize("language", ["en", "de"])
async def test_hostile_and_turned_around_names_stay_what_they_are(
    language: str, house: Liveshop
) -> None:
    hostile = '<b>Ada</b> {number} & "Eve"'
    await bought(house, language=language, name=hostile, title="حقيبة <script>alert(1)</script>")
    told = (await letter(house, "order.confirmed")).letter
    html = told.html or ""
    read = Read(html)
    assert hostile in told.text
    assert hostile in read.text
    assert "script" not in read.tags
    assert "b" not in read.tags
    assert "<bdi>حقيبة" in html
    assert "<bdi>&lt;b&gt;Ada" in html
    for text in (told.text, html, told.subject):
        assert not any(mark in text for mark in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")


async def test_every_letter_is_whole_in_both_languages_and_forms(house: Liveshop) -> None:
    place = await made.store_place(house)
    for number, language in enumerate(("en", "de"), start=1):
        order = await bought(
            house,
            number=number,
            language=language,
            store_id=place,
            places=[place],
            title=f"Mug {number}",
        )
        (one,) = await made.fulfilments(house, order)
        kinds = ("shipped", "delivered", "collected", "released")
        for kind in kinds:
            await made.note(
                house,
                OrderEvent(
                    order.id,
                    house.clock.now(),
                    made.STAFF,
                    f"fulfilment.{kind}",
                    {"fulfilment_id": one.id},
                ),
            )
        await made.ready(house, order)
    await work(house)
    written = await letters(house)
    assert len({mail.letter.kind for mail in written}) == 5
    for mail in written:
        told = mail.letter
        assert told.html is not None
        assert "{" not in told.text
        assert "{" not in Read(told.html).text
        assert "None" not in told.text
        german = "Bestellung" in told.text
        assert german == (told.language == "de")


def test_both_languages_say_the_same_things() -> None:
    words = Templates.load().words
    assert words["en"].keys() == words["de"].keys()
    for key, english in words["en"].items():
        places = {part.partition("}")[0] for part in english.split("{")[1:]}
        german = {part.partition("}")[0] for part in words["de"][key].split("{")[1:]}
        assert places == german, key


async def test_an_event_nobody_hears_of_writes_nothing(house: Liveshop) -> None:
    await bought(house)
    await work(house)
    before = len(await letters(house))
    async with house.database.write() as tx:
        for event_id in ("evt_none", *await made.event_ids(house, "fulfilment.opened")):
            await tx.enqueue(history.TOPIC, history.LetterJob(event_id), now=house.clock.now())
    await work(house)
    assert len(await letters(house)) == before


async def test_a_return_that_brings_nothing_is_told_with_the_reason(house: Liveshop) -> None:
    order = await bought(house)
    await made.ship(house, order)
    await made.deliver(house, order)
    asked = await house.returns.request(
        order.id,
        orders_wire.ReturnInput(
            kind="by_post",
            lines=[orders_wire.ReturnLineInput(position=0, quantity=1, reason="changed_mind")],
        ),
        made.buyer_of(order),
    )
    place = (await house.catalog.locations())[0].id
    found = orders_wire.InspectionInput(
        location_id=place,
        lines=[orders_wire.InspectedLine(position=0, accepted=0, restocked=0)],
        note="It was broken on purpose.",
    )
    await house.returns.receive(asked.one.id, found, made.STAFF)
    told = (await letter(house, "return.received")).letter
    assert "It was broken on purpose." in told.text
    assert "There is no refund for it." in told.text
