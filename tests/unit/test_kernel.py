"""The kernel: clocks, ids, money, errors, text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel import errors
from liveshop.kernel.clock import ManualClock, SystemClock, rfc3339
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LENGTH, has_prefix, new_id, new_secret
from liveshop.kernel.money import MixedCurrencies, Money, included_tax, split, total
from liveshop.kernel.text import BadText, clean_line, clean_text

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


# -- time


def test_a_clock_is_aware_and_stands_still_until_told_to_move() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    clock = ManualClock(NOW.astimezone(timezone(timedelta(hours=2))))
    assert clock.now() == clock.now() == NOW
    clock.advance(timedelta(seconds=3))
    assert clock.now() == NOW + timedelta(seconds=3)
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001


@given(MOMENTS)
def test_a_moment_on_the_wire_is_utc_to_the_millisecond(moment: datetime) -> None:
    text = rfc3339(moment.astimezone(timezone(timedelta(hours=-5))))
    assert text.endswith("Z")
    assert len(text) == len("2026-11-21T19:00:00.123Z")
    assert timedelta(0) <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)


# -- ids


def test_ids_differ_and_sort_by_time() -> None:
    made = [new_id("ord", NOW + timedelta(milliseconds=step)) for step in range(500)]
    assert made == sorted(made)
    assert len({new_id("ord", NOW) for _ in range(500)}) == 500


@given(MOMENTS, st.sampled_from(["shw", "ord", "gst"]))
def test_an_id_has_its_prefix_and_shape(moment: datetime, prefix: str) -> None:
    made = new_id(prefix, moment)
    assert len(made) == LENGTH
    assert has_prefix(made, prefix)
    assert not has_prefix(made, "prd")
    assert not has_prefix(made.lower(), prefix)
    assert not has_prefix(made + "0", prefix)
    assert not has_prefix(made[:-1] + "U", prefix)


def test_secrets_have_128_bits_and_fit_into_urls() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(
        len(secret) >= 22 and secret.replace("-", "").replace("_", "").isalnum() for secret in made
    )


# -- money


AMOUNTS = st.integers(-(10**11), 10**11)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


@given(AMOUNTS, WEIGHTS)
def test_a_split_neither_makes_nor_loses_a_cent(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = amount * weight / whole if whole else amount / len(weights)
        assert abs(part - exact) < 1 + abs(amount) * 1e-15
        assert part * amount >= 0


def test_a_split_gives_the_rest_to_the_largest_remainders() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(-100, [1, 1, 1]) == [-34, -33, -33]
    assert split(10, [0, 0]) == [5, 5]
    assert split(5, [1, 0, 9]) == [1, 0, 4]
    assert split(0, []) == []
    with pytest.raises(ValueError, match="nothing to split"):
        split(1, [])
    with pytest.raises(ValueError, match="negative"):
        split(1, [2, -1])


@given(st.integers(0, 10**11), st.integers(0, 999))
def test_the_tax_inside_a_price_and_the_rest_make_the_price(gross: int, rate: int) -> None:
    tax = included_tax(gross, rate)
    assert 0 <= tax <= gross
    assert abs(tax * (1000 + rate) - gross * rate) * 2 <= 1000 + rate


def test_german_tax_is_what_a_receipt_says() -> None:
    assert included_tax(11900, 190) == 1900
    assert included_tax(10700, 70) == 700
    assert included_tax(4990, 190) == 797


def test_currencies_do_not_mix() -> None:
    euro, dollar = Money(100, "EUR"), Money(100, "USD")
    assert euro + euro * 2 - euro == Money(200, "EUR")
    assert total([euro, euro], "EUR") == Money(200, "EUR")
    assert total([], "USD") == Money(0, "USD")
    with pytest.raises(MixedCurrencies):
        euro + dollar
    with pytest.raises(MixedCurrencies):
        euro - dollar
    with pytest.raises(MixedCurrencies):
        total([euro], "USD")


# -- errors


def test_an_error_carries_what_people_and_programs_need() -> None:
    error = errors.RateLimited("Slow down.", data={"limit": 5}, retry_after=2.5)
    assert (error.code, error.status, error.retryable) == ("rate_limited", 429, True)
    assert (str(error), error.data, error.retry_after) == ("Slow down.", {"limit": 5}, 2.5)
    assert (ShopError.code, ShopError.status, ShopError.retryable) == ("internal", 500, False)


def test_every_error_of_the_server_has_a_code_and_a_status_that_fits() -> None:
    pending, seen = [ShopError], set()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        seen.add(kind)
        assert kind.code.replace("_", "").isalnum()
        assert kind.code == kind.code.lower()
        assert 400 <= kind.status < 600
        assert not (kind.retryable and kind.status == 422), kind
    assert len(seen) > 5


# -- text


SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
# What cleaning is about, and a few characters for it to happen to.
ODD = st.text(
    "\u200d\u200c\u200e\u202e\ufe0f\u0301\u0335\u0e47\u094d\u034f\U000e0067\U000e007f"
    "a1 .\nשनก👩🏽🏴"
)


@given(st.one_of(st.text(max_size=300), ODD))
def test_cleaned_text_is_clean_and_stays_so(text: str) -> None:
    for clean in (clean_line, clean_text):
        once = clean(text, max_length=2000, empty=True)
        assert clean(once, max_length=2000, empty=True) == once
        assert not any(character in once for character in "\x00\r\u202e\u200b\u2066\ufeff")
        once.encode()  # nothing that UTF-8 cannot say
    assert "\n" not in clean_line(text, max_length=2000, empty=True)


@pytest.mark.parametrize(
    ("given_", "cleaned"),
    [
        ("  Anna \t  Lena ", "Anna Lena"),
        ("two\r\nlines", "two lines"),
        ("e\u0301", "é"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("a\u200bd\u00admin", "admin"),
        ("\u05d3\u05d5\u05d3\u200f!", "\u05d3\u05d5\u05d3\u200f!"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("a\x00b\x07c", "abc"),
        ("\ud800x", "x"),
        ("Z" + "\u0335" * 50, "Z" + "\u0335" * 4),
        ("ก" + "\u0e47" * 50, "ก" + "\u0e47" * 4),
        ("\u0489\u0489Bob", "Bob"),
        ("de\u2066s\u2069k", "desk"),
        ("a\u200edmi\u200fn\u061c", "admin"),
        ("\u05d3" + "\u200f" * 9 + "!", "\u05d3\u200f!"),
        ("a\u200dd\u200cm\ufe0fi\u034fn", "admin"),
        ("one\u2029two\x85three", "one two three"),
        ("\u2800 \u3164x\U000e0041\ufff9", "x"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ന്\u200d", "ന്\u200d"),
        (
            "🏃🏽\u200d♀\ufe0f 1\ufe0f\u20e3 👁\ufe0f\u200d🗨\ufe0f",
            "🏃🏽\u200d♀\ufe0f 1\ufe0f\u20e3 👁\ufe0f\u200d🗨\ufe0f",
        ),
        (SCOTLAND, SCOTLAND),
        ("🏴\U000e0067" * 3, "🏴" * 3),
        ("👩\u200d\u200d\u200d", "👩"),
        ("\U0001fae8 younger than Python", "\U0001fae8 younger than Python"),
    ],
)
def test_one_line_of_text(given_: str, cleaned: str) -> None:
    assert clean_line(given_, max_length=100) == cleaned


def test_several_lines_keep_their_ends() -> None:
    assert clean_text(" a \r\n\r\n b\u2028c ", max_length=100) == "a\n\nb\nc"


def test_text_that_is_nothing_or_too_much_is_refused_with_its_field() -> None:
    for text, words in (("\u200b \u202e", "empty"), ("x" * 11, "too long: 11")):
        with pytest.raises(BadText, match=words) as bad:
            clean_line(text, max_length=10, field="name")
        assert bad.value.data["field"] == "name"
        assert bad.value.detail.endswith(".")
    assert clean_line(" ", max_length=10, empty=True) == ""
