"""The database: SQLite and PostgreSQL made alike, one unit of work, a transactional outbox."""

from liveshop.storage.engine import Database, StorageUnavailable, connected, translated
from liveshop.storage.outbox import Jobs, Worker
from liveshop.storage.sql import Rows, insert, metadata
from liveshop.storage.together import Together, together_or_alone
from liveshop.storage.types import Json, UtcDateTime
from liveshop.storage.unit_of_work import Published, Tx

__all__ = [
    "Database",
    "Jobs",
    "Json",
    "Published",
    "Rows",
    "StorageUnavailable",
    "Together",
    "Tx",
    "UtcDateTime",
    "Worker",
    "connected",
    "insert",
    "metadata",
    "together_or_alone",
    "translated",
]
