"""The link to the buyer's page: only what we signed opens, and only as the page of an order."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel.ids import OrderId, new_id
from liveshop.orders.status_link import order_id_of, status_url, token_of

SECRET = "a-secret-for-tests-of-at-least-32-characters"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_a_token_opens_its_order() -> None:
    order_id = OrderId(new_id("ord", NOW))
    token = token_of(order_id, SECRET)
    assert order_id_of(token, SECRET) == order_id
    assert status_url(order_id, secret=SECRET, public_url="https://shop.example").endswith(token)


def test_another_order_or_another_secret_is_not_opened() -> None:
    one, other = OrderId(new_id("ord", NOW)), OrderId(new_id("ord", NOW))
    signature = token_of(one, SECRET).partition("-")[2]
    assert order_id_of(f"{other.removeprefix('ord_')}-{signature}", SECRET) is None
    assert order_id_of(token_of(one, SECRET), SECRET[::-1]) is None
    assert token_of(one, SECRET) != token_of(one, SECRET + "x")


@given(st.text(max_size=80))
def test_made_up_tokens_open_nothing(token: str) -> None:
    assert order_id_of(token, SECRET) is None


@given(st.integers(0, 58), st.sampled_from("0123456789abcdefABCDEF-_é\x00"))
def test_a_token_with_one_character_changed_opens_nothing(place: int, character: str) -> None:
    token = token_of(OrderId(new_id("ord", NOW)), SECRET)
    changed = token[:place] + character + token[place + 1 :]
    assert changed == token or order_id_of(changed, SECRET) is None
