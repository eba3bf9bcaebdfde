"""What a replay costs: ten minutes of 720p30 recorded as a show is, then its film, poster and
sprites, each by the process that makes them for real.

The demo's film (real pictures and music, a keyframe each second) is sent nine times, in fast time,
through packager and recording. CPU seconds count all threads, and processes with their start;
beside them the same from the ffmpeg program, where there is one.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import av

from liveshop.demo.film import FILM_SECONDS, make_film
from liveshop.demo.media import FILM, cache_folder
from liveshop.demo.shop import PRODUCTS
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.video.making import Made, Maker, Wanted
from liveshop.video.model import AacConfig, H264Config, Publishing, Sample, Track
from liveshop.video.recording import Recordings
from liveshop.video.service import VideoService

Figure = Callable[[str, float, str, str], None]

_MINUTES = float(os.environ.get("BENCH_MINUTES", "10"))
_SHOW = ShowId("shw_bench")
_START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
_BATCH_SECONDS = 1.0


@dataclass(slots=True)
class Cpu:
    seconds: float = 0.0


@contextmanager
def children() -> Iterator[Cpu]:
    """What processes that end meanwhile have used."""
    cpu = Cpu()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu.seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def replay(figure: Figure) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await _measure(Path(folder), figure)


async def _measure(folder: Path, figure: Figure) -> None:
    film = await asyncio.to_thread(_film, folder)
    video, audio, samples = await asyncio.to_thread(_samples, film)
    live_only = await _sent(None, video, audio, samples)
    recordings = Recordings(
        folder / "video",
        clock=ManualClock(_START),
        keep_seconds=4 * 3600,
        least_free_bytes=0,
        is_kept=True,
    )
    task = asyncio.create_task(recordings.run())
    recorded = await _sent(recordings, video, audio, samples)
    facts = await recordings.facts(_SHOW)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert facts is not None
    what = f"{facts.seconds / 60:.1f} min of 720p30, {facts.byte_count / 1e6:.0f} MB"
    recording = max(0.0, recorded - live_only)
    figure("replay_recording_cpu_s", recording, "s", f"{what}; packaging it live {live_only:.2f}")

    maker = Maker(recordings)
    spent = {kind: await _made(maker, kind, figure) for kind in ("sprites", "poster", "mp4")}
    whole = recorded + spent["sprites"] + spent["poster"]
    figure(
        "replay_cpu_s",
        whole,
        "s",
        f"packaging and recording {recorded:.2f}, sprites {spent['sprites']:.2f}, "
        f"poster {spent['poster']:.2f}; limit 10",
    )
    await _made(maker, "loudness", figure)
    await asyncio.to_thread(_peer, recordings.file_path(_SHOW, "mp4"), folder, figure)


async def _made(maker: Maker, kind: Any, figure: Figure) -> float:
    started = time.perf_counter()
    most: list[float] = []
    with children() as cpu:
        made: Made = await maker.make(
            _SHOW, Wanted(kind, name=kind), lambda _: most.append(_largest_mebibytes())
        )
    took = time.perf_counter() - started
    what = f"{_described(made, took)}, at most {max(most):.0f} MiB of memory"
    figure(f"replay_{kind}_cpu_s", cpu.seconds, "s", what)
    return cpu.seconds


def _largest_mebibytes() -> float:
    """Of the process that makes something now, so far. Not from getrusage, which counts what the
    process was before it became another program."""
    found = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if int(told["PPid"]) == os.getpid() and "VmHWM" in told:
            found = max(found, int(told["VmHWM"].split()[0]) / 1024)
    return found


def _described(made: Made, took: float) -> str:
    told = [f"{took:.2f} s until it was there"]
    if made.byte_count:
        told.append(f"{made.byte_count / 1e6:.2f} MB, {made.width}x{made.height}")
    if "offsets_ms" in made.data:
        told.append(f"{len(made.data['offsets_ms'])} pictures")
    if "lufs" in made.data:
        told.append(f"{made.data['lufs']} LUFS")
    return ", ".join(told)


async def _sent(
    recordings: Recordings | None,
    video: H264Config,
    audio: AacConfig,
    samples: list[Sample],
) -> float:
    """CPU seconds of this process for all of it."""
    service = VideoService(clock=ManualClock(_START), recordings=recordings)
    publisher = service.publish(Publishing(_SHOW), video, audio)
    started = time.process_time()
    for number in range(ceil(_MINUTES * 60 / FILM_SECONDS)):
        for batch in _batches(samples, number * FILM_SECONDS):
            publisher.write(batch, origin=_START)
            # As the line would give it time to.
            await asyncio.sleep(0)
        if recordings is not None:
            await recordings.wait_until_written()
    service.end(_SHOW)
    if recordings is not None:
        await recordings.wait_until_written()
    return time.process_time() - started


def _batches(samples: list[Sample], since: int) -> Iterator[list[Sample]]:
    rates = {Track.VIDEO: 90_000, Track.AUDIO: 48_000}
    batch: list[Sample] = []
    until = since + _BATCH_SECONDS
    for sample in samples:
        ticks = since * rates[sample.track]
        moved = replace(sample, dts=sample.dts + ticks, pts=sample.pts + ticks)
        if moved.dts >= until * rates[sample.track]:
            yield batch
            batch = []
            until += _BATCH_SECONDS
        batch.append(moved)
    yield batch


def _film(folder: Path) -> Path:
    known = cache_folder() / FILM
    if known.is_file():
        return known
    made = folder / FILM
    make_film(made, PRODUCTS)
    return made


def _samples(film: Path) -> tuple[H264Config, AacConfig, list[Sample]]:
    """Both tracks by time."""
    found: list[tuple[float, Sample]] = []
    with av.open(str(film)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        video = H264Config(picture.codec_context.extradata or b"", picture.width, picture.height)
        audio = AacConfig(sound.codec_context.extradata or b"")
        for packet in container.demux(picture, sound):
            if packet.dts is None or packet.pts is None:
                continue
            track = Track.VIDEO if packet.stream is picture else Track.AUDIO
            rate = 90_000 if track is Track.VIDEO else 48_000
            dts, pts, duration = (
                round(ticks * packet.time_base * rate)
                for ticks in (packet.dts, packet.pts, packet.duration or 0)
            )
            sample = Sample(track, dts, pts, duration, packet.is_keyframe, bytes(packet))
            found.append((dts / rate, sample))
    found.sort(key=lambda one: one[0])
    return video, audio, [sample for _, sample in found]


def _peer(film: Path, folder: Path, figure: Figure) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return
    jobs = {
        "mp4": ["-c", "copy", "-movflags", "+faststart"],
        "sprites": ["-vf", "fps=1/10,scale=160:90,tile=10x6", "-an", "-frames:v", "1"],
        "poster": ["-vf", "thumbnail=24", "-an", "-frames:v", "1"],
    }
    for name, options in jobs.items():
        only_keyframes = [] if name == "mp4" else ["-skip_frame", "nokey"]
        target = folder / f"peer.{'mp4' if name == 'mp4' else 'jpg'}"
        with children() as cpu:
            subprocess.run(
                [ffmpeg, "-v", "error", "-y", *only_keyframes, "-i", str(film), *options, target],
                check=True,
                timeout=300,
            )
        figure(f"replay_ffmpeg_{name}_cpu_s", cpu.seconds, "s", f"ffmpeg {' '.join(options)}")
    with children() as cpu:
        broken = subprocess.run(
            [ffmpeg, "-v", "error", "-i", str(film), "-f", "null", "-"],
            check=True,
            timeout=600,
            capture_output=True,
        ).stderr
    figure("replay_mp4_errors", len(broken.splitlines()), "lines", "ffmpeg decoding all of it")
