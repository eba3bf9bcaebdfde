"""The encoder's side of RTMP: our own server understands it, and whatever a platform answers ends
in a picture there or in words."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_client import ACK, BANDWIDTH, COMMAND, USER_CONTROL, AnswerReader, RtmpClient

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
from liveshop.video.simulcast.address import BadDestination, checked_key, server_of
from liveshop.video.simulcast.rtmp_publish import (
    PublishEnded as StreamEnded,
)
from liveshop.video.simulcast.rtmp_publish import (
    PublisherState,
    PublishRefused,
    RtmpPublisher,
)

KEY = "fb-4711-geheim?s_bl=1&s_ps=1"
SERVER = server_of("rtmps://live.example:443/rtmp/")


class Wire:
    """A publisher and our own server's side, wired together; publishing is accepted."""

    def __init__(self, refusal: tuple[str, str] | None = None) -> None:
        self.publisher = RtmpPublisher(SERVER, KEY)
        self.server = RtmpConnection()
        self.events: list[Event] = []
        self.refusal = refusal
        self.publisher.start()

    def exchange(self) -> list[Event]:
        """Until both are silent; what the server heard."""
        heard: list[Event] = []
        while sent := self.publisher.bytes_to_send():
            for event in self.server.receive(sent):
                heard.append(event)
                if isinstance(event, PublishAsked):
                    if self.refusal:
                        self.server.refuse_publish(*self.refusal)
                    else:
                        self.server.accept_publish()
            self.publisher.receive(self.server.bytes_to_send())
        return heard


class Platform:
    """Answers by script, in any words."""

    def __init__(self) -> None:
        self.client = RtmpClient()
        self.publisher = RtmpPublisher(SERVER, KEY)
        self.reader = AnswerReader()
        self.publisher.start()
        self.first = self.said(self.client.hello())

    def said(self, data: bytes) -> list[list[Any]]:
        """The commands it is answered with."""
        self.publisher.receive(data)
        return self.sent()

    def sent(self) -> list[list[Any]]:
        answers = self.reader.feed(self.publisher.bytes_to_send())
        return [answer.values for answer in answers if answer.kind == COMMAND]

    def command(self, *values: Any) -> bytes:
        self.client._transaction = values[1] - 1
        called: bytes = self.client.call(values[0], *values[2:])
        return called

    def connected(self) -> None:
        info = {"level": "status", "code": "NetConnection.Connect.Success"}
        self.said(self.command("_result", 1.0, {}, info))

    def created(self) -> None:
        self.connected()
        self.said(self.command("_result", 4.0, None, 1.0))

    def status(self, code: str, description: str = "", level: str = "error") -> bytes:
        info = {"level": level, "code": code, "description": description}
        return self.command("onStatus", 0.0, None, info)

    def publishing(self) -> None:
        self.created()
        self.said(self.status("NetStream.Publish.Start", level="status"))
        assert self.publisher.state is PublisherState.PUBLISHING


def test_our_own_server_takes_what_it_sends() -> None:
    wire = Wire()
    heard = wire.exchange()
    assert [type(event) for event in heard] == [PublishAsked]
    assert isinstance(heard[0], PublishAsked)
    assert heard[0].name == KEY.partition("?")[0]
    assert wire.publisher.state is PublisherState.PUBLISHING
    wire.publisher.send_metadata({"width": 1280.0, "stereo": True, "encoder": "Liveshop"})
    wire.publisher.send_video(0, b"\x17\0\0\0\0" + b"config")
    wire.publisher.send_audio(3, b"\xaf\1sound")
    wire.publisher.send_video(33, bytes(20_000))
    metadata, *media = wire.exchange()
    assert metadata == Metadata({"width": 1280.0, "stereo": True, "encoder": "Liveshop"})
    assert media == [
        VideoTag(0, b"\x17\0\0\0\0" + b"config"),
        AudioTag(3, b"\xaf\1sound"),
        VideoTag(33, bytes(20_000)),
    ]
    wire.publisher.finish()
    assert wire.exchange() == [PublishEnded()]
    assert wire.server.state is RtmpState.ENDED
    assert KEY not in repr(wire.publisher)


@pytest.mark.parametrize("at", [0xFFFFFF - 40, 0xFFFFFF, 0xFFFFFF + 40, (1 << 31) + 5])
def test_timestamps_of_long_shows_arrive(at: int) -> None:
    wire = Wire()
    wire.exchange()
    sent: list[VideoTag | AudioTag] = [
        VideoTag(at, bytes(10_000)),
        AudioTag(at + 1, b"\xaf\1s"),
        VideoTag(at + 40, b"abc"),
    ]
    for tag in sent:
        send = wire.publisher.send_video if isinstance(tag, VideoTag) else wire.publisher.send_audio
        send(tag.timestamp_ms, tag.body)
    assert wire.exchange() == sent


def test_commands_come_in_the_order_of_encoders() -> None:
    platform = Platform()
    (connect,) = platform.first
    assert connect[0] == "connect"
    assert connect[2] == {
        "app": "rtmp",
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; Liveshop)",
        "tcUrl": "rtmps://live.example/rtmp",
    }
    said = platform.said(platform.command("_result", 1.0, {}, {}))
    assert [one[0] for one in said] == ["releaseStream", "FCPublish", "createStream"]
    # Not every server knows the first two.
    assert platform.said(platform.command("_error", 2.0, None, {"code": "x"})) == []
    (publish,) = platform.said(platform.command("_result", 4.0, None, 7.0))
    assert publish == ["publish", 5.0, None, KEY, "live"]
    assert platform.said(platform.command("onBWDone", 0.0, None)) == []


@pytest.mark.parametrize(
    ("code", "description", "words"),
    [
        ("NetStream.Publish.BadName", "Bad name.", "refuses the stream key: Bad name."),
        ("NetStream.Publish.Unauthorized", "", "refuses the stream key: NetStream.Publish.Un"),
        ("NetStream.Publish.Rejected", f"no {KEY}!", "refuses the stream key: no …!."),
        ("NetStream.Publish.Rejected", f"no {KEY.upper()}", "refuses the stream key: no …."),
        ("NetStream.Publish.Rejected", f"no {KEY[:8]}...", "refuses the stream key: no …."),
        ("NetStream.Publish.Denied", "\x1b[31mno\n", "refuses the stream key: [31mno."),
        ("Something.Else", "Full", "refuses the stream key: Full."),
    ],
)
def test_a_refusal_is_told_in_words_and_without_the_key(
    code: str, description: str, words: str
) -> None:
    platform = Platform()
    platform.created()
    with pytest.raises(PublishRefused) as refused:
        platform.said(platform.status(code, description))
    assert words in refused.value.words
    assert KEY not in refused.value.words
    assert refused.value.reason == "key_refused"
    with pytest.raises(ProtocolError):
        platform.publisher.receive(b"\0")


def test_our_own_refusal_arrives() -> None:
    wire = Wire(("NetStream.Publish.BadName", "This stream key is unknown."))
    with pytest.raises(PublishRefused) as refused:
        wire.exchange()
    assert (
        refused.value.words == "The other side refuses the stream key: This stream key is unknown."
    )


def test_a_name_that_is_taken_is_told_apart() -> None:
    platform = Platform()
    platform.created()
    with pytest.raises(PublishRefused) as refused:
        platform.said(platform.status("NetStream.Publish.BadName", "Already publishing"))
    assert refused.value.reason == "busy"


def test_an_unknown_application_is_refused_in_words() -> None:
    platform = Platform()
    info = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": "No app"}
    with pytest.raises(PublishRefused, match="the address may be wrong: No app"):
        platform.said(platform.command("_error", 1.0, None, info))


@pytest.mark.parametrize(
    "code", ["NetConnection.Connect.Closed", "NetStream.Unpublish.Success", "NetStream.Failed"]
)
def test_a_stream_that_is_ended_there_is_told_apart_from_a_refusal(code: str) -> None:
    platform = Platform()
    platform.publishing()
    with pytest.raises(StreamEnded):
        platform.said(platform.status(code, "Enough"))


def test_a_ping_is_answered_and_acknowledgements_are_counted() -> None:
    platform = Platform()
    platform.publishing()
    platform.said(platform.client.message(BANDWIDTH, struct.pack(">IB", 5000, 2), chunk_stream=2))
    platform.publisher.receive(
        platform.client.message(USER_CONTROL, struct.pack(">HI", 6, 4711), chunk_stream=2)
    )
    (pong,) = platform.reader.feed(platform.publisher.bytes_to_send())
    assert (pong.kind, pong.body) == (USER_CONTROL, struct.pack(">HI", 7, 4711))
    platform.publisher.send_video(0, bytes(100_000))
    platform.publisher.bytes_to_send()
    for total in (10_000, 40_000, 40_000, 2_000_000_000):  # the last is more than was sent
        platform.publisher.receive(
            platform.client.message(ACK, struct.pack(">I", total), chunk_stream=2)
        )
    told = platform.publisher.acknowledged
    assert (told.total, told.count, told.widest) == (40_000, 2, 30_000)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x15\3\1\0\2", "rtmps://"),
        (b"HTTP/1.1 400 Bad Request\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH", "does not speak RTMP"),
    ],
)
def test_another_protocol_is_named(answer: bytes, words: str) -> None:
    publisher = RtmpPublisher(SERVER, KEY)
    publisher.start()
    with pytest.raises(ProtocolError, match=words):
        publisher.receive(answer)


@settings(max_examples=150, deadline=None)
@given(
    noise=st.binary(max_size=400),
    at=st.sampled_from(["hello", "connected", "created", "publishing"]),
    cut=st.integers(1, 50),
)
def test_noise_ends_in_an_error_of_ours_or_in_nothing(noise: bytes, at: str, cut: int) -> None:
    platform = Platform()
    if at != "hello":
        getattr(platform, at)()
    told = ""
    try:
        for start in range(0, len(noise), cut):
            platform.publisher.receive(noise[start : start + cut])
    except (ProtocolError, PublishRefused, StreamEnded) as error:
        told = str(error)
    assert KEY not in told
    assert len(platform.publisher.bytes_to_send()) < 200_000


_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "level", "description", "x"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["_result", "_error", "onStatus", "close", "onFCPublish"]),
    transaction=st.sampled_from([0.0, 1.0, 4.0, 5.0, -1.0]),
    values=st.lists(_values, max_size=3),
    at=st.sampled_from(["hello", "connected", "created", "publishing"]),
)
def test_answers_of_any_shape_are_understood_or_refused(
    name: str, transaction: float, values: list[Any], at: str
) -> None:
    platform = Platform()
    if at != "hello":
        getattr(platform, at)()
    told = ""
    try:
        platform.publisher.receive(platform.command(name, transaction, *values))
    except (ProtocolError, PublishRefused, StreamEnded) as error:
        told = str(error)
    assert KEY not in told


# -- addresses


@pytest.mark.parametrize(
    ("url", "host", "port", "app", "is_secure"),
    [
        ("rtmp://a.rtmp.youtube.com/live2", "a.rtmp.youtube.com", 1935, "live2", False),
        ("rtmps://live-api-s.facebook.com:443/rtmp/", "live-api-s.facebook.com", 443, "rtmp", True),
        ("RTMP://[::1]:9200/a/b/", "::1", 9200, "a/b", False),
    ],
)
def test_addresses_of_platforms_are_read(
    url: str, host: str, port: int, app: str, is_secure: bool
) -> None:
    found = server_of(url)
    assert (found.host, found.port, found.app, found.is_secure) == (host, port, app, is_secure)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begin with rtmp://"),
        ("https://live.example/app", "begin with rtmp://"),
        ("rtmp:///app", "no server"),
        ("rtmp://live.example", "a path too"),
        ("rtmp://me:secret-word@live.example/app", "shown to staff"),
        ("rtmp://live.example/app?key=secret-word", "stream key"),
        ("rtmp://live.example/app#secret-word", "stream key"),
        ("rtmp://live.example:99999/app", "cannot be read"),
        ("rtmp://live.example:0/app", "1 to 65535"),
        ("rtmp://[::1/app", "cannot be read"),
        ("rtmp://live.example/a b", "white space"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(BadDestination) as refused:
        server_of(url)
    assert words in refused.value.detail
    assert "secret-word" not in refused.value.detail


def test_keys_lose_the_white_space_of_pasting() -> None:
    assert checked_key(" abcd-efgh\n") == "abcd-efgh"
    for bad in ("", " ", "two words", "a" * 1001, "line\nbreak"):
        with pytest.raises(BadDestination):
            checked_key(bad)
