"""Orders found by what staff has in hand, and told to a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from order_builders import Article, opened, store_place
from order_desk_builders import STAFF, House

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId
from liveshop.orders import csv_export, search, wire
from liveshop.orders.model import Address, Order
from liveshop.storage import Database


@pytest.fixture
def made_house(database_url: str, clock: ManualClock, tmp_path: Path) -> House:
    return House.of(Database.open(database_url, pool_size=10), clock, tmp_path)


@pytest.fixture
async def house(made_house: House) -> AsyncIterator[House]:
    yield made_house
    await made_house.database.close()


@pytest.fixture
async def place(house: House) -> LocationId:
    return await store_place(house.catalog)


@pytest.fixture
async def article(house: House) -> Article:
    return await house.variant()


def living(name: str, **more: str) -> Address:
    return Address(
        **{
            "name": name,
            "line1": "Weg 1",
            "line2": None,
            "postal_code": "20095",
            "city": "Hamburg",
            "country": "DE",
        }
        | more
    )


async def order_of(
    house: House, article: Article, place: LocationId, name: str = "Ada", **of: Any
) -> Order:
    house.clock.advance(timedelta(minutes=1))
    address = of.pop("address", None) or living(name)
    return await opened(
        house, [(article, 1, 1000)], {(article[1], place): 1}, address=address, **of
    )


async def found(house: House, limit: int = 50, **query: Any) -> list[str]:
    async with house.database.read() as conn:
        orders = await search.find(
            conn, wire.OrderQuery(**query), limit, cursor=query.get("cursor")
        )
    return [order.id for order in orders]


async def test_an_order_is_found_by_what_staff_has_in_hand(
    house: House, article: Article, place: LocationId
) -> None:
    ada = await order_of(house, article, place, "Ada Lovelace", email="Ada.L@example.org")
    jo = await order_of(house, article, place, "Jörg 100%_Müller", email="jo_erg@example.org")
    kim = await order_of(house, article, place, "金 Kim", email="kim@example.org", store_id=place)
    for asked, whose in [
        (ada.number, [ada]),
        (ada.number.removeprefix("L-"), [ada]),
        (ada.number.lower().replace("-", ""), [ada]),
        ("ada.l@EXAMPLE", [ada]),
        ("example.org", []),
        ("  ada   lovelace ", [ada]),
        ("VELA", [ada]),
        ("jÖrg", [jo]),
        ("MÜLLER", [jo]),
        ("100%_", [jo]),
        ("jo_", [jo]),
        ("j%", []),
        ("a", [ada]),
        ("金", [kim]),
        ("shirt", [kim, jo, ada]),
        ("SHIR", []),
        (kim.pickup_code, [kim]),
        ((kim.pickup_code or "").lower()[:5] + "-" + (kim.pickup_code or "")[5:], [kim]),
        ("nobody", []),
        ("\\", []),
        ("'; DROP TABLE shop_order; --", []),
        ("99999999999999999999999999", []),
        ("", [kim, jo, ada]),
    ]:
        assert await found(house, q=asked) == [one.id for one in whose], asked


async def test_filters_narrow_down_and_pages_follow_each_other(
    house: House, article: Article, place: LocationId, clock: ManualClock
) -> None:
    first = await order_of(house, article, place)
    invoiced = await order_of(house, article, place, method="invoice", payment="authorised")
    collected = await order_of(house, article, place, store_id=place)
    [one] = await house.fulfilments_of(collected)
    await house.fulfilments.ready(one.id, STAFF)
    gone = await order_of(house, article, place)
    await house.desk.cancel(gone.id, STAFF, "No more of it")
    for query, whose in [
        ({"state": "cancelled"}, [gone]),
        ({"payment": "authorised"}, [invoiced]),
        ({"delivery": "pickup"}, [collected]),
        ({"store_id": place}, [collected]),
        ({"fulfilment": "ready"}, [collected]),
        ({"fulfilment": "open"}, [invoiced, first]),
        ({"show_id": "shw_other"}, []),
        ({"since": collected.placed_at}, [gone, collected]),
        ({"before": invoiced.placed_at}, [first]),
        ({"before": invoiced.placed_at + timedelta(microseconds=1)}, [invoiced, first]),
        ({"q": "ada", "payment": "authorised", "state": "confirmed"}, [invoiced]),
        ({"q": first.number, "fulfilment": "ready"}, []),
        ({"since": clock.now() + timedelta(days=1)}, []),
    ]:
        assert await found(house, **query) == [one.id for one in whose], query
    everything = await found(house, q="ada")
    paged: list[str] = []
    while page := await found(house, limit=3, q="ada", cursor=paged[-1] if paged else None):
        paged += page
    assert paged == everything
    assert len(paged) == 4


async def test_a_moment_no_database_can_hold_is_refused(house: House) -> None:
    for year in (1, 1999, 9999):
        with pytest.raises(Invalid):
            await found(house, since=datetime(year, 1, 1, tzinfo=UTC))
        with pytest.raises(Invalid):
            await csv_export.file_of(
                house.database, wire.OrderQuery(before=datetime(year, 1, 1, tzinfo=UTC))
            )


async def table(house: House, **query: Any) -> list[dict[str, str]]:
    pieces = await csv_export.file_of(house.database, wire.OrderQuery(**query))
    file = b"".join([piece async for piece in pieces])
    assert file.startswith(b"\xef\xbb\xbforder,placed_at,")
    assert file.endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


async def test_a_table_has_a_row_for_each_line(
    house: House, article: Article, place: LocationId
) -> None:
    other = await house.variant("Scarf")
    order = await opened(
        house,
        [(article, 2, 1999), (other, 1, 5)],
        {(article[1], place): 2, (other[1], place): 1},
        shipping=490,
        method="invoice",
        payment="authorised",
    )
    await order_of(house, article, place)
    rows = [row for row in await table(house) if row["order"] == order.number]
    assert [(row["line"], row["quantity"], row["line_payable"]) for row in rows] == [
        ("1", "2", "19.99"),
        ("2", "1", "0.05"),
    ]
    assert {row["order_total"] for row in rows} == {"24.94"}
    assert rows[0]["placed_at"] == "2026-11-21T19:00:00+00:00"
    assert (rows[0]["payment_method"], rows[0]["payment_state"]) == ("invoice", "authorised")
    assert [row["order"] for row in await table(house, payment="authorised", limit=1)] == [
        order.number
    ] * 2


async def test_what_a_buyer_typed_is_no_formula_and_breaks_no_row(
    house: House, article: Article, place: LocationId
) -> None:
    evil = '=HYPERLINK("https://evil.example";"x")'
    await order_of(
        house,
        article,
        place,
        address=living(evil, line1='+49, "a"\nb', postal_code="-1", city="@SUM(A1)"),
        email="+ada@example.org",
    )
    await order_of(house, article, place, 'Plain = name; with, all "of" it 🛒 عمر')
    plain, typed = await table(house)
    assert typed["name"] == f"'{evil}"
    assert typed["address_1"] == '\'+49, "a"\nb'
    assert (typed["postal_code"], typed["city"]) == ("'-1", "'@SUM(A1)")
    assert typed["email"] == "'+ada@example.org"
    assert plain["name"] == 'Plain = name; with, all "of" it 🛒 عمر'


async def test_a_table_is_read_page_by_page(
    house: House, article: Article, place: LocationId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "_PAGE", 2)
    orders = [await order_of(house, article, place) for _ in range(5)]
    pieces = await csv_export.file_of(house.database, wire.OrderQuery())
    sizes = [piece.count(b"\r\n") async for piece in pieces]
    assert sizes == [1, 2, 2, 1]
    rows = await table(house)
    assert [row["order"] for row in rows] == [one.number for one in reversed(orders)]
    rest = await table(house, cursor=orders[2].id)
    assert [row["order"] for row in rest] == [orders[1].number, orders[0].number]
