"""The table of vendors' limits: every row says what, how much, since when and who says so."""

from collections import Counter
from datetime import UTC, datetime
from typing import get_args

import pytest

from connectors import limits
from connectors.limits import ROWS, row
from liveshop.connect.limits import Grade, Limit


def test_every_name_stands_there_once() -> None:
    assert [name for name, times in Counter(one.name for one in ROWS).items() if times > 1] == []
    assert row("x.text") == next(one for one in ROWS if one.name == "x.text")
    with pytest.raises(KeyError):
        row("x.tetx")


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_a_row_says_all_that_is_needed_to_trust_it_or_not(one: Limit) -> None:
    vendor, _, name = one.name.partition(".")
    assert vendor
    assert name.replace("_", "").isalnum()
    assert one.value > 0
    assert one.unit
    assert one.source
    assert one.grade in get_args(Grade)
    assert one.as_of <= datetime.now(UTC).date()


def test_the_names_at_the_head_of_the_table_are_those_in_it() -> None:
    said: dict[str, set[str]] = {}
    vendor = ""
    for line in (limits.__doc__ or "").splitlines():
        if not line.startswith("    "):
            continue
        words = line.replace(",", " ").split()
        if line[4] != " ":
            vendor = words.pop(0)
        said.setdefault(vendor, set()).update(words)
    there: dict[str, set[str]] = {}
    for one in ROWS:
        vendor, _, name = one.name.partition(".")
        there.setdefault(vendor, set()).add(name)
    assert said == there
