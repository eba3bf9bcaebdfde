"""More is said than anybody can read: what is not shown is said, and the reader's place is kept."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import aiohttp
import pytest
from e2e.conftest import Arrive
from e2e.house import ANSWERS_WITHIN_SECONDS, House, Someone
from e2e.people import Person, eventually
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

CROWD = 45
TALLY = """(lists) => {
  const number = (line) => parseInt(line.textContent.replace(/\\D/g, ""));
  const count = (selector) => [...lists[0].querySelectorAll(selector)];
  const more = count("[data-testid=chat-more]").map(number);
  return [count("[data-testid=chat-message]").length, more.reduce((sum, n) => sum + n, 0)];
}"""
PLACE = """(lists) => {
  const [list] = lists;
  const top = list.getBoundingClientRect().top;
  const first = [...list.children].find((line) => line.getBoundingClientRect().bottom > top);
  return [first.textContent.trim(), Math.round(first.getBoundingClientRect().top)];
}"""


async def test_a_crowd_is_sampled_and_the_chat_says_how_many_more_there_were(
    house: House, arrive: Arrive
) -> None:
    show = await house.new_show("Loud", state="live")
    crowd = [await house.someone() for _ in range(CROWD)]
    viewer = await arrive("390")
    await viewer.visit(house, show=show)
    await expect(viewer.see("viewer-count")).to_contain_text("1")  # told by the line
    await viewer.say("Good evening")
    await expect(viewer.see("chat-message")).to_have_count(1)

    await viewer.see("chat-input").fill("Me too")
    await asyncio.gather(shout(show, crowd, "one", "two", "three"), viewer.see("chat-send").click())
    messages = 2 + 3 * CROWD
    shown, more = await eventually(lambda: tally(viewer, messages), "all to be shown or counted")
    assert shown >= 25
    assert more > 0
    await expect(viewer.see("chat-message").filter(has_text="Me too")).to_have_count(1)
    await expect(viewer.see("chat-more").first).to_contain_text("more message")

    chat, fresh = viewer.page.locator("ls-chat .list"), viewer.page.locator("ls-chat .new")
    await chat.evaluate("(list) => { list.scrollTop = 60; }")
    place = await chat.evaluate_all(PLACE)
    await shout(show, crowd, "four")
    await expect(fresh).to_contain_text(f"{CROWD} new messages")
    assert await chat.evaluate_all(PLACE) == place
    await fresh.click()
    await eventually(lambda: tally(viewer, messages + CROWD), "the newest")


async def shout(show: str, crowd: Sequence[Someone], *texts: str) -> None:
    """All at once: everybody comes first."""
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(one.watching(show)) for one in crowd]
        for number, text in enumerate(texts, start=1):
            for line in lines:
                await line.send_json({"id": number, "t": "chat.send", "text": text})
        await asyncio.gather(*(_answered(line, len(texts)) for line in lines))


async def _answered(line: aiohttp.ClientWebSocketResponse, commands: int) -> None:
    async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
        while (frame := await line.receive_json()).get("id") != commands:
            assert "error" not in frame, frame


async def tally(viewer: Person, messages: int) -> list[int]:
    """How many messages stand there and how many are told of, once they are so many."""
    found: list[int] = await viewer.page.locator("ls-chat .list").evaluate_all(TALLY)
    return found if sum(found) == messages else []
