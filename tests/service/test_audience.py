"""A show for customers is for those whom the storefront signed on, and for the shop's staff."""

from datetime import timedelta
from typing import Any

import builders
import pytest
from checkout_builders import wish_of

from liveshop.app import Liveshop
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, ShowId, ViewerId
from liveshop.shows import wire
from liveshop.shows.model import AudienceChanged, CustomersOnly, UnknownShow
from liveshop.storage import Published
from liveshop.video.signing import PlaybackLinks, playlist_path
from liveshop.web import ANONYMOUS, Principal

GUEST = Principal("guest", "gst_" + "0" * 26, "Guest")
CUSTOMER = Principal("customer", "cus_" + "0" * 25 + "1", "Ada")
HOST = Principal("staff", "stf_" + "0" * 26, "Mira", frozenset({"shows:read", "shows:write"}))
STOCK_PROGRAM = Principal("api_key", "key_" + "0" * 26, "Stock", frozenset({"catalog:write"}))
OUTSIDE = [ANONYMOUS, GUEST, STOCK_PROGRAM]
INSIDE = [CUSTOMER, HOST]


class Room:
    """What the rooms of a shop were told, and who was sent away from them."""

    def __init__(self, shop: Liveshop) -> None:
        self.told: list[Published] = []
        self.sent_away: list[str] = []
        self.signals: list[AudienceChanged] = []
        shop.database.publish = self._tell
        shop.shows.send_away = self._send_away
        shop.database.listen(AudienceChanged, self.signals.append)

    async def _tell(self, published: list[Published]) -> None:
        self.told += published

    async def _send_away(self, room: str) -> None:
        self.sent_away.append(room)


async def show(shop: Liveshop, state: Any = "live", **given: Any) -> ShowId:
    given = {"title": "Evening", "audience": "customers"} | given
    created = await shop.shows.create_show(wire.ShowInput(**given))
    if state != "draft":
        await shop.shows.change_state(created.id, state)
    return created.id


async def hls(shop: Liveshop, show_id: ShowId, who: Principal) -> str | None:
    found = await shop.shows.show_for(show_id, who)
    async with shop.database.read() as conn:
        return (await shop.shows.show_out(conn, found)).hls


@pytest.mark.parametrize("who", OUTSIDE, ids=lambda who: who.kind)
async def test_others_are_told_that_it_is_for_customers(shop: Liveshop, who: Principal) -> None:
    show_id = await show(shop)
    with pytest.raises(CustomersOnly) as refused:
        await shop.shows.show_for(show_id, who)
    assert "Evening" not in refused.value.detail
    assert refused.value.data == {"show_id": show_id}
    with pytest.raises(CustomersOnly):
        await shop.offers.offers(show_id, who)


@pytest.mark.parametrize("who", INSIDE, ids=lambda who: who.kind)
async def test_customers_and_staff_see_it(shop: Liveshop, who: Principal) -> None:
    show_id = await show(shop)
    assert (await shop.shows.show_for(show_id, who)).audience == "customers"
    assert [one.id for one in await shop.shows.list_shows("live", who)] == [show_id]


@pytest.mark.parametrize("who", [*OUTSIDE, CUSTOMER], ids=lambda who: who.kind)
async def test_nobody_learns_of_a_draft(shop: Liveshop, who: Principal) -> None:
    show_id = await show(shop, "draft")
    with pytest.raises(UnknownShow):
        await shop.shows.show_for(show_id, who)


@pytest.mark.parametrize("who", OUTSIDE, ids=lambda who: who.kind)
async def test_lists_of_others_leave_it_out(shop: Liveshop, who: Principal) -> None:
    await show(shop)
    open_show = await show(shop, audience="everyone")
    assert [one.id for one in await shop.shows.list_shows(None, who)] == [open_show]


async def test_a_show_is_for_everyone_unless_somebody_says_otherwise(shop: Liveshop) -> None:
    created = await shop.shows.create_show(wire.ShowInput(title="A show"))
    assert created.audience == "everyone"
    kept = await shop.shows.change_show(created.id, wire.ShowChange(title="Another"))
    assert kept.audience == "everyone"
    changed = await shop.shows.change_show(created.id, wire.ShowChange(audience="customers"))
    assert changed.audience == "customers"


async def test_playback_addresses_are_signed_and_the_same_for_everybody(
    shop: Liveshop, clock: ManualClock
) -> None:
    show_id = await show(shop)
    links = PlaybackLinks(builders.SECRET, shop.settings.video.link_hours)
    address = await hls(shop, show_id, CUSTOMER)
    assert address == f"{shop.settings.public_url}{links.path(show_id, clock.now())}"
    clock.advance(timedelta(minutes=1))
    assert await hls(shop, show_id, HOST) == address


async def test_playback_addresses_for_everyone_are_plain(shop: Liveshop) -> None:
    show_id = await show(shop, audience="everyone")
    address = await hls(shop, show_id, ANONYMOUS)
    assert address == f"{shop.settings.public_url}{playlist_path(show_id)}"


async def test_a_show_that_is_no_longer_for_everyone_sends_its_room_away(shop: Liveshop) -> None:
    """Guests are in it: they must not be told the signed address."""
    show_id = await show(shop, audience="everyone")
    room = Room(shop)
    await shop.shows.change_show(show_id, wire.ShowChange(audience="customers"))
    assert room.signals == [AudienceChanged(show_id, "customers")]
    assert room.sent_away == [show_id]
    assert room.told == []


async def test_a_show_that_opens_to_everyone_tells_its_room(shop: Liveshop) -> None:
    show_id = await show(shop)
    room = Room(shop)
    await shop.shows.change_show(show_id, wire.ShowChange(audience="everyone"))
    assert room.signals == [AudienceChanged(show_id, "everyone")]
    assert room.sent_away == []
    (told,) = room.told
    assert isinstance(told.data, wire.ShowChanged)
    assert told.data.show.hls == f"{shop.settings.public_url}{playlist_path(show_id)}"


@pytest.mark.parametrize("audience", ["everyone", "customers"])
async def test_another_change_moves_nobody(shop: Liveshop, audience: Any) -> None:
    show_id = await show(shop, audience=audience)
    room = Room(shop)
    await shop.shows.change_show(show_id, wire.ShowChange(title="New", audience=audience))
    assert (room.signals, room.sent_away) == ([], [])
    assert [one.type for one in room.told] == ["show.changed"]


async def test_who_may_not_see_it_is_not_reminded_of_it(shop: Liveshop, clock: ManualClock) -> None:
    starts_at = clock.now() + timedelta(days=1)
    show_id = await show(shop, "scheduled", starts_at=starts_at)
    given = wire.ReminderInput(email="ada@example.org", consent=True)
    with pytest.raises(CustomersOnly):
        await shop.shows.sign_up_for_reminder(show_id, given, GUEST)
    await shop.shows.sign_up_for_reminder(show_id, given, CUSTOMER)


@pytest.fixture
async def mug(shop: Liveshop) -> Product:
    return await builders.product(shop)


async def test_guests_do_not_get_its_prices_by_its_id(shop: Liveshop, mug: Product) -> None:
    """An id is public: it may stand in a link that a customer passed on."""
    show_id, variant_id = await show(shop, product_ids=[mug.id]), mug.variants[0].id
    guest, customer = ViewerId(GUEST.id), ViewerId(CUSTOMER.id)
    with pytest.raises(CustomersOnly):
        await shop.carts.add_to_cart(guest, variant_id, 1, show_id=show_id)
    cart = await shop.carts.add_to_cart(customer, variant_id, 1, show_id=show_id)
    assert [line.show_id for line in cart.lines] == [show_id]
    assert (await shop.carts.add_to_cart(guest, variant_id, 1, show_id=None)).lines


async def test_guests_do_not_wait_in_it(shop: Liveshop, mug: Product) -> None:
    show_id, variant_id = await show(shop, product_ids=[mug.id]), mug.variants[0].id
    place = (await shop.catalog.locations())[0].id
    await shop.catalog.set_stock(variant_id, place, 0)
    with pytest.raises(CustomersOnly):
        await shop.waitlist.join(ViewerId(GUEST.id), variant_id, show_id)
    assert (await shop.waitlist.join(ViewerId(CUSTOMER.id), variant_id, show_id)).places


async def closed_under(shop: Liveshop, buyer: ViewerId, mug: Product) -> tuple[ShowId, LineId]:
    """Two mugs in a cart, of a show that was for everyone then."""
    show_id = await show(shop, audience="everyone", product_ids=[mug.id])
    cart = await shop.carts.add_to_cart(buyer, mug.variants[0].id, 2, show_id=show_id)
    await shop.shows.change_show(show_id, wire.ShowChange(audience="customers"))
    return show_id, LineId(cart.lines[0].id)


async def test_what_was_put_into_a_cart_before_it_closed_may_become_less_and_not_more(
    shop: Liveshop, mug: Product
) -> None:
    guest = ViewerId(GUEST.id)
    show_id, line_id = await closed_under(shop, guest, mug)
    with pytest.raises(CustomersOnly) as refused:
        await shop.carts.set_quantity(guest, line_id, 3)
    assert refused.value.data == {"show_id": show_id}
    with pytest.raises(CustomersOnly):
        await shop.carts.add_to_cart(guest, mug.variants[0].id, 1, show_id=None)
    changed = await shop.carts.set_quantity(guest, line_id, 1)
    assert changed.lines[0].quantity == 1
    assert not (await shop.carts.remove_line(guest, line_id)).lines


async def test_a_customer_may_have_more(shop: Liveshop, mug: Product) -> None:
    customer = ViewerId(CUSTOMER.id)
    _, line_id = await closed_under(shop, customer, mug)
    assert (await shop.carts.set_quantity(customer, line_id, 3)).lines[0].quantity == 3


async def test_guests_do_not_order_at_its_prices(shop: Liveshop, mug: Product) -> None:
    guest = ViewerId(GUEST.id)
    _, line_id = await closed_under(shop, guest, mug)
    wish = await wish_of(shop, guest)
    with pytest.raises(CustomersOnly):
        await shop.orders.place_order(guest, "key", wish)
    await shop.carts.remove_line(guest, line_id)
    await shop.carts.add_to_cart(guest, mug.variants[0].id, 1, show_id=None)
    order = await shop.orders.place_order(guest, "key", await wish_of(shop, guest))
    assert order.state == "confirmed"


async def test_guests_do_not_order_in_its_room(shop: Liveshop, mug: Product) -> None:
    show_id, variant_id = await show(shop), mug.variants[0].id
    for who, key in ((GUEST, "one"), (CUSTOMER, "other")):
        await shop.carts.add_to_cart(ViewerId(who.id), variant_id, 1, show_id=None)
        wish = await wish_of(shop, ViewerId(who.id), show_id=show_id)
        if who is GUEST:
            with pytest.raises(CustomersOnly):
                await shop.orders.place_order(ViewerId(who.id), key, wish)
        else:
            order = await shop.orders.place_order(ViewerId(who.id), key, wish)
            assert order.state == "confirmed"


async def test_nobody_orders_in_a_show_that_there_is_not(shop: Liveshop, mug: Product) -> None:
    customer = ViewerId(CUSTOMER.id)
    await shop.carts.add_to_cart(customer, mug.variants[0].id, 1, show_id=None)
    wish = await wish_of(shop, customer, show_id=ShowId("shw_" + "0" * 26))
    with pytest.raises(UnknownShow):
        await shop.orders.place_order(customer, "key", wish)
