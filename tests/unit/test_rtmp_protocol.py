"""The server's side of RTMP: what encoders say is understood, however it is cut; hostile peers
get a ProtocolError and little memory."""

import struct
import tracemalloc
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_client import (
    ABORT,
    ACK,
    AGGREGATE,
    AUDIO,
    BANDWIDTH,
    COMMAND,
    COMMAND_AMF3,
    CONTROL,
    DATA,
    PICTURES,
    SET_CHUNK_SIZE,
    SOUND,
    USER_CONTROL,
    VIDEO,
    WINDOW,
    Answer,
    AnswerReader,
    RtmpClient,
    status_codes,
)

from liveshop.video.ingest.amf0 import encode
from liveshop.video.ingest.rtmp import (
    AudioTag,
    Event,
    Metadata,
    ProtocolError,
    PublishAsked,
    PublishEnded,
    RtmpConnection,
    RtmpLimits,
    RtmpState,
    VideoTag,
)

KEY = "lsv_4f9c2d"


class Encoder:
    """A client and a connection, wired together; publishing is accepted when asked for."""

    def __init__(self, client: RtmpClient | None = None, limits: RtmpLimits | None = None) -> None:
        self.client = client or RtmpClient()
        self.connection = RtmpConnection(limits)
        self.reader = AnswerReader()
        self.answers: list[Answer] = []
        self.sent = 0
        """Bytes."""

    def send(self, *pieces: bytes) -> list[Event]:
        events: list[Event] = []
        for piece in pieces:
            self.sent += len(piece)
            new = self.connection.receive(piece)
            if any(isinstance(event, PublishAsked) for event in new):
                self.connection.accept_publish()
            events += new
            self.answers += self.reader.feed(self.connection.bytes_to_send())
        return events

    def publishing(self) -> "Encoder":
        self.send(self.client.start(KEY))
        assert self.connection.state is RtmpState.PUBLISHING
        self.answers.clear()
        return self

    def commands(self) -> list[list[object]]:
        return [answer.values for answer in self.answers if answer.kind == COMMAND]


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


def video(ms: int, body: bytes = b"\x27\1\0\0\0pic") -> VideoTag:
    return VideoTag(ms, body)


# From hello to goodbye


def test_publisher_is_led_from_hello_to_goodbye() -> None:
    encoder = Encoder()
    client, connection = encoder.client, encoder.connection
    assert connection.state is RtmpState.HANDSHAKE
    assert connection.receive(client.hello()) == []
    assert connection.state is RtmpState.CONNECTING
    assert connection.receive(client.connect("live/?trace=1", tcUrl="rtmp://x/live")) == []
    asked = connection.receive(client.publish(f"{KEY}?bandwidth=3"))
    assert asked == [PublishAsked(KEY)]
    assert connection.state is RtmpState.ASKED
    connection.accept_publish()
    encoder.answers = encoder.reader.feed(connection.bytes_to_send())
    assert status_codes(encoder.answers) == ["NetStream.Publish.Start"]

    assert encoder.send(client.metadata(width=1280.0, audiocodecid=10.0)) == [
        Metadata({"width": 1280.0, "audiocodecid": 10.0})
    ]
    assert encoder.send(client.video(0, b"\x17picture"), client.audio(0, b"\xafsound")) == [
        VideoTag(0, b"\x17picture"),
        AudioTag(0, b"\xafsound"),
    ]
    assert encoder.send(client.unpublish(KEY)) == [PublishEnded()]
    assert connection.state is RtmpState.ENDED
    assert status_codes(encoder.answers)[1:] == ["NetStream.Unpublish.Success"]
    assert encoder.send(client.video(40, b"late")) == []


def test_hello_is_answered_with_what_came() -> None:
    c1 = bytes(range(256)) * 6
    for cuts in ((), (1,), (1536, 1537, 1538), range(0, 3073, 100)):
        connection = RtmpConnection()
        for piece in pieces_of(RtmpClient().hello(c1=c1), cuts):
            connection.receive(piece)
        sent = connection.bytes_to_send()
        assert len(sent) == 1 + 2 * 1536
        assert sent[0] == 3
        assert sent[1 + 4 : 1 + 8] == bytes(4), "the zeros of 5.2.3: a handshake without digests"
        assert sent[1 + 1536 :] == c1
        assert connection.bytes_to_send() == b""


def test_hello_is_answered_before_its_second_half() -> None:
    """Clients send C2 only after they have S1."""
    connection = RtmpConnection()
    connection.receive(RtmpClient().hello()[: 1 + 1536])
    assert len(connection.bytes_to_send()) == 1 + 2 * 1536


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"GET / HTTP/1.1\r\n", "not RTMP"),
        (b"\x16\x03\x01", "TLS"),
        (b"\x06", "RTMPE"),
        (b"\x00", "not RTMP"),
    ],
)
def test_who_does_not_speak_rtmp_is_told_so_at_the_first_byte(first: bytes, said: str) -> None:
    connection = RtmpConnection()
    with pytest.raises(ProtocolError, match=said):
        connection.receive(first)
    assert connection.state is RtmpState.FAILED
    with pytest.raises(ProtocolError):
        connection.receive(b"")


def test_connect_is_answered_with_what_is_taken() -> None:
    encoder = Encoder()
    encoder.send(encoder.client.hello() + encoder.client.connect())
    kinds = [answer.kind for answer in encoder.answers]
    assert kinds == [WINDOW, BANDWIDTH, SET_CHUNK_SIZE, COMMAND]
    name, transaction, properties, status = encoder.commands()[0]
    assert (name, transaction) == ("_result", 1.0)
    assert isinstance(properties, dict)
    assert isinstance(status, dict)
    assert status["code"] == "NetConnection.Connect.Success"
    assert status["objectEncoding"] == 0.0
    assert properties["fourCcList"] == ["avc1", "mp4a"]
    assert set(properties["videoFourCcInfoMap"]) == {"avc1"}
    assert set(properties["audioFourCcInfoMap"]) == {"mp4a"}
    assert properties["capsEx"] == 4.0


def test_every_question_is_answered_once() -> None:
    encoder = Encoder()
    client = encoder.client
    encoder.send(client.start(KEY))
    asked = [
        client.call("getStreamLength", None, KEY),
        client.call("_checkbw", None),
        client.call("somethingNew", {"a": 1.0}),
    ]
    encoder.send(*asked)
    results = [c for c in encoder.commands() if c[0] == "_result"]
    assert [c[1] for c in results] == [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0]
    assert results[3][3] == 1.0, "createStream is answered with a stream id"


def test_notices_are_not_answered() -> None:
    encoder = Encoder().publishing()
    for name in ("onStatus", "_result", "_error"):
        encoder.send(encoder.client.call(name, None))
    body = encode("whatever", 0.0, None)
    encoder.send(encoder.client.message(COMMAND, body, chunk_stream=3))
    assert encoder.answers == []


def test_commands_in_the_envelope_of_amf3_are_understood() -> None:
    encoder = Encoder()
    client = encoder.client
    encoder.send(client.hello())
    connect = encode("connect", 1.0, {"app": "live", "objectEncoding": 3.0})
    publish = encode("publish", 2.0, None, KEY, "live")
    events = encoder.send(
        client.message(COMMAND_AMF3, b"\0" + connect, chunk_stream=3),
        client.message(COMMAND_AMF3, b"\0" + publish, chunk_stream=3, stream_id=1),
    )
    assert events == [PublishAsked(KEY)]
    metadata = encode("onMetaData", {"width": 1.0})
    for body in (b"\0" + metadata, metadata):
        assert encoder.send(client.message(15, body, chunk_stream=4)) == [Metadata({"width": 1.0})]


def test_refused_publisher_hears_why_and_is_heard_no_more() -> None:
    connection, client, reader = RtmpConnection(), RtmpClient(), AnswerReader()
    connection.receive(client.start(KEY))
    connection.refuse_publish("NetStream.Publish.BadName", "This key is not valid.")
    status = reader.feed(connection.bytes_to_send())[-1]
    assert status.stream_id == 1
    assert status.values[3] == {
        "level": "error",
        "code": "NetStream.Publish.BadName",
        "description": "This key is not valid.",
    }
    assert connection.state is RtmpState.ENDED
    assert connection.receive(client.video(0, b"\x17picture") + bytes(100_000)) == []
    assert connection.buffered_bytes < 100


def test_playing_is_refused() -> None:
    encoder = Encoder()
    client = encoder.client
    encoder.send(client.hello() + client.connect() + client.call("createStream", None))
    encoder.send(client.call("play", None, KEY, stream_id=1))
    assert status_codes(encoder.answers) == ["NetStream.Play.Failed"]
    assert encoder.connection.state is RtmpState.CONNECTED


@pytest.mark.parametrize(
    ("app", "name", "found"),
    [
        ("live", KEY, KEY),
        ("live/", f"{KEY}?a=b/c", KEY),
        (f"live/{KEY}", "", KEY),  # all of it typed as the server's address
        (f"live/{KEY}?x=1", "", KEY),
        ("live/instance", KEY, KEY),
        ("live ", f" {KEY}\r\n", KEY),  # pasted
        ("", KEY, KEY),
        ("live", "", ""),
    ],
)
def test_key_is_found_where_hosts_type_it(app: str, name: str, found: str) -> None:
    (asked,) = RtmpConnection().receive(RtmpClient().start(name, app=app))
    assert isinstance(asked, PublishAsked)
    assert asked.name == found


@pytest.mark.parametrize("goodbye", ["FCUnpublish", "deleteStream", "closeStream"])
def test_every_goodbye_ends_publishing_once(goodbye: str) -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    said = client.call(goodbye, None, 1.0) + client.call("deleteStream", None, 1.0)
    assert encoder.send(said) == [PublishEnded()]


def test_goodbye_before_publishing_is_tidying_up() -> None:
    encoder = Encoder()
    client = encoder.client
    encoder.send(client.hello(), client.connect(), client.call("FCUnpublish", None, KEY))
    assert len(encoder.send(client.publish(KEY))) == 1


def test_publisher_that_leaves_while_its_key_is_checked_is_not_started() -> None:
    connection, client = RtmpConnection(), RtmpClient()
    connection.receive(client.start(KEY))
    assert connection.receive(client.unpublish()) == [PublishEnded()]
    connection.bytes_to_send()
    connection.accept_publish()
    connection.refuse_publish("NetStream.Publish.Failed", "Too late.")
    assert connection.state is RtmpState.ENDED
    assert connection.bytes_to_send() == b""


def test_answering_without_a_question_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(RuntimeError):
        RtmpConnection().accept_publish()
    with pytest.raises(RuntimeError):
        Encoder().publishing().connection.refuse_publish("x", "y")


# Order


def test_media_before_the_answer_to_publish_is_refused() -> None:
    for body in (VIDEO, AUDIO, AGGREGATE):
        connection, client = RtmpConnection(), RtmpClient()
        connection.receive(client.start(KEY))
        with pytest.raises(ProtocolError, match="before the answer"):
            tag = b"\x09\0\0\1" + bytes(7) + b"x" + bytes(4)
            connection.receive(client.message(body, tag, chunk_stream=SOUND, stream_id=1))
        connection.accept_publish()
        assert connection.state is RtmpState.FAILED


def test_metadata_before_the_answer_to_publish_is_not_heard() -> None:
    connection, client = RtmpConnection(), RtmpClient()
    connection.receive(client.start(KEY))
    assert connection.receive(client.metadata(width=1.0)) == []


@pytest.mark.parametrize(
    "said",
    [
        lambda client: client.call("createStream", None),
        lambda client: client.call("publish", None, KEY, "live"),
        lambda client: client.connect() + client.connect(),
        lambda client: client.connect() + client.call("createStream", None) * 9,
        lambda client: client.connect() + client.publish(KEY) + client.publish(KEY),
        lambda client: client.message(COMMAND, b"", chunk_stream=3),
        lambda client: client.message(COMMAND, encode(1.0), chunk_stream=3),
        lambda client: client.message(COMMAND, b"\2\0\7connec", chunk_stream=3),
        lambda client: client.message(COMMAND, encode("x" * 9000), chunk_stream=3),
    ],
)
def test_commands_out_of_order_or_broken_are_refused(said: object) -> None:
    client = RtmpClient()
    assert callable(said)
    with pytest.raises(ProtocolError):
        RtmpConnection().receive(client.hello() + said(client))


def test_broken_metadata_is_passed_over() -> None:
    encoder = Encoder().publishing()
    for body in (b"", b"\2", encode("onMetaData"), encode("@setDataFrame", "onMetaData", "text"),
                 encode("onTextData", {"a": 1.0}), encode("@setDataFrame")):  # fmt: skip
        assert encoder.send(encoder.client.message(DATA, body, chunk_stream=SOUND)) == []


def test_empty_tags_are_passed_over() -> None:
    encoder = Encoder().publishing()
    assert encoder.send(encoder.client.audio(5, b""), encoder.client.video(5, b"")) == []


# Chunks


@pytest.mark.parametrize("chunk_size", [64, 128, 4096, 65536, 0x7FFFFFFF])
@pytest.mark.parametrize("is_compact", [True, False])
def test_messages_of_any_chunk_size_come_whole(chunk_size: int, is_compact: bool) -> None:
    encoder = Encoder(RtmpClient(is_compact=is_compact)).publishing()
    client = encoder.client
    sizes = (1, 63, 64, 65, 128, 129, 4096, 4097, 100_000)
    sent = [VideoTag(n * 33, bytes((n,)) * size) for n, size in enumerate(sizes)]
    data = client.set_chunk_size(chunk_size)
    data += b"".join(client.video(tag.timestamp_ms, tag.body) for tag in sent)
    assert encoder.send(data) == sent
    assert encoder.connection.buffered_bytes == 0


def test_sound_comes_through_between_the_chunks_of_a_picture() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    picture = list(client.chunks(VIDEO, bytes(1000), chunk_stream=PICTURES, timestamp=40))
    sounds = [client.audio(21 * n, bytes((n,)) * 300) for n in range(len(picture))]
    data = b"".join(a + b for a, b in zip(picture, sounds, strict=True))
    events = encoder.send(data)
    assert events[-2] == VideoTag(40, bytes(1000))
    assert [e.timestamp_ms for e in events if isinstance(e, AudioTag)] == [
        21 * n for n in range(len(picture))
    ]


@pytest.mark.parametrize("chunk_stream", [2, 3, 63, 64, 319, 320, 65_599])
def test_chunk_streams_of_any_number_are_read(chunk_stream: int) -> None:
    encoder = Encoder().publishing()
    sent = [
        encoder.client.message(VIDEO, bytes(200), chunk_stream=chunk_stream, timestamp=ms)
        for ms in (0, 40, 80, 120)
    ]
    assert len(encoder.send(*sent)) == 4


def test_new_chunk_size_counts_from_the_next_chunk_on() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    first = list(client.chunks(VIDEO, bytes(300), chunk_stream=PICTURES))
    change = client.set_chunk_size(4096)
    assert encoder.send(first[0] + change + b"\xc6" + bytes(172)) == [VideoTag(0, bytes(300))]


def test_aborted_message_is_forgotten() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    first, *_ = client.chunks(VIDEO, b"a" * 300, chunk_stream=PICTURES)
    abort = client.message(ABORT, struct.pack(">I", PICTURES), chunk_stream=CONTROL)
    unknown = client.message(ABORT, struct.pack(">I", 40), chunk_stream=CONTROL)
    assert encoder.send(first) == []
    assert encoder.connection.buffered_bytes == 128
    assert encoder.send(abort + unknown) == []
    assert encoder.connection.buffered_bytes == 0
    assert encoder.send(client.video(10, b"b" * 300)) == [VideoTag(10, b"b" * 300)]


@pytest.mark.parametrize(
    "said",
    [
        b"\xc6abc",  # type 3 on a chunk stream nobody knows
        b"\x86\0\0\0abc",  # type 2
        b"\x06\0\0\0\xff\xff\xff\x09" + bytes(4),  # 16 MiB
        b"\x06\0\0\0\1\0\1\x12" + bytes(4),  # metadata of 64 KiB and a byte
        b"\x06\0\0\0\0\1\x2c\x09" + bytes(4) + bytes(128) + b"\x06" + bytes(11),  # in the middle
        b"\2\0\0\0\0\0\4\1" + bytes(8),  # chunks of 0 bytes
        b"\2\0\0\0\0\0\4\1" + bytes(4) + b"\0\0\0\x3f",
        b"\2\0\0\0\0\0\4\1" + bytes(4) + b"\x80\0\0\0",
        b"\2\0\0\0\0\0\3\1" + bytes(7),
        b"\2\0\0\0\0\0\1\2" + bytes(5),
    ],
)
def test_broken_chunks_are_refused(said: bytes) -> None:
    encoder = Encoder().publishing()
    with pytest.raises(ProtocolError):
        encoder.send(said)
    with pytest.raises(ProtocolError):
        encoder.send(b"")


def test_other_control_messages_are_passed_over() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    for kind in (ACK, USER_CONTROL, WINDOW, BANDWIDTH, 16, 19, 7, 0, 255):
        for body in (b"", b"\0", b"\0\3" + bytes(8)):
            assert encoder.send(client.message(kind, body, chunk_stream=CONTROL)) == []
    assert encoder.answers == []


def test_ping_is_answered_with_its_time() -> None:
    encoder = Encoder().publishing()
    # As librtmp does it: type 1 on a chunk stream that was not used before.
    encoder.send(b"\x50\0\0\0\0\0\6\4" + b"\0\6\1\2\3\4")
    assert encoder.answers == [Answer(USER_CONTROL, 0, b"\0\7\1\2\3\4")]


def test_bytes_are_acknowledged_within_the_window() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    encoder.send(client.set_chunk_size(65536))
    before = encoder.sent
    encoder.send(client.message(WINDOW, struct.pack(">I", 200_000), chunk_stream=CONTROL))
    acknowledged: list[int] = []
    for n in range(100):
        encoder.send(client.video(n * 40, bytes(10_000)))
        acknowledged += [int.from_bytes(a.body, "big") for a in encoder.answers if a.kind == ACK]
        encoder.answers.clear()
        assert encoder.sent - (acknowledged[-1] if acknowledged else before) < 200_000
    assert acknowledged == sorted(acknowledged)
    assert 5 <= len(acknowledged) <= 11


# Time


def times(events: Sequence[Event]) -> list[int]:
    return [event.timestamp_ms for event in events if isinstance(event, VideoTag | AudioTag)]


@pytest.mark.parametrize("repeats_extended", [True, False])
@pytest.mark.parametrize("is_compact", [True, False])
@pytest.mark.parametrize("start", [0xFFFFFF - 100, 0xFFFFFF, 0x1000000, 0x7FFFFF00, 0xFFFFFF00])
def test_shows_longer_than_four_hours_keep_their_time(
    start: int, is_compact: bool, repeats_extended: bool
) -> None:
    """0xFFFFFF ms are 4.66 hours; 2**32 are 49.7 days."""
    client = RtmpClient(is_compact=is_compact, repeats_extended=repeats_extended)
    encoder = Encoder(client).publishing()
    events: list[Event] = []
    for n in range(20):
        events += encoder.send(
            client.video(start + 33 * n, bytes((n,)) * 500),
            client.audio(start + 33 * n + 5, bytes((n,)) * 300),
            client.audio(start + 33 * n + 26, bytes((n,)) * 300),
        )
    assert len(events) == 60
    assert times(events)[::3] == [start + 33 * n for n in range(20)]
    assert times(events)[1::3] == [start + 33 * n + 5 for n in range(20)]
    assert all(len(set(e.body)) == 1 for e in events if isinstance(e, VideoTag | AudioTag))


def test_time_runs_on_over_the_wrap_of_32_bits() -> None:
    encoder = Encoder().publishing()
    wrap = 1 << 32
    sent = [wrap - 80, wrap - 40, wrap, wrap + 40, wrap * 5 // 4, wrap * 6 // 4, wrap * 7 // 4]
    sent += [2 * wrap - 5, 2 * wrap + 5]
    events = [event for ms in sent for event in encoder.send(encoder.client.video(ms, b"\x27"))]
    assert times(events) == sent


def test_time_runs_on_over_the_wrap_of_31_bits() -> None:
    """As libav counts."""
    encoder = Encoder().publishing()
    wrap = 1 << 31
    sent = [wrap - 40, wrap - 5, wrap + 28, wrap - 2, wrap + 61, wrap + 1000]
    client = encoder.client
    events = encoder.send(*(client.video(ms % wrap, b"\x27") for ms in sent))
    assert times(events) == sent


def test_time_may_step_back_a_little_even_below_zero() -> None:
    encoder = Encoder().publishing()
    sent = [10, 0, -23, 17, 12, -5]
    events = [event for ms in sent for event in encoder.send(encoder.client.audio(ms, b"\xaf"))]
    assert times(events) == sent


def test_repeated_steps_are_added() -> None:
    """Three frames of one size at even distances: the third has a header of one byte."""
    encoder = Encoder().publishing()
    client = encoder.client
    sent = [client.audio(ms, b"\xaf\1xx") for ms in (100, 121, 142, 163)]
    assert [len(one) for one in sent] == [16, 8, 5, 5]
    assert times(encoder.send(b"".join(sent))) == [100, 121, 142, 163]


def test_header_of_one_byte_after_a_whole_one_adds_its_time_again() -> None:
    """5.3.1.2.4 says so and ffmpeg sends so: 33 ms, then 33 ms later."""
    encoder = Encoder().publishing()
    sent = [encoder.client.audio(ms, b"\xaf\1xx") for ms in (33, 66)]
    assert [len(one) for one in sent] == [16, 5]
    assert times(encoder.send(b"".join(sent))) == [33, 66]


@pytest.mark.parametrize("extended", [b"", struct.pack(">I", 0x1000000)])
def test_header_of_one_byte_after_hours_stays_where_it_is(extended: bytes) -> None:
    encoder = Encoder().publishing()
    first = encoder.client.audio(0x1000000, b"\xaf\1xx")
    assert times(encoder.send(first + b"\xc4" + extended + b"\xaf\1yy")) == [0x1000000] * 2


def test_steps_of_hours_are_read() -> None:
    client = RtmpClient()
    encoder = Encoder(client).publishing()
    sent = [0, 0x1000000, 0x1000000 + 20, 0x3000000]
    assert times(encoder.send(*(client.audio(ms, bytes(500)) for ms in sent))) == sent


def test_aggregates_are_taken_apart() -> None:
    def flv_tag(kind: int, ms: int, body: bytes) -> bytes:
        size = len(body).to_bytes(3, "big")
        time = (ms & 0xFFFFFF).to_bytes(3, "big") + bytes((ms >> 24,))
        head = bytes((kind,)) + size + time + bytes(3)
        return head + body + struct.pack(">I", len(head) + len(body))

    encoder = Encoder().publishing()
    client = encoder.client
    start = 0x1FFFFF0
    body = b"".join(
        (
            flv_tag(DATA, start, encode("onMetaData", {"width": 2.0})),
            flv_tag(VIDEO, start, b"\x17pic"),
            flv_tag(AUDIO, start + 21, b"\xafsnd"),
            flv_tag(AUDIO, start + 22, b""),
            flv_tag(99, start + 23, b"?"),
            flv_tag(VIDEO, start + 33, b"\x27pic"),
        )
    )
    expected: list[Event] = [
        Metadata({"width": 2.0}),
        VideoTag(5000, b"\x17pic"),
        AudioTag(5021, b"\xafsnd"),
        VideoTag(5033, b"\x27pic"),
    ]
    sent = client.message(AGGREGATE, body, chunk_stream=SOUND, timestamp=5000, stream_id=1)
    assert encoder.send(sent) == expected
    for cut in (1, 4, 12, len(body) - 1):
        with pytest.raises(ProtocolError, match="aggregate"):
            damaged = Encoder().publishing()
            damaged.send(
                damaged.client.message(AGGREGATE, body[:-cut], chunk_stream=SOUND, stream_id=1)
            )
    many = Encoder().publishing()
    with pytest.raises(ProtocolError, match="too many"):
        many.send(many.client.message(AGGREGATE, flv_tag(99, 0, b"") * 1025, chunk_stream=SOUND))


# Any cut


def conversation(client: RtmpClient) -> tuple[bytes, bytes]:
    """Up to the question to publish, and from then on."""
    before = client.start(KEY)
    after = client.metadata(width=1.0) + client.video(0x1000000, bytes(300))
    after += client.set_chunk_size(200)
    picture = list(client.chunks(VIDEO, b"p" * 900, chunk_stream=PICTURES, timestamp=0x1000021))
    sounds = [client.audio(0x1000000 + 21 * n, b"s" * 250) for n in range(len(picture))]
    after += b"".join(a + b for a, b in zip(picture, sounds, strict=True))
    return before, after + client.unpublish(KEY)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=30), st.booleans(), st.booleans())
def test_any_cut_gives_the_same_events(
    cuts: list[int], repeats_extended: bool, byte_by_byte: bool
) -> None:
    def client() -> RtmpClient:
        return RtmpClient(repeats_extended=repeats_extended)

    before, after = conversation(client())
    whole = Encoder()
    expected = whole.send(before, after)
    assert len(expected) == 1 + 1 + 2 + 5 + 1
    cut = Encoder()
    edges = range(len(after)) if byte_by_byte else cuts
    events = cut.send(*pieces_of(before, cuts), *pieces_of(after, edges))
    assert events == expected
    assert cut.answers[:-1] == whole.answers[:-1]


# Hostile peers


def test_what_is_kept_is_bounded_over_all_chunk_streams() -> None:
    limits = RtmpLimits(max_message_bytes=1 << 20, max_buffered_bytes=3 << 20)
    encoder = Encoder(limits=limits).publishing()
    client = encoder.client
    encoder.send(client.set_chunk_size(1 << 19))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="unfinished"):
            for number in range(10, 24):
                first, *_ = client.chunks(VIDEO, bytes(1 << 20), chunk_stream=number)
                encoder.send(first)
                assert encoder.connection.buffered_bytes <= 3 << 20
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20  # what is kept, what it grows into, and the message being sent


def test_small_chunks_cost_no_more_memory_than_large_ones() -> None:
    encoder = Encoder().publishing()
    client = encoder.client
    encoder.send(client.set_chunk_size(64))
    data = b"".join(list(client.chunks(VIDEO, bytes(1 << 20), chunk_stream=PICTURES))[:-1])
    tracemalloc.start()
    try:
        for start in range(0, len(data), 1 << 16):
            encoder.send(data[start : start + (1 << 16)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20


def test_chunk_streams_are_bounded() -> None:
    encoder = Encoder().publishing()
    with pytest.raises(ProtocolError, match="too many chunk streams"):
        for number in range(2, 100):
            encoder.send(encoder.client.message(VIDEO, b"\x27", chunk_stream=number))


def test_announced_lengths_take_no_memory() -> None:
    encoder = Encoder().publishing()
    encoder.send(b"\x06\0\0\0\x7f\xff\xff\x09" + bytes(4))
    assert encoder.connection.buffered_bytes == 0


def test_strangers_may_not_talk_long() -> None:
    connection, client = RtmpConnection(), RtmpClient()
    connection.receive(client.hello() + client.connect())
    said = 0
    with pytest.raises(ProtocolError, match="before anything is published"):
        for _ in range(1000):
            call = client.call("releaseStream", None, "x" * 1000)
            said += len(call)
            connection.receive(call)
            connection.bytes_to_send()
    assert 60_000 < said < 80_000


def test_strangers_may_not_say_nothing_often() -> None:
    connection, client = RtmpConnection(), RtmpClient()
    connection.receive(client.hello() + client.connect())
    empty = client.message(AUDIO + 100, b"", chunk_stream=SOUND)
    with pytest.raises(ProtocolError, match="before anything is published"):
        connection.receive(empty + bytes((0xC0 | SOUND,)) * 60_000)
    assert connection.message_count < 2000


def test_messages_are_counted_those_in_others_too() -> None:
    encoder = Encoder().publishing()
    before = encoder.connection.message_count
    tag = bytes((AUDIO,)) + bytes(10) + (11).to_bytes(4, "big")
    encoder.send(encoder.client.message(AGGREGATE, tag * 5, chunk_stream=SOUND, stream_id=1))
    encoder.send(encoder.client.set_chunk_size(4096), encoder.client.audio(0, b""))
    assert encoder.connection.message_count == before + 1 + 5 + 2


def test_answers_nobody_fetches_are_bounded() -> None:
    encoder = Encoder().publishing()
    ping = encoder.client.message(USER_CONTROL, b"\0\6abcd", chunk_stream=CONTROL)
    with pytest.raises(ProtocolError, match="not fetched"):
        for _ in range(1000):
            encoder.connection.receive(ping * 100)


def test_no_repr_and_no_error_shows_the_key() -> None:
    events: list[object] = []
    encoder = Encoder()
    events += encoder.send(encoder.client.start(KEY, app=f"live/{KEY}"))
    events += encoder.send(encoder.client.metadata(title=KEY))
    events += encoder.send(encoder.client.video(0, KEY.encode()))
    events += encoder.send(encoder.client.audio(0, KEY.encode()))
    assert len(events) == 4
    assert KEY not in repr(events)
    assert KEY not in str(events)
    client = RtmpClient()
    with pytest.raises(ProtocolError) as raised:
        RtmpConnection().receive(client.hello() + client.call(KEY, None))
    assert KEY not in str(raised.value)


@settings(deadline=None)
@given(st.binary(max_size=400), st.booleans(), st.sampled_from([b"", b"\3"]))
def test_garbage_is_refused_or_read(garbage: bytes, is_publishing: bool, first: bytes) -> None:
    encoder = Encoder()
    if is_publishing:
        encoder.publishing()
    elif first:
        encoder.send(encoder.client.hello(), encoder.client.connect())
    try:
        encoder.send(garbage)
    except ProtocolError:
        assert encoder.connection.state is RtmpState.FAILED
    assert encoder.connection.buffered_bytes <= len(garbage) + 32


messages = st.tuples(
    st.sampled_from([1, 2, 3, 4, 5, 6, 8, 9, 15, 17, 18, 20, 22, 0, 200]),
    st.binary(max_size=40)
    | st.sampled_from(
        [
            encode("publish", 1.0, None, KEY, "live"),
            encode("deleteStream", 1.0, None, 1.0),
            encode("createStream", 1.0, None),
            encode("onMetaData", {"a": 1.0}),
            b"\x09\0\0\1" + bytes(7) + b"x" + bytes(4),
            struct.pack(">I", 64),
        ]
    ),
    st.integers(2, 66),
    st.integers(-50, 1 << 33),
)


@settings(deadline=None)
@given(st.lists(messages, max_size=12), st.booleans())
def test_any_messages_are_refused_or_read(
    said: list[tuple[int, bytes, int, int]], is_publishing: bool
) -> None:
    encoder = Encoder()
    if is_publishing:
        encoder.publishing()
    else:
        encoder.send(encoder.client.hello(), encoder.client.connect())
    try:
        for kind, body, chunk_stream, ms in said:
            encoder.send(
                encoder.client.message(kind, body, chunk_stream=chunk_stream, timestamp=ms)
            )
    except ProtocolError:
        assert encoder.connection.state is RtmpState.FAILED


damage = st.lists(
    st.tuples(st.integers(0, 100_000), st.sampled_from("xdr"), st.integers(0, 255)), max_size=4
)


@settings(deadline=None)
@given(damage, damage)
def test_damaged_conversations_are_refused_or_read(
    early: list[tuple[int, str, int]], late: list[tuple[int, str, int]]
) -> None:
    def damaged(data: bytes, changes: list[tuple[int, str, int]]) -> bytes:
        out = bytearray(data)
        for position, what, value in changes:
            at = position % len(out)
            if what == "x":
                out[at] = value
            elif what == "d":
                del out[at : min(at + value, len(out) - 1)]
            else:
                out[at:at] = out[at : at + value]
        return bytes(out)

    before, after = conversation(RtmpClient())
    hello, rest = before[:3073], before[3073:]
    encoder = Encoder()
    total = 0
    try:
        for piece in (hello, damaged(rest, early), damaged(after, late)):
            total += len(piece)
            encoder.send(piece)
    except ProtocolError:
        assert encoder.connection.state is RtmpState.FAILED
    assert encoder.connection.buffered_bytes <= total
