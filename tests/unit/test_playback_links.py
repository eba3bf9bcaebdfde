"""A signed playback address opens one show for a time, and is the same for everybody."""

from datetime import UTC, datetime, timedelta

import pytest

from liveshop.kernel.ids import ShowId
from liveshop.video.model import BadPlaybackLink
from liveshop.video.signing import PlaybackLinks

NOW = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)
SHOW = ShowId("shw_1")
LINKS = PlaybackLinks("a-secret-for-tests-of-at-least-32-characters", hours=6)


def named(path: str) -> str:
    return path.removeprefix("/hls/").removesuffix("/index.m3u8")


def test_everybody_gets_the_same_address_for_a_while() -> None:
    assert LINKS.path(SHOW, NOW) == LINKS.path(SHOW, NOW + timedelta(minutes=10))
    assert LINKS.path(SHOW, NOW) != LINKS.path(SHOW, NOW + timedelta(hours=6))


def test_it_works_for_at_least_its_period() -> None:
    show = named(LINKS.path(SHOW, NOW))
    assert LINKS.opened(show, NOW) == (SHOW, True)
    assert LINKS.opened(show, NOW + timedelta(hours=6)) == (SHOW, True)
    with pytest.raises(BadPlaybackLink):
        LINKS.opened(show, NOW + timedelta(hours=12))


def test_a_bare_id_is_not_signed() -> None:
    assert LINKS.opened("shw_1", NOW) == (SHOW, False)


@pytest.mark.parametrize(
    "tampered",
    [
        lambda show: show.replace("shw_1", "shw_2"),
        lambda show: show[:-1] + ("0" if show[-1] != "0" else "1"),
        lambda show: show.split(".")[0],
        lambda show: show.split(".")[0] + ".",
        lambda show: show.replace("~", "~9"),
        lambda show: "shw_1~",
        lambda show: "shw_1~\udce9.ü",
    ],
)
def test_what_was_changed_does_not_open(tampered: "object") -> None:
    with pytest.raises(BadPlaybackLink):
        LINKS.opened(tampered(named(LINKS.path(SHOW, NOW))), NOW)  # type: ignore[operator]


def test_another_secret_signs_otherwise() -> None:
    other = PlaybackLinks("another-secret-for-tests-of-32-characters", hours=6)
    with pytest.raises(BadPlaybackLink):
        other.opened(named(LINKS.path(SHOW, NOW)), NOW)


def test_a_files_ticket_opens_that_file_alone() -> None:
    for ticket, kind in (
        (LINKS.file(SHOW, "rcf_1.mp4", NOW), "viewer"),
        (LINKS.own_file(SHOW, "rcf_1.mp4", NOW), "own"),
    ):
        assert LINKS.opened_file(ticket, "rcf_1.mp4", NOW) == (SHOW, kind)
        assert not LINKS.is_preview(ticket)
        with pytest.raises(BadPlaybackLink):
            LINKS.opened(ticket, NOW)
        for other in ("rcf_2.mp4", "rcf_1.jpg", ""):
            with pytest.raises(BadPlaybackLink):
                LINKS.opened_file(ticket, other, NOW)
    raised = LINKS.file(SHOW, "rcf_1.mp4", NOW).replace("~file-", "~own-file-")
    for ticket in (LINKS.signed(SHOW, NOW), LINKS.preview(SHOW, NOW), raised):
        with pytest.raises(BadPlaybackLink):
            LINKS.opened_file(ticket, "rcf_1.mp4", NOW)
    assert LINKS.opened_file("shw_1", "rcf_1.mp4", NOW) == (SHOW, "none")
