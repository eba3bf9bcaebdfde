"""Whatever a browser sends, the protocol answers in kind: an event, nothing, or a refusal."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.video.ingest.camera_protocol import (
    Begun,
    CameraLimits,
    CameraProtocol,
    Configured,
    Kind,
    Media,
    pong,
)
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_tracks import OpusSound, PcmSound
from liveshop.video.model import AacConfig

AVCC = "AULAC//hABdnQsAL2go35IQAAAMABAAAAwDwPFCqgAEABGjOD8g="
"""By x264: baseline, 160x90."""
VIDEO = {"codec": "avc1.42E01F", "description": AVCC, "width": 160, "height": 90}
OPUS = {"codec": "opus", "sample_rate": 48_000, "channels": 1}
BEGIN = json.dumps({"t": "begin", "format": "webcodecs", "video": VIDEO, "audio": OPUS})


def begun(**limits: float) -> CameraProtocol:
    protocol = CameraProtocol(CameraLimits(**limits), 0.0)  # type: ignore[arg-type]
    protocol.receive(BEGIN, 0.0)
    return protocol


def media(kind: int, us: int, data: bytes = b"x") -> bytes:
    return struct.pack(">Bq", kind, us) + data


def test_what_a_host_announces_is_understood() -> None:
    event = CameraProtocol(CameraLimits(), 0.0).receive(BEGIN, 0.0)
    assert isinstance(event, Begun)
    assert event.video is not None
    assert (event.video.config.width, event.video.config.height) == (160, 90)
    assert event.sound == OpusSound(1)


@pytest.mark.parametrize(
    ("audio", "sound"),
    [
        (None, None),
        ({"codec": "pcm", "sample_rate": 44_100, "channels": 2}, PcmSound(44_100, 2)),
        ({"codec": "mp4a.40.2", "description": "EYg="}, AacConfig(b"\x11\x88")),
        (OPUS | {"description": "T3B1c0hlYWQBAXgAgLsAAAAAAA=="}, OpusSound(1, 120)),
        (OPUS | {"description": "bm90aGluZw=="}, OpusSound(1)),
    ],
)
def test_kinds_of_sound(audio: object, sound: object) -> None:
    protocol = begun()
    said = protocol.receive(json.dumps({"t": "config", "video": None, "audio": audio}), 0.0)
    assert said == Configured(None, sound)  # type: ignore[arg-type]


def test_media_comes_with_its_time() -> None:
    protocol = begun()
    assert protocol.receive(media(1, -5), 0.0) == Media(Kind.KEYFRAME, -5, b"x")
    assert protocol.receive(media(2, 1 << 40), 0.0) == Media(Kind.SOUND, 1 << 40, b"x")


def test_media_is_acknowledged_now_and_then() -> None:
    protocol = begun(ack_seconds=0.2)
    assert protocol.ack_at is None
    protocol.receive(media(1, 10), 1.0)
    assert json.loads(protocol.ack(1.0) or "") == {"t": "ack", "bytes": 10, "timestamp": 10}
    protocol.receive(media(0, 20), 1.1)
    assert protocol.ack(1.1) is None
    assert protocol.ack_at == 1.2
    assert json.loads(protocol.ack(1.2) or "")["bytes"] == 20
    assert protocol.ack(2.0) is None


def test_answers_to_pings_say_what_was_asked() -> None:
    assert json.loads(pong(17.0, "now")) == {"t": "pong", "at": 17, "now": "now"}
    assert json.loads(pong(17.5, "now"))["at"] == 17.5


frames = st.one_of(
    st.binary(max_size=40),
    st.builds(media, st.integers(0, 8), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20)),
    st.text(max_size=60),
    st.sampled_from([BEGIN, '{"t":"bye"}', '{"t":"probe"}', '{"t":"ping","at":1}']),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["t", "format", "video", "audio", "codec", "description", "on", "at"]
                ),
                inner | st.sampled_from(["begin", "config", "muted", "webcodecs", "avc1", "opus"]),
                max_size=5,
            )
        ),
        max_leaves=12,
    ).map(json.dumps),
)


@given(st.lists(frames, max_size=12), st.booleans())
def test_nothing_a_browser_sends_breaks_it(sent: list[str | bytes], has_begun: bool) -> None:
    protocol = begun() if has_begun else CameraProtocol(CameraLimits(), 0.0)
    taken = 0
    error: CameraRefused | None = None
    for index, frame in enumerate(sent):
        try:
            event = protocol.receive(frame, float(index))
        except CameraRefused as refused:
            error = refused
            break
        if isinstance(event, Begun):
            taken = 0
        if isinstance(frame, bytes):
            taken += len(frame)
        ack = protocol.ack(float(index))
        if ack is not None:
            assert json.loads(ack)["bytes"] == taken
    if error is not None:
        assert error.message
        assert 4000 <= error.close_code < 5000


@given(st.lists(st.integers(1, 300), min_size=1, max_size=50))
def test_too_much_is_refused_whatever_its_pieces(sizes: list[int]) -> None:
    protocol = begun(max_kbit_per_second=8, rate_seconds=1)
    total = len(BEGIN)
    for size in sizes:
        total += size + 9
        if total > 1000:
            with pytest.raises(CameraRefused):
                protocol.receive(media(0, 0, bytes(size)), 0.5)
            return
        protocol.receive(media(0, 0, bytes(size)), 0.5)
