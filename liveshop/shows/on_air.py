"""Whether viewers of a show see its host, as its log tells."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.shows import log_store
from liveshop.shows.log_store import Picture
from liveshop.shows.model import Show
from liveshop.shows.wire import VideoState

_NONE = VideoState(state="none", since=None, back_by=None)


async def video_state(conn: AsyncConnection, show: Show, grace: timedelta) -> VideoState:
    """`grace`: how long a picture that is gone is hoped for."""
    if not show.is_on_stage:
        return _NONE
    return seen(show, await log_store.picture(conn, show.id), grace)


def seen(show: Show, picture: Picture | None, grace: timedelta) -> VideoState:
    """What viewers see: nothing of the time before the show went live, or its rehearsal began."""
    if not show.is_on_stage or picture is None:
        return _NONE
    began = show.on_since or picture.since
    if picture.is_there:
        return VideoState(state="on_air", since=max(picture.since, began), back_by=None)
    if picture.since < began:
        return _NONE
    return VideoState(state="away", since=picture.since, back_by=picture.since + grace)
