"""Configurations: what a form shows, what is told when something is wrong, and secrets apart."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from liveshop.connect import Secret
from liveshop.connect.config import (
    BadConfig,
    Field,
    decode_config,
    fields_of,
    split_config,
    texts_of,
)


class Config(msgspec.Struct, frozen=True):
    shop: Annotated[
        str, msgspec.Meta(title="Shop", description="Such as mugs.example.", max_length=12)
    ]
    key: Annotated[Secret, msgspec.Meta(title="Key")]
    region: Literal["eu", "us"] = "eu"
    every: Annotated[int, msgspec.Meta(ge=5, le=60)] = 15
    is_live: bool = False
    tag: str = "live"
    note: str | None = None
    spare_key: Secret | None = None
    rate: Annotated[int | None, msgspec.Meta(description="Requests a minute.")] = None


def test_a_form_has_the_fields_in_order_with_their_words() -> None:
    assert fields_of(Config) == [
        Field("shop", "Shop", "Such as mugs.example.", "text", True),
        Field("key", "Key", "", "secret", True),
        Field("region", "Region", "", "choice", False, ("eu", "us"), "eu"),
        Field("every", "Every", "", "number", False, default=15),
        Field("is_live", "Is live", "", "switch", False, default=False),
        Field("tag", "Tag", "", "text", False, default="live"),
        Field("note", "Note", "", "text", False),
        Field("spare_key", "Spare key", "", "secret", False),
        Field("rate", "Rate", "Requests a minute.", "number", False),
    ]


def test_the_default_of_a_secret_is_shown_to_nobody() -> None:
    class Careless(msgspec.Struct):
        key: Secret = msgspec.field(default_factory=lambda: Secret("hunter2"))

    assert "hunter2" not in repr(fields_of(Careless))
    assert decode_config(Careless, {}, {}).key.reveal() == "hunter2"


def test_a_struct_that_no_form_can_show_is_a_mistake_of_the_connector() -> None:
    class Listed(msgspec.Struct):
        many: list[str]

    class Either(msgspec.Struct):
        value: int | str

    class Levels(msgspec.Struct):
        level: Literal[1, 2]

    for wrong in (Listed, Either, Levels):
        with pytest.raises(TypeError, match=wrong.__name__):
            fields_of(wrong)
    with pytest.raises(TypeError, match="Struct"):
        fields_of(dict)


def test_what_is_right_is_decoded() -> None:
    given = {"shop": " mugs.example ", "every": "30", "is_live": "true", "region": "us", "rate": 5}
    decoded = decode_config(Config, given, {"key": "k1"})
    assert decoded == Config(
        "mugs.example", Secret("k1"), region="us", every=30, is_live=True, rate=5
    )
    assert "k1" not in repr(decoded)
    assert "k1" not in f"{decoded}"


def test_an_empty_field_is_one_that_was_not_set() -> None:
    given = {"shop": "a", "every": "", "is_live": "", "region": "", "note": "", "rate": ""}
    decoded = decode_config(Config, given, {"key": "k1", "spare_key": ""})
    assert decoded == Config("a", Secret("k1"))
    assert decode_config(Config, {"shop": "a", "tag": ""}, {"key": "k"}).tag == ""
    for nothing in ("", None):
        with pytest.raises(BadConfig, match="shop is needed"):
            decode_config(Config, {"shop": nothing}, {"key": "k"})


def test_all_problems_are_told_at_once_by_field_and_in_words() -> None:
    given = {
        "shop": "much-too-long.example",
        "region": "moon",
        "every": 3,
        "is_live": "perhaps",
        "rate": "many",
        "shpo": "x",
    }
    with pytest.raises(BadConfig) as caught:
        decode_config(Config, given, {})
    assert caught.value.problems == {
        "shop": "has to have at most 12 characters",
        "key": "is needed",
        "region": "has to be one of eu, us",
        "every": "has to be at least 5",
        "is_live": "has to be true or false",
        "rate": "has to be a whole number",
        "shpo": "is not a field of this connector",
    }
    assert "region has to be one of eu, us." in str(caught.value)
    assert caught.value.data == {"problems": caught.value.problems}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("every", 61, "at most 60"),
        ("every", True, "whole number"),
        ("every", 7.5, "whole number"),
        ("every", [1], "whole number"),
        ("shop", 5, "has to be a text"),
        ("shop", "a\nHost: b", "line ends"),
        ("region", ["eu"], "one of"),
        ("is_live", 7, "true or false"),
        ("note", {}, "has to be a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told(field: str, value: Any, words: str) -> None:
    with pytest.raises(BadConfig) as caught:
        decode_config(Config, {"shop": "a", field: value}, {"key": "k"})
    assert list(caught.value.problems) == [field]
    assert words in caught.value.problems[field]


def test_what_the_struct_itself_finds_wrong_is_told() -> None:
    class Strict(msgspec.Struct):
        shop: str

        def __post_init__(self) -> None:
            if "." not in self.shop:
                raise ValueError("the shop is a domain, such as mugs.example")

    with pytest.raises(BadConfig, match="such as mugs"):
        decode_config(Strict, {"shop": "mugs"}, {})


def test_a_secret_in_the_open_and_an_open_field_among_the_secrets_are_refused() -> None:
    with pytest.raises(BadConfig) as caught:
        decode_config(Config, {"shop": "a", "key": "hunter2"}, {"region": "eu"})
    assert caught.value.problems.keys() == {"key", "region"}
    assert "hunter2" not in str(caught.value)


def test_secrets_are_split_off_and_empty_ones_left_out() -> None:
    given = {"shop": "a", "key": " k1 ", "spare_key": "", "every": 7, "unknown": 1}
    assert split_config(Config, given) == (
        {"shop": "a", "every": 7, "unknown": 1},
        {"key": "k1"},
    )
    assert split_config(Config, {"key": Secret("k2"), "spare_key": None}) == ({}, {"key": "k2"})
    with pytest.raises(BadConfig, match="key has to be a text"):
        split_config(Config, {"key": 5})


def test_the_texts_for_a_login_hold_defaults_and_secrets_and_judge_nothing() -> None:
    given = {"shop": " mugs.example ", "every": 30, "is_live": True, "region": ""}
    assert texts_of(Config, given, {"key": "k1"}) == {
        "shop": "mugs.example",
        "key": "k1",
        "region": "eu",
        "every": "30",
        "is_live": "true",
        "tag": "live",
    }
    assert texts_of(Config, {}, {}).keys() == {"region", "every", "is_live", "tag"}
