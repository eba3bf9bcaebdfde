"""AMF0: what the specification's bytes mean, and that no bytes do harm."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveshop.video.ingest.amf0 import AmfLimits, BadAmf, Value, decode, encode

END = b"\0\0\x09"


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("", []),
        ("00 3ff0000000000000", [1.0]),
        ("01 00 01 01 01 07", [False, True, True]),
        ("02 0004 6c697665", ["live"]),
        ("02 0000", [""]),
        ("02 0002 c328", ["�("]),
        ("05 06 0d", [None, None, None]),
        ("03 0003 617070 02 0004 6c697665 0000 05 000009", [{"app": "live", "": None}]),
        ("03 000009", [{}]),
        ("08 00000002 0001 61 01 01 000009", [{"a": True}]),
        ("08 ffffffff 000009", [{}]),
        ("10 0003 466f6f 0001 61 05 000009", [{"a": None}]),
        ("0a 00000002 05 02 0001 78", [[None, "x"]]),
        ("0b 4059000000000000 0000", [100.0]),
        ("0c 00000001 78 0f 00000002 3c3e", ["x", "<>"]),
        ("03 0001 61 0a 00000001 03 0001 62 05 000009 000009", [{"a": [{"b": None}]}]),
    ],
)
def test_bytes_of_the_specification_are_read(data: str, values: list[Value]) -> None:
    assert decode(bytes.fromhex(data)) == values


@pytest.mark.parametrize(
    ("values", "data"),
    [
        ((1.0, True, "live", None), "00 3ff0000000000000 01 01 02 0004 6c697665 05"),
        (({"a": 2.0},), "03 0001 61 00 4000000000000000 000009"),
        ((["avc1"],), "0a 00000001 02 0004 61766331"),
        ((3,), "00 4008000000000000"),
    ],
)
def test_values_are_written_as_the_specification_says(values: tuple[Value, ...], data: str) -> None:
    assert encode(*values) == bytes.fromhex(data)


@pytest.mark.parametrize(
    "data",
    [
        "00",  # a number without its bytes
        "00 3ff00000000000",
        "01",
        "02 0005 6c697665",
        "02 00",
        "03",
        "03 0003 617070",
        "03 0003 617070 05",  # no end
        "03 0000",
        "08 0000",
        "0a 00000001",
        "0a ffffffff 05 05",
        "0b 4059000000000000",
        "0c ffffffff 78",
        "04",  # MovieClip
        "07 0000",  # a reference
        "0e",  # RecordSet
        "11 04 01",  # AMF3
        "09",  # an end without a beginning
        "ff",
    ],
)
def test_what_is_no_amf0_is_refused(data: str) -> None:
    with pytest.raises(BadAmf):
        decode(bytes.fromhex(data))


def test_nesting_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        return b"\x0a\0\0\0\1" * depth + b"\5"

    decode(nested(8))
    for depth in (9, 1000, 100_000):
        with pytest.raises(BadAmf, match="deep"):
            decode(nested(depth))
    with pytest.raises(BadAmf, match="deep"):
        decode(b"\3\0\1a" * 10_000)


def test_counts_are_bounded() -> None:
    assert len(decode(b"\5" * 512)) == 512
    for many in (b"\5" * 513, b"\x0a" + struct.pack(">I", 1 << 31) + b"\5" * 60_000):
        with pytest.raises(BadAmf, match="many"):
            decode(many)
    with pytest.raises(BadAmf, match="many"):
        decode(b"\3" + b"\0\1a\5" * 600 + END)


def test_texts_are_bounded() -> None:
    limits = AmfLimits(max_string_bytes=10)
    assert decode(encode("x" * 10), limits=limits) == ["x" * 10]
    with pytest.raises(BadAmf, match="long"):
        decode(encode("x" * 11), limits=limits)
    with pytest.raises(BadAmf, match="long"):
        decode(encode({"x" * 11: None}), limits=limits)
    with pytest.raises(ValueError, match="65535"):
        encode({"x" * 65536: None})


def test_long_texts_are_written_as_such() -> None:
    limits = AmfLimits(max_string_bytes=1 << 20)
    for length in (65535, 65536, 100_000):
        assert decode(encode("x" * length), limits=limits) == ["x" * length]


def test_errors_do_not_repeat_what_came() -> None:
    for data in (b"\2\0\7sec", b"\3\0\6secret\xff", encode("secret" * 2000)):
        with pytest.raises(BadAmf) as raised:
            decode(data)
        assert "sec" not in str(raised.value)


texts = st.text(max_size=20)
values_of_amf0 = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | texts,
    # An empty key with an empty value cannot be told from the end, in the format itself.
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(values_of_amf0, max_size=4))
def test_what_is_written_is_read(values: list[Value]) -> None:
    assert decode(encode(*values), limits=AmfLimits(max_depth=64)) == values


def test_numbers_that_are_none_come_through() -> None:
    (number,) = decode(encode(math.nan))
    assert isinstance(number, float)
    assert math.isnan(number)


def _harmless(data: bytes) -> None:
    try:
        values = decode(data)
    except BadAmf:
        return
    assert len(values) <= len(data)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read(data: bytes) -> None:
    _harmless(data)


@settings(deadline=None)
@given(st.lists(values_of_amf0, max_size=4), st.data())
def test_damage_is_refused_or_read(values: list[Value], data: st.DataObject) -> None:
    whole = bytearray(encode(*values))
    for _ in range(data.draw(st.integers(1, 3))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    _harmless(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
