"""What tests that Hypothesis drives share: it calls them from outside any loop."""

import asyncio
from collections.abc import Iterator

import pytest

from liveshop.app import Liveshop


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for a test that is no coroutine itself."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def open_shop(wired: Liveshop, loop: asyncio.AbstractEventLoop) -> Iterator[Liveshop]:
    """The shop, closed in the end by the loop it was used in."""
    yield wired
    loop.run_until_complete(wired.syndication.close())
    wired.media.close()
    loop.run_until_complete(wired.database.close())
