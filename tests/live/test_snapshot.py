"""Snapshot + later events = fresh snapshot: proved for each event with the reducer browsers run."""

import asyncio
import json
import runpy
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import Api
from room_builders import until
from websockets import Subprotocol
from websockets.asyncio.client import connect

from liveshop.app import Liveshop
from liveshop.catalog.model import ProductDraft, VariantDraft
from liveshop.chat import wire as chat_wire
from liveshop.checkout import wire as checkout_wire
from liveshop.kernel.ids import LocationId, MessageId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders import wire as orders_wire
from liveshop.promotions.wire import PercentOff
from liveshop.realtime import Position
from liveshop.realtime.model import BrokerAway
from liveshop.shows import wire as shows_wire
from liveshop.video.model import VideoStarted
from liveshop.web import Principal

WIDGETS = Path(__file__).resolve().parents[2] / "widgets"
EVENTS = {
    *shows_wire.EVENTS,
    *chat_wire.EVENTS,
    *orders_wire.EVENTS,
    *checkout_wire.EVENTS,
}
_SCRIPT = """
import { fromSnapshot, reduce } from "./reduce.mjs";
import { readFileSync } from "node:fs";
const { before, events, after } = JSON.parse(readFileSync(0, "utf8"));
const reached = events.reduce(reduce, fromSnapshot(before));
const fresh = fromSnapshot(after);
process.stdout.write(JSON.stringify({ reached, fresh }));
"""


@pytest.fixture(scope="session")
def reducer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Any]:
    """The browser's own reducer, bundled and run by Node."""
    node, _, environment = runpy.run_path(str(WIDGETS / "build_hook.py"))["_installed"]()
    folder = tmp_path_factory.mktemp("reducer")
    subprocess.run(
        [
            WIDGETS / "node_modules/.bin/esbuild",
            "src/state/reduce.ts",
            "--bundle",
            "--format=esm",
            "--log-level=error",
            f"--outfile={folder / 'reduce.mjs'}",
        ],
        cwd=WIDGETS,
        env=environment,
        check=True,
    )
    (folder / "run.mjs").write_text(_SCRIPT)

    def run(given: dict[str, Any]) -> Any:
        done = subprocess.run(
            [node, folder / "run.mjs"],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return run


class Stage:
    """A live show with a product, a guest who has spoken, and a host."""

    def __init__(self, shop: Liveshop, api: Api, guest: Api, show: ShowId, mug: Any) -> None:
        self.shop, self.api, self.guest, self.show, self.mug = shop, api, guest, show, mug
        self.host = Principal(
            kind="staff",
            id="stf_" + "0" * 26,
            name="Hedda",
            permissions=frozenset({"shows:write", "chat:moderate"}),
        )
        self.variant = VariantId(mug.variants[0].id)
        self.viewer = Principal(kind="guest", id="gst_" + "0" * 26, name="Guest")
        self.said = MessageId("")
        self.offer = ""

    async def say(self, text: str) -> MessageId:
        return await self.shop.chat.post_message(self.show, self.viewer, text, address="")

    async def host_says(self, text: str) -> MessageId:
        return await self.shop.chat.post_message(self.show, self.host, text, address="")

    async def set_stock(self, on_hand: int) -> None:
        place: LocationId = (await self.shop.catalog.locations())[0].id
        await self.shop.catalog.set_stock(self.variant, place, on_hand)

    async def rename_product(self, title: str) -> None:
        await self.shop.catalog.replace_product(
            self.mug.id,
            ProductDraft(
                title=title,
                variants=(VariantDraft(sku=self.mug.variants[0].sku, price=Money(3000, "EUR")),),
            ),
        )

    async def start_offer(self) -> str:
        given = shows_wire.OfferInput(
            product_id=self.mug.id, kind=PercentOff(permille=100), seconds=60, units=3
        )
        return (await self.shop.offers.start_offer(self.show, given)).id

    async def wait_and_be_served(self) -> None:
        await self.set_stock(0)
        body = {"variant_id": self.variant, "show_id": self.show}
        status, places = await self.guest.call("POST", "/api/waitlist", body)
        assert status in (200, 201), places
        await self.set_stock(1)
        await self.shop.carts.sweep()

    async def send_picture(self) -> None:
        at = self.shop.clock.now()
        await self.shop.stage.broadcasts.note(VideoStarted(self.show, at))

    async def buy(self) -> None:
        await self.guest.call("POST", "/api/cart/lines", {"variant_id": self.variant})
        status, order = await self.guest.order("key", show_id=self.show)
        assert status == 201, order


ACTS: dict[str, Callable[[Stage], Awaitable[Any]]] = {
    "show.changed": lambda s: s.shop.shows.change_show(s.show, shows_wire.ShowChange(title="New")),
    "lineup.changed": lambda s: s.shop.shows.set_lineup(s.show, [s.mug.id]),
    "product.pinned": lambda s: s.shop.shows.pin_product(s.show, s.mug.id),
    "product.unpinned": lambda s: s.shop.shows.unpin_product(s.show),
    "product.changed": lambda s: s.rename_product("Cup"),
    "stock.changed": lambda s: s.set_stock(2),
    "chat.message": lambda s: s.say("a second message"),
    "chat.deleted": lambda s: s.shop.chat.delete_message(s.show, s.host, s.said),
    "chat.sanctioned": lambda s: s.shop.chat.ban(s.show, s.host, ViewerId(s.viewer.id)),
    "chat.message_pinned": lambda s: s.shop.chat.pin_message(s.show, s.said),
    "chat.configured": lambda s: s.shop.chat.configure(s.show, slow_mode_seconds=7),
    "order.placed": lambda s: s.buy(),
    "offer.started": lambda s: s.start_offer(),
    "offer.ended": lambda s: s.shop.offers.stop_offer(s.show, s.offer),
    "waitlist.moved": lambda s: s.wait_and_be_served(),
    "video.changed": lambda s: s.send_picture(),
}


@pytest.fixture
async def stage(shop: Liveshop, api: Api, request: pytest.FixtureRequest) -> Stage:
    mug = await builders.product(shop, stock=5)
    cup = await builders.product(shop, title="Plate")
    show = await builders.live_show(shop, [ProductId(cup.id), ProductId(mug.id)])
    made = Stage(shop, api, await api.as_guest(), show, mug)
    made.said = await made.say("hello")
    await shop.shows.pin_product(show, cup.id)
    if request.getfixturevalue("event") == "offer.ended":
        made.offer = await made.start_offer()
    await shop.stock_board.tell()
    return made


async def missed(stage: Stage, before: dict[str, Any], *, until: int) -> list[dict[str, Any]]:
    """What a viewer who comes back with this snapshot's place is sent."""
    base = stage.api.client.make_url(f"/live/{stage.show}").with_scheme("ws")
    address = base.with_query(epoch=before["epoch"], offset=before["offset"])
    found: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(10),
        connect(str(address), subprotocols=[Subprotocol("liveshop.v1")], proxy=None) as socket,
    ):
        while not found or found[-1]["o"] < until:
            frame = json.loads(await socket.recv())
            if "o" in frame:
                found.append(frame)
    return found


def test_every_event_has_an_act() -> None:
    assert set(ACTS) == EVENTS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", sorted(ACTS))
async def test_a_snapshot_and_the_events_after_it_make_a_fresh_snapshot(
    stage: Stage, event: str, reducer: Callable[[dict[str, Any]], Any]
) -> None:
    _, before = await stage.api.call("GET", f"/api/shows/{stage.show}/snapshot")
    await ACTS[event](stage)
    await stage.shop.stock_board.tell()
    _, after = await stage.api.call("GET", f"/api/shows/{stage.show}/snapshot")
    events = await missed(stage, before, until=after["offset"])
    assert event in [one["t"] for one in events]
    result = reducer({"before": before, "events": events, "after": after})
    for state in (result["reached"], result["fresh"]):
        state.pop("at")
    assert result["reached"] == result["fresh"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", ["chat.message"])
async def test_a_shared_snapshot_is_exact_although_it_is_not_the_newest(
    stage: Stage, event: str, reducer: Callable[[dict[str, Any]], Any]
) -> None:
    """In a busy room many get one that is a second old: what they see is what is there."""
    address = f"/api/shows/{stage.show}/snapshot"
    base = stage.api.client.make_url(f"/live/{stage.show}").with_scheme("ws")
    async with connect(str(base), subprotocols=[Subprotocol("liveshop.v1")], proxy=None):
        await until(lambda: stage.shop.hub.viewers(stage.show) == 1)
        for number in range(8):
            await stage.host_says(f"message {number}")
            _, before = await stage.api.call("GET", address)
        end = (await stage.shop.hub.position(stage.show)).offset
        assert before["offset"] < end
        await asyncio.sleep(1.01)
        _, after = await stage.api.call("GET", address)
    assert after["offset"] == end
    assert before["at"] == after["at"]  # the clock of the tests stands still
    events = await missed(stage, before, until=end)
    result = reducer({"before": before, "events": events, "after": after})
    for state in (result["reached"], result["fresh"]):
        state.pop("viewers")
    assert result["reached"] == result["fresh"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", [""])
async def test_a_snapshot_that_others_share_is_not_given_to_who_may_not_see_the_show(
    stage: Stage, event: str
) -> None:
    address = f"/api/shows/{stage.show}/snapshot"
    base = stage.api.client.make_url(f"/live/{stage.show}").with_scheme("ws")
    async with connect(str(base), subprotocols=[Subprotocol("liveshop.v1")], proxy=None):
        await until(lambda: stage.shop.hub.viewers(stage.show) == 1)
        for _ in range(8):
            await stage.host_says("hello")
            assert (await stage.api.call("GET", address))[0] == 200
        closed = shows_wire.ShowChange(audience="customers")
        await stage.shop.shows.change_show(stage.show, closed)
        status, answer = await stage.api.call("GET", address)
    assert (status, answer["code"]) == (403, "customers_only")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", [""])
async def test_without_the_rooms_logs_the_show_is_still_seen(
    stage: Stage, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_room: str) -> Position:
        raise BrokerAway("The rooms' logs cannot be reached.")

    monkeypatch.setattr(stage.shop.hub, "position", away)
    status, seen = await stage.api.call("GET", f"/api/shows/{stage.show}/snapshot")
    assert (status, seen["epoch"], seen["offset"]) == (200, "", 0)
    assert seen["chat"]["messages"][0]["text"] == "hello"
    base = stage.api.client.make_url(f"/live/{stage.show}").with_scheme("ws")
    again = str(base.with_query(epoch=seen["epoch"], offset=seen["offset"]))
    async with connect(again, subprotocols=[Subprotocol("liveshop.v1")], proxy=None) as socket:
        frames = [json.loads(await socket.recv()) for _ in range(2)]
    assert [frame["t"] for frame in frames] == ["hello", "resume_failed"]
