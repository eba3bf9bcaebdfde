"""What every feed promises: readers that are not ours find in it exactly what was put there."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from liveshop.connect.connector import Role
from liveshop.connect.contract.far_side import FeedItem
from liveshop.connect.contract.opening import open_connector
from liveshop.connect.contract.samples import HOSTILE, SHOP, listing
from liveshop.connect.contract.suite import Contract, check_images
from liveshop.connect.listings import Feed, FeedInfo, Listing, Sale
from liveshop.kernel.money import Money

_NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_MARKS = ("plain", HOSTILE, 'a,b;c\t"d"', "]]> <![CDATA[ &amp; {{ }} %s \\ '", "éß漢字👕")


class FeedContract(Contract):
    """Inherit it, set `connector` (and `config`, where it needs one), and write `read`."""

    role: ClassVar[Role] = "feed"
    config: ClassVar[Mapping[str, object]] = {}
    currency: ClassVar[str] = "EUR"

    @abstractmethod
    def read(self, data: bytes) -> Sequence[FeedItem]:
        """The items, by a parser that is not the connector's. Raise on what is not well formed."""
        ...

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Feed]:
        async with open_connector(await self.installed(), self.config) as feed:
            assert isinstance(feed, Feed), "what it opens is no Feed"
            yield feed

    def listing(self, number: int, **changes: Any) -> Listing:
        return replace(listing(number, currency=self.currency), **changes)

    def document(self, feed: Feed, *listings: Listing) -> bytes:
        """Put together as the server does."""
        info = FeedInfo(title=HOSTILE, link=SHOP, language="en", currency=self.currency)
        items = [feed.item(one, is_first=number == 0) for number, one in enumerate(listings)]
        return b"".join([feed.head(info), *items, feed.tail()])

    async def test_limits_make_sense(self) -> None:
        async with self.opened() as feed:
            limits = feed.feed_limits
            assert limits.title.most >= 20
            assert limits.description.most >= 100
            assert limits.fetched_every_seconds > 0
            check_images(limits.images)
            assert "/" in feed.media_type
            assert feed.file_name == feed.file_name.strip("/.").lower(), "not a file name"
            assert "/" not in feed.file_name

    async def test_diagnose_has_nothing_to_say(self) -> None:
        async with open_connector(await self.installed(), self.config) as opened:
            assert list(await opened.diagnose()) == []

    async def test_readers_find_what_was_put_there(self) -> None:
        async with self.opened() as feed:
            given = [self.listing(number) for number in (1, 2, 3)]
            found = self.read(self.document(feed, *given))
            assert [item.id for item in found] == [one.id for one in given]
            for item, one in zip(found, given, strict=True):
                assert item == FeedItem(
                    one.id, one.title, one.description, one.link, one.price, None
                )

    async def test_texts_that_look_like_markup_arrive_as_they_are(self) -> None:
        async with self.opened() as feed:
            given = [
                self.listing(number, title=text, description=f"{text} twice {text}")
                for number, text in enumerate(_MARKS)
            ]
            found = self.read(self.document(feed, *given))
            assert [item.title for item in found] == list(_MARKS)
            assert [item.description for item in found] == [one.description for one in given]

    async def test_line_ends_and_control_characters_break_nothing(self) -> None:
        async with self.opened() as feed:
            text = "One\nTwo\r\nThree\x00\x0b\x1b\ufffe\ud83d end"
            given = [self.listing(1, title=text, description=text), self.listing(2)]
            first, second = self.read(self.document(feed, *given))
            assert second.title == self.listing(2).title
            for word in ("One", "Two", "Three", "end"):
                assert word in first.description

    async def test_an_empty_feed_is_a_feed(self) -> None:
        async with self.opened() as feed:
            assert list(self.read(self.document(feed))) == []

    async def test_the_same_listings_give_the_same_bytes(self) -> None:
        async with self.opened() as feed:
            first = self.document(feed, self.listing(1), self.listing(2))
        async with self.opened() as feed:
            assert self.document(feed, self.listing(1), self.listing(2)) == first

    async def test_a_change_changes_the_bytes(self) -> None:
        async with self.opened() as feed:
            before = self.document(feed, self.listing(1))
            for changes in (
                {"title": "Jug"},
                {"price": Money(1, self.currency)},
                {"is_available": False, "quantity": 0},
                {"link": f"{SHOP}/other"},
            ):
                assert self.document(feed, self.listing(1, **changes)) != before, changes

    async def test_a_sale_stands_beside_the_price_before_it(self) -> None:
        async with self.opened() as feed:
            price, less = Money(2000, self.currency), Money(1490, self.currency)
            open_end = self.listing(1, price=price, sale=Sale(less))
            dated = self.listing(2, price=price, sale=Sale(less, _NOON, _NOON + timedelta(days=7)))
            first, second = self.read(self.document(feed, open_end, dated))
            assert (first.price, first.sale_price) == (price, less)
            assert (second.price, second.sale_price) == (price, less)
            if feed.feed_limits.can_schedule_sales:
                later = replace(dated, sale=Sale(less, _NOON, _NOON + timedelta(days=8)))
                assert feed.item(later, is_first=True) != feed.item(dated, is_first=True), (
                    "the end of a sale is not told"
                )

    async def test_currencies_have_their_own_decimals(self) -> None:
        async with self.opened() as feed:
            for price in (Money(5, "EUR"), Money(1200, "JPY"), Money(1234, "KWD")):
                (item,) = self.read(self.document(feed, self.listing(1, price=price)))
                assert item.price == price

    async def test_a_good_listing_has_no_problems_and_a_bad_one_is_told(self) -> None:
        async with self.opened() as feed:
            assert list(feed.check(self.listing(1))) == []
            poor = self.listing(1, title="", description="", images=(), gtin=None, brand=None)
            for problem in feed.check(poor):
                assert problem.field, problem
                assert problem.reason.strip(), problem
