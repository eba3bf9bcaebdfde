"""Products from a Google product feed as CSV: comma, semicolon or tab, UTF-8, one variant a row.

Rows with one `item_group_id` are variants of one product, wherever in the file they stand; the
first of them gives the title and the other facts of the product. Needed columns are `id`, `title`
and `price`; the file is refused without them, and any other row that is wrong spoils only itself.
What the columns mean stands in `google_fields`.
"""

import csv
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from connectors.sources.google_fields import (
    KNOWN,
    REQUIRED,
    attribute_name,
    check_field,
    ids_of,
    product_of,
)
from liveshop.connect import (
    BadFile,
    BadRow,
    BadValue,
    FileAddress,
    FileByUrl,
    Kit,
    Line,
    Role,
    SourceRow,
    WrongColumns,
    file_by_url,
    split_lines,
)

_MAX_RECORD = 256 * 1024
_MAX_LINES = 200
"""Lines one quoted field may span. A quote never closed would otherwise swallow the file."""
_BOM = b"\xef\xbb\xbf"


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
    title = "Google product feed (CSV)"
    media_type = "text/csv"
    roles: frozenset[Role] = frozenset({"file_source", "source"})
    config = FileAddress
    oauth = None

    def open(self, config: FileAddress, kit: Kit) -> AbstractAsyncContextManager[FileByUrl]:
        return file_by_url(self, config, kit)

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
        if len(KNOWN.intersection(names)) > len(KNOWN.intersection(best.names)):
            best = _Header(names, delimiter)
    missing = [name for name in REQUIRED if name not in best.names]
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
    return [attribute_name(field) for field in fields]


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
    source_id, product_id = ids_of(row)
    more = [url.strip() for url in row.get("additional_image_link", "").split(",") if url.strip()]
    try:
        _check_shape(taken.fields, header.names)
        return SourceRow(taken.line, product_of(row, more))
    except BadValue as error:
        return BadRow(taken.line, source_id, str(error), product_id)


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
        check_field(name, field)
