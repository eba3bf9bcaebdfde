"""Shows: their states, lineup, pins, reminders; every change is an event of the room."""

import asyncio
import email
from datetime import datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any

import builders
import msgspec
import pytest
import sqlalchemy as sa
from builders import Api

from liveshop.app import Liveshop
from liveshop.customers.tables import consent
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows import reminders
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import PINS_REMEMBERED, TRANSITIONS, ShowState
from liveshop.storage import Published

STATES = tuple(TRANSITIONS)
DECLARED = {
    ("draft", "scheduled"),
    ("draft", "live"),
    ("scheduled", "draft"),
    ("scheduled", "live"),
    ("draft", "rehearsal"),
    ("scheduled", "rehearsal"),
    ("rehearsal", "draft"),
    ("rehearsal", "live"),
    ("live", "ended"),
    ("ended", "replay"),
    ("replay", "ended"),
}
WAY_TO: dict[str, list[ShowState]] = {
    "draft": [],
    "scheduled": ["scheduled"],
    "rehearsal": ["rehearsal"],
    "live": ["live"],
    "ended": ["live", "ended"],
    "replay": ["live", "ended", "replay"],
}
WORDING = "Remind me by one mail; my address is used for nothing else."


@pytest.fixture
async def host(api: Api, shop: Liveshop) -> Api:
    return api.with_token(await builders.staff_key(shop, "host"))


@pytest.fixture
async def goods(shop: Liveshop) -> list[ProductId]:
    return [(await builders.product(shop, title=title)).id for title in ("Mug", "Lamp", "Vase")]


@pytest.fixture
def heard(shop: Liveshop) -> list[Published]:
    """The events of all rooms, as they are published."""
    events: list[Published] = []
    publish = shop.database.publish

    async def listen(published: list[Published]) -> None:
        events.extend(published)
        await publish(published)

    shop.database.publish = listen
    return events


def told(heard: list[Published]) -> list[tuple[str, Any]]:
    """(type, data as it goes over the wire), and forget them.

    Without what the stock board says of the products: it speaks in its own time.
    """
    events = [
        (event.type, msgspec.to_builtins(event.data))
        for event in heard
        if event.type not in ("product.changed", "stock.changed")
    ]
    heard.clear()
    return events


async def show_in(shop: Liveshop, state: str, **given: Any) -> ShowId:
    """A show that went the declared way to a state."""
    created = await shop.shows.create_show(
        shows_wire.ShowInput(
            title="A show",
            starts_at=shop.clock.now() + timedelta(hours=2),
            replay_url="https://cdn.example/show.mp4",
            **given,
        )
    )
    for step in WAY_TO[state]:
        await shop.shows.change_state(created.id, step)
    return created.id


# -- states


async def test_a_show_moves_along_the_declared_states_and_no_others(
    host: Api, shop: Liveshop, heard: list[Published]
) -> None:
    for before in STATES:
        for after in STATES:
            show_id = await show_in(shop, before)
            heard.clear()
            status, answer = await host.call("POST", f"/api/shows/{show_id}/state", {"to": after})
            if (before, after) in DECLARED:
                assert (status, answer["state"]) == (200, after)
                if "rehearsal" in (before, after):
                    # Its room is emptied, and who may come back loads all anew.
                    assert told(heard) == []
                    continue
                ((kind, data),) = told(heard)
                assert kind == "show.changed"
                assert (data["show"]["id"], data["show"]["state"]) == (show_id, after)
            else:
                assert (status, answer["code"]) == (409, "wrong_show_state"), (before, after)
                allowed = sorted(to for was, to in DECLARED if was == before)
                assert answer["data"] == {"state": before, "allowed": allowed}
                assert told(heard) == []
                _, kept = await host.call("GET", f"/api/shows/{show_id}")
                assert kept["state"] == before


async def test_moments_of_a_show_are_noted_and_kept(
    host: Api, shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "draft")
    path = f"/api/shows/{show_id}/state"
    started = clock.now()
    _, show = await host.call("POST", path, {"to": "live"})
    assert datetime.fromisoformat(show["started_at"]) == started
    assert show["hls"].endswith(f"/hls/{show_id}/index.m3u8")
    clock.advance(timedelta(hours=1))
    _, show = await host.call("POST", path, {"to": "ended"})
    ended = show["ended_at"]
    assert datetime.fromisoformat(ended) == started + timedelta(hours=1)
    assert show["hls"] is None
    clock.advance(timedelta(days=1))
    for to in ("replay", "ended", "replay"):
        _, show = await host.call("POST", path, {"to": to})
        assert (show["ended_at"], datetime.fromisoformat(show["started_at"])) == (ended, started)


async def test_what_a_state_needs_is_asked_for(host: Api) -> None:
    _, show = await host.call("POST", "/api/shows", {"title": "Bare"})
    path = f"/api/shows/{show['id']}"
    status, problem = await host.call("POST", f"{path}/state", {"to": "scheduled"})
    assert (status, problem["code"]) == (409, "no_start_time")
    await host.call("PATCH", path, {"starts_at": "2026-12-01T19:00:00+01:00"})
    status, _ = await host.call("POST", f"{path}/state", {"to": "scheduled"})
    assert status == 200
    status, problem = await host.call("PATCH", path, {"starts_at": None})
    assert (status, problem["code"]) == (409, "no_start_time")
    for to in ("live", "ended"):
        await host.call("POST", f"{path}/state", {"to": to})
    status, problem = await host.call("POST", f"{path}/state", {"to": "replay"})
    assert (status, problem["code"]) == (409, "no_recording")
    await host.call("PATCH", path, {"replay_url": "https://cdn.example/show.mp4"})
    assert (await host.call("POST", f"{path}/state", {"to": "replay"}))[0] == 200


async def test_strangers_see_what_is_public(host: Api, api: Api, shop: Liveshop) -> None:
    ids = {state: await show_in(shop, state) for state in STATES}
    hidden = ("draft", "rehearsal")
    _, listed = await api.call("GET", "/api/shows")
    assert {show["id"] for show in listed["shows"]} == set(ids.values()) - {
        ids[state] for state in hidden
    }
    _, listed = await host.call("GET", "/api/shows")
    assert {show["id"] for show in listed["shows"]} == set(ids.values())
    for state in STATES:
        status, answer = await api.call("GET", f"/api/shows?state={state}")
        if state in hidden:
            assert (status, answer["code"]) == (403, "forbidden")
        else:
            assert [show["id"] for show in answer["shows"]] == [ids[state]]
    for part in ("", "/snapshot", "/calendar.ics"):
        for state in hidden:
            assert (await api.call("GET", f"/api/shows/{ids[state]}{part}"))[0] == 404
            assert (await host.call("GET", f"/api/shows/{ids[state]}{part}"))[0] == 200


# -- changes


async def test_a_host_chooses_how_a_show_holds_what_is_in_carts(
    host: Api, heard: list[Published]
) -> None:
    _, show = await host.call("POST", "/api/shows", {"title": "A"})
    assert (show["hold_mode"], show["hold_seconds"]) == ("hold_on_add", None)
    path = f"/api/shows/{show['id']}"
    for change in (
        {"hold_seconds": 120},
        {"hold_mode": "first_paid"},
        {"hold_mode": "hold_on_add", "hold_seconds": None},
    ):
        heard.clear()
        status, changed = await host.call("PATCH", path, change)
        assert (status, changed | change) == (200, changed)
        ((kind, data),) = told(heard)
        assert (kind, data["show"] | change) == ("show.changed", data["show"])
    for bad in (
        {"hold_mode": "never"},
        {"hold_mode": None},
        {"hold_seconds": 59},
        {"hold_seconds": 86_401},
        {"hold_seconds": 90.5},
        {"hold_seconds": -60},
    ):
        status, problem = await host.call("PATCH", path, bad)
        assert (status, problem["code"]) == (422, "invalid"), bad
        assert (await host.call("POST", "/api/shows", {"title": "A"} | bad))[0] == 422
    given = {"title": "B", "hold_mode": "first_paid", "hold_seconds": 60}
    _, made = await host.call("POST", "/api/shows", given)
    assert made | given == made


async def test_a_change_changes_what_is_given_and_the_room_hears_it(
    host: Api, shop: Liveshop, heard: list[Published]
) -> None:
    _, made = await host.call(
        "POST",
        "/api/shows",
        {
            "title": "  A \u202eshow ",
            "description": "One.\r\n\r\nTwo.",
            "languages": ["de", "de"],
            "time_zone": "America/New_York",
            "host_name": "Hedda",
        },
    )
    assert (made["title"], made["description"], made["languages"]) == (
        "A show",
        "One.\n\nTwo.",
        ["de"],
    )
    assert (made["state"], made["version"]) == ("draft", 1)
    assert told(heard) == []  # nobody can be in the room of a draft that was just made
    status, changed = await host.call("PATCH", f"/api/shows/{made['id']}", {"title": "Another"})
    assert status == 200
    assert changed == made | {"title": "Another", "version": 2}
    assert told(heard) == [("show.changed", {"show": changed})]
    status, same = await host.call("PATCH", f"/api/shows/{made['id']}", {})
    assert (status, same["title"]) == (200, "Another")


async def test_two_changes_at_once_are_both_kept(host: Api, shop: Liveshop) -> None:
    show_id = await show_in(shop, "draft")
    path = f"/api/shows/{show_id}"
    await host.call("PATCH", path, {"host_name": "Hedda"})
    await host.call("PATCH", path, {"description": "Words"})
    _, show = await host.call("GET", path)
    assert (show["host_name"], show["description"], show["version"]) == ("Hedda", "Words", 3)


# -- lineup and pins


async def test_a_lineup_has_its_order_and_the_room_hears_it(
    host: Api, shop: Liveshop, goods: list[ProductId], heard: list[Published]
) -> None:
    show_id = await show_in(shop, "live", product_ids=goods[:1])
    heard.clear()
    order = [goods[2], goods[0], goods[1]]
    status, show = await host.call("PUT", f"/api/shows/{show_id}/lineup", {"product_ids": order})
    assert (status, show["lineup"]) == (200, order)
    ((kind, data),) = told(heard)
    assert kind == "lineup.changed"
    assert data["show"]["lineup"] == [product["id"] for product in data["products"]] == order
    _, snapshot = await host.call("GET", f"/api/shows/{show_id}/snapshot")
    assert [product["id"] for product in snapshot["products"]] == order
    for wrong, status, code in (
        ([goods[0], goods[0]], 422, "bad_show"),
        (["prd_x"], 404, "unknown_product"),
        ([f"prd_{number}" for number in range(201)], 422, "invalid"),
    ):
        got, problem = await host.call(
            "PUT", f"/api/shows/{show_id}/lineup", {"product_ids": wrong}
        )
        assert (got, problem["code"]) == (status, code)
    assert told(heard) == []
    _, show = await host.call("GET", f"/api/shows/{show_id}")
    assert show["lineup"] == order
    status, show = await host.call("PUT", f"/api/shows/{show_id}/lineup", {"product_ids": []})
    assert (status, show["lineup"]) == (200, [])


async def test_pins_carry_the_moment_of_the_act_and_are_remembered(
    host: Api, shop: Liveshop, goods: list[ProductId], heard: list[Published], clock: ManualClock
) -> None:
    show_id = await show_in(shop, "live", product_ids=goods)
    heard.clear()
    path = f"/api/shows/{show_id}/pin"
    expected = []
    for product_id in (*goods, None, goods[0]):
        clock.advance(timedelta(seconds=7))
        if product_id is None:
            status, pin = await host.call("DELETE", path)
            kind, data = "product.unpinned", {"at": pin["at"]}
        else:
            status, pin = await host.call("PUT", path, {"product_id": product_id})
            kind, data = "product.pinned", {"product_id": product_id, "at": pin["at"]}
        assert (status, pin["product_id"]) == (200, product_id)
        assert datetime.fromisoformat(pin["at"]) == clock.now()
        assert told(heard) == [(kind, data)]
        expected.append(pin)
    _, snapshot = await host.call("GET", f"/api/shows/{show_id}/snapshot")
    assert snapshot["pins"] == expected


async def test_the_last_pins_are_remembered_oldest_first(
    shop: Liveshop, host: Api, goods: list[ProductId]
) -> None:
    show_id = await show_in(shop, "live", product_ids=goods)
    for number in range(PINS_REMEMBERED + 5):
        await shop.shows.pin_product(show_id, goods[number % 3])
    _, snapshot = await host.call("GET", f"/api/shows/{show_id}/snapshot")
    last = [goods[number % 3] for number in range(5, PINS_REMEMBERED + 5)]
    assert [pin["product_id"] for pin in snapshot["pins"]] == last


async def test_a_pinned_product_that_leaves_the_lineup_is_unpinned(
    host: Api, shop: Liveshop, goods: list[ProductId], heard: list[Published]
) -> None:
    show_id = await show_in(shop, "live", product_ids=goods)
    await shop.shows.pin_product(show_id, goods[0])
    heard.clear()
    await host.call("PUT", f"/api/shows/{show_id}/lineup", {"product_ids": goods})
    assert [kind for kind, _ in told(heard)] == ["lineup.changed"]
    await host.call("PUT", f"/api/shows/{show_id}/lineup", {"product_ids": goods[1:]})
    assert sorted(kind for kind, _ in told(heard)) == ["lineup.changed", "product.unpinned"]
    _, snapshot = await host.call("GET", f"/api/shows/{show_id}/snapshot")
    assert [pin["product_id"] for pin in snapshot["pins"]] == [goods[0], None]


@pytest.mark.parametrize("state", ["draft", "scheduled", "ended", "replay"])
async def test_products_are_pinned_in_a_live_show_only(
    state: str, host: Api, shop: Liveshop, goods: list[ProductId], heard: list[Published]
) -> None:
    show_id = await show_in(shop, state, product_ids=goods)
    heard.clear()
    path = f"/api/shows/{show_id}/pin"
    status, problem = await host.call("PUT", path, {"product_id": goods[0]})
    assert (status, problem["code"]) == (409, "show_not_live")
    assert problem["data"] == {"state": state}
    assert told(heard) == []


async def test_stock_and_products_that_change_are_told_to_the_shows_that_have_them(
    shop: Liveshop, host: Api, heard: list[Published], clock: ManualClock
) -> None:
    mug = await builders.product(shop, stock=5)
    other = await builders.product(shop, title="Other")
    with_it = [await show_in(shop, state, product_ids=[mug.id]) for state in ("live", "scheduled")]
    await show_in(shop, "live", product_ids=[other.id])
    await shop.stock_board.tell()
    heard.clear()
    guest = await host.with_token("").as_guest()
    body = {"variant_id": mug.variants[0].id, "quantity": 2}
    assert (await guest.call("POST", "/api/cart/lines", body))[0] == 200
    await shop.stock_board.tell()
    stock = [(event.room, event.type, msgspec.to_builtins(event.data)) for event in heard]
    change = {"variant_id": mug.variants[0].id, "product_id": mug.id, "available": 3}
    assert sorted(stock) == sorted((show, "stock.changed", change) for show in with_it)


# -- reminders


def sign_up(**changes: Any) -> dict[str, Any]:
    given = {"email": "Ada@Example.org", "language": "en", "consent": True, "wording": WORDING}
    return given | changes


def mails(shop: Liveshop) -> list[Any]:
    folder = Path(shop.settings.mail.folder)
    return [
        email.message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in sorted(folder.glob("*.eml"))
    ]


async def work(shop: Liveshop) -> None:
    """Everything that is due."""
    while await shop.reminder_worker.run_due():
        pass


async def test_who_asked_is_reminded_once_when_it_is_time(
    shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    nobody = builders.ALL_RIGHTS
    first = await shop.shows.sign_up_for_reminder(show_id, reminder(), nobody)
    again = await shop.shows.sign_up_for_reminder(
        show_id, reminder(email="ada@example.ORG"), nobody
    )
    assert (first.id, first.email) == (again.id, "ada@example.org")
    await shop.shows.sign_up_for_reminder(
        show_id, reminder(email="bea@example.org", language="de"), nobody
    )
    clock.advance(timedelta(hours=2) - timedelta(minutes=16))
    await work(shop)
    assert mails(shop) == []
    clock.advance(timedelta(minutes=1))
    await work(shop)
    ada, bea = sorted(mails(shop), key=lambda mail: str(mail["To"]))
    assert (ada["To"], ada["From"]) == ("ada@example.org", "shop@shop.example")
    assert ada["Subject"] == "Starting soon: A show"
    assert bea["Subject"] == "Gleich live: A show"
    assert f"{shop.settings.public_url}/s/{show_id}" in ada.get_content()
    assert "Saturday, 21 November 2026, 22:00 CET" in ada.get_content()
    for mail in Path(shop.settings.mail.folder).glob("*.eml"):
        mail.unlink()
    clock.advance(timedelta(minutes=30))
    await work(shop)
    assert mails(shop) == []


def reminder(**changes: Any) -> shows_wire.ReminderInput:
    return shows_wire.ReminderInput(**sign_up(**changes))


async def test_a_show_that_moved_reminds_at_its_new_time(
    shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    await shop.shows.sign_up_for_reminder(show_id, reminder(), builders.ALL_RIGHTS)
    start = clock.now() + timedelta(hours=5)
    await shop.shows.change_show(show_id, shows_wire.ShowChange(starts_at=start))
    clock.advance(timedelta(hours=2))
    await work(shop)
    assert mails(shop) == []
    clock.advance(timedelta(hours=3) - timedelta(minutes=15))
    await work(shop)
    (mail,) = mails(shop)
    assert "Sunday, 22 November 2026, 01:00 CET" in mail.get_content()


@pytest.mark.parametrize("to", ["draft", "ended"])
async def test_a_show_that_is_off_reminds_nobody(
    to: ShowState, shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    await shop.shows.sign_up_for_reminder(show_id, reminder(), builders.ALL_RIGHTS)
    if to == "ended":
        await shop.shows.change_state(show_id, "live")
    await shop.shows.change_state(show_id, to)
    clock.advance(timedelta(hours=3))
    await work(shop)
    assert mails(shop) == []


async def test_a_sign_up_needs_consent_and_an_address_that_could_be_one(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    path = f"/api/shows/{show_id}/reminders"
    for body, code in (
        (sign_up(consent=False), "consent_missing"),
        (sign_up(email="nonsense"), "invalid"),
        (sign_up(email="a@b"), "invalid"),
        (sign_up(email="@b.example"), "invalid"),
        (sign_up(email="a@b@c.example"), "invalid"),
        (sign_up(email="a b@c.example"), "invalid"),
        (sign_up(email="a@b.example\nBcc: c@d.example"), "invalid"),
        (sign_up(email="a,b@c.example"), "invalid"),
        (sign_up(email="<a@b.example>"), "invalid"),
        (sign_up(language="tlh"), "invalid"),
        ({"email": "a@b.example"}, "invalid"),
    ):
        status, problem = await api.call("POST", path, body)
        assert (status, problem["code"]) == (422, code), body
        clock.advance(timedelta(seconds=10))
    status, made = await api.call("POST", path, sign_up())
    assert (status, made["email"], made["show_id"]) == (201, "ada@example.org", show_id)
    for state in ("live", "ended", "replay"):
        other = await show_in(shop, state)
        status, problem = await api.call("POST", f"/api/shows/{other}/reminders", sign_up())
        assert (status, problem["code"]) == (409, "wrong_show_state")


async def test_the_words_that_were_agreed_to_are_kept_with_the_moment(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    status, _ = await api.call("POST", f"/api/shows/{show_id}/reminders", sign_up())
    assert status == 201
    async with shop.database.read() as conn:
        kept = (await conn.execute(sa.select(consent))).all()
    assert [(row.subject, row.wording, row.granted_at) for row in kept] == [
        ("ada@example.org", WORDING, clock.now())
    ]


async def test_who_took_the_consent_back_gets_no_mail(shop: Liveshop, clock: ManualClock) -> None:
    show_id = await show_in(shop, "scheduled")
    for address in ("ada@example.org", "bea@example.org"):
        await shop.shows.sign_up_for_reminder(show_id, reminder(email=address), builders.ALL_RIGHTS)
    await shop.customers.withdraw_consent(subject="ada@example.org", purpose=f"reminder:{show_id}")
    clock.advance(timedelta(hours=1, minutes=45))
    await work(shop)
    assert [mail["To"] for mail in mails(shop)] == ["bea@example.org"]


async def test_a_buyers_mail_does_not_wait_for_the_reminders_of_a_show(
    shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    for number in range(5):
        asked = reminder(email=f"ada{number}@example.org")
        await shop.shows.sign_up_for_reminder(show_id, asked, builders.ALL_RIGHTS)
    clock.advance(timedelta(hours=1, minutes=45))
    assert not await shop.mail_worker.run_due(), "reminders have a worker of their own"
    assert await shop.reminder_worker.run_due()
    assert mails(shop) == [], "what is due is planned first, a job for each address"
    for sent in range(1, 6):
        assert await shop.reminder_worker.run_due()
        assert len(mails(shop)) == sent
    assert not await shop.reminder_worker.run_due()


async def test_two_workers_and_a_job_that_comes_again_remind_nobody_twice(
    shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show_in(shop, "scheduled")
    await shop.shows.sign_up_for_reminder(show_id, reminder(), builders.ALL_RIGHTS)
    clock.advance(timedelta(hours=1, minutes=45))
    await shop.reminder_worker.run_due()
    await asyncio.gather(*(shop.reminder_worker.run_due() for _ in range(3)))
    (mail,) = Path(shop.settings.mail.folder).glob("*.eml")
    mail.unlink()
    async with shop.database.write() as tx:
        again = reminders.RemindJob(show_id)
        await tx.enqueue(reminders.TOPIC, again, now=clock.now(), key="again")
    await work(shop)
    assert mails(shop) == []
