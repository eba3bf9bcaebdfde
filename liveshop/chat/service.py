"""The chat's use cases, one transaction each.

Sanctions are read from the database with every message, so that a ban made on any node holds from
the next message on. A banned viewer may go on watching: the ban is the chat's, not the shop's, and
a closed connection would only tell a spammer that it is time for a new guest token.

Events carry wire structs, so here `wire` lies below `service`, not above it.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import people_store, store, wire
from liveshop.chat.model import (
    ADDRESS_BAN,
    SHOP_WIDE,
    Limits,
    NoSuchMessage,
    NoSuchViewer,
    NotAChatter,
    NotYourMessage,
    Role,
    RoomRules,
    address_mark,
)
from liveshop.chat.posting import Posting, Saying, ShowState, ViewerNames
from liveshop.kernel.clock import Clock, bounded, rfc3339
from liveshop.kernel.errors import Forbidden, NotFound
from liveshop.kernel.ids import MessageId, ShowId, ViewerId
from liveshop.kernel.rehearsals import GUEST, is_rehearsing
from liveshop.settings import ChatSettings
from liveshop.storage import Database, Tx
from liveshop.web.access import Principal

SNAPSHOT_MESSAGES = 50
PAGE_MESSAGES = 100
REPLAY_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class ChatCounts:
    messages: int
    hearts: int


class ChatService:
    """`secret` keys the marks kept of network addresses; changing it forgets them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: ChatSettings,
        *,
        viewer_names: ViewerNames,
        show_state: ShowState,
        secret: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._show_state = show_state
        self._default_rules = RoomRules(
            settings.slow_mode_seconds, settings.links_allowed, paused=False
        )
        self._posting = Posting(
            database,
            clock,
            Limits(settings.max_length, settings.rate_per_10_seconds),
            self._default_rules,
            viewer_names=viewer_names,
            show_state=show_state,
        )
        self._address_key = hmac.new(
            secret.encode(), b"liveshop chat addresses", hashlib.sha256
        ).digest()

    # -- writing

    async def post_message(
        self, show_id: ShowId, who: Principal, text: str, *, address: str
    ) -> MessageId:
        """Say something. Raises what `judge_message` raises, NotFound, NotAChatter."""
        mark = address_mark(address, self._address_key) if who.is_viewer else None
        return await self._posting.say(show_id, Saying(who, _role(who), text, mark))

    async def delete_message(self, show_id: ShowId, who: Principal, message_id: MessageId) -> None:
        """Delete one's own message (its text is erased) or, as a moderator, anybody's (it stays
        in the record, so that the decision can be looked at again). Twice is once."""
        now = self._clock.now()
        async with self._database.write() as tx:
            message = await self._message(tx.conn, show_id, message_id)
            is_own = message.author_id == who.id
            if not is_own and not who.may("chat:moderate"):
                raise NotYourMessage("You can delete your own messages only.")
            if await store.delete_message(tx.conn, message_id, by=who.id, now=now, erase=is_own):
                deleted = wire.MessageDeleted(message_id=message_id)
                tx.publish(show_id, "chat.deleted", deleted, at=now)
                await self._unpin(tx, show_id, [message_id])

    # -- moderating

    async def mute(
        self, show_id: ShowId, by: Principal, viewer_id: ViewerId, *, seconds: int
    ) -> wire.Sanction:
        """Silence a viewer in this show for a while. Raises NoSuchViewer, Forbidden (staff)."""
        now = self._clock.now()
        async with self._database.write() as tx:
            name, _ = await self._sanctionable(tx.conn, show_id, viewer_id)
            sanction = people_store.Sanction(
                viewer_id=viewer_id,
                scope=show_id,
                kind="mute",
                name=name,
                until=now + timedelta(seconds=seconds),
                by_id=by.id,
                by_name=by.name,
                at=now,
            )
            await people_store.put_sanction(tx.conn, sanction)
            self._publish_sanction(tx, show_id, sanction)
        return wire.Sanction.of(sanction)

    async def ban(self, show_id: ShowId, by: Principal, viewer_id: ViewerId) -> wire.Sanction:
        """Ban a viewer from every chat of the shop and blank what they wrote in this show.

        For a day the ban also covers guests who are new at the same network address, as a new
        guest token is free. Customers there, and guests who were already writing, are not meant.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            # A new guest at the same address, or the same one in another show, may be writing at
            # this moment on another node: what he is told after this is told with the ban in mind.
            await people_store.wait_for_writers(tx.conn)
            name, mark = await self._sanctionable(tx.conn, show_id, viewer_id)
            sanction = people_store.Sanction(
                viewer_id=viewer_id,
                scope=SHOP_WIDE,
                kind="ban",
                name=name,
                until=None,
                by_id=by.id,
                by_name=by.name,
                at=now,
                address_mark=mark,
                address_until=now + ADDRESS_BAN if mark is not None else None,
            )
            await people_store.put_sanction(tx.conn, sanction)
            blanked = await store.delete_all_of(tx.conn, show_id, viewer_id, by=by.id, now=now)
            self._publish_sanction(tx, show_id, sanction)
            await self._unpin(tx, show_id, blanked)
        return wire.Sanction.of(sanction)

    async def lift(self, show_id: ShowId, viewer_id: ViewerId) -> None:
        """Take back mute and ban. What was blanked stays blank. Without a sanction: nothing."""
        now = self._clock.now()
        async with self._database.write() as tx:
            if await people_store.lift(tx.conn, show_id, viewer_id):
                lifted = wire.ViewerSanctioned(viewer_id=viewer_id, kind="lifted", until=None)
                tx.publish(show_id, "chat.sanctioned", lifted, at=now)

    async def pin_message(self, show_id: ShowId, message_id: MessageId | None) -> None:
        """Keep one message on top, or none. Raises NoSuchMessage, also for a deleted one."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await self._state(tx.conn, show_id)
            shown = None
            if message_id is not None:
                message = await self._message(tx.conn, show_id, message_id)
                if message.deleted_at is not None:
                    raise NoSuchMessage("This message was deleted.")
                shown = wire.ChatMessage.of(message)
            await store.ensure_room(tx.conn, show_id, default=self._default_rules)
            await store.update_room(tx.conn, show_id, {"pinned_message_id": message_id})
            pinned = wire.MessagePinned(message=shown)
            tx.publish(show_id, "chat.message_pinned", pinned, at=now)

    async def configure(
        self,
        show_id: ShowId,
        *,
        slow_mode_seconds: int | None = None,
        links_allowed: bool | None = None,
        paused: bool | None = None,
    ) -> wire.ChatSettings:
        """Change the room's rules; None keeps what is there."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await self._state(tx.conn, show_id)
            await store.ensure_room(tx.conn, show_id, default=self._default_rules)
            rules = (await store.room(tx.conn, show_id, default=self._default_rules)).rules
            if slow_mode_seconds is not None:
                rules = replace(rules, slow_mode_seconds=slow_mode_seconds)
            if links_allowed is not None:
                rules = replace(rules, links_allowed=links_allowed)
            if paused is not None:
                rules = replace(rules, paused=paused)
            await store.update_room(
                tx.conn,
                show_id,
                {
                    "slow_mode_seconds": rules.slow_mode_seconds,
                    "links_allowed": rules.links_allowed,
                    "paused": rules.paused,
                },
            )
            settings = wire.ChatSettings.of(rules)
            configured = wire.ChatConfigured(settings=settings)
            tx.publish(show_id, "chat.configured", configured, at=now)
        return settings

    async def add_hearts(self, show_id: str, added: int) -> int:
        """Keep hearts; the total. Called by the hub, at most once a second for a room."""
        async with self._database.write() as tx:
            show = ShowId(show_id)
            await store.ensure_room(tx.conn, show, default=self._default_rules)
            return await store.add_hearts(tx.conn, show, added)

    async def forget_addresses(self) -> None:
        """Housekeeping, hourly: nothing is kept of an address longer than a ban can use it."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await people_store.forget_addresses(tx.conn, now - ADDRESS_BAN, now)

    # -- reading

    async def recent(self, conn: AsyncConnection, show_id: ShowId) -> wire.ChatSnapshot:
        """The chat's part of a snapshot."""
        room = await store.room(conn, show_id, default=self._default_rules)
        messages = await store.messages(conn, show_id, limit=SNAPSHOT_MESSAGES)
        pinned = None
        if room.pinned_message_id is not None:
            pinned = await store.message(conn, show_id, room.pinned_message_id)
        return wire.ChatSnapshot(
            messages=[wire.ChatMessage.of(message) for message in messages],
            pinned=None if pinned is None else wire.ChatMessage.of(pinned),
            settings=wire.ChatSettings.of(room.rules),
        )

    async def hearts(self, conn: AsyncConnection, show_id: ShowId) -> int:
        return (await store.room(conn, show_id, default=self._default_rules)).hearts

    async def counts(self, conn: AsyncConnection, show_id: ShowId) -> ChatCounts:
        room = await store.room(conn, show_id, default=self._default_rules)
        return ChatCounts(await store.count_messages(conn, show_id), room.hearts)

    async def history(
        self, show_id: ShowId, *, before: MessageId | None = None
    ) -> list[wire.ChatMessage]:
        """A page for moderators, oldest first: with the texts moderators deleted."""
        async with self._database.read() as conn:
            await self._state(conn, show_id)
            found = await store.messages(conn, show_id, limit=PAGE_MESSAGES, before=before)
        return [wire.ChatMessage.of(message, for_moderators=True) for message in found]

    async def said_between(
        self,
        show_id: ShowId,
        from_at: datetime | None,
        until_at: datetime | None,
        *,
        within: tuple[datetime | None, datetime | None] = (None, None),
    ) -> list[wire.ChatMessage]:
        """What was said from a moment on and before another one, for whoever may see the show: the
        first of it, in order of time. `within`: what of the show they may see."""
        starts = [bounded(at) for at in (from_at, within[0]) if at is not None]
        stops = [bounded(at) for at in (until_at, within[1]) if at is not None]
        async with self._database.read() as conn:
            found = await store.messages_between(
                conn,
                show_id,
                from_at=max(starts, default=None),
                until_at=min(stops, default=None),
                limit=REPLAY_MESSAGES,
            )
        return [wire.ChatMessage.of(message) for message in found]

    async def sanctions(self, show_id: ShowId) -> list[wire.Sanction]:
        """What is in force in a show: its mutes and the bans of the shop, newest first."""
        async with self._database.read() as conn:
            await self._state(conn, show_id)
            found = await people_store.sanctions(conn, show_id, self._clock.now())
        return [wire.Sanction.of(sanction) for sanction in found]

    # -- shared

    async def _state(self, conn: AsyncConnection, show_id: ShowId) -> str:
        state = await self._show_state(conn, show_id)
        if state is None:
            raise NotFound("There is no such show.")
        return state

    async def _message(
        self, conn: AsyncConnection, show_id: ShowId, message_id: MessageId
    ) -> store.Message:
        message = await store.message(conn, show_id, message_id)
        if message is None:
            raise NoSuchMessage("There is no such message in this show.")
        return message

    async def _sanctionable(
        self, conn: AsyncConnection, show_id: ShowId, viewer_id: ViewerId
    ) -> tuple[str, str | None]:
        """Name and address mark of a viewer who wrote here."""
        if not viewer_id.startswith(("gst_", "cus_", f"{GUEST}_")):
            raise Forbidden("Staff cannot be muted or banned; change their role instead.")
        known = await people_store.lock_author(conn, show_id, viewer_id)
        if known is None:
            raise NoSuchViewer("Nobody with this id has written in this show.")
        # What is practised in a rehearsal does not keep a neighbour out of the shop's chats.
        return (known[0], None) if is_rehearsing(viewer_id) else known

    def _publish_sanction(self, tx: Tx, show_id: ShowId, sanction: people_store.Sanction) -> None:
        event = wire.ViewerSanctioned(
            viewer_id=sanction.viewer_id,
            kind=sanction.kind,
            until=None if sanction.until is None else rfc3339(sanction.until),
        )
        tx.publish(show_id, "chat.sanctioned", event, at=sanction.at)

    async def _unpin(self, tx: Tx, show_id: ShowId, message_ids: list[str]) -> None:
        if message_ids and await store.unpin(tx.conn, show_id, message_ids):
            unpinned = wire.MessagePinned(message=None)
            tx.publish(show_id, "chat.message_pinned", unpinned, at=self._clock.now())


def _role(who: Principal) -> Role:
    """Whoever may change shows speaks as the host, whoever may moderate as a moderator."""
    if who.kind == "guest":
        return "guest"
    if who.kind == "customer":
        return "customer"
    if who.may("shows:write"):
        return "host"
    if who.may("chat:moderate"):
        return "moderator"
    raise NotAChatter("This account has no part in the chat.")
