"""Who may send video to a show over `/live/{show_id}/camera`: whoever may change shows, be
it staff by their session or an API key with shows:write (a page or program of the shop's own)."""

from typing import Final

from liveshop.kernel.ids import ShowId, has_prefix
from liveshop.shows import store
from liveshop.shows.model import UnknownShow
from liveshop.storage import Database
from liveshop.video.model import Publishing, ShowOver
from liveshop.web import Principal
from liveshop.web.access import permission

_ACCESS: Final = permission("shows:write")


class CameraRights:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def allow(self, show_id: str, who: Principal) -> Publishing:
        """Raises NotSignedIn, Forbidden, UnknownShow, ShowOver."""
        _ACCESS.check(who)
        show = None
        if has_prefix(show_id, "shw"):
            async with self._database.read() as conn:
                show = await store.by_id(conn, ShowId(show_id))
        if show is None:
            raise UnknownShow("There is no such show. Check the address.")
        if show.is_over:
            raise ShowOver("This show is over; there is nothing to send video to.")
        return Publishing(
            show_id=show.id,
            is_on_air=show.is_on_stage,
            for_customers=show.is_for_some,
            person_id=who.id,
            person_name=who.name[:100],
            has_capture_times=True,
            started_at=show.on_since,
            rehearsal=None if show.rehearsal is None else show.rehearsal.id,
        )
