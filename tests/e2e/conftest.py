"""One demo, one browser, and people who come with a fresh context each.

Everything here lives in one event loop for the whole session, so the tests of this folder do too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from e2e import other_demo
from e2e.house import House
from e2e.people import WITHIN_MS, Person, launch
from playwright.async_api import Browser, async_playwright, expect

Arrive = Callable[..., Awaitable[Person]]
_FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=WITHIN_MS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await launch(playwright)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The demo everybody shares. Tests that bend it make a show or a house of their own."""
    demo = House(tmp_path_factory.mktemp("house") / "demo")
    await demo.start()
    yield demo
    await demo.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A demo whose holds end after 30 seconds."""
    short = other_demo.command("checkout.hold_seconds=30", "checkout.hold_warning_seconds=20")
    demo = House(tmp_path_factory.mktemp("hasty") / "demo", short)
    await demo.start()
    yield demo
    await demo.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def arrive(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Arrive]:
    """`await arrive("390", locale="de-DE")`: a person with a browser of that width."""
    people: list[Person] = []

    async def one(size: str = "1440", **more: Any) -> Person:
        person = await Person.arrive(browser, size, **more)
        people.append(person)
        return person

    yield one
    if request.node.stash.get(_FAILED, False):
        for number, person in enumerate(people, start=1):
            await person.page.screenshot(path=tmp_path / f"person-{number}.png")
            print(f"what person {number} saw: {tmp_path / f'person-{number}.png'}")
    for person in people:
        await person.leave()
    troubles = [trouble for person in people for trouble in person.troubles]
    assert not troubles, troubles
