"""Products from a Google product feed as XML: RSS 2.0 or Atom, one variant an item.

Attributes stand in Google's namespace, `g:` by custom, or in none; where both are there the
namespace wins. Items of one `item_group_id` are variants of one product, wherever they stand. An
item that is wrong spoils only itself, also when it holds broken UTF-8; XML that does not close its
tags ends the file there, and what follows is lost. A document type is refused: no feed needs one,
and entities declared in it can blow a small file up. What the attributes mean stands in
`google_fields`. Format: https://support.google.com/merchants/answer/160589
"""

import codecs
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from xml.parsers import expat

from connectors.sources.google_fields import attribute_name, check_field, ids_of, product_of
from liveshop.connect import (
    BadFile,
    BadRow,
    BadValue,
    FileAddress,
    FileByUrl,
    Kit,
    Role,
    SourceRow,
    file_by_url,
)

_GOOGLE = "base.google.com/ns/1.0"
_ROOTS = frozenset({"rss", "feed", "rdf"})
_ITEMS = frozenset({"item", "entry"})
_MAX_ITEM = 256 * 1024
_MAX_TAG = 1024 * 1024
"""Bytes that expat may hold back while it waits for the end of a tag or comment."""
_MAX_DEPTH = 40
_HEAD = 1024
_DECLARED = re.compile(rb"""^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d|koi8-[ru]")
"""By the names that Python's codecs give themselves."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 does not allow anywhere (section 2.2)."""
_LOST = "\ufffd"


class GoogleXml:
    name = "google_xml"
    title = "Google product feed (XML)"
    media_type = "application/xml"
    roles: frozenset[Role] = frozenset({"file_source", "source"})
    config = FileAddress
    oauth = None

    def open(self, config: FileAddress, kit: Kit) -> AbstractAsyncContextManager[FileByUrl]:
        return file_by_url(self, config, kit)

    async def rows(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[SourceRow | BadRow]:
        text = _Text()
        items = _Items()
        async for chunk in chunks:
            for row in items.read(text.take(chunk)):
                yield row
        for row in items.read(text.end()):
            yield row
        items.end()


class _Text:
    """Bytes in, text out, by the encoding that the file declares; `_LOST` for what is no text."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def take(self, chunk: bytes) -> str:
        if self._decoder is None:
            self._head += chunk
            if len(self._head) < _HEAD and b">" not in self._head:
                return ""
            self._decoder = codecs.getincrementaldecoder(_encoding(self._head))("replace")
            chunk, self._head = self._head, b""
        return _FORBIDDEN.sub(_LOST, self._decoder.decode(chunk))

    def end(self) -> str:
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(_encoding(self._head))("replace")
        return _FORBIDDEN.sub(_LOST, self._decoder.decode(self._head, final=True))


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    declared = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8).lstrip())
    if head.startswith(codecs.BOM_UTF8) or declared is None:
        return "utf-8-sig"
    name = declared[1].decode("ascii")
    try:
        found = codecs.lookup(name).name
    except LookupError:
        found = ""
    if not _ENCODINGS.fullmatch(found):
        raise BadFile(f"The file says that its encoding is {name}. Save it as UTF-8.")
    return found


@dataclass(slots=True)
class _Item:
    """`plain` holds what stands outside Google's namespace, such as RSS's own title."""

    line: int
    depth: int
    google: dict[str, str] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)
    more_images: list[str] = field(default_factory=list)
    size: int = 0

    def put(self, name: str, text: str, *, is_google: bool) -> None:
        if not text:
            return
        if name == "additional_image_link":
            self.more_images.append(text)
            return
        # `summary` and `content` are Atom's words for a description.
        name = "description" if name in ("summary", "content") and not is_google else name
        (self.google if is_google else self.plain).setdefault(name, text)

    @property
    def row(self) -> dict[str, str]:
        return self.plain | self.google


class _Items:
    """The elements of a feed, read as they come; nothing is kept of an item that has ended."""

    def __init__(self) -> None:
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._google_prefixes = {"g"}
        self._depth = 0
        self._item: _Item | None = None
        self._field: tuple[str, bool] | None = None
        self._text: list[str] = []
        self._rows: list[SourceRow | BadRow] = []
        self._fed = 0
        self._is_empty = True
        self._broken: BadFile | None = None

    def read(self, text: str) -> list[SourceRow | BadRow]:
        """Those that end in this piece of text. Raises BadFile."""
        if self._is_empty:
            text = text.lstrip()  # a declaration must be the very first, but blanks do no harm
            if not text:
                return []
            self._is_empty = False
        self._raise_broken()
        data = text.encode()
        self._fed += len(data)
        try:
            self._parse(data, is_final=False)
        except BadFile as error:
            self._broken = error  # told after the items before it
        self._check_held_back(len(data))
        rows, self._rows = self._rows, []
        return rows

    def _check_held_back(self, just_fed: int) -> None:
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _MAX_TAG + just_fed:
            raise BadFile(
                f"Line {self._parser.CurrentLineNumber}: a tag is longer than {_MAX_TAG} bytes."
            )

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def end(self) -> None:
        """Raises BadFile for one that is empty or breaks off."""
        if self._is_empty:
            raise BadFile("The file is empty.")
        self._raise_broken()
        self._parse(b"", is_final=True)

    def _parse(self, data: bytes, *, is_final: bool) -> None:
        try:
            self._parser.Parse(data, is_final)
        except expat.ExpatError as error:
            raise BadFile(
                f"The XML is broken in line {error.lineno}: {expat.ErrorString(error.code)}. "
                "What follows cannot be read."
            ) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        prefix, local = _split(name)
        if self._depth == 1 and local not in _ROOTS:
            raise BadFile(
                f"The file is no product feed: it begins with <{name[:40]}>, not with <rss> or "
                "<feed>."
            )
        if self._depth > _MAX_DEPTH:
            raise BadFile(f"Line {self._parser.CurrentLineNumber}: elements are nested too deeply.")
        self._note_prefixes(attributes)
        item = self._item
        if item is None:
            if local in _ITEMS:
                self._item = _Item(self._parser.CurrentLineNumber, self._depth)
        elif self._depth == item.depth + 1:
            is_google = prefix in self._google_prefixes
            # Other namespaces have their own titles and prices.
            self._field = (local, is_google) if is_google or not prefix else None
            self._text = []
            if local == "link" and attributes.get("rel", "alternate") == "alternate":
                self._text.append(attributes.get("href", ""))  # Atom's way

    def _note_prefixes(self, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            if name.startswith("xmlns:") and _GOOGLE in value:
                self._google_prefixes.add(name.removeprefix("xmlns:").lower())

    def _characters(self, text: str) -> None:
        item = self._item
        if item is None:
            return
        item.size += len(text)
        if self._field is not None and self._depth == item.depth + 1 and item.size <= _MAX_ITEM:
            self._text.append(text)

    def _end(self, _: str) -> None:
        item = self._item
        if item is not None and self._depth == item.depth + 1 and self._field is not None:
            name, is_google = self._field
            item.put(name, "".join(self._text).strip(), is_google=is_google)
            self._field, self._text = None, []
        elif item is not None and self._depth == item.depth:
            self._rows.append(_row(item))
            self._item = None
        self._depth -= 1


def _refuse_document_type(*_: object) -> None:
    raise BadFile("The file has a document type (<!DOCTYPE …>), which no product feed needs.")


def _split(name: str) -> tuple[str, str]:
    prefix, _, local = name.rpartition(":")
    return prefix.lower(), attribute_name(local)


def _row(item: _Item) -> SourceRow | BadRow:
    row = item.row
    source_id, product_id = ids_of(row)
    try:
        if item.size > _MAX_ITEM:
            raise BadValue(f"the item is longer than {_MAX_ITEM} characters")
        for name, text in row.items():
            check_field(name, text)
            if _LOST in text:
                raise BadValue(
                    f"{name} holds bytes that are not UTF-8, or characters that XML forbids"
                )
        return SourceRow(item.line, product_of(row, item.more_images))
    except BadValue as error:
        if source_id is not None and _LOST in f"{source_id}{product_id}":
            source_id = product_id = None
        return BadRow(item.line, source_id, str(error), product_id)
