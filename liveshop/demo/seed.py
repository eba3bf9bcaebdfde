"""Fills an empty demo: locations, products with pictures and stock, staff, keys, shows.

What only exists once, such as the secrets of keys, is kept in `demo.json` in the data folder.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa

from liveshop.app import Liveshop
from liveshop.catalog.model import Option, Product, ProductDraft, VariantDraft
from liveshop.catalog.tables import variant_price
from liveshop.demo import deals
from liveshop.demo import shop as lindholm
from liveshop.demo.media import cover_name, picture_name
from liveshop.demo.past import add_past_show
from liveshop.demo.places import locations
from liveshop.demo.shop import DemoProduct, DemoShow
from liveshop.kernel.ids import MediaId, ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.shows import store as shows_store
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import Show
from liveshop.web import Principal

PASSWORD = "live-in-the-demo"  # noqa: S105  # printed at every start: the demo is no secret
HOST_EMAIL = "host@lindholm.example"
MERCHANT_EMAIL = "merchant@lindholm.example"
ADMIN_EMAIL = "admin@lindholm.example"
_WELCOME = "Welcome to our winter table! Ask anything here, we read along and answer live."


class DemoState(msgspec.Struct):
    """What a demo remembers between starts."""

    secret: str
    host_token: str = ""
    merchant_token: str = ""
    product_ids: dict[str, str] = {}
    cover_ids: list[str] = []
    live_show_id: str = ""
    scheduled_show_id: str = ""
    past_show_id: str = ""
    """Empty also where there was no room for one."""

    @property
    def is_complete(self) -> bool:
        return bool(self.scheduled_show_id)


def read_state(path: Path) -> DemoState | None:
    """The state of an earlier start; None for a folder that has none."""
    if not path.is_file():
        return None
    return msgspec.json.decode(path.read_bytes(), type=DemoState)


def write_state(path: Path, state: DemoState) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(msgspec.json.encode(state))
    part.replace(path)


async def seed(
    shop: Liveshop, state: DemoState, pictures: dict[str, bytes], film: Path, storefront: str
) -> None:
    """Everything a fresh demo needs. `pictures` are the drawn files by name; `storefront` is where
    its products are at home."""
    places = [await shop.catalog.places.create(place) for place in locations(shop.clock.now().year)]
    variant_ids: dict[str, VariantId] = {}
    for product in (*lindholm.PRODUCTS, *lindholm.SETS):
        added = await _add_product(
            shop, product, [place.id for place in places], pictures, variant_ids, storefront
        )
        state.product_ids[product.source_id] = added.id
        variant_ids |= {variant.sku: variant.id for variant in added.variants}
    for promotion in deals.PROMOTIONS:
        await shop.promotions.create_promotion(promotion)
    for index, show in enumerate(lindholm.SHOWS):
        cover = await shop.media.store_image(pictures[cover_name(index)], alt=show.cover_alt)
        state.cover_ids.append(cover.media_id)
    await _add_staff(shop, state)
    state.past_show_id = await add_past_show(shop, film, state.product_ids) or ""
    state.live_show_id = await go_live(shop, state)
    state.scheduled_show_id = await _add_show(shop, state, lindholm.SHOWS[1])
    await shop.shows.change_state(ShowId(state.scheduled_show_id), "scheduled")


async def refresh(shop: Liveshop, state: DemoState, film: Path) -> None:
    """Make an earlier demo worth seeing again: one show live, one still ahead, one to look back
    on."""
    async with shop.database.read() as conn:
        live = await shows_store.by_id(conn, ShowId(state.live_show_id))
        ahead = await shows_store.by_id(conn, ShowId(state.scheduled_show_id))
    if live is None or live.state != "live":
        state.live_show_id = await go_live(shop, state)
    if ahead is not None and ahead.state == "scheduled" and _has_passed(ahead, shop):
        start = _start(lindholm.SHOWS[1], shop.clock.now())
        await shop.shows.change_show(ahead.id, shows_wire.ShowChange(starts_at=start))
    if not state.past_show_id:
        state.past_show_id = await add_past_show(shop, film, state.product_ids) or ""


async def go_live(shop: Liveshop, state: DemoState) -> str:
    """A new live show with a pinned welcome."""
    show_id = ShowId(await _add_show(shop, state, lindholm.SHOWS[0]))
    await shop.shows.change_state(show_id, "live")
    host = Principal(
        kind="staff",
        id=(await shop.accounts.list_staff())[0].id,
        name=lindholm.HOST_NAME,
        permissions=frozenset({"shows:write", "chat:moderate"}),
    )
    message_id = await shop.chat.post_message(show_id, host, _WELCOME, address="")
    await shop.chat.pin_message(show_id, message_id)
    return show_id


async def _add_product(
    shop: Liveshop,
    product: DemoProduct,
    places: list[str],
    pictures: dict[str, bytes],
    variant_ids: Mapping[str, VariantId],
    storefront: str,
) -> Product:
    """`variant_ids` by SKU, of what is there already: a set is made of it."""
    stored = [
        await shop.media.store_image(
            pictures[picture_name(picture.art_key, picture.colour, picture.angle)],
            alt=picture.alt,
        )
        for picture in product.pictures
    ]
    added = await shop.catalog.create_product(
        ProductDraft(
            title=product.title,
            description_html=product.description_html,
            brand=product.brand,
            category=product.category,
            url=f"{storefront}#{product.source_id}",
            options=tuple(Option(name, values) for name, values in product.options),
            image_ids=tuple(MediaId(picture.media_id) for picture in stored),
            variants=tuple(
                VariantDraft(
                    sku=variant.sku,
                    gtin=variant.gtin,
                    values=variant.values,
                    price=Money(variant.price, lindholm.CURRENCY),
                    compare_at=(
                        Money(variant.compare_at, lindholm.CURRENCY)
                        if variant.compare_at is not None
                        else None
                    ),
                    tax_class=product.tax_class,
                    image_index=variant.picture_index,
                    tiers=tuple(
                        (least, Money(price, lindholm.CURRENCY)) for least, price in variant.tiers
                    ),
                    parts=tuple((variant_ids[sku], count) for sku, count in variant.parts),
                )
                for variant in product.variants
            ),
        )
    )
    await _remember_prices(shop, added.product, product)
    for variant, given in zip(added.product.variants, product.variants, strict=True):
        if given.parts:
            continue  # as many as its parts
        for place, quantity in zip(places, given.stock, strict=True):
            await shop.catalog.set_stock(variant.id, place, quantity)
    return added.product


async def _remember_prices(shop: Liveshop, made: Product, product: DemoProduct) -> None:
    """The fictional shop has sold for two months, at the price it now compares with."""
    earlier = shop.clock.now() - timedelta(days=60)
    rows = [
        {
            "variant_id": variant.id,
            "at": earlier,
            "amount": given.compare_at or given.price,
            "compare_at_amount": None,
            "currency": lindholm.CURRENCY,
        }
        for variant, given in zip(made.variants, product.variants, strict=True)
    ]
    async with shop.database.write() as tx:
        await tx.conn.execute(sa.insert(variant_price), rows)


async def _add_staff(shop: Liveshop, state: DemoState) -> None:
    for email, name, role in (
        (HOST_EMAIL, lindholm.HOST_NAME, "host"),
        (MERCHANT_EMAIL, "Merchant", "merchant"),
        (ADMIN_EMAIL, "Admin", "admin"),
    ):
        member = await shop.accounts.create_staff(
            email=email, name=name, password=PASSWORD, roles=[role]
        )
        if role == "admin":
            continue
        owner = Principal(
            kind="staff", id=member.id, name=name, permissions=frozenset(member.permissions)
        )
        _, secret = await shop.accounts.create_key(
            name=f"demo {role}", permissions=member.permissions, by=owner
        )
        if role == "host":
            state.host_token = secret
        else:
            state.merchant_token = secret


async def _add_show(shop: Liveshop, state: DemoState, show: DemoShow) -> str:
    created = await shop.shows.create_show(
        shows_wire.ShowInput(
            title=show.title,
            description=show.description,
            languages=list(show.languages),
            time_zone=show.time_zone,
            starts_at=_start(show, shop.clock.now()),
            host_name=lindholm.HOST_NAME,
            cover_id=state.cover_ids[show.cover_index],
            product_ids=list(_products_of(state, show)),
        )
    )
    return created.id


def lineup_of(state: DemoState) -> list[ProductId]:
    return _products_of(state, lindholm.SHOWS[0])


def _products_of(state: DemoState, show: DemoShow) -> list[ProductId]:
    """Those that there are: the demo may have been seeded by an earlier version."""
    return [
        ProductId(state.product_ids[source_id])
        for source_id in show.lineup
        if source_id in state.product_ids
    ]


def _start(show: DemoShow, now: datetime) -> datetime:
    start = now + show.starts_in
    if start <= now:
        return start
    return start.replace(hour=18, minute=0, second=0, microsecond=0)  # seven in the evening there


def _has_passed(show: Show, shop: Liveshop) -> bool:
    return show.starts_at is None or show.starts_at < shop.clock.now() + timedelta(hours=1)
