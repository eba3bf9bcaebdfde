"""What libav's RTMP client really says, over a socket: understood, and harmless when damaged.

OBS and GStreamer are in `make test-slow`.
"""

import io
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from subprocess import Popen

import av
import pytest
import rtmp_remux
from hypothesis import given, settings
from hypothesis import strategies as st
from video_builders import make_film_file, of_track

from liveshop.video.ingest.access_units import BadMedia, Picture, Sound, VideoConfig
from liveshop.video.ingest.film import Film, load_film
from liveshop.video.ingest.flv import (
    AudioConfig,
    EndOfSequence,
    parse_audio,
    parse_video,
)
from liveshop.video.ingest.rtmp import (
    AudioTag,
    Event,
    Metadata,
    ProtocolError,
    PublishAsked,
    PublishEnded,
    RtmpConnection,
    RtmpState,
    VideoTag,
)
from liveshop.video.model import Track, UnsupportedMedia

SECONDS = 10.0
"""Nothing here takes longer."""

KEY = "lsv_4f9c2d"
REMUX = Path(rtmp_remux.__file__)


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def film(film_file: Path) -> Film:
    return load_film(film_file)


@dataclass
class Heard:
    """`received`: what arrived, in pieces that end where the server's answer was waited for."""

    events: list[Event] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)


def hear(film_file: Path, *, start_seconds: float = 0.0, accepts: bool = True) -> Heard:
    """Run an encoder against a connection of ours on a real socket."""
    heard = Heard()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        url = f"rtmp://127.0.0.1:{listener.getsockname()[1]}/live/{KEY}"
        with Popen([sys.executable, REMUX, film_file, url, str(start_seconds)]) as encoder:
            try:
                peer, _ = listener.accept()
                peer.settimeout(SECONDS)
                with peer:
                    _serve(peer, heard, accepts=accepts)
                has_failed = encoder.wait(SECONDS) != 0
            finally:
                encoder.kill()
    assert has_failed is not accepts
    return heard


def _serve(peer: socket.socket, heard: Heard, *, accepts: bool) -> None:
    connection = RtmpConnection()
    heard.received.append(b"")
    while data := peer.recv(1 << 16):
        heard.received[-1] += data
        events = connection.receive(data)
        heard.events += events
        if any(isinstance(event, PublishAsked) for event in events):
            heard.received.append(b"")
            if accepts:
                connection.accept_publish()
            else:
                connection.refuse_publish("NetStream.Publish.BadName", "This key is not valid.")
        if answers := connection.bytes_to_send():
            peer.sendall(answers)
        if connection.state is RtmpState.ENDED:
            return


def _contents(events: list[Event]) -> Iterator[tuple[int, object]]:
    length_size = 4
    for event in events:
        if isinstance(event, VideoTag):
            content = parse_video(event.body, length_size=length_size)
            if isinstance(content, VideoConfig):
                length_size = content.length_size
            yield event.timestamp_ms, content
        elif isinstance(event, AudioTag):
            yield event.timestamp_ms, parse_audio(event.body)


@pytest.mark.parametrize("start_seconds", [0.0, 16_777.0, 2_147_480.0])
def test_film_arrives_as_it_was_sent(film_file: Path, film: Film, start_seconds: float) -> None:
    """From zero; over the first extended timestamp; over the wrap of 31 bits."""
    heard = hear(film_file, start_seconds=start_seconds)
    assert heard.events[0] == PublishAsked(KEY)
    assert heard.events[-1] == PublishEnded()
    (metadata,) = (event for event in heard.events if isinstance(event, Metadata))
    assert metadata.values["width"] == film.video.width
    assert metadata.values["audiocodecid"] == 10.0

    contents = list(_contents(heard.events))
    assert VideoConfig(film.video) in [content for _, content in contents]
    assert AudioConfig(film.audio) in [content for _, content in contents]
    assert EndOfSequence() in [content for _, content in contents]
    pictures = [(ms, c) for ms, c in contents if isinstance(c, Picture)]
    written = of_track(list(film.samples), Track.VIDEO)
    assert [(c.data, c.is_keyframe) for _, c in pictures] == [
        (sample.data, sample.is_keyframe) for sample in written
    ]
    sounds = [(ms, c) for ms, c in contents if isinstance(c, Sound)]
    # One frame of priming comes first, which films leave out.
    assert [c.data for _, c in sounds[1 : 1 + len(of_track(list(film.samples), Track.AUDIO))]] == [
        sample.data for sample in of_track(list(film.samples), Track.AUDIO)
    ]
    zero = pictures[0][0]
    for (ms, _), sample in zip(pictures, written, strict=True):
        assert abs(ms - zero - sample.dts * 1000 / film.video.timescale) <= 1
    for before, after in pairwise(sounds):
        assert 20 <= after[0] - before[0] <= 23


def test_refused_encoder_stops(film_file: Path) -> None:
    heard = hear(film_file, accepts=False)
    assert heard.events == [PublishAsked(KEY)]


@pytest.fixture(scope="module")
def conversation(film_file: Path) -> list[bytes]:
    before, after = hear(film_file).received
    return [before[:3073], before[3073:], after]


changes = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from("xdr"), st.integers(0, 255)), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(changes, changes)
def test_damaged_conversation_is_refused_or_read(
    conversation: list[bytes],
    early: list[tuple[float, str, int]],
    late: list[tuple[float, str, int]],
) -> None:
    def damaged(data: bytes, changes: list[tuple[float, str, int]]) -> bytes:
        out = bytearray(data)
        for place, what, value in changes:
            at = int(place * (len(out) - 1))
            if what == "x":
                out[at] = value
            elif what == "d":
                del out[at : min(at + value, len(out) - 1)]
            else:
                out[at:at] = out[at : at + value]
        return bytes(out)

    hello, before, after = conversation
    connection = RtmpConnection()
    events: list[Event] = []
    try:
        for piece in (hello, damaged(before, early), damaged(after[:30_000], late)):
            new = connection.receive(piece)
            if any(isinstance(event, PublishAsked) for event in new):
                connection.accept_publish()
            events += new
            connection.bytes_to_send()
    except ProtocolError:
        assert connection.state is RtmpState.FAILED
    assert connection.buffered_bytes < 100_000
    for event in events:
        try:
            list(_contents([event]))
        except (BadMedia, UnsupportedMedia):
            continue


# Other codecs, as libav writes them: in a file, which holds the same bodies.


def flv_file(video_codec: str, audio_codec: str, *, layout: str = "stereo") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="flv") as container:
        video = container.add_stream(video_codec, rate=30)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        if video_codec == "libx265":
            one_thread = "log-level=none:frame-threads=1:pools=none"
            video.options = {"preset": "ultrafast", "x265-params": one_thread}
        audio = container.add_stream(audio_codec, rate=48_000, layout=layout)
        picture = av.VideoFrame(320, 180, "yuv420p")
        sound_format = audio.codec_context.format.name
        sound = av.AudioFrame(format=sound_format, layout=layout, samples=audio_frame(audio_codec))
        for plane in (*picture.planes, *sound.planes):
            plane.update(bytes(plane.buffer_size))
        sound.sample_rate = 48_000
        picture.pts, picture.time_base = 0, Fraction(1, 30)
        sound.pts, sound.time_base = 0, Fraction(1, 48_000)
        for stream, frame in ((video, picture), (audio, sound)):
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return file.getvalue()


def audio_frame(codec: str) -> int:
    return {"libmp3lame": 1152, "libopus": 960}.get(codec, 1024)


def tag_contents(file: bytes) -> list[object]:
    """Until one is refused."""
    contents: list[object] = []
    position = 9 + 4
    while position < len(file):
        kind, size = file[position], int.from_bytes(file[position + 1 : position + 4], "big")
        body = file[position + 11 : position + 11 + size]
        try:
            if kind in {8, 9}:
                contents.append((parse_video if kind == 9 else parse_audio)(body))
        except UnsupportedMedia as error:
            return [*contents, error.detail]
        position += 11 + size + 4
    return contents


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_sound_of_libav_is_taken_in_both_forms(layout: str, channels: int) -> None:
    """Above two channels it sends Enhanced RTMP."""
    file = flv_file("libx264", "aac", layout=layout)
    assert (b"mp4a" in file) is (channels > 2)
    contents = tag_contents(file)
    (config,) = (content for content in contents if isinstance(content, AudioConfig))
    assert (config.config.channels, config.config.sample_rate) == (channels, 48_000)
    assert any(isinstance(content, Sound) for content in contents)
    assert any(isinstance(content, Picture) for content in contents)


@pytest.mark.parametrize(
    ("video_codec", "audio_codec", "said"),
    [
        ("libx265", "aac", "HEVC (H.265)"),
        ("flv", "aac", "Sorenson H.263"),
        ("libx264", "libmp3lame", "MP3"),
        ("libx264", "libopus", "Opus"),
    ],
)
def test_other_codecs_of_libav_are_refused_in_words(
    video_codec: str, audio_codec: str, said: str
) -> None:
    *_, last = tag_contents(flv_file(video_codec, audio_codec))
    assert isinstance(last, str)
    assert last.startswith(f"The encoder sends {said}. Choose ")
