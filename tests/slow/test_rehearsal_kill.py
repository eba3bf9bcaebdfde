"""A server that is killed in mid-rehearsal: it goes on where it was, and ends with nothing left."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from builders import ADDRESS, GOOD_CARD
from e2e.house import House, Refused

pytestmark = pytest.mark.slow
MUG = "Fjord stoneware mug"


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "demo")
    await house.start()
    yield house
    await house.stop()


async def buys(house: House, token: str, show_id: str, variant_id: str, key: str) -> Any:
    line = {"variant_id": variant_id, "quantity": 1, "show_id": show_id}
    await house.call("POST", "/api/cart/lines", line, token=token)
    quote = await house.call("POST", "/api/cart/quote", {"country": "DE"}, token=token)
    order = {
        "expected_total": quote["total"],
        "email": "ada@example.org",
        "address": ADDRESS,
        "payment": {"method": "rehearsal", "card_number": GOOD_CARD},
        "show_id": show_id,
    }
    return await house.call("POST", "/api/orders", order, token=token, **{"Idempotency-Key": key})


async def test_a_killed_server_goes_on_rehearsing_and_ends_cleanly(mortal: House) -> None:
    before = await mortal.product(MUG)
    variant_id = before["variants"][0]["id"]
    show_id = await mortal.new_show("Killed while it practised", MUG)
    await mortal.move(show_id, "rehearsal")
    code = (await mortal.host("POST", f"/api/shows/{show_id}/rehearsal/invite"))["code"]
    guests = [
        (await mortal.call("POST", "/api/rehearsals/guests", {"invitation": code}))["token"]
        for _ in range(6)
    ]
    first = await buys(mortal, guests[0], show_id, variant_id, "first")
    buying = [
        asyncio.create_task(buys(mortal, token, show_id, variant_id, "one")) for token in guests[1:]
    ]
    await asyncio.sleep(0)
    await asyncio.wait(buying, return_when=asyncio.FIRST_COMPLETED)
    await mortal.kill()
    await asyncio.gather(*buying, return_exceptions=True)
    await mortal.start()

    show = await mortal.host("GET", f"/api/shows/{show_id}")
    assert (show["state"], show["after_rehearsal"]) == ("rehearsal", "draft")
    kept = await mortal.call("GET", f"/api/orders/{first['id']}", token=guests[0])
    assert kept["number"] == first["number"]
    assert (await buys(mortal, guests[0], show_id, variant_id, "second"))["is_rehearsal"]
    assert await mortal.product(MUG) == before
    await mortal.move(show_id, "draft")
    for path in (f"/api/orders?show_id={show_id}", "/api/orders?rehearsal=true"):
        assert (await mortal.host("GET", path))["orders"] == []
    with pytest.raises(Refused) as refused:
        await mortal.call("GET", "/api/cart", token=guests[0])
    assert refused.value.status == 401
    assert await mortal.product(MUG) == before
