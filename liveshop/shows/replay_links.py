"""Addresses of recordings and of the files made of them, and how files are told of."""

from datetime import datetime

from liveshop.kernel.ids import ShowId
from liveshop.settings import Settings
from liveshop.shows import replay_wire
from liveshop.shows.replay_model import Access, File, Window
from liveshop.video.signing import PlaybackLinks, replay_path


class ReplayLinks:
    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._links = PlaybackLinks(settings.server.secret, settings.video.link_hours)

    def named(self, show_id: ShowId, access: Access, now: datetime) -> str:
        """The show's part of an address of its recording; what plays for nobody is for staff."""
        if access == "everyone":
            return show_id
        if access == "signed":
            return self._links.signed(show_id, now)
        return self._links.preview(show_id, now)

    def hls(self, named: str) -> str:
        return f"{self._public_url}{replay_path(named)}"

    def preview(self, show_id: ShowId, now: datetime) -> str:
        """All of it, for staff."""
        return self.hls(self._links.preview(show_id, now))

    def file(self, one: File, access: Access, now: datetime) -> str:
        """It opens nothing but this file. For `nobody`: for staff, and whom they give it to."""
        named: str = one.show_id
        if access == "signed":
            named = self._links.file(one.show_id, one.name, now)
        elif access == "nobody":
            named = self._links.own_file(one.show_id, one.name, now)
        return f"{self._public_url}/hls/{named}/files/{one.name}"

    def file_out(self, one: File, window: Window, now: datetime) -> replay_wire.RecordingFile:
        """For staff."""
        access = window.access
        if one.kind == "clip" and (access == "signed" or one.name in window.hidden):
            access = "nobody"  # made to be passed on
        return replay_wire.RecordingFile(
            id=one.id,
            kind=one.kind,
            state=one.state,
            percent=one.percent,
            url=self.file(one, access, now) if one.state == "ready" else None,
            bytes=one.byte_count,
            seconds=one.seconds,
            width=one.width,
            height=one.height,
            product_id=one.product_id,
            from_at=one.from_at,
            until_at=one.until_at,
            is_vertical=one.is_vertical,
            is_loudness_normal=one.is_loudness_normal,
            detail=one.detail,
            created_at=one.created_at,
        )

    def sprites(self, one: File, access: Access, now: datetime) -> replay_wire.Sprites | None:
        if one.data is None:
            return None
        return replay_wire.Sprites(
            url=self.file(one, access, now),
            columns=one.data["columns"],
            width=one.data["width"],
            height=one.data["height"],
            starts_at=datetime.fromisoformat(one.data["starts_at"]),
            offsets_ms=list(one.data["offsets_ms"]),
        )
