"""The picture of a running show, for whoever may play it."""

from aiohttp import web

from liveshop.video.http import admitted
from liveshop.video.model import BadPlaybackLink, NoVideo
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks
from liveshop.video.thumbnail import Thumbnails
from liveshop.web import PUBLIC, Call, Endpoint

_CACHE = "public, max-age=5"


def endpoints(
    thumbnails: Thumbnails, service: VideoService, links: PlaybackLinks
) -> list[Endpoint]:
    async def thumbnail(call: Call) -> web.Response:
        show_id = admitted(service, links, call.params["show_id"], call.now)
        newest = thumbnails.newest(show_id)
        if newest is None:
            raise NoVideo("There is no picture of this show now.", retry_after=5)
        response = web.Response(
            body=newest.small, content_type="image/jpeg", headers={"Cache-Control": _CACHE}
        )
        response.last_modified = newest.at
        return response

    return [
        Endpoint(
            "GET",
            "/hls/{show_id}/thumbnail.jpg",
            thumbnail,
            PUBLIC,
            "The picture of a running show, renewed every half a minute",
            "video",
            errors=(NoVideo, BadPlaybackLink),
            raw=True,
            produces=("image/jpeg",),
            any_origin=True,
            is_by_link=True,
        )
    ]
