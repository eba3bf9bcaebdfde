"""Products, stock and locations in both databases."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from catalog_builders import euros, shirt_draft, shop

from liveshop.catalog import holds, store
from liveshop.catalog.holds import OutOfStock, Wanted
from liveshop.catalog.model import (
    BadProduct,
    BundlePart,
    Option,
    PricePoint,
    ProductChanged,
    ProductDraft,
    ProductsTouched,
    StockedProduct,
    StockHeld,
    StockTouched,
    UnknownLocation,
    UnknownProduct,
    UnknownVariant,
    VariantDraft,
)
from liveshop.catalog.service import BadCursor, CatalogService
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import MediaId, VariantId
from liveshop.storage import Database


@pytest.fixture
def catalog(database: Database, clock: ManualClock) -> CatalogService:
    return CatalogService(database, clock, shop())


def by_sku(stocked: StockedProduct) -> dict[str, VariantId]:
    return {variant.sku: variant.id for variant in stocked.product.variants}


async def test_a_product_is_read_as_it_was_made(catalog: CatalogService) -> None:
    made = await catalog.create_product(shirt_draft(description_html="<p>Soft <b>linen</b></p>"))
    read = await catalog.product(made.product.id)
    assert read == made
    assert read.product.source_id == read.product.id
    assert read.product.options == (Option("Size", ("S", "M")),)
    assert [variant.values for variant in read.product.variants] == [("S",), ("M",)]
    assert set(read.available.values()) == {0}


async def test_replacing_keeps_variants_by_id_by_sku_and_by_values_and_withdraws_the_rest(
    database: Database, catalog: CatalogService
) -> None:
    sizes = ("S", "M", "L", "XL")
    variants = tuple(
        VariantDraft(sku=f"A-{size}", price=euros(1), values=(size,)) for size in sizes
    )
    first = await catalog.create_product(
        shirt_draft(options=(Option("Size", sizes),), variants=variants)
    )
    ids = by_sku(first)
    touched: list[ProductsTouched] = []
    database.listen(ProductsTouched, touched.append)
    second = await catalog.replace_product(
        first.product.id,
        shirt_draft(
            options=(Option("Size", ("XS", *sizes)),),
            variants=(
                VariantDraft(sku="NEW-S", price=euros(2), values=("XS",), id=ids["A-S"]),
                VariantDraft(sku="A-M", price=euros(2), values=("S",)),
                VariantDraft(sku="B-L", price=euros(2), values=("L",)),
            ),
        ),
        expected_version=1,
    )
    assert by_sku(second) == {"NEW-S": ids["A-S"], "A-M": ids["A-M"], "B-L": ids["A-L"]}
    assert second.product.options == (Option("Size", ("XS", "S", "L")),)
    assert second.product.version == 2
    assert touched == [ProductsTouched((first.product.id,))]


async def test_who_changes_a_product_that_somebody_else_changed_is_told(
    catalog: CatalogService,
) -> None:
    made = await catalog.create_product(shirt_draft())
    await catalog.replace_product(made.product.id, shirt_draft(title="A"), expected_version=1)
    with pytest.raises(ProductChanged) as caught:
        await catalog.replace_product(made.product.id, shirt_draft(title="B"), expected_version=1)
    assert caught.value.data == {"version": 2}
    results = await asyncio.gather(
        *(
            catalog.replace_product(made.product.id, shirt_draft(title=title), expected_version=2)
            for title in "CDE"
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == [
        "ProductChanged",
        "ProductChanged",
        "StockedProduct",
    ]


async def test_what_does_not_exist_is_said_not_to(catalog: CatalogService) -> None:
    made = await catalog.create_product(shirt_draft())
    (variant_id, *_) = by_sku(made).values()
    with pytest.raises(UnknownProduct):
        await catalog.product("prd_nothing")
    with pytest.raises(UnknownProduct):
        await catalog.replace_product("prd_nothing", shirt_draft())
    with pytest.raises(UnknownVariant):
        await catalog.stock_of("var_nothing")
    with pytest.raises(UnknownLocation):
        await catalog.set_stock(variant_id, "loc_nothing", 1)
    with pytest.raises(BadProduct, match="Upload it first"):
        await catalog.create_product(shirt_draft(image_ids=(MediaId("med_nothing"),)))
    first, second = shirt_draft().variants
    stranger = replace(first, id=VariantId("var_stranger"))
    with pytest.raises(BadProduct, match="no variant"):
        await catalog.replace_product(made.product.id, shirt_draft(variants=(stranger, second)))
    assert (await catalog.product(made.product.id)).product.version == 1


async def test_pages_hold_every_product_once(catalog: CatalogService, clock: ManualClock) -> None:
    for number in range(7):
        clock.advance(timedelta(seconds=1))
        await catalog.create_product(shirt_draft(title=f"Shirt {number}"))
    titles: list[str] = []
    cursor: str | None = None
    while True:
        page = await catalog.products(cursor=cursor, limit=3)
        titles += [one.product.title for one in page.products]
        if (cursor := page.next) is None:
            break
    assert titles == [f"Shirt {number}" for number in range(7)]
    with pytest.raises(BadCursor):
        await catalog.products(cursor="prd_1' OR 1=1")


async def test_a_search_finds_words_in_any_order_case_and_accent(catalog: CatalogService) -> None:
    await catalog.create_product(shirt_draft(title="Jäger-Hemd 100%", brand="Größe"))
    await catalog.create_product(shirt_draft(title="Mug_1"))
    for query, count in {
        "": 2,
        "hemd JAGER": 1,
        "grosse": 1,
        "ls-m": 2,
        "4006381333931": 2,
        "hemd mug": 0,
        "100%": 1,
        "%": 1,
        "_": 1,
        "\\": 0,
    }.items():
        found = (await catalog.products(query=query)).products
        assert len(found) == count, query


async def test_what_is_not_active_is_for_staff_only(catalog: CatalogService) -> None:
    made = await catalog.create_product(shirt_draft(is_active=False))
    with pytest.raises(UnknownProduct):
        await catalog.product(made.product.id)
    assert (await catalog.products()).products == []
    assert await catalog.product(made.product.id, include_inactive=True) == made
    assert (await catalog.products(include_inactive=True)).products == [made]
    assert await catalog.products_by_ids(["prd_x", made.product.id]) == [made]


async def test_stock_is_counted_over_all_locations_and_set_at_one(
    database: Database, catalog: CatalogService
) -> None:
    variant_id = by_sku(await catalog.create_product(shirt_draft()))["LS-S"]
    store_ = await catalog.create_location("Store", kind="store", priority=2)
    warehouse = await catalog.create_location("Warehouse", priority=1)
    touched: list[StockTouched] = []
    database.listen(StockTouched, touched.append)
    await catalog.set_stock(variant_id, store_.id, 2)
    levels = await catalog.set_stock(variant_id, warehouse.id, 5)
    assert [(level.location_id, level.on_hand) for level in levels] == [
        (warehouse.id, 5),
        (store_.id, 2),
    ]
    assert await catalog.available([variant_id, "var_x"]) == {variant_id: 7, "var_x": 0}
    assert await catalog.locations() == [warehouse, store_]
    assert touched == [StockTouched((variant_id,))] * 2


async def test_stock_cannot_be_set_below_what_is_held_but_lapsed_holds_do_not_count(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    variant_id = by_sku(await catalog.create_product(shirt_draft()))["LS-S"]
    place = await catalog.create_location("Warehouse")
    await catalog.set_stock(variant_id, place.id, 5)
    until = clock.now() + timedelta(minutes=10)
    async with database.write() as tx:
        await holds.take(tx.conn, [Wanted("line", variant_id, 3, until)], clock.now())
    (level,) = await catalog.stock_of(variant_id)
    assert (level.on_hand, level.held, level.available) == (5, 3, 2)
    with pytest.raises(StockHeld) as caught:
        await catalog.set_stock(variant_id, place.id, 2)
    assert caught.value.data == {"held": 3}
    clock.advance(timedelta(minutes=10))
    (level,) = await catalog.stock_of(variant_id)
    assert (level.held, level.available) == (0, 5)
    (level,) = await catalog.set_stock(variant_id, place.id, 2)
    assert (level.on_hand, level.held) == (2, 0)


async def test_limits_tiers_weights_and_parts_are_read_as_they_were_written(
    catalog: CatalogService,
) -> None:
    cup = by_sku(await catalog.create_product(shirt_draft()))["LS-S"]
    draft = VariantDraft(
        sku="SET",
        price=euros(4990),
        tiers=((2, euros(4500)), (5, euros(4000))),
        weight_grams=350,
        parts=((cup, 2),),
    )
    made = await catalog.create_product(
        ProductDraft(title="Set", variants=(draft,), max_per_customer=3)
    )
    assert await catalog.product(made.product.id) == made
    assert made.product.max_per_customer == 3
    [variant] = made.product.variants
    assert (variant.tiers, variant.weight_grams) == (draft.tiers, 350)
    assert variant.parts == (
        BundlePart(
            cup,
            (await catalog.products(query="linen")).products[0].product.id,
            "Linen shirt",
            "LS-S",
            2,
        ),
    )
    plain = ProductDraft(title="Set", variants=(replace(draft, tiers=(), weight_grams=0),))
    replaced = (await catalog.replace_product(made.product.id, plain)).product
    assert (replaced.max_per_customer, replaced.variants[0].tiers) == (None, ())
    assert replaced.variants[0].id == variant.id


async def prices_of(database: Database, variant_id: VariantId) -> list[PricePoint]:
    async with database.read() as conn:
        return (await store.price_points(conn, [variant_id])).get(variant_id, [])


async def test_every_price_a_variant_has_had_is_kept(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    moments = []

    async def write(product_id: str | None, *variants: VariantDraft) -> StockedProduct:
        clock.advance(timedelta(hours=1))
        moments.append(clock.now())
        draft = ProductDraft(title="Mug", variants=variants)
        if product_id is None:
            return await catalog.create_product(draft)
        return await catalog.replace_product(product_id, draft)

    mug = VariantDraft(sku="MUG", price=euros(1000))
    made = await write(None, mug)
    [variant_id] = by_sku(made).values()
    for changed in (
        replace(mug, price=euros(800), compare_at=euros(1000)),
        replace(mug, price=euros(800), compare_at=euros(1000), weight_grams=5),
        replace(mug, price=euros(800)),
        replace(mug, price=euros(1000)),
    ):
        await write(made.product.id, changed)
    first, lower, _, without, last = moments
    assert await prices_of(database, variant_id) == [
        PricePoint(first, euros(1000), None),
        PricePoint(lower, euros(800), euros(1000)),
        PricePoint(without, euros(800), None),
        PricePoint(last, euros(1000), None),
    ]


async def test_the_log_of_prices_stays_in_order_when_the_clock_is_set_back(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    mug = VariantDraft(sku="MUG", price=euros(1000))
    made = await catalog.create_product(ProductDraft(title="Mug", variants=(mug,)))
    clock.advance(-timedelta(hours=1))
    for amount in (900, 800, 700):
        draft = ProductDraft(title="Mug", variants=(replace(mug, price=euros(amount)),))
        await catalog.replace_product(made.product.id, draft)
    points = await prices_of(database, *by_sku(made).values())
    assert [point.amount.amount for point in points] == [1000, 900, 800, 700]


async def test_many_takers_never_take_more_than_there_is(
    database: Database, catalog: CatalogService, clock: ManualClock
) -> None:
    variant_id = by_sku(await catalog.create_product(shirt_draft()))["LS-S"]
    place = await catalog.create_location("Warehouse")
    await catalog.set_stock(variant_id, place.id, 5)

    async def take(number: int) -> bool:
        try:
            async with database.write() as tx:
                wanted = Wanted(f"line-{number}", variant_id, 1, None)
                await holds.take(tx.conn, [wanted], clock.now())
        except OutOfStock:
            return False
        return True

    assert sum(await asyncio.gather(*(take(number) for number in range(20)))) == 5
    assert await catalog.available([variant_id]) == {variant_id: 0}
