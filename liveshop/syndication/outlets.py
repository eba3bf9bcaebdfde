"""The connections that show prices, opened: channels that are pushed to and feeds that are fetched.

All that are not removed count, those that are paused or wait for a person too: what they showed
before may still be seen there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.connect import Channel, Feed
from liveshop.storage import Database
from liveshop.syndication import connection_store
from liveshop.syndication.carried import Reach
from liveshop.syndication.desired import (
    ChannelImages,
    Described,
    ListingMaker,
    shape_of,
)
from liveshop.syndication.model import Connection, ConnectionId

_log = structlog.get_logger("syndication")
LEAVING = "listings:leaving"
"""A connection with this in its memory is being removed: all it has is taken off first."""


class OpenThings(Protocol):
    """What opens connections; `runtime.OpenConnections` is one."""

    async def get(self, connection_id: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """`maker` is None where the connection cannot be opened now, so that nobody knows its limits.
    `can_hide`: it keeps a listing but shows it to nobody."""

    connection: Connection
    is_feed: bool
    is_leaving: bool
    maker: ListingMaker | None
    can_hide: bool = False
    batch: int = 1
    requests_per_batch: int = 1
    requests_per_minute: float | None = None

    @property
    def id(self) -> ConnectionId:
        return self.connection.id


class Outlets:
    def __init__(self, database: Database, connections: OpenThings, images: ChannelImages) -> None:
        self._database = database
        self._connections = connections
        self.images = images
        self._reaches: dict[ConnectionId, Reach] = {}

    async def all(self) -> list[Outlet]:
        """In the order in which they were made."""
        async with self._database.read() as conn:
            found = await outlets_in(conn)
            leaving = {
                one.id: await connection_store.recall(conn, one.id, LEAVING) for one in found
            }
        described = Described()
        return [
            await self._opened(one, described, is_leaving=leaving[one.id] is not None)
            for one in found
        ]

    async def open_or_raise(self, connection_id: ConnectionId) -> None:
        """Say why it cannot be opened. Raises whatever opening it raises."""
        await self._connections.get(connection_id)

    def reaches(self, outlets: Iterable[Outlet]) -> list[Reach]:
        """What each can say in time. One that has never been opened here says nothing: the price
        waits for what it may show all the same."""
        return [
            self._reaches[one.id]
            for one in outlets
            if one.id in self._reaches and not one.is_leaving
        ]

    async def _opened(
        self, connection: Connection, described: Described, *, is_leaving: bool
    ) -> Outlet:
        is_feed = "channel" not in connection.roles
        try:
            thing = await self._connections.get(connection.id)
        except Exception as error:  # whatever a connector raises, the others go on
            _log.warning(
                "connection_not_opened", connection=connection.id, error=type(error).__name__
            )
            return Outlet(connection, is_feed, is_leaving, None)
        if is_feed:
            return self._feed(connection, thing, described, is_leaving=is_leaving)
        return self._channel(connection, thing, described, is_leaving=is_leaving)

    def _feed(
        self, connection: Connection, feed: Feed, described: Described, *, is_leaving: bool
    ) -> Outlet:
        limits = feed.feed_limits
        self._reaches[connection.id] = Reach(
            connection.title, limits.can_schedule_sales, limits.fetched_every_seconds
        )
        shape = shape_of(connection.connector, connection.language, limits)
        maker = ListingMaker(shape, feed, self.images, described)
        return Outlet(connection, True, is_leaving, maker)

    def _channel(
        self, connection: Connection, channel: Channel, described: Described, *, is_leaving: bool
    ) -> Outlet:
        limits = channel.listing_limits
        self._reaches[connection.id] = Reach(connection.title, limits.can_schedule_sales)
        shape = shape_of(connection.connector, connection.language, limits)
        return Outlet(
            connection,
            False,
            is_leaving,
            ListingMaker(shape, channel, self.images, described),
            limits.can_hide,
            limits.batch,
            limits.requests_per_batch,
            limits.requests_per_minute,
        )


async def outlets_in(conn: AsyncConnection) -> list[Connection]:
    """The channels and feeds that are not removed."""
    found = await connection_store.all_of(conn)
    return [one for one in found if one.roles & {"channel", "feed"}]
