"""Signed playback addresses for shows that are for customers only.

The signature stands in the path, so that the relative addresses in a playlist carry it along; and
it is the same for everybody within its period, so that a cache still answers a crowd with one file.
Who was given it can therefore pass it on until it ends: whom a show is for is asked where the
address is handed out.
"""

import hmac
from datetime import datetime
from typing import Final, Literal

from liveshop.kernel.ids import ShowId
from liveshop.video.model import BadPlaybackLink

_MARK: Final = "~"
_SIGNATURE_BYTES: Final = 16
_PREVIEW: Final = "preview-"
_REHEARSAL: Final = "rehearsal-"
_FILE: Final = "file-"
_OWN_FILE: Final = "own-file-"
_PURPOSE: Final = b"liveshop playback link 1"

FileTicket = Literal["none", "viewer", "own"]


def playlist_path(show: str) -> str:
    """Where the playlist of a show is, under the public URL; `show` is its id, signed or not."""
    return f"/hls/{show}/index.m3u8"


def replay_path(show: str) -> str:
    """Where the playlist of its recording is; likewise."""
    return f"/hls/{show}/replay/index.m3u8"


class PlaybackLinks:
    def __init__(self, secret: str, hours: int) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
        self._period_seconds = hours * 3600

    def path(self, show_id: ShowId, now: datetime) -> str:
        """A signed playlist address that works for one to two periods."""
        return playlist_path(self.signed(show_id, now))

    def signed(self, show_id: ShowId, now: datetime) -> str:
        """The show's part of such an address."""
        return self._ticket(show_id, now, "")

    def rehearsal(self, show_id: ShowId, rehearsal: str, now: datetime) -> str:
        """The same for one rehearsal of the show, and nothing after it."""
        return self._ticket(show_id, now, _REHEARSAL, rehearsal)

    def preview(self, show_id: ShowId, now: datetime) -> str:
        """The same for staff: it opens all of a recording, published or not."""
        return self._ticket(show_id, now, _PREVIEW)

    def file(self, show_id: ShowId, name: str, now: datetime) -> str:
        """The same for one file made of the recording, which it alone opens, and for whoever may
        play the recording."""
        return self._ticket(show_id, now, _FILE, name)

    def own_file(self, show_id: ShowId, name: str, now: datetime) -> str:
        """The same, whether or not viewers may play the recording: for staff to pass on."""
        return self._ticket(show_id, now, _OWN_FILE, name)

    def is_preview(self, show: str) -> bool:
        """Of what `opened` has opened."""
        return show.partition(_MARK)[2].startswith(_PREVIEW)

    def opened(self, show: str, now: datetime) -> tuple[ShowId, bool]:
        """The show that a path names, and whether it is signed. Raises BadPlaybackLink, also for
        what opens a file."""
        show_id, kind = self._opened(show, now, ("", _PREVIEW))
        return show_id, kind is not None

    def named(self, show: str) -> ShowId:
        """The show that a path names, whoever signed it."""
        return ShowId(show.partition(_MARK)[0])

    def opened_rehearsal(self, show: str, rehearsal: str, now: datetime) -> ShowId:
        """The show of a path that is signed for this rehearsal of it. Raises BadPlaybackLink."""
        show_id, kind = self._opened(show, now, (_REHEARSAL,), rehearsal)
        if kind is None:
            raise BadPlaybackLink("This show is not on yet.")
        return show_id

    def opened_file(self, show: str, name: str, now: datetime) -> tuple[ShowId, FileTicket]:
        """The show that the path of a file names, and how it is signed. Raises BadPlaybackLink,
        also for what opens the recording, or another file."""
        show_id, kind = self._opened(show, now, (_FILE, _OWN_FILE), name)
        if kind is None:
            return show_id, "none"
        return show_id, "own" if kind == _OWN_FILE else "viewer"

    def _opened(
        self, show: str, now: datetime, kinds: tuple[str, ...], name: str = ""
    ) -> tuple[ShowId, str | None]:
        """Which of these kinds it is of; None: not signed."""
        show_id, mark, ticket = show.partition(_MARK)
        if not mark:
            return ShowId(show_id), None
        # A ticket of no prefix fits all, and is refused by its number then.
        kind = max((one for one in kinds if ticket.startswith(one)), key=len, default="")
        expires, _, signature = ticket.removeprefix(kind).partition(".")
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 15):
            raise BadPlaybackLink("This address is not complete: load the show again.")
        right = self._signature(ShowId(show_id), f"{kind}{int(expires)}", name)
        is_right = hmac.compare_digest(right.encode(), signature.encode(errors="replace"))
        if kind not in kinds or not is_right:
            raise BadPlaybackLink("This address is not one of ours: load the show again.")
        if now.timestamp() >= int(expires):
            raise BadPlaybackLink("This address worked until a while ago: load the show again.")
        return ShowId(show_id), kind

    def _ticket(self, show_id: ShowId, now: datetime, kind: str, name: str = "") -> str:
        expires = (int(now.timestamp()) // self._period_seconds + 2) * self._period_seconds
        what = f"{kind}{expires}"
        return f"{show_id}{_MARK}{what}.{self._signature(show_id, what, name)}"

    def _signature(self, show_id: ShowId, what: str, name: str) -> str:
        text = f"{show_id}{_MARK}{what}{name and '/'}{name}".encode(errors="replace")
        return hmac.digest(self._key, text, "sha256")[:_SIGNATURE_BYTES].hex()
