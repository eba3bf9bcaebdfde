"""The import: idempotent, in bounded memory, every bad row named and every good one landed."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import msgspec
import postgres_cluster
import pytest
import sqlalchemy as sa
from catalog_builders import EUR, csv_of, euros, pieces, run_import, shop, write_feed

from connectors.sources.google_csv import GoogleCsv
from connectors.sources.ndjson import Ndjson
from liveshop.catalog import holds, store
from liveshop.catalog.holds import Wanted
from liveshop.catalog.importer import FETCH_TOPIC, Importer, ImportReport
from liveshop.catalog.model import (
    PricePoint,
    ProductDraft,
    ProductsTouched,
    StockedProduct,
    StockTouched,
    VariantDraft,
)
from liveshop.catalog.service import CatalogService
from liveshop.catalog.tables import location, product, product_image, stock, variant, variant_price
from liveshop.connect import BadFile, WrongColumns
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.money import Money
from liveshop.settings import ShopSettings
from liveshop.storage import Database
from liveshop.storage.outbox import job

GROUP = "id,item_group_id,title,price,color,size,quantity"


@pytest.fixture
def catalog(database: Database, clock: ManualClock) -> CatalogService:
    return CatalogService(database, clock, shop())


async def contents(database: Database) -> list[list[tuple[object, ...]]]:
    async with database.read() as conn:
        return [
            sorted(map(tuple, (await conn.execute(sa.select(table))).all()), key=repr)
            for table in (product, variant, variant_price, stock, location, product_image, job)
        ]


async def only(catalog: CatalogService) -> StockedProduct:
    (found,) = (await catalog.products()).products
    return found


class Memory:
    """The most memory this process used, looked at after each batch."""

    def __init__(self) -> None:
        self._file = os.open("/proc/self/statm", os.O_RDONLY)
        self.peak_mb = 0.0

    def look(self, _: ImportReport) -> None:
        pages = int(os.pread(self._file, 200, 0).split()[1])
        self.peak_mb = max(self.peak_mb, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def close(self) -> None:
        os.close(self._file)


@postgres_cluster.slow_there
async def test_twenty_thousand_rows_land_but_for_two_hundred_and_a_second_run_changes_nothing(
    database: Database, catalog: CatalogService, tmp_path: Path
) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    write_feed(small, rows=2_000, bad=20)
    write_feed(large, rows=20_000, bad=200)
    memory = Memory()
    await run_import(catalog, GoogleCsv(), small, progress=memory.look)
    small_peak, signals = memory.peak_mb, []

    report = await run_import(catalog, GoogleCsv(), large, progress=memory.look)
    assert (report.rows, report.failed, report.problems_total) == (20_000, 200, 200)
    assert report.products_created == 4_500  # groups of four, 500 of them in the small file
    assert report.bytes_read == large.stat().st_size
    assert memory.peak_mb - small_peak < 20, "memory must not grow with the file"
    async with database.read() as conn:
        landed = (await conn.execute(sa.select(sa.func.count()).select_from(variant))).scalar()
    assert landed == 19_800
    before = await contents(database)
    assert all(problem.reason and problem.line > 1 for problem in report.problems)
    assert len({problem.line for problem in report.problems}) == 200

    database.listen(object, signals.append)
    again = await run_import(catalog, GoogleCsv(), large)
    memory.close()
    assert (again.products_created, again.products_updated) == (0, 0)
    assert (again.unchanged, again.failed) == (19_800, 200)
    assert again.problems == report.problems
    assert await contents(database) == before
    assert signals == []


async def test_rows_of_a_group_become_one_product_wherever_they_stand(
    catalog: CatalogService,
) -> None:
    feed = csv_of(
        "1,g,Shirt,49.90 EUR,Sand,S,3",
        "2,,Mug,12.00 EUR,,,1",
        "3,g,Another title,49.90 EUR,Sand,M,0",
        "4,g,Shirt,59.90 EUR,Moss,S,7",
        header=GROUP,
    )
    catalog_report = await run_import(catalog, GoogleCsv(), feed)
    shirt, mug = (await catalog.products()).products
    assert catalog_report.products_created == 2
    assert shirt.product.title == "Shirt"
    assert [(one.name, one.values) for one in shirt.product.options] == [
        ("Color", ("Sand", "Moss")),
        ("Size", ("S", "M")),
    ]
    assert [(one.sku, one.values, one.price.amount) for one in shirt.product.variants] == [
        ("1", ("Sand", "S"), 4990),
        ("3", ("Sand", "M"), 4990),
        ("4", ("Moss", "S"), 5990),
    ]
    assert list(shirt.available.values()) == [3, 0, 7]
    assert mug.product.options == ()


async def test_rows_of_a_group_in_later_batches_join_the_product(
    database: Database, clock: ManualClock
) -> None:
    feed = csv_of(
        *(f"{n},g{n % 7},Shirt {n % 7},49.90 EUR,,{n},1" for n in range(70)), header=GROUP
    )
    importer = Importer(database, clock, source="s", currency=EUR, batch_rows=5)
    report = await importer.run(GoogleCsv(), pieces(feed))
    assert (report.products_created, report.products_updated, report.failed) == (7, 0, 0)
    before = await contents(database)
    again = Importer(database, clock, source="s", currency=EUR, batch_rows=9)
    assert (await again.run(GoogleCsv(), pieces(feed))).unchanged == 70
    assert await contents(database) == before


async def test_a_changed_row_changes_its_product_and_nothing_else(
    database: Database, catalog: CatalogService
) -> None:
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,12.00 EUR", "2,Bowl,20.00 EUR"))
    mug, bowl = (await catalog.products()).products
    touched: list[ProductsTouched] = []
    database.listen(ProductsTouched, touched.append)
    report = await run_import(catalog, GoogleCsv(), csv_of("1,Mug,13.00 EUR", "2,Bowl,20.00 EUR"))
    assert (report.products_updated, report.unchanged) == (1, 1)
    changed = await catalog.product(mug.product.id)
    assert changed.product.version == 2
    assert changed.product.variants[0].id == mug.product.variants[0].id
    assert changed.product.variants[0].price == Money(1300, EUR)
    assert (await catalog.product(bowl.product.id)).product == bowl.product
    assert touched == [ProductsTouched((mug.product.id,))]


async def test_an_id_that_stands_in_a_file_twice_is_reported_and_does_not_flip_to_and_fro(
    database: Database, catalog: CatalogService
) -> None:
    feed = csv_of("1,Mug,12.00 EUR", "2,Bowl,20.00 EUR", "1,Jug,30.00 EUR")
    first = await run_import(catalog, GoogleCsv(), feed)
    assert [(one.line, one.source_id) for one in first.problems] == [(4, "1")]
    before = await contents(database)
    second = await run_import(catalog, GoogleCsv(), feed)
    assert (second.unchanged, second.problems) == (2, first.problems)
    assert await contents(database) == before


async def test_two_variants_with_the_same_options_are_refused_but_may_swap_them(
    catalog: CatalogService,
) -> None:
    header = "id,item_group_id,title,price,size"
    feed = csv_of(
        "1,g,Shirt,5.00 EUR,S", "2,g,Shirt,6.00 EUR,M", "3,g,Shirt,7.00 EUR,S", header=header
    )
    report = await run_import(catalog, GoogleCsv(), feed)
    assert [one.line for one in report.problems] == [4]
    assert "same options" in report.problems[0].reason
    swapped = csv_of("1,g,Shirt,5.00 EUR,M", "2,g,Shirt,6.00 EUR,S", header=header)
    assert (await run_import(catalog, GoogleCsv(), swapped)).failed == 0
    shirt = (await only(catalog)).product
    assert {one.sku: one.values for one in shirt.variants} == {"1": ("M",), "2": ("S",)}


async def test_a_group_that_gets_another_dimension_changes_as_a_whole(
    catalog: CatalogService,
) -> None:
    await run_import(
        catalog,
        GoogleCsv(),
        csv_of("1,g,Shirt,5.00 EUR,,S,1", "2,g,Shirt,5.00 EUR,,M,1", header=GROUP),
    )
    before = {one.sku: one.id for one in (await only(catalog)).product.variants}
    report = await run_import(
        catalog,
        GoogleCsv(),
        csv_of(
            "1,g,Shirt,5.00 EUR,Sand,S,1",
            "2,g,Shirt,5.00 EUR,,M,1",
            "3,g,Shirt,5.00 EUR,Moss,M,1",
            header=GROUP,
        ),
    )
    assert [one.line for one in report.problems] == [3]
    shirt = (await only(catalog)).product
    assert [option.name for option in shirt.options] == ["Color", "Size"]
    assert {one.sku: one.values for one in shirt.variants} == {
        "1": ("Sand", "S"),
        "3": ("Moss", "M"),
    }
    assert shirt.variants[0].id == before["1"]


async def test_a_variant_that_moves_to_another_group_keeps_its_id_and_its_stock(
    catalog: CatalogService,
) -> None:
    await run_import(catalog, GoogleCsv(), csv_of("1,a,Shirt,5.00 EUR,,S,4", header=GROUP))
    (old,) = (await only(catalog)).product.variants
    await run_import(catalog, GoogleCsv(), csv_of("1,b,Blouse,5.00 EUR,,S,4", header=GROUP))
    now = await only(catalog)
    assert now.product.title == "Blouse"
    assert now.available == {old.id: 4}


async def test_stock_follows_the_source_only_when_the_source_has_a_new_quantity(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    header = "id,title,price,quantity"
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,12.00 EUR,5", header=header))
    (mug,) = (await only(catalog)).product.variants
    async with database.write() as tx:
        await holds.take(tx.conn, [Wanted("line", mug.id, 2, None)], clock.now())
        await holds.sell(tx.conn, "line")
    # The price is new, the quantity is the old one: what was sold stays sold.
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,11.00 EUR,5", header=header))
    assert await catalog.available([mug.id]) == {mug.id: 3}
    touched: list[StockTouched] = []
    database.listen(StockTouched, touched.append)
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,11.00 EUR,9", header=header))
    assert await catalog.available([mug.id]) == {mug.id: 9}
    assert touched == [StockTouched((mug.id,))]


async def test_every_price_that_an_import_brings_is_kept(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    header, moments = "id,title,price,sale_price", []
    for row in (
        "1,Mug,12.00 EUR,",
        "1,Mug,12.00 EUR,10.00 EUR",
        "1,Cup,12.00 EUR,10.00 EUR",
        "1,Cup,12.00 EUR,",
    ):
        clock.advance(timedelta(hours=1))
        moments.append(clock.now())
        await run_import(catalog, GoogleCsv(), csv_of(row, header=header))
    (mug,) = (await only(catalog)).product.variants
    async with database.read() as conn:
        points = (await store.price_points(conn, [mug.id]))[mug.id]
    first, sale, _, after = moments
    assert points == [
        PricePoint(first, euros(1200), None),
        PricePoint(sale, euros(1000), euros(1200)),
        PricePoint(after, euros(1200), None),
    ]


async def test_tiers_set_by_hand_outlive_an_import_and_rest_while_the_price_is_below_them(
    catalog: CatalogService,
) -> None:
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,12.00 EUR"))
    mug = await only(catalog)
    tiers = ((2, euros(1100)), (5, euros(900)))
    by_hand = VariantDraft(sku=mug.product.variants[0].sku, price=euros(1200), tiers=tiers)
    await catalog.replace_product(mug.product.id, ProductDraft(title="Mug", variants=(by_hand,)))
    for price, left in (("13.00", tiers), ("10.00", tiers[1:]), ("9.00", ()), ("12.00", tiers)):
        await run_import(catalog, GoogleCsv(), csv_of(f"1,Mug,{price} EUR"))
        assert (await only(catalog)).product.variants[0].tiers == left


async def test_tiers_in_another_currency_than_the_price_are_dropped(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,12.00 EUR"))
    mug = await only(catalog)
    by_hand = VariantDraft(
        sku=mug.product.variants[0].sku, price=euros(1200), tiers=((2, euros(1100)),)
    )
    await catalog.replace_product(mug.product.id, ProductDraft(title="Mug", variants=(by_hand,)))
    moved = CatalogService(database, clock, ShopSettings(currency="SEK"))
    await run_import(moved, GoogleCsv(), csv_of("1,Mug,130.00 SEK"))
    [variant] = (await only(catalog)).product.variants
    assert (variant.price, variant.tiers) == (Money(13000, "SEK"), ())


async def test_an_import_never_takes_stock_from_those_who_hold_it(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    header = "id,title,price,quantity"
    await run_import(catalog, GoogleCsv(), csv_of("1,Mug,12.00 EUR,5", header=header))
    (mug,) = (await only(catalog)).product.variants
    async with database.write() as tx:
        await holds.take(tx.conn, [Wanted("line", mug.id, 4, None)], clock.now())
    low = csv_of("1,Mug,12.00 EUR,1", header=header)
    report = await run_import(catalog, GoogleCsv(), low)
    assert (report.failed, report.problems_total) == (0, 1)
    assert "hold 4" in report.problems[0].reason
    assert await catalog.available([mug.id]) == {mug.id: 0}
    async with database.write() as tx:
        await holds.release(tx.conn, ["line"])
    assert (await run_import(catalog, GoogleCsv(), low)).problems_total == 0
    assert await catalog.available([mug.id]) == {mug.id: 1}


async def test_a_whole_product_withdraws_the_variants_it_no_longer_has(
    catalog: CatalogService,
) -> None:
    def line(*sizes: str) -> bytes:
        return msgspec.json.encode(
            {
                "source_id": "7",
                "title": "Shirt",
                "options": ["Size"],
                "variants": [
                    {
                        "source_id": f"7-{size}",
                        "values": [size],
                        "quantity": 2,
                        "price": {"amount": 4990, "currency": "EUR"},
                    }
                    for size in sizes
                ],
            }
        )

    await run_import(catalog, Ndjson(), line("S", "M"))
    before = {one.values[0]: one.id for one in (await only(catalog)).product.variants}
    await run_import(catalog, Ndjson(), line("M", "L"))
    shirt = (await only(catalog)).product
    assert [one.values for one in shirt.variants] == [("M",), ("L",)]
    assert shirt.options[0].values == ("M", "L")
    await run_import(catalog, Ndjson(), line("L", "M", "S"))
    back = (await only(catalog)).product
    assert [one.values[0] for one in back.variants] == ["L", "M", "S"]
    assert {one.values[0]: one.id for one in back.variants}.items() >= before.items()
    assert (await run_import(catalog, Ndjson(), line("L", "M", "S"))).unchanged == 1


async def test_each_source_has_its_own_ids(catalog: CatalogService) -> None:
    feed = csv_of("1,Mug,12.00 EUR")
    await catalog.import_file(GoogleCsv(), pieces(feed), source_name="north")
    await catalog.import_file(GoogleCsv(), pieces(feed), source_name="south")
    assert len((await catalog.products()).products) == 2


async def test_pictures_are_asked_for_once_and_kept_in_the_order_of_the_feed(
    database: Database, catalog: CatalogService
) -> None:
    header = "id,item_group_id,title,price,size,image_link,additional_image_link"
    feed = csv_of(
        '1,g,Shirt,5.00 EUR,S,https://x.example/a.jpg,"https://x.example/b.jpg,https://x.example/c.jpg"',
        "2,g,Shirt,5.00 EUR,M,https://x.example/d.jpg,",
        header=header,
    )
    for _ in range(2):
        await run_import(catalog, GoogleCsv(), feed)
    async with database.read() as conn:
        urls = await conn.execute(sa.select(product_image.c.url).order_by(product_image.c.position))
        payloads = await conn.execute(sa.select(job.c.payload).where(job.c.topic == FETCH_TOPIC))
        wanted = [f"https://x.example/{name}.jpg" for name in "abcd"]
        assert list(urls.scalars()) == wanted
        assert [one["urls"] for one in payloads.scalars()] == [wanted]


async def test_a_file_with_wrong_columns_changes_nothing(
    database: Database, catalog: CatalogService
) -> None:
    before = await contents(database)
    with pytest.raises(WrongColumns) as caught:
        await run_import(catalog, GoogleCsv(), csv_of("1,Mug", header="id,name"))
    assert caught.value.data == {"missing": ["title", "price"], "found": ["id", "name"]}
    with pytest.raises(BadFile):
        await run_import(catalog, GoogleCsv(), b"")
    assert await contents(database) == before


async def test_hostile_characters_are_refused_or_cleaned_never_stored(
    catalog: CatalogService,
) -> None:
    feed = csv_of(
        "1,Mu\x00g,12.00 EUR",
        "2,\u202egnp.exe,12.00 EUR",
        '3,"<script>alert(1)</script>",12.00 EUR',
        "a\u0007b,Bell,12.00 EUR",
        "4,\u200b,12.00 EUR",
        header="id,title,price",
    ) + "5,\ud800,12.00 EUR\n".encode("utf-8", "surrogatepass")
    report = await run_import(catalog, GoogleCsv(), feed)
    assert [one.line for one in report.problems] == [2, 5, 6, 7]
    titles = [one.product.title for one in (await catalog.products()).products]
    assert titles == ["gnp.exe", "<script>alert(1)</script>"]
    line = b'{"source_id": "6", "title": "a\\ud800", "variants": []}'
    report = await run_import(catalog, Ndjson(), line)
    assert report.failed == 1


async def test_descriptions_are_cleaned_when_written(catalog: CatalogService) -> None:
    feed = csv_of(
        '1,Mug,12.00 EUR,"<p onclick=""x()"">Warm <img src=x onerror=x()><script>x()</script>'
        '<a href=""javascript:x()"">a</a> <a href=""https://y.example"">b</a></p>"',
        '2,Bowl,12.00 EUR,"5 < 6 & more\n\nNext"',
        header="id,title,price,description",
    )
    await run_import(catalog, GoogleCsv(), feed)
    mug, bowl = (await catalog.products()).products
    assert mug.product.description_html == (
        '<p>Warm <a rel="noopener nofollow">a</a> '
        '<a href="https://y.example" rel="noopener nofollow">b</a></p>'
    )
    assert bowl.product.description_html == "<p>5 &lt; 6 &amp; more</p><p>Next</p>"


async def test_only_the_first_thousand_problems_are_kept(catalog: CatalogService) -> None:
    feed = csv_of(*(f"{n},Mug,free" for n in range(1_200)))
    report = await run_import(catalog, GoogleCsv(), feed)
    assert (len(report.problems), report.problems_total, report.failed) == (1_000, 1_200, 1_200)


async def test_two_imports_of_one_file_at_once_make_each_product_once(
    database: Database, catalog: CatalogService
) -> None:
    feed = csv_of(*(f"{n},Mug {n},12.00 EUR" for n in range(600)))
    reports = await asyncio.gather(*(run_import(catalog, GoogleCsv(), feed) for _ in range(3)))
    assert sum(one.products_created for one in reports) == 600
    assert sum(one.unchanged for one in reports) == 1_200
