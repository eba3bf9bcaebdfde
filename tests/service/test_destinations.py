"""Destinations keep their keys to themselves; what is switched on for a show is sent there while it
is live, whatever was heard of it, and after a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from builders import Api
from fakes.serving import serve
from toy_vendor import TOY_STAGE, Toy, ToyConnector

from liveshop.app import Liveshop, wire
from liveshop.connect import Connectors, NeedsAttention
from liveshop.connect.oauth import Tokens
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows import simulcast_wire
from liveshop.shows import wire as shows_wire
from liveshop.shows.destinations import (
    Destinations,
    ShowForCustomers,
    TooManyDestinations,
    UnknownDestination,
)
from liveshop.shows.model import UnknownShow, WrongState
from liveshop.shows.tables import destination
from liveshop.storage import Database
from liveshop.storage.sealing import SealedOtherwise, TextSealer
from liveshop.syndication.runtime import write_credentials
from liveshop.syndication.sealing import Credentials, Sealer
from liveshop.syndication.wire import ConnectionInput
from liveshop.video.model import H264Config, Publishing
from liveshop.video.simulcast.address import Address, BadDestination
from liveshop.video.simulcast.leg import Target

KEY = "live-geheim-4711"
VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
PATIENCE_SECONDS = 10.0
SEALED_BEFORE = (
    "gAAAAABrAtyl658jaK2r2G5iQVLoXcKxM7RSW7tq8B4N3iod6zWv9Qy3ZyukGpY68W205HyY54tqhsO4"
    "YWo1wfWN0pSDG-ChpgGG0IdM2UTP9OoPRrEuvL9tvheTzLn2fuYLnRp_gJ96eDhLWeRfvrDIsfxH1c85"
    "d1-iZT2Wsa2C1gRNiFgncF8="
)


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    settings = builders.test_settings(
        tmp_path / "data",
        database_url=database_url,
        syndication__private_addresses=True,
        video__simulcast_legs=2,
    )
    database = Database.open(database_url, pool_size=10)
    return wire(settings, database, None, clock, Connectors.of(ToyConnector("stage")))


async def new(shop: Liveshop, name: str = "Page", **given: Any) -> simulcast_wire.Destination:
    whole = {"url": "rtmp://127.0.0.1:9/live", "key": KEY} | given
    return await shop.stage.destinations.create(simulcast_wire.DestinationInput(name=name, **whole))


async def a_show(shop: Liveshop, state: Any = "draft") -> ShowId:
    show_id = (await shop.shows.create_show(shows_wire.ShowInput(title="A show"))).id
    if state != "draft":
        await shop.shows.change_state(show_id, "live")
    if state == "ended":
        await shop.shows.change_state(show_id, "ended")
    return show_id


@asynccontextmanager
async def unheard(shop: Liveshop) -> AsyncIterator[None]:
    listeners, shop.database._listeners = shop.database._listeners, []
    try:
        yield
    finally:
        shop.database._listeners = listeners


async def eventually(says: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not says():
            await asyncio.sleep(0.01)


async def test_a_key_is_sealed_and_never_shown(shop: Liveshop) -> None:
    made = await new(shop)
    assert made.has_key
    assert KEY not in str(await shop.stage.destinations.destinations())
    async with shop.database.read() as conn:
        stored = str((await conn.execute(sa.select(destination))).one())
    assert KEY not in stored
    show_id = await a_show(shop, "live")
    await shop.stage.destinations.switch(show_id, made.id, is_on=True)
    (target,) = shop.stage.simulcasts.targets(show_id)
    assert target == Target(made.id, "Page", Address("rtmp://127.0.0.1:9/live", KEY))
    assert KEY not in repr(target)
    await shop.stage.destinations.change(
        made.id, simulcast_wire.DestinationChange(key=" another-key-42 ")
    )
    (target,) = shop.stage.simulcasts.targets(show_id)
    assert target.address == Address("rtmp://127.0.0.1:9/live", "another-key-42")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_stored_key_goes_to_no_other_address(shop: Liveshop) -> None:
    service = shop.stage.destinations
    made = await new(shop, url="rtmps://127.0.0.1/live")
    for elsewhere in (
        "rtmps://127.0.0.2/live",
        "rtmps://127.0.0.1:444/live",
        "rtmps://127.0.0.1/other",
        "rtmp://127.0.0.1:443/live",  # in clear
    ):
        with pytest.raises(BadDestination, match="Enter the key again") as refused:
            await service.change(made.id, simulcast_wire.DestinationChange(url=elsewhere))
        assert refused.value.data == {"field": "key"}
    same = simulcast_wire.DestinationChange(url="rtmps://127.0.0.1:443/live/", name="Ours")
    assert (await service.change(made.id, same)).name == "Ours"
    moved = simulcast_wire.DestinationChange(url="rtmps://127.0.0.2/live", key="another-42")
    assert (await service.change(made.id, moved)).url == "rtmps://127.0.0.2/live"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_show_for_customers_is_sent_nowhere_and_says_so(shop: Liveshop) -> None:
    service, simulcasts = shop.stage.destinations, shop.stage.simulcasts
    page, club = await new(shop), await new(shop, "Club")
    show_id = await a_show(shop, "live")
    await service.switch(show_id, page.id, is_on=True)
    assert simulcasts.targets(show_id)
    narrowed = shows_wire.ShowChange(audience="customers")
    await shop.shows.change_show(show_id, narrowed)
    await eventually(lambda: not simulcasts.targets(show_id))
    await service.check()
    assert not simulcasts.targets(show_id)
    legs = {leg.name: leg for leg in (await service.simulcast(show_id)).legs}
    kept_back, off = legs["Page"], legs["Club"]
    assert (kept_back.state, kept_back.reason, kept_back.is_on) == ("refused", "customers", True)
    assert "for customers only" in (kept_back.detail or "")
    assert (off.state, off.reason) == ("off", None)
    with pytest.raises(ShowForCustomers, match="for customers only"):
        await service.switch(show_id, club.id, is_on=True)
    await shop.shows.change_show(show_id, shows_wire.ShowChange(audience="everyone"))
    await service.check()
    assert [one.name for one in simulcasts.targets(show_id)] == ["Page"]
    await shop.shows.change_show(show_id, narrowed)
    legs = (await service.switch(show_id, page.id, is_on=False)).legs
    assert [leg.state for leg in legs] == ["off", "off"]


async def test_what_is_switched_on_is_sent_while_the_show_is_live(shop: Liveshop) -> None:
    service, simulcasts = shop.stage.destinations, shop.stage.simulcasts
    page, club = await new(shop), await new(shop, "Club")
    show_id = await a_show(shop)
    legs = (await service.switch(show_id, page.id, is_on=True)).legs
    assert {leg.name: (leg.is_on, leg.state) for leg in legs} == {
        "Page": (True, "waiting"),
        "Club": (False, "off"),
    }
    assert simulcasts.targets(show_id) == ()
    running = asyncio.create_task(service.run())
    try:
        await shop.shows.change_state(show_id, "live")
        await eventually(lambda: simulcasts.targets(show_id))
        await service.switch(show_id, club.id, is_on=True)
        assert {one.name for one in simulcasts.targets(show_id)} == {"Page", "Club"}
        await service.switch(show_id, page.id, is_on=False)
        assert [one.name for one in simulcasts.targets(show_id)] == ["Club"]
        third = await new(shop, "Third")
        await service.switch(show_id, third.id, is_on=True)
        with pytest.raises(TooManyDestinations):
            await service.switch(show_id, page.id, is_on=True)
        await service.switch(show_id, third.id, is_on=True)  # it is
        await service.remove(club.id)
        assert [one.name for one in simulcasts.targets(show_id)] == ["Third"]
        await shop.shows.change_state(show_id, "ended")
        await eventually(lambda: not simulcasts.targets(show_id))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(WrongState):
        await service.switch(show_id, page.id, is_on=True)
    assert [leg.is_on for leg in (await service.switch(show_id, third.id, is_on=False)).legs] == [
        False,
        False,
    ]


async def test_news_that_were_lost_are_said_again_and_after_a_restart_too(shop: Liveshop) -> None:
    service, simulcasts = shop.stage.destinations, shop.stage.simulcasts
    page = await new(shop)
    show_id = await a_show(shop)
    async with unheard(shop):
        await service.switch(show_id, page.id, is_on=True)
        await shop.shows.change_state(show_id, "live")
    assert simulcasts.targets(show_id) == ()
    await service.check()
    assert [one.name for one in simulcasts.targets(show_id)] == ["Page"]
    async with unheard(shop):
        await shop.shows.change_state(show_id, "ended")
    await service.check()
    assert simulcasts.targets(show_id) == ()


async def test_how_a_leg_does_is_told_to_the_studio(shop: Liveshop, unused_tcp_port: int) -> None:
    service = shop.stage.destinations
    page = await new(shop, url=f"rtmp://127.0.0.1:{unused_tcp_port}/live")
    show_id = await a_show(shop, "live")
    await service.switch(show_id, page.id, is_on=True)
    publisher = shop.stage.video.publish(Publishing(show_id), VIDEO, None)
    try:
        await eventually(lambda: shop.stage.simulcasts.legs(show_id)[0].state == "retrying")
        (leg,) = (await service.simulcast(show_id)).legs
        assert leg.detail == f"Nobody listens at port {unused_tcp_port} of 127.0.0.1."
        assert (leg.is_on, leg.kbit_per_second, leg.reconnects) == (True, None, 0)
        await service.switch(show_id, page.id, is_on=False)
        assert shop.stage.simulcasts.legs(show_id) == []
    finally:
        publisher.close()
        await shop.stage.simulcasts.close()
    assert shop.stage.simulcasts.task_count == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "https://live.example/app"}, "begin with rtmp://"),
        ({"url": f"rtmp://live.example/app?{KEY}"}, "belongs to the stream key"),
        ({"key": None}, "key is missing"),
        ({"key": "two words"}, "white space"),
        ({"connection_id": "con_1"}, "leave both out"),
        ({"connection_id": "con_1", "url": "", "key": None}, "no such connection"),
    ],
)
async def test_what_cannot_be_used_is_refused_in_words(
    shop: Liveshop, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadDestination) as refused:
        await new(shop, **given)
    told = refused.value.detail
    assert words in told or "removed" in told
    assert KEY not in told
    assert (await shop.stage.destinations.destinations()).destinations == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_private_addresses_are_refused_unless_allowed(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    database = Database.open(database_url, pool_size=2)
    shop = await asyncio.to_thread(wire, settings, database, None, clock)
    try:
        with pytest.raises(BadDestination, match="private network"):
            await new(shop)
        await new(shop, url="rtmp://live.example/app")
    finally:
        await shop.syndication.close()
        await asyncio.to_thread(shop.media.close)
        await database.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_connection_supplies_address_and_key(shop: Liveshop) -> None:
    service, toy = shop.stage.destinations, Toy()
    async with serve(toy.app()) as url:
        config = {"base_url": url, "key": "toy-key-4711"}
        made = await shop.syndication.connections.create(
            ConnectionInput(connector="toy", title="Toy", config=config)
        )
        async with shop.database.write() as tx:
            sealer = Sealer(shop.settings.server.secret)
            tokens = Tokens(access_token="toy-access-token")
            await write_credentials(tx.conn, sealer, made.id, tokens=tokens)
        page = await new(shop, url="", key=None, connection_id=made.id)
        assert (page.url, page.has_key, page.connection_id) == ("", False, made.id)
        show_id = await a_show(shop, "live")
        await service.switch(show_id, page.id, is_on=True)
        (target,) = shop.stage.simulcasts.targets(show_id)
        assert (target.address, target.connection_id) == (None, made.id)
        told = await service.address_of(show_id, target)
        assert told == Address(TOY_STAGE, "b1-of-the-toy")
        assert await service.address_of(show_id, target) == told
        with pytest.raises(BadDestination):
            await service.change(page.id, simulcast_wire.DestinationChange(key="mine"))
        await shop.syndication.connections.change_state(made.id, "paused")
        with pytest.raises(NeedsAttention, match="paused"):
            await service.address_of(show_id, target)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_key_of_another_server_secret_is_asked_for_again(shop: Liveshop) -> None:
    page = await new(shop)
    show_id = await a_show(shop, "live")
    await shop.stage.destinations.switch(show_id, page.id, is_on=True)
    strange = TextSealer("another secret", purpose="liveshop destinations 1").seal(KEY)
    async with shop.database.write() as tx:
        await tx.conn.execute(sa.update(destination).values(sealed_key=strange))
    await shop.stage.destinations.check()
    (target,) = shop.stage.simulcasts.targets(show_id)
    assert target.address is None
    with pytest.raises(NeedsAttention, match="Enter it again"):
        await shop.stage.destinations.address_of(show_id, target)


def test_what_was_sealed_opens_for_its_purpose_and_secret_only() -> None:
    sealed = TextSealer("secret", purpose="one").seal(KEY)
    assert TextSealer("secret", purpose="one").open(sealed) == KEY
    for sealer in (TextSealer("secret", purpose="two"), TextSealer("other", purpose="one")):
        with pytest.raises(SealedOtherwise):
            sealer.open(sealed)
    with pytest.raises(SealedOtherwise):
        TextSealer("secret", purpose="one").open("nonsense ü")


def test_credentials_that_were_sealed_before_are_still_read() -> None:
    """By the code before `storage.sealing`, under this secret."""
    assert Sealer("secret").open(SEALED_BEFORE) == Credentials({"key": "toy-key-4711"})


# Over HTTP


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_studio_switches_a_leg(api: Api, shop: Liveshop) -> None:
    caller = api.with_token(await builders.staff_key(shop, "host"))
    given = {"name": "Our page", "url": "rtmp://127.0.0.1:9/live", "key": KEY}
    status, made = await caller.call("POST", "/api/destinations", given)
    assert (status, made["has_key"]) == (201, True)
    show_id = await a_show(shop, "live")
    address = f"/api/shows/{show_id}/simulcast"
    status, told = await caller.call("PUT", f"{address}/{made['id']}", {"is_on": True})
    assert status == 200
    assert [(leg["name"], leg["state"]) for leg in told["legs"]] == [("Our page", "waiting")]
    status, changed = await caller.call(
        "PATCH", f"/api/destinations/{made['id']}", {"name": "Page"}
    )
    assert (status, changed["name"], changed["url"]) == (200, "Page", given["url"])
    assert KEY not in str([made, told, changed])
    assert (await caller.call("DELETE", f"/api/destinations/{made['id']}"))[0] == 204
    status, problem = await caller.call("PUT", f"{address}/{made['id']}", {"is_on": True})
    assert (status, problem["code"]) == (404, "unknown_destination")
    status, problem = await caller.call("GET", "/api/shows/shw_none/simulcast")
    assert (status, problem["code"]) == (404, "unknown_show")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nothing_unknown_is_changed(shop: Liveshop) -> None:
    service = shop.stage.destinations
    assert isinstance(service, Destinations)
    with pytest.raises(UnknownDestination):
        await service.remove("dst_none")
    with pytest.raises(UnknownDestination):
        await service.change("dst_none", simulcast_wire.DestinationChange(name="x"))
    with pytest.raises(UnknownDestination):
        await service.switch(await a_show(shop), "dst_none", is_on=True)
    with pytest.raises(UnknownShow):
        await service.switch(ShowId("shw_none"), (await new(shop)).id, is_on=True)
