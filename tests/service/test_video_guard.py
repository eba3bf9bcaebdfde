"""A commit whose answer was lost tells nobody: the guard makes video agree with the database."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import builders
import pytest

from liveshop.accounts import store as accounts_store
from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire
from liveshop.shows.video_guard import VideoGuard
from liveshop.storage import StorageUnavailable
from liveshop.video.model import BadPlaybackLink, H264Config, PublisherGone, Publishing
from liveshop.video.service import Publisher
from liveshop.web import Principal

VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
PATIENCE = 10.0


@dataclass
class Studio:
    """A show with somebody who sends to it; who is cut off and sent away is written down."""

    shop: Liveshop
    clock: ManualClock
    show_id: ShowId
    host: Principal
    sending: list[Publishing] = field(default_factory=list)
    dropped: list[tuple[ShowId, str]] = field(default_factory=list)
    sent_away: list[str] = field(default_factory=list)
    guard: VideoGuard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = VideoGuard(
            self.shop.database,
            self.clock,
            self.shop.stage.video,
            sending=lambda: list(self.sending),
            drop=lambda one: self.dropped.append((one.show_id, one.person_id or "")),
            permissions_of=accounts_store.rights_of,
            send_away=self.send_away,
            check_seconds=0.001,
        )
        self.shop.shows.send_away = self.send_away

    async def send_away(self, room: str) -> None:
        self.sent_away.append(room)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Commits in here go through, but their answers are lost."""
        database = self.shop.database
        listeners, database._listeners = database._listeners, []
        send_away, self.shop.shows.send_away = self.shop.shows.send_away, _nobody_away
        try:
            yield
        finally:
            database._listeners = listeners
            self.shop.shows.send_away = send_away

    async def connect(self, who: Principal | None = None) -> Publishing:
        issued = await self.shop.stage.stream_keys.issue(self.show_id, who or self.host)
        self.sending.append(await self.shop.stage.stream_keys.authorise(issued.secret))
        return self.sending[-1]

    async def publish(self) -> Publisher:
        return self.shop.stage.video.publish(await self.connect(), VIDEO, None)


async def _nobody_away(_: str) -> None:
    return None


@pytest.fixture
async def studio(shop: Liveshop, clock: ManualClock) -> Studio:
    member = await shop.accounts.create_staff(
        email="mira@shop.example", name="Mira", password=builders.PASSWORD, roles=("host",)
    )
    given = wire.ShowInput(title="A show", starts_at=clock.now() + timedelta(hours=1))
    show_id = (await shop.shows.create_show(given)).id
    await shop.shows.change_state(show_id, "scheduled")
    return Studio(shop, clock, show_id, member.as_principal())


async def test_a_start_nobody_heard_of_is_seen(studio: Studio) -> None:
    await studio.publish()
    with studio.unheard():
        await studio.shop.shows.change_state(studio.show_id, "live")
    assert studio.shop.stage.video.state(studio.show_id) == "preview"
    await studio.guard.check()
    assert studio.shop.stage.video.state(studio.show_id) == "on_air"
    await studio.guard.check()
    assert studio.shop.stage.video.state(studio.show_id) == "on_air"
    assert studio.dropped == []


async def test_who_connects_before_his_key_knows_of_the_start_is_seen(studio: Studio) -> None:
    publishing = await studio.connect()
    with studio.unheard():
        await studio.shop.shows.change_state(studio.show_id, "live")
    await studio.guard.check()
    studio.shop.stage.video.publish(publishing, VIDEO, None)
    assert studio.shop.stage.video.state(studio.show_id) == "on_air"


async def test_a_restarted_server_is_told_when_its_shows_went_live(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, ...]] = []
    await studio.shop.shows.change_state(studio.show_id, "live")
    started_at = studio.clock.now()
    studio.clock.advance(timedelta(hours=1))
    monkeypatch.setattr(studio.shop.stage.video, "open", lambda *given: opened.append(given))
    await studio.guard.check()
    assert opened == [(studio.show_id, started_at)]


@pytest.mark.parametrize("is_connected", [True, False])
async def test_an_end_nobody_heard_of_is_one(studio: Studio, is_connected: bool) -> None:
    """Also of a show whose encoder is away."""
    publisher = await studio.publish()
    await studio.shop.shows.change_state(studio.show_id, "live")
    await studio.guard.check()
    if not is_connected:
        publisher.close()
        studio.sending.clear()
    with studio.unheard():
        await studio.shop.shows.change_state(studio.show_id, "ended")
    await studio.guard.check()
    assert not publisher.is_current
    assert studio.shop.stage.video.state(studio.show_id) == "none"
    with pytest.raises(PublisherGone):
        studio.shop.stage.video.publish(Publishing(studio.show_id), VIDEO, None)


async def test_a_show_nobody_heard_was_closed_is_signed_and_its_room_comes_anew(
    studio: Studio,
) -> None:
    await studio.publish()
    await studio.guard.check()
    with studio.unheard():
        await studio.shop.shows.change_show(studio.show_id, wire.ShowChange(audience="customers"))
    studio.shop.stage.video.admit(studio.show_id, is_signed=False)
    for _ in range(2):
        await studio.guard.check()
    with pytest.raises(BadPlaybackLink):
        studio.shop.stage.video.admit(studio.show_id, is_signed=False)
    assert studio.sent_away == [studio.show_id]


async def test_a_room_that_was_sent_away_is_left_alone(studio: Studio) -> None:
    await studio.publish()
    await studio.guard.check()
    await studio.shop.shows.change_show(studio.show_id, wire.ShowChange(audience="customers"))
    await studio.guard.check()
    assert studio.sent_away == [studio.show_id]


async def test_a_key_nobody_heard_was_revoked_is_cut_off(studio: Studio) -> None:
    await studio.publish()
    await studio.guard.check()
    assert studio.dropped == []
    with studio.unheard():
        await studio.shop.stage.stream_keys.revoke(studio.show_id, studio.host.id)
    await studio.guard.check()
    assert studio.dropped == [(studio.show_id, studio.host.id)]


async def test_a_key_nobody_heard_was_replaced_is_cut_off(studio: Studio) -> None:
    await studio.publish()
    with studio.unheard():
        await studio.shop.stage.stream_keys.issue(studio.show_id, studio.host)
    await studio.guard.check()
    assert studio.dropped == [(studio.show_id, studio.host.id)]


async def test_who_may_no_longer_is_cut_off_and_others_are_not(studio: Studio) -> None:
    """An API key expires without any change in the database."""
    await studio.connect()
    _, secret = await studio.shop.accounts.create_key(
        name="Encoder",
        permissions=["shows:write"],
        by=studio.host,
        expires_at=studio.clock.now() + timedelta(hours=1),
    )
    program = await studio.shop.accounts.principal_of_key(secret)
    await studio.connect(program)
    await studio.guard.check()
    assert studio.dropped == []
    studio.clock.advance(timedelta(hours=2))
    await studio.guard.check()
    assert studio.dropped == [(studio.show_id, program.id)]


async def test_news_that_comes_while_it_looks_is_newer(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.publish()
    look = studio.guard._stopped

    async def slow(*given: Any) -> list[Publishing]:
        found = await look(*given)
        changed = wire.ShowChange(audience="customers")
        await studio.shop.shows.change_show(studio.show_id, changed)
        return found

    monkeypatch.setattr(studio.guard, "_stopped", slow)
    await studio.guard.check()
    with pytest.raises(BadPlaybackLink):
        studio.shop.stage.video.admit(studio.show_id, is_signed=False)


async def test_a_database_that_is_away_is_waited_for(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, tries, has_looked = studio.guard.check, 0, asyncio.Event()

    async def twice() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StorageUnavailable("Away.")
        await check()
        has_looked.set()

    await studio.publish()
    with studio.unheard():
        await studio.shop.shows.change_state(studio.show_id, "live")
    monkeypatch.setattr(studio.guard, "check", twice)
    running = asyncio.create_task(studio.guard.run())
    async with asyncio.timeout(PATIENCE):
        await has_looked.wait()
    running.cancel()
    await asyncio.wait([running])
    assert studio.shop.stage.video.state(studio.show_id) == "on_air"


async def test_a_running_shop_has_it(shop: Liveshop, api: builders.Api) -> None:
    assert "video guard" in {task.get_name() for task in asyncio.all_tasks()}
