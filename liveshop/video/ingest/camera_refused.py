"""Why a browser host is sent away, in a code for programs and words for people. Pure."""

from typing import Final, Literal

from liveshop.realtime.model import CloseCode

Code = Literal[
    "not_signed_in",
    "forbidden",
    "unknown_show",
    "show_over",
    "video_unsupported",
    "no_transcoder_free",
    "too_much",
    "broken_media",
    "replaced",
    "idle",
    "unavailable",
    "going_down",
]
_CLOSE_CODES: Final[dict[Code, int]] = {
    "not_signed_in": CloseCode.BAD_TOKEN,
    "forbidden": CloseCode.NO_SUCH_SHOW,
    "unknown_show": CloseCode.NO_SUCH_SHOW,
    "show_over": CloseCode.NO_SUCH_SHOW,
    "video_unsupported": CloseCode.PROTOCOL_VIOLATED,
    "no_transcoder_free": CloseCode.UNAVAILABLE,
    "too_much": CloseCode.PROTOCOL_VIOLATED,
    "broken_media": CloseCode.PROTOCOL_VIOLATED,
    "replaced": 4505,
    "idle": CloseCode.IDLE,
    "unavailable": CloseCode.UNAVAILABLE,
    "going_down": CloseCode.GOING_DOWN,
}
"""Below 4500: come back."""


class CameraRefused(Exception):
    """The host is told so, then the connection is closed. `message` is shown to people."""

    def __init__(self, code: Code, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code: Code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def close_code(self) -> int:
        return _CLOSE_CODES[self.code]

    @property
    def is_retryable(self) -> bool:
        return self.close_code < CloseCode.BANNED


def broken(what: str) -> CameraRefused:
    """It does not keep to the protocol."""
    return CameraRefused("broken_media", f"This browser sends what is not understood: {what}.")
