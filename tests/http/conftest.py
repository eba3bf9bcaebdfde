"""The whole site for the tests of its HTTP face: with its pages, and storefront sign-on set up.

On SQLite only: what depends on the database is tested on both elsewhere, and by schemathesis.
"""

import asyncio
import shutil
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import builders
import pytest
import structlog
from structlog.testing import LogCapture

from liveshop.app import Browser, Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database

EMBED_ORIGIN = "https://storefront.example"


@pytest.fixture(autouse=True)
def log() -> Iterator[list[Any]]:
    """What the server logged. A fault that nobody foresaw fails the test it happened in."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[_keep_error, capture], cache_logger_on_first_use=False)
    yield capture.entries
    structlog.configure(**before)
    unforeseen = [entry for entry in capture.entries if entry.get("exc_info")]
    assert not unforeseen, "\n".join(_told(entry) for entry in unforeseen)


def _keep_error(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    if event.get("exc_info"):
        event["exc_info"] = sys.exc_info()[1]
    return event


def _told(entry: MutableMapping[str, Any]) -> str:
    return f"{entry}\n{''.join(traceback.format_exception(entry['exc_info']))}"


@pytest.fixture
def site_wired(sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Liveshop:
    copy = tmp_path / "site.sqlite3"
    shutil.copy(sqlite_template, copy)
    settings = builders.test_settings(
        tmp_path / "data",
        database_url=f"sqlite+aiosqlite:///{copy}",
        server__embed_origins=[EMBED_ORIGIN],
        customers__algorithm="HS256",
        customers__key=builders.STOREFRONT_KEY,
    )
    return wire(settings, Database.open(settings.database_url), Browser.load(settings), clock)


@pytest.fixture
async def site_shop(site_wired: Liveshop) -> AsyncIterator[Liveshop]:
    yield site_wired
    await site_wired.syndication.close()
    await asyncio.to_thread(site_wired.media.close)
    await site_wired.database.close()


@pytest.fixture
async def site(site_shop: Liveshop) -> AsyncIterator[builders.Api]:
    """The whole site over real HTTP on loopback."""
    started = await builders.api_of(site_shop)
    yield started
    await started.client.close()
