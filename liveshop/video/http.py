"""HLS over HTTP: everything is a plain file that any cache may keep, so a CDN can stand in front.

Anybody may read it from any page; a private show needs signed URLs, which do not exist yet.
"""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from liveshop.kernel.ids import ShowId
from liveshop.video.model import NoSuchSegment, NoVideo
from liveshop.video.service import VideoService
from liveshop.web import PUBLIC, Call, Endpoint

PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
INIT_TYPE: Final = "video/mp4"
SEGMENT_TYPE: Final = "video/iso.segment"

_IMMUTABLE: Final = "public, max-age=3600, immutable"
"""A number is never used twice for a show, not even after a restart."""
_PLAYLIST_CACHE: Final = "public, max-age=1"
"""Lets a CDN answer a crowd with one request a second."""


def playlist_path(show_id: ShowId) -> str:
    """Where a show's playlist is, under the public URL."""
    return f"/hls/{show_id}/index.m3u8"


def endpoints(service: VideoService) -> list[Endpoint]:
    async def playlist(call: Call) -> web.Response:
        text = service.playlist(ShowId(call.params["show_id"]))
        return _file(text.encode(), PLAYLIST_TYPE, _PLAYLIST_CACHE)

    async def init(call: Call) -> web.Response:
        return _file(_numbered(call, service.init), INIT_TYPE, _IMMUTABLE)

    async def segment(call: Call) -> web.Response:
        return _file(_numbered(call, service.segment), SEGMENT_TYPE, _IMMUTABLE)

    return [
        Endpoint(
            "GET",
            "/hls/{show_id}/index.m3u8",
            playlist,
            PUBLIC,
            "The HLS playlist of a show on air",
            "video",
            errors=(NoVideo,),
            raw=True,
            produces=(PLAYLIST_TYPE,),
            any_origin=True,
        ),
        Endpoint(
            "GET",
            "/hls/{show_id}/init-{number}.mp4",
            init,
            PUBLIC,
            "An initialisation section (EXT-X-MAP)",
            "video",
            errors=(NoVideo, NoSuchSegment),
            raw=True,
            produces=(INIT_TYPE,),
            any_origin=True,
        ),
        Endpoint(
            "GET",
            "/hls/{show_id}/segment-{number}.m4s",
            segment,
            PUBLIC,
            "About a second of video and sound",
            "video",
            errors=(NoVideo, NoSuchSegment),
            raw=True,
            produces=(SEGMENT_TYPE,),
            any_origin=True,
        ),
    ]


def _numbered(call: Call, find: Callable[[ShowId, int], bytes]) -> bytes:
    number = call.params["number"]
    if not (number.isascii() and number.isdecimal() and len(number) <= 15):
        raise NoSuchSegment("segments and init sections are numbered: load the playlist")
    return find(ShowId(call.params["show_id"]), int(number))


def _file(body: bytes, content_type: str, cache_control: str) -> web.Response:
    return web.Response(
        body=body, content_type=content_type, headers={"Cache-Control": cache_control}
    )
