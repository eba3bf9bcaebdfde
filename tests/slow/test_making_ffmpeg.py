"""What is made of recordings, before the judge that everybody has: the ffmpeg programs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from making_builders import Take, at, record
from slow.counterparts import need

from liveshop.video.making import Wanted
from liveshop.video.making.model import Job
from liveshop.video.making.work import do

pytestmark = pytest.mark.slow

TAKES = (
    Take(seconds=4, b_frames=2),
    Take(seconds=3, at_seconds=6, width=180, height=320, sound_rate=44_100, channels=1),
    Take(seconds=2, at_seconds=12, sound_rate=0),
    Take(seconds=4, at_seconds=15, width=482, height=270, lag_seconds=1.2),
)
"""With gaps, other sizes, other sound, and none."""


def called(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip()
    return done.stdout


@pytest.mark.parametrize(
    ("wanted", "seconds"),
    [
        (Wanted("mp4"), 13),
        (Wanted("mp4", is_loudness_normal=True), 13),
        (Wanted("clip", from_at=at(2), until_at=at(7)), 3),
        (Wanted("clip", from_at=at(2), until_at=at(16), is_vertical=True), 8),
    ],
)
def test_films_are_decoded_without_a_word(tmp_path: Path, wanted: Wanted, seconds: float) -> None:
    need("ffmpeg", "ffprobe")
    record(tmp_path, *TAKES)
    film = tmp_path / "film.mp4"
    made = do(Job(str(tmp_path), str(film), f"{film}.making", wanted), lambda _: None)
    called("ffmpeg", "-v", "warning", "-xerror", "-i", str(film), "-f", "null", "-")
    told: dict[str, Any] = json.loads(
        called(
            "ffprobe", "-v", "warning", "-show_streams", "-show_format", "-of", "json", str(film)
        )
    )
    streams = {stream["codec_type"]: stream for stream in told["streams"]}
    assert streams["video"]["codec_name"] == "h264"
    assert streams["video"]["pix_fmt"] == "yuv420p"
    assert (streams["audio"]["codec_name"], streams["audio"]["profile"]) == ("aac", "LC")
    assert float(told["format"]["start_time"]) == pytest.approx(0, abs=0.03)
    assert float(told["format"]["duration"]) == pytest.approx(seconds, abs=0.15)
    assert made.seconds == pytest.approx(seconds, abs=0.15)
    # A run leaves out its last pictures where they have no sound.
    assert 30 * seconds - 2 <= int(streams["video"]["nb_frames"]) <= 30 * seconds
