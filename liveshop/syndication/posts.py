"""What merchants do with posts: preview, schedule, cancel, take off, see what became of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.connect import ConnectorError, Poster, PostKind, RetryLater
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ProductId, ShowId, new_id
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import Show, UnknownShow
from liveshop.storage import Database, Tx
from liveshop.syndication import connection_store, post_store, wire
from liveshop.syndication.caption_templates import house_template
from liveshop.syndication.compose import Composed, Composer
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    PostId,
    PostSent,
    UnknownConnection,
    UnknownPost,
    WrongRole,
)
from liveshop.syndication.post_model import (
    TIMING_OF,
    BadPost,
    ChannelAway,
    ChannelRefuses,
    PostRow,
    check_moment,
    check_parts,
    check_timing,
    hindrance,
)
from liveshop.syndication.runtime import OpenConnections

_NEVER_SENT = ("cancelled", "refused")


class PostService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        composer: Composer,
        open_connections: OpenConnections,
    ) -> None:
        self._database = database
        self._clock = clock
        self._languages = settings.shop.languages
        self._composer = composer
        self._open = open_connections

    async def preview(self, given: wire.PostInput) -> wire.PostPreview:
        """What would be sent now. Raises as `create`."""
        now = self._clock.now()
        connection, row = await self._asked(given, now)
        composed = await self._composed(row, connection, now)
        async with self._database.read() as conn:
            show = None if row.show_id is None else await shows.by_id(conn, row.show_id)
        why_not = hindrance(row, show, now)
        also = [] if why_not is None else [why_not.reason]
        template = row.template
        if template is None:
            template = house_template(row.kind, row.language)
        return _preview_out(composed, also, template)

    async def create(self, given: wire.PostInput) -> wire.Post:
        """Schedule a post; it is composed once to see that it can be.

        Raises UnknownConnection, WrongRole, UnknownShow, BadPost, BadTemplate, TooLong,
        ChannelRefuses, ChannelAway.
        """
        now = self._clock.now()
        connection, row = await self._asked(given, now)
        await self._composed(row, connection, now)
        async with self._database.write() as tx:
            await self._add(tx, row, now)
        return post_out(row)

    async def plan_show(
        self,
        show_id: str,
        connection_ids: Sequence[str],
        kinds: Sequence[PostKind],
        *,
        reminder_minutes: int | None = None,
        is_paid_partnership: bool = False,
    ) -> list[wire.Post]:
        """The posts a show has by itself: one of each kind on each connection, once, however often
        this is asked for. They follow the show when it is moved. `product_moment` is one for each
        product of the lineup as it is now, sent when it is first pinned.

        Raises UnknownShow, UnknownConnection, WrongRole.
        """
        now = self._clock.now()
        keys: list[str] = []
        async with self._database.write() as tx:
            show = await _show(tx.conn, show_id)
            for connection_id in dict.fromkeys(connection_ids):
                connection = await _poster(tx.conn, connection_id)
                for kind in dict.fromkeys(kinds):
                    for row in _own_posts(show, connection, kind, now):
                        planned = replace(
                            row,
                            minutes_before=reminder_minutes if kind == "reminder" else None,
                            is_paid_partnership=is_paid_partnership,
                        )
                        await self._add(tx, planned, now)
                        keys.append(planned.once or "")
            rows = await post_store.by_once(tx.conn, keys)
        return [post_out(rows[key]) for key in dict.fromkeys(keys)]

    async def list_posts(self, query: wire.PostQuery) -> wire.Posts:
        """Newest first, page by page: `next` is the next page's `before`."""
        async with self._database.read() as conn:
            rows = await post_store.page(
                conn,
                show_id=query.show_id,
                connection_id=query.connection_id,
                before=query.before,
                limit=query.limit + 1,
            )
        shown = rows[: query.limit]
        next_ = shown[-1].id if len(rows) > query.limit else None
        return wire.Posts(posts=[post_out(row) for row in shown], next=next_)

    async def post(self, post_id: str) -> wire.Post:
        """Raises UnknownPost."""
        async with self._database.read() as conn:
            return post_out(await _known(conn, post_id))

    async def cancel(self, post_id: str) -> wire.Post:
        """A post that waits is not sent; twice is the same as once. Raises UnknownPost, PostSent
        for one that has been sent, or is being sent at this moment."""
        now = self._clock.now()
        async with self._database.write() as tx:
            row = await _known(tx.conn, post_id)
            was_waiting = await post_store.move(
                tx.conn,
                row.id,
                expected=("scheduled",),
                state="cancelled",
                since=now,
                due_at=None,
            )
            row = await _known(tx.conn, post_id)
            if not was_waiting and row.state not in _NEVER_SENT:
                raise PostSent(
                    "This post has been sent, or is being sent. Take it off the channel instead.",
                    data={"state": row.state},
                )
        return post_out(row)

    async def remove(self, post_id: str) -> wire.Post:
        """Take a post off its channel; one that waits is cancelled. Twice is the same as once.

        Raises UnknownPost, PostSent while it is being sent, ChannelRefuses, ChannelAway.
        """
        async with self._database.read() as conn:
            row = await _known(conn, post_id)
        if row.state in ("removed", *_NEVER_SENT):
            return post_out(row)
        if row.state == "scheduled":
            return await self.cancel(post_id)
        if row.remote_id is None:
            raise PostSent(
                "This post is being sent. Try again when it is known what became of it.",
                data={"state": row.state},
            )
        async with self._poster(row.connection_id) as poster:
            await poster.delete(row.remote_id)
        async with self._database.write() as tx:
            await post_store.move(
                tx.conn,
                row.id,
                expected=("sent", "live"),
                state="removed",
                since=self._clock.now(),
                reason=None,
                due_at=None,
            )
            return post_out(await _known(tx.conn, post_id))

    # Inside

    async def _asked(self, given: wire.PostInput, now: datetime) -> tuple[Connection, PostRow]:
        """The post that is asked for, as it would be kept."""
        check_parts(given.kind, given.show_id, given.product_id)
        check_timing(given.when, given.show_id, given.product_id)
        if given.when != "at" and given.send_at is not None:
            raise BadPost(
                "Say either when to send it, or what it waits for.", data={"field": "when"}
            )
        if given.language not in (None, *self._languages):
            known = ", ".join(self._languages)
            raise BadPost(f"The shop speaks {known}.", data={"field": "language"})
        async with self._database.read() as conn:
            connection = await _poster(conn, given.connection_id)
            if given.show_id is not None:
                await _show(conn, given.show_id)
        at = None
        if given.when == "at":
            at = now if given.send_at is None else max(now, check_moment(given.send_at))
        row = PostRow(
            id=PostId(new_id("pst", now)),
            connection_id=connection.id,
            show_id=None if given.show_id is None else ShowId(given.show_id),
            product_id=None if given.product_id is None else ProductId(given.product_id),
            kind=given.kind,
            state="scheduled",
            since=now,
            language=given.language or connection.language,
            template=given.template,
            is_paid_partnership=given.is_paid_partnership,
            timing=given.when,
            minutes_before=given.minutes_before,
            send_at=at,
            due_at=at,
            created_at=now,
        )
        return connection, row

    async def _composed(self, row: PostRow, connection: Connection, now: datetime) -> Composed:
        async with self._poster(connection.id) as poster:
            return await self._composer.compose(row, connection, poster, now)

    async def _add(self, tx: Tx, row: PostRow, now: datetime) -> None:
        if await post_store.add(tx.conn, row):
            await connection_store.set_turn(tx.conn, row.connection_id, due_at=now)

    @asynccontextmanager
    async def _poster(self, connection_id: ConnectionId) -> AsyncIterator[Poster]:
        """The opened channel; what it raises, said to whoever asked for this."""
        try:
            yield await self._open.get(connection_id)
        except RetryLater as away:
            raise ChannelAway(away.detail, retry_after=away.after) from away
        except ConnectorError as refused:
            raise ChannelRefuses(refused.detail) from refused


def post_out(row: PostRow) -> wire.Post:
    was_sent = row.state in ("sending", "unclear", "sent", "live", "removed")
    return wire.Post(
        id=row.id,
        connection_id=row.connection_id,
        kind=row.kind,
        state=row.state,
        since=row.since,
        reason=row.reason,
        show_id=row.show_id,
        product_id=row.product_id,
        language=row.language,
        template=row.template,
        is_paid_partnership=row.is_paid_partnership,
        text=row.text if was_sent else None,
        url=row.remote_url,
        when=row.timing,
        send_at=row.send_at,
        created_at=row.created_at,
    )


def _preview_out(composed: Composed, also: Sequence[str], template: str) -> wire.PostPreview:
    post = composed.post
    return wire.PostPreview(
        text=post.text,
        length=composed.caption.length,
        limit=composed.limit,
        link=post.link,
        images=[
            wire.PostImage(url=image.url, alt=image.alt, width=image.width, height=image.height)
            for image in post.images
        ],
        cost=None if composed.cost is None else composed.cost.words,
        notes=[*also, *composed.notes],
        template=template,
    )


def _own_posts(show: Show, connection: Connection, kind: PostKind, now: datetime) -> list[PostRow]:
    """The posts of a kind that a show has by itself on a connection."""

    def row(product_id: ProductId | None) -> PostRow:
        parts: list[Any] = [kind, show.id, connection.id, product_id]
        return PostRow(
            id=PostId(new_id("pst", now)),
            connection_id=connection.id,
            show_id=show.id,
            product_id=product_id,
            kind=kind,
            state="scheduled",
            since=now,
            language=connection.language,
            template=None,
            is_paid_partnership=False,
            timing=TIMING_OF[kind],
            created_at=now,
            once=":".join(part for part in parts if part is not None),
        )

    return [row(one) for one in show.lineup] if kind == "product_moment" else [row(None)]


async def _known(conn: AsyncConnection, post_id: str) -> PostRow:
    row = await post_store.by_id(conn, post_id)
    if row is None:
        raise UnknownPost("There is no such post.")
    return row


async def _show(conn: AsyncConnection, show_id: str) -> Show:
    show = await shows.by_id(conn, ShowId(show_id))
    if show is None:
        raise UnknownShow("There is no such show.", data={"field": "show_id"})
    return show


async def _poster(conn: AsyncConnection, connection_id: str) -> Connection:
    connection = await connection_store.by_id(conn, connection_id)
    if connection is None or connection.state == "removed":
        raise UnknownConnection("There is no such connection.", data={"field": "connection_id"})
    if "poster" not in connection.roles:
        raise WrongRole(f"{connection.title} takes no posts.", data={"field": "connection_id"})
    return connection
