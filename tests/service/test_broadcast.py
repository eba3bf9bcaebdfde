"""What happens to a show's video is in its log, in order, and its room is told what viewers see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import builders
import pytest

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows import log_store, wire
from liveshop.shows.broadcast import Broadcasts
from liveshop.shows.model import UnknownShow
from liveshop.storage import Published, StorageUnavailable
from liveshop.video.model import (
    H264Config,
    Publishing,
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoRefused,
    VideoReplaced,
    VideoStarted,
)
from liveshop.web import ANONYMOUS

GRACE = timedelta(seconds=180)
PATIENCE = 10.0


@dataclass
class Stage:
    """A show, the events of its video, and what its room was told."""

    shop: Liveshop
    clock: ManualClock
    show_id: ShowId
    events: "asyncio.Queue[VideoEvent]" = field(default_factory=asyncio.Queue)
    told: list[Published] = field(default_factory=list)
    broadcasts: Broadcasts = field(init=False)

    def __post_init__(self) -> None:
        self.start_anew()
        self.shop.database.publish = self.tell

    def start_anew(self) -> None:
        """As a server does that was killed: what was in its memory is gone."""
        self.events = asyncio.Queue()
        self.broadcasts = Broadcasts(
            self.shop.database,
            self.clock,
            next_event=self.events.get,
            grace_seconds=180,
            again_seconds=0.01,
        )

    async def tell(self, published: list[Published]) -> None:
        self.told += published

    def happens(self, kind: type[VideoEvent], after: float = 1.0, **data: Any) -> datetime:
        self.clock.advance(timedelta(seconds=after))
        self.events.put_nowait(kind(self.show_id, self.clock.now(), data))
        return self.clock.now()

    async def noted(self, kind: type[VideoEvent], after: float = 1.0, **data: Any) -> datetime:
        """It happens, and is written down."""
        at = self.happens(kind, after, **data)
        await self.broadcasts.note(self.events.get_nowait())
        return at

    async def seen(self) -> wire.VideoState:
        """What a viewer finds who comes now."""
        async with self.shop.database.read() as conn:
            show = await self.shop.shows.visible(conn, self.show_id, builders.ALL_RIGHTS)
            return await self.shop.shows.video_out(conn, show)

    async def log(self) -> list[wire.LogEntry]:
        return (await self.broadcasts.log(self.show_id)).entries

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.log()]

    def heard(self) -> list[wire.VideoState]:
        """What people in the room were told of the video."""
        return [one.data for one in self.told if isinstance(one.data, wire.VideoState)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.broadcasts.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, *kinds: str) -> None:
        """The log says this."""
        async with asyncio.timeout(PATIENCE):
            while await self.kinds() != list(kinds):
                await asyncio.sleep(0.005)


def on_air(since: datetime) -> wire.VideoState:
    return wire.VideoState(state="on_air", since=since, back_by=None)


def away(since: datetime) -> wire.VideoState:
    return wire.VideoState(state="away", since=since, back_by=since + GRACE)


NOTHING = wire.VideoState(state="none", since=None, back_by=None)


@pytest.fixture
async def stage(shop: Liveshop, clock: ManualClock) -> Stage:
    """The show is live; its host has yet to come."""
    show_id = await builders.live_show(shop)
    return Stage(shop, clock, show_id)


@pytest.fixture
async def before(shop: Liveshop, clock: ManualClock) -> Stage:
    """The show is a draft."""
    created = await shop.shows.create_show(wire.ShowInput(title="A show"))
    return Stage(shop, clock, created.id)


async def test_viewers_wait_for_the_host_until_the_first_picture(stage: Stage) -> None:
    assert await stage.seen() == NOTHING
    at = await stage.noted(VideoStarted, width=1280, height=720, video="avc1.64001F")
    assert await stage.seen() == on_air(at)
    assert stage.heard() == [on_air(at)]
    (entry,) = await stage.log()
    assert (entry.kind, entry.at) == ("started", at)
    assert entry.data == {"width": 1280, "height": 720, "video": "avc1.64001F"}


async def test_a_lost_encoder_is_hoped_for_and_then_back(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    lost = await stage.noted(VideoLost, 60, reason="timeout")
    assert await stage.seen() == away(lost)
    back = await stage.noted(VideoStarted, 30.4)
    assert await stage.seen() == on_air(back)
    assert stage.heard()[1:] == [away(lost), on_air(back)]
    entries = await stage.log()
    assert [entry.kind for entry in entries] == ["started", "lost", "back"]
    assert entries[1].data == {"reason": "timeout"}
    assert entries[2].data == {"seconds": 30}


async def test_after_the_grace_only_words_change(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    lost = await stage.noted(VideoLost)
    stage.clock.advance(GRACE * 2)
    assert await stage.seen() == away(lost)
    show = await stage.shop.shows.show_for(stage.show_id, ANONYMOUS)
    assert show.state == "live"


async def test_a_takeover_and_new_parameters_are_no_drop(stage: Stage) -> None:
    at = await stage.noted(VideoStarted)
    await stage.noted(VideoChanged, width=640)
    await stage.noted(VideoReplaced)
    assert await stage.seen() == on_air(at)
    await stage.noted(VideoStarted)
    assert await stage.seen() == on_air(at)
    assert await stage.kinds() == ["started", "changed", "replaced", "started"]
    assert stage.heard() == [on_air(at)]


async def test_who_takes_over_without_a_picture_is_a_drop_too(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    await stage.noted(VideoReplaced)
    lost = await stage.noted(VideoLost, reason="error")
    assert await stage.seen() == away(lost)


async def test_what_is_refused_is_in_the_log_and_nowhere_else(stage: Stage) -> None:
    await stage.noted(VideoRefused, code="video_unsupported", detail="Choose H.264.")
    assert await stage.seen() == NOTHING
    lost = await stage.noted(VideoLost, reason="error")
    at = await stage.noted(VideoStarted)
    await stage.noted(VideoRefused, code="video_unsupported", detail="Choose H.264.")
    assert await stage.seen() == on_air(at)
    assert lost not in [entry.at for entry in await stage.log()]
    assert await stage.kinds() == ["refused", "started", "refused"]
    assert stage.heard() == [on_air(at)]


async def test_a_rehearsal_is_not_seen_and_a_show_begins_with_its_picture(before: Stage) -> None:
    await before.noted(VideoStarted, width=1280)
    assert await before.seen() == NOTHING
    assert before.heard() == []
    before.clock.advance(timedelta(minutes=5))
    await before.shop.shows.change_state(before.show_id, "live")
    began = before.clock.now()
    assert await before.seen() == on_air(began)
    assert before.heard() == [on_air(began)]
    await before.shop.shows.change_state(before.show_id, "ended")
    assert await before.seen() == NOTHING
    assert before.heard() == [on_air(began), NOTHING]
    (entry,) = await before.log()
    assert entry.data == {"width": 1280, "is_preview": True}


async def test_a_rehearsal_that_ended_leaves_nobody_waiting(before: Stage) -> None:
    await before.noted(VideoStarted)
    await before.noted(VideoLost, reason="stopped")
    before.clock.advance(timedelta(hours=3))
    await before.shop.shows.change_state(before.show_id, "live")
    assert await before.seen() == NOTHING
    await before.noted(VideoStarted)
    assert await before.kinds() == ["started", "lost", "started"]


async def test_the_end_of_a_show_is_no_drop(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    stage.clock.advance(timedelta(seconds=1))
    await stage.shop.shows.change_state(stage.show_id, "ended")
    await stage.noted(VideoLost, reason="ended")
    assert await stage.kinds() == ["started"]
    assert stage.heard()[-1] == NOTHING


async def test_the_log_names_who_sends_and_holds_no_ids(stage: Stage) -> None:
    member = await stage.shop.accounts.create_staff(
        email="mira@shop.example", name="Mira", password=builders.PASSWORD, roles=["host"]
    )
    await stage.shop.stage.stream_keys.issue(stage.show_id, member.as_principal())
    await stage.noted(VideoStarted, person_id=member.id, width=1280)
    await stage.noted(VideoChanged, person_id="stf_" + "0" * 26)
    assert [entry.data for entry in await stage.log()] == [
        {"width": 1280, "person_name": "Mira"},
        {},
    ]


async def test_an_event_that_comes_twice_is_one_entry(stage: Stage) -> None:
    """Its first commit went through and only the answer was lost: the room may not have heard."""
    await stage.noted(VideoStarted)
    lost = await stage.noted(VideoLost)
    at = await stage.noted(VideoStarted)
    for _ in range(2):
        await stage.broadcasts.note(VideoStarted(stage.show_id, at))
    assert await stage.kinds() == ["started", "lost", "back"]
    assert stage.heard()[1:] == [away(lost), on_air(at), on_air(at), on_air(at)]


async def test_an_event_of_no_show_is_dropped(stage: Stage) -> None:
    await stage.broadcasts.note(VideoStarted(ShowId("shw_" + "0" * 26), stage.clock.now()))
    assert stage.heard() == []
    with pytest.raises(UnknownShow):
        await stage.broadcasts.log(ShowId("shw_" + "0" * 26))


async def test_a_log_is_bounded_and_still_says_what_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "MAX_ENTRIES", 6)
    at = await stage.noted(VideoStarted)
    for _ in range(10):
        await stage.noted(VideoChanged)
    assert await stage.kinds() == ["started", *["changed"] * 5]
    assert await stage.seen() == on_air(at)
    for _ in range(5):
        await stage.noted(VideoLost)
        at = await stage.noted(VideoStarted)
    assert await stage.kinds() == ["lost", "back"] * 3
    assert await stage.seen() == on_air(at)
    assert (await stage.log())[-1].at == at


# The job


async def test_events_are_written_in_the_order_they_come(stage: Stage) -> None:
    async with stage.running():
        for _ in range(3):
            stage.happens(VideoStarted)
            stage.happens(VideoLost)
        await stage.until("started", "lost", "back", "lost", "back", "lost")
    assert [state.state for state in stage.heard()] == ["on_air", "away"] * 3


async def test_a_database_that_is_away_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = asyncio.Semaphore(0)
    write = stage.shop.database.write

    @asynccontextmanager
    async def is_away() -> AsyncIterator[Any]:
        tries.release()
        raise StorageUnavailable("The database does not answer.")
        yield

    async with stage.running():
        monkeypatch.setattr(stage.shop.database, "write", is_away)
        stage.happens(VideoStarted)
        stage.happens(VideoLost)
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                await tries.acquire()
        monkeypatch.setattr(stage.shop.database, "write", write)
        await stage.until("started", "lost")


async def test_an_event_that_cannot_be_written_holds_up_no_other(stage: Stage) -> None:
    async with stage.running():
        stage.happens(VideoStarted, odd=object())
        stage.happens(VideoStarted)
        await stage.until("started")


async def test_what_a_killed_server_had_on_air_is_away(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    stage.clock.advance(timedelta(minutes=1))
    stage.start_anew()
    down = stage.clock.now()
    async with stage.running():
        await stage.until("started", "lost")
        assert await stage.seen() == away(down)
        back = stage.happens(VideoStarted, 20)
        await stage.until("started", "lost", "back")
    assert stage.heard()[1:] == [away(down), on_air(back)]
    entries = await stage.log()
    assert entries[1].data == {"reason": "server_restarted"}
    assert entries[2].data == {"seconds": 20}


async def test_an_encoder_that_is_back_before_anybody_looked_was_still_away(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    stage.start_anew()
    stage.happens(VideoStarted)
    async with stage.running():
        await stage.until("started", "lost", "back")


async def test_a_rehearsal_that_a_restart_ended_is_not_taken_for_a_picture(before: Stage) -> None:
    await before.noted(VideoStarted)
    before.clock.advance(timedelta(minutes=1))
    before.start_anew()
    async with before.running():
        await before.until("started", "lost")
    before.clock.advance(timedelta(minutes=1))
    await before.shop.shows.change_state(before.show_id, "live")
    assert await before.seen() == NOTHING


async def test_a_restart_changes_nothing_where_nothing_was_on_air(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    lost = await stage.noted(VideoLost, reason="timeout")
    other = await builders.live_show(stage.shop)
    stage.clock.advance(timedelta(minutes=1))
    stage.start_anew()
    async with stage.running():
        at = stage.happens(VideoRefused)
        await stage.until("started", "lost", "refused")
    assert at > lost
    assert await stage.seen() == away(lost)
    assert (await stage.broadcasts.log(other)).entries == []


async def test_a_job_that_broke_does_not_take_the_picture_away_again(stage: Stage) -> None:
    await stage.noted(VideoStarted)
    stage.start_anew()
    async with stage.running():
        await stage.until("started", "lost")
        stage.happens(VideoStarted)
        await stage.until("started", "lost", "back")
    async with stage.running():
        stage.happens(VideoChanged)
        await stage.until("started", "lost", "back", "changed")


# The server


def black() -> H264Config:
    """Enough of a configuration; nobody decodes it here."""
    return H264Config(bytes((1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0, 1, 0, 0)), 1280, 720)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_snapshot_says_what_an_encoder_does(api: builders.Api, shop: Liveshop) -> None:
    show_id = await builders.live_show(shop)
    at = shop.clock.now()

    async def until(state: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                _, snapshot = await api.call("GET", f"/api/shows/{show_id}/snapshot")
                if snapshot["video"]["state"] == state:
                    return dict(snapshot["video"])

    assert (await until("none"))["since"] is None
    publisher = shop.stage.video.publish(Publishing(show_id), black(), None)
    assert datetime.fromisoformat((await until("on_air"))["since"]) == at
    publisher.close("timeout")
    assert datetime.fromisoformat((await until("away"))["back_by"]) == at + GRACE
    await shop.shows.change_state(show_id, "ended")
    await until("none")
    entries = (await shop.stage.broadcasts.log(show_id)).entries
    assert [(entry.kind, entry.data.get("width")) for entry in entries] == [
        ("started", 1280),
        ("lost", None),
    ]
