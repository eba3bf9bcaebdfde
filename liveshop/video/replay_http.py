"""Recorded shows over plain HTTP: a playlist over the chunks on disk, and files made of them, with
ranges. Like `http`, all of it files that any cache may keep.

What viewers are not shown, they do not get by asking for it: what is trimmed away is refused to
every address but that of the show's staff. The address of a file opens that file and nothing else.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import structlog
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId
from liveshop.video.archive import ArchiveAway
from liveshop.video.http import IMMUTABLE, INIT_TYPE, PLAYLIST_TYPE, SEGMENT_TYPE, number_of
from liveshop.video.model import BadPlaybackLink, NoRecording, NoSuchSegment, RecordingAway
from liveshop.video.recording_kept import KeptRecordings, Replay
from liveshop.video.signing import PlaybackLinks
from liveshop.web import PUBLIC, Call, Endpoint, Wire

_PLAYLIST_CACHE: Final = "public, max-age=10"
"""So soon a trim is seen by everybody."""
_WRITE_SECONDS: Final = 300.0
"""For a megabyte: a browser that has enough of a film for now stops reading."""
_PART: Final = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,12})-([0-9]{1,12}))?", re.ASCII)
_KINDS: Final = {"mp4": "video/mp4", "jpg": "image/jpeg"}

_log = structlog.get_logger("video")


class Window(Protocol):
    """What of a recording plays, and for whom: for `signed` ones addresses have to be signed."""

    @property
    def access(self) -> Literal["everyone", "signed", "nobody"]: ...

    @property
    def from_at(self) -> datetime | None: ...

    @property
    def until_at(self) -> datetime | None: ...

    @property
    def hidden(self) -> Container[str]:
        """Files that show what does not play."""


WindowOf = Callable[[ShowId], Awaitable[Window]]
Read = Callable[[int, int], AsyncIterator[bytes]]


class FileQuery(Wire, forbid_unknown_fields=False):
    """What else stands in the address is for others, such as a CDN's token."""

    download: bool = False


def endpoints(  # noqa: C901  # one table of small handlers
    recordings: KeptRecordings, links: PlaybackLinks, window_of: WindowOf
) -> list[Endpoint]:
    async def admitted(call: Call) -> tuple[ShowId, datetime | None, datetime | None]:
        """The show, and what of it. Raises BadPlaybackLink, NoRecording."""
        show_id, is_signed = links.opened(call.params["show_id"], call.now)
        if is_signed and links.is_preview(call.params["show_id"]):
            return show_id, None, None
        window = await window_of(show_id)
        if window.access == "nobody":
            raise NoRecording("There is no recording of this show to play.")
        if window.access == "signed" and not is_signed:
            raise BadPlaybackLink("This show is for customers: load it again at the shop.")
        return show_id, window.from_at, window.until_at

    async def admitted_to_file(call: Call, name: str) -> ShowId:
        """Raises BadPlaybackLink, NoRecording, NoSuchSegment."""
        show_id, ticket = links.opened_file(call.params["show_id"], name, call.now)
        if ticket == "own":
            return show_id
        window = await window_of(show_id)
        if window.access == "nobody":
            raise NoRecording("There is no recording of this show to play.")
        if window.access == "signed" and ticket == "none":
            raise BadPlaybackLink("This show is for customers: load it again at the shop.")
        if name in window.hidden:
            raise NoSuchSegment("There is no such file of this show.")
        return show_id

    async def replay_of(call: Call) -> tuple[ShowId, Replay]:
        show_id, from_at, until_at = await admitted(call)
        return show_id, await recordings.replay(show_id, from_at, until_at)

    async def replay_playlist(call: Call) -> web.Response:
        _, replay = await replay_of(call)
        return _file(replay.text.encode(), PLAYLIST_TYPE, _PLAYLIST_CACHE)

    async def replay_init(call: Call) -> web.Response:
        show_id, _, _ = await admitted(call)
        return _file(await recordings.init(show_id, number_of(call)), INIT_TYPE, IMMUTABLE)

    async def replay_chunk(call: Call) -> web.StreamResponse:
        show_id, replay = await replay_of(call)
        number, start, stop = _part(call)
        one = replay.shown.get(number)
        if one is None or start < one.start or (stop or one.chunk.byte_count) > one.stop:
            raise NoSuchSegment("This part of the show is not shown: load the playlist.")
        size = (stop or one.chunk.byte_count) - start

        def read(first: int, last: int) -> AsyncIterator[bytes]:
            return recordings.read_chunk(show_id, number, start + first, start + last)

        return await _Ranged(call.request, size, f"{number}-{start}", SEGMENT_TYPE, read).begun()

    async def file(call: Call, kind: str) -> web.StreamResponse:
        name = f"{call.params['file_id']}.{kind}"
        show_id = await admitted_to_file(call, name)
        size = await recordings.file_size(show_id, name)

        def read(start: int, stop: int) -> AsyncIterator[bytes]:
            return recordings.read_file(show_id, name, start, stop)

        response = _Ranged(call.request, size, name, _KINDS[kind], read)
        if call.query.download:
            response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}"'
        return await response.begun()

    async def recorded_film(call: Call) -> web.StreamResponse:
        return await file(call, "mp4")

    async def recorded_picture(call: Call) -> web.StreamResponse:
        return await file(call, "jpg")

    return [
        _public(
            "replay/index.m3u8", replay_playlist, "A show that is over, all of it", PLAYLIST_TYPE
        ),
        _public("replay/init-{number}.mp4", replay_init, "Its initialisation", INIT_TYPE),
        _public("replay/chunk-{number}.m4s", replay_chunk, "Some seconds of it", SEGMENT_TYPE),
        _public(
            "files/{file_id}.mp4",
            recorded_film,
            "A film made of a show, with ranges",
            _KINDS["mp4"],
            query=FileQuery,
        ),
        _public(
            "files/{file_id}.jpg",
            recorded_picture,
            "A picture made of a show",
            _KINDS["jpg"],
            query=FileQuery,
        ),
    ]


class _Ranged(web.StreamResponse):
    """What is asked for of `size` bytes, read some at a time (RFC 9110 14). `start` and `stop` say
    what that is."""

    def __init__(
        self, request: web.Request, size: int, tag: str, content_type: str, read: Read
    ) -> None:
        etag = f'"{tag}-{size}"'
        self.start, self.stop = 0, size
        status = 200
        self._read: Read | None = read
        asked = _asked(request, size, etag)
        if _has_it(request, etag):
            self._read, status = None, 304
        elif asked is not None:
            self.start, self.stop = asked
            status = 206 if self.start < self.stop else 416
        super().__init__(status=status)
        self.headers[hdrs.ETAG] = etag
        self.headers[hdrs.CACHE_CONTROL] = IMMUTABLE
        if status == 304:
            return
        self.headers[hdrs.ACCEPT_RANGES] = "bytes"
        self.content_type = content_type
        if status == 416:
            self._read = None
            self.stop = self.start = 0
            self.headers[hdrs.CACHE_CONTROL] = "no-store"
            self.headers[hdrs.CONTENT_RANGE] = f"bytes */{size}"
        elif status == 206:
            self.headers[hdrs.CONTENT_RANGE] = f"bytes {self.start}-{self.stop - 1}/{size}"
        self.content_length = self.stop - self.start
        if request.method == hdrs.METH_HEAD:
            self._read = None
        self._blocks: AsyncIterator[bytes] | None = None
        self._first = b""

    async def begun(self) -> "_Ranged":
        """With the first bytes at hand, so that what hinders it can still be told as a status."""
        if self._read is not None:
            self._blocks = self._read(self.start, self.stop)
            self._first = await anext(self._blocks, b"")
        return self

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        writer = await super().prepare(request)
        if self._read is None or self._blocks is None:
            return writer
        try:
            await self._write(self._first)
            self._first = b""
            async for block in self._blocks:
                await self._write(block)
        except (ShopError, TimeoutError) as error:
            _log.warning("file_broke_off", error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()  # or it would look complete
        finally:
            self._read = None
        return writer

    async def _write(self, block: bytes) -> None:
        async with asyncio.timeout(_WRITE_SECONDS):
            await self.write(block)


def _part(call: Call) -> tuple[int, int, int | None]:
    """Chunk, and from where until where (None: its end), of `N` or `N-FROM-UNTIL`. Raises
    NoSuchSegment."""
    found = _PART.fullmatch(call.params["number"])
    if found is None:
        raise NoSuchSegment("Parts of a show are numbered: load the playlist.")
    number, start, stop = found.groups()
    if start is None:
        return int(number), 0, None
    if int(start) >= int(stop):
        raise NoSuchSegment("There is nothing between these bytes: load the playlist.")
    return int(number), int(start), int(stop)


def _asked(request: web.Request, size: int, etag: str) -> tuple[int, int] | None:
    """What range, which may be empty; None: all of it. Several at once may be answered by all."""
    if_range = request.headers.get(hdrs.IF_RANGE)
    if hdrs.RANGE not in request.headers or if_range not in (None, etag):
        return None
    try:
        asked = request.http_range
    except ValueError:
        return None
    first, last = asked.start, asked.stop
    if first is not None and first < 0:
        return max(0, size + first), size
    start = first or 0
    return min(start, size), size if last is None else max(start, min(last, size))


def _has_it(request: web.Request, etag: str) -> bool:
    given = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in given.split(","))


def _public(
    path: str,
    handler: Callable[[Call], Awaitable[web.StreamResponse]],
    summary: str,
    produces: str,
    *,
    query: type | None = None,
    errors: tuple[Any, ...] = (),
) -> Endpoint:
    return Endpoint(
        "GET",
        f"/hls/{{show_id}}/{path}",
        handler,
        PUBLIC,
        summary,
        "video",
        query=query,
        errors=(NoRecording, NoSuchSegment, BadPlaybackLink, ArchiveAway, RecordingAway, *errors),
        raw=True,
        produces=(produces,),
        any_origin=True,
        is_by_link=True,
    )


def _file(body: bytes, content_type: str, cache_control: str) -> web.Response:
    return web.Response(
        body=body, content_type=content_type, headers={"Cache-Control": cache_control}
    )
