"""What viewers see of a show's picture: close to live, back into it, without it, and its return."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import publisher
import pytest
import pytest_asyncio
from e2e import other_demo
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually, in_player
from playwright.async_api import Route, expect

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

MUG = "Fjord stoneware mug"
NEAR_LIVE_SECONDS = 1.6
"""What the player aims at is 0.8 to 1.2; a busy test machine is slower."""
SETTLES_WITHIN_SECONDS = 40.0
RETURNS_WITHIN_SECONDS = 20.0

FIGURES = in_player("return film ? {...film.dataset} : {};")
PLAYHEAD = in_player("return film?.stream?.playhead() ?? null;")
# Whether the recording goes back far enough for a test to go there.
RECORDED_SINCE = """async (address) => {
  const text = await (await fetch(address, {cache: "no-store"})).text();
  const first = /PROGRAM-DATE-TIME:(.*)/.exec(text);
  return first !== null && Date.now() - Date.parse(first[1]) > 45_000;
}"""
# Nobody touches the page, nor loads it anew.
UNTOUCHED = """() => {
  window.untouched = true;
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, () => { window.untouched = false; }, {capture: true});
  }
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A demo whose shows have a picture only while an encoder sends one; hoped for for 8 s."""
    no_film = other_demo.command("video.grace_seconds=8", film=False)
    demo = House(tmp_path_factory.mktemp("quiet") / "demo", no_film)
    await demo.start()
    yield demo
    await demo.stop()


async def _address(house: House, show_id: str) -> str:
    """Where an encoder sends this show's picture."""
    key = await house.host("POST", f"/api/shows/{show_id}/stream-keys")
    return f"{key['server'].rstrip('/')}/{key['secret']}"


@asynccontextmanager
async def _sending(address: str, *arguments: str) -> AsyncIterator[publisher.Publisher]:
    size = ("--size", "640x360", "--kbit", "800")
    sender = await asyncio.to_thread(publisher.start, address, *size, *arguments)
    try:
        await asyncio.to_thread(sender.wait_sending)
        yield sender
    finally:
        await asyncio.to_thread(sender.close)


async def _state(person: Person) -> str:
    return str((await person.page.evaluate(FIGURES)).get("state", ""))


async def _becomes(person: Person, state: str, *, within: float = RETURNS_WITHIN_SECONDS) -> None:
    async def is_so() -> bool:
        return await _state(person) == state

    try:
        await eventually(is_so, f"the player to be {state!r}", within=within)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {await person.page.evaluate(FIGURES)}") from None


async def _settles(person: Person) -> dict[str, Any]:
    """The figures once the viewer is close to live."""

    async def near() -> Any:
        told = await person.page.evaluate(FIGURES)
        is_near = told.get("latency") and float(told["latency"]) < NEAR_LIVE_SECONDS
        return told if told.get("state") == "playing" and is_near else None

    return dict(await eventually(near, "live", within=SETTLES_WITHIN_SECONDS))


# Close to live


@pytest.mark.parametrize("size", ["1440", "390"])
async def test_a_viewer_is_about_a_second_behind(house: House, arrive: Arrive, size: str) -> None:
    viewer = await arrive(size)
    await viewer.visit(house)
    told = await _settles(viewer)
    assert 0.8 <= float(told["target"]) <= 1.5
    await viewer.film_runs(seconds=5)
    assert int((await _settles(viewer))["stalls"]) <= 1


async def test_who_fell_behind_is_soon_close_again(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    await _settles(viewer)
    # Paused for a while, then live again: not a second of the pause is shown.
    await viewer.page.evaluate(in_player("film.shadowRoot.querySelector('.bar button').click()"))
    await _becomes(viewer, "paused")
    left = await viewer.page.evaluate(PLAYHEAD)
    await eventually(lambda: _later(viewer, left), "some seconds of the show to pass")
    await viewer.page.evaluate(in_player("film.shadowRoot.querySelector('.bar button').click()"))
    await _settles(viewer)


async def _later(viewer: Person, playhead: float) -> bool:
    return float(await viewer.page.evaluate("() => Date.now()")) > playhead + 5000


# Back into the show


async def test_going_back_into_the_show_and_to_live_again(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    await _settles(viewer)
    address = f"{house.base}/hls/{house.show_id}/rewind/index.m3u8"
    await eventually(
        lambda: viewer.page.evaluate(RECORDED_SINCE, address),
        "something to go back to",
        within=SETTLES_WITHIN_SECONDS,
    )
    live = float(await viewer.page.evaluate(PLAYHEAD))
    await viewer.see("live-seek").evaluate(
        """(bar) => {
          bar.value = String(Number(bar.max) - 25);
          bar.dispatchEvent(new Event("change"));
        }"""
    )
    await _becomes(viewer, "rewind")
    film = await viewer.film_runs(seconds=1)
    assert -30_000 < film["playhead"] - live < -15_000
    to_live = viewer.page.get_by_role("button", name="Go to live")
    await expect(to_live).to_be_enabled()
    # By keyboard as well: ten seconds back for each arrow, and the bar says where that is.
    await viewer.see("live-seek").press("ArrowLeft")

    async def is_further_back() -> bool:
        playhead = await viewer.page.evaluate(PLAYHEAD)
        return bool(playhead and playhead < film["playhead"] - 5_000)

    await eventually(is_further_back, "ten seconds further back")
    await to_live.click()
    assert (await _settles(viewer))["state"] == "playing"
    assert float(await viewer.page.evaluate(PLAYHEAD)) > live


# Without the picture


async def test_sound_alone_needs_no_picture_and_is_remembered(house: House, arrive: Arrive) -> None:
    viewer = await arrive("390")
    await viewer.visit(house)
    await viewer.film_runs()
    await viewer.see("sound-only").click()
    card = viewer.see("video-card")
    await expect(card).to_contain_text("Sound only")
    loaded: list[str] = []
    viewer.page.on("request", lambda request: loaded.append(request.url))
    await viewer.film_runs(seconds=3)
    parts = [url for url in loaded if ".m4s" in url]
    assert parts
    assert all("/audio/" in url for url in parts), parts
    # Still a stream with a clock: pins wait for it as they do for the picture.
    assert await viewer.page.evaluate(PLAYHEAD)

    await viewer.page.reload()
    await expect(card).to_contain_text("Sound only")
    await viewer.see("show-picture").click()
    await _settles(viewer)
    await expect(card).to_have_count(0)
    assert (await viewer.film_runs())["variance"] > 200


async def test_a_weak_network_is_named_and_sound_alone_offered(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive("390")
    await viewer.visit(house)
    await _settles(viewer)
    await viewer.page.evaluate(in_player("for (let i = 0; i < 3; i++) film.stream.onWaiting();"))
    notice = viewer.see("weak-network")
    await expect(notice).to_contain_text("Your network is weak.")
    await notice.get_by_role("button", name="Sound only").click()
    await expect(viewer.see("video-card")).to_contain_text("Sound only")
    await expect(notice).to_have_count(0)


async def test_who_lost_the_network_is_told_and_comes_back(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    await _settles(viewer)
    await viewer.page.evaluate(UNTOUCHED)
    await viewer.context.set_offline(True)
    await _becomes(viewer, "trouble", within=SETTLES_WITHIN_SECONDS)
    await expect(viewer.page.get_by_text("The picture is interrupted.")).to_be_visible()
    await viewer.context.set_offline(False)
    await _settles(viewer)
    assert await viewer.page.evaluate("() => window.untouched")


# While the host has no picture


@pytest.mark.parametrize("size", ["1440", "390"])
async def test_waiting_gone_and_back_without_a_touch(
    quiet: House, arrive: Arrive, size: str
) -> None:
    show = await quiet.new_show("An encoder's evening", MUG, state="live")
    viewer = await arrive(size)
    await viewer.page.goto(f"{quiet.base}/s/{show}")
    await viewer.page.locator("ls-player").wait_for()
    await viewer.page.evaluate(UNTOUCHED)
    card = viewer.see("video-card")
    await expect(card).to_contain_text("The host is about to begin")
    assert await viewer.axe() == []

    address = await _address(quiet, show)
    async with _sending(address) as sender:
        await _settles(viewer)
        await expect(card).to_have_count(0)
        stalls = int((await viewer.page.evaluate(FIGURES))["stalls"])
        await asyncio.to_thread(sender.vanish)
        await expect(card).to_contain_text("Back in a moment")
    # A pin made now is seen now: there is no picture that could be behind.
    product = (await quiet.call("GET", f"/api/shows/{show}"))["lineup"][0]
    await quiet.host("PUT", f"/api/shows/{show}/pin", {"product_id": product})
    await viewer.see("pinned-card").wait_for()
    await expect(card).to_contain_text("The host has not come back yet")
    assert await viewer.axe() == []

    async with _sending(address, "--size", "426x240"):
        told = await _settles(viewer)
        await expect(card).to_have_count(0)
        assert int(told["stalls"]) <= stalls + 1
    assert await viewer.page.evaluate("() => window.untouched")


async def test_another_encoder_takes_over_and_the_picture_goes_on(
    quiet: House, arrive: Arrive
) -> None:
    show = await quiet.new_show("Two cameras", MUG, state="live")
    address = await _address(quiet, show)
    async with _sending(address):
        viewer = await arrive()
        await viewer.page.goto(f"{quiet.base}/s/{show}")
        stalls = int((await _settles(viewer))["stalls"])
        async with _sending(address, "--size", "854x480"):
            size = in_player("return video.videoWidth")

            async def is_new() -> bool:
                return await viewer.page.evaluate(size) == 854

            await eventually(is_new, "the other camera's picture", within=RETURNS_WITHIN_SECONDS)
            assert int((await _settles(viewer))["stalls"]) <= stalls + 1


async def test_the_server_is_killed_and_viewers_come_back_with_it(
    quiet: House, arrive: Arrive
) -> None:
    show = await quiet.new_show("Through a crash", MUG, state="live")
    address = await _address(quiet, show)
    viewer = await arrive()
    async with _sending(address):
        await viewer.page.goto(f"{quiet.base}/s/{show}")
        await _settles(viewer)
        await viewer.page.evaluate(UNTOUCHED)
        await quiet.kill()
    await quiet.start()
    async with _sending(address):
        await _settles(viewer)
    assert await viewer.page.evaluate("() => window.untouched")


async def test_an_address_that_ran_out_is_renewed(house: House, arrive: Arrive) -> None:
    """A signed address of a show for customers is good for some hours."""
    viewer = await arrive()
    gone: list[str] = []

    async def refuse(route: Route) -> None:
        if "renewed" in route.request.url:
            await route.fallback()
            return
        gone.append(route.request.url)
        await route.fulfill(status=403)

    await viewer.page.route("**/hls/**", refuse)
    await viewer.visit(house)
    await eventually(lambda: _true(gone), "the first address to be refused")
    renew = """film.src = film.src.replace("index.m3u8", "index.m3u8?renewed");"""
    await viewer.page.unroute("**/hls/**")
    await viewer.page.evaluate(in_player(renew))
    await _settles(viewer)


async def _true(found: list[str]) -> bool:
    return bool(found)
