"""Who may send to a show from a browser, and what of it the show's log says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import builders
import pytest
from camera_builders import Camera, Take, webcodecs_take
from room_builders import PATIENCE, close_code
from websockets.asyncio.client import connect

from liveshop.app import Liveshop
from liveshop.kernel.errors import Forbidden
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire
from liveshop.shows.model import UnknownShow
from liveshop.video.model import ShowOver
from liveshop.web.access import ANONYMOUS, NotSignedIn, Principal


@pytest.fixture(scope="module")
def take() -> Take:
    return webcodecs_take(1.2)


@asynccontextmanager
async def camera_of(api: builders.Api, show_id: str, token: str) -> AsyncIterator[Camera]:
    url = api.client.make_url(f"/live/{show_id}/camera").with_scheme("ws")
    protocols = ["liveshop.v1", f"bearer.{token}"]
    async with connect(str(url), subprotocols=protocols, proxy=None) as ws:  # type: ignore[arg-type]
        yield Camera(ws)


async def kinds_of(shop: Liveshop, show_id: ShowId, last: str) -> list[str]:
    """The log, once this is its last entry."""
    async with asyncio.timeout(PATIENCE):
        while True:
            kinds = [one.kind for one in (await shop.stage.broadcasts.log(show_id)).entries]
            if kinds[-1:] == [last]:
                return kinds


async def test_staff_may_send_to_every_show_that_is_not_over(shop: Liveshop) -> None:
    rights = shop.stage.camera_rights
    given = wire.ShowInput(title="A show", audience="customers")
    show_id = (await shop.shows.create_show(given)).id
    allowed = await rights.allow(show_id, builders.ALL_RIGHTS)
    assert (allowed.is_on_air, allowed.for_customers, allowed.key_id) == (False, True, "")
    assert (allowed.person_id, allowed.person_name) == ("stf_tests", "Tests")
    assert allowed.capture_delay == timedelta()
    await shop.shows.change_state(show_id, "live")
    assert (await rights.allow(show_id, builders.ALL_RIGHTS)).is_on_air
    await shop.shows.change_state(show_id, "ended")
    with pytest.raises(ShowOver):
        await rights.allow(show_id, builders.ALL_RIGHTS)


async def test_others_may_not(shop: Liveshop) -> None:
    rights = shop.stage.camera_rights
    show_id = await builders.live_show(shop)
    with pytest.raises(NotSignedIn):
        await rights.allow(show_id, ANONYMOUS)
    with pytest.raises(Forbidden):
        await rights.allow(show_id, Principal("staff", "stf_1", "Mo", frozenset({"shows:read"})))
    for unknown in ("shw_" + "0" * 26, "prd_1", "shw"):
        with pytest.raises(UnknownShow):
            await rights.allow(unknown, builders.ALL_RIGHTS)


async def test_a_host_that_comes_back_is_back_in_the_log_under_his_name(
    shop: Liveshop, api: builders.Api, take: Take
) -> None:
    show_id = await builders.live_show(shop)
    token = await builders.staff_key(shop, "host")
    async with camera_of(api, show_id, token) as camera:
        resume = (await camera.begin(take))["resume"]
        await camera.show(take, 1.2)
        await kinds_of(shop, show_id, "started")
        camera.ws.transport.abort()
    await kinds_of(shop, show_id, "lost")
    async with camera_of(api, show_id, token) as camera:
        await camera.begin(take, resume=resume)
        await camera.show(take, 1.2)
        assert await kinds_of(shop, show_id, "back") == ["started", "lost", "back"]
        await shop.shows.change_state(show_id, "ended")
        assert (await camera.hear("refused"))["code"] == "show_over"
        assert await close_code(camera.ws) == 4504
    entries = (await shop.stage.broadcasts.log(show_id)).entries
    assert [one.data.get("person_name") for one in entries] == ["tests", None, "tests"]
    assert entries[1].data == {"reason": "closed"}


async def test_a_host_whose_key_is_revoked_is_cut_off_at_once(
    shop: Liveshop, api: builders.Api, take: Take
) -> None:
    show_id = await builders.live_show(shop)
    token = await builders.staff_key(shop, "host")
    async with camera_of(api, show_id, token) as camera:
        await camera.begin(take)
        await camera.show(take, 1.2)
        await kinds_of(shop, show_id, "started")
        (key,) = await shop.accounts.list_keys()
        await shop.accounts.revoke_key(key.id)
        assert (await camera.hear("refused"))["code"] == "not_signed_in"
    assert await kinds_of(shop, show_id, "lost") == ["started", "lost"]


async def test_a_key_that_is_revoked_unheard_is_found_by_the_guard(
    shop: Liveshop, api: builders.Api, take: Take
) -> None:
    show_id = await builders.live_show(shop)
    token = await builders.staff_key(shop, "host")
    async with camera_of(api, show_id, token) as camera:
        await camera.begin(take)
        await camera.show(take, 1.2)
        await kinds_of(shop, show_id, "started")
        await shop.stage.guard.check()
        assert shop.stage.video.has_publisher(show_id)
        (key,) = await shop.accounts.list_keys()
        listeners, shop.database._listeners = shop.database._listeners, []
        await shop.accounts.revoke_key(key.id)
        shop.database._listeners = listeners
        await shop.stage.guard.check()
        assert (await camera.hear("refused"))["code"] == "forbidden"


async def test_a_stream_key_that_is_replaced_leaves_a_browser_alone(
    shop: Liveshop, api: builders.Api, take: Take
) -> None:
    show_id = await builders.live_show(shop)
    token = await builders.staff_key(shop, "host")
    host = api.with_token(token)
    async with camera_of(api, show_id, token) as camera:
        await camera.begin(take)
        await camera.show(take, 1.2)
        await kinds_of(shop, show_id, "started")
        for _ in range(2):
            status, _answer = await host.call("POST", f"/api/shows/{show_id}/stream-keys")
            assert status == 201
        await shop.stage.guard.check()
        assert shop.stage.video.has_publisher(show_id)
