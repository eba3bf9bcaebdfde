"""Orders of before migration 0004: what was paid, sold and typed is all there after it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alembic.command
import postgres_cluster
import pytest
import sqlalchemy as sa
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from liveshop import migrations
from liveshop.kernel.ids import new_secret
from liveshop.migrations import migrate
from liveshop.storage.engine import StorageUnavailable

# SQLite does not tell on which expression an index is.
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based")

LONG = "ﷺ" * 100
"""Each of these is folded to 18 letters."""
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
OLD = [
    ("confirmed", "paid", "sandbox"),
    ("confirmed", "authorised", "invoice"),
    ("pending", "pending", "sandbox"),
    ("payment_failed", "declined", "sandbox"),
    ("cancelled", "refund_due", "sandbox"),
    ("cancelled", "refunded", "sandbox"),
    ("cancelled", "refunded", "invoice"),
]


@pytest.fixture(params=["sqlite", "postgres"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/old.sqlite3"
    server = request.getfixturevalue("postgres")
    name = f"old_{new_secret(6).lower().replace('-', '_')}"
    server.psql(f"CREATE DATABASE {name};")
    return postgres_cluster.url_of(server, name)


def to_0003(conn: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = conn
    alembic.command.upgrade(config, "0003")


class OldShop:
    """Writes rows as the tables were, with something harmless in all columns nobody names."""

    def __init__(self, conn: AsyncConnection, tables: sa.MetaData) -> None:
        self._conn = conn
        self._tables = tables.tables

    @classmethod
    async def of(cls, conn: AsyncConnection) -> "OldShop":
        tables = sa.MetaData()
        await conn.run_sync(tables.reflect)
        return cls(conn, tables)

    async def add(self, name: str, **given: Any) -> None:
        is_sqlite = self._conn.dialect.name == "sqlite"
        values: dict[str, Any] = {}
        for column in self._tables[name].columns:
            if column.name in given:
                values[column.name] = given[column.name]
            elif column.nullable or column.server_default is not None:
                continue
            elif isinstance(column.type, sa.DateTime):
                values[column.name] = NOW.replace(tzinfo=None) if is_sqlite else NOW
            elif isinstance(column.type, sa.Integer):
                values[column.name] = 0
            elif isinstance(column.type, sa.Boolean):
                values[column.name] = False
            else:
                values[column.name] = "x"
        await self._conn.execute(sa.insert(self._tables[name]), [values])

    async def variant(self, id_: str) -> None:
        await self.add("product", id=f"prd_{id_}", slug=id_)
        product_id = f"prd_{id_}"
        await self.add("variant", id=id_, product_id=product_id, sku=id_, price_amount=250)

    async def order(self, number: int, state: str, paid: str, method: str) -> None:
        order_id, payment_id = f"ord_{number:026d}", f"pay_{number:026d}"
        address = {"name": LONG if number == 0 else "Ada", "line1": "x", "line2": None}
        address |= {"postal_code": "1", "city": "c", "country": "DE"}
        await self.add(
            "shop_order",
            id=order_id,
            number=100 + number,
            state=state,
            viewer_id="gst_1",
            email="A@x.example",
            currency="EUR",
            address=json.dumps(address),
            taxes="[]",
            explanation="[]",
            subtotal_amount=750,
            total_amount=750,
            idempotency_key=order_id,
        )
        for position, (variant_id, quantity) in enumerate((("mug", 1), ("set", 2))):
            await self.add(
                "order_line",
                order_id=order_id,
                position=position,
                variant_id=variant_id,
                product_id=f"prd_{variant_id}",
                option_values="[]",
                quantity=quantity,
                unit_amount=250,
                total_amount=250 * quantity,
                payable_amount=250 * quantity,
            )
        reference = None if paid == "pending" else "r"
        money = {"amount": 750, "currency": "EUR"}
        of_order = {"order_id": order_id, "method": method, "reference": reference}
        await self.add("payment", id=payment_id, state=paid, **of_order, **money)
        if method == "sandbox" and paid in ("paid", "refund_due", "refunded"):
            ledger = "refunded" if paid == "refunded" else "paid"
            await self.add("sandbox_charge", key=payment_id, state=ledger, **money)


async def migrated(url: str, *, with_place: bool) -> dict[str, list[tuple[Any, ...]]]:
    engine = create_async_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(to_0003)
    async with engine.begin() as conn:
        old = await OldShop.of(conn)
        for variant_id in ("mug", "bowl", "set"):
            await old.variant(variant_id)
        await old.add("bundle_part", bundle_id="set", part_id="mug", quantity=1)
        await old.add("bundle_part", bundle_id="set", part_id="bowl", quantity=3)
        if with_place:
            await old.add("location", id="loc_2", priority=2)
            await old.add("location", id="loc_1", priority=1)
        for number, (state, paid, method) in enumerate(OLD):
            await old.order(number, state, paid, method)
    await engine.dispose()
    assert (await migrate(url))[0] == "0004"
    asked = {
        "payments": "SELECT state, captured_amount, refunded_amount, check_at IS NULL FROM payment"
        " ORDER BY id",
        "refunds": "SELECT substr(order_id, 29), state, amount, cause, check_at IS NULL FROM refund"
        " ORDER BY order_id",
        "fulfilments": "SELECT substr(order_id, 29), state, location_id FROM fulfilment ORDER BY 1",
        "items": "SELECT position, variant_id, pieces FROM fulfilment_item"
        " WHERE fulfilment_id LIKE '%0' ORDER BY 1, 2",
        "searched": "SELECT length(search_text), search_text FROM shop_order ORDER BY id",
        "ledger": "SELECT amount FROM sandbox_refund",
    }
    engine = create_async_engine(url)
    async with engine.connect() as conn:
        found = {
            name: [tuple(row) for row in (await conn.execute(sa.text(query))).all()]
            for name, query in asked.items()
        }
    await engine.dispose()
    return found


async def test_orders_of_every_state_are_taken_along(old_url: str) -> None:
    found = await migrated(old_url, with_place=True)
    assert [(*row[:3], bool(row[3])) for row in found["payments"]] == [
        ("paid", 750, 0, True),
        ("authorised", 0, 0, True),
        ("pending", 0, 0, False),
        ("declined", 0, 0, True),
        ("paid", 750, 750, True),
        ("paid", 750, 750, True),
        ("voided", 0, 0, True),
    ]
    assert [(*row[:4], bool(row[4])) for row in found["refunds"]] == [
        ("04", "due", 750, "late", False),
        ("05", "done", 750, "late", True),
    ]
    assert found["ledger"] == [(750,)]
    assert found["fulfilments"] == [("00", "open", "loc_1"), ("01", "open", "loc_1")]
    # Two sets: what is packed and put back is their parts.
    assert found["items"] == [(0, "mug", 1), (1, "bowl", 6), (1, "mug", 2)]
    assert found["searched"][0][0] == 400
    assert found["searched"][1] == (15, "a@x.example\nada")


async def test_without_a_place_nothing_can_be_sent(old_url: str) -> None:
    found = await migrated(old_url, with_place=False)
    assert (found["fulfilments"], found["items"]) == ([], [])
    assert len(found["payments"]) == len(OLD)


async def test_what_people_typed_is_not_told_when_a_migration_fails(
    old_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(conn: sa.Connection) -> list[str]:
        conn.execute(sa.text("SELECT :name FROM nowhere"), {"name": "Ada Lovelace"})
        return []

    monkeypatch.setattr(migrations, "_upgrade", fail)
    with pytest.raises((DBAPIError, StorageUnavailable)) as caught:
        await migrate(old_url)
    told: BaseException | None = caught.value
    while told is not None:
        assert "Lovelace" not in str(told)
        told = told.__cause__
