"""What Meta's errors, headers and prices mean, without any network."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from facebook_business.adobjects.page import Page
from facebook_business.adobjects.productcatalog import ProductCatalog
from fakes import meta_spec as spec
from hypothesis import given
from hypothesis import strategies as st

from connectors.channels.meta import items
from connectors.channels.meta.errors import NotThere, TooMuchAtOnce, meaning
from connectors.channels.meta.graph import usage_rest
from liveshop.connect import (
    ConnectorError,
    Listing,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Sale,
    SkipListing,
    format_price,
)
from liveshop.connect.contract.samples import listing
from liveshop.kernel.money import Money

TOKEN = "EAAsecretsecretsecretsecret"


def means(code: int, message: str = "words", **error: Any) -> ConnectorError:
    return meaning(
        {"code": code, "message": message, **error},
        is_repeatable=False,
        after=90.0,
        permissions=("pages_manage_posts",),
        secrets=(TOKEN,),
    )


@pytest.mark.parametrize("subcode", [458, 460, 463, 467, None])
def test_a_token_that_is_no_longer_taken_asks_for_attention(subcode: int | None) -> None:
    error = means(190, error_subcode=subcode)
    assert isinstance(error, NeedsAttention)
    assert "Make a new one" in error.detail


def test_an_expired_and_a_revoked_token_are_told_apart() -> None:
    assert "expired" in means(190, error_subcode=463).detail
    assert "revoked" in means(190, error_subcode=467).detail


@pytest.mark.parametrize("code", [3, 10, 200, 230, 299])
def test_a_missing_permission_is_named(code: int) -> None:
    named = means(code, "(#200) Requires pages_read_engagement permission to manage the object")
    assert isinstance(named, NeedsAttention)
    assert "pages_read_engagement" in named.detail
    assert "pages_manage_posts" in means(code, "Permissions error").detail


@pytest.mark.parametrize("code", [4, 9, 17, 32, 341, 613, 80001, 80004, 80009, 80014])
def test_too_many_calls_wait_as_long_as_meta_says(code: int) -> None:
    error = means(code)
    assert isinstance(error, RetryLater)
    assert not isinstance(error, OutcomeUnknown)
    assert error.after == 90


@pytest.mark.parametrize("code", [1, 2, -1, -2])
def test_a_problem_of_metas_leaves_the_outcome_of_a_post_open(code: int) -> None:
    assert isinstance(means(code), OutcomeUnknown)
    repeatable = meaning({"code": code}, is_repeatable=True, after=None, permissions=(), secrets=())
    assert type(repeatable) is RetryLater


def test_what_was_too_large_is_told_from_other_problems() -> None:
    message = "Please reduce the amount of data you're asking for, then retry your request"
    assert isinstance(means(1, message), TooMuchAtOnce)


def test_spam_and_restricted_accounts_ask_for_attention() -> None:
    assert isinstance(means(368), NeedsAttention)
    assert isinstance(means(4, error_subcode=2207051), NeedsAttention)
    assert isinstance(means(25, error_subcode=2207050), NeedsAttention)


def test_a_wrong_parameter_names_the_part_that_has_to_change() -> None:
    error = means(100, "(#100) Param message must be a string")
    assert isinstance(error, SkipListing)
    assert error.field == "text"
    picture = means(36003, error_subcode=2207009)
    assert isinstance(picture, SkipListing)
    assert picture.field == "images"


def test_what_does_not_exist_is_told_apart() -> None:
    assert isinstance(means(100, error_subcode=33), NotThere)


@given(st.integers(-5, 100_000), st.text(max_size=50), st.text(max_size=20))
def test_no_error_tells_a_token_and_every_error_has_words(code: int, before: str, to: str) -> None:
    error = means(code, f"{before}{TOKEN}{to}")
    assert error.detail.strip()
    assert TOKEN not in str(error)


# Usage headers


def test_a_full_use_case_waits_for_the_minutes_that_meta_says() -> None:
    header = '{"99": [{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 7}]}'
    assert usage_rest({"X-Business-Use-Case-Usage": header}) == 420


def test_a_full_app_rests_for_a_while() -> None:
    assert usage_rest({"X-App-Usage": '{"call_count": 100, "total_time": 5}'}) == 300
    assert usage_rest({"X-App-Usage": '{"call_count": 50}'}) is None
    assert usage_rest({"X-App-Usage": '{"call_count": 50}'}, full_percent=50) == 300


@pytest.mark.parametrize("header", ["", "{", "[]", '{"1": 5}', '{"1": [5]}', '{"1": [{}]}'])
def test_a_usage_header_that_makes_no_sense_is_left_alone(header: str) -> None:
    assert usage_rest({"X-App-Usage": header, "X-Business-Use-Case-Usage": header}) is None


# Prices and sales


@pytest.mark.parametrize(
    ("told", "currency", "sent"),
    [
        ("€49.90", "EUR", "49.90 EUR"),
        ("49,90 €", "EUR", "49.90 EUR"),
        ("$1,299.00", "USD", "1299.00 USD"),
        ("1.299,00 €", "EUR", "1299.00 EUR"),
        ("1 299,00 €", "EUR", "1299.00 EUR"),
        ("1'299.00 CHF", "CHF", "1299.00 CHF"),
        ("€1,299", "EUR", "1299.00 EUR"),
        ("¥1,299", "JPY", "1299 JPY"),
        ("KWD 1.299", "KWD", "1.299 KWD"),
        ("no price", "EUR", "no price"),
        ("€49.90", "", "€49.90"),
    ],
)
def test_a_price_for_people_is_read_as_it_was_sent(told: str, currency: str, sent: str) -> None:
    assert items.price_as_sent(told, currency) == sent


@given(
    st.integers(1, 10**9), st.sampled_from(["EUR", "JPY", "KWD"]), st.sampled_from(["pre", "post"])
)
def test_every_price_survives_the_way_there_and_back(amount: int, currency: str, side: str) -> None:
    sent = format_price(Money(amount, currency))
    whole, mark, fraction = sent.split()[0].partition(".")
    if side == "pre":
        told = f"€{int(whole):,}{mark}{fraction}"
    else:
        told = f"{int(whole):,}".replace(",", ".") + mark.replace(".", ",") + fraction + " €"
    assert items.price_as_sent(told, currency) == sent


def sold(sale: Sale | None) -> Listing:
    made = listing(1)
    return Listing(**{name: getattr(made, name) for name in Listing.__slots__} | {"sale": sale})


def test_an_open_sale_gets_far_ends_and_a_sale_without_any_gets_none() -> None:
    starts = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
    half_open = items.item_of(sold(Sale(Money(1500, "EUR"), starts)), condition="new")
    assert half_open["sale_price_effective_date"] == "2026-11-21T19:00+00:00/2100-01-01T00:00+00:00"
    always = items.item_of(sold(Sale(Money(1500, "EUR"))), condition="new")
    assert (always["sale_price"], always["sale_price_effective_date"]) == ("15.00 EUR", "")
    none = items.item_of(sold(None), condition="new")
    assert (none["sale_price"], none["sale_price_effective_date"]) == ("", "")


def test_the_ends_of_a_sale_read_back_in_another_zone_are_the_same() -> None:
    starts = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
    on_sale = sold(Sale(Money(1500, "EUR"), starts, starts + timedelta(days=1, seconds=5)))
    told = {
        "id": "1",
        "retailer_id": on_sale.id,
        "price": "€19.91",
        "sale_price": "€15.00",
        "currency": "EUR",
        "sale_price_start_date": "2026-11-21T11:00:00-0800",
        "sale_price_end_date": "2026-11-22T19:00:05+0000",
    }
    shown, ours = items.seen(told).shown, items.shown_as(on_sale)
    assert shown is not None
    for name in ("price", "sale_price", "sale_starts", "sale_ends"):
        assert shown[name] == ours[name]


def test_options_go_to_their_own_fields_or_to_the_common_one() -> None:
    options = (("Farbe", "Rot"), ("Size", "M"), ("Scent: strong", "a,b"))
    made = listing(1)
    with_options = Listing(
        **{name: getattr(made, name) for name in Listing.__slots__} | {"options": options}
    )
    item = items.item_of(with_options, condition="new")
    assert (item["color"], item["size"]) == ("Rot", "M")
    assert item["additional_variant_attribute"] == "Scent strong:a b"


# The fake itself


def test_the_fake_notices_names_and_types_that_meta_does_not_know() -> None:
    feed = spec.call(Page, "create_feed")
    assert list(feed.request_problems({"message": "Hello"})) == []
    assert list(feed.request_problems({"mesage": "Hello"})) == [
        "POST Page/feed: there is no parameter mesage"
    ]
    for wrong in ({"published": "True"}, {"attached_media": "12"}, {"scheduled_publish_time": "x"}):
        assert len(list(feed.request_problems(wrong))) == 1
    products = spec.call(ProductCatalog, "get_products")
    assert len(list(products.request_problems({"fields": "id,retailer_idd"}))) == 1
    assert list(products.answer_problems({"data": [{"id": "1", "name": "Mug"}]})) == []
    assert len(list(products.answer_problems({"data": [{"id": "1", "nam": "Mug"}]}))) == 1
    assert len(list(products.answer_problems({"data": [{"id": "1", "price": 5}]}))) == 1


def test_the_fake_notices_a_wrong_field_of_an_item() -> None:
    good = {"method": "UPDATE", "data": items.item_of(listing(1), condition="new")}
    assert list(spec.item_problems(good)) == []
    for name, value in (
        ("titel", "Mug"),
        ("price", "€19.90"),
        ("availability", "in_stock"),
        ("visibility", "hidden"),
        ("sale_price_effective_date", "2026-11-21"),
        ("additional_image_link", "https://a.example,https://b.example"),
    ):
        bad = {"method": "UPDATE", "data": {**good["data"], name: value}}  # type: ignore[dict-item]
        assert len(list(spec.item_problems(bad))) == 1, name
