"""A post as it stands in our rows, made into what a channel is handed. One way for the preview and
for sending: what was shown is what is sent, unless something it says has changed since.

A price is the one that all channels announce, or where nothing is announced that of the
storefront. What a product costs in a show alone is never in a post: people read posts for years,
and outside the show.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import CatalogDisplay, ShownPrice
from liveshop.catalog.wire import Product, Variant
from liveshop.connect import (
    Post,
    PostCost,
    Poster,
    PostImage,
    PostLimits,
)
from liveshop.connect.texts import plain_text
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.promotions.announce import is_reduced, price_before
from liveshop.promotions.words import money_in_words
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import Show, UnknownShow
from liveshop.storage import Database
from liveshop.syndication import store
from liveshop.syndication.captions import Caption, CaptionFacts, render_caption, tracked
from liveshop.syndication.model import Connection
from liveshop.syndication.post_model import BadPost, PostRow
from liveshop.syndication.post_pictures import PostPictures
from liveshop.syndication.says import Announced

_LONGEST_LINK = 2000
_FROM = {"en": "from {price}", "de": "ab {price}"}


@dataclass(frozen=True, slots=True)
class Composed:
    """A post ready to be sent, and what its merchant should know of it. `is_price_changing`: the
    channels are being told another price at this moment, so none of the two is to be posted."""

    post: Post
    caption: Caption
    limit: int
    cost: PostCost | None
    notes: tuple[str, ...]
    is_price_changing: bool = False


@dataclass(frozen=True, slots=True)
class _Price:
    """What a post says of a price; `before` only beside a reduction."""

    price: Money
    before: Money | None = None
    lowest_30_days: Money | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    show: Show | None = None
    product: Product | None = None
    prices: Sequence[_Price] = ()
    """Of the product's variants, in their order."""
    is_price_changing: bool = False


class Composer:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        display: CatalogDisplay,
        pictures: PostPictures,
    ) -> None:
        self._database = database
        self._settings = settings
        self._display = display
        self._pictures = pictures

    async def compose(
        self, row: PostRow, connection: Connection, poster: Poster, now: datetime
    ) -> Composed:
        """What the post says now. Raises BadPost, BadTemplate, TooLong, UnknownShow,
        MediaUnavailable."""
        async with self._database.read() as conn:
            subject = await self._subject(conn, row, now)
        limits = poster.post_limits
        link = self._link(row, subject, connection.connector)
        caption = await asyncio.to_thread(self._caption, row, subject, limits, link)
        images = await self._images(row, subject, limits)
        post = Post(
            key=row.id,
            kind=row.kind,
            text=caption.text,
            language=row.language,
            created_at=created_at(row, now),
            link=link if limits.link == "beside" else None,
            images=images,
            is_paid_partnership=row.is_paid_partnership,
        )
        notes = _notes(row, subject, limits, caption, images)
        return Composed(
            post=post,
            caption=caption,
            limit=limits.text.most,
            cost=poster.cost(post),
            notes=tuple(notes),
            is_price_changing=subject.is_price_changing,
        )

    async def _subject(self, conn: AsyncConnection, row: PostRow, now: datetime) -> _Subject:
        subject = _Subject()
        if row.show_id is not None:
            show = await shows.by_id(conn, row.show_id)
            if show is None:
                raise UnknownShow("There is no such show.", data={"field": "show_id"})
            subject = replace(subject, show=show)
        if row.product_id is not None:
            found = await self._display.products(conn, [row.product_id], now)
            if not found or not found[0].active or not found[0].variants:
                raise BadPost("The product is not on sale.", data={"field": "product_id"})
            product = found[0]
            said = await store.announced(conn, [one.id for one in product.variants])
            subject = replace(
                subject,
                product=product,
                prices=[
                    _price_of(one, said.get(VariantId(one.id)), now) for one in product.variants
                ],
                is_price_changing=any(one.next is not None for one in said.values()),
            )
        return subject

    def _link(self, row: PostRow, subject: _Subject, channel: str) -> str:
        if row.show_id is not None:
            link = f"{self._settings.public_url}/s/{row.show_id}"
        elif subject.product is not None and subject.product.url:
            link = subject.product.url
        else:
            raise BadPost(
                "The post needs a link: give the product an address in the shop, or say in which "
                "show it can be had.",
                data={"field": "product_id"},
            )
        longer = tracked(link, channel=channel, campaign=row.show_id, content=row.kind)
        return longer if len(longer) <= _LONGEST_LINK else link

    def _caption(self, row: PostRow, subject: _Subject, limits: PostLimits, link: str) -> Caption:
        """Blocking: reads files of languages."""
        facts = self._facts(row, subject)
        return render_caption(row.template, row.kind, facts, limits, link)

    def _facts(self, row: PostRow, subject: _Subject) -> CaptionFacts:
        facts = CaptionFacts(
            language=row.language,
            shop_name=self._settings.shop.name,
            is_paid_partnership=row.is_paid_partnership,
        )
        if subject.show is not None:
            show = subject.show
            facts = replace(
                facts,
                time_zone=show.time_zone,
                show_title=show.title,
                host_name=show.host_name,
                starts_at=show.starts_at or show.started_at,
                description=show.description,
            )
        if subject.product is not None:
            product = subject.product
            description = plain_text(product.description_html)
            facts = replace(facts, product_title=product.title, description=description)
            facts = _with_price(facts, subject.prices)
        return facts

    async def _images(
        self, row: PostRow, subject: _Subject, limits: PostLimits
    ) -> tuple[PostImage, ...]:
        if limits.images.most < 1:
            return ()
        if subject.product is not None and subject.product.images:
            return (self._pictures.of_product(subject.product.images[0], limits.images),)
        if subject.show is not None:
            card = await self._pictures.of_show(subject.show, row.kind, row.language, limits.images)
            return (card,)
        if limits.needs_image:
            raise BadPost(
                "This channel takes no post without a picture, and the product has none.",
                data={"field": "product_id"},
            )
        return ()


def created_at(row: PostRow, now: datetime) -> datetime:
    """When it was first tried. The same for every attempt and every search: some channels make of
    it a key of their own."""
    return row.sending_at or now


def _price_of(variant: Variant, announced: Announced | None, now: datetime) -> _Price:
    price = variant.price.to_money()
    said = price if announced is None else announced.says.effective(now)
    if announced is not None and said != price:
        # Not everything that makes it cheaper here can be announced everywhere.
        is_sale = said.amount < announced.says.price.amount
        return (
            _Price(said, announced.says.price, announced.says.lowest) if is_sale else _Price(said)
        )
    list_price = variant.list_price.to_money()
    compare_at = None if variant.compare_at is None else variant.compare_at.to_money()
    if not is_reduced(ShownPrice(price), list_price, compare_at):
        return _Price(price)
    lowest = None if variant.lowest_30_days is None else variant.lowest_30_days.to_money()
    return _Price(price, price_before(list_price, compare_at), lowest)


def _with_price(facts: CaptionFacts, prices: Sequence[_Price]) -> CaptionFacts:
    """One price, with what the law wants beside it; or `from` the lowest of several."""
    said = min(prices, key=lambda one: one.price.amount)
    if any(one.price != said.price for one in prices):
        words = _FROM.get(facts.language.partition("-")[0], _FROM["en"])
        lowest = money_in_words(said.price, facts.language)
        return replace(facts, legal=words.format(price=lowest))
    return replace(
        facts, price=said.price, price_before=said.before, lowest_30_days=said.lowest_30_days
    )


def _notes(
    row: PostRow,
    subject: _Subject,
    limits: PostLimits,
    caption: Caption,
    images: Sequence[PostImage],
) -> list[str]:
    """What else the merchant should know, one sentence each."""
    notes = []
    if caption.was_cut:
        notes.append("The text was shortened so that it fits.")
    if limits.link == "none":
        notes.append("Links cannot be followed on this channel.")
    if images and limits.images.alt is None:
        notes.append("This channel takes no alt text: people who cannot see the picture miss it.")
    if not images:
        notes.append("It has no picture.")
    if subject.product is not None:
        notes.append("The price is read again when the post is sent.")
        if subject.is_price_changing:
            notes.append("The price is changing on the channels just now. The post waits for it.")
        if not any(variant.available for variant in subject.product.variants):
            notes.append("The product is sold out at the moment.")
    return notes
