"""Wall-clock time painted into pictures before the encoder, and read back from what is shown.

Light and dark squares rather than digits: they survive strong compression and scaling, and reading
them costs a page two milliseconds. Sizes are fractions of the picture, so that it can be read in
any rendition. Whoever shows a picture at `t` and reads `ms` knows that it took `t - ms`.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

_COLUMNS: Final = 24
_ROWS: Final = 2
_ACROSS: Final = 40
"""So many squares would fill the width; 32 pixels each at 1280, 16 at 640."""
_TIME_BITS: Final = 40
EPOCH: Final = 1 << _TIME_BITS
"""Milliseconds since 1970 passed 2^40 in 2004 and reach 2^41 in 2039; forty bits tell the rest."""
_DARK, _LIGHT = 32, 220
_WEIGHTS: Final = (3, 5, 7, 11, 13)
_SALT: Final = 0x5A


def height_of(width: int) -> int:
    """How many lines at the top belong to the barcode, a margin included."""
    return round((_ROWS + 1) * width / _ACROSS)


def paint(luma: memoryview, line_size: int, width: int, ms: int) -> None:
    """Paint `ms` (since 1970) at the top left of a plane of luma with `line_size` bytes a line."""
    bits = _bits(ms)
    columns = [round(column * width / _ACROSS) for column in range(_COLUMNS + 1)]
    for row in range(_ROWS):
        line = b"".join(
            bytes([_LIGHT if bits[row * _COLUMNS + column] else _DARK]) * (right - left)
            for column, (left, right) in enumerate(pairwise(columns))
        )
        for y in range(round(row * width / _ACROSS), round((row + 1) * width / _ACROSS)):
            luma[y * line_size : y * line_size + len(line)] = line


def read(luma: memoryview, line_size: int, width: int) -> int | None:
    """The time painted into a plane of luma; None when it cannot be read with certainty."""
    square = width / _ACROSS
    bits = []
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            light = _mean(luma, line_size, column * square, row * square, square)
            if abs(light - (_DARK + _LIGHT) / 2) < 20:
                return None
            bits.append(light > (_DARK + _LIGHT) / 2)
    return _time(bits)


def _mean(luma: memoryview, line_size: int, left: float, top: float, square: float) -> float:
    """Of the middle of a square: its edges are blurred."""
    values = [
        luma[y * line_size + x]
        for y in range(round(top + square / 4), max(round(top + square * 3 / 4), 1))
        for x in range(round(left + square / 4), round(left + square * 3 / 4))
    ]
    return sum(values) / len(values)


def _bits(ms: int) -> list[bool]:
    data = (ms - EPOCH).to_bytes(5, "big")
    return [bool(byte >> (7 - bit) & 1) for byte in (*data, _check(data)) for bit in range(8)]


def _time(bits: Sequence[bool]) -> int | None:
    data = bytes(_bytes(bits))
    if _check(data[:5]) != data[5]:
        return None
    return int.from_bytes(data[:5], "big") + EPOCH


def _bytes(bits: Sequence[bool]) -> Iterator[int]:
    for start in range(0, len(bits), 8):
        value = 0
        for bit in bits[start : start + 8]:
            value = value << 1 | bit
        yield value


def _check(data: bytes) -> int:
    weighted = sum(byte * weight for byte, weight in zip(data, _WEIGHTS, strict=True))
    return (weighted + _SALT) & 0xFF


_FORMAT_JS: Final = f"""
const barcode = {{
  columns: {_COLUMNS}, rows: {_ROWS}, across: {_ACROSS},
  weights: {list(_WEIGHTS)}, salt: {_SALT}, epoch: {EPOCH},
}};
"""
READ_JS: Final = (
    _FORMAT_JS
    + """
const readBarcode = (() => {
  const {columns, rows, across, weights, salt, epoch} = barcode;
  const zoom = 8;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns * zoom, rows * zoom];
  const pen = canvas.getContext("2d", {willReadFrequently: true, alpha: false});
  const lightOf = (data, left, top) => {
    let sum = 0;
    for (let y = top + 2; y < top + 6; y++)
      for (let x = left + 2; x < left + 6; x++) sum += data[4 * (y * canvas.width + x) + 1];
    return sum / 16;
  };
  return (video) => {
    if (!video.videoWidth) return null;
    const square = video.videoWidth / across;
    pen.drawImage(video, 0, 0, columns * square, rows * square, 0, 0, canvas.width, canvas.height);
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    const bytes = [0, 0, 0, 0, 0, 0];
    for (let n = 0; n < columns * rows; n++) {
      const light = lightOf(data, (n % columns) * zoom, Math.floor(n / columns) * zoom);
      if (Math.abs(light - 128) < 20) return null;
      bytes[n >> 3] = bytes[n >> 3] * 2 + (light > 128 ? 1 : 0);
    }
    let check = salt, ms = 0;
    for (let n = 0; n < 5; n++) {
      check += bytes[n] * weights[n];
      ms = ms * 256 + bytes[n];
    }
    return (check & 255) === bytes[5] ? ms + epoch : null;
  };
})();
"""
)
"""A script that defines `readBarcode(video)`: milliseconds since 1970, or null."""
PAINT_JS: Final = (
    _FORMAT_JS
    + """
const paintBarcode = (pen, width, ms) => {
  const {columns, rows, across, weights, salt, epoch} = barcode;
  const bytes = [0, 0, 0, 0, 0];
  let left = ms - epoch, check = salt;
  for (let n = 4; n >= 0; n--) {
    bytes[n] = left % 256;
    left = Math.floor(left / 256);
  }
  for (let n = 0; n < 5; n++) check += bytes[n] * weights[n];
  bytes.push(check & 255);
  const edge = (column) => Math.round(column * width / across);
  pen.fillStyle = "rgb(19, 19, 19)";
  pen.fillRect(0, 0, edge(columns), edge(rows));
  pen.fillStyle = "rgb(237, 237, 237)";
  for (let n = 0; n < columns * rows; n++) {
    if (!((bytes[n >> 3] >> (7 - (n & 7))) & 1)) continue;
    const column = n % columns, row = Math.floor(n / columns);
    pen.fillRect(
      edge(column), edge(row), edge(column + 1) - edge(column), edge(row + 1) - edge(row));
  }
};
"""
)
"""A script that defines `paintBarcode(pen, width, ms)` for the 2D context of a canvas."""
