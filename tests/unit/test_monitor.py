"""The staff's picture: what a reader gets, when it joins, when it is slow, when nobody sends."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from video_builders import decode_pictures, decode_sound, demux, grey_of, make_film_file, of_track

from liveshop.video import fmp4, monitor
from liveshop.video.ingest.film import Film, load_film
from liveshop.video.model import H264Config, Sample, Track
from liveshop.video.monitor import Message, Monitor, MonitorFeed

ORIGIN = datetime(2026, 11, 21, 19, 0, 0, 500_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Eight seconds of 30 pictures, a keyframe each second."""
    return load_film(make_film_file(tmp_path_factory.mktemp("film") / "film.mp4"))


def between(film: Film, start: float, end: float) -> list[Sample]:
    timescales = {Track.VIDEO: film.video.timescale, Track.AUDIO: film.audio.timescale}
    return [
        sample
        for sample in film.samples
        if start <= Fraction(sample.dts, timescales[sample.track]) < end
    ]


def send(to: Monitor, samples: Sequence[Sample], origin: datetime = ORIGIN) -> None:
    for sample in samples:
        to.add([sample], origin=origin)


async def unread(feed: MonitorFeed) -> list[Message]:
    """What is there now."""
    found: list[Message] = []
    while True:
        try:
            async with asyncio.timeout(0):
                found.append(await anext(feed))
        except (TimeoutError, StopAsyncIteration):
            return found


def words(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages if isinstance(message, str)]


def media(messages: Sequence[Message]) -> bytes:
    return b"".join(message for message in messages if isinstance(message, bytes))


async def test_a_reader_gets_all_that_is_sent(film: Film) -> None:
    watched = Monitor()
    feed = watched.subscribe()
    watched.begin(film.video, film.audio, capture_delay=timedelta(milliseconds=120))
    send(watched, between(film, 0, 2))
    first, init, *fragments = messages = (await unread(feed))[1:]
    assert isinstance(first, str)
    assert json.loads(first) == {
        "type": "init",
        "codecs": fmp4.codecs(film.video, film.audio),
        "width": 160,
        "height": 90,
        "origin": "2026-11-21T19:00:00.500Z",
        "capture_delay_ms": 120,
    }
    assert init == fmp4.init_segment(film.video, film.audio)
    assert all(isinstance(fragment, bytes) for fragment in fragments)
    # The last fragment of the picture is whole, some frames of sound wait for the next.
    found = demux(media(messages))
    assert of_track(found, Track.VIDEO) == of_track(between(film, 0, 2), Track.VIDEO)
    sounds = of_track(between(film, 0, 2), Track.AUDIO)
    heard = of_track(found, Track.AUDIO)
    assert heard == sounds[: len(heard)]
    assert len(sounds) - len(heard) < 6
    assert [picture.grey for picture in decode_pictures(media(messages))] == pytest.approx(
        [grey_of(n) for n in range(60)], abs=2
    )
    assert any(abs(value) > 0.1 for value in decode_sound(media(messages)))


async def test_fragments_are_a_tenth_of_a_second(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 4))
    init, *fragments = [m for m in await unread(feed) if isinstance(m, bytes)]
    assert len(fragments) == 40
    pictures = [len(of_track(demux(init + part), Track.VIDEO)) for part in fragments]
    assert pictures == [3] * 40


async def test_who_comes_late_has_the_picture_at_once(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    send(watched, between(film, 0, 2.75))
    feed = watched.subscribe()
    messages = await unread(feed)
    assert [message["type"] for message in words(messages)] == ["init"]
    pictures = decode_pictures(media(messages))
    assert pictures[0].seconds == pytest.approx(2.0)
    assert pictures[-1].seconds > 2.6
    send(watched, between(film, 2.75, 4))
    pictures = decode_pictures(media([*messages, *await unread(feed)]))
    assert [picture.grey for picture in pictures] == pytest.approx(
        [grey_of(n) for n in range(60, 120)], abs=2
    )


async def test_all_readers_get_the_same_bytes(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feeds = [watched.subscribe() for _ in range(3)]
    send(watched, between(film, 0, 1))
    first, *others = [await unread(feed) for feed in feeds]
    for other in others:
        assert len(other) == len(first)
        fragments = zip(first[2:], other[2:], strict=True)
        assert all(one is another for one, another in fragments)


async def test_nothing_is_built_while_nobody_watches(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = 0

    def counted(*arguments: Any) -> bytes:
        nonlocal built
        built += 1
        return b"fragment"

    monkeypatch.setattr(fmp4, "fragment", counted)
    watched = Monitor()
    watched.begin(film.video, film.audio)
    send(watched, between(film, 0, 3.5))
    assert not watched.is_watched
    assert built == 0
    feed = watched.subscribe()
    assert watched.is_watched
    assert built == 5
    again = watched.subscribe()
    assert built == 5
    feed.close()
    again.close()
    send(watched, between(film, 3.5, 6))
    assert built == 5


async def test_without_a_publisher_it_says_so() -> None:
    watched = Monitor()
    feed = watched.subscribe()
    assert words(await unread(feed)) == [{"type": "off"}]
    watched.off()
    assert await unread(feed) == []


async def test_a_publisher_goes_and_another_comes(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    watched.off()
    watched.off()
    watched.begin(film.video, None)
    later = ORIGIN + timedelta(minutes=3)
    send(watched, of_track(between(film, 0, 1), Track.VIDEO), later)
    messages = await unread(feed)
    assert [message["type"] for message in words(messages)] == ["init", "off", "init"]
    assert words(messages)[2]["origin"] == "2026-11-21T19:03:00.500Z"
    assert words(messages)[2]["codecs"] == film.video.codec
    second = messages[messages.index('{"type":"off"}') + 1 :]
    assert second[1] == fmp4.init_segment(film.video, None)
    assert len(demux(media(second))) == 30


async def test_new_parameters_begin_with_their_init(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    other = H264Config(film.video.avcc, 320, 180)
    watched.begin(other, film.audio)
    late = watched.subscribe()
    send(watched, between(film, 0.5, 1))  # no keyframe yet
    assert [message.get("width") for message in words(await unread(feed))] == [160]
    assert await unread(late) == []
    send(watched, between(film, 1, 2))
    for reader in (feed, late):
        messages = await unread(reader)
        assert [message["width"] for message in words(messages)] == [320]
        assert of_track(demux(media(messages)), Track.VIDEO)[0].is_keyframe


async def test_an_origin_that_moves_is_told(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    send(watched, between(film, 1, 2), ORIGIN - timedelta(milliseconds=4))
    send(watched, between(film, 2, 3), ORIGIN - timedelta(milliseconds=30))
    said = words(await unread(feed))
    assert [message["type"] for message in said] == ["init", "origin"]
    assert said[1] == {
        "type": "origin",
        "origin": "2026-11-21T19:00:00.470Z",
        "capture_delay_ms": 0,
    }


async def test_a_delay_that_is_set_meanwhile_is_told_with_the_next_origin(film: Film) -> None:
    watched = Monitor()
    watched.set_delay(timedelta(milliseconds=90))
    watched.begin(film.video, film.audio, capture_delay=timedelta(milliseconds=120))
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    watched.set_delay(timedelta(milliseconds=480))
    send(watched, between(film, 1, 2))
    late = watched.subscribe()
    init, origin = words(await unread(feed))
    assert init["capture_delay_ms"] == 120
    assert origin["type"] == "origin"
    assert origin["capture_delay_ms"] == 480
    assert [one["capture_delay_ms"] for one in words(await unread(late))] == [480]


def rounds(film: Film, count: int) -> Iterator[Sample]:
    """The film again and again, with times that go on."""
    for n in range(count):
        shift = {Track.VIDEO: 8 * 90_000 * n, Track.AUDIO: 8 * 48_000 * n}
        for sample in film.samples:
            moved = shift[sample.track]
            yield replace(sample, dts=sample.dts + moved, pts=sample.pts + moved)


async def test_who_does_not_read_loses_pictures_and_goes_on_at_a_keyframe(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    slow, quick, never = (watched.subscribe() for _ in range(3))
    seen = 0
    got: list[Message] = []
    for n, sample in enumerate(rounds(film, 10)):
        watched.add([sample], origin=ORIGIN)
        seen += len(media(await unread(quick))) > 0
        assert len(slow._messages) <= 84
        assert len(never._messages) <= 84
        if n in (100, 4000):
            got += await unread(slow)
    assert seen == 800
    got += await unread(slow)
    # It keeps its decoder: the init that it has read is not sent again.
    assert [message["type"] for message in words(got)] == ["init", "origin", "origin"]
    pictures = of_track(demux(media(got)), Track.VIDEO)
    holes = [later for one, later in pairwise(pictures) if later.dts != one.dts + one.duration]
    assert len(holes) == 2
    assert all(picture.is_keyframe for picture in holes)
    assert pictures[-1].dts > 79 * 90_000
    assert len(decode_pictures(media(got))) == len(pictures)
    # What was never read began with an init that is still needed.
    last = await unread(never)
    assert [message["type"] for message in words(last)] == ["init"]
    assert of_track(demux(media(last)), Track.VIDEO)[0].is_keyframe


async def test_who_did_not_read_hears_that_the_publisher_went(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    for sample in rounds(film, 3):
        watched.add([sample], origin=ORIGIN)
    watched.off()
    assert words(await unread(feed))[-1] == {"type": "off"}
    for _ in range(300):
        watched.begin(film.video, film.audio)
        send(watched, between(film, 0, 0.5))
        watched.off()
    assert len(feed._messages) <= 90
    assert words(await unread(feed))[-1] == {"type": "off"}


async def test_unread_bytes_are_bounded(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    for n in range(600):
        big = Sample(Track.VIDEO, n * 3000, n * 3000, 3000, n % 30 == 0, bytes(200_000))
        watched.add([big], origin=ORIGIN)
        assert feed._unread_bytes < 14_000_000
    assert feed._unread_bytes == sum(map(len, await unread(feed))) + feed._unread_bytes


async def test_what_is_kept_for_late_readers_is_bounded(film: Film) -> None:
    """A keyframe every minute: who comes late waits for it."""
    watched = Monitor()
    watched.begin(film.video, film.audio)
    for n in range(1800):
        watched.add(
            [Sample(Track.VIDEO, n * 3000, n * 3000, 3000, n == 0, b"\0\0\0\1a")], origin=ORIGIN
        )
        assert watched._group is None or len(watched._group) <= 400
    feed = watched.subscribe()
    assert await unread(feed) == []
    watched.add([Sample(Track.VIDEO, 1800 * 3000, 0, 9000, True, b"\0\0\0\1a")], origin=ORIGIN)
    assert len(await unread(feed)) == 3


async def test_holes_are_between_fragments(film: Film) -> None:
    """A fragment gives its first time only: in it, each sample begins where the last one ends."""
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    samples = [*between(film, 0, 0.05), *between(film, 0.25, 1)]
    send(watched, samples)
    watched.off()
    found = demux(media(await unread(feed)))
    for track in Track:
        assert [sample.dts for sample in of_track(found, track)] == [
            sample.dts for sample in of_track(samples, track)
        ]


async def test_sound_goes_on_where_no_picture_comes(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    await unread(feed)
    send(watched, of_track(between(film, 1, 2), Track.AUDIO))
    assert 3 <= len(await unread(feed)) <= 5


async def test_sound_that_was_not_announced_is_left_out(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, None)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    assert not of_track(demux(media(await unread(feed))), Track.AUDIO)


async def test_samples_without_a_begin_are_left_out(film: Film) -> None:
    watched = Monitor()
    send(watched, between(film, 0, 1))
    assert words(await unread(watched.subscribe())) == [{"type": "off"}]


async def test_a_closed_monitor_ends_its_feeds(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    waiting = asyncio.create_task(anext(feed))
    await asyncio.sleep(0)
    watched.close()
    watched.close()
    with pytest.raises(StopAsyncIteration):
        async with asyncio.timeout(5):
            await waiting
    send(watched, between(film, 0, 1))
    assert [message async for message in watched.subscribe()] == []


async def test_a_closed_feed_gets_nothing(film: Film) -> None:
    watched = Monitor()
    watched.begin(film.video, film.audio)
    feed = watched.subscribe()
    send(watched, between(film, 0, 1))
    feed.close()
    feed.close()
    send(watched, between(film, 1, 2))
    assert [message async for message in feed] == []


def test_limits_fit_together() -> None:
    """What a late reader is given at once must not count as unread too long."""
    assert monitor._KEPT_BYTES < monitor._UNREAD_BYTES
