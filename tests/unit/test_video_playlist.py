"""Playlists as text: what is written is what an independent reader finds."""

from dataclasses import replace
from datetime import timedelta

import hls_rules
import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_builders import ORIGIN

from liveshop.video.model import Rendition
from liveshop.video.playlist import (
    Chunk,
    Entry,
    LowLatency,
    PartEntry,
    RenditionReport,
    Variant,
    decimal,
    media_playlist,
    multivariant_playlist,
    rewind_playlist,
)

LOW_LATENCY = LowLatency(part_target_seconds=0.34, target_seconds=2)


def entry(number: int, *, seconds: float = 1.0, **more: object) -> Entry:
    parts = tuple(PartEntry(3 * number + part, seconds / 3, part == 0) for part in range(3))
    made = Entry(
        number=number,
        init_number=0,
        starts_at=ORIGIN + timedelta(seconds=number),
        duration_seconds=seconds,
        is_discontinuous=False,
        parts=parts,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def text_of(entries: list[Entry], **more: object) -> str:
    settings = {"hint": 3 * len(entries), "entries_with_parts": 2, "discontinuity_sequence": 0}
    return media_playlist(entries, low_latency=LOW_LATENCY, **(settings | more))  # type: ignore[arg-type]


def test_playlist_reads_as_low_latency_clients_expect_it() -> None:
    open_entry = entry(2, parts=(PartEntry(6, 1 / 3, True),))
    assert text_of([entry(0), entry(1, is_discontinuous=True, init_number=4)],
                   open_entry=replace(open_entry, init_number=4), hint=7,
                   reports=[RenditionReport(Rendition.AUDIO, 9, 1)]) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.02,HOLD-BACK=6.0,"
        "CAN-SKIP-UNTIL=12.0\n"
        "#EXT-X-PART-INF:PART-TARGET=0.34\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
        '#EXT-X-MAP:URI="init-0.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T19:00:00.000Z\n"
        '#EXT-X-PART:DURATION=0.33333,URI="part-0.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.33333,URI="part-1.m4s"\n'
        '#EXT-X-PART:DURATION=0.33333,URI="part-2.m4s"\n'
        "#EXTINF:1.00000,\n"
        "segment-0.m4s\n"
        "#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="init-4.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T19:00:01.000Z\n"
        '#EXT-X-PART:DURATION=0.33333,URI="part-3.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.33333,URI="part-4.m4s"\n'
        '#EXT-X-PART:DURATION=0.33333,URI="part-5.m4s"\n'
        "#EXTINF:1.00000,\n"
        "segment-1.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T19:00:02.000Z\n"
        '#EXT-X-PART:DURATION=0.33333,URI="part-6.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-7.m4s"\n'
        '#EXT-X-RENDITION-REPORT:URI="../audio/live.m3u8",LAST-MSN=9,LAST-PART=1\n'
    )  # fmt: skip


def test_delta_update_names_the_init_section_again() -> None:
    entries = [entry(number) for number in range(20)]
    delta = hls_rules.checked(text_of(entries, skipped=7))
    hls_rules.check_delta(hls_rules.checked(text_of(entries)), delta)
    assert (delta.skipped, delta.segments[0].msn, delta.segments[0].init) == (7, 7, "init-0.mp4")


def test_an_ended_playlist_has_neither_hint_nor_parts() -> None:
    text = text_of([entry(0)], is_ended=True, hint=None, entries_with_parts=0)
    playlist = hls_rules.checked(text)
    assert playlist.is_ended
    assert playlist.parts == []


@given(
    seconds=st.lists(st.floats(0.05, 2.49), min_size=1, max_size=30),
    changes=st.sets(st.integers(0, 30)),
    target=st.floats(0.1, 1.0),
)
def test_whatever_is_listed_is_read_back(
    seconds: list[float], changes: set[int], target: float
) -> None:
    entries = [
        entry(number, seconds=length, is_discontinuous=number in changes, parts=())
        for number, length in enumerate(seconds)
    ]
    low_latency = LowLatency(part_target_seconds=round(target, 5), target_seconds=2)
    text = media_playlist(entries, low_latency=low_latency, discontinuity_sequence=5, hint=1)
    playlist = hls_rules.checked(text)
    assert [s.seconds for s in playlist.segments] == pytest.approx(seconds, abs=1e-5)
    assert [s.uri for s in playlist.segments] == [s.uri for s in m3u8.loads(text).segments]
    assert playlist.part_target == round(target, 5)
    discontinuity = 5
    for segment in playlist.segments:
        discontinuity += segment.msn in changes
        assert segment.discontinuity == discontinuity


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.34, "0.34"), (1.02, "1.02"), (1.0, "1.0"), (3 * 0.2, "0.6"), (0.333333, "0.33333")],
)
def test_decimals_are_short(seconds: float, text: str) -> None:
    assert decimal(seconds) == text


def test_multivariant_playlist_names_renditions_best_first() -> None:
    text = multivariant_playlist(
        [
            Variant(Rendition.VIDEO, "avc1.64001F,mp4a.40.2", 2_600_000, 1280, 720),
            Variant(Rendition.LOW, "avc1.64001E,mp4a.40.2", 800_000, 640, 360),
            Variant(Rendition.AUDIO, "mp4a.40.2", 128_000),
        ]
    )
    read = m3u8.loads(text)
    assert [variant.uri for variant in read.playlists] == [
        "video/live.m3u8", "low/live.m3u8", "audio/live.m3u8",
    ]  # fmt: skip
    assert [variant.stream_info.bandwidth for variant in read.playlists] == [
        2_600_000, 800_000, 128_000,
    ]  # fmt: skip
    assert [variant.stream_info.resolution for variant in read.playlists] == [
        (1280, 720), (640, 360), None,
    ]  # fmt: skip
    assert read.playlists[0].stream_info.codecs == "avc1.64001F,mp4a.40.2"


def chunk(number: int) -> Chunk:
    return Chunk(10 * number, 3, ORIGIN + timedelta(seconds=6 * number), 6.0, number == 2)


def test_rewind_promises_no_type_that_it_would_have_to_take_back() -> None:
    chunks = [chunk(number) for number in range(4)]
    whole = hls_rules.checked(rewind_playlist(chunks, target_seconds=12))
    assert not whole.is_event
    assert [segment.uri for segment in whole.segments] == [
        f"chunk-{number}.m4s" for number in (0, 10, 20, 30)
    ]
    assert [segment.discontinuity for segment in whole.segments] == [0, 0, 1, 1]
    rest = hls_rules.checked(
        rewind_playlist(chunks[3:], target_seconds=12, forgotten=3, discontinuity_sequence=1)
    )
    assert not rest.is_event
    assert rest.segments == whole.segments[3:]
