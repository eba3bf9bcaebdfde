"""What one browser sends becomes runs of samples. No sockets here, but a thread where sound or
picture has to be converted.

Silence is put where sound is missing while the picture goes on, so that players never wait for it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from liveshop.video.ingest.access_units import (
    BadMedia,
    Picture,
    Sound,
    VideoConfig,
    picture_of,
)
from liveshop.video.ingest.camera_container import (
    Blob,
    convert_recording,
    no_transcoder_free,
)
from liveshop.video.ingest.camera_freeze import Freeze
from liveshop.video.ingest.camera_protocol import Begun, Configured, Kind, Media
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_sound import AacFrame, aac_of
from liveshop.video.ingest.camera_thread import (
    Again,
    CameraThread,
    Heard,
    Made,
    Shown,
    Silence,
    Tracks,
    convert_sound,
)
from liveshop.video.ingest.camera_tracks import OpusSound, PcmSound, SoundFormat
from liveshop.video.ingest.camera_transcode import BEHIND_SECONDS, Transcoders
from liveshop.video.ingest.rates import Frequency
from liveshop.video.ingest.runs import Idle, Runs, Unit
from liveshop.video.model import AacConfig, Publishing
from liveshop.video.origin import ArrivalOrigin
from liveshop.video.service import Publisher, VideoService

_log = structlog.get_logger("camera")

_ORIGIN_WINDOW: Final = timedelta(minutes=5)
"""A browser's clock drifts by some milliseconds in this time, while an uplink may be full for
much longer than the usual window."""
_SOUND_MISSED_US: Final = 1_000_000
"""Sound this far behind the picture is not coming: it is sent first."""
_SILENCE_BEHIND_US: Final = 600_000
_LONGEST_PICTURE_MS: Final = 900
"""On a poor uplink few pictures come; more than a second the packager does not take."""


@dataclass(frozen=True, slots=True)
class CameraIntakeLimits:
    first_picture_seconds: float = 20.0
    """People are asked by their browser whether it may use the camera."""
    idle_seconds: float = 15.0
    """Without any picture, whatever else comes."""
    changes_per_minute: int = 30
    broken_per_minute: int = 60
    finish_seconds: float = 1.0
    """For what is being converted when the host says goodbye."""
    behind_seconds: float = BEHIND_SECONDS
    """Of a picture that is to be made into H.264; then some are left out."""
    waiting_bytes: int = 8 << 20
    """Not yet converted; more, and this machine cannot keep up."""


class CameraIntake:
    """Call `media` and `configure` with what arrives and `check` by `deadline`. They raise what
    ends the connection: CameraRefused, UnsupportedMedia, PublisherGone, Idle. `close` after.

    `wake` is called when `check` has something to raise that came up in between. `seconds` are of
    a monotonic clock, `now` is the wall time of the arrival. To be made on the event loop; raises
    CameraRefused where nothing is free to convert what the host has announced.
    """

    def __init__(
        self,
        video: VideoService,
        publishing: Publishing,
        begun: Begun,
        seconds: float,
        *,
        clock_seconds: Callable[[], float],
        wake: Callable[[], None],
        transcoders: Transcoders,
        limits: CameraIntakeLimits | None = None,
    ) -> None:
        self._limits = limits or CameraIntakeLimits()
        self._show_id = publishing.show_id
        self._clock_seconds = clock_seconds
        self._wake = wake
        self._origin = ArrivalOrigin(_ORIGIN_WINDOW)
        self._runs = Runs(
            video,
            publishing,
            changes_per_minute=self._limits.changes_per_minute,
            longest_picture_ms=_LONGEST_PICTURE_MS,
            origin=self._origin,
        )
        self._video = begun.video
        self._begun_with: VideoConfig | None = None
        """What the last keyframe came with."""
        self._sound: SoundFormat | None = None
        self._audio: AacConfig | None = None
        """What is sent on."""
        self._freeze = Freeze()
        self._heard_us: int | None = None
        """The last sound, or the end of the silence put in its place."""
        self._thread: CameraThread | None = None
        self._error: Exception | None = None
        self._since = self._last_picture = seconds
        self._broken = Frequency(self._limits.broken_per_minute)
        self._slot = transcoders.slot()
        if begun.format == "webcodecs":
            self._set_sound(begun.sound)
        else:
            self._begin_recording(begun.mime)

    @property
    def publisher(self) -> Publisher | None:
        """None until the first picture has come, and after `pause`."""
        return self._runs.publisher

    @property
    def is_replaced(self) -> bool:
        """Whether somebody else sends to the show now, or it is over."""
        return self._runs.is_replaced

    @property
    def last_picture(self) -> float:
        """When one arrived, in `seconds`."""
        return self._last_picture

    @property
    def deadline(self) -> float:
        if self._has_sent:
            return self._last_picture + self._limits.idle_seconds
        return self._since + self._limits.first_picture_seconds

    @property
    def _has_sent(self) -> bool:
        return self.publisher is not None or self._runs.is_paused

    def check(self, seconds: float) -> None:
        if self._error is not None:
            raise self._error
        if seconds < self.deadline:
            return
        if self._has_sent:
            raise Idle
        raise CameraRefused(
            "idle", "No picture has come from this browser. Check its camera and try again."
        )

    def configure(self, configured: Configured) -> None:
        """Holds from the next keyframe on."""
        if configured.video is not None:
            self._video = configured.video
        self._set_sound(configured.sound)

    def media(self, media: Media, now: datetime, seconds: float) -> None:
        try:
            if media.kind is Kind.CONTAINER:
                self._put(Blob(media.data, now, time.monotonic()), len(media.data))
            elif media.kind is Kind.SOUND:
                self._origin.heard(now, media.us / 1_000_000)
                self._again(self._freeze.sound(media.us), now, seconds)
                self._hear(media, seconds)
            else:
                self._see(media, now, seconds)
        except BadMedia as error:
            self._note_broken(error, seconds)
        self._runs.write()
        self.check(seconds)

    def pause(self) -> None:
        """Its line says nothing: viewers are told. It goes on with the next keyframe that comes."""
        self._runs.pause("timeout")
        self._freeze = Freeze()
        self._heard_us = None

    async def finish(self) -> None:
        """The host stops on purpose: what it has sent is converted and sent on. `close` after."""
        if self._thread is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.finish_seconds):
                    await self._thread.finish()

    def close(self, reason: str) -> None:
        """Nothing follows. May be repeated."""
        if self._thread is not None:
            self._thread.close()
        self._slot.close()
        self._runs.close(reason)

    # -- WebCodecs

    def _set_sound(self, sound: SoundFormat | None) -> None:
        if sound is None and self._thread is not None:
            return  # the microphone is gone for now: silence
        self._sound = sound
        match sound:
            case None:
                self._audio = None
            case AacConfig():
                self._audio = sound
            case OpusSound() | PcmSound():
                if self._thread is None:
                    # So it stays, whatever microphone follows: players need not begin anew.
                    self._audio = aac_of(sound.channels)
                    work = partial(convert_sound, channels=sound.channels)
                    self._thread = CameraThread(work, self._made, self._failed)
                self._thread.inbox.put(sound)

    def _hear(self, media: Media, seconds: float) -> None:
        self._heard_us = max(media.us, self._heard_us or media.us)
        if isinstance(self._sound, AacConfig):
            self._pass_on(AacFrame(media.us, media.data), len(media.data), seconds)
        elif self._thread is not None:
            self._put(Heard(media.us, media.data), len(media.data))

    def _see(self, media: Media, now: datetime, seconds: float) -> None:
        """Raises BadMedia."""
        if self._video is None:
            return
        picture = picture_of(
            media.data,
            is_keyframe=media.kind is Kind.KEYFRAME,
            length_size=self._video.length_size,
        )
        if picture is None:
            return
        self._last_picture = seconds
        copies, is_shown = self._freeze.picture(media.us, picture)
        self._again(copies, now, seconds)
        if is_shown:
            shown = Shown(media.us, picture, now, self._video)
            self._pass_on(shown, len(picture.data), seconds)
        self._fill_silence(media.us)

    def _again(self, copies: list[tuple[int, Picture]], now: datetime, seconds: float) -> None:
        """While only sound comes. With parameters that have changed meanwhile they would not fit:
        those are of the run that goes on."""
        for us, picture in copies:
            self._pass_on(Again(us, picture, now), len(picture.data), seconds)

    def _pass_on(self, one: Made, size: int, seconds: float) -> None:
        """In the order of its arrival, also beside sound that has to be converted."""
        if self._thread is None:
            self._take(one, seconds)
        else:
            self._put(one, size)

    def _fill_silence(self, us: int) -> None:
        if self._thread is None or isinstance(self._sound, AacConfig):
            return
        if self._heard_us is None:
            self._heard_us = us
        if us - self._heard_us > _SOUND_MISSED_US:
            self._heard_us = us - _SILENCE_BEHIND_US
            self._put(Silence(self._heard_us))

    # -- recordings

    def _begin_recording(self, mime: str) -> None:
        is_foreign = any(name in mime.lower() for name in ("vp8", "vp9", "vp09"))
        if is_foreign and not self._slot.take():
            raise no_transcoder_free()
        behind = self._limits.behind_seconds
        work = partial(convert_recording, slot=self._slot, behind_seconds=behind)
        self._thread = CameraThread(work, self._made, self._failed)

    # -- what is made in the thread

    def _put(self, item: object, size: int = 0) -> None:
        assert self._thread is not None
        self._thread.inbox.put(item, size)
        if self._thread.inbox.waiting_bytes > self._limits.waiting_bytes:
            raise CameraRefused(
                "unavailable",
                "The server cannot keep up with what this browser sends. Choose a lower quality.",
                retry_after=10,
            )

    def _made(self, made: list[Made]) -> None:
        seconds = self._clock_seconds()
        try:
            for one in made:
                self._take(one, seconds)
            self._runs.write()
        except Exception as error:
            self._fail(error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, BadMedia):
            error = CameraRefused("broken_media", f"This browser's recording is broken: {error}.")
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._wake()

    # -- both

    def _take(self, one: Made, seconds: float) -> None:
        match one:
            case AacFrame():
                self._add_sound(one, seconds)
            case Shown():
                self._show(one, seconds)
            case Again():
                self._add_picture(one, seconds)
            case Tracks():
                self._video, self._audio = one.video, one.audio

    def _show(self, shown: Shown, seconds: float) -> None:
        self._last_picture = seconds
        video = shown.video or self._video
        if video is None:
            return
        tracks, audio = self._runs.tracks, self._audio
        if shown.picture.is_keyframe:
            config, self._begun_with = video.config_of(shown.picture), video
            if tracks != (config, audio):
                self._runs.begin(config, audio, seconds)
        elif tracks is None or self._begun_with != video:
            return
        self._add_picture(shown, seconds)

    def _add_picture(self, one: Shown | Again, seconds: float) -> None:
        self._runs.add(Unit(round(one.us / 1000), one.picture, one.arrived_at), seconds)

    def _add_sound(self, frame: AacFrame, seconds: float) -> None:
        tracks = self._runs.tracks
        if tracks is None or tracks[1] is None or tracks[1] != self._audio:
            return
        self._runs.add(Unit(round(frame.us / 1000), Sound(frame.data)), seconds)

    def _note_broken(self, error: BadMedia, seconds: float) -> None:
        _log.info("broken_media", show_id=self._show_id, problem=str(error))
        if self._broken.is_over(seconds):
            raise CameraRefused(
                "broken_media", "This browser sends broken pictures or sound. Load the page again."
            ) from error
