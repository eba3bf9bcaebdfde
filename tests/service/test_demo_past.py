"""The demo's past show is a replay like any other, made by the code that makes those."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import builders
import msgspec
import pytest
from video_builders import make_film_file

from liveshop.app import Liveshop
from liveshop.demo import past
from liveshop.demo.past import add_past_show
from liveshop.demo.shop import PRODUCTS
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.web import ANONYMOUS


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4")


async def test_past_show_can_be_seen_again_and_is_kept(
    shop: Liveshop, film: Path, clock: ManualClock
) -> None:
    await builders.staff(shop, "host")
    mug = await builders.product(shop, title="Mug")
    lamp = await builders.product(shop, title="Lamp")
    ids = {PRODUCTS[0].source_id: mug.id, PRODUCTS[7].source_id: lamp.id}
    show_id = await add_past_show(shop, film, ids)
    assert show_id is not None

    [show] = await shop.shows.list_shows(None, ANONYMOUS)
    assert (show.id, show.state, show.lineup) == (show_id, "replay", [mug.id, lamp.id])
    assert show.started_at is not None
    assert timedelta() < clock.now() - show.started_at < timedelta(days=2)
    replay = await shop.stage.replays.replay(show_id, ANONYMOUS)
    assert (replay.started_at, replay.seconds) == (show.started_at, past.SECONDS)
    assert Counter(one.product_id for one in replay.chapters if one.product_id) == {
        mug.id: past.ROUNDS,
        lamp.id: past.ROUNDS,
    }
    assert replay.chapters[0].until_at - replay.chapters[0].from_at == timedelta(seconds=6)
    playlist = await shop.stage.recordings.replay_playlist(show_id, None, None)
    assert "#EXT-X-ENDLIST" in playlist

    said = await shop.chat.said_between(show_id, replay.started_at, replay.ended_at)
    assert [(one.name, one.text) for one in said] == [line[1:] for line in past.CHAT]
    assert {one.role for one in said} == {"host", "guest"}

    recording = await shop.stage.replays.recording(show_id)
    assert {one.kind for one in recording.files} == {"poster", "sprites", "mp4"}
    clock.advance(timedelta(days=1000))
    await shop.stage.replays.expire()
    assert (await shop.stage.replays.replay(show_id, ANONYMOUS)).seconds == past.SECONDS


@pytest.mark.parametrize("given", [{"least_free_gib": 90_000.0}, {"replay_days": 0}])
async def test_without_room_there_is_no_past_show(
    shop: Liveshop, film: Path, given: dict[str, float]
) -> None:
    video = msgspec.structs.replace(shop.settings.video, **given)
    small = replace(shop, settings=msgspec.structs.replace(shop.settings, video=video))
    assert await add_past_show(small, film, {}) is None
    assert await shop.shows.list_shows(None, ANONYMOUS) == []
    assert await asyncio.to_thread(_recorded, shop.settings.data_path) == []


def _recorded(data: Path) -> list[ShowId]:
    return [ShowId(path.name) for path in data.glob("**/*.m4s")]
