"""A show that was sent, ended, watched again and bought from: with the real recorder and makers."""

import asyncio
import io
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import av
import builders
import pytest
from builders import Api
from letter_builders import letters
from making_builders import Take, record, shot

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ProductId, ShowId, VariantId
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import model, wire
from liveshop.video.model import Publishing
from liveshop.video.recorded import Facts

PATIENCE = 30.0
TAKE = Take(seconds=12, width=320, height=180)
SECOND = timedelta(seconds=1)


@dataclass
class Host:
    """Sends a film second by second, pinning and talking at given seconds."""

    shop: Liveshop
    clock: ManualClock
    show_id: ShowId

    async def send(self, pins: dict[int, ProductId], says: dict[int, tuple[Api, str]]) -> None:
        """All of it, in no time; what is pinned or said has the time of the show."""
        video, audio, samples = await asyncio.to_thread(shot, TAKE)
        began = self.clock.now()
        publisher = self.shop.stage.video.publish(Publishing(self.show_id), video, audio)
        publisher.write(samples, origin=began)
        for second in range(int(TAKE.seconds)):
            if second in pins:
                await self.shop.shows.pin_product(self.show_id, pins[second])
            if second in says:
                who, text = says[second]
                principal = await self.shop.kit.authenticator.by_token(who.token)
                await self.shop.chat.post_message(
                    self.show_id, principal, text, address="127.0.0.1"
                )
            self.clock.advance(SECOND)

    async def end(self) -> None:
        await self.shop.shows.change_state(self.show_id, "ended")


async def until(site: Api, path: str, is_so: Any) -> Any:
    """The answer once it says so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            _, answer = await site.call("GET", path)
            if is_so(answer):
                return answer
            await asyncio.sleep(0.02)  # between two questions


@pytest.fixture
async def staff(site: Api, site_shop: Liveshop) -> Api:
    return site.with_token(await builders.staff_key(site_shop, "host"))


async def recorded(
    shop: Liveshop, *products: ProductId, seconds: int = 60, **change: Any
) -> ShowId:
    """As a show that was recorded without a picture of it."""
    assert isinstance(shop.clock, ManualClock)
    show_id = await builders.live_show(shop, list(dict.fromkeys(products)))
    began = shop.clock.now()
    for product_id in products:
        shop.clock.advance(timedelta(seconds=10))
        await shop.shows.pin_product(show_id, product_id)
    shop.clock.advance(began + timedelta(seconds=seconds) - shop.clock.now())
    await shop.shows.change_state(show_id, "ended")
    facts = Facts(began, shop.clock.now(), float(seconds), 1, 0, is_ended=True)
    await shop.stage.replays.on_ended(show_id, replace(facts, **change))
    return show_id


def path_of(url: str | None) -> str:
    assert url is not None
    return urlsplit(url).path


async def test_a_show_is_watched_again_seconds_after_its_end(
    site: Api, site_shop: Liveshop, staff: Api, clock: ManualClock
) -> None:
    mug = await builders.product(site_shop)
    lamp = await builders.product(site_shop, title="Lamp")
    show_id = await builders.live_show(site_shop, [mug.id, lamp.id])
    guest = await site.as_guest()
    began = clock.now()
    host = Host(site_shop, clock, show_id)
    await host.send({3: mug.id, 8: lamp.id}, {4: (guest, "How big is it?")})
    running = await until(
        staff, f"/api/shows/{show_id}/recording", lambda told: told["state"] == "recording"
    )
    assert running["shortage"] is None
    assert (await site.call("GET", f"/api/shows/{show_id}/replay"))[0] == 404
    await host.end()

    show = await until(site, f"/api/shows/{show_id}", lambda told: told["state"] == "replay")
    status, told = await site.call("GET", f"/api/shows/{show_id}/replay")
    assert status == 200
    assert told["hls"] == show["replay"]
    assert [one["title"] for one in told["chapters"]] == ["A show", "Mug", "Lamp"]
    assert datetime.fromisoformat(told["chapters"][1]["from_at"]) == began + 3 * SECOND
    assert told["seconds"] == pytest.approx(12, abs=0.2)

    playlist = await site.fetch("GET", path_of(told["hls"]))
    assert playlist.status == 200
    assert "#EXT-X-ENDLIST" in playlist.text
    assert "#EXT-X-PROGRAM-DATE-TIME" in playlist.text
    folder = path_of(told["hls"]).rpartition("/")[0]
    for name in re.findall(r'^(?:.*URI=")?([\w.-]+\.(?:m4s|mp4))', playlist.text, re.MULTILINE):
        assert (await site.fetch("GET", f"{folder}/{name}")).status == 200

    _, said = await site.call("GET", f"/api/shows/{show_id}/replay/chat")
    (line,) = said["messages"]
    assert (line["text"], datetime.fromisoformat(line["at"])) == (
        "How big is it?",
        began + 4 * SECOND,
    )

    recording = await until(
        staff,
        f"/api/shows/{show_id}/recording",
        lambda told: {one["state"] for one in told["files"]} <= {"ready", "failed"},
    )
    assert {one["kind"]: one["state"] for one in recording["files"]} == dict.fromkeys(
        ("poster", "sprites", "mp4"), "ready"
    )
    (film,) = (one for one in recording["files"] if one["kind"] == "mp4")
    body = (await site.fetch("GET", path_of(film["url"]))).body
    assert len(body) == film["bytes"]
    with av.open(io.BytesIO(body)) as opened:
        assert [one.type for one in opened.streams] == ["video", "audio"]
    _, told = await site.call("GET", f"/api/shows/{show_id}/replay")
    for url in (told["poster"], told["sprites"]["url"]):
        assert (await site.fetch("GET", path_of(url))).headers["Content-Type"] == "image/jpeg"

    page = await site.fetch("GET", f"/s/{show_id}", Accept="text/html")
    assert f'<source src="{film["url"]}" type="video/mp4">' in page.text
    assert '"@type":"VideoObject"' in page.text
    assert f'"contentUrl":"{film["url"]}"' in page.text
    assert '"duration":"PT12S"' in page.text
    _, embedded = await site.call("GET", f"/oembed?url={quote(show['page'], safe='')}")
    assert embedded["thumbnail_url"] == told["poster"]
    assert (embedded["thumbnail_width"], embedded["thumbnail_height"]) == (320, 180)

    # Trimmed, withdrawn, deleted: each takes effect on addresses that are known.
    trim = {"from_at": (began + 6 * SECOND).isoformat(), "until_at": None}
    status, trimmed = await staff.call("PUT", f"/api/shows/{show_id}/recording/trim", trim)
    assert status == 200
    shorter = await site.fetch("GET", path_of(told["hls"]))
    assert shorter.status == 200
    assert shorter.text != playlist.text
    assert (await site.fetch("GET", path_of(film["url"]))).status == 404
    assert (await site.fetch("GET", path_of(trimmed["preview"]))).text == playlist.text

    await staff.call("POST", f"/api/shows/{show_id}/state", {"to": "ended"})
    async with asyncio.timeout(PATIENCE):
        while (await site.fetch("GET", path_of(told["hls"]))).status != 404:
            await asyncio.sleep(0.05)  # some seconds, which the window is known for
    assert (await site.fetch("GET", path_of(trimmed["preview"]))).status == 200
    for _ in range(2):
        assert (await staff.call("DELETE", f"/api/shows/{show_id}/recording"))[0] == 204
    assert (await site.fetch("GET", path_of(trimmed["preview"]))).status == 404
    left = await asyncio.to_thread(
        lambda: list((site_shop.settings.data_path / "video" / show_id).rglob("*.m*"))
    )
    assert left == []


async def test_a_show_that_ended_while_the_server_was_away_is_found_when_it_starts(
    site_shop: Liveshop,
) -> None:
    show_id = await builders.live_show(site_shop)
    folder = site_shop.settings.data_path / "video" / show_id
    await asyncio.to_thread(record, folder, Take(seconds=2), is_ended=False)
    await site_shop.shows.change_state(show_id, "ended")  # and nothing runs that would hear it
    site = await builders.api_of(site_shop)
    try:
        show = await until(site, f"/api/shows/{show_id}", lambda told: told["state"] == "replay")
        assert (await site.fetch("GET", path_of(show["replay"]))).status == 200
    finally:
        await site.client.close()


async def test_who_buys_from_a_replay_pays_todays_price(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    mug = await builders.product(site_shop, stock=5, price=2800)
    show_id = await builders.live_show(site_shop, [mug.id])
    await site_shop.offers.start_offer(
        show_id,
        wire.OfferInput(
            product_id=mug.id, kind=promotions_wire.PercentOff(permille=500), seconds=3600
        ),
    )
    await site_shop.shows.pin_product(show_id, mug.id)
    began = clock.now()
    clock.advance(60 * SECOND)
    await site_shop.shows.change_state(show_id, "ended")
    facts = Facts(began, clock.now(), 60.0, 1, 0, is_ended=True)
    await site_shop.stage.replays.on_ended(show_id, facts)
    clock.advance(timedelta(days=1))
    places = await site_shop.catalog.locations()
    await site_shop.catalog.set_stock(VariantId(mug.variants[0].id), places[0].id, 2)

    guest = await site.as_guest()
    _, snapshot = await guest.call("GET", f"/api/shows/{show_id}/snapshot")
    assert snapshot["show"]["state"] == "replay"
    assert [one["product_id"] for one in snapshot["pins"]] == [mug.id]
    (variant,) = snapshot["products"][0]["variants"]
    assert (variant["price"]["amount"], variant["available"]) == (2800, 2)
    body = {"variant_id": variant["id"], "quantity": 1, "show_id": show_id}
    status, cart = await guest.call("POST", "/api/cart/lines", body)
    assert status < 300, cart
    status, order = await guest.order("key-1", show_id=show_id)
    assert status == 201, order
    assert (order["state"], order["show_id"]) == ("confirmed", show_id)
    assert order["subtotal"]["amount"] == 2800
    assert await builders.available(site_shop, VariantId(variant["id"])) == 1

    async with asyncio.timeout(PATIENCE):
        while not (written := await letters(site_shop)):
            await asyncio.sleep(0.02)  # between two looks
    told = written[0].letter
    assert told.kind == "order.confirmed"
    for text in (told.text, told.html or ""):
        assert "Watch this moment again" in text
        assert f"/s/{show_id}?at=0" in text


async def test_an_order_leads_back_to_its_moment_of_the_show(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    mug = await builders.product(site_shop)
    lamp = await builders.product(site_shop, title="Lamp")
    show_id = await builders.live_show(site_shop, [mug.id, lamp.id])
    began = clock.now()
    guest = await site.as_guest()
    for seconds, product in ((20, mug), (40, lamp)):
        clock.advance(began + seconds * SECOND - clock.now())
        await site_shop.shows.pin_product(show_id, product.id)
    clock.advance(5 * SECOND)
    body = {"variant_id": mug.variants[0].id, "quantity": 1, "show_id": show_id}
    await guest.call("POST", "/api/cart/lines", body)
    _, order = await guest.order("key-1", show_id=show_id)
    _, progress = await guest.call("GET", f"/api/orders/{order['id']}/progress")
    assert progress["moment"] is None
    page = urlsplit(progress["status_url"]).path
    assert "?at=" not in (await site.fetch("GET", page, Accept="text/html")).text

    clock.advance(15 * SECOND)
    await site_shop.shows.change_state(show_id, "ended")
    facts = Facts(began, clock.now(), 60.0, 1, 0, is_ended=True)
    await site_shop.stage.replays.on_ended(show_id, facts)
    _, progress = await guest.call("GET", f"/api/orders/{order['id']}/progress")
    moment = progress["moment"]
    assert datetime.fromisoformat(moment["at"]) == began + 20 * SECOND
    assert moment["url"].endswith(f"/s/{show_id}?at=20")
    shown = await site.fetch("GET", page, Accept="text/html")
    assert f'href="{moment["url"]}"' in shown.text
    assert "Watch this moment again" in shown.text

    # What was trimmed away cannot be watched, nor what was withdrawn.
    trims = {"from_at": began + 30 * SECOND, "until_at": None}
    staff = site.with_token(await builders.staff_key(site_shop, "host"))
    path = f"/api/shows/{show_id}/recording/trim"
    for from_at, is_there in ((trims["from_at"], False), (None, True)):
        given = None if from_at is None else from_at.isoformat()
        await staff.call("PUT", path, {"from_at": given, "until_at": None})
        _, progress = await guest.call("GET", f"/api/orders/{order['id']}/progress")
        assert (progress["moment"] is not None) == is_there
    await site_shop.shows.change_state(show_id, "ended")
    _, progress = await guest.call("GET", f"/api/orders/{order['id']}/progress")
    assert progress["moment"] is None


async def test_an_order_without_a_pin_has_the_moment_it_was_placed(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    mug = await builders.product(site_shop)
    show_id = await builders.live_show(site_shop, [mug.id])
    began = clock.now()
    guest = await site.as_guest()

    async def buy(key: str) -> str:
        body = {"variant_id": mug.variants[0].id, "quantity": 1, "show_id": show_id}
        await guest.call("POST", "/api/cart/lines", body)
        _, order = await guest.order(key, show_id=show_id)
        return str(order["id"])

    clock.advance(25 * SECOND)
    early = await buy("key-1")
    clock.advance(35 * SECOND)
    await site_shop.shows.change_state(show_id, "ended")
    facts = Facts(began, clock.now(), 60.0, 1, 0, is_ended=True)
    await site_shop.stage.replays.on_ended(show_id, facts)
    clock.advance(timedelta(days=1))
    late = await buy("key-2")
    moments = {}
    for order_id in (early, late):
        _, progress = await guest.call("GET", f"/api/orders/{order_id}/progress")
        moments[order_id] = progress["moment"]
    assert moments[early]["url"].endswith("?at=25")
    assert moments[late] is None


async def test_a_replay_of_a_show_for_customers_needs_signed_addresses(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await recorded(site_shop)
    await site_shop.shows.change_show(show_id, wire.ShowChange(audience="customers"))
    for path in ("replay", "replay/chat"):
        status, told = await site.call("GET", f"/api/shows/{show_id}/{path}")
        assert (status, told["code"]) == (403, "customers_only")
    token = builders.storefront_jwt(clock)
    _, answer = await site.call("POST", "/api/customers/sign-on", {"token": token})
    customer = site.with_token(answer["token"])
    _, told = await customer.call("GET", f"/api/shows/{show_id}/replay")
    signed = path_of(told["hls"])
    unsigned = f"/hls/{show_id}/replay/index.m3u8"
    assert (await site.fetch("GET", unsigned)).status == 403
    assert (await site.fetch("GET", signed)).json["code"] == "video_no_recording"
    assert (await site.fetch("GET", signed.replace("~", "~preview-"))).status == 403


async def test_the_chat_of_a_replay_is_read_by_time(
    site: Api, site_shop: Liveshop, staff: Api, clock: ManualClock
) -> None:
    show_id = await builders.live_show(site_shop)
    assert (await site.call("GET", f"/api/shows/{show_id}/replay/chat"))[0] == 404
    began = clock.now()
    guest = await site.as_guest()
    principal = await site_shop.kit.authenticator.by_token(guest.token)
    ids = []
    for number in range(6):
        clock.advance(10 * SECOND)
        post = site_shop.chat.post_message(show_id, principal, f"No. {number}", address="::1")
        ids.append(await post)
    await site_shop.chat.delete_message(show_id, builders.ALL_RIGHTS, ids[3])
    clock.advance(SECOND)
    await site_shop.shows.change_state(show_id, "ended")
    path = f"/api/shows/{show_id}/replay/chat"
    status, told = await site.call("GET", path)
    assert (status, told["code"]) == (404, "no_replay")
    assert len((await staff.call("GET", path))[1]["messages"]) == 6
    facts = Facts(began, clock.now(), 61.0, 1, 0, is_ended=True)
    await site_shop.stage.replays.on_ended(show_id, facts)

    async def texts(**span: datetime) -> list[str]:
        query = "&".join(
            f"{name}={at.isoformat().replace('+', '%2B')}" for name, at in span.items()
        )
        status, told = await site.call("GET", f"/api/shows/{show_id}/replay/chat?{query}")
        assert status == 200, told
        return [one["text"] for one in told["messages"]]

    assert await texts() == ["No. 0", "No. 1", "No. 2", "", "No. 4", "No. 5"]
    part = {"from": began + 20 * SECOND, "until": began + 50 * SECOND}
    assert await texts(**part) == ["No. 1", "No. 2", ""]
    assert await texts(**{"from": began + 60 * SECOND}) == ["No. 5"]
    for query in ("from=yesterday", "until=2026-11-22T19:00:00"):
        status, _ = await site.call("GET", f"/api/shows/{show_id}/replay/chat?{query}")
        assert status == 422
    for query in ("until=9999-12-31T23:59:59-12:00", "from=0001-01-01T00:00:00%2B12:00"):
        status, told = await site.call("GET", f"/api/shows/{show_id}/replay/chat?{query}")
        assert (status, len(told["messages"])) == (200, 6)
    nothing = "shw_" + "0" * 26
    assert (await site.call("GET", f"/api/shows/{nothing}/replay/chat"))[0] == 404

    # What is trimmed away is not to be read either, nor what was said beside a withdrawn replay.
    trim = {"from_at": (began + 15 * SECOND).isoformat()}
    trim["until_at"] = (began + 45 * SECOND).isoformat()
    await staff.call("PUT", f"/api/shows/{show_id}/recording/trim", trim)
    assert await texts() == ["No. 1", "No. 2", ""]
    assert await texts(**{"from": began, "until": began + 25 * SECOND}) == ["No. 1"]
    assert await texts(**{"from": began + 50 * SECOND}) == []
    assert len((await staff.call("GET", path))[1]["messages"]) == 6
    url = wire.ShowChange(replay_url="https://video.example.com/show.mp4")
    await site_shop.shows.change_show(show_id, url)
    assert len(await texts()) == 6
    await site_shop.shows.change_state(show_id, "ended")
    assert (await site.call("GET", path))[0] == 404


async def test_a_page_of_chat_is_bounded(
    site: Api, site_shop: Liveshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_id = await builders.live_show(site_shop)
    staff = site.with_token(await builders.staff_key(site_shop, "host"))
    monkeypatch.setattr("liveshop.chat.service.REPLAY_MESSAGES", 2)
    for number in range(3):
        await site_shop.chat.post_message(
            show_id, builders.ALL_RIGHTS, f"No. {number}", address="::1"
        )
    _, told = await staff.call("GET", f"/api/shows/{show_id}/replay/chat")
    assert [one["text"] for one in told["messages"]] == ["No. 0", "No. 1"]


async def test_a_replay_knows_all_pins_of_a_long_show(site: Api, site_shop: Liveshop) -> None:
    mug = await builders.product(site_shop)
    show_id = await recorded(site_shop, *[mug.id] * (model.PINS_REMEMBERED + 5), seconds=2000)
    _, snapshot = await site.call("GET", f"/api/shows/{show_id}/snapshot")
    assert len(snapshot["pins"]) == model.PINS_REMEMBERED + 5
    _, told = await site.call("GET", f"/api/shows/{show_id}/replay")
    assert [one["title"] for one in told["chapters"]] == ["A show", "Mug"]


async def test_bad_orders_are_refused_in_words(site: Api, site_shop: Liveshop, staff: Api) -> None:
    live = await builders.live_show(site_shop)
    show_id = await recorded(site_shop)
    at = site_shop.clock.now()
    before = (at - timedelta(days=1)).isoformat()
    calls = [
        ("PUT", live, "trim", {"from_at": None, "until_at": None}, 409, "show_still_running"),
        ("PUT", show_id, "trim", {"from_at": before, "until_at": None}, 422, "bad_trim"),
        ("PUT", show_id, "keep", {"until": before}, 422, "bad_keep"),
        ("POST", show_id, "files", {"kind": "clip"}, 422, "bad_file"),
        ("POST", show_id, "files", {"kind": "trailer"}, 422, "invalid"),
        ("DELETE", show_id, "files/rcf_" + "0" * 26, None, 404, "unknown_file"),
    ]
    for method, show, what, body, status, code in calls:
        path = f"/api/shows/{show}/recording/{what}"
        got, told = await staff.call(method, path, body)
        assert (got, told["code"]) == (status, code), (what, told)
        assert told["detail"]
    got, told = await staff.call("DELETE", f"/api/shows/{live}/recording")
    assert (got, told["code"]) == (409, "show_still_running")
