"""What the tests of posts build: a channel that has bad days, and a shop that posts on it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import catalog_builders
import msgspec

from liveshop.app import Liveshop
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import Product, ProductDraft, VariantDraft
from liveshop.catalog.wire import ImageLinks
from liveshop.connect import (
    Connectors,
    ImageLimit,
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    Post,
    PostCost,
    PostLimits,
    PostReceipt,
    RetryLater,
    Role,
    SkipListing,
    TextLimit,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId, new_id
from liveshop.kernel.money import Money
from liveshop.promotions.prices import Prices
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import ShowState
from liveshop.storage import Database, Tx
from liveshop.syndication import connection_store, post_store, wire
from liveshop.syndication.compose import Composer
from liveshop.syndication.model import Connection, ConnectionId
from liveshop.syndication.post_model import PostRow
from liveshop.syndication.post_pictures import PostPictures
from liveshop.syndication.posts import PostService
from liveshop.syndication.runtime import OpenConnections
from liveshop.syndication.sealing import Credentials, Sealer
from liveshop.syndication.sending import PostTurns

Day = Literal[
    "good",
    "busy",
    "refuses",
    "locked",
    "broken",
    "unheard_made",
    "unheard_late",
    "unheard_lost",
    "dies_before",
    "dies_after",
    "shows_nothing",
]
DAYS: tuple[Day, ...] = Day.__args__  # type: ignore[attr-defined]
LATE = timedelta(seconds=90)
LIMITS = PostLimits(
    text=TextLimit(280, "x_weighted"),
    images=ImageLimit("landscape", most=4, max_bytes=5_000_000, alt=TextLimit(1000)),
)
WORDS_ONLY = replace(LIMITS, images=ImageLimit("landscape", most=0, max_bytes=0))
START = timedelta(hours=2)
"""How far ahead the shows of these tests are."""


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class Made:
    """A post on the channel."""

    remote_id: str
    post: Post
    images: tuple[bytes, ...]
    at: datetime
    seen_from: datetime


@dataclass
class Channel:
    """The other side. It has no key that makes a post happen once: two that say the same are two.

    `days`: what each of the next requests to publish meets; afterwards all is well.
    """

    clock: ManualClock
    limits: PostLimits = LIMITS
    days: list[Day] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    finds: list[Post] = field(default_factory=list)
    delete_raises: Exception | None = None
    cost: PostCost | None = None
    gate: asyncio.Event | None = None
    """Requests to publish wait here until it is set."""
    at_gate: int = 0

    def seen(self) -> list[Made]:
        now = self.clock.now()
        return [one for one in self.made if one.seen_from <= now and one.remote_id not in self.gone]

    def of(self, key: str) -> list[Made]:
        return [one for one in self.made if one.post.key == key]


class FakePoster:
    """`connect.Poster` on a `Channel`; finds its posts by their text, as on most channels."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def post_limits(self) -> PostLimits:
        return self._channel.limits

    def cost(self, post: Post) -> PostCost | None:
        return self._channel.cost

    async def diagnose(self) -> list[str]:
        return []

    async def publish(self, post: Post) -> PostReceipt:
        day = self._channel.days.pop(0) if self._channel.days else "good"
        if self._channel.gate is not None:
            self._channel.at_gate += 1
            await self._channel.gate.wait()
        match day:
            case "busy":
                raise RetryLater("Too many posts for now.", after=30)
            case "refuses":
                raise SkipListing("The text breaks a rule of the channel.")
            case "locked":
                raise NeedsAttention("Authorise the channel again.")
            case "broken":
                raise ZeroDivisionError
            case "unheard_lost":
                raise OutcomeUnknown("No answer.")
            case "dies_before":
                raise Killed
        receipt = await self._make(post, day)
        if day in ("unheard_made", "unheard_late"):
            raise OutcomeUnknown("No answer.")
        if day == "dies_after":
            raise Killed
        return receipt

    async def find(self, post: Post) -> PostReceipt | None:
        self._channel.finds.append(post)
        for one in self._channel.seen():
            if one.post.text == post.text and one.at >= post.created_at:
                return PostReceipt(one.remote_id, _url(one.remote_id))
        return None

    async def delete(self, remote_id: str) -> None:
        if self._channel.delete_raises is not None:
            raise self._channel.delete_raises
        self._channel.gone.add(remote_id)

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        there = {one.remote_id for one in self._channel.seen()}
        return [one for one in remote_ids if one in there]

    async def _make(self, post: Post, day: Day) -> PostReceipt:
        now = self._channel.clock.now()
        images = tuple([await image.read() for image in post.images])
        made = Made(
            remote_id=f"remote-{len(self._channel.made) + 1}",
            post=post,
            images=images,
            at=now,
            seen_from=now + LATE if day == "unheard_late" else now,
        )
        self._channel.made.append(made)
        if day == "shows_nothing":
            self._channel.gone.add(made.remote_id)
        return PostReceipt(made.remote_id, _url(made.remote_id))


class FakeConfig(msgspec.Struct, frozen=True):
    pass


class FakePosting:
    """`connect.Connector` of it."""

    name = "fake_posting"
    title = "Fake posting"
    roles: frozenset[Role] = frozenset({"poster"})
    config = FakeConfig
    oauth = None

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @asynccontextmanager
    async def open(self, config: FakeConfig, kit: Kit) -> AsyncIterator[FakePoster]:
        yield FakePoster(self._channel)


class Dying:
    """A database in whose `at`-th transaction the process dies: before it does anything, or when
    it has just committed. `at` 0: never."""

    def __init__(self, database: Database, at: int = 0, *, is_after: bool = False) -> None:
        self._database = database
        self._at = at
        self._is_after = is_after
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        self._count += 1
        dies = self._count == self._at
        if dies and not self._is_after:
            raise Killed
        async with self._database.write() as tx:
            yield tx
        if dies:
            raise Killed


@dataclass
class Posting:
    """A shop with one channel for posts."""

    shop: Liveshop
    clock: ManualClock
    channel: Channel
    composer: Composer
    pictures: PostPictures
    open: OpenConnections
    posts: PostService
    turns: PostTurns
    connection: Connection

    async def ready(self) -> None:
        sealer = Sealer(self.shop.settings.server.secret)
        async with self.shop.database.write() as tx:
            await connection_store.add(tx.conn, self.connection, sealed=sealer.seal(Credentials()))

    async def post(self, **given: Any) -> wire.Post:
        return await self.posts.create(self.asked(**given))

    def asked(self, **given: Any) -> wire.PostInput:
        values: dict[str, Any] = {"connection_id": self.connection.id, "kind": "announce"}
        return wire.PostInput(**(values | given))

    async def row(self, post_id: str) -> PostRow:
        async with self.shop.database.read() as conn:
            found = await post_store.by_id(conn, post_id)
        assert found is not None
        return found

    async def turn(self, turns: PostTurns | None = None) -> datetime | None:
        """One round of the runner for this connection."""
        used = turns or self.turns
        await used.follow_shows()
        return await used.turn(self.connection)

    def dying(self, at: int, *, is_after: bool) -> PostTurns:
        """The turns of a process that will die."""
        database: Any = Dying(self.shop.database, at, is_after=is_after)
        return PostTurns(database, self.clock, self.composer, self.open)

    async def settle(self, *, until: Callable[[], bool] = lambda: False, rounds: int = 60) -> None:
        """Rounds with the waits between them, whatever they raise, until nothing is due soon."""
        for _ in range(rounds):
            try:
                next_at = await self.turn()
            except (RetryLater, NeedsAttention, ZeroDivisionError, Killed):
                self.clock.advance(timedelta(seconds=40))
                continue
            if until() or next_at is None or next_at - self.clock.now() > timedelta(hours=1):
                return
            self.clock.advance(max(next_at - self.clock.now(), timedelta(seconds=1)))
        raise AssertionError("it does not come to rest")

    async def mug(self, **changes: Any) -> Product:
        """A mug for 28 euros with a picture, whose text is `alt`."""
        picture = await self.shop.media.store_image(
            catalog_builders.picture(), alt=changes.pop("alt", "A blue mug on a table")
        )
        values: dict[str, Any] = {
            "title": "Mug",
            "variants": (VariantDraft(sku="MUG", price=Money(2800, "EUR")),),
            "image_ids": (picture.media_id,),
        }
        return (await self.shop.catalog.create_product(ProductDraft(**(values | changes)))).product

    async def show(self, *, state: ShowState = "scheduled", **given: Any) -> ShowId:
        values: dict[str, Any] = {
            "title": "Winter evening",
            "host_name": "Hedda",
            "starts_at": self.clock.now() + START,
        }
        created = await self.shop.shows.create_show(shows_wire.ShowInput(**(values | given)))
        if state != "draft":
            await self.shop.shows.change_state(created.id, state)
        return created.id


def posting(shop: Liveshop, clock: ManualClock) -> Posting:
    """Reads files: make it before the loop runs. Then `ready()`, and in the end `open.close()`."""
    channel = Channel(clock)
    settings, database = shop.settings, shop.database
    links = ImageLinks(settings.public_url, settings.media.widths)
    pictures = PostPictures(shop.media, links, settings)
    display = CatalogDisplay(links, Prices(settings.shop))
    composer = Composer(database, settings, display, pictures)
    opened = OpenConnections(
        database,
        clock,
        Connectors.of(FakePosting(channel)),
        Sealer(settings.server.secret),
        settings.syndication,
    )
    now = clock.now()
    connection = Connection(
        id=ConnectionId(new_id("con", now)),
        connector=FakePosting.name,
        title="Our page",
        roles=FakePosting.roles,
        config={},
        state="active",
        attention=None,
        language="en",
        version=1,
        mark=None,
        cursor=None,
        due_at=None,
        whole_at=None,
        created_at=now,
        updated_at=now,
    )
    return Posting(
        shop=shop,
        clock=clock,
        channel=channel,
        composer=composer,
        pictures=pictures,
        open=opened,
        posts=PostService(database, clock, settings, composer, opened),
        turns=PostTurns(database, clock, composer, opened),
        connection=connection,
    )


def _url(remote_id: str) -> str:
    return f"https://channel.example/{remote_id}"


def combinations() -> Iterator[tuple[Day, int, bool]]:
    """A day of the channel, and a transaction in which the process dies meanwhile: of its attempt,
    or of its looking for what it did not hear of."""
    for day in DAYS:
        yield day, 0, False
        for at in range(1, 5 if day.startswith("unheard") else 3):
            yield day, at, False
            yield day, at, True
