"""Playlists at random moments of a show, judged by parsers that others wrote: `hls-parser` in its
strict mode and `m3u8-parser` from npm, `m3u8` from PyPI.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import m3u8
import pytest
from aiohttp import ClientSession
from hls_rules import checked
from npm_packages import npm_server
from sample_builders import AUDIO, ORIGIN, SMALL_VIDEO, VIDEO, Camera, interleaved, sounds

from liveshop.video.model import NoVideo, Rendition
from liveshop.video.packager import Packager, PackagerLimits
from liveshop.video.playlist import Variant, multivariant_playlist, vod_playlist
from liveshop.video.recorded import stretches
from liveshop.video.recording_files import TARGET_SECONDS, RecordingFiles

MOMENTS = 100


@pytest.fixture(scope="module")
def validators() -> Iterator[str]:
    with npm_server(Path(__file__).parent.parent / "hls_validators", {}) as told:
        yield told["url"]


async def judged(validators: str, texts: list[str]) -> list[dict[str, Any]]:
    verdicts: list[dict[str, Any]] = []
    async with ClientSession() as session:
        for start in range(0, len(texts), 50):
            async with session.post(validators, json=texts[start : start + 50]) as answer:
                assert answer.status == 200
                verdicts += await answer.json()
    return verdicts


def show(cameras: list[Camera], seconds: float, folder: Path) -> list[str]:
    """Playlists at random moments: of all renditions, whole and as delta updates, of the rewind and
    of them all."""
    chance = random.Random(6)
    limits = PackagerLimits(window_seconds=20)
    video, audio = (
        Packager(first_number=1000, limits=limits, rendition=rendition)
        for rendition in (Rendition.VIDEO, Rendition.AUDIO)
    )
    files = RecordingFiles(folder, keep_seconds=60)
    texts: list[str] = []
    for number, camera in enumerate(cameras):
        completed = video.finish_run()
        video.begin_run(SMALL_VIDEO if number % 2 else VIDEO, AUDIO)
        audio.begin_run(None, AUDIO)
        sent = interleaved(camera.shoot(seconds), sounds(seconds))
        moments = set(chance.sample(range(len(sent) // 4, len(sent)), MOMENTS // len(cameras)))
        for index, sample in enumerate(sent):
            completed += video.add([sample], origin=ORIGIN)
            audio.add([sample], origin=ORIGIN)
            for segment in completed:
                files.add(segment, video.init(segment.entry.init_number))
            completed = []
            if index in moments:
                texts += _playlists(video, audio, files)
    files.end()
    video.end()
    return [*texts, video.playlist(), video.playlist(skip=True), files.playlist()]


def _playlists(video: Packager, audio: Packager, files: RecordingFiles) -> list[str]:
    assert video.report is not None
    assert audio.report is not None
    variants = [
        Variant(one.rendition, one.codecs, one.peak_bits_per_second, one.width, one.height)
        for one in (video, audio)
    ]
    made = [
        video.playlist(reports=[audio.report]),
        video.playlist(skip=True, reports=[audio.report]),
        audio.playlist(reports=[video.report]),
        audio.playlist(skip=True),
        multivariant_playlist(variants),
    ]
    with suppress(NoVideo):  # before the first chunk
        made.append(files.playlist())
    return made


EVEN = [Camera(30), Camera(25, groups=(50,)), Camera(60, groups=(120,)), Camera(24, groups=(200,))]
UNEVEN = [
    Camera(30, groups=(30, 7, 250), jitter_ms=12, seed=1),
    Camera(29.97, groups=(60,), jitter_ms=3, drops=0.05, seed=2),
    Camera(17.5, groups=(35,), seed=3),
    Camera(50, groups=(1, 400), jitter_ms=8, drops=0.4, seed=4),
]


@pytest.mark.parametrize("cameras", [EVEN, UNEVEN], ids=["even", "uneven"])
async def test_strict_parsers_take_the_playlists_of_100_random_moments(
    validators: str, cameras: list[Camera], tmp_path: Path
) -> None:
    texts = await asyncio.to_thread(show, cameras, 30, tmp_path)
    assert len(texts) > 5 * MOMENTS
    for text, verdict in zip(texts, await judged(validators, texts), strict=True):
        assert not verdict["problems"], f"{verdict['problems']}\n{text}"
        loaded = m3u8.loads(text)
        if loaded.is_variant:
            assert verdict["variants"] == len(loaded.playlists) == 2
            continue
        playlist = checked(text)
        assert verdict["segments"] == len(playlist.complete)
        assert verdict["parts"] == len(playlist.parts)
        assert verdict["hints"] == (0 if playlist.hint is None else 1)
        assert loaded.target_duration == playlist.target


def replays(cameras: list[Camera], seconds: float, folder: Path) -> list[str]:
    """A show with gaps, whole and trimmed at random moments."""
    chance = random.Random(7)
    files = RecordingFiles(folder, keep_seconds=60, is_kept=True)
    packager = Packager(first_number=1000)
    for number, camera in enumerate(cameras):
        packager.begin_run(SMALL_VIDEO if number % 2 else VIDEO, AUDIO)
        sent = interleaved(camera.shoot(seconds), sounds(seconds))
        origin = ORIGIN + timedelta(seconds=number * (seconds + 10))
        for segment in [*packager.add(sent, origin=origin), *packager.finish_run()]:
            files.add(segment, packager.init(segment.entry.init_number))
    files.end()
    chunks = files.state.kept
    texts = [files.playlist()]
    for _ in range(MOMENTS):
        begin, end = sorted(chance.uniform(-5, len(cameras) * (seconds + 10)) for _ in range(2))
        shown = stretches(
            chunks,
            ORIGIN + timedelta(seconds=begin),
            ORIGIN + timedelta(seconds=end),
            lambda chunk: files.read(chunk.number),
        )
        if found := list(shown):
            texts.append(vod_playlist(found, target_seconds=TARGET_SECONDS))
    return texts


@pytest.mark.parametrize("cameras", [EVEN, UNEVEN], ids=["even", "uneven"])
async def test_strict_parsers_take_replays_trimmed_at_random(
    validators: str, cameras: list[Camera], tmp_path: Path
) -> None:
    texts = await asyncio.to_thread(replays, cameras, 30, tmp_path)
    assert len(texts) > MOMENTS * 0.8
    for text, verdict in zip(texts, await judged(validators, texts), strict=True):
        assert not verdict["problems"], f"{verdict['problems']}\n{text}"
        playlist, loaded = checked(text), m3u8.loads(text)
        assert playlist.is_ended
        assert verdict["segments"] == len(playlist.complete) == len(loaded.segments)
        for segment in loaded.segments:
            assert segment.program_date_time is not None


async def test_they_do_refuse_what_is_wrong(validators: str) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(Camera(30).shoot(5), origin=ORIGIN)
    good = packager.playlist()
    wrong = [
        good.replace("PART-TARGET=0.34", "PART-TARGET=0.3"),
        good.replace("PART-TARGET=0.34", "PART-TARGET=0.5"),
        good.replace("TARGETDURATION:2", "TARGETDURATION:9"),
        good.replace("#EXT-X-VERSION:9", "#EXT-X-VERSION:3"),
        good.replace("#EXT-X-PRELOAD-HINT", "#EXT-X-NO-HINT"),
    ]
    [fine, *others] = await judged(validators, [good, *wrong])
    assert not fine["problems"]
    assert all(verdict["problems"] for verdict in others), others
