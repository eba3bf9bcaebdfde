"""AMF0, the values of RTMP commands and metadata. Pure, and bounded against hostile peers.

Our own since it is a hundred lines, and the libraries there are read from files they trust.
By Adobe's "Action Message Format -- AMF 0" (2007); the clauses below are its.
"""

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = "float | bool | str | list[Value] | dict[str, Value] | None"
"""Numbers are floats. Undefined and unsupported values are None, dates are milliseconds, typed
objects are objects, XML is text."""

_NUMBER: Final = 0x00
_BOOLEAN: Final = 0x01
_STRING: Final = 0x02
_OBJECT: Final = 0x03
_NULL: Final = 0x05
_UNDEFINED: Final = 0x06
_ECMA_ARRAY: Final = 0x08
_OBJECT_END: Final = 0x09
_STRICT_ARRAY: Final = 0x0A
_DATE: Final = 0x0B
_LONG_STRING: Final = 0x0C
_UNSUPPORTED: Final = 0x0D
_XML: Final = 0x0F
_TYPED_OBJECT: Final = 0x10


class BadAmf(Exception):
    """Not AMF0, or larger than anybody needs. Holds no text of the peer."""


@dataclass(frozen=True, slots=True)
class AmfLimits:
    """An encoder's metadata is some thirty short values in one object."""

    max_depth: int = 8
    max_items: int = 512
    """Values and keys in all."""
    max_string_bytes: int = 8192


DEFAULT_LIMITS: Final = AmfLimits()


def decode(data: bytes, *, limits: AmfLimits = DEFAULT_LIMITS) -> list[Value]:
    """All values of a message, in order. Raises BadAmf."""
    reader = _Reader(data, limits)
    values: list[Value] = []
    while not reader.is_at_end:
        values.append(reader.value(0))
    return values


def encode(*values: Value) -> bytes:
    """Whole numbers go as the floats they are in AMF0. Raises ValueError for a key over 64 KiB."""
    out = bytearray()
    for value in values:
        _append(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes, limits: AmfLimits) -> None:
        self._data = data
        self._limits = limits
        self._position = 0
        self._items = 0

    @property
    def is_at_end(self) -> bool:
        return self._position >= len(self._data)

    def value(self, depth: int) -> Value:
        if depth > self._limits.max_depth:
            raise BadAmf("values are nested too deeply")
        self._count()
        marker = self._take(1)[0]
        if marker in {_NULL, _UNDEFINED, _UNSUPPORTED}:
            return None
        if marker in {_OBJECT, _ECMA_ARRAY, _TYPED_OBJECT}:
            if marker == _ECMA_ARRAY:
                self._take(4)  # "associative-count" is a hint (2.10); the end marker decides
            elif marker == _TYPED_OBJECT:
                self._string(2)  # the name of a class nobody has here
            return self._properties(depth)
        if marker == _STRICT_ARRAY:
            count = int.from_bytes(self._take(4), "big")
            # Too many are found out by counting; each takes a byte at least.
            return [self.value(depth + 1) for _ in range(count)]
        return self._simple(marker)

    def _simple(self, marker: int) -> Value:
        if marker == _NUMBER:
            return self._number()
        if marker == _BOOLEAN:
            return self._take(1)[0] != 0
        if marker == _STRING:
            return self._string(2)
        if marker in {_LONG_STRING, _XML}:
            return self._string(4)
        if marker == _DATE:
            milliseconds = self._number()
            self._take(2)  # time zone: "should be 0x0000" (2.13)
            return milliseconds
        # 0x07 references need an object table nobody's encoder uses; 0x04 and 0x0E are reserved;
        # 0x11 goes over to AMF3, which the answer to `connect` does not offer.
        raise BadAmf(f"marker {marker:#04x} is not taken")

    def _properties(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            self._count()
            key = self._string(2)
            if not key and self._peek() == _OBJECT_END:
                self._position += 1
                return found
            found[key] = self.value(depth + 1)

    def _number(self) -> float:
        number: float = struct.unpack(">d", self._take(8))[0]
        return number

    def _string(self, length_bytes: int) -> str:
        length = int.from_bytes(self._take(length_bytes), "big")
        if length > self._limits.max_string_bytes:
            raise BadAmf("a text is too long")
        return self._take(length).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise BadAmf("the values end too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _peek(self) -> int | None:
        return None if self.is_at_end else self._data[self._position]

    def _count(self) -> None:
        self._items += 1
        if self._items > self._limits.max_items:
            raise BadAmf("there are too many values")


def _append(out: bytearray, value: Value) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):  # before numbers: a bool is an int
        out += bytes((_BOOLEAN, value))
    elif isinstance(value, (int, float)):
        out.append(_NUMBER)
        out += struct.pack(">d", value)
    elif isinstance(value, str):
        text = value.encode()
        if len(text) < 1 << 16:
            out.append(_STRING)
            out += struct.pack(">H", len(text))
        else:
            out.append(_LONG_STRING)
            out += struct.pack(">I", len(text))
        out += text
    elif isinstance(value, list):
        out.append(_STRICT_ARRAY)
        out += struct.pack(">I", len(value))
        for item in value:
            _append(out, item)
    else:
        out.append(_OBJECT)
        for key, item in value.items():
            name = key.encode()
            if len(name) >= 1 << 16:
                raise ValueError("a key of AMF0 has at most 65535 bytes")
            out += struct.pack(">H", len(name)) + name
            _append(out, item)
        out += bytes((0, 0, _OBJECT_END))
