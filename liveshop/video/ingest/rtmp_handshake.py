"""The server's half of RTMP's handshake (5.2), which proves nothing. Sans I/O.

"Complex" handshakes sign C1 with a key known to everybody; Flash players wanted the answer signed,
encoders take the plain one. So whatever comes as C1 is echoed.
"""

import secrets
from typing import Final

from liveshop.video.ingest.rtmp_chunks import ProtocolError

_VERSION: Final = 3
_PART_BYTES: Final = 1536


class Handshake:
    def __init__(self) -> None:
        self._received = bytearray()
        self._has_answered = False

    @property
    def buffered_bytes(self) -> int:
        return len(self._received)

    def feed(self, data: bytes, out: bytearray) -> bytes | None:
        """What follows the handshake once it is complete. The answer is appended to `out`.

        Raises ProtocolError at the first byte of something else.
        """
        self._received += data
        received = self._received
        if received and received[0] != _VERSION:
            raise ProtocolError(_other_than_rtmp(received[0]))
        if len(received) > _PART_BYTES and not self._has_answered:
            self._has_answered = True
            out.append(_VERSION)
            out += bytes(8) + secrets.token_bytes(_PART_BYTES - 8)
            out += received[1 : 1 + _PART_BYTES]
        if len(received) < 1 + 2 * _PART_BYTES:
            return None
        rest = bytes(received[1 + 2 * _PART_BYTES :])
        received.clear()
        return rest


def _other_than_rtmp(first: int) -> str:
    if first == 0x16:
        return "this is TLS: rtmps:// goes to another port"
    if first in {6, 8, 9}:
        return "encrypted RTMP (RTMPE) is not spoken; rtmps:// is"
    return "this is not RTMP"
