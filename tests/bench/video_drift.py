"""Two hours of a show in fast time: do sound and picture stay together, does memory stay flat?

Eight seconds of an encoder's FLV are sent nine hundred times, through everything between the RTMP
socket and the playlist; what players would get is decoded now and then. Its timestamps are whole
milliseconds, as FLV has them; in a second run they jitter, in a third the encoder's sound card has
a clock of its own.
"""

import io
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av
import painted
import video_media

from liveshop.video.ingest import flv
from liveshop.video.ingest.timeline import Timeline
from liveshop.video.model import Sample
from liveshop.video.packager import Packager, Segment

_START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
_HOURS = 2.0
_JITTER_MS = 8
_SLOW_PPM = 30
_LOOKS_EVERY_SECONDS = 600
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Tag:
    is_video: bool
    ms: int
    body: bytes


def loop_tags(film: painted.Film) -> tuple[list[Tag], list[Tag]]:
    """The sequence headers, and eight seconds of tags, as ffmpeg's FLV muxer writes them."""
    media = io.BytesIO()
    with av.open(media, "w", format="flv") as container:
        video, sound = painted.add_streams(container, film)
        assert sound is not None
        for packet in painted.encoded_loop(film):
            stream = video if packet.stream.type == "video" else sound
            container.mux(painted.moved(packet, stream, 0))
    tags = list(_tags(media.getvalue()))
    headers = [tag for tag in tags if tag.body[1] == 0]
    return headers, [tag for tag in tags if tag.body[1] == 1]


def _tags(data: bytes) -> Iterator[Tag]:
    at = 13
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        ms = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
        if kind in {8, 9}:
            yield Tag(kind == 9, ms, data[at + 11 : at + 11 + size])
        at += 11 + size + 4


@dataclass(slots=True)
class Drift:
    apart_ms: float
    """The most of any flash and its click."""
    looks: int
    growth_megabytes: float
    """Of the process, from the first look to the last."""
    held_megabytes: float
    """The most media the packager kept."""


def run(jitter_ms: int = 0, *, slow_ppm: int = 0, hours: float = _HOURS) -> Drift:
    """`slow_ppm`: so much more time than counted passes while the sound card counts its samples,
    and the timestamps say so."""
    headers, tags = loop_tags(painted.Film(width=160, height=90, kbit=200))
    video = next(c for c in map(_parse, headers) if isinstance(c, flv.VideoConfig)).config
    sound = next(c for c in map(_parse, headers) if isinstance(c, flv.AudioConfig)).config
    timeline = Timeline(video, sound)
    packager = Packager(first_number=1)
    packager.begin_run(video, sound)
    dice = random.Random(8)
    looks: list[float] = []
    sizes: list[float] = []
    held = 0
    loop_ms = painted.LOOP_SECONDS * 1000
    turns = round(hours * 3600 / painted.LOOP_SECONDS)
    every = max(min(_LOOKS_EVERY_SECONDS // painted.LOOP_SECONDS, turns - 1), 1)
    for turn in range(turns):
        recent: list[Segment] = []
        slow_ms = round(turn * loop_ms * slow_ppm / 1_000_000)
        for tag in tags:
            ms = tag.ms + turn * loop_ms + (dice.randint(-jitter_ms, jitter_ms) if turn else 0)
            ms += 0 if tag.is_video else slow_ms
            recent += packager.add(_feed(timeline, tag, max(ms, 0)), origin=_START)
        held = max(held, packager.byte_count)
        if turn % every == every - 1:
            init = packager.init(recent[-1].entry.init_number)
            media = b"".join(segment.data for segment in recent)
            looks += [apart - slow_ms for apart in video_media.decode(init + media).apart_ms]
            sizes.append(_resident_megabytes())
    return Drift(max(map(abs, looks)), len(looks), sizes[-1] - sizes[0], held / _MEGABYTE)


def _parse(tag: Tag) -> object:
    return flv.parse_video(tag.body) if tag.is_video else flv.parse_audio(tag.body)


def _feed(timeline: Timeline, tag: Tag, ms: int) -> list[Sample]:
    content = _parse(tag)
    if isinstance(content, flv.Picture):
        return timeline.picture(ms, content.composition_ms, content.is_keyframe, content.data)
    assert isinstance(content, flv.Sound)
    return timeline.sound(ms, content.data)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


def drift(figure: Callable[[str, float, str, str], None]) -> None:
    steady, jittering, slow = run(), run(_JITTER_MS), run(slow_ppm=_SLOW_PPM)
    figure(
        "av_offset_ms",
        max(one.apart_ms for one in (steady, jittering, slow)),
        "ms",
        f"the most between a flash and its click in {_HOURS:g} hours, decoded every ten minutes; "
        "the worst of what follows; limit 45",
    )
    figure("av_offset_steady_ms", steady.apart_ms, "ms", "timestamps as ffmpeg's muxer rounds them")
    figure("av_offset_jitter_ms", jittering.apart_ms, "ms", f"up to {_JITTER_MS} ms early or late")
    figure("av_offset_clock_ms", slow.apart_ms, "ms", f"a sound card {_SLOW_PPM} ppm off")
    growth = max(one.growth_megabytes for one in (steady, jittering, slow))
    figure("video_memory_growth_mb", growth, "MB", f"of the process in {_HOURS:g} hours")
    figure("video_held_mb", steady.held_megabytes, "MB", "media in memory, 200 kbit/s")
