"""The one metadata all tables hang on, and the few statements the two dialects spell apart."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def insert(conn: AsyncConnection, table: sa.Table) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` / `on_conflict_do_update` on both databases."""
    if conn.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


class Rows:
    """A statement with rows for a parameter: one statement whatever their number, which each
    database is given its own way. `columns` are texts or integers.

    `build` makes the statement of these columns; call the instance with a row for each.
    """

    def __init__(
        self,
        columns: Mapping[str, type[sa.types.TypeEngine[Any]]],
        build: Callable[[Mapping[str, sa.ColumnElement[Any]]], sa.Executable],
    ) -> None:
        self._names = list(columns)
        listed = (
            sa.func.unnest(
                # Not by its bare name: an UPDATE takes that for one of its own columns.
                *(sa.bindparam(f"given_{name}", type_=ARRAY(columns[name])) for name in columns)
            )
            .table_valued(*(sa.column(name, columns[name]) for name in columns), name="given")
            .render_derived()
        )
        each = sa.func.json_each(sa.bindparam("given", type_=sa.String)).table_valued(
            "value", name="given"
        )
        self._on_postgresql = build({name: listed.c[name] for name in columns})
        self._on_sqlite = build(
            {
                name: sa.type_coerce(
                    sa.func.json_extract(each.c.value, sa.literal_column(f"'$[{place}]'")),
                    columns[name],
                )
                for place, name in enumerate(columns)
            }
        )

    async def __call__(
        self, conn: AsyncConnection, rows: Sequence[Sequence[Any]], **others: Any
    ) -> sa.CursorResult[Any]:
        """`others`: parameters of the statement itself."""
        if conn.dialect.name == "postgresql":
            columns = {
                f"given_{name}": [row[place] for row in rows]
                for place, name in enumerate(self._names)
            }
            return await conn.execute(self._on_postgresql, columns | others)
        given = msgspec.json.encode(rows).decode()
        return await conn.execute(self._on_sqlite, {"given": given} | others)
