"""The import: a source's rows into the catalog, batch by batch, in memory that does not grow.

Each batch is one transaction of a few dozen statements, short enough that buyers get in between.
What an import remembers of the whole file is a hash per id (`SeenIds`), so that an id that stands
in a file twice is reported instead of changing to and fro with every run.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import import_store, media_store, source_stock
from liveshop.catalog.import_merge import Merge, SeenIds, WorkingProduct, WorkingVariant
from liveshop.catalog.import_rows import Prepared, picture_key, prepare
from liveshop.catalog.model import ProductsTouched, StockTouched
from liveshop.catalog.source_stock import Uncounted
from liveshop.connect import BadRow, FileSource, SourceRow
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId, ProductId, VariantId, new_id
from liveshop.storage import Database, Tx

FETCH_TOPIC = "catalog.fetch_images"
MAX_PROBLEMS = 1000
_BATCH_ROWS = 250  # some 20 ms of work between two looks at the sockets
_URLS_PER_JOB = 8


class FetchImages(msgspec.Struct):
    """The job payload: pictures that products wait for."""

    urls: list[str]


@dataclass(frozen=True, slots=True)
class RowProblem:
    line: int
    source_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`rows` were read, `failed` of them did not land and `unchanged` said nothing new. A product
    counts once as created or updated, whatever number of rows it has. `problems` are the first
    thousand of `problems_total`; a problem need not be a failed row."""

    rows: int = 0
    products_created: int = 0
    products_updated: int = 0
    unchanged: int = 0
    failed: int = 0
    problems: tuple[RowProblem, ...] = ()
    problems_total: int = 0
    bytes_read: int = 0


Progress = Callable[[ImportReport], None]
"""Called after each batch with the report so far."""


@dataclass(slots=True)
class Importer:
    """Used for one run of one file, or for one page of a shop system's catalog.

    A file says what there was when it was written, so only a new quantity in it sets the stock. A
    shop system is asked now: with `uncounted` the stock becomes what it has, less what was sold
    here and it does not count yet.
    """

    database: Database
    clock: Clock
    source: str
    currency: str
    progress: Progress | None = None
    batch_rows: int = _BATCH_ROWS
    uncounted: Uncounted | None = None
    _report: ImportReport = field(default_factory=ImportReport)
    _problems: list[RowProblem] = field(default_factory=list)
    _seen_products: SeenIds = field(default_factory=SeenIds)
    _seen_variants: SeenIds = field(default_factory=SeenIds)
    _counted: SeenIds = field(default_factory=SeenIds)
    _bytes_read: int = 0

    async def run(self, source: FileSource, chunks: AsyncIterator[bytes]) -> ImportReport:
        """Read it all. Raises BadFile; what landed before any other error stays, and a second run
        of the same file brings the rest."""
        return await self._land_all(source.rows(self._counting(chunks)))

    async def land(self, rows: Iterable[SourceRow | BadRow]) -> ImportReport:
        """Land a page of rows, in as many batches as its variants need."""
        return await self._land_all(_each(rows))

    async def _land_all(self, rows: AsyncIterator[SourceRow | BadRow]) -> ImportReport:
        batch: list[SourceRow | BadRow] = []
        variants = 0
        async for row in rows:
            batch.append(row)
            variants += len(row.product.variants) if isinstance(row, SourceRow) else 0
            if len(batch) >= self.batch_rows or variants >= 4 * self.batch_rows:
                await self._land(batch)
                batch, variants = [], 0
        if batch:
            await self._land(batch)
        return self._report

    async def _counting(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._bytes_read += len(chunk)
            yield chunk

    async def _land(self, batch: Sequence[SourceRow | BadRow]) -> None:
        good: list[Prepared] = []
        for row in batch:
            if isinstance(row, BadRow):
                self._fail(row.line, row.source_id, row.reason)
                continue
            try:
                good.append(prepare(row, self.currency))
            except Invalid as error:
                self._fail(row.line, _id_of(row), error.detail)
        if good:
            await self._write(good)
        self._count(rows=len(batch))
        if self.progress is not None:
            self.progress(self._report)

    async def _write(self, rows: Sequence[Prepared]) -> None:
        now = self.clock.now()
        async with self.database.write() as tx:
            location_id = await import_store.lock_first_location(tx.conn)
            products = await import_store.load(
                tx.conn,
                self.source,
                [row.source_id for row in rows],
                [facts.source_id for row in rows for facts, _, _ in row.variants],
            )
            # Sorted: products are listed by id, and shall be in the order of the file.
            product_ids = iter(sorted(new_id("prd", now) for _ in rows))
            merge = Merge(
                products,
                seen_products=self._seen_products,
                seen_variants=self._seen_variants,
                new_product_id=lambda: next(product_ids),
                new_variant_id=lambda: new_id("var", now),
            )
            for row in rows:
                self._merge(merge, row)
            if self.uncounted is not None:
                await self._count_now(tx.conn, location_id, merge, rows, self.uncounted)
            await self._flush(tx, list(merge.products.values()), location_id, now)

    def _merge(self, merge: Merge, row: Prepared) -> None:
        try:
            changed = merge.add(row)
        except Invalid as error:
            self._fail(row.line, row.variants[0][0].source_id, error.detail)
            return
        product = merge.products[row.source_id]
        if not changed:
            self._count(unchanged=1)
        elif self._counted.add(product.id):
            self._count(created=int(product.is_new), updated=int(not product.is_new))

    async def _count_now(
        self,
        conn: AsyncConnection,
        location_id: LocationId,
        merge: Merge,
        rows: Sequence[Prepared],
        uncounted: Uncounted,
    ) -> None:
        """What the stock has to be by the quantities in these rows, whether they are new or not."""
        counted = {
            variant.id: (variant, quantity)
            for row in rows
            if row.source_id in merge.products
            for facts, _, quantity in row.variants
            if quantity is not None
            and (variant := merge.products[row.source_id].variants.get(facts.source_id)) is not None
        }
        counts = {VariantId(id_): quantity for id_, (_, quantity) in counted.items()}
        wanted = await source_stock.differing(conn, location_id, counts, uncounted)
        for id_, (variant, _) in counted.items():
            variant.new_quantity = wanted.get(VariantId(id_))

    async def _flush(
        self, tx: Tx, products: Sequence[WorkingProduct], location_id: str, now: datetime
    ) -> None:
        changed = [product for product in products if product.is_changed]
        variants = [
            (product.id, variant)
            for product in products
            for variant in product.variants.values()
            if variant.is_changed or variant.new_quantity is not None
        ]
        await import_store.write_products(tx.conn, self.source, changed, now=now)
        # New ones first: their stock refers to them. The others wait for what the stock says.
        new = [pair for pair in variants if pair[1].is_new]
        await import_store.write_imported_variants(tx.conn, self.source, new, now=now)
        restocked = [
            (variant.id, variant.new_quantity)
            for _, variant in variants
            if variant.new_quantity is not None
        ]
        old = [pair for pair in variants if not pair[1].is_new]
        await import_store.write_stock(tx.conn, location_id, restocked)
        await self._report_clamped(tx, location_id, [variant for _, variant in old])
        await import_store.write_imported_variants(tx.conn, self.source, old, now=now)
        await self._flush_pictures(tx, changed, now)
        if changed:
            tx.notify(ProductsTouched(tuple(ProductId(product.id) for product in changed)))
        if restocked:
            tx.notify(StockTouched(tuple(VariantId(variant_id) for variant_id, _ in restocked)))

    async def _report_clamped(
        self, tx: Tx, location_id: str, variants: Sequence[WorkingVariant]
    ) -> None:
        """Stock that carts hold cannot be taken from them, whatever the source counts."""
        by_id = {variant.id: variant for variant in variants if variant.new_quantity is not None}
        wanted = [(id_, variant.new_quantity or 0) for id_, variant in by_id.items()]
        held = await import_store.clamped(tx.conn, location_id, wanted)
        for variant_id, kept in held.items():
            variant = by_id[variant_id]
            if self.uncounted is None:
                variant.source_quantity = None  # so that the next run tries again
            self._note(
                variant.line,
                variant.facts.source_id,
                f"the quantity is {variant.new_quantity}, but carts and orders hold {kept}; "
                f"the stock stays at {kept}",
            )

    async def _flush_pictures(
        self, tx: Tx, products: Sequence[WorkingProduct], now: datetime
    ) -> None:
        pictures = {
            product.id: [(picture_key(url), url) for url in product.picture_urls]
            for product in products
            if product.pictures_changed
        }
        urls = {key: url for listed in pictures.values() for key, url in listed}
        stored = await media_store.media_ids_by_key(tx.conn, list(urls))
        # A new product without pictures has none to replace.
        new = {product.id for product in products if product.is_new}
        pictures = {id_: listed for id_, listed in pictures.items() if listed or id_ not in new}
        await import_store.write_pictures(tx.conn, pictures, stored)
        missing = [url for key, url in urls.items() if key not in stored]
        for start in range(0, len(missing), _URLS_PER_JOB):
            payload = FetchImages(missing[start : start + _URLS_PER_JOB])
            await tx.enqueue(FETCH_TOPIC, payload, now=now)

    def _fail(self, line: int, source_id: str | None, reason: str) -> None:
        self._note(line, source_id, reason)
        self._count(failed=1)

    def _note(self, line: int, source_id: str | None, reason: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(RowProblem(line, source_id, reason))
        self._report = replace(self._report, problems_total=self._report.problems_total + 1)

    def _count(
        self,
        *,
        rows: int = 0,
        created: int = 0,
        updated: int = 0,
        unchanged: int = 0,
        failed: int = 0,
    ) -> None:
        so_far = self._report
        self._report = replace(
            so_far,
            rows=so_far.rows + rows,
            products_created=so_far.products_created + created,
            products_updated=so_far.products_updated + updated,
            unchanged=so_far.unchanged + unchanged,
            failed=so_far.failed + failed,
            problems=tuple(self._problems) if rows else so_far.problems,
            bytes_read=self._bytes_read,
        )


async def _each(rows: Iterable[SourceRow | BadRow]) -> AsyncIterator[SourceRow | BadRow]:
    for row in rows:
        yield row


def _id_of(row: SourceRow) -> str | None:
    """The id the keeper of the file knows the row by."""
    product = row.product
    source_id = product.source_id
    if not product.is_whole and product.variants:
        source_id = product.variants[0].source_id
    return source_id.strip()[:200] or None
