"""LL-HLS over plain HTTP: all of it files that any cache may keep, so a CDN can stand in front.

A playlist or part that is not there yet is waited for; a cache that collapses requests passes one
of a crowd on. Anybody may read it from any page; shows for customers need signed addresses.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta

from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import ShowId
from liveshop.video.model import (
    BadPlaybackLink,
    BadReload,
    NoRewind,
    NoSuchSegment,
    NothingNew,
    NoVideo,
    Rendition,
)
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks
from liveshop.video.sound_level import level_of
from liveshop.video.wire import VideoHealth
from liveshop.web import PUBLIC, Call, Endpoint, Principal, Wire, permission

PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
INIT_TYPE: Final = "video/mp4"
SEGMENT_TYPE: Final = "video/iso.segment"

IMMUTABLE: Final = "public, max-age=3600, immutable"
"""A number is never used twice for a show, not even after a restart."""
_PLAYLIST_CACHE: Final = "public, max-age=1"
"""Lets a CDN answer a crowd with one request a second."""
_BLOCKED_CACHE: Final = "public, max-age=6"
"""What was waited for has an address of its own, at which nothing else will ever be."""

Number = Annotated[int, Meta(ge=0, le=10**15)]


class Reload(
    Wire,
    rename={"msn": "_HLS_msn", "part": "_HLS_part", "skip": "_HLS_skip"},
    forbid_unknown_fields=False,
):
    """Delivery directives (draft-pantos-hls-rfc8216bis 6.2.5). What else stands in the address is
    for others: a CDN's token, or a directive that is not known here."""

    msn: Number | None = None
    part: Number | None = None
    skip: str | None = None


def endpoints(
    service: VideoService,
    links: PlaybackLinks,
    show_for: Callable[[ShowId, Principal], Awaitable[object]],
) -> list[Endpoint]:
    """`show_for`: raises when there is no such show for whoever asks."""

    def show_of(call: Call) -> ShowId:
        return admitted(service, links, call.params["show_id"], call.now)

    async def multivariant(call: Call) -> web.Response:
        return _file(service.multivariant(show_of(call)).encode(), PLAYLIST_TYPE, _PLAYLIST_CACHE)

    async def playlist(call: Call) -> web.Response:
        asked: Reload = call.query
        text = await service.playlist(
            show_of(call),
            _rendition(call),
            msn=asked.msn,
            part=asked.part,
            skip=asked.skip is not None,
        )
        cache = _PLAYLIST_CACHE if asked.msn is None else _BLOCKED_CACHE
        return _file(text.encode(), PLAYLIST_TYPE, cache)

    async def init(call: Call) -> web.Response:
        found = service.init(show_of(call), _rendition(call), number_of(call))
        return _file(found, INIT_TYPE, IMMUTABLE)

    async def segment(call: Call) -> web.Response:
        found = service.segment(show_of(call), _rendition(call), number_of(call))
        return _file(found, SEGMENT_TYPE, IMMUTABLE)

    async def part(call: Call) -> web.Response:
        found = await service.part(show_of(call), _rendition(call), number_of(call))
        return _file(found, SEGMENT_TYPE, IMMUTABLE)

    async def rewind(call: Call) -> web.Response:
        text = service.rewind(show_of(call)).playlist()
        return _file(text.encode(), PLAYLIST_TYPE, _PLAYLIST_CACHE)

    async def rewind_init(call: Call) -> web.Response:
        found = await service.rewind(show_of(call)).init(number_of(call))
        return _file(found, INIT_TYPE, IMMUTABLE)

    async def rewind_chunk(call: Call) -> web.Response:
        found = await service.rewind(show_of(call)).read(number_of(call))
        return _file(found, SEGMENT_TYPE, IMMUTABLE)

    async def health(call: Call) -> VideoHealth:
        show_id = ShowId(call.params["show_id"])
        await show_for(show_id, call.principal)
        stream = service.stream(show_id)
        state = service.state(show_id)
        recording = service.recording_shortage(show_id)
        if stream is None or stream.publishing is None:
            since = None if stream is None else stream.idle_since
            return VideoHealth.nothing(state, since, recording)
        arrivals, delay = stream.arrivals, stream.publishing.capture_delay
        level = await level_of(arrivals.recent_sound())
        return VideoHealth.of(state, arrivals.report(call.now, level), delay, recording)

    return [
        _public("index.m3u8", multivariant, "The HLS playlists of a show on air", PLAYLIST_TYPE),
        _public(
            "rewind/index.m3u8",
            rewind,
            "A running show from its beginning",
            PLAYLIST_TYPE,
            errors=(NoRewind,),
        ),
        _public(
            "rewind/init-{number}.mp4",
            rewind_init,
            "Its initialisation",
            INIT_TYPE,
            errors=(NoRewind,),
        ),
        _public(
            "rewind/chunk-{number}.m4s",
            rewind_chunk,
            "Some seconds of it",
            SEGMENT_TYPE,
            errors=(NoRewind,),
        ),
        _public(
            "{rendition}/live.m3u8",
            playlist,
            "The low-latency playlist of a rendition: `video`, `low` or `audio`",
            PLAYLIST_TYPE,
            query=Reload,
            errors=(BadReload, NothingNew),
        ),
        _public(
            "{rendition}/init-{number}.mp4",
            init,
            "An initialisation section (EXT-X-MAP)",
            INIT_TYPE,
        ),
        _public(
            "{rendition}/segment-{number}.m4s",
            segment,
            "A second or two of a rendition",
            SEGMENT_TYPE,
        ),
        _public(
            "{rendition}/part-{number}.m4s",
            part,
            "A third of a second of a rendition; the next one is waited for",
            SEGMENT_TYPE,
            errors=(NothingNew,),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/video",
            health,
            permission("shows:read"),
            "What arrives from the encoder",
            "video",
            answer=VideoHealth,
            errors=(NotFound,),
        ),
    ]


def admitted(service: VideoService, links: PlaybackLinks, named: str, now: datetime) -> ShowId:
    """The show that a path names, if it opens what is on now. Raises BadPlaybackLink."""
    rehearsal = service.rehearsal_of(links.named(named))
    if rehearsal is not None:
        return links.opened_rehearsal(named, rehearsal, now)
    show_id, is_signed = links.opened(named, now)
    service.admit(show_id, is_signed=is_signed)
    return show_id


def _public(
    path: str,
    handler: Callable[[Call], Awaitable[web.Response]],
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
        errors=(NoVideo, NoSuchSegment, BadPlaybackLink, *errors),
        raw=True,
        produces=(produces,),
        any_origin=True,
        is_by_link=True,
    )


def _rendition(call: Call) -> Rendition:
    try:
        return Rendition(call.params["rendition"])
    except ValueError:
        known = ", ".join(Rendition)
        raise NoSuchSegment(f"There is no such rendition; there are {known}.") from None


def number_of(call: Call) -> int:
    """Of a segment or an init section. Raises NoSuchSegment."""
    number = call.params["number"]
    if not (number.isascii() and number.isdecimal() and len(number) <= 15):
        raise NoSuchSegment("Segments and init sections are numbered: load the playlist.")
    return int(number)


def _file(body: bytes, content_type: str, cache_control: str) -> web.Response:
    return web.Response(
        body=body, content_type=content_type, headers={"Cache-Control": cache_control}
    )
