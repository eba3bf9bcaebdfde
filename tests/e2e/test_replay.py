"""A show seen again: there within seconds, everything at its moment, bought from, and cut."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually
from playwright.async_api import expect

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

MUG = "Fjord stoneware mug"
LAMP = "Opal table lamp"
APART = 5.0
"""Seconds between two products; what is in focus for less than three was a slip of the hand."""
TURNS_WITHIN = 20.0


@dataclass
class Evening:
    """A show with two products, each with a line of chat after it."""

    house: House
    show: str
    pinned: dict[str, datetime] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def present(self, title: str, line: str) -> None:
        product = await self.house.product(title)
        self.ids[title] = product["id"]
        body = {"product_id": product["id"]}
        await self.house.host("PUT", f"/api/shows/{self.show}/pin", body)
        pins = (await self.house.call("GET", f"/api/shows/{self.show}/snapshot"))["pins"]
        self.pinned[title] = datetime.fromisoformat(pins[-1]["at"])
        await (await self.house.someone()).say(self.show, line)

    async def end(self) -> None:
        """Returns once it can be seen again. May be repeated."""
        if await self._state() == "live":
            await self.house.move(self.show, "ended")
        await eventually(self._is_replay, "the replay", within=TURNS_WITHIN)

    async def _state(self) -> str:
        return str((await self.house.call("GET", f"/api/shows/{self.show}"))["state"])

    async def _is_replay(self) -> bool:
        return await self._state() == "replay"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evening(house: House) -> AsyncIterator[Evening]:
    evening = Evening(house, await house.new_show("Seen again", MUG, LAMP, state="live"))
    await evening.present(MUG, "What a mug")
    await asyncio.sleep(APART)  # a show lasts as long as it lasts
    await evening.present(LAMP, "What a light")
    await asyncio.sleep(APART)
    yield evening


async def test_a_show_that_ends_is_there_again_and_can_be_bought_from(
    evening: Evening, arrive: Arrive
) -> None:
    viewer = await arrive()
    await viewer.visit(evening.house, show=evening.show)
    await viewer.film_runs()
    await evening.house.move(evening.show, "ended")
    again = viewer.see("watch-again")
    await expect(again).to_be_visible(timeout=TURNS_WITHIN * 1000)
    await viewer.open_product(MUG)  # nothing is taken from whoever does not want to see it again
    await viewer.page.keyboard.press("Escape")

    await again.click()
    await viewer.film_runs()
    await viewer.see("tab-chat").click()
    await viewer.page.locator("ls-video video").hover()  # the controls come with the pointer
    await viewer.see("chapters").click()
    await viewer.see("chapter").filter(has_text=LAMP).click()
    await _shows(viewer, evening, LAMP)
    await eventually(lambda: _said(viewer, ["What a mug", "What a light"]), "both lines")

    await viewer.see("replay-seek").focus()
    await viewer.page.keyboard.press("PageDown")  # a chapter back
    await _shows(viewer, evening, MUG)
    await eventually(lambda: _said(viewer, ["What a mug"]), "one line alone")
    await expect(viewer.page.locator("ls-chat")).to_contain_text("The show is over")
    await expect(viewer.see("chat-input")).to_have_count(0)

    await viewer.see("pinned-card").click()
    await viewer.choose("Oat")
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.fill_address("Renate Replay")
    await viewer.pay()
    assert (await viewer.order_number()).startswith("L-")
    assert not (await viewer.film())["paused"]

    # Whoever comes back is where he was; a link leads to its moment.
    before = (await viewer.film())["playhead"]
    await viewer.page.reload()
    assert (await viewer.film_runs())["playhead"] > before - 2000
    shown = await viewer.context.new_page()
    viewer.page = shown
    started = (await evening.house.call("GET", f"/api/shows/{evening.show}"))["started_at"]
    into = evening.pinned[LAMP] - datetime.fromisoformat(started)
    await shown.goto(f"{evening.house.base}/s/{evening.show}?at={into.total_seconds():.0f}")
    await viewer.film_runs()
    await _shows(viewer, evening, LAMP)


async def _shows(viewer: Person, evening: Evening, title: str) -> None:
    """The product is in focus, and the frame is one of its moment."""
    await expect(viewer.see("pinned-card")).to_have_attribute("data-product", evening.ids[title])
    playhead = (await viewer.film())["playhead"] / 1000
    into = playhead - evening.pinned[title].timestamp()
    assert -0.1 <= into < APART + 1, f"{title}: {into:.2f} s after it was shown"


async def _said(viewer: Person, lines: list[str]) -> bool:
    return await viewer.messages() == lines


async def test_what_the_host_cuts_off_viewers_do_not_see(evening: Evening, arrive: Arrive) -> None:
    await evening.end()
    host = await arrive()
    await host.sign_in(evening.house.studio)
    await host.page.goto(f"{evening.house.studio}#/shows/{evening.show}")
    await host.see("recording").click()
    await host.see("moment").filter(has_text=LAMP).get_by_role("button").first.click()
    # It plays from there on: where it stands now is the lamp's moment.
    await eventually(lambda: _beyond(host, 0.5), "the preview to be there")
    await host.see("trim-start-here").click()
    await expect(host.see("trim-words")).to_contain_text("Viewers see")
    await host.see("save-trim").click()
    await host.see("reset-trim").wait_for()
    assert await host.axe() == []

    viewer = await arrive("390")
    await viewer.visit(evening.house, show=evening.show)
    first = await viewer.film_runs()
    # From the keyframe before, which comes each second.
    early = evening.pinned[LAMP].timestamp() - first["playhead"] / 1000
    assert early < 3
    await expect(viewer.see("pinned-card")).to_have_attribute("data-product", evening.ids[LAMP])
    await expect(viewer.see("replay-seek")).to_be_attached()
    assert await viewer.axe() == []

    await host.see("reset-trim").click()
    await expect(host.see("trim-words")).to_contain_text("all of it")


async def _beyond(host: Person, seconds: float) -> Any:
    return await host.page.evaluate(
        "(least) => document.querySelector('studio-recording-trim video').currentTime > least",
        seconds,
    )
