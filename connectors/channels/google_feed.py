"""A product feed in Google's XML (RSS 2.0): for Merchant Center, and for whoever reads the same.

https://support.google.com/merchants/answer/160589
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from xml.sax.saxutils import escape

import msgspec

from connectors.channels import merchant_fields
from liveshop.connect import FeedInfo, FeedLimits, Kit, Listing, OAuth, Problem, Role


class Config(msgspec.Struct, frozen=True):
    """Nothing to configure: the address is all that Google needs."""


class GoogleFeed:
    name = "google_feed"
    title = "Google Merchant feed (XML)"
    roles: frozenset[Role] = frozenset({"feed"})
    config = Config
    oauth: OAuth | None = None
    file_name = "google.xml"
    media_type = "application/xml"
    feed_limits: FeedLimits = merchant_fields.LIMITS

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["GoogleFeed"]:
        yield self

    async def diagnose(self) -> Sequence[str]:
        return ()

    def check(self, listing: Listing) -> Sequence[Problem]:
        return merchant_fields.problems(listing)

    def head(self, info: FeedInfo) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">\n<channel>\n'
            f"<title>{_text(info.title)}</title>\n"
            f"<link>{_text(info.link)}</link>\n"
            f"<description>{_text(info.title)}</description>\n"
        ).encode()

    def item(self, listing: Listing, *, is_first: bool) -> bytes:
        lines = ["<item>"]
        for name, value in merchant_fields.fields(listing).items():
            # Of all attributes only this one is repeated instead of listed.
            values = value.split(",") if name == "additional_image_link" else [value]
            lines += [f"<g:{name}>{_text(one)}</g:{name}>" for one in values]
        return ("\n".join([*lines, "</item>"]) + "\n").encode()

    def tail(self) -> bytes:
        return b"</channel>\n</rss>\n"


def _text(text: str) -> str:
    return escape(merchant_fields.plain(text))
