"""The connections that show prices, opened: channels that are pushed to and feeds that are fetched.

All that are not removed count, those that are paused or wait for a person too: what they showed
before may still be seen there. What a connector says in time is kept with its connection, so that
one that cannot be opened now still counts for what all of them announce.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import Product, Variant
from liveshop.connect import (
    Channel,
    ConnectorError,
    Feed,
    FeedLimits,
    Listing,
    ListingLimits,
    NeedsAttention,
    Problem,
)
from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.storage import Database
from liveshop.syndication import connection_store
from liveshop.syndication.carried import Reach
from liveshop.syndication.desired import (
    ChannelImages,
    Described,
    ListingChecks,
    ListingMaker,
    shape_of,
)
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    NotAuthorised,
    UnknownConnection,
    WrongRole,
)
from liveshop.syndication.says import PriceSchedule
from liveshop.syndication.tables import connection_memory

_log = structlog.get_logger("syndication")
LEAVING = "listings:leaving"
"""A connection with this in its memory is being removed: all it has is taken off first."""
REACH = "listings:reach"
"""What a connection could say in time when it was last opened."""


class OpenThings(Protocol):
    """What opens connections; `runtime.OpenConnections` is one."""

    async def get(self, connection_id: str) -> Any: ...


class _StoredReach(msgspec.Struct, frozen=True):
    can_schedule_sales: bool
    fetched_every_seconds: int | None = None


class CheckedMaker(ListingMaker):
    """Makes the listings of a connection; a fault of its connector is a problem of the listing,
    and nobody else's.

    `faulty`: connections whose fault is in the log already, so that it is there once.
    """

    def __init__(
        self,
        connection: Connection,
        checks: ListingChecks,
        limits: ListingLimits | FeedLimits,
        images: ChannelImages,
        *,
        described: Described | None = None,
        faulty: set[ConnectionId] | None = None,
    ) -> None:
        shape = shape_of(connection.connector, connection.language, limits)
        super().__init__(shape, checks, images, described or Described())
        self._connection = connection
        self._faulty: set[ConnectionId] = set() if faulty is None else faulty

    def make(
        self, product: Product, variant: Variant, says: PriceSchedule, available: int
    ) -> Listing | list[Problem]:
        try:
            return super().make(product, variant, says, available)
        except Exception as error:  # whatever a connector raises, the others go on
            one = self._connection
            if one.id not in self._faulty:
                self._faulty.add(one.id)
                _log.exception("listing_not_checked", connection=one.id, variant=variant.id)
            if isinstance(error, ConnectorError):
                return [Problem("", error.detail)]
            return [Problem("", f"{one.title} failed to check it. The fault is in its connector.")]


@dataclass(frozen=True, slots=True)
class Outlet:
    """`maker` is None where the connection cannot be opened now, so that nobody knows its limits.
    `reach`: what it says in time, as far as known. `can_hide`: it keeps a listing but shows it to
    nobody."""

    connection: Connection
    is_feed: bool
    is_leaving: bool
    maker: ListingMaker | None
    reach: Reach | None = None
    can_hide: bool = False
    batch: int = 1
    requests_per_batch: int = 1
    requests_per_minute: float | None = None

    @property
    def id(self) -> ConnectionId:
        return self.connection.id

    @property
    def stamp(self) -> "Stamp":
        return stamp_of(self.connection, is_leaving=self.is_leaving)


Stamp = tuple[ConnectionId, int, str, bool]
"""What is decided with an outlet holds while this is the same."""


class Outlets:
    def __init__(self, database: Database, connections: OpenThings, images: ChannelImages) -> None:
        self._database = database
        self._connections = connections
        self.images = images
        self._faulty: set[ConnectionId] = set()

    async def all(self) -> list[Outlet]:
        """In the order in which they were made."""
        async with self._database.read() as conn:
            found = await outlets_in(conn)
            leaving = await leaving_in(conn)
            known = await _reaches_in(conn)
        described = Described()
        outlets = [
            await self._opened(
                one, described, is_leaving=one.id in leaving, known=known.get(one.id)
            )
            for one in found
        ]
        await self._keep(outlets, known)
        return outlets

    async def open_or_raise(self, connection_id: str) -> None:
        """Say why there is no outlet of this connection, or none that is open.

        Raises UnknownConnection, WrongRole, NotAuthorised, Unavailable.
        """
        async with self._database.read() as conn:
            one = await connection_store.by_id(conn, connection_id)
        if one is None or one.state == "removed":
            raise UnknownConnection("There is no such channel or feed.")
        if not _is_outlet(one):
            raise WrongRole(f"{one.title} shows no listings: it is neither a channel nor a feed.")
        try:
            opened = await self._open(one, Described(), is_leaving=False)
        except ShopError:
            raise
        except NeedsAttention as error:
            raise NotAuthorised(f"{one.title} cannot be opened: {error.detail}") from error
        except ConnectorError as error:
            raise Unavailable(f"{one.title} cannot be opened now: {error.detail}") from error
        except Exception as error:
            _log.warning("connection_not_opened", connection=one.id, error=type(error).__name__)
            raise Unavailable(
                f"{one.title} cannot be opened. The fault is in its connector, or in its "
                "configuration: check that."
            ) from error
        assert opened.maker is not None

    def reaches(self, outlets: Iterable[Outlet]) -> list[Reach]:
        """What each can say in time. One that has never been opened shows nothing yet and does not
        count; one that is leaving shows ever less: the price waits for what it may show."""
        return [one.reach for one in outlets if one.reach is not None and not one.is_leaving]

    async def _keep(self, outlets: Iterable[Outlet], known: Mapping[str, _StoredReach]) -> None:
        """Write down what has changed, for when one cannot be opened."""
        changed = {
            one.id: stored
            for one in outlets
            if one.reach is not None and (stored := _stored(one.reach)) != known.get(one.id)
        }
        if changed:
            async with self._database.write() as tx:
                for id_, stored in changed.items():
                    text = msgspec.json.encode(stored).decode()
                    await connection_store.remember(tx.conn, id_, REACH, text)

    async def _opened(
        self,
        connection: Connection,
        described: Described,
        *,
        is_leaving: bool,
        known: _StoredReach | None,
    ) -> Outlet:
        try:
            return await self._open(connection, described, is_leaving=is_leaving)
        except Exception as error:  # whatever a connector raises, the others go on
            _log.warning(
                "connection_not_opened", connection=connection.id, error=type(error).__name__
            )
        reach = None
        if known is not None:
            reach = Reach(connection.title, known.can_schedule_sales, known.fetched_every_seconds)
        return Outlet(connection, _is_feed(connection), is_leaving, None, reach)

    async def _open(
        self, connection: Connection, described: Described, *, is_leaving: bool
    ) -> Outlet:
        thing = await self._connections.get(connection.id)
        if _is_feed(connection):
            return self._feed(connection, thing, described, is_leaving=is_leaving)
        return self._channel(connection, thing, described, is_leaving=is_leaving)

    def _feed(
        self, connection: Connection, feed: Feed, described: Described, *, is_leaving: bool
    ) -> Outlet:
        limits = feed.feed_limits
        return Outlet(
            connection,
            True,
            is_leaving,
            self._maker(connection, feed, limits, described),
            Reach(connection.title, limits.can_schedule_sales, limits.fetched_every_seconds),
        )

    def _channel(
        self, connection: Connection, channel: Channel, described: Described, *, is_leaving: bool
    ) -> Outlet:
        limits = channel.listing_limits
        return Outlet(
            connection,
            False,
            is_leaving,
            self._maker(connection, channel, limits, described),
            Reach(connection.title, limits.can_schedule_sales),
            limits.can_hide,
            limits.batch,
            limits.requests_per_batch,
            limits.requests_per_minute,
        )

    def _maker(
        self,
        connection: Connection,
        checks: ListingChecks,
        limits: ListingLimits | FeedLimits,
        described: Described,
    ) -> ListingMaker:
        return CheckedMaker(
            connection, checks, limits, self.images, described=described, faulty=self._faulty
        )


async def outlets_in(conn: AsyncConnection) -> list[Connection]:
    """The channels and feeds that are not removed."""
    return [one for one in await connection_store.all_of(conn) if _is_outlet(one)]


async def leaving_in(conn: AsyncConnection) -> Collection[str]:
    """The connections that are being removed."""
    rows = await conn.execute(
        sa.select(connection_memory.c.connection_id).where(connection_memory.c.key == LEAVING)
    )
    return set(rows.scalars())


async def stamps_in(conn: AsyncConnection) -> list[Stamp]:
    """Of all outlets, in the order of `Outlets.all`."""
    leaving = await leaving_in(conn)
    return [stamp_of(one, is_leaving=one.id in leaving) for one in await outlets_in(conn)]


def stamp_of(connection: Connection, *, is_leaving: bool) -> Stamp:
    return connection.id, connection.version, connection.state, is_leaving


async def _reaches_in(conn: AsyncConnection) -> dict[str, _StoredReach]:
    rows = await conn.execute(
        sa.select(connection_memory.c.connection_id, connection_memory.c.value).where(
            connection_memory.c.key == REACH
        )
    )
    return {row.connection_id: msgspec.json.decode(row.value, type=_StoredReach) for row in rows}


def _stored(reach: Reach) -> _StoredReach:
    return _StoredReach(reach.can_schedule_sales, reach.fetched_every_seconds)


def _is_outlet(connection: Connection) -> bool:
    return bool(connection.roles & {"channel", "feed"})


def _is_feed(connection: Connection) -> bool:
    return "channel" not in connection.roles
