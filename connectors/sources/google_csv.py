"""Products from a Google product feed as CSV: comma, semicolon or tab, UTF-8, one variant a row.

Rows with one `item_group_id` are variants of one product, wherever in the file they stand; the
first of them gives the title and the other facts of the product. Needed columns are `id`, `title`
and `price`; the file is refused without them, and any other row that is wrong spoils only itself.

A sale price with an effective date is left out: the feed is read once, and a price whose end
nobody watches would be a promise past its time. `out_of_stock` means a quantity of 0; a row that
says neither `quantity` nor `out_of_stock` leaves the stock alone.
"""

import csv
import html
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from liveshop.connect import (
    BadFile,
    BadRow,
    BadValue,
    Line,
    SourceProduct,
    SourceRow,
    SourceVariant,
    WrongColumns,
    parse_price,
    parse_quantity,
    split_lines,
)

_REQUIRED = ("id", "title", "price")
_OPTIONS = {"color": "Color", "size": "Size", "material": "Material", "pattern": "Pattern"}
_KNOWN = frozenset(
    {
        *_REQUIRED,
        *_OPTIONS,
        "item_group_id",
        "description",
        "link",
        "image_link",
        "additional_image_link",
        "availability",
        "sale_price",
        "sale_price_effective_date",
        "gtin",
        "mpn",
        "brand",
        "google_product_category",
        "product_type",
        "quantity",
        "sell_on_google_quantity",
        "tax_class",
        "condition",
        "custom_label_0",
    }
)
_AVAILABLE = frozenset({"in_stock", "limited_availability", "preorder", "backorder", ""})
_MAX_RECORD = 256 * 1024
_MAX_FIELD = 64 * 1024
_MAX_LINES = 200
"""Lines one quoted field may span. A quote never closed would otherwise swallow the file."""
_BOM = b"\xef\xbb\xbf"
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_PARAGRAPHS = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class _Header:
    names: list[str]
    delimiter: str


class GoogleCsv:
    name = "google_csv"
    media_type = "text/csv"

    async def rows(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[SourceRow | BadRow]:
        header: _Header | None = None
        pending: deque[Line] = deque()
        async for line in split_lines(chunks, max_bytes=_MAX_RECORD):
            if header is None:
                header = _header(line)
                continue
            pending.append(line)
            # One line may end a record; one line may also show that earlier lines were none.
            while pending and (taken := _take(pending, header.delimiter, at_end=False)):
                if (row := _row(taken, header)) is not None:
                    yield row
        if header is None:
            raise BadFile("The file is empty.")
        while pending and (taken := _take(pending, header.delimiter, at_end=True)):
            if (row := _row(taken, header)) is not None:
                yield row


def _header(line: Line) -> _Header | None:
    """The columns; None for an empty line before them."""
    if line.data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile("The file is UTF-16. Save it as UTF-8 and send it again.")
    try:
        text = line.data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile("The first line is not UTF-8. Save the file as UTF-8.") from error
    if not text.strip() and not line.is_too_long:
        return None
    best = _Header([], ",")
    for delimiter in (",", ";", "\t"):
        names = _names(text, delimiter)
        if len(_KNOWN.intersection(names)) > len(_KNOWN.intersection(best.names)):
            best = _Header(names, delimiter)
    missing = [name for name in _REQUIRED if name not in best.names]
    if missing:
        found = [name[:60] for name in (best.names or _names(text, ","))[:50]]
        raise WrongColumns(
            f"The first line must name the columns of a Google product feed. Missing: "
            f"{', '.join(missing)}. Found: {', '.join(found) or 'none'}.",
            data={"missing": missing, "found": found},
        )
    return best


def _names(text: str, delimiter: str) -> list[str]:
    try:
        fields = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [re.sub(r"[\s_]+", "_", field.strip().lower()).removeprefix("g:") for field in fields]


def _take(pending: deque[Line], delimiter: str, *, at_end: bool) -> _Record | BadRow | None:
    """Take one record off the front; None when it needs more lines.

    A record whose quotes do not work out costs its first line only: reading goes on at the next.
    """
    first = pending[0]
    if first.is_too_long:
        pending.popleft()
        return BadRow(first.number, None, f"the line is longer than {_MAX_RECORD} bytes")
    parts: list[bytes] = []
    size = 0
    is_open = False
    for line in pending:
        size += len(line.data)
        if line.is_too_long or size > _MAX_RECORD or len(parts) >= _MAX_LINES:
            pending.popleft()
            return _never_closed(first)
        parts.append(line.data)
        is_open = _is_open_after(line.data, delimiter.encode(), is_open=is_open)
        if not is_open:
            break
    if is_open:
        if not at_end:
            return None
        pending.popleft()
        return _never_closed(first)
    return _parsed(pending, parts, delimiter)


def _parsed(pending: deque[Line], parts: list[bytes], delimiter: str) -> _Record | BadRow:
    number = pending[0].number
    consumed = len(parts)
    outcome: _Record | BadRow
    try:
        text = b"\n".join(parts).decode("utf-8")
        fields = next(csv.reader([text], delimiter=delimiter, strict=True), [])
        outcome = _Record(number, fields)
    except UnicodeDecodeError as error:
        reason = f"the row is not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
        outcome = BadRow(number, None, reason)
    except csv.Error as error:
        consumed = 1
        outcome = BadRow(number, None, f"the row cannot be read: {error}")
    for _ in range(consumed):
        pending.popleft()
    return outcome


def _never_closed(line: Line) -> BadRow:
    return BadRow(line.number, None, "a quote is opened in this row and never closed")


def _is_open_after(data: bytes, delimiter: bytes, *, is_open: bool) -> bool:
    """Whether a quoted field is still open at the end of this line. A quote opens a field only at
    its start; elsewhere (24" screen) it is a character."""
    if b'"' not in data:
        return is_open
    at = 0
    while True:
        if is_open:
            closing = data.find(b'"', at)
            if closing < 0:
                return True
            if data[closing + 1 : closing + 2] == b'"':
                at = closing + 2
                continue
            is_open = False
            at = closing + 1
        elif data[at : at + 1] == b'"' and (at == 0 or data[at - 1 : at] == delimiter):
            is_open = True
            at += 1
        else:
            at = data.find(delimiter, at) + 1
            if at == 0:
                return False


def _row(taken: _Record | BadRow, header: _Header) -> SourceRow | BadRow | None:
    """None for an empty line."""
    if isinstance(taken, BadRow):
        return taken
    if not any(field.strip() for field in taken.fields):
        return None
    row = _by_name(taken.fields, header.names)
    source_id = row.get("id", "")[:200] or None
    try:
        _check_shape(taken.fields, header.names)
        return SourceRow(taken.line, _product(row))
    except BadValue as error:
        return BadRow(taken.line, source_id, str(error))


def _by_name(fields: list[str], names: list[str]) -> dict[str, str]:
    row: dict[str, str] = {}
    for name, field in zip(names, fields, strict=False):
        if name == "additional_image_link" and row.get(name):
            row[name] += "," + field.strip()  # the one column that a feed may repeat
        else:
            row.setdefault(name, field.strip())
    return row


def _check_shape(fields: list[str], names: list[str]) -> None:
    if len(fields) < len(names) or any(field.strip() for field in fields[len(names) :]):
        raise BadValue(f"the row has {len(fields)} fields, the first line names {len(names)}")
    for name, field in zip(names, fields, strict=False):
        if len(field) > _MAX_FIELD:
            raise BadValue(f"{name} is longer than {_MAX_FIELD} characters")
        if "\x00" in field:
            raise BadValue(f"{name} holds a NUL character")


def _product(row: dict[str, str]) -> SourceProduct:
    def text(name: str) -> str:
        return row.get(name, "")

    source_id = text("id")
    if not source_id:
        raise BadValue("id is empty")
    group = text("item_group_id")
    price = parse_price(text("price"))
    compare_at = None
    if text("sale_price") and not text("sale_price_effective_date"):
        sale = parse_price(text("sale_price"), field="sale_price")
        if sale.currency != price.currency or sale.amount > price.amount:
            raise BadValue("sale_price is above price or in another currency")
        if sale != price:
            price, compare_at = sale, price
    # Without a group there is nothing to choose between, so a colour is not a choice.
    options = {column: text(column) for column in _OPTIONS if group and text(column)}
    image = text("image_link") or None
    more = [url.strip() for url in text("additional_image_link").split(",") if url.strip()]
    return SourceProduct(
        source_id=group or source_id,
        title=text("title"),
        description_html=_as_html(text("description")),
        brand=text("brand") or None,
        category=text("product_type") or text("google_product_category") or None,
        url=text("link") or None,
        image_urls=tuple([image, *more] if image else more),
        option_names=tuple(_OPTIONS[column] for column in options),
        is_whole=False,
        variants=(
            SourceVariant(
                source_id=source_id,
                sku=source_id,
                gtin=text("gtin") or None,
                values=tuple(options.values()),
                price=price,
                compare_at=compare_at,
                tax_class=text("tax_class").lower() or "standard",
                quantity=_quantity(
                    text("availability"), text("quantity") or text("sell_on_google_quantity")
                ),
                image_url=image,
            ),
        ),
    )


def _quantity(availability: str, quantity: str) -> int | None:
    state = re.sub(r"\s+", "_", availability.lower())
    if state == "out_of_stock":
        return 0
    if state not in _AVAILABLE:
        raise BadValue(f"availability '{availability[:40]}' is not one that Google feeds know")
    return parse_quantity(quantity) if quantity else None


def _as_html(text: str) -> str:
    """Feeds hold plain text or simple HTML; plain text keeps its paragraphs and line ends."""
    if _TAG.search(text):
        return text
    paragraphs = [part.strip() for part in _PARAGRAPHS.split(text) if part.strip()]
    return "".join(
        f"<p>{html.escape(part, quote=False).replace(chr(10), '<br>')}</p>" for part in paragraphs
    )
