"""Sends the posts of a connection that are due, and looks whether they are to be seen.

Most channels have no key that makes a post happen once. So what is sent is written down before the
request, and a post whose answer was not heard is looked for on the channel until it is found or
cannot come any more; only then is it sent again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from liveshop.connect import (
    NeedsAttention,
    OutcomeUnknown,
    Post,
    Poster,
    PostReceipt,
    RetryLater,
    SkipListing,
)
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid, NotFound
from liveshop.kernel.jitter import jittered
from liveshop.shows import store as shows
from liveshop.storage import Database
from liveshop.syndication import connection_store, post_store
from liveshop.syndication.compose import Composer, created_at
from liveshop.syndication.model import Connection, PostState
from liveshop.syndication.post_model import Missed, PostRow, Wait, hindrance, moment_of
from liveshop.syndication.runtime import OpenConnections

PUBLISH_SECONDS = 120.0
GRACE = timedelta(minutes=5)
"""A post that a request left behind can turn up for so long: longer than any request lasts, and
than channels take to show it."""
NEVER_SEEN = timedelta(minutes=15)
"""What a channel has accepted and not shown for so long, it will not show."""
READ_FOR = timedelta(days=30)
"""After that nobody asks any more whether a post is still there."""
MOST_ATTEMPTS = 20
_LOOK_AGAIN = timedelta(seconds=20)
_LOOK_IN_VAIN = timedelta(hours=1)
_WAIT = timedelta(minutes=1)
_READ_SENT = timedelta(minutes=1)
_READ_LIVE = timedelta(hours=12)
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(minutes=15)
_UNHEARD = "No answer came from the channel. We look whether the post is there."
_COMES_FROM: Mapping[PostState, tuple[PostState, ...]] = {
    "scheduled": ("scheduled", "sending", "unclear"),
    "unclear": ("sending", "unclear"),
    "sent": ("sending", "unclear", "sent"),
    "live": ("sent", "live"),
    "removed": ("sent", "live"),
    "refused": ("scheduled", "sending", "unclear"),
    "cancelled": ("scheduled",),
}


class PostTurns:
    """Give `turn` to the runner for the role `poster`, and `follow_shows` as a step before."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        composer: Composer,
        open_connections: OpenConnections,
    ) -> None:
        self._database = database
        self._clock = clock
        self._composer = composer
        self._open = open_connections

    async def turn(self, connection: Connection) -> datetime | None:
        """Everything that is due on this connection, one after another. Nobody else may work on it
        meanwhile. Raises ConnectorError, ShopError."""
        poster: Poster = await self._open.get(connection.id)
        async with self._database.read() as conn:
            now = self._clock.now()
            # Nobody sends now, so what is being sent was left by a process that died.
            left = await post_store.due(conn, connection.id, ("sending",), None)
            unclear = await post_store.due(conn, connection.id, ("unclear",), now)
        for row in [*left, *unclear]:
            await self._settle(row, poster)
        async with self._database.read() as conn:
            due = await post_store.due(conn, connection.id, ("scheduled",), self._clock.now())
        for row in due:
            await self._send(row, connection, poster)
        await self._read_back(connection, poster)
        async with self._database.read() as conn:
            return await post_store.next_due(conn, connection.id)

    async def follow_shows(self) -> None:
        """Make posts due whose show has come to what they wait for, and move those whose show was
        moved. Cheap where nothing is to be done; also sees what other processes did."""
        async with self._database.read() as conn:
            left = await post_store.without_connection(conn)
            waiting = await post_store.following_shows(conn)
            show_ids = sorted({row.show_id for row in waiting if row.show_id is not None})
            stand = {show_id: await shows.by_id(conn, show_id) for show_id in show_ids}
            pinned_shows = {row.show_id for row in waiting if row.timing == "on_pin"}
            pins = await post_store.pins_of(conn, [one for one in show_ids if one in pinned_shows])
        for row in left:
            reason = "The channel was disconnected."
            await self._put(row, "cancelled", reason=reason, due_at=None)
        now = self._clock.now()
        for row in waiting:
            show = None if row.show_id is None else stand[row.show_id]
            if show is None:
                continue
            why_not = hindrance(row, show, now)
            if isinstance(why_not, Missed):
                await self._put(row, "cancelled", reason=why_not.reason, due_at=None)
                continue
            moment = moment_of(row, show, pins.get(show.id, {}), now)
            if moment != row.send_at:
                await self._move_moment(row, moment, now)

    async def _move_moment(self, row: PostRow, moment: datetime | None, now: datetime) -> None:
        async with self._database.write() as tx:
            moved = await post_store.move(
                tx.conn, row.id, expected=("scheduled",), send_at=moment, due_at=moment
            )
            if moved and moment is not None:
                await connection_store.set_turn(tx.conn, row.connection_id, due_at=now)

    # Sending

    async def _send(self, row: PostRow, connection: Connection, poster: Poster) -> None:
        """One attempt at a post that is due, unless its moment is not there or has passed."""
        now = self._clock.now()
        async with self._database.read() as conn:
            show = None if row.show_id is None else await shows.by_id(conn, row.show_id)
        match hindrance(row, show, now):
            case Wait(reason):
                await self._put(row, "scheduled", reason=reason, due_at=now + _WAIT)
                return
            case Missed(reason):
                await self._put(row, "cancelled", reason=reason, due_at=None)
                return
        try:
            composed = await self._composer.compose(row, connection, poster, now)
            post = await _with_bytes(composed.post)
        except (Invalid, NotFound) as error:
            await self._put(row, "refused", reason=error.detail, due_at=None)
            return
        except Exception:
            # Whatever it is, the posts after this one need not wait for it.
            await self._put(row, "scheduled", due_at=now + _WAIT)
            raise
        if composed.is_price_changing:
            reason = "The price is changing on the channels. The post waits for it."
            await self._put(row, "scheduled", reason=reason, due_at=now + _LOOK_AGAIN)
            return
        if await self._claim(row, post, now):
            await self._publish(row, post, poster)

    async def _claim(self, row: PostRow, post: Post, now: datetime) -> bool:
        """Write down what is about to be sent: from here on nobody can say that it was not.
        Whether it was still there to be sent, on a connection that nobody has paused meanwhile."""
        async with self._database.write() as tx:
            if not await connection_store.is_active(tx.conn, row.connection_id):
                return False
            return await post_store.move(
                tx.conn,
                row.id,
                expected=("scheduled",),
                state="sending",
                since=now,
                reason=None,
                text=post.text,
                link=post.link,
                sending_at=row.sending_at or now,
                attempts=row.attempts + 1,
                due_at=now,
            )

    async def _publish(self, row: PostRow, post: Post, poster: Poster) -> None:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                receipt = await poster.publish(post)
        except (OutcomeUnknown, TimeoutError):
            await self._unheard(row)
        except RetryLater as later:
            await self._not_now(row, later.detail, self._clock.now() + _pause(row, later))
            raise
        except SkipListing as refused:
            await self._put(row, "refused", reason=refused.detail, due_at=None)
        except NeedsAttention as person:
            await self._not_now(row, person.detail, self._clock.now())
            raise
        except Exception:  # a fault of the connector says nothing about what it has done
            await self._unheard(row)
            raise
        else:
            await self._sent(row, receipt)

    async def _sent(self, row: PostRow, receipt: PostReceipt) -> None:
        await self._put(
            row,
            "sent",
            reason=None,
            due_at=self._clock.now() + _READ_SENT,
            remote_id=receipt.remote_id,
            remote_url=receipt.url,
        )

    async def _unheard(self, row: PostRow) -> None:
        due_at = self._clock.now() + _LOOK_AGAIN
        await self._put(row, "unclear", reason=_UNHEARD, due_at=due_at)

    async def _not_now(self, row: PostRow, reason: str, due_at: datetime) -> None:
        """Nothing was done on the channel: as before this attempt, without what it would have
        said, which is read again."""
        await self._put(
            row,
            "scheduled",
            reason=reason,
            due_at=due_at,
            text=None,
            link=None,
            sending_at=row.sending_at,
        )

    # Looking

    async def _settle(self, row: PostRow, poster: Poster) -> None:
        """Find out what became of a post whose answer was not heard."""
        now = self._clock.now()
        if row.state == "sending":
            await self._unheard(row)
        try:
            receipt = await poster.find(_as_sent(row, now))
        except SkipListing as blind:
            reason = f"{_UNHEARD} {blind.detail}"
            await self._put(row, "unclear", reason=reason, due_at=now + _LOOK_IN_VAIN)
            return
        except Exception:
            await self._put(row, "unclear", due_at=now + _LOOK_AGAIN)
            raise
        tried_at = row.since
        if receipt is not None:
            await self._sent(row, receipt)
        elif now < tried_at + GRACE:
            wait = max(_LOOK_AGAIN, now - tried_at)  # longer each time: some channels charge for it
            await self._put(row, "unclear", due_at=min(now + wait, tried_at + GRACE))
        elif row.attempts >= MOST_ATTEMPTS:
            reason = f"It was tried {row.attempts} times, and never came to be there."
            await self._put(row, "refused", reason=reason, due_at=None)
        else:
            await self._put(row, "scheduled", reason=None, due_at=now, text=None, link=None)

    # Reading back

    async def _read_back(self, connection: Connection, poster: Poster) -> None:
        now = self._clock.now()
        async with self._database.read() as conn:
            rows = await post_store.due(conn, connection.id, ("sent", "live"), now)
        if not rows:
            return
        ids = [row.remote_id for row in rows if row.remote_id is not None]
        try:
            there = set(await poster.exists(ids))
        except SkipListing as blind:  # it cannot be seen from here
            for row in rows:
                await self._put(row, row.state, reason=blind.detail, due_at=None)
            return
        for row in rows:
            await self._seen(row, row.remote_id in there, now)

    async def _seen(self, row: PostRow, is_there: bool, now: datetime) -> None:
        if is_there:
            is_old = row.state == "live" and now - row.since > READ_FOR
            due_at = None if is_old else now + _READ_LIVE
            await self._put(row, "live", reason=None, due_at=due_at, read_at=now)
        elif row.state == "sent" and now - row.since < NEVER_SEEN:
            await self._put(row, "sent", due_at=now + _READ_SENT, read_at=now)
        else:
            reason = (
                "The channel took it, but does not show it."
                if row.state == "sent"
                else "It is no longer on the channel, and not because of us."
            )
            await self._put(row, "removed", reason=reason, due_at=None, read_at=now)

    async def _put(self, row: PostRow, state: PostState, **values: object) -> None:
        """Move a post on. What is unclear is so since it was tried."""
        if state not in (row.state, "unclear"):
            values["since"] = self._clock.now()
        async with self._database.write() as tx:
            await post_store.move(
                tx.conn, row.id, expected=_COMES_FROM[state], state=state, **values
            )


async def _with_bytes(post: Post) -> Post:
    """The post with its pictures read: what is wrong with them comes to light before anything is
    sent. Raises MediaUnavailable."""
    images = []
    for image in post.images:
        content = await image.read()
        images.append(replace(image, read=partial(_given, content)))
    return replace(post, images=tuple(images))


async def _given(content: bytes) -> bytes:
    return content


def _as_sent(row: PostRow, now: datetime) -> Post:
    """The post as it was written down before it was sent."""
    return Post(
        key=row.id,
        kind=row.kind,
        text=row.text or "",
        language=row.language,
        created_at=created_at(row, now),
        link=row.link,
        is_paid_partnership=row.is_paid_partnership,
    )


def _pause(row: PostRow, later: RetryLater) -> timedelta:
    """As long as the channel asked for, or longer each time. With jitter on top, never less."""
    asked = None if later.after is None else timedelta(seconds=max(1.0, later.after))
    wait: timedelta = asked or min(_FIRST_WAIT * 2 ** min(row.attempts, 10), _LONGEST_WAIT)
    return jittered(wait, 1.0, 1.1)
