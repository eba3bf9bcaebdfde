"""A host with an encoder: connecting it, what the studio says of it, drops, and the camera's delay.

The encoder is `tests/publisher.py`, a process of its own that sends to the demo over RTMP.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import publisher
import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.house import House, Refused
from e2e.people import SIZES, Person, eventually
from playwright.async_api import Browser, Locator, expect

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

TEAPOT = "Fjord teapot"
SMALL = ("--size", "640x360", "--kbit", "800", "--rate", "30")
ARRIVES_WITHIN_MS = 30_000
"""An encoder starts a process, imports, connects, and its first second is looked at."""
CAMERA_MS = 400
LIGHT, DARK = 235, 16
_PICTURE = """
(video) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [64, 36];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 64, 36);
  const {data} = pen.getImageData(0, 0, 64, 36);
  const light = Array.from({length: 64 * 36}, (_, at) => data[at * 4]);
  const mean = light.reduce((sum, each) => sum + each, 0) / light.length;
  const variance = light.reduce((sum, each) => sum + (each - mean) ** 2, 0) / light.length;
  return {time: video.currentTime, ready: video.readyState, variance};
}
"""


@asynccontextmanager
async def encoder(address: str, *arguments: str) -> AsyncIterator[publisher.Publisher]:
    """Sends when the block begins; its pipes are read and written in threads."""
    started = await asyncio.to_thread(publisher.start, address, *SMALL, *arguments)
    try:
        await asyncio.to_thread(started.wait_sending)
        yield started
    finally:
        await asyncio.to_thread(started.close)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signed_in(house: House, browser: Browser) -> Any:
    """The cookies of a host: a password may be tried five times, then twice a minute."""
    host = await Person.arrive(browser)
    await host.sign_in(house.studio)
    state = await host.context.storage_state()
    await host.leave()
    return state


async def at_the_cockpit(house: House, host: Person, show: str) -> Locator:
    """Before this show's cockpit; its line about the video."""
    await host.page.goto(f"{house.studio}#/shows/{show}")
    line = host.see("video-line")
    await line.wait_for()
    return line


async def make_key(host: Person) -> str:
    """The address an encoder is given, from the sheet that must be open."""
    await host.see("make-key").click()
    return await shown_address(host)


async def shown_address(host: Person) -> str:
    secret = await host.see("stream-key").input_value()
    assert secret.startswith("lsv_")
    return f"{await host.see('video-server').input_value()}/{secret}"


async def expect_state(line: Locator, state: str) -> None:
    await expect(line).to_have_attribute("data-state", state, timeout=ARRIVES_WITHIN_MS)


async def monitor_runs(host: Person) -> dict[str, Any]:
    """Waits until the studio's picture moves on; what it shows then."""
    video = host.page.locator("studio-monitor video")
    first: dict[str, Any] = {}

    async def moves() -> Any:
        if not await video.count():
            return None
        now = await video.evaluate(_PICTURE)
        if now["ready"] < 2 or now["variance"] < 20:
            return None
        first.setdefault("time", now["time"])
        return now if now["time"] >= first["time"] + 1 else None

    return dict(await eventually(moves, "the studio's picture to run", within=30))


async def test_a_host_connects_an_encoder_before_the_show(
    house: House, arrive: Arrive, signed_in: Any
) -> None:
    show = await house.new_show("With an encoder", TEAPOT)
    host = await arrive(state=signed_in)
    line = await at_the_cockpit(house, host, show)
    await expect_state(line, "none")
    await expect(line).to_contain_text("No video yet")
    await host.see("send-video").click()
    address = await make_key(host)
    field = host.see("stream-key")
    await expect(field).to_have_attribute("type", "password")
    await host.page.get_by_role("button", name="Show stream key").click()
    await expect(field).to_have_attribute("type", "text")
    async with encoder(address):
        await expect(host.see("video-arrives")).to_have_attribute(
            "data-state", "preview", timeout=ARRIVES_WITHIN_MS
        )
        # The key is still there to be copied: video that arrives draws nothing anew.
        assert await shown_address(host) == address
        await expect(host.see("video-picture")).to_contain_text("640 × 360")
        await expect(host.see("video-sound")).to_contain_text("stereo, 48 kHz")
        await expect(host.see("video-keyframes")).to_have_text("every 1 s")
        await expect(host.see("advice-picture_small")).to_contain_text("1280 × 720")
        await host.page.keyboard.press("Escape")
        await expect(host.see("send-video")).to_be_focused()
        await expect(line).to_contain_text("The picture is small")
        await monitor_runs(host)
        frame = host.page.locator("studio-monitor .screen-frame")
        await expect(frame).to_have_attribute("data-playing", "feed")
        assert await eventually(lambda: _is_close(frame), "the studio to be close behind")
        with pytest.raises(Refused):
            await house.call("GET", f"/hls/{show}/index.m3u8")
        # A second look: the key is not told again.
        await host.see("send-video").click()
        await expect(host.see("key-kept")).to_contain_text(address[-4:])
        assert address.rpartition("/")[2] not in await host.page.content()
        await host.page.keyboard.press("Escape")
    await expect_state(line, "none")


async def _is_close(frame: Locator) -> bool:
    behind = await frame.get_attribute("data-behind")
    return behind is not None and float(behind) < 1.5


async def test_a_drop_is_told_while_it_lasts_and_in_the_log(
    house: House, arrive: Arrive, signed_in: Any
) -> None:
    show = await house.new_show("Interrupted", TEAPOT)
    host = await arrive("390", state=signed_in)
    line = await at_the_cockpit(house, host, show)
    await host.see("send-video").click()
    address = await make_key(host)
    await host.page.keyboard.press("Escape")
    async with encoder(address) as sending:
        await expect_state(line, "preview")
        await host.see("start-show").click()
        await host.see("confirm").click()
        await expect_state(line, "on_air")
        await monitor_runs(host)
        await asyncio.to_thread(sending.vanish)
        await expect_state(line, "away")
    await expect(line).to_contain_text("The video has stopped")
    await expect(line).to_contain_text("Back in a moment")
    async with encoder(address):
        await expect_state(line, "on_air")
        await monitor_runs(host)
        await host.see("send-video").click()
        entries = host.see("video-log-entry")
        await expect(entries.first).to_have_attribute("data-kind", "back")
        kinds = [await entry.get_attribute("data-kind") for entry in await entries.all()]
        assert kinds == ["back", "lost", "started"]
        await host.page.keyboard.press("Escape")
        await host.see("end-show").click()
        await host.see("confirm").click()
        await expect(line).to_have_count(0)


async def test_a_new_key_cuts_off_the_old_one(house: House, arrive: Arrive, signed_in: Any) -> None:
    show = await house.new_show("A new key", TEAPOT)
    host = await arrive(state=signed_in)
    line = await at_the_cockpit(house, host, show)
    await host.see("send-video").click()
    old = await make_key(host)
    await host.page.keyboard.press("Escape")
    async with encoder(old) as sending:
        await expect_state(line, "preview")
        await host.see("send-video").click()
        await host.see("new-key").click()
        await host.see("confirm").click()
        new = await shown_address(host)
        assert new != old
        told = await asyncio.to_thread(sending.wait_ended)
        assert told["ended"] != "done"
    await expect(host.see("video-arrives")).to_have_attribute("data-state", "none")
    refused = await asyncio.to_thread(publisher.start, old, *SMALL)
    assert "sending" not in await asyncio.to_thread(refused.wait_ended)
    await asyncio.to_thread(refused.close)
    async with encoder(new):
        await expect(host.see("video-arrives")).to_have_attribute("data-state", "preview")
        await host.page.keyboard.press("Escape")
        await host.see("send-video").click()
        await host.see("revoke-key").click()
        await host.see("confirm").click()
        await expect(host.see("make-key")).to_be_visible()
        await expect(host.see("video-arrives")).to_have_attribute("data-state", "none")


async def test_the_delay_of_a_camera_is_measured(
    house: House, arrive: Arrive, signed_in: Any
) -> None:
    """The encoder's camera sees the screen's light 400 ms after it changed."""
    show = await house.new_show("Measured", TEAPOT)
    host = await arrive(state=signed_in)
    line = await at_the_cockpit(house, host, show)
    await host.see("send-video").click()
    await expect(host.see("measure-delay")).to_be_disabled()
    address = await make_key(host)
    async with encoder(address, "--capture-delay-ms", str(CAMERA_MS)) as sending:
        await asyncio.to_thread(sending.ask, f"light {DARK}")
        await expect(host.see("measure-delay")).to_be_enabled(timeout=ARRIVES_WITHIN_MS)

        async def looked(_: Any, light: str) -> None:
            await asyncio.to_thread(sending.ask, f"light {LIGHT if light == '1' else DARK}")

        await host.page.expose_binding("cameraLooks", looked)
        await host.see("measure-delay").click()
        await host.see("flash").evaluate(
            """(flash) => new MutationObserver(() => cameraLooks(flash.dataset.light))
              .observe(flash, {attributes: true, attributeFilter: ["data-light"]})"""
        )
        start = host.see("measure-start")
        await expect(start).to_be_enabled()
        await start.click()
        await expect(host.see("flash")).to_have_attribute(
            "data-stage", "found", timeout=ARRIVES_WITHIN_MS
        )
        measured = int(await host.see("measured").get_attribute("data-milliseconds") or "")
        assert CAMERA_MS - 60 <= measured <= CAMERA_MS + 200
        await host.see("measure-save").click()
        await expect(host.see("encoder-delay")).to_have_value(str(measured))
        await expect(host.see("measure-delay")).to_be_focused()

        async def counts() -> bool:
            health = await house.host("GET", f"/api/shows/{show}/video")
            return bool(health["capture_delay_ms"] == measured)

        await eventually(counts, "the delay to count for what is being sent")
        await host.see("encoder-delay").fill("9000")
        await host.see("save-delay").click()
        await expect(host.page.locator("#encoder-delay-why")).to_contain_text("3,000")
        await host.see("encoder-delay").fill("0")
        await host.see("save-delay").click()
        await eventually(lambda: _delay_is(house, show, 0), "the typed delay to count")
        await host.page.keyboard.press("Escape")
    await expect_state(line, "none")


async def _delay_is(house: House, show: str, milliseconds: int) -> bool:
    health = await house.host("GET", f"/api/shows/{show}/video")
    return bool(health["capture_delay_ms"] == milliseconds)


@pytest.mark.parametrize("size", list(SIZES))
async def test_video_screens_are_accessible_in_both_languages(
    house: House, arrive: Arrive, signed_in: Any, size: str
) -> None:
    show = await house.new_show("Read aloud", TEAPOT)
    for locale in ("en-GB", "de-DE"):
        host = await arrive(size, locale=locale, state=signed_in)
        line = await at_the_cockpit(house, host, show)
        await expect_state(line, "none")
        assert await host.axe() == []
        await host.see("send-video").click()
        if locale == "en-GB":
            await host.see("make-key").wait_for()
            assert await host.axe() == []
            address = await make_key(host)
        else:
            address = await _another_key(host)
        assert await host.axe() == []
        async with encoder(address):
            await expect(host.see("video-picture")).to_be_visible(timeout=ARRIVES_WITHIN_MS)
            assert await host.axe() == []
            await host.see("measure-delay").click()
            await expect(host.see("measure-start")).to_be_enabled()
            assert await host.axe() == []
            await host.page.keyboard.press("Escape")
            await expect(host.see("flash")).to_have_count(0)
            assert "studio." not in await host.page.locator("studio-send-video").inner_text()
            await host.page.keyboard.press("Escape")
            assert await host.axe() == []
            assert "studio." not in await host.page.locator("studio-cockpit").inner_text()
        sideways = await host.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert sideways <= 0


async def _another_key(host: Person) -> str:
    await host.see("new-key").click()
    await host.see("confirm").click()
    await host.see("stream-key").wait_for()
    return await shown_address(host)


async def test_the_form_says_who_can_watch(house: House, arrive: Arrive, signed_in: Any) -> None:
    show = await house.new_show("Among ourselves", TEAPOT)
    host = await arrive("390", state=signed_in)
    await host.page.goto(f"{house.studio}#/shows/{show}/edit")
    await expect(host.see("audience-everyone")).to_be_checked()
    await host.see("audience-customers").check()
    await host.see("save-show").click()
    await host.see("video-line").wait_for()
    assert (await house.host("GET", f"/api/shows/{show}"))["audience"] == "customers"
