"""Destinations, which shows go to them, and what becomes of that.

What is switched on stands in the database; `run` says it to the legs again every few seconds, so
that neither a lost signal nor a restart of the server leaves a platform without picture.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET

from liveshop.connect import ConnectorError, NeedsAttention, Stage, StageShow
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Conflict, NotFound, ShopError
from liveshop.kernel.ids import ShowId, new_id
from liveshop.kernel.text import clean_line
from liveshop.settings import Settings
from liveshop.shows import destination_store as store
from liveshop.shows import simulcast_wire as wire
from liveshop.shows import store as shows_store
from liveshop.shows.destination_store import StoredDestination
from liveshop.shows.model import AudienceChanged, ShowEnded, ShowStarted, UnknownShow, WrongState
from liveshop.shows.service import locked_show
from liveshop.storage import Database, StorageUnavailable
from liveshop.storage.sealing import SealedOtherwise, TextSealer
from liveshop.video.simulcast.address import Address, BadDestination, checked_key, server_of
from liveshop.video.simulcast.leg import LegHealth, Target
from liveshop.video.simulcast.legs import Simulcasts
from liveshop.web import outgoing

_log = structlog.get_logger("simulcast")

_CHECK_SECONDS: Final = 5.0
_MOST: Final = 100
_FOR_CUSTOMERS: Final = (
    "This show is for customers only, and other platforms show to everyone: it is not sent on."
)

StageOf = Callable[[str], Awaitable[Stage]]
"""The opened connection of that id. Raises ConnectorError, ShopError."""


class UnknownDestination(NotFound):
    code = "unknown_destination"


class TooManyDestinations(Conflict):
    """`data.most`: how many there may be."""

    code = "too_many_destinations"


class ShowForCustomers(Conflict):
    """Other platforms show to everyone."""

    code = "show_for_customers"


@dataclass(frozen=True, slots=True)
class DestinationsChanged:
    """A signal: what is wanted of any show may be something else now."""


async def no_stage(connection_id: str) -> Stage:
    """Of a server without connections."""
    raise BadDestination("There are no connections here.")


class Destinations:
    """`run` belongs to the application's background work."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        simulcasts: Simulcasts,
        stage_of: StageOf = no_stage,
        *,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._simulcasts = simulcasts
        self._stage_of = stage_of
        self._check_seconds = check_seconds
        self._sealer = TextSealer(settings.server.secret, purpose="liveshop destinations 1")
        self._most_legs = settings.video.simulcast_legs
        self._news = 0
        self._wake = asyncio.Event()
        simulcasts.ask = self.address_of
        for kind in (ShowStarted, ShowEnded, DestinationsChanged):
            database.listen(kind, self._heard)
        database.listen(AudienceChanged, self._heard_of_audience)

    # -- destinations

    async def destinations(self) -> wire.DestinationList:
        async with self._database.read() as conn:
            found = await store.all_of(conn)
        return wire.DestinationList(destinations=[_out(one) for one in found])

    async def create(self, given: wire.DestinationInput) -> wire.Destination:
        """Raises BadDestination, TooManyDestinations, BadText."""
        now = self._clock.now()
        one = StoredDestination(
            id=new_id("dst", now),
            name=clean_line(given.name, max_length=100, field="name"),
            url="",
            sealed_key=None,
            connection_id=given.connection_id,
            created_at=now,
        )
        if given.connection_id is None:
            one = replace(one, url=self._checked_url(given.url), sealed_key=self._sealed(given.key))
        elif given.url or given.key is not None:
            raise BadDestination("A connection supplies address and key; leave both out.")
        else:
            await self._check_connection(given.connection_id)
        async with self._database.write() as tx:
            if await store.count(tx.conn) >= _MOST:
                raise TooManyDestinations(
                    f"There are {_MOST} destinations; remove some first.", data={"most": _MOST}
                )
            await store.add(tx.conn, one)
        return _out(one)

    async def change(self, destination_id: str, given: wire.DestinationChange) -> wire.Destination:
        """What is sent there now starts anew with another address or key. Another address needs
        its key with it: the stored one is shown to nobody, so to no other server either. Raises
        UnknownDestination, BadDestination, BadText."""
        values: dict[str, Any] = {}
        if given.name is not UNSET:
            values["name"] = clean_line(given.name, max_length=100, field="name")
        if given.url is not UNSET:
            values["url"] = self._checked_url(given.url)
        if given.key is not UNSET:
            values["sealed_key"] = self._sealed(given.key)
        async with self._database.write() as tx:
            before = await store.by_id(tx.conn, destination_id, for_update=True)
            if before is None:
                raise _unknown()
            if before.connection_id is not None and values.keys() - {"name"}:
                raise BadDestination("Its connection supplies address and key.")
            is_moved = "url" in values and server_of(values["url"]) != server_of(before.url)
            if is_moved and "sealed_key" not in values:
                raise BadDestination(
                    "Another address needs its stream key with it. Enter the key again.",
                    data={"field": "key"},
                )
            if values:
                await store.change(tx.conn, destination_id, **values)
                tx.notify(DestinationsChanged())
            after = replace(before, **values)
        await self._look_now()
        return _out(after)

    async def remove(self, destination_id: str) -> None:
        """Nothing is sent there any more. Raises UnknownDestination."""
        async with self._database.write() as tx:
            # Locked first: a show may be being switched to it just now.
            if await store.by_id(tx.conn, destination_id, for_update=True) is None:
                raise _unknown()
            await store.remove(tx.conn, destination_id)
            tx.notify(DestinationsChanged())
        await self._look_now()

    # -- of a show

    async def simulcast(self, show_id: ShowId) -> wire.Simulcast:
        """Every destination, those that are switched off too. Raises UnknownShow."""
        async with self._database.read() as conn:
            show = await shows_store.by_id(conn, show_id)
            if show is None:
                raise UnknownShow("There is no such show. Check the address.")
            found = await store.all_of(conn)
            wanted = set(await store.switched_on(conn, show_id))
        health = {one.destination_id: one for one in self._simulcasts.legs(show_id)}
        is_kept_back = show.audience == "customers" and not show.is_over
        return wire.Simulcast(
            legs=[
                _kept_back(one)
                if is_kept_back and one.id in wanted
                else _leg(one, is_on=one.id in wanted, health=health.get(one.id))
                for one in found
            ]
        )

    async def switch(self, show_id: ShowId, destination_id: str, *, is_on: bool) -> wire.Simulcast:
        """Counts at once, also in mid-show. Raises UnknownShow, UnknownDestination, WrongState,
        ShowForCustomers, TooManyDestinations."""
        async with self._database.write() as tx:
            show = await locked_show(tx.conn, show_id)
            if await store.by_id(tx.conn, destination_id, for_update=True) is None:
                raise _unknown()
            if show.is_over and is_on:
                raise WrongState(
                    "This show is over; nothing of it is sent any more.",
                    data={"state": show.state, "allowed": ["draft", "scheduled", "live"]},
                )
            if show.audience == "customers" and is_on:
                raise ShowForCustomers(_FOR_CUSTOMERS)
            if is_on:
                others = set(await store.switched_on(tx.conn, show_id)) - {destination_id}
                if len(others) >= self._most_legs:
                    raise TooManyDestinations(
                        f"A show is sent to {self._most_legs} destinations at most;"
                        " switch another off first.",
                        data={"most": self._most_legs},
                    )
                await store.switch_on(tx.conn, show_id, destination_id, self._clock.now())
            else:
                await store.switch_off(tx.conn, show_id, destination_id)
            tx.notify(DestinationsChanged())
        await self._look_now()
        return await self.simulcast(show_id)

    # -- what the legs are told

    async def run(self) -> None:
        """Until cancelled. May be called again after it broke."""
        while True:
            self._wake.clear()
            try:
                await self.check()
            except StorageUnavailable as error:
                _log.warning("simulcast_guard_waits", reason=error.detail)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._check_seconds):
                    await self._wake.wait()

    async def check(self) -> None:
        """Say once more what the database says."""
        news = self._news
        known = self._simulcasts.shows()
        async with self._database.read() as conn:
            wanted = await store.of_live_shows(conn)
            live = await store.live_among(conn, known) if known else set()
        if news != self._news:
            return  # what was read may be older than what was said meanwhile; the next look tells
        for show_id in known:
            if show_id not in live:
                self._simulcasts.forget(show_id)
            elif show_id not in wanted:
                self._simulcasts.set_targets(show_id, ())
        for show_id, found in wanted.items():
            self._simulcasts.set_targets(show_id, self._targets(found))

    async def address_of(self, show_id: ShowId, target: Target) -> Address:
        """Of a target that has none of its own. Raises ConnectorError, ShopError."""
        if target.connection_id is None:
            raise NeedsAttention(
                "The stream key was stored under another server secret. Enter it again."
            )
        stage = await self._stage_of(target.connection_id)
        async with self._database.read() as conn:
            show = await shows_store.by_id(conn, show_id)
        if show is None:
            raise UnknownShow("There is no such show. Check the address.")
        languages = show.languages or self._settings.shop.languages
        told = await stage.target(
            StageShow(
                key=show.id,
                title=show.title,
                description=show.description,
                language=languages[0],
                starts_at=show.started_at or show.starts_at,
                link=f"{self._settings.public_url}/s/{show.id}",
            )
        )
        server_of(told.url)
        return Address(told.url, checked_key(told.key))

    # -- inside

    async def _look_now(self) -> None:
        """What was committed is there in any case: a look that fails comes again by itself."""
        with suppress(StorageUnavailable):
            await self.check()

    def _targets(self, found: Sequence[StoredDestination]) -> list[Target]:
        return [
            Target(one.id, one.name, self._address(one), one.connection_id)
            for one in found[: self._most_legs]
        ]

    def _address(self, one: StoredDestination) -> Address | None:
        if one.connection_id is not None or one.sealed_key is None:
            return None
        try:
            return Address(one.url, self._sealer.open(one.sealed_key))
        except SealedOtherwise:
            return None  # `address_of` says so

    def _checked_url(self, url: str) -> str:
        """Names are looked up when they are connected to."""
        url = url.strip()
        host = server_of(url).host
        is_open = self._settings.syndication.private_addresses
        if not is_open and outgoing.is_address(host) and not outgoing.is_public(host):
            raise BadDestination(
                "This is an address in a private network, and video is not sent there. The operator"
                " may allow it: syndication.private_addresses.",
                data={"field": "url"},
            )
        return url

    def _sealed(self, key: str | None) -> str:
        if key is None:
            raise BadDestination("The stream key is missing.", data={"field": "key"})
        return self._sealer.seal(checked_key(key))

    async def _check_connection(self, connection_id: str) -> None:
        """Raises BadDestination."""
        try:
            await self._stage_of(connection_id)
        except (ConnectorError, ShopError) as error:
            raise BadDestination(error.detail, data={"field": "connection_id"}) from None

    def _heard(self, _: object) -> None:
        self._news += 1
        self._wake.set()

    def _heard_of_audience(self, changed: AudienceChanged) -> None:
        if changed.audience == "customers":
            self._simulcasts.set_targets(changed.show_id, ())
        self._heard(changed)


def _unknown() -> UnknownDestination:
    return UnknownDestination("There is no such destination. It may have been removed.")


def _out(one: StoredDestination) -> wire.Destination:
    return wire.Destination(
        id=one.id,
        name=one.name,
        url=one.url,
        has_key=one.sealed_key is not None,
        connection_id=one.connection_id,
        created_at=one.created_at,
    )


def _kept_back(one: StoredDestination) -> wire.Leg:
    """It goes on by itself once the show is for everyone again."""
    leg = _leg(one, is_on=True, health=None)
    return msgspec.structs.replace(leg, state="refused", reason="customers", detail=_FOR_CUSTOMERS)


def _leg(one: StoredDestination, *, is_on: bool, health: LegHealth | None) -> wire.Leg:
    if not is_on or health is None:
        return wire.Leg(
            destination_id=one.id,
            name=one.name,
            is_on=is_on,
            state="waiting" if is_on else "off",
            since=None,
            kbit_per_second=None,
            left_out_seconds=0.0,
            reconnects=0,
            retry_at=None,
            reason=None,
            detail=None,
        )
    return wire.Leg(
        destination_id=one.id,
        name=one.name,
        is_on=True,
        state=health.state,
        since=health.since,
        kbit_per_second=health.kbit_per_second,
        left_out_seconds=round(health.left_out_seconds, 1),
        reconnects=health.reconnects,
        retry_at=health.retry_at,
        reason=health.reason,
        detail=health.detail,
    )
