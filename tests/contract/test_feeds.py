"""The feeds we serve, read back with parsers that are not ours."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree

from liveshop.connect import minor_digits
from liveshop.connect.contract import FeedContract, FeedItem
from liveshop.connect.listings import Sale
from liveshop.kernel.money import Money

_G = "{http://base.google.com/ns/1.0}"


def _money(text: str) -> Money:
    amount, currency = text.split()
    return Money(int(Decimal(amount).scaleb(minor_digits(currency))), currency)


class TestGoogleFeed(FeedContract):
    connector = "google_feed"

    def read(self, data: bytes) -> Sequence[FeedItem]:
        channel = ElementTree.fromstring(data).find("channel")
        assert channel is not None
        return [self._item(item) for item in channel.findall("item")]

    def _item(self, item: ElementTree.Element) -> FeedItem:
        def text(name: str) -> str:
            return item.findtext(_G + name) or ""

        sale = text("sale_price")
        return FeedItem(
            text("id"),
            text("title"),
            text("description"),
            text("link"),
            _money(text("price")),
            _money(sale) if sale else None,
        )

    async def test_what_xml_cannot_hold_is_left_out(self) -> None:
        async with self.opened() as feed:
            found = self.read(self.document(feed, self.listing(1, title="a\x00b\x0bc￾d")))
            assert found[0].title == "abcd"


class TestMetaFeed(FeedContract):
    connector = "meta_feed"

    def read(self, data: bytes) -> Sequence[FeedItem]:
        rows = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
        return [
            FeedItem(
                row["id"],
                row["title"],
                row["description"],
                row["link"],
                _money(row["price"]),
                _money(row["sale_price"]) if row["sale_price"] else None,
            )
            for row in rows
        ]


class TestJsonFeed(FeedContract):
    connector = "json_feed"

    def read(self, data: bytes) -> Sequence[FeedItem]:
        return [
            FeedItem(
                item["id"],
                item["title"],
                item["description"],
                item["link"],
                Money(**item["price"]),
                Money(**item["sale"]["price"]) if item["sale"] else None,
            )
            for item in json.loads(data)["items"]
        ]


async def test_a_sale_says_from_when_to_when_in_every_feed() -> None:
    starts = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
    sale = Sale(Money(1000, "EUR"), starts, starts + timedelta(days=2, seconds=30))
    told = {}
    for suite in (TestGoogleFeed(), TestMetaFeed(), TestJsonFeed()):
        async with suite.opened() as feed:
            reduced = suite.listing(1, sale=sale)
            told[suite.connector] = suite.document(feed, reduced).decode()
    assert "2026-11-27T08:00+0000/2026-11-29T08:00:30+0000" in told["google_feed"]
    assert "2026-11-27T08:00+00:00/2026-11-29T08:00:30+00:00" in told["meta_feed"]
    item = json.loads(told["json_feed"])["items"][0]
    assert item["sale"] == {
        "price": {"amount": 1000, "currency": "EUR"},
        "starts_at": "2026-11-27T08:00:00.000Z",
        "ends_at": "2026-11-29T08:00:30.000Z",
    }
