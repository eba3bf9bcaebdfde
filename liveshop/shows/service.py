"""Everything that can be done with a show. One method, one use case, one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import rehearsing
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.wire import Product
from liveshop.customers import store as customers
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Forbidden, Invalid
from liveshop.kernel.ids import MediaId, ProductId, ReminderId, ShowId, StaffId, new_id
from liveshop.kernel.rehearsals import is_rehearsing, takes_part
from liveshop.kernel.text import clean_email, clean_line, clean_text
from liveshop.kernel.zones import time_zones
from liveshop.promotions.model import Stored, TheseVariants
from liveshop.promotions.service import PromotionService
from liveshop.settings import Settings
from liveshop.shows import model, reminders, store, wire
from liveshop.shows.model import Audience, CustomersOnly, Pin, Show, UnknownShow
from liveshop.shows.on_air import video_state
from liveshop.shows.rehearsals import Rehearsals
from liveshop.storage import Database, Tx
from liveshop.video.signing import PlaybackLinks, playlist_path, replay_path
from liveshop.web import Principal


class RemindersOff(Invalid):
    """This shop sends no mail, so it takes no addresses for it."""

    code = "reminders_off"


class ConsentMissing(Invalid):
    code = "consent_missing"


SendAway = Callable[[str], Awaitable[None]]
"""Everybody in a room has to come in anew. Must not raise."""


async def _send_nobody_away(_: str) -> None:
    return None


def room_of(show_id: ShowId) -> str:
    """A show's room has the show's id."""
    return str(show_id)


class ShowService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        catalog: CatalogDisplay,
        promotions: PromotionService,
        rehearsals: Rehearsals,
    ) -> None:
        self.rehearsals = rehearsals
        self._database = database
        self._clock = clock
        self._settings = settings
        self._catalog = catalog
        self._promotions = promotions
        self._links = PlaybackLinks(settings.server.secret, settings.video.link_hours)
        self._grace = timedelta(seconds=settings.video.grace_seconds)
        self.send_away: SendAway = _send_nobody_away
        time_zones()

    async def create_show(self, given: wire.ShowInput, *, by: StaffId | None = None) -> Show:
        """A draft. Raises BadShow, BadText, UnknownProduct."""
        now = self._clock.now()
        lineup = model.check_lineup([ProductId(one) for one in given.product_ids])
        new = Show(
            id=ShowId(new_id("shw", now)),
            title=clean_line(given.title, max_length=200, field="title"),
            description=clean_text(
                given.description, max_length=5000, field="description", empty=True
            ),
            state="draft",
            languages=model.check_languages(
                given.languages if given.languages is not None else self._settings.shop.languages
            ),
            time_zone=model.check_time_zone(given.time_zone),
            starts_at=None if given.starts_at is None else model.check_start(given.starts_at),
            started_at=None,
            ended_at=None,
            host_name=clean_line(given.host_name, max_length=100, field="host_name", empty=True),
            cover_id=given.cover_id,
            replay_url=(
                model.check_replay_url(given.replay_url) if given.replay_url is not None else None
            ),
            lineup=lineup,
            version=1,
            created_at=now,
            hold_mode=given.hold_mode,
            hold_seconds=given.hold_seconds,
            audience=given.audience,
        )
        async with self._database.write() as tx:
            await self._check_references(tx.conn, new)
            await store.add(tx.conn, new)
        return new

    async def change_show(self, show_id: ShowId, change: wire.ShowChange) -> Show:
        """Change what is given. Raises UnknownShow, BadShow, BadText."""
        async with self._database.write() as tx:
            before = await locked_show(tx.conn, show_id)
            changed = replace(before, **_cleaned(change), version=before.version + 1)
            if changed.state == "scheduled" and changed.starts_at is None:
                raise model.NoStart("An announced show keeps a start time. Make it a draft first.")
            await self._check_references(tx.conn, changed)
            await store.save(tx.conn, changed)
            if changed.state == "scheduled":
                await reminders.plan(tx, changed, self._settings.mail, self._clock)
            if changed.audience != before.audience and changed.rehearsal is None:
                tx.notify(model.AudienceChanged(show_id, changed.audience))
            is_narrowed = (before.audience, changed.audience) == ("everyone", "customers")
            if not is_narrowed:
                await self._publish_change(tx, changed)
        if is_narrowed:
            # Guests are in the room who must not read on; who may come back loads all anew.
            await self.send_away(room_of(show_id))
        return changed

    async def change_state(self, show_id: ShowId, to: model.ShowState) -> Show:
        """Move along the declared states; the offers of a show end with it.

        Raises UnknownShow, WrongState, NoStart, NoRecording.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            before = await locked_show(tx.conn, show_id)
            model.check_transition(before, to)
            rehearsal = None
            if before.rehearsal is not None:
                await self.rehearsals.end(tx, before, now)
            if to == "rehearsal":
                rehearsal = await self.rehearsals.start(tx, before, now)
            changed = replace(
                before,
                state=to,
                rehearsal=rehearsal,
                started_at=now if to == "live" else before.started_at,
                ended_at=now if (before.state, to) == ("live", "ended") else before.ended_at,
                version=before.version + 1,
            )
            await store.save(tx.conn, changed)
            # Those that came due during a rehearsal were put off until its end.
            if "scheduled" in (to, before.rehearsal and before.rehearsal.came_from):
                await reminders.plan(tx, changed, self._settings.mail, self._clock)
            if to == "live":
                tx.notify(model.ShowStarted(show_id))
            if before.state == "live":
                tx.notify(model.ShowEnded(show_id))
                await self._stop_running_offers(tx, show_id, now)
            turned = rehearsal or before.rehearsal
            if turned is None:
                await self._tell_change(tx, before, changed, now)
        if turned is not None:
            # Who is in the room must not read on; who may come back loads all anew.
            await self.rehearsals.empty(turned, self.send_away)
        return changed

    async def _tell_change(self, tx: Tx, before: Show, changed: Show, now: datetime) -> None:
        await self._publish_change(tx, changed)
        # What came before the show went live is seen from now on, and nothing after its end.
        seen_before = await video_state(tx.conn, before, self._grace)
        seen = await video_state(tx.conn, changed, self._grace)
        if seen != seen_before:
            tx.publish(room_of(changed.id), "video.changed", seen, at=now)

    async def _stop_running_offers(self, tx: Tx, show_id: ShowId, now: datetime) -> None:
        running = [
            stored
            for stored in await self._promotions.of_show(tx.conn, show_id, now)
            if model.is_offer(stored.promotion) and stored.promotion.period.holds(now)
        ]
        await stop_offers(tx, self._promotions, self._catalog, show_id, running, now)

    async def set_lineup(self, show_id: ShowId, product_ids: Sequence[ProductId]) -> Show:
        """Put products in this order. A pinned product that leaves the lineup is unpinned."""
        now = self._clock.now()
        async with self._database.write() as tx:
            before = await locked_show(tx.conn, show_id)
            changed = replace(
                before, lineup=model.check_lineup(product_ids), version=before.version + 1
            )
            await self._check_references(tx.conn, changed)
            await store.save(tx.conn, changed)
            await store.set_lineup(tx.conn, show_id, changed.lineup)
            pins = await store.recent_pins(tx.conn, show_id)
            if pins and pins[-1].product_id and pins[-1].product_id not in changed.lineup:
                await self._unpin(tx, show_id, now)
            if changed.rehearsal is not None:
                shelf = changed.rehearsal.shelf
                await rehearsing.fill(tx.conn, shelf, changed.lineup, now)
            show = await self.show_out(tx.conn, changed)
            products = await self.products_out(tx.conn, changed)
            tx.publish(
                room_of(show_id), "lineup.changed", wire.LineupChanged(show, products), at=now
            )
        return changed

    async def pin_product(self, show_id: ShowId, product_id: ProductId) -> Pin:
        """Bring a product into focus now. Raises UnknownShow, ShowNotLive, NotInLineup."""
        async with self._database.write() as tx:
            show = await locked_show(tx.conn, show_id)
            model.check_pin(show, product_id)
            pin = Pin(product_id, self._clock.now())
            await store.add_pin(tx.conn, show_id, pin)
            tx.publish(
                room_of(show_id),
                "product.pinned",
                wire.ProductPinned(product_id, pin.at),
                at=pin.at,
            )
        return pin

    async def unpin_product(self, show_id: ShowId) -> Pin:
        async with self._database.write() as tx:
            await locked_show(tx.conn, show_id)
            return await self._unpin(tx, show_id, self._clock.now())

    async def _unpin(self, tx: Tx, show_id: ShowId, now: datetime) -> Pin:
        pin = Pin(None, now)
        await store.add_pin(tx.conn, show_id, pin)
        tx.publish(room_of(show_id), "product.unpinned", wire.ProductUnpinned(now), at=now)
        return pin

    async def show_for(self, show_id: ShowId, who: Principal) -> Show:
        """A show as far as `who` may know of it. Raises UnknownShow for drafts of others too,
        CustomersOnly."""
        async with self._database.read() as conn:
            return await self.visible(conn, show_id, who)

    async def door(self, show_id: ShowId) -> Callable[[Principal], Show]:
        """What decides, as it is now, who may know of a show; raises what `show_for` does."""
        async with self._database.read() as conn:
            show = await store.by_id(conn, show_id)
        return lambda who: as_seen_by(show, who)

    async def visible(self, conn: AsyncConnection, show_id: ShowId, who: Principal) -> Show:
        return await visible_show(conn, show_id, who)

    async def list_shows(self, state: model.ShowState | None, who: Principal) -> list[wire.Show]:
        states: list[model.ShowState] = [state] if state else list(model.TRANSITIONS)
        if not who.may("shows:read"):
            if state in ("draft", "rehearsal"):
                raise Forbidden("Drafts and rehearsals are for the shop's staff.")
            states = [one for one in states if one in model.PUBLIC_STATES]
        if is_rehearsing(who.id):
            return []
        async with self._database.read() as conn:
            shows = await store.listed(conn, states=states, audiences=audiences_of(who))
            return [await self.show_out(conn, show) for show in shows]

    async def sign_up_for_reminder(
        self, show_id: ShowId, given: wire.ReminderInput, who: Principal
    ) -> wire.Reminder:
        """Keep an address for one mail before the show, with the wording that was agreed to."""
        now = self._clock.now()
        if not self._settings.mail.is_configured:
            raise RemindersOff("This shop sends no mail; put the show into your calendar instead.")
        if not given.consent:
            raise ConsentMissing("Tick the box to agree to one mail.", data={"field": "consent"})
        email = clean_email(given.email).lower()
        async with self._database.write() as tx:
            show = await self.visible(tx.conn, show_id, who)
            if show.state != "scheduled":
                raise model.WrongState(
                    "Reminders are for shows that have not begun.",
                    data={"state": show.state, "allowed": ["scheduled"]},
                )
            reminder_id = await store.add_reminder(
                tx.conn,
                reminder_id=ReminderId(new_id("rem", now)),
                show_id=show_id,
                email=email,
                language=given.language,
                now=now,
            )
            await customers.add_consent(
                tx.conn,
                subject=email,
                purpose=reminders.purpose_of(show_id),
                wording=clean_text(given.wording, max_length=1000, empty=True),
                now=now,
            )
        return wire.Reminder(id=reminder_id, show_id=show_id, email=email)

    async def show_out(self, conn: AsyncConnection, show: Show) -> wire.Show:
        covers = await self._catalog.images(conn, [MediaId(show.cover_id)] if show.cover_id else [])
        named: str = show.id
        if show.rehearsal is not None:
            named = self._links.rehearsal(show.id, show.rehearsal.id, self._clock.now())
        elif show.audience == "customers":
            named = self._links.signed(show.id, self._clock.now())
        return wire.Show.of(
            show,
            public_url=self._settings.public_url,
            covers=covers,
            hls_path=playlist_path(named),
            replay_path=replay_path(named),
        )

    async def video_out(self, conn: AsyncConnection, show: Show) -> wire.VideoState:
        """Whether viewers see the host now."""
        return await video_state(conn, show, self._grace)

    async def products_out(self, conn: AsyncConnection, show: Show) -> list[Product]:
        """The lineup, at the prices of this show, and what there is of it for its buyers."""
        now = self._clock.now()
        return await self._catalog.products(
            conn, show.lineup, now, show_id=show.id, rehearsal=show.shelf
        )

    async def _publish_change(self, tx: Tx, changed: Show) -> None:
        show = await self.show_out(tx.conn, changed)
        tx.publish(
            room_of(changed.id), "show.changed", wire.ShowChanged(show), at=self._clock.now()
        )

    async def _check_references(self, conn: AsyncConnection, show: Show) -> None:
        await self._catalog.check_products(conn, show.lineup)
        if show.cover_id:
            await self._catalog.check_media(conn, MediaId(show.cover_id))


def audiences_of(who: Principal) -> Sequence[Audience]:
    """The audiences somebody belongs to. A guest's token says nothing about who he is."""
    if who.kind == "customer" or who.may("shows:read"):
        return model.AUDIENCES
    return ("everyone",)


def takes_part_in(show: Show, who: Principal) -> bool:
    """Whether somebody was invited to the rehearsal that the show is in."""
    return show.rehearsal is not None and takes_part(who.id, show.rehearsal.id)


async def visible_show(conn: AsyncConnection, show_id: ShowId, who: Principal) -> Show:
    """A show as far as `who` may know of it. Raises UnknownShow for drafts and rehearsals of others
    too, CustomersOnly. Guests of a rehearsal know of no other show."""
    return as_seen_by(await store.by_id(conn, show_id), who)


def as_seen_by(show: Show | None, who: Principal) -> Show:
    """The rules of `visible_show`; None: there is no such show."""
    if show is not None and takes_part_in(show, who):
        return show
    is_elsewhere = is_rehearsing(who.id)
    if show is None or is_elsewhere or not (show.is_public or who.may("shows:read")):
        raise UnknownShow("There is no such show. Check the address.")
    if show.audience not in audiences_of(who):
        raise CustomersOnly(
            "This show is for customers of the shop. Sign in at the shop and open it from there.",
            data={"show_id": show.id},
        )
    return show


async def locked_show(conn: AsyncConnection, show_id: ShowId) -> Show:
    """A show that nobody else changes until the commit. Raises UnknownShow."""
    show = await store.by_id(conn, show_id, for_update=True)
    if show is None:
        raise UnknownShow("There is no such show. Check the address.")
    return show


async def stop_offers(
    tx: Tx,
    promotions: PromotionService,
    catalog: CatalogDisplay,
    show_id: ShowId,
    running: Sequence[Stored],
    now: datetime,
) -> None:
    """End these offers of a show now, and tell its room what their products cost without them."""
    if not running:
        return
    await promotions.end(tx, [stored.promotion.id for stored in running], now)
    ended = await offers_out(tx.conn, running, now)
    product_ids = list(dict.fromkeys(ProductId(offer.product_id) for offer in ended))
    show = await locked_show(tx.conn, show_id)
    shown = await catalog.products(tx.conn, product_ids, now, show_id=show_id, rehearsal=show.shelf)
    products = {product.id: product for product in shown}
    for offer in ended:
        event = wire.OfferEnded(offer.id, products[offer.product_id], "stopped")
        tx.publish(room_of(show_id), "offer.ended", event, at=now)


async def offers_out(
    conn: AsyncConnection, offers: Sequence[Stored], now: datetime
) -> list[wire.Offer]:
    """Promotions that are offers (`model.is_offer`), each with the product it is for."""
    picked = {
        variant_id
        for stored in offers
        if isinstance(stored.promotion.products, TheseVariants)
        for variant_id in stored.promotion.products.variant_ids
    }
    owners = await store.products_of_variants(conn, picked)
    return [wire.Offer.of(stored, owners, now) for stored in offers]


def _cleaned(change: wire.ShowChange) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET
    }
    if "title" in given:
        given["title"] = clean_line(given["title"], max_length=200, field="title")
    if "description" in given:
        given["description"] = clean_text(
            given["description"], max_length=5000, field="description", empty=True
        )
    if "host_name" in given:
        given["host_name"] = clean_line(
            given["host_name"], max_length=100, field="host_name", empty=True
        )
    if "languages" in given:
        given["languages"] = model.check_languages(given["languages"])
    if "time_zone" in given:
        given["time_zone"] = model.check_time_zone(given["time_zone"])
    if given.get("starts_at"):
        given["starts_at"] = model.check_start(given["starts_at"])
    if given.get("replay_url"):
        given["replay_url"] = model.check_replay_url(given["replay_url"])
    return given
