"""Orders as CSV (RFC 4180), one row for each line of an order, for people with a spreadsheet.

UTF-8 with a byte order mark, because Excel takes it for something else without. What a buyer typed
may begin like a formula, which a spreadsheet would run: such texts begin with an apostrophe (OWASP,
CSV injection). Amounts are decimal, in the order's currency.
"""

import codecs
import csv
import io
from collections.abc import AsyncIterator, Iterable

from liveshop.connect import format_price
from liveshop.kernel.money import Money
from liveshop.orders import search, wire
from liveshop.orders.model import Order, OrderLine, invoice_number
from liveshop.storage import Database

_PAGE = 200
BOM = codecs.BOM_UTF8
COLUMNS = (
    "order",
    "placed_at",
    "state",
    "payment_method",
    "payment_state",
    "invoice",
    "delivery",
    "store_id",
    "show_id",
    "email",
    "name",
    "address_1",
    "address_2",
    "postal_code",
    "city",
    "country",
    "line",
    "sku",
    "title",
    "options",
    "quantity",
    "unit_price",
    "line_total",
    "line_payable",
    "order_subtotal",
    "order_shipping",
    "order_tax_added",
    "order_total",
    "refunded",
    "currency",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def file_of(database: Database, query: wire.OrderQuery) -> AsyncIterator[bytes]:
    """The file in pieces, the newest order first: all that the query finds, whatever its `limit`.

    Each page is read by itself, so memory stays flat and no reading lasts as long as its slowest
    reader. Raises Invalid for a query that cannot be asked.
    """
    first = await _page(database, query, query.cursor)

    async def pieces() -> AsyncIterator[bytes]:
        found = first
        yield BOM + _encoded([COLUMNS])
        while found:
            yield _encoded(row for order in found for row in _rows(order))
            found = await _page(database, query, found[-1].id) if len(found) == _PAGE else []

    return pieces()


async def _page(database: Database, query: wire.OrderQuery, cursor: str | None) -> list[Order]:
    async with database.read() as conn:
        return await search.find(conn, query, _PAGE, cursor=cursor)


def _encoded(lines: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


def _rows(order: Order) -> Iterable[tuple[object, ...]]:
    return (_row(order, position, line) for position, line in enumerate(order.lines, start=1))


def _row(order: Order, position: int, line: OrderLine) -> tuple[object, ...]:
    address = order.address
    return (
        order.number,
        order.placed_at.isoformat(timespec="seconds"),
        order.state,
        order.payment.method,
        order.payment.state,
        invoice_number(order) or "",
        order.delivery,
        order.store_id or "",
        order.show_id or "",
        _safe(order.email),
        _safe(address.name),
        _safe(address.line1),
        _safe(address.line2 or ""),
        _safe(address.postal_code),
        _safe(address.city),
        address.country,
        position,
        _safe(line.sku),
        _safe(line.title),
        _safe(" / ".join(line.values)),
        line.quantity,
        _decimal(line.unit_price),
        _decimal(line.total),
        _decimal(line.payable),
        _decimal(order.subtotal),
        _decimal(order.shipping),
        _decimal(order.tax_added),
        _decimal(order.total),
        _decimal(Money(order.payment.refunded, order.total.currency)),
        order.total.currency,
    )


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _decimal(money: Money) -> str:
    return format_price(money).removesuffix(f" {money.currency}")
