"""Recordings of browsers, whole and broken: what comes out of the thread, and that it ends."""

import io
import random
import time
from datetime import UTC, datetime
from itertools import pairwise

import av
import pytest
from camera_builders import recording

from liveshop.video.ingest.access_units import BadMedia
from liveshop.video.ingest.camera_container import Blob, convert_recording
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_sound import AacFrame
from liveshop.video.ingest.camera_thread import Inbox, Made, Shown, Tracks
from liveshop.video.ingest.camera_transcode import Transcoders

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
KINDS = ("h264.mkv", "vp8.webm", "opus.mp4", "aac.mp4")


@pytest.fixture(scope="module")
def recordings() -> dict[str, bytes]:
    return {kind: recording(kind, 1.2) for kind in KINDS}


def made_of(
    data: bytes, *, size: int = 1500, transcodes: int = 1, behind: float = 60
) -> list[Made]:
    """All in this thread: everything has come, and then the end. Raises what it raises."""
    inbox = Inbox()
    for start in range(0, len(data), size):
        inbox.put(Blob(data[start : start + size], NOW, time.monotonic()))
    inbox.end()
    made: list[Made] = []
    slot = Transcoders(transcodes).slot()
    convert_recording(inbox, made.extend, slot=slot, behind_seconds=behind)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_sound_come_out_of_pieces_of_any_size(
    recordings: dict[str, bytes], kind: str
) -> None:
    whole = made_of(recordings[kind], size=1 << 20)
    assert isinstance(whole[0], Tracks) or any(isinstance(one, Tracks) for one in whole)
    pictures = [one for one in whole if isinstance(one, Shown)]
    assert len(pictures) >= 35
    assert pictures[0].picture.is_keyframe
    assert [one.us for one in pictures] == sorted(one.us for one in pictures)
    assert len([one for one in whole if isinstance(one, AacFrame)]) >= 50
    for size in (1, 100):
        again = made_of(recordings[kind], size=size)
        assert sorted(map(repr, again)) == sorted(map(repr, whole))


def test_pictures_are_copied_whatever_they_begin_with() -> None:
    data = recording("aac.mp4", 6, size=(640, 360))
    with av.open(io.BytesIO(data)) as container:
        held = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert any(picture.startswith(b"\0\0\1") for picture in held)
    assert [one.picture.data for one in made_of(data) if isinstance(one, Shown)] == held


@pytest.mark.parametrize("kind", KINDS)
def test_sound_comes_with_its_pictures(recordings: dict[str, bytes], kind: str) -> None:
    """Also of MP4, whose fragments hold all pictures first."""
    heard = 0
    for one in made_of(recordings[kind]):
        if isinstance(one, AacFrame):
            heard = max(heard, one.us)
        elif isinstance(one, Shown) and one.us < 1_000_000:
            assert one.us - heard < 150_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_a_broken_recording_ends(recordings: dict[str, bytes], kind: str, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(recordings[kind])
    for _ in range(chance.choice((1, 5, 40))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if seed % 3 == 0:
        del data[chance.randrange(len(data)) :]
    try:
        made = made_of(bytes(data))
    except (BadMedia, CameraRefused):
        return
    assert all(isinstance(one, (Tracks, Shown, AacFrame)) for one in made)


def test_a_machine_that_is_too_slow_leaves_pictures_out(recordings: dict[str, bytes]) -> None:
    made = made_of(recordings["vp8.webm"], behind=-1)
    pictures = [one for one in made if isinstance(one, Shown)]
    assert 3 <= len(pictures) <= 8
    assert max(b.us - a.us for a, b in pairwise(pictures)) <= 500_000
    assert len([one for one in made if isinstance(one, AacFrame)]) >= 50


def test_none_is_converted_where_none_may_be(recordings: dict[str, bytes]) -> None:
    with pytest.raises(CameraRefused) as refused:
        made_of(recordings["vp8.webm"], transcodes=0)
    assert refused.value.code == "no_transcoder_free"
    assert len(made_of(recordings["h264.mkv"], transcodes=0)) > 50


def test_a_place_is_taken_once_and_given_back_once() -> None:
    transcoders = Transcoders(1)
    one, other = transcoders.slot(), transcoders.slot()
    assert one.take()
    assert one.take()
    assert not other.take()
    one.close()
    one.close()
    assert other.take()
    assert not one.take()
    assert not transcoders.has_room
