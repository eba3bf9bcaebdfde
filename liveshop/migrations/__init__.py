"""Database migrations: Alembic, run in process over the same engines as the server."""

from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from liveshop.kernel.errors import ShopError
from liveshop.storage import connected, translated

_LOCK = 0x6C697665
"""Of PostgreSQL's advisory locks, ours."""


class NewerDatabase(ShopError):
    """The database was written by a newer version of Liveshop."""

    code = "newer_database"


async def migrate(url: str) -> list[str]:
    """Bring the database at `url` up to date; returns the revisions applied.

    Raises NewerDatabase, without touching anything, when it knows a revision this version doesn't,
    and StorageUnavailable.
    """
    engine = _engine(url)
    try:
        async with translated(), connected(engine) as conn:
            if engine.dialect.name == "sqlite":
                # Kept in the file. Done here, alone, because two connections that change the mode
                # at once lock each other out, and no busy time-out helps.
                await conn.exec_driver_sql("PRAGMA journal_mode=WAL")
                await conn.rollback()
            async with conn.begin():
                return await conn.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def pending_migrations(url: str) -> list[str]:
    """The revisions `migrate` would apply. Raises NewerDatabase, StorageUnavailable."""
    engine = _engine(url)
    try:
        async with translated(), connected(engine) as conn:
            return await conn.run_sync(lambda sync: _pending(sync, _scripts()))
    finally:
        await engine.dispose()


def _engine(url: str) -> AsyncEngine:
    # What people typed is in the rows that are rewritten: it must not be told with an error.
    return create_async_engine(url, hide_parameters=True)


def _upgrade(conn: Connection) -> list[str]:
    if conn.dialect.name == "postgresql":
        # Nodes that are started together: the second waits, and finds nothing to do.
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = conn
    missing = _pending(conn, ScriptDirectory.from_config(config))
    if missing:
        alembic.command.upgrade(config, "head")
    return missing


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def _pending(conn: Connection, scripts: ScriptDirectory) -> list[str]:
    known = {script.revision for script in scripts.walk_revisions()}
    before = MigrationContext.configure(conn).get_current_revision()
    if before is not None and before not in known:
        raise NewerDatabase(
            f"The database is at revision {before}, which this version does not know. "
            "Install the version that wrote it, or a newer one, or restore a backup."
        )
    found = scripts.iterate_revisions(scripts.get_current_head(), before)
    return [str(script.revision) for script in reversed(list(found))]
