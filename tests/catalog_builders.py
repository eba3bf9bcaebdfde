"""What the catalog's tests build: feeds, drafts, pictures."""

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import ShownPrice
from liveshop.catalog.importer import ImportReport, Progress
from liveshop.catalog.model import Option, Product, ProductDraft, VariantDraft
from liveshop.catalog.service import CatalogService
from liveshop.connect import BadRow, FileSource, SourceRow, file_chunks
from liveshop.kernel.ids import ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.settings import ShopSettings
from liveshop.storage import Database

EUR = "EUR"
GTIN = "4006381333931"


def euros(amount: int) -> Money:
    return Money(amount, EUR)


def shop() -> ShopSettings:
    return ShopSettings(currency=EUR)


async def pieces(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def rows_of(
    source: FileSource, data: bytes, size: int = 64 * 1024
) -> list[SourceRow | BadRow]:
    return [row async for row in source.rows(pieces(data, size))]


def csv_of(*rows: str, header: str = "id,title,price") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def shirt_draft(**changes: object) -> ProductDraft:
    """Two sizes of a linen shirt."""
    values: dict[str, object] = {
        "title": "Linen shirt",
        "options": (Option("Size", ("S", "M")),),
        "variants": (
            VariantDraft(sku="LS-S", price=euros(4990), values=("S",)),
            VariantDraft(sku="LS-M", price=euros(4990), values=("M",), gtin=GTIN),
        ),
    }
    return ProductDraft(**(values | changes))  # type: ignore[arg-type]


class TenOff:
    """A price book: everything is reduced by ten cents, five in a show."""

    async def shown(
        self,
        conn: AsyncConnection,
        products: Sequence[Product],
        now: datetime,
        show_id: ShowId | None,
    ) -> Mapping[VariantId, ShownPrice]:
        off = euros(10 if show_id is None else 5)
        return {
            variant.id: ShownPrice(
                variant.price - off,
                lowest_30_days=variant.price,
                tiers=tuple((quantity, each - off) for quantity, each in variant.tiers),
            )
            for product in products
            for variant in product.variants
        }


class Statements:
    """Counts the statements a block sends to either database, those that end it aside."""

    def __init__(self, database: Database) -> None:
        self._engines = {database._writer.sync_engine, database._reader.sync_engine}
        self.sent: list[str] = []

    def __enter__(self) -> "Statements":
        for engine in self._engines:
            sa.event.listen(engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            sa.event.remove(engine, "before_cursor_execute", self._note)

    def _note(self, _conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            self.sent.append(statement)


def picture(
    width: int = 320, height: int = 240, *, kind: str = "JPEG", mode: str = "RGB", **save: object
) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **save)  # type: ignore[arg-type]
    return buffer.getvalue()


def write_feed(path: Path, *, rows: int, bad: int) -> None:
    """A feed of `rows` rows in groups of four, `bad` of them wrong in ten different ways."""
    every = rows // bad if bad else rows + 1
    with path.open("wb") as file:
        file.write(b"id,item_group_id,title,description,price,gtin,color,size,quantity,tax_class\n")
        for number in range(rows):
            good = (
                f'sku-{number},group-{number // 4},"Shirt, number {number // 4}",'
                f'"Soft linen.\nWashed twice, worn often.",{20 + number % 50}.90 EUR,'
                f"{GTIN},{('Sand', 'Moss')[number % 2]},{('S', 'M')[number % 4 // 2]},"
                f"{number % 30},standard\n"
            ).encode()
            is_bad = bad and number % every == every - 1
            file.write(_spoiled(number, good) if is_bad else good)


def _spoiled(number: int, good: bytes) -> bytes:
    ways = [
        lambda row: row.replace(b".90 EUR", b".90"),
        lambda row: row.replace(b".90 EUR", b".90 USD"),
        lambda row: row.replace(b"Soft linen", b"So\xe9 linen"),
        lambda row: row.replace(GTIN.encode(), b"4006381333932"),
        lambda row: row.replace(b",standard", b",luxury"),
        lambda row: row.replace(b",standard", b""),
        lambda row: row.replace(b"Soft", b"So\x00ft"),
        lambda row: row.replace(b"Washed", b"\xed\xa0\x80"),
        lambda row: row.replace(f"sku-{number},".encode(), b","),
        lambda row: row.replace(f"sku-{number},".encode(), b"sku-0,"),
    ]
    return ways[number // 7 % len(ways)](good)


async def run_import(
    catalog: CatalogService,
    source: FileSource,
    data: bytes | Path,
    progress: Progress | None = None,
) -> ImportReport:
    chunks = file_chunks(data) if isinstance(data, Path) else pieces(data)
    return await catalog.import_file(source, chunks, progress=progress)
