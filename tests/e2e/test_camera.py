"""A host goes live from the browser: a moving picture, mute, a line that is cut, the end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import barcode
import builders
import delay_proxy
import painted_camera
import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.people import Person, eventually, in_player
from playwright.async_api import expect
from video_house import VideoHouse, video_house

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

_SENDS_WITHIN_MS = 30_000
_BACK_WITHIN_SECONDS = 20.0
# The clock in the picture, and whether the player has sound at all.
_CLOCK = in_player(barcode.READ_JS + "return video ? readBarcode(video) : null;")

_FIGURES = in_player("return film ? {...film.dataset} : {};")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VideoHouse]:
    async with video_house(tmp_path_factory.mktemp("camera")) as started:
        yield started


async def _draft(house: VideoHouse) -> str:
    show = await house.call(
        "POST",
        "/api/shows",
        {"title": "From a phone", "host_name": "Hedda", "product_ids": list(house.product_ids)},
    )
    return str(show["id"])


async def _at_the_camera(host: Person, studio: str, show_id: str) -> None:
    """Signed in, and up to the check."""
    await host.page.goto(f"{studio}#/shows/{show_id}")
    await host.see("sign-in-email").fill("host@shop.example")
    await host.see("sign-in-password").fill(builders.PASSWORD)
    await host.see("sign-in-submit").click()
    await host.see("camera-open").click()


async def _sees_after(viewer: Person, ms: float) -> None:
    """A picture that the camera has taken after that moment."""

    async def is_new() -> bool:
        clock = await viewer.page.evaluate(_CLOCK)
        return clock is not None and clock > ms

    await eventually(is_new, "the picture to go on", within=_BACK_WITHIN_SECONDS)


async def _now_ms(person: Person) -> float:
    return float(await person.page.evaluate("() => Date.now()"))


async def test_a_host_goes_live_from_the_browser(
    house: VideoHouse, arrive: Arrive, tmp_path: Path
) -> None:
    show_id = await _draft(house)
    with delay_proxy.line(house.port, delay_proxy.Network(2, 0, 0)) as line:
        host = await arrive("390")
        await host.context.add_init_script(painted_camera.SCRIPT)
        await _at_the_camera(host, f"http://127.0.0.1:{line.port}/studio", show_id)
        await expect(host.see("camera-sound")).to_have_attribute("data-verdict", "good")
        await expect(host.see("camera-light")).to_have_attribute("data-verdict", "good")
        await host.see("camera-live").click()
        await host.see("confirm").click()
        state = host.see("camera-state")
        await expect(state).to_contain_text("On air", timeout=_SENDS_WITHIN_MS)

        viewer = await arrive()
        await viewer.page.goto(f"{house.public}/s/{show_id}")
        await viewer.page.locator("ls-player").wait_for()
        await _sees_after(viewer, await _now_ms(viewer))
        health = await house.call("GET", f"/api/shows/{show_id}/video")
        assert (health["width"], health["height"]) == (720, 1280)

        await host.see("camera-mute").click()
        await expect(host.see("camera-mute")).to_have_attribute("aria-pressed", "true")

        async def is_silent() -> bool:
            told = await house.call("GET", f"/api/shows/{show_id}/video")
            return told["level_dbfs"] is not None and told["level_dbfs"] < -60

        await eventually(is_silent, "silence to arrive")
        await host.see("camera-mute").click()
        # Nothing but what the host sends: this viewer was there in its first seconds.
        assert int((await viewer.page.evaluate(_FIGURES))["stalls"]) <= 1

        line.change("cut")
        await expect(state).not_to_contain_text("On air")
        await expect(state).to_contain_text("On air", timeout=_SENDS_WITHIN_MS)
        await _sees_after(viewer, await _now_ms(viewer))

        await host.see("camera-stop").click()
        await host.see("confirm").click()
        await expect(viewer.see("video-card")).to_contain_text("Back in a moment")
        log = await house.call("GET", f"/api/shows/{show_id}/log")
        kinds = {entry["kind"] for entry in log["entries"]}
        assert "replaced" not in kinds
        assert await asyncio.to_thread(lambda: "Traceback" not in house.log), house.log[-3000:]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [("NotAllowedError", "denied"), ("NotReadableError", "taken"), ("NotFoundError", "no_camera")],
)
async def test_a_camera_that_cannot_be_used_is_said_in_words(
    house: VideoHouse, arrive: Arrive, refusal: str, code: str
) -> None:
    host = await arrive("390")
    await host.context.add_init_script(
        f"{painted_camera.SCRIPT}; paintedCamera.refusal = {refusal!r};"
    )
    await _at_the_camera(host, f"{house.public}/studio", house.show_id)
    await expect(host.see("camera-trouble")).to_have_attribute("data-code", code)
