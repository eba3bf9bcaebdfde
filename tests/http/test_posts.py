"""Posts over HTTP: from a connected channel to a post that is taken off again, and bad input."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import Api
from post_builders import Channel, FakePosting
from room_builders import until

from liveshop.app import Liveshop, wire
from liveshop.connect import Connectors, NeedsAttention, RetryLater
from liveshop.kernel.clock import ManualClock, rfc3339
from liveshop.shows import wire as shows_wire
from liveshop.storage import Database

SHOW = "shw_" + "0" * 26


@pytest.fixture
def channel(clock: ManualClock) -> Channel:
    return Channel(clock)


@pytest.fixture
def site_wired(
    sqlite_template: Path, tmp_path: Path, clock: ManualClock, channel: Channel
) -> Liveshop:
    copy = tmp_path / "site.sqlite3"
    shutil.copy(sqlite_template, copy)
    settings = builders.test_settings(tmp_path / "data", database_url=f"sqlite+aiosqlite:///{copy}")
    database = Database.open(settings.database_url)
    return wire(settings, database, None, clock, Connectors.of(FakePosting(channel)))


@pytest.fixture
async def merchant(site: Api, site_shop: Liveshop) -> Api:
    return site.with_token(await builders.key_with(site_shop, "channels:read", "channels:write"))


@pytest.fixture
async def connection_id(merchant: Api) -> str:
    given = {"connector": "fake_posting", "title": "Our page", "config": {}}
    status, made = await merchant.call("POST", "/api/connections", given)
    assert status == 201, made
    return str(made["id"])


@pytest.fixture
async def show_id(site_shop: Liveshop) -> str:
    starts_at = site_shop.clock.now() + timedelta(hours=2)
    created = await site_shop.shows.create_show(
        shows_wire.ShowInput(title="Winter evening", host_name="Hedda", starts_at=starts_at)
    )
    await site_shop.shows.change_state(created.id, "scheduled")
    return created.id


@pytest.fixture
def asked(connection_id: str, show_id: str) -> dict[str, Any]:
    return {"connection_id": connection_id, "kind": "announce", "show_id": show_id}


async def test_a_post_is_previewed_sent_shown_and_taken_off(
    merchant: Api, site: Api, channel: Channel, asked: dict[str, Any]
) -> None:
    status, preview = await merchant.call("POST", "/api/posts/preview", asked)
    assert status == 200, preview
    status, post = await merchant.call("POST", "/api/posts", asked)
    assert (status, post["state"], post["text"]) == (201, "scheduled", None)
    await until(lambda: bool(channel.made))
    path = f"/api/posts/{post['id']}"
    while (sent := (await merchant.call("GET", path))[1])["state"] == "sending":
        pass
    assert (sent["state"], sent["text"]) == ("sent", preview["text"])
    assert sent["url"] == "https://channel.example/remote-1"
    status, page = await merchant.call("GET", f"/api/posts?show_id={asked['show_id']}")
    assert (status, page) == (200, {"posts": [sent], "next": None})
    status, cancelled = await merchant.call("POST", f"{path}/cancel")
    assert (status, cancelled["code"]) == (409, "post_sent")
    status, removed = await merchant.call("DELETE", path)
    assert (status, removed["state"]) == (200, "removed")
    assert channel.seen() == []
    card = await site.fetch("GET", preview["images"][0]["url"].partition(":8080")[2])
    assert card.status == 200, card.text
    assert card.headers["Content-Type"] == "image/jpeg"
    assert card.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert card.body == channel.made[0].images[0]


async def test_a_show_gets_its_posts_in_one_call(merchant: Api, asked: dict[str, Any]) -> None:
    path = f"/api/shows/{asked['show_id']}/posts"
    body = {"connection_ids": [asked["connection_id"]], "kinds": ["reminder", "live_now"]}
    status, planned = await merchant.call("POST", path, body | {"reminder_minutes": 15})
    assert (status, [one["when"] for one in planned["posts"]]) == (200, ["before_start", "on_live"])
    _, again = await merchant.call("POST", path, body)
    assert [one["id"] for one in again["posts"]] == [one["id"] for one in planned["posts"]]
    status, cancelled = await merchant.call("DELETE", f"/api/posts/{again['posts'][1]['id']}")
    assert (status, cancelled["state"]) == (200, "cancelled")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"connection_id": "con_none"}, 404, "unknown_connection"),
    ({"show_id": SHOW}, 404, "unknown_show"),
    ({"show_id": None}, 422, "bad_post"),
    ({"kind": "product_moment"}, 422, "bad_post"),
    ({"language": "xx"}, 422, "bad_post"),
    ({"when": "on_pin"}, 422, "bad_post"),
    ({"template": "{{"}, 422, "bad_template"),
    ({"template": "x" * 2000}, 422, "too_long"),
    ({"template": "x" * 4001}, 422, "invalid"),
    ({"kind": "advert"}, 422, "invalid"),
    ({"send_at": "2026-12-24"}, 422, "invalid"),
    ({"send_at": "9999-12-24T00:00:00Z"}, 422, "bad_post"),
    ({"minutes_before": 0}, 422, "invalid"),
    ({"nonsense": 1}, 422, "invalid"),
]


async def test_bad_input_is_refused_by_name(merchant: Api, asked: dict[str, Any]) -> None:
    wrong = []
    for given, status, code in BAD:
        for path in ("/api/posts/preview", "/api/posts"):
            answer = await merchant.call("POST", path, asked | given)
            if (answer[0], answer[1]["code"]) != (status, code):
                wrong.append((given, answer))
    assert wrong == []


async def test_what_the_channel_says_to_a_removal_reaches_the_merchant(
    merchant: Api, channel: Channel, asked: dict[str, Any]
) -> None:
    _, post = await merchant.call("POST", "/api/posts", asked)
    path = f"/api/posts/{post['id']}"
    while (await merchant.call("GET", path))[1]["state"] != "sent":
        pass
    channel.delete_raises = RetryLater("The channel is away.", after=7)
    answer = await merchant.fetch("DELETE", path)
    assert (answer.status, answer.json["code"]) == (503, "channel_away")
    assert answer.headers["Retry-After"] == "7"
    channel.delete_raises = NeedsAttention("Authorise the channel again.")
    status, refused = await merchant.call("DELETE", path)
    assert (status, refused["code"]) == (409, "channel_refuses")
    assert refused["detail"] == "Authorise the channel again."


async def test_a_post_for_later_waits(
    merchant: Api, clock: ManualClock, asked: dict[str, Any]
) -> None:
    later = rfc3339(clock.now() + timedelta(hours=1))
    status, post = await merchant.call("POST", "/api/posts", asked | {"send_at": later})
    assert (status, post["send_at"]) == (201, "2026-11-21T20:00:00Z")


async def test_an_unknown_post_is_not_found(merchant: Api) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        status, answer = await merchant.call(method, f"/api/posts/pst_none{path}")
        assert (status, answer["code"]) == (404, "unknown_post")
