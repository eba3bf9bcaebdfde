"""Notices about products: the shop's listings on the notice board."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from liveshop.connect import (
    Accepted,
    Kit,
    Listing,
    ListingLimits,
    Problem,
    Refused,
    Role,
    Seen,
    TextLimit,
    Verdict,
    format_price,
)
from liveshop.kernel.clock import rfc3339
from liveshop_noticeboard.api import BATCH, HEADING, REQUESTS, TEXT, Board, Config, pictures


class Noticeboard:
    name = "noticeboard"
    title = "Notice board"
    roles: frozenset[Role] = frozenset({"channel"})
    config = Config
    oauth = None

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["NoticeChannel"]:
        yield NoticeChannel(config, kit)


class NoticeChannel(Board):
    def __init__(self, config: Config, kit: Kit) -> None:
        super().__init__(config, kit)
        self.listing_limits = ListingLimits(
            batch=kit.limit(BATCH),
            read_batch=kit.limit(BATCH),
            title=TextLimit(kit.limit(HEADING)),
            description=TextLimit(kit.limit(TEXT)),
            images=pictures(kit, most=1),
            can_hide=True,
            can_schedule_sales=True,
            requests_per_minute=kit.limit(REQUESTS),
        )

    def check(self, listing: Listing) -> Sequence[Problem]:
        if not listing.title.strip():
            return [Problem("title", "A notice needs a heading. Give the product a title.")]
        return []

    def shown(self, listing: Listing) -> Mapping[str, str]:
        return _shown(_notice(listing))

    async def publish(self, listings: Sequence[Listing]) -> Sequence[Verdict]:
        if not listings:
            return []
        answer = await self.ask("PUT", "/api/notices", json=[_notice(one) for one in listings])
        refused = answer.json()["refused"]
        return [
            Refused(one.id, f"The notice board says: {refused[one.id]}")
            if one.id in refused
            else Accepted(one.id, remote_id=one.id)
            for one in listings
        ]

    async def withdraw(self, ids: Sequence[str]) -> Sequence[Verdict]:
        if ids:
            await self.ask("POST", "/api/notices/remove", json=list(ids), is_repeatable=True)
        return [Accepted(id_) for id_ in ids]

    async def read_back(self, ids: Collection[str]) -> Mapping[str, Seen]:
        if not ids:
            return {}
        params = [("number", id_) for id_ in ids]
        answer = await self.ask("GET", "/api/notices", params=params)
        return {notice["number"]: _seen(notice) for notice in answer.json()}


def _notice(listing: Listing) -> dict[str, Any]:
    """A listing in the words of the notice board."""
    sale = listing.sale
    picture = listing.images[0] if listing.images else None
    return {
        "number": listing.id,
        "heading": listing.title,
        "text": listing.description,
        "price": format_price(listing.price),
        "reduced": "" if sale is None else format_price(sale.price),
        "reduced_from": "" if sale is None or not sale.starts_at else rfc3339(sale.starts_at),
        "reduced_until": "" if sale is None or not sale.ends_at else rfc3339(sale.ends_at),
        "in_stock": listing.is_available,
        "link": listing.link,
        "picture": picture.url if picture else "",
        "picture_alt": picture.alt if picture else "",
        "is_turned_over": not listing.is_visible,
    }


def _shown(notice: Mapping[str, Any]) -> dict[str, str]:
    """What people see of a notice: of ours before it is sent, or of the board's own."""
    return {
        "title": notice["heading"],
        "description": notice["text"],
        "price": notice["price"],
        "sale_price": notice["reduced"],
        "sale_starts": notice["reduced_from"],
        "sale_ends": notice["reduced_until"],
        "availability": "in stock" if notice["in_stock"] else "sold out",
        "link": notice["link"],
    }


def _seen(notice: Mapping[str, Any]) -> Seen:
    number = notice["number"]
    if notice["refused_because"]:
        said = f"The notice board says: {notice['refused_because']}"
        return Seen(number, remote_id=number, status="rejected", reason=said)
    if notice["is_turned_over"]:
        return Seen(number, remote_id=number, status="hidden")
    return Seen(number, remote_id=number, status="live", shown=_shown(notice))
