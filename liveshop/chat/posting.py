"""Saying something. Messages that come together to one show share a transaction: its statements
and its durable commit cost far more than a message, and for sixty-four hardly more than for one.

A message that comes alone goes at once; each show gathers its own, so that a loud one does not hold
up a quiet one. Every message is judged by itself, as if it had come alone after those before it.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import people_store, store, wire
from liveshop.chat.model import (
    REPEAT_WINDOW,
    InForce,
    Limits,
    Role,
    RoomRules,
    Said,
    judge_message,
)
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import NotFound, ShopError
from liveshop.kernel.ids import MessageId, ShowId, ViewerId, new_id
from liveshop.storage import Database, Together, Tx, together_or_alone
from liveshop.web.access import Principal

ViewerNames = Callable[[AsyncConnection, Collection[ViewerId]], Awaitable[Mapping[ViewerId, str]]]
"""The names guests and customers go by in the chat now; left out: the one in their token."""
ShowState = Callable[[AsyncConnection, ShowId], Awaitable[str | None]]
"""The state of a show; None: there is no such show."""

_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Saying:
    who: Principal
    role: Role
    text: str
    address_mark: str | None

    @property
    def author_id(self) -> ViewerId:
        return ViewerId(self.who.id)

    @property
    def asked(self) -> people_store.Asked:
        """A ban of an address is for guests: a customer's token is not free."""
        return self.author_id, self.address_mark if self.who.kind == "guest" else None


class _NothingSaid(Exception):
    """Everything was refused, so that nothing is kept."""

    def __init__(self, answers: list[MessageId | Exception]) -> None:
        super().__init__()
        self.answers = answers


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a batch is judged by, read once for all of it."""

    state: str
    rules: RoomRules
    sanctions: Mapping[people_store.Asked, Sequence[InForce]]
    recent: dict[ViewerId, list[Said]]
    """Goes on with what is said in the batch."""


class Posting:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        limits: Limits,
        default_rules: RoomRules,
        *,
        viewer_names: ViewerNames,
        show_state: ShowState,
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._default_rules = default_rules
        self._viewer_names = viewer_names
        self._show_state = show_state
        self._shows: WeakValueDictionary[ShowId, Together[Saying, MessageId]] = (
            WeakValueDictionary()
        )
        """Each lives as long as somebody waits for it."""

    async def say(self, show_id: ShowId, saying: Saying) -> MessageId:
        """Returns once the message is durable. Raises what `judge_message` raises, NotFound."""
        together = self._shows.get(show_id)
        if together is None:
            together = Together(partial(self._answer, show_id), at_most=_AT_MOST)
            self._shows[show_id] = together
        return await together.ask(saying)

    async def _answer(
        self, show_id: ShowId, batch: Sequence[Saying]
    ) -> list[MessageId | Exception]:
        return await together_or_alone(partial(self._write, show_id), batch)

    async def _write(self, show_id: ShowId, batch: Sequence[Saying]) -> list[MessageId | Exception]:
        try:
            async with self._database.write() as tx:
                return await self._say_each(tx, show_id, batch)
        except _NothingSaid as nothing:
            return nothing.answers

    async def _say_each(
        self, tx: Tx, show_id: ShowId, batch: Sequence[Saying]
    ) -> list[MessageId | Exception]:
        now = self._clock.now()
        state = await self._show_state(tx.conn, show_id)
        if state is None:
            raise NotFound("There is no such show.")
        names = await self._names(tx.conn, batch)
        authors = {
            one.author_id: people_store.Author(
                one.author_id, names[one.author_id], one.address_mark
            )
            for one in batch
        }
        # First of the writes: it makes one author's messages wait for each other, or several sent
        # to several nodes at once would all see the same past and slip through slow mode together.
        # What is read after it holds: a ban waits for the row too, and finds what was written.
        await people_store.touch_authors(tx.conn, show_id, authors.values(), now=now)
        facts = await self._look(tx.conn, show_id, batch, state, now)
        answers: list[MessageId | Exception] = []
        said: list[store.Message] = []
        for one in batch:
            try:
                message = self._judged(one, show_id, names[one.author_id], facts, now)
            except ShopError as error:
                answers.append(error)
                continue
            said.append(message)
            answers.append(message.id)
        if not said:
            raise _NothingSaid(answers)
        await store.add_messages(tx.conn, said)
        silent = authors.keys() - {message.author_id for message in said}
        if silent:
            await people_store.forget_silent_authors(tx.conn, show_id, silent)
        for message in said:
            posted = wire.MessagePosted(message=wire.ChatMessage.of(message))
            is_staff = message.role in ("host", "moderator")
            tx.publish(
                show_id,
                "chat.message",
                posted,
                at=now,
                sampled_by="" if is_staff else message.author_id,
                needs_room=True,
            )
        return answers

    async def _names(self, conn: AsyncConnection, batch: Sequence[Saying]) -> dict[ViewerId, str]:
        viewers = {one.author_id for one in batch if one.who.is_viewer}
        known = await self._viewer_names(conn, viewers) if viewers else {}
        return {one.author_id: known.get(one.author_id) or one.who.name or "Guest" for one in batch}

    async def _look(
        self,
        conn: AsyncConnection,
        show_id: ShowId,
        batch: Sequence[Saying],
        state: str,
        now: datetime,
    ) -> _Facts:
        """Staff cannot be sanctioned and are held to no pace."""
        rules = (await store.room(conn, show_id, default=self._default_rules)).rules
        asked = {one.asked for one in batch if one.who.is_viewer}
        if not asked:
            return _Facts(state, rules, {}, {})
        window = max(REPEAT_WINDOW, timedelta(seconds=rules.slow_mode_seconds))
        sanctions = await people_store.sanctions_on(conn, show_id, asked, now)
        recent = await store.said_lately(
            conn,
            show_id,
            {author_id for author_id, _ in asked},
            since=now - window,
            at_most=self._limits.rate_per_10_seconds + 5,
        )
        return _Facts(state, rules, sanctions, recent)

    def _judged(
        self, one: Saying, show_id: ShowId, name: str, facts: _Facts, now: datetime
    ) -> store.Message:
        """The message as it is kept. Raises why it is refused."""
        recent = facts.recent.setdefault(one.author_id, [])
        clean = judge_message(
            one.text,
            role=one.role,
            state=facts.state,
            rules=facts.rules,
            limits=self._limits,
            sanctions=facts.sanctions.get(one.asked, ()),
            recent=recent,
            now=now,
        )
        recent.append(Said(clean, now))
        return store.Message(
            id=MessageId(new_id("msg", now)),
            show_id=show_id,
            author_id=one.author_id,
            name=name,
            role=one.role,
            text=clean,
            at=now,
        )
