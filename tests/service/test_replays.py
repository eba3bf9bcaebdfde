"""A show becomes its replay at once; what is kept, trimmed, made of it and deleted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import builders
import pytest

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows import replay_model, replay_wire, wire
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.shows.replay_files import ReplayFiles
from liveshop.shows.replay_model import FileId
from liveshop.shows.replays import Replays
from liveshop.storage import Published, StorageUnavailable, Worker
from liveshop.video.making import Made, MakingFailed, MakingHeldUp, Wanted
from liveshop.video.model import BadPlaybackLink, RecordingAway
from liveshop.video.recorded import Facts
from liveshop.video.signing import PlaybackLinks
from liveshop.web import ANONYMOUS

PATIENCE = 10.0
KINDS = ["poster", "sprites", "mp4"]


@dataclass(frozen=True)
class Stretch:
    starts_at: datetime
    ends_at: datetime

    @property
    def seconds(self) -> float:
        return (self.ends_at - self.starts_at).total_seconds()


@dataclass(frozen=True)
class Film:
    shown: dict[int, Stretch]


@dataclass
class Disk:
    """What is recorded, and what of it lies there, by name. `spans`: between the gaps."""

    recorded: dict[ShowId, Facts] = field(default_factory=dict)
    spans: dict[ShowId, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    lying: set[tuple[ShowId, str]] = field(default_factory=set)
    removed: list[ShowId] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """Holds up what is moved to the archive."""
    is_away: bool = False
    unreadable: set[ShowId] = field(default_factory=set)

    async def facts(self, show_id: ShowId) -> Facts | None:
        if show_id in self.unreadable:
            raise RecordingAway("The recording cannot be read: Input/output error.")
        return self.recorded.get(show_id)

    async def is_archived(self, show_id: ShowId) -> bool:
        return False

    async def replay(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None
    ) -> Film:
        """Stretches begin with their only keyframe."""
        facts = self.recorded[show_id]
        spans = self.spans.get(show_id, [(facts.started_at, facts.ended_at)])
        shown = [span for span in spans if until_at is None or span[0] < until_at]
        return Film({number: Stretch(*span) for number, span in enumerate(shown)})

    def end(self, show_id: ShowId) -> None:
        self.recorded[show_id] = replace(self.recorded[show_id], is_ended=True)

    async def keep_file(self, show_id: ShowId, name: str) -> None:
        self._check()
        self.moved.append(name)
        if self.gate is not None:
            await self.gate.wait()

    async def remove_file(self, show_id: ShowId, name: str) -> None:
        self._check()
        self.lying.discard((show_id, name))

    async def remove(self, show_id: ShowId) -> None:
        self._check()
        self.removed.append(show_id)
        self.recorded.pop(show_id, None)
        self.lying = {one for one in self.lying if one[0] != show_id}

    def _check(self) -> None:
        if self.is_away:
            raise OSError(5, "Input/output error")


@dataclass
class Workshop:
    """Makes files as it is told; `gate` holds it up, `error` is what it breaks with."""

    disk: Disk
    asked: list[Wanted] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    killed: int = 0
    percent: int = 40

    async def make(self, show_id: ShowId, wanted: Wanted, progress: Callable[[int], None]) -> Made:
        self.asked.append(wanted)
        progress(self.percent)
        self.begun.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.killed += 1
            raise
        if self.error is not None:
            raise self.error
        facts = self.disk.recorded.get(show_id)
        assert facts is not None
        data: dict[str, Any] = {}
        if wanted.kind == "loudness":
            return Made(0, 1.0, 0, 0, facts.started_at, facts.ended_at, {"lufs": -23.5})
        if wanted.kind == "sprites":
            data = {"columns": 10, "width": 160, "height": 90, "offsets_ms": [0, 1000]}
            data["starts_at"] = facts.started_at
        self.disk.lying.add((show_id, wanted.name))
        return Made(1000, 60.0, 1280, 720, facts.started_at, facts.ended_at, data)


@dataclass
class House:
    """A shop whose shows are recorded, with the files that are made of them."""

    shop: Liveshop
    clock: ManualClock
    disk: Disk = field(default_factory=Disk)
    told: list[Published] = field(default_factory=list)
    maker: Workshop = field(init=False)
    replays: Replays = field(init=False)
    files: ReplayFiles = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.maker = Workshop(self.disk)
        self.start_anew()
        self.shop.database.publish = self.tell

    def start_anew(self, **settings: Any) -> None:
        database = self.shop.database
        self.replays = Replays(database, self.clock, self.shop.settings, self.shop.shows, self.disk)
        self.files = ReplayFiles(database, self.clock, self.disk, self.maker, tell_seconds=0.01)
        self.replays.cancel = self.files.cancel
        self.worker = Worker(database, self.files.handlers, self.clock, is_lasting=True)

    async def tell(self, published: list[Published]) -> None:
        self.told += published

    async def ended(self, *products: ProductId, minutes: float = 10, tell: bool = True) -> ShowId:
        """A show that was live for so long; the products were pinned two minutes each."""
        show_id = await builders.live_show(self.shop, products)
        began = self.clock.now()
        for product_id in products:
            self.clock.advance(timedelta(minutes=2))
            await self.shop.shows.pin_product(show_id, product_id)
        left = timedelta(minutes=minutes) - (self.clock.now() - began)
        self.clock.advance(left)
        await self.shop.shows.change_state(show_id, "ended")
        self.disk.recorded[show_id] = Facts(
            began, self.clock.now(), minutes * 60, 5_000_000, gaps=0, is_ended=True
        )
        if tell:
            await self.replays.on_ended(show_id, self.disk.recorded[show_id])
        return show_id

    async def show(self, show_id: ShowId) -> wire.Show:
        async with self.shop.database.read() as conn:
            found = await self.shop.shows.visible(conn, show_id, builders.ALL_RIGHTS)
            return await self.shop.shows.show_out(conn, found)

    async def work(self) -> None:
        """All there is to do now."""
        while await self.worker.run_due():
            pass

    @asynccontextmanager
    async def working(self) -> AsyncIterator[asyncio.Task[bool]]:
        """A file is being made; it waits for the maker's gate."""
        self.maker.gate = asyncio.Event()
        self.maker.begun.clear()
        async with asyncio.timeout(PATIENCE):
            task = asyncio.create_task(self.worker.run_due())
            await self.maker.begun.wait()
            yield task
            self.maker.gate.set()
            await task

    async def states(self, show_id: ShowId) -> list[tuple[str, str]]:
        files = (await self.replays.recording(show_id)).files
        return [(one.kind, one.state) for one in files]

    def heard(self) -> list[tuple[str, str | None]]:
        """The states of shows that rooms were told of, and what to play in them."""
        events = [one.data for one in self.told if isinstance(one.data, wire.ShowChanged)]
        return [(one.show.state, one.show.replay) for one in events]


@pytest.fixture
def house(shop: Liveshop, clock: ManualClock) -> House:
    return House(shop, clock)


@pytest.fixture
async def mug(shop: Liveshop) -> ProductId:
    return (await builders.product(shop)).id


@pytest.fixture
async def lamp(shop: Liveshop) -> ProductId:
    return (await builders.product(shop, title="Lamp")).id


async def test_a_show_that_ends_is_its_replay_and_the_room_hears_it(house: House) -> None:
    show_id = await house.ended()
    show = await house.show(show_id)
    assert show.state == "replay"
    assert show.replay is not None
    assert show.replay.endswith(f"/hls/{show_id}/replay/index.m3u8")
    assert house.heard()[-2:] == [("ended", None), ("replay", show.replay)]
    assert (await house.replays.window(show_id)).access == "everyone"
    recording = await house.replays.recording(show_id)
    assert (recording.state, recording.seconds, recording.bytes) == ("ended", 600.0, 5_000_000)
    ended_at = house.disk.recorded.get(show_id)
    assert ended_at is not None
    assert recording.expires_at == ended_at.ended_at + timedelta(days=90)
    assert await house.states(show_id) == [(kind, "waiting") for kind in KINDS]


async def test_an_end_that_is_told_twice_is_one(house: House) -> None:
    show_id = await house.ended()
    await house.shop.shows.change_state(show_id, "ended")  # withdrawn by the host
    before = await house.show(show_id)
    for _ in range(2):
        await house.replays.on_ended(show_id, house.disk.recorded[show_id])
    assert await house.show(show_id) == before
    assert len(await house.states(show_id)) == 3


async def test_ends_told_by_two_processes_at_once_are_one(house: House) -> None:
    show_id = await house.ended(tell=False)
    facts = house.disk.recorded[show_id]
    other = Replays(
        house.shop.database, house.clock, house.shop.settings, house.shop.shows, house.disk
    )
    await asyncio.gather(*(one.on_ended(show_id, facts) for one in (house.replays, other) * 3))
    assert len(await house.states(show_id)) == 3
    assert (await house.show(show_id)).state == "replay"


async def test_a_running_show_is_not_replayed_and_tells_how_it_is_recorded(house: House) -> None:
    show_id = await builders.live_show(house.shop)
    assert (await house.replays.recording(show_id)).state == "none"
    began = house.clock.now()
    until = began + timedelta(seconds=30)
    facts = Facts(began, until, 29.5, 9_000, 1, is_ended=False, shortage="The disk is full.")
    house.disk.recorded[show_id] = facts
    await house.replays.on_ended(show_id, facts)
    recording = await house.replays.recording(show_id)
    assert (recording.state, recording.seconds, recording.shortage) == (
        "recording",
        29.5,
        "The disk is full.",
    )
    assert (await house.replays.window(show_id)).access == "nobody"
    for refused in (
        house.replays.trim(show_id, replay_wire.Trim(from_at=None, until_at=None)),
        house.replays.keep(show_id, replay_wire.Keep(until=None)),
        house.replays.delete(show_id),
        house.replays.request_file(show_id, replay_wire.FileInput(kind="mp4")),
    ):
        with pytest.raises(replay_model.StillRunning):
            await refused
    with pytest.raises(UnknownShow):
        await house.replays.recording(ShowId("shw_" + "0" * 26))


async def test_nothing_is_published_by_itself_where_the_shop_does_not_want_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.replays, "_at_once", False)
    show_id = await house.ended()
    show = await house.show(show_id)
    assert (show.state, show.replay) == ("ended", None)
    assert (await house.replays.window(show_id)).access == "nobody"
    preview = (await house.replays.replay(show_id, builders.ALL_RIGHTS)).hls
    assert "~preview-" in preview
    with pytest.raises(replay_model.NoReplay):
        await house.replays.replay(show_id, ANONYMOUS)
    await house.shop.shows.change_state(show_id, "replay")
    assert (await house.replays.replay(show_id, ANONYMOUS)).show_id == show_id


async def test_a_withdrawn_replay_plays_for_nobody(house: House) -> None:
    show_id = await house.ended()
    assert (await house.replays.window(show_id)).access == "everyone"
    await house.shop.shows.change_state(show_id, "ended")
    house.replays.forget_window(show_id)  # or a few seconds later
    assert (await house.replays.window(show_id)).access == "nobody"
    assert (await house.replays.window(ShowId("shw_" + "0" * 26))).access == "nobody"


async def test_a_show_for_customers_has_a_signed_replay(house: House) -> None:
    show_id = await house.ended()
    change = wire.ShowChange(audience="customers")
    assert (await house.replays.window(show_id)).access == "everyone"
    await house.shop.shows.change_show(show_id, change)
    assert (await house.replays.window(show_id)).access == "signed"
    with pytest.raises(CustomersOnly):
        await house.replays.replay(show_id, ANONYMOUS)
    hls = (await house.replays.replay(show_id, builders.ALL_RIGHTS)).hls
    assert f"/hls/{show_id}~" in hls
    assert "preview" not in hls


# Chapters


async def test_a_replay_has_a_chapter_for_each_moment_of_a_product(
    house: House, mug: ProductId, lamp: ProductId
) -> None:
    show_id = await house.ended(mug, lamp)
    began = house.disk.recorded[show_id].started_at
    replay = await house.replays.replay(show_id, ANONYMOUS)
    told = [
        (one.title, one.product_id, (one.from_at - began).total_seconds())
        for one in replay.chapters
    ]
    assert told == [("A show", None, 0.0), ("Mug", mug, 120.0), ("Lamp", lamp, 240.0)]
    assert replay.chapters[-1].until_at == replay.ended_at
    assert replay.seconds == 600.0


async def test_a_chapter_that_fell_into_a_gap_is_not_offered(
    house: House, mug: ProductId, lamp: ProductId
) -> None:
    show_id = await house.ended(mug, lamp, tell=False)
    facts = house.disk.recorded[show_id] = replace(house.disk.recorded[show_id], gaps=1)
    began = facts.started_at
    house.disk.spans[show_id] = [
        (began, began + timedelta(seconds=121)),
        (began + timedelta(seconds=240), facts.ended_at),
    ]
    await house.replays.on_ended(show_id, facts)
    replay = await house.replays.replay(show_id, ANONYMOUS)
    assert [one.title for one in replay.chapters] == ["A show", "Lamp"]


# Files


async def test_files_are_made_one_after_the_other(house: House) -> None:
    show_id = await house.ended()
    await house.work()
    assert [one.kind for one in house.maker.asked] == KINDS
    assert await house.states(show_id) == [(kind, "ready") for kind in KINDS]
    replay = await house.replays.replay(show_id, ANONYMOUS)
    poster, sprites, mp4 = (await house.replays.recording(show_id)).files
    assert replay.poster == poster.url
    assert poster.url is not None
    assert poster.url.endswith(f"/hls/{show_id}/files/{poster.id}.jpg")
    assert replay.sprites is not None
    assert replay.sprites.url == sprites.url
    assert replay.sprites.starts_at == replay.started_at
    assert (mp4.percent, mp4.bytes, mp4.width) == (100, 1000, 1280)


async def test_how_far_a_file_is_can_be_seen(house: House) -> None:
    show_id = await house.ended()
    async with house.working():
        async with asyncio.timeout(PATIENCE):
            while (one := (await house.replays.recording(show_id)).files[0]).percent == 0:
                await asyncio.sleep(0.005)
        assert (one.state, one.percent, one.url) == ("making", 40, None)
    assert (await house.states(show_id))[0] == ("poster", "ready")


async def test_what_cannot_be_made_is_said_once_and_not_tried_for_ever(house: House) -> None:
    show_id = await house.ended()
    house.maker.error = MakingFailed("There is no picture in it.")
    await house.work()
    failed = (await house.replays.recording(show_id)).files
    assert {(one.state, one.detail) for one in failed} == {("failed", "There is no picture in it.")}
    house.clock.advance(timedelta(days=1))
    await house.work()
    assert len(house.maker.asked) == 3
    house.maker.error = None
    again = await house.replays.request_file(show_id, replay_wire.FileInput(kind="mp4"))
    await house.work()
    assert (await house.states(show_id))[-1] == ("mp4", "ready")
    assert again.id not in {one.id for one in failed}
    await house.replays.request_file(show_id, replay_wire.FileInput(kind="poster"))
    await house.work()
    assert ("poster", "ready") in await house.states(show_id)


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), StorageUnavailable("A"), MakingHeldUp("No room.")],
)
async def test_what_is_away_for_now_is_waited_for_but_not_for_days(
    house: House, error: Exception
) -> None:
    show_id = await house.ended()
    house.maker.error = error
    await house.work()
    waiting = (await house.replays.recording(show_id)).files[0]
    assert waiting.state == "waiting"
    assert waiting.detail in ("No space left on device", "A", "No room.")
    for hours in range(2, 26, 2):
        assert {state for _, state in await house.states(show_id)} == {"waiting"}, hours
        house.clock.advance(timedelta(hours=2))
        await house.work()
    assert {state for _, state in await house.states(show_id)} == {"failed"}
    assert len(house.maker.asked) == 39


async def test_a_maker_that_breaks_does_not_leave_a_file_waiting(house: House) -> None:
    show_id = await house.ended()
    house.maker.error = ValueError("a bug")
    await house.work()
    assert {state for _, state in await house.states(show_id)} == {"failed"}


async def test_a_file_of_a_server_that_died_is_made_by_the_next(house: House) -> None:
    show_id = await house.ended()
    house.maker.gate = asyncio.Event()
    task = asyncio.create_task(house.worker.run_due())
    await house.maker.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.maker.killed == 1
    assert (await house.states(show_id))[0] == ("poster", "making")
    house.maker.gate = None
    house.start_anew()
    await house.work()
    assert (await house.states(show_id))[0] == ("poster", "making")
    house.clock.advance(timedelta(minutes=2))
    await house.work()
    assert await house.states(show_id) == [(kind, "ready") for kind in KINDS]


async def test_a_file_that_two_processes_make_is_there_once(house: House) -> None:
    show_id = await house.ended()
    async with house.working():
        house.clock.advance(timedelta(minutes=2))  # as if the claim had been lost
        other = Worker(house.shop.database, house.files.handlers, house.clock)
        making = asyncio.create_task(other.run_due())
        async with asyncio.timeout(PATIENCE):
            while len(house.maker.asked) < 2:
                await asyncio.sleep(0.005)
        assert house.maker.gate is not None
        house.maker.gate.set()
        await making
    await house.work()
    assert await house.states(show_id) == [(kind, "ready") for kind in KINDS]
    assert len(house.disk.lying) == 3


async def test_the_same_file_is_made_once(house: House, mug: ProductId) -> None:
    show_id = await house.ended(mug)
    await house.work()
    ask = house.replays.request_file
    whole = await ask(show_id, replay_wire.FileInput(kind="mp4"))
    assert (await house.replays.recording(show_id)).files[2].id == whole.id
    normal = replay_wire.FileInput(kind="mp4", is_loudness_normal=True)
    assert (await ask(show_id, normal)).id == (await ask(show_id, normal)).id
    clip = replay_wire.FileInput(kind="clip", product_id=mug, is_vertical=True)
    one = await ask(show_id, clip)
    assert one.from_at is not None
    assert one.until_at is not None
    assert (one.until_at - one.from_at) == timedelta(minutes=8)
    house.maker.asked.clear()
    await house.work()
    assert [(one.kind, one.is_vertical) for one in house.maker.asked] == [
        ("loudness", False),
        ("mp4", False),
        ("clip", True),
    ]
    assert (await house.replays.recording(show_id)).loudness_lufs == -23.5


async def test_files_that_make_no_sense_are_refused_in_words(house: House, mug: ProductId) -> None:
    show_id = await house.ended(mug)
    facts = house.disk.recorded[show_id]
    second = timedelta(seconds=1)
    for given in (
        replay_wire.FileInput(kind="clip"),
        replay_wire.FileInput(kind="mp4", product_id=mug),
        replay_wire.FileInput(kind="mp4", is_vertical=True),
        replay_wire.FileInput(kind="sprites", is_loudness_normal=True),
        replay_wire.FileInput(kind="poster", product_id=mug),
        replay_wire.FileInput(kind="clip", product_id="prd_" + "0" * 26),
        replay_wire.FileInput(kind="clip", from_at=facts.started_at - second),
        replay_wire.FileInput(kind="clip", until_at=facts.ended_at + second),
        replay_wire.FileInput(kind="clip", from_at=facts.ended_at - second / 2),
    ):
        with pytest.raises(replay_model.BadFile):
            await house.replays.request_file(show_id, given)


async def test_a_clip_may_not_be_longer_than_ten_minutes(house: House, mug: ProductId) -> None:
    show_id = await house.ended(mug, minutes=13)
    clip = replay_wire.FileInput(kind="clip", product_id=mug)
    with pytest.raises(replay_model.BadFile, match="10 minutes"):
        await house.replays.request_file(show_id, clip)


async def test_a_file_is_shown_before_it_is_moved_to_the_archive(house: House) -> None:
    show_id = await house.ended()
    house.disk.gate = asyncio.Event()
    await house.work()
    moving = asyncio.create_task(house.files.run())
    async with asyncio.timeout(PATIENCE):
        while not house.disk.moved:
            await asyncio.sleep(0)
        assert await house.states(show_id) == [(kind, "ready") for kind in KINDS]
        poster = (await house.replays.recording(show_id)).files[0]
        await house.replays.remove_file(show_id, FileId(poster.id))
        house.disk.lying.add((show_id, f"{poster.id}.jpg"))  # it was on its way
        house.disk.gate.set()
        while len(house.disk.lying) > 2 or len(house.disk.moved) < 3:
            await asyncio.sleep(0.005)
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving


async def test_what_a_killed_process_made_of_a_deleted_file_is_removed(house: House) -> None:
    show_id = await house.ended()
    poster = (await house.replays.recording(show_id)).files[0]
    await house.replays.remove_file(show_id, FileId(poster.id))
    house.disk.lying.add((show_id, f"{poster.id}.jpg"))
    assert await house.worker.run_due()  # the job of the file comes before that of its removal
    assert house.disk.lying == set()


async def test_a_show_has_so_many_files_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_id = await house.ended()
    monkeypatch.setattr("liveshop.shows.replays.MAX_FILES", 4)
    began = house.disk.recorded[show_id].started_at
    clip = replay_wire.FileInput(kind="clip", from_at=began + timedelta(seconds=5))
    made = await house.replays.request_file(show_id, clip)
    assert (await house.replays.request_file(show_id, clip)).id == made.id
    with pytest.raises(replay_model.TooManyFiles):
        await house.replays.request_file(show_id, replay_wire.FileInput(kind="clip", from_at=began))
    await house.replays.remove_file(show_id, FileId(made.id))
    with pytest.raises(replay_model.UnknownFile):
        await house.replays.remove_file(show_id, FileId(made.id))
    await house.replays.request_file(show_id, replay_wire.FileInput(kind="clip", from_at=began))


async def test_a_file_that_is_deleted_while_it_is_made_is_given_up(house: House) -> None:
    show_id = await house.ended()
    file_id = (await house.replays.recording(show_id)).files[0].id
    async with house.working() as task:
        await house.replays.remove_file(show_id, FileId(file_id))
        assert house.maker.killed == 1
        assert await task
    assert [kind for kind, _ in await house.states(show_id)] == ["sprites", "mp4"]
    assert house.disk.lying == set()


async def test_a_file_that_another_process_deletes_is_given_up_too(house: House) -> None:
    show_id = await house.ended()
    other = Replays(
        house.shop.database, house.clock, house.shop.settings, house.shop.shows, house.disk
    )
    async with house.working() as task:
        await other.delete(show_id)
        assert await task
    assert house.maker.killed == 1
    assert house.disk.lying == set()


# What is shown

LEAD = timedelta(seconds=7)


async def test_nothing_is_shown_of_the_time_before_the_show_was_live(house: House) -> None:
    show_id = await house.ended(tell=False)
    live = house.disk.recorded[show_id]
    whole = replace(live, started_at=live.started_at - LEAD, seconds=live.seconds + 7)
    house.disk.recorded[show_id] = whole
    keyframe_at = live.started_at + timedelta(seconds=2)
    house.disk.spans[show_id] = [
        (whole.started_at, keyframe_at),
        (keyframe_at, whole.ended_at),
    ]
    await house.replays.on_ended(show_id, whole)
    window = await house.replays.window(show_id)
    assert (window.from_at, window.until_at) == (keyframe_at, None)
    replay = await house.replays.replay(show_id, ANONYMOUS)
    assert (replay.started_at, replay.seconds) == (keyframe_at, 598.0)
    await house.work()
    assert {one.from_at for one in house.maker.asked} == {keyframe_at}
    await house.replays.trim(show_id, replay_wire.Trim(from_at=None, until_at=None))
    with pytest.raises(replay_model.BadTrim):
        early = replay_wire.Trim(from_at=live.started_at, until_at=None)
        await house.replays.trim(show_id, early)


async def test_a_recording_of_the_time_before_alone_is_not_shown(house: House) -> None:
    show_id = await house.ended(tell=False)
    facts = house.disk.recorded[show_id]
    early = replace(facts, started_at=facts.started_at - LEAD, ended_at=facts.started_at, seconds=7)
    house.disk.recorded[show_id] = early
    for _ in range(2):
        await house.replays.on_ended(show_id, early)
    assert (await house.show(show_id)).state == "ended"
    assert (await house.replays.window(show_id)).access == "nobody"
    with pytest.raises(replay_model.NoReplay):
        await house.replays.replay(show_id, builders.ALL_RIGHTS)
    with pytest.raises(replay_model.NothingRecorded):
        await house.replays.request_file(show_id, replay_wire.FileInput(kind="mp4"))


async def test_files_of_a_show_for_customers_have_a_ticket_each(
    house: House, mug: ProductId
) -> None:
    show_id = await house.ended(mug)
    await house.shop.shows.change_show(show_id, wire.ShowChange(audience="customers"))
    clip = replay_wire.FileInput(kind="clip", product_id=mug)
    await house.replays.request_file(show_id, clip)
    await house.work()
    urls = {one.kind: one.url or "" for one in (await house.replays.recording(show_id)).files}
    kinds = {kind: url.partition("~")[2].split("-")[0] for kind, url in urls.items()}
    assert kinds == {"poster": "file", "sprites": "file", "mp4": "file", "clip": "own"}
    tickets = {url.partition("/hls/")[2].partition("/")[0] for url in urls.values()}
    assert len(tickets) == 4
    links = PlaybackLinks(builders.SECRET, house.shop.settings.video.link_hours)
    for ticket in tickets:
        with pytest.raises(BadPlaybackLink):
            links.opened(ticket, house.clock.now())


async def test_a_clip_of_what_is_trimmed_away_is_its_staffs_alone(
    house: House, mug: ProductId
) -> None:
    show_id = await house.ended(mug)
    began = house.disk.recorded[show_id].started_at
    await house.replays.request_file(show_id, replay_wire.FileInput(kind="clip", product_id=mug))
    await house.work()
    (clip,) = (one for one in (await house.replays.recording(show_id)).files if one.kind == "clip")
    assert clip.url is not None
    assert clip.url.endswith(f"/hls/{show_id}/files/{clip.id}.mp4")
    assert (await house.replays.window(show_id)).hidden == frozenset()
    late = began + timedelta(minutes=3)
    trimmed = await house.replays.trim(show_id, replay_wire.Trim(from_at=late, until_at=None))
    (hidden,) = (one for one in trimmed.files if one.kind == "clip")
    assert (await house.replays.window(show_id)).hidden == {f"{clip.id}.mp4"}
    assert hidden.url is not None
    assert f"/hls/{show_id}~own-file-" in hidden.url


# Trimming


async def test_a_trim_is_what_viewers_see_and_files_of_the_whole_are_made_anew(
    house: House, mug: ProductId, lamp: ProductId
) -> None:
    show_id = await house.ended(mug, lamp)
    await house.work()
    old = {one.id for one in (await house.replays.recording(show_id)).files}
    began = house.disk.recorded[show_id].started_at
    trim = replay_wire.Trim(
        from_at=began + timedelta(seconds=150), until_at=began + timedelta(seconds=300)
    )
    house.told.clear()
    recording = await house.replays.trim(show_id, trim)
    assert recording.trim == trim
    assert {one.id for one in recording.files} & old == set()
    assert {one.state for one in recording.files} == {"waiting"}
    assert house.disk.lying == set()
    assert [state for state, _ in house.heard()] == ["replay"]
    window = await house.replays.window(show_id)
    assert (window.from_at, window.until_at) == (trim.from_at, trim.until_at)
    replay = await house.replays.replay(show_id, ANONYMOUS)
    assert [one.title for one in replay.chapters] == ["Mug", "Lamp"]
    assert (replay.started_at, replay.ended_at) == (trim.from_at, trim.until_at)
    assert replay.seconds == 150.0
    assert replay.poster is None
    house.maker.asked.clear()
    await house.work()
    assert {(one.from_at, one.until_at) for one in house.maker.asked} == {
        (trim.from_at, trim.until_at)
    }
    assert await house.replays.trim(show_id, trim) == await house.replays.recording(show_id)
    whole = await house.replays.trim(show_id, replay_wire.Trim(from_at=None, until_at=None))
    assert whole.trim == replay_wire.Trim(from_at=None, until_at=None)
    assert len(whole.files) == 3


async def test_a_trim_outside_the_recording_is_refused_in_words(house: House) -> None:
    show_id = await house.ended()
    facts = house.disk.recorded[show_id]
    second = timedelta(seconds=1)
    for from_at, until_at in (
        (facts.started_at - second, None),
        (None, facts.ended_at + second),
        (facts.ended_at + second, None),
        (facts.started_at + 10 * second, facts.started_at + 5 * second),
        (facts.started_at + 5 * second, facts.started_at + 5.5 * second),
        (facts.ended_at, None),
        (None, facts.started_at),
    ):
        trim = replay_wire.Trim(from_at=from_at, until_at=until_at)
        with pytest.raises(replay_model.BadTrim) as refused:
            await house.replays.trim(show_id, trim)
        assert refused.value.data["field"] in ("from_at", "until_at")
    assert len(house.disk.recorded) == 1


# Keeping and deleting


async def test_a_recording_is_removed_when_its_time_has_come(house: House) -> None:
    show_id = await house.ended()
    kept = await house.ended()
    forever = await house.ended()
    await house.work()
    house.clock.advance(timedelta(days=50))
    later = house.clock.now() + timedelta(days=100)
    assert (await house.replays.keep(kept, replay_wire.Keep(until=later))).expires_at == later
    await house.replays.keep(forever, replay_wire.Keep(until=None))
    with pytest.raises(replay_model.BadKeep):
        await house.replays.keep(kept, replay_wire.Keep(until=house.clock.now()))
    farthest = datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12)))
    await house.replays.keep(kept, replay_wire.Keep(until=farthest))
    await house.replays.keep(kept, replay_wire.Keep(until=later))
    house.clock.advance(timedelta(days=41))
    house.told.clear()
    await house.replays.expire()
    await house.replays.expire()
    assert house.disk.removed == [show_id]
    recording = await house.replays.recording(show_id)
    assert (recording.state, recording.files, recording.preview) == ("deleted", [], None)
    assert (await house.show(show_id)).state == "ended"
    assert house.heard() == [("ended", None)]
    assert (await house.replays.recording(kept)).state == "ended"
    house.clock.advance(timedelta(days=100))
    await house.replays.expire()
    assert house.disk.removed == [show_id, kept]
    assert (await house.show(forever)).state == "replay"


async def test_a_deleted_recording_is_gone_and_stays_so(house: House) -> None:
    show_id = await house.ended()
    facts = house.disk.recorded[show_id]
    await house.work()
    for _ in range(2):
        await house.replays.delete(show_id)
    assert house.disk.lying == set()
    assert (await house.replays.window(show_id)).access == "nobody"
    with pytest.raises(replay_model.NoReplay):
        await house.replays.replay(show_id, builders.ALL_RIGHTS)
    await house.replays.on_ended(show_id, facts)
    assert (await house.replays.recording(show_id)).state == "deleted"
    with pytest.raises(ShopError):
        await house.shop.shows.change_state(show_id, "replay")
    with pytest.raises(replay_model.NothingRecorded):
        await house.replays.request_file(show_id, replay_wire.FileInput(kind="mp4"))


async def test_what_cannot_be_removed_now_is_removed_later(house: House) -> None:
    show_id = await house.ended()
    await house.work()
    house.disk.is_away = True
    await house.replays.delete(show_id)
    await house.work()
    assert house.disk.lying
    house.disk.is_away = False
    house.clock.advance(timedelta(minutes=5))
    await house.work()
    assert house.disk.lying == set()


async def test_an_address_of_ones_own_outlives_the_recording(house: House) -> None:
    show_id = await house.ended()
    url = "https://video.example.com/show.mp4"
    await house.shop.shows.change_show(show_id, wire.ShowChange(replay_url=url))
    with pytest.raises(replay_model.NoReplay):
        await house.replays.replay(show_id, ANONYMOUS)
    house.replays.forget_window(show_id)  # or a few seconds later
    assert (await house.replays.window(show_id)).access == "nobody"
    assert "~preview-" in (await house.replays.replay(show_id, builders.ALL_RIGHTS)).hls
    await house.replays.delete(show_id)
    show = await house.show(show_id)
    assert (show.state, show.replay) == ("replay", url)


# Restarts


async def test_an_end_that_nobody_told_is_found(house: House) -> None:
    show_id = await house.ended(tell=False)
    await house.ended(tell=False)
    cut = await house.ended(tell=False)  # the server was killed before the end was on disk
    facts = house.disk.recorded[cut]
    house.disk.recorded[cut] = Facts(facts.started_at, facts.ended_at, 500.0, 1, 1, is_ended=False)
    await house.replays.check()
    assert (await house.show(show_id)).state == "replay"
    assert (await house.show(cut)).state == "ended"
    house.clock.advance(timedelta(minutes=1))
    house.start_anew()
    for _ in range(2):
        await house.replays.check()
    assert (await house.show(cut)).state == "replay"
    assert len(await house.states(cut)) == 3


async def test_a_show_of_which_nothing_was_recorded_stays_ended(house: House) -> None:
    show_id = await house.ended(tell=False)
    house.disk.recorded.clear()
    house.clock.advance(timedelta(minutes=1))
    for _ in range(2):
        await house.replays.check()
    assert (await house.show(show_id)).state == "ended"
    assert (await house.replays.recording(show_id)).state == "none"
    with pytest.raises(replay_model.NoReplay):
        await house.replays.replay(show_id, ANONYMOUS)


async def test_a_recording_that_cannot_be_read_does_not_keep_up_the_others(house: House) -> None:
    first, broken, last = [await house.ended(tell=False) for _ in range(3)]
    house.disk.unreadable.add(broken)
    await house.replays.check()
    assert [(await house.show(one)).state for one in (first, broken, last)] == [
        "replay",
        "ended",
        "replay",
    ]
    house.disk.unreadable.clear()
    await house.replays.check()
    assert (await house.show(broken)).state == "replay"


async def test_a_recording_that_nobody_wrote_down_is_removed_some_day(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, forgotten = await house.ended(), await house.ended(tell=False)
    live = await builders.live_show(house.shop)
    monkeypatch.setattr(house.replays, "_days", 0)
    there = [known, forgotten, live, ShowId("shw_unknown"), ShowId("lost+found")]
    await house.replays.forget(there)
    assert house.disk.removed == []
    house.clock.advance(timedelta(days=2))
    await house.replays.forget(there)
    assert house.disk.removed == [forgotten]


async def test_what_is_not_kept_is_not_said_to_be_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_id = await house.ended(tell=False)
    assert (await house.replays.recording(show_id)).state == "recording"
    monkeypatch.setattr(house.replays, "_days", 0)
    assert (await house.replays.recording(show_id)).state == "none"
    monkeypatch.undo()
    house.clock.advance(timedelta(minutes=5))
    assert (await house.replays.recording(show_id)).state == "none"


async def test_the_job_finds_ends_by_itself(house: House) -> None:
    show_id = await house.ended(tell=False)
    job = asyncio.create_task(house.replays.run())
    async with asyncio.timeout(PATIENCE):
        while (await house.show(show_id)).state != "replay":
            await asyncio.sleep(0.005)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
