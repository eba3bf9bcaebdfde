"""A stream key opens one show for one person, until it is rotated, revoked, or the show is over."""

import asyncio
from datetime import timedelta
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from builders import Api

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire
from liveshop.shows.model import UnknownShow, WrongState
from liveshop.shows.stream_keys import (
    EncoderDelayChanged,
    StreamKeys,
    StreamKeyStopped,
    UnknownStreamKey,
)
from liveshop.shows.tables import stream_key
from liveshop.video.model import KeyRefused
from liveshop.web import Principal


async def host(shop: Liveshop, name: str = "Mira", *roles: str) -> Principal:
    member = await shop.accounts.create_staff(
        email=f"{name.lower()}@shop.example",
        name=name,
        password=builders.PASSWORD,
        roles=roles or ("host",),
    )
    return member.as_principal()


async def draft(shop: Liveshop, **given: Any) -> ShowId:
    return (await shop.shows.create_show(wire.ShowInput(title="A show", **given))).id


def stopped(shop: Liveshop) -> list[StreamKeyStopped]:
    """The signals there will be."""
    heard: list[StreamKeyStopped] = []
    shop.database.listen(StreamKeyStopped, heard.append)
    return heard


async def reason(keys: StreamKeys, secret: str) -> str:
    """Why a key is refused."""
    with pytest.raises(KeyRefused) as refused:
        await keys.authorise(secret)
    assert secret not in repr(refused.value)
    assert refused.value.detail
    return str(refused.value.data["reason"])


async def test_a_key_lets_its_person_send_video_to_its_show(
    shop: Liveshop, clock: ManualClock
) -> None:
    mira, show_id = await host(shop), await draft(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    clock.advance(timedelta(minutes=5))
    publishing = await shop.stage.stream_keys.authorise(issued.secret)
    assert (publishing.show_id, publishing.person_id) == (show_id, mira.id)
    assert not publishing.is_on_air
    assert not publishing.for_customers
    assert publishing.capture_delay == timedelta(0)
    (listed,) = (await shop.stage.stream_keys.list_keys(show_id, mira)).keys
    assert listed.last_used_at == clock.now()
    assert (listed.person_name, listed.is_mine) == ("Mira", True)
    assert issued.secret.endswith(listed.hint)


async def test_a_key_says_what_its_show_is_when_it_is_used(shop: Liveshop) -> None:
    mira = await host(shop)
    show_id = await draft(shop, audience="customers")
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    await shop.shows.change_state(show_id, "live")
    await shop.stage.stream_keys.set_delay(mira, 480)
    publishing = await shop.stage.stream_keys.authorise(issued.secret)
    assert publishing.is_on_air
    assert publishing.for_customers
    assert publishing.capture_delay == timedelta(milliseconds=480)


async def test_a_key_is_kept_as_a_hash_and_has_256_bits(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    async with shop.database.read() as conn:
        row = (await conn.execute(sa.select(stream_key))).one()
    assert issued.secret not in str(row)
    assert len(issued.secret.removeprefix("lsv_")) == 43
    assert show_id not in issued.secret


async def test_a_new_key_stops_the_one_before(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    old = await shop.stage.stream_keys.issue(show_id, mira)
    heard = stopped(shop)
    new = await shop.stage.stream_keys.issue(show_id, mira)
    assert heard == [StreamKeyStopped(show_id, mira.id)]
    assert await reason(shop.stage.stream_keys, old.secret) == "unknown"
    await shop.stage.stream_keys.authorise(new.secret)
    assert len((await shop.stage.stream_keys.list_keys(show_id, mira)).keys) == 1


async def test_a_first_key_stops_nobody(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    heard = stopped(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    await shop.stage.stream_keys.revoke(show_id, mira.id)
    heard.clear()
    again = await shop.stage.stream_keys.issue(show_id, mira)
    assert heard == []
    assert issued.secret != again.secret


async def test_each_person_has_a_key_and_each_show_another(shop: Liveshop) -> None:
    mira, noor = await host(shop, "Mira"), await host(shop, "Noor")
    one, other = await draft(shop), await draft(shop)
    secrets = [
        (await shop.stage.stream_keys.issue(show_id, who)).secret
        for show_id in (one, other)
        for who in (mira, noor)
    ]
    allowed = [await shop.stage.stream_keys.authorise(secret) for secret in secrets]
    assert [(each.show_id, each.person_id) for each in allowed] == [
        (one, mira.id),
        (one, noor.id),
        (other, mira.id),
        (other, noor.id),
    ]
    assert [key.is_mine for key in (await shop.stage.stream_keys.list_keys(one, noor)).keys] == [
        key.person_id == noor.id for key in (await shop.stage.stream_keys.list_keys(one, mira)).keys
    ]


async def test_a_revoked_key_is_cut_off_at_once(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    heard = stopped(shop)
    await shop.stage.stream_keys.revoke(show_id, mira.id)
    assert heard == [StreamKeyStopped(show_id, mira.id)]
    assert await reason(shop.stage.stream_keys, issued.secret) == "unknown"
    assert (await shop.stage.stream_keys.list_keys(show_id, mira)).keys == []
    with pytest.raises(UnknownStreamKey):
        await shop.stage.stream_keys.revoke(show_id, mira.id)


@pytest.mark.parametrize("state", ["ended", "replay"])
async def test_a_show_that_is_over_takes_no_video(shop: Liveshop, state: str) -> None:
    mira, show_id = await host(shop), await draft(shop, replay_url="https://shop.example/r.mp4")
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    await shop.shows.change_state(show_id, "live")
    await shop.shows.change_state(show_id, "ended")
    if state == "replay":
        await shop.shows.change_state(show_id, "replay")
    assert await reason(shop.stage.stream_keys, issued.secret) == "over"
    with pytest.raises(WrongState):
        await shop.stage.stream_keys.issue(show_id, mira)


@pytest.mark.parametrize(
    "secret",
    ["", "lsv_", "lsv_" + "x" * 43, "lsv_" + "x" * 5000, "lsv_ü", "lsk_" + "x" * 43, "live?a=b\0"],
)
async def test_what_is_no_key_is_refused(shop: Liveshop, secret: str) -> None:
    assert await reason(shop.stage.stream_keys, secret or "lsv_none") == "unknown"


async def test_who_is_switched_off_sends_nothing_more(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    heard = stopped(shop)
    await shop.accounts.change_staff(mira.id, active=False)
    assert heard == [StreamKeyStopped(show_id, mira.id)]
    assert await reason(shop.stage.stream_keys, issued.secret) == "unknown"


async def test_who_is_no_host_any_more_sends_nothing_more(shop: Liveshop) -> None:
    mira, noor, show_id = await host(shop, "Mira"), await host(shop, "Noor"), await draft(shop)
    issued = await shop.stage.stream_keys.issue(show_id, mira)
    other = await shop.stage.stream_keys.issue(show_id, noor)
    heard = stopped(shop)
    await shop.accounts.change_staff(mira.id, roles=["moderator"])
    assert heard == [StreamKeyStopped(show_id, mira.id)]
    assert await reason(shop.stage.stream_keys, issued.secret) == "unknown"
    await shop.stage.stream_keys.authorise(other.secret)


async def test_a_stream_key_ends_with_the_api_key_that_made_it(
    shop: Liveshop, clock: ManualClock
) -> None:
    mira, show_id = await host(shop), await draft(shop)
    revoked, secret = await shop.accounts.create_key(
        name="OBS", permissions=["shows:write"], by=mira
    )
    issued = await shop.stage.stream_keys.issue(
        show_id, await shop.accounts.principal_of_key(secret)
    )
    _, secret = await shop.accounts.create_key(
        name="For today",
        permissions=["shows:write"],
        by=mira,
        expires_at=clock.now() + timedelta(days=1),
    )
    brief = await shop.stage.stream_keys.issue(
        show_id, await shop.accounts.principal_of_key(secret)
    )
    await shop.stage.stream_keys.authorise(issued.secret)
    await shop.stage.stream_keys.authorise(brief.secret)
    heard = stopped(shop)
    await shop.accounts.revoke_key(revoked.id)
    assert heard == [StreamKeyStopped(show_id, revoked.id)]
    assert await reason(shop.stage.stream_keys, issued.secret) == "unknown"
    clock.advance(timedelta(days=2))
    assert await reason(shop.stage.stream_keys, brief.secret) == "dismissed"


async def test_of_two_rotations_at_once_one_key_works(shop: Liveshop) -> None:
    mira, show_id = await host(shop), await draft(shop)
    both = await asyncio.gather(*(shop.stage.stream_keys.issue(show_id, mira) for _ in range(2)))
    working = 0
    for issued in both:
        try:
            await shop.stage.stream_keys.authorise(issued.secret)
            working += 1
        except KeyRefused:
            pass
    assert working == 1


async def test_there_is_no_key_for_no_show(shop: Liveshop) -> None:
    mira, nothing = await host(shop), ShowId("shw_" + "0" * 26)
    with pytest.raises(UnknownShow):
        await shop.stage.stream_keys.issue(nothing, mira)
    with pytest.raises(UnknownShow):
        await shop.stage.stream_keys.list_keys(nothing, mira)
    with pytest.raises(UnknownShow):
        await shop.stage.stream_keys.revoke(nothing, mira.id)


async def test_a_delay_is_of_one_person_and_counts_at_once(
    shop: Liveshop, clock: ManualClock
) -> None:
    mira, noor = await host(shop, "Mira"), await host(shop, "Noor")
    heard: list[EncoderDelayChanged] = []
    shop.database.listen(EncoderDelayChanged, heard.append)
    assert (await shop.stage.stream_keys.delay_of(mira)).set_at is None
    await shop.stage.stream_keys.set_delay(mira, 480)
    await shop.stage.stream_keys.set_delay(mira, 500)
    assert heard[-1] == EncoderDelayChanged(mira.id, timedelta(milliseconds=500))
    delay = await shop.stage.stream_keys.delay_of(mira)
    assert (delay.milliseconds, delay.set_at) == (500, clock.now())
    assert (await shop.stage.stream_keys.delay_of(noor)).milliseconds == 0


# Over HTTP


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_studio_gets_what_an_encoder_asks_for(api: Api, shop: Liveshop) -> None:
    show_id = await draft(shop)
    caller = api.with_token(await builders.staff_key(shop, "host"))
    status, issued = await caller.call("POST", f"/api/shows/{show_id}/stream-keys")
    assert status == 201
    assert issued["server"].startswith("rtmp://")
    status, listed = await caller.call("GET", f"/api/shows/{show_id}/stream-keys")
    assert (status, listed["server"]) == (200, issued["server"])
    assert issued["secret"] not in str(listed)
    (key,) = listed["keys"]
    address = f"/api/shows/{show_id}/stream-keys/{key['person_id']}"
    assert (await caller.call("DELETE", address))[0] == 204
    status, problem = await caller.call("DELETE", address)
    assert (status, problem["code"]) == (404, "unknown_stream_key")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("milliseconds", [-1, 3001, 1.5, None, "400"])
async def test_a_delay_is_between_none_and_three_seconds(
    api: Api, shop: Liveshop, milliseconds: Any
) -> None:
    caller = api.with_token(await builders.staff_key(shop, "host"))
    status, _ = await caller.call("PUT", "/api/encoder-delay", {"milliseconds": milliseconds})
    assert status == 422
    status, delay = await caller.call("PUT", "/api/encoder-delay", {"milliseconds": 3000})
    assert (status, delay["milliseconds"]) == (200, 3000)
