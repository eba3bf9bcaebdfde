"""What promotions channels carry, what listings hold, and what answers of channels make of rows."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from promotions_builders import NOW, eur, promotion
from syndication_builders import FakeChannel, Links

from liveshop.catalog.model import Option, Picture, Product, Variant
from liveshop.connect import Accepted, Deferred, Listing, Refused, Seen, TextLimit
from liveshop.kernel.ids import MediaId, ProductId, ShowId, VariantId
from liveshop.promotions.model import (
    ByCode,
    InShow,
    Limit,
    OrderPercentOff,
    PercentOff,
    Period,
    Promotion,
)
from liveshop.syndication.carried import LeftOut, Reach, is_for_everybody, why_not
from liveshop.syndication.desired import Described, ListingMaker, shape_of
from liveshop.syndication.goals import Blocked, Off, Place, Show, Wait, planned
from liveshop.syndication.model import ConnectionId, ListingRow
from liveshop.syndication.reading import compared
from liveshop.syndication.says import PriceSchedule
from liveshop.syndication.store import HIDDEN
from liveshop.syndication.verdicts import MOST_ATTEMPTS, after_publish, after_take_off

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PUSHED = Reach("Pinterest", can_schedule_sales=True)
RIGID = Reach("Bazaar", can_schedule_sales=False)
DAILY = Reach("Google", can_schedule_sales=True, fetched_every_seconds=86_400)


def for_all(length: timedelta | None, **changes: object) -> Promotion:
    ends_at = None if length is None else NOW + length
    return promotion(PercentOff(100), period=Period(NOW, ends_at), **changes)


# What is carried


def test_a_promotion_is_carried_by_all_channels_or_by_none() -> None:
    assert why_not(for_all(HOUR), [PUSHED], NOW) == []
    (reason,) = why_not(for_all(HOUR), [PUSHED, RIGID], NOW)
    assert reason == "Bazaar cannot start and end a price at a set time"


def test_what_is_fetched_daily_never_carries_a_flash_price() -> None:
    assert why_not(for_all(2 * DAY), [PUSHED, DAILY], NOW) == []
    (reason,) = why_not(for_all(2 * DAY - HOUR), [PUSHED, DAILY], NOW)
    assert "Google fetches prices every 24 hours" in reason
    assert "at least 48 hours" in reason
    assert why_not(for_all(None), [DAILY], NOW) == []


def test_a_promotion_that_is_carried_stays_so_until_it_ends() -> None:
    one = for_all(3 * DAY)
    assert why_not(one, [DAILY], NOW) == []
    # Published long ago and nearly over is the same as published: the answer is of that moment.
    assert why_not(one, [DAILY], NOW - 10 * DAY) == []
    assert why_not(one, [DAILY], NOW + 2 * DAY) != []


def test_a_limited_promotion_is_left_out_in_words_of_the_language() -> None:
    limited = for_all(3 * DAY, limit=Limit(total=10))
    reasons = why_not(limited, [PUSHED], NOW, "de")
    text = LeftOut(limited, tuple(reasons)).in_words("de")
    assert text.startswith("Die Kanäle kündigen „Winterabend“ nicht an")
    assert "begrenzt" in text


def test_offers_codes_and_order_discounts_are_nothing_that_channels_announce() -> None:
    others = [
        for_all(HOUR, scope=InShow(ShowId("shw_1"))),
        for_all(HOUR, trigger=ByCode(frozenset({"x"}))),
        promotion(OrderPercentOff(100)),
    ]
    assert not any(is_for_everybody(one) for one in others)
    assert all(why_not(one, [RIGID], NOW) == [] for one in others)


# What a listing says


def a_product(**changes: object) -> tuple[Product, Variant]:
    variant = Variant(
        id=VariantId("var_1"),
        product_id=ProductId("prd_1"),
        sku="SHIRT-M",
        gtin=None,
        values=("M",),
        price=eur(4990),
        compare_at=None,
        tax_class="standard",
        picture_key="b",
        is_active=True,
    )
    made = Product(
        id=ProductId("prd_1"),
        source=None,
        source_id="1",
        title="Linen shirt",
        description_html="<p>Soft &amp; light</p>",
        brand="Fjord",
        category="Shirts",
        url="https://shop.example/shirt?size=m",
        options=(Option("Size", ("M",)),),
        pictures=(
            Picture("a", MediaId("med_a"), 800, 600, ""),
            Picture("b", MediaId("med_b"), 800, 600, "A shirt on a line"),
        ),
        variants=(variant,),
        is_active=True,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes), variant  # type: ignore[arg-type]


def maker(channel: FakeChannel | None = None, language: str = "en") -> ListingMaker:
    channel = channel or FakeChannel()
    shape = shape_of("fake", language, channel.listing_limits)
    return ListingMaker(shape, channel, Links(), Described())


def listing(available: int = 3, **changes: object) -> Listing:
    made = maker().make(*a_product(**changes), PriceSchedule(eur(4990)), available)
    assert isinstance(made, Listing)
    return made


def test_a_listing_names_the_variant_and_shows_its_own_picture_first() -> None:
    made = listing()
    assert (made.title, made.description) == ("Linen shirt, M", "Soft & light")
    assert made.options == (("Size", "M"),)
    assert [one.url.split("/")[4] for one in made.images] == ["med_b", "med_a"]
    assert made.link.startswith("https://shop.example/shirt?size=m&utm_source=fake")


def test_a_long_title_is_cut_before_what_tells_variants_apart() -> None:
    channel = FakeChannel(title=TextLimit(24))
    product, variant = a_product(title="A linen shirt for long summer evenings")
    made = maker(channel).make(product, variant, PriceSchedule(eur(4990)), 3)
    assert isinstance(made, Listing)
    assert made.title.endswith("…, M")
    assert len(made.title) <= 24


@pytest.mark.parametrize(
    ("changes", "word"), [({"url": None}, "link"), ({"pictures": ()}, "picture")]
)
def test_what_a_product_lacks_is_said_in_words(changes: dict[str, object], word: str) -> None:
    (problem,) = maker().make(*a_product(**changes), PriceSchedule(eur(1)), 3)  # type: ignore[misc]
    assert word in problem.reason


def test_a_sale_in_a_busy_show_does_not_touch_every_listing() -> None:
    shop, says = maker(), PriceSchedule(eur(4990))
    digests = {number: shop.digest(*a_product(), says, number) for number in (0, 1, 19, 20, 300)}
    assert digests[20] == digests[300]
    assert len(set(digests.values())) == 4
    assert (listing(300).quantity, listing(0).is_available) == (20, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Cotton shirt"},
        {"description_html": "<p>Heavy</p>"},
        {"url": "https://shop.example/other"},
        {"brand": None},
        {"category": "Tops"},
        {"pictures": a_product()[0].pictures[:1]},
        {"options": (Option("Grösse", ("M",)),)},
    ],
)
def test_whatever_a_listing_says_is_in_its_digest(changes: dict[str, object]) -> None:
    says = PriceSchedule(eur(4990))
    assert listing() != listing(**changes)
    assert maker().digest(*a_product(), says, 3) != maker().digest(*a_product(**changes), says, 3)


def test_language_and_limits_are_in_the_digest() -> None:
    says = PriceSchedule(eur(4990))
    usual = maker().digest(*a_product(), says, 3)
    assert usual == maker().digest(*a_product(), says, 3)
    assert usual != maker(language="de").digest(*a_product(), says, 3)
    assert usual != maker(FakeChannel(title=TextLimit(20))).digest(*a_product(), says, 3)


# What planning makes of a row

PLACE = Place(ConnectionId("con_1"), VariantId("var_1"), ProductId("prd_1"))
HIDING = replace(PLACE, can_hide=True)


def row(**changes: object) -> ListingRow:
    usual = ListingRow(PLACE.connection_id, PLACE.variant_id, PLACE.product_id, "pending", NOW)
    return replace(usual, **changes)  # type: ignore[arg-type]


LIVE = row(state="live", wanted="a", accepted="a", may_show=True)


def test_what_is_as_it_shall_be_is_left_alone() -> None:
    assert planned(LIVE, Show("a"), PLACE, NOW + DAY) is LIVE
    refused = row(state="rejected", wanted="a", reason="No.")
    assert planned(refused, Show("a"), PLACE, NOW + DAY) is refused


def test_something_new_is_sent_and_what_is_there_already_is_not() -> None:
    new = planned(None, Show("a"), PLACE, NOW)
    assert new is not None
    assert (new.state, new.wanted, new.due_at) == ("pending", "a", NOW)
    changed = planned(LIVE, Show("b"), PLACE, NOW + DAY)
    assert changed is not None
    assert (changed.state, changed.due_at, changed.since) == ("pending", NOW + DAY, NOW + DAY)
    back = planned(changed, Show("a"), PLACE, NOW + DAY)
    assert back is not None
    assert (back.state, back.due_at) == ("sent", None)


def test_a_price_that_changes_hides_what_is_seen_and_holds_back_what_is_not() -> None:
    hidden, off = planned(LIVE, Wait(), HIDING, NOW), planned(LIVE, Wait(), PLACE, NOW)
    assert hidden is not None
    assert off is not None
    assert (hidden.wanted, hidden.due_at) == (HIDDEN, NOW)
    assert (off.wanted, off.due_at) == (None, NOW)
    waiting = planned(None, Wait(), HIDING, NOW)
    assert waiting is not None
    assert (waiting.wanted, waiting.due_at, waiting.state) == (None, None, "pending")


def test_what_is_gone_is_taken_off_and_what_never_was_there_is_just_withdrawn() -> None:
    off = planned(LIVE, Off(), PLACE, NOW)
    assert off is not None
    assert (off.state, off.wanted, off.due_at) == ("pending", None, NOW)
    never = planned(row(wanted="a", due_at=NOW), Off(), PLACE, NOW)
    assert never is not None
    assert (never.state, never.due_at) == ("withdrawn", None)
    assert planned(None, Off(), PLACE, NOW) is None


def test_what_cannot_go_there_any_more_is_taken_off_and_says_why() -> None:
    blocked = planned(LIVE, Blocked("No picture."), PLACE, NOW)
    assert blocked is not None
    assert (blocked.state, blocked.reason, blocked.due_at) == ("rejected", "No picture.", NOW)
    assert planned(blocked, Blocked("No picture."), PLACE, NOW) is blocked


# What a channel's answer makes of a row

SENDING = row(wanted="b", accepted=None, may_show=True, due_at=NOW)


def test_a_refusal_leaves_what_was_there() -> None:
    before = replace(SENDING, accepted="a")
    after = after_publish(SENDING, before, "b", Refused("var_1", "Not that title."), NOW)
    assert (after.state, after.reason, after.accepted) == ("rejected", "Not that title.", "a")
    assert after.due_at is None
    never = after_publish(SENDING, replace(SENDING, may_show=False), "b", Refused("v", "No."), NOW)
    assert not never.may_show


def test_an_answer_to_what_is_wanted_no_more_does_not_end_the_sending() -> None:
    meanwhile = replace(SENDING, wanted="c")
    after = after_publish(meanwhile, SENDING, "b", Accepted("var_1"), NOW)
    assert (after.accepted, after.due_at, after.state) == ("b", NOW, "pending")


def test_what_is_put_off_too_often_is_given_up_with_a_reason() -> None:
    one: ListingRow = SENDING
    waits = []
    for _ in range(MOST_ATTEMPTS - 1):
        one = after_publish(one, one, "b", Deferred("var_1", "Busy.", after=45), NOW)
        assert one.due_at is not None
        waits.append(one.due_at - NOW)
    assert waits[0] >= timedelta(seconds=45)
    assert waits[-1] > 8 * waits[0]
    one = after_publish(one, one, "b", Deferred("var_1", "Busy."), NOW)
    assert (one.state, one.due_at) == ("rejected", None)
    assert one.reason == "Given up after 8 attempts. The channel last said: Busy."


def test_what_is_still_seen_is_not_hidden_whatever_the_channel_answered() -> None:
    hiding = replace(LIVE, wanted=HIDDEN, accepted=None, due_at=NOW)
    done = after_take_off(hiding, Accepted("var_1"), NOW, was_hidden=True, is_seen=False)
    assert (done.may_show, done.accepted, done.due_at) == (False, HIDDEN, None)
    seen = after_take_off(hiding, Accepted("var_1"), NOW, was_hidden=True, is_seen=True)
    assert seen.may_show
    assert seen.due_at is not None
    assert seen.due_at > NOW


def test_what_cannot_be_hidden_is_taken_off_and_never_given_up() -> None:
    one = replace(LIVE, wanted=HIDDEN, accepted=None, due_at=NOW)
    one = after_take_off(one, Refused("var_1", "No."), NOW, was_hidden=True, is_seen=False)
    assert (one.wanted, one.may_show) == (None, True)
    for _ in range(20):
        one = after_take_off(one, Refused("var_1", "No."), NOW, was_hidden=False, is_seen=False)
    assert one.state == "rejected"
    assert "Take it off there by hand" in (one.reason or "")
    assert one.due_at is not None


# What a look at the channel makes of a row

SENT = replace(LIVE, state="sent")
OURS = {"title": "Mug", "price": "2800"}


def look(one: ListingRow, seen: Seen | None, at: datetime = NOW + HOUR) -> ListingRow:
    return compared(one, seen, at, ours=OURS, title="Fake")


def shows(**theirs: str) -> Seen:
    return Seen("var_1", "r-1", shown=OURS | theirs)


def test_it_is_live_when_it_was_seen_as_it_was_sent() -> None:
    assert look(SENT, shows()).state == "live"
    assert look(SENT, Seen("var_1", status="in_review")).state == "sent"
    rejected = look(SENT, Seen("var_1", status="rejected", reason="Weapons."))
    assert (rejected.state, rejected.reason) == ("rejected", "Weapons.")


def test_what_differs_is_sent_again_but_not_for_ever() -> None:
    one = SENT
    for _ in range(3):
        one = look(one, shows(title="MUG!!"))
        assert one.state == "drifted"
        assert one.due_at is not None
        assert (one.accepted, one.reason) == (
            None,
            "Fake shows another title: “MUG!!” instead of “Mug”. It is sent again.",
        )
        one = replace(one, state="sent", accepted="a", due_at=None)
    one = look(one, shows(title="MUG!!"))
    assert (one.state, one.due_at) == ("drifted", None)
    assert (one.reason or "").endswith("Fake changes it back whenever it is sent.")
    assert look(one, shows()).drift is None


def test_another_field_that_differs_is_counted_from_the_start() -> None:
    one = look(SENT, shows(title="MUG!!"))
    again = look(replace(one, state="sent"), shows(price="2900"))
    assert again.drift is not None
    assert (again.drift.field, again.drift.times) == ("price", 1)


def test_what_is_not_there_yet_is_not_missing_until_it_had_time() -> None:
    assert look(SENT, None, NOW + timedelta(seconds=5)).state == "sent"
    missing = look(SENT, None)
    assert missing.state == "drifted"
    assert missing.drift is not None
    assert missing.drift.field == "missing"
