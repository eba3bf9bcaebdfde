"""The page about the connectors names each of them, and nothing that is not there."""

import re
import tomllib
from pathlib import Path

from fakes.__main__ import FAKES

from connectors.limits import ROWS
from liveshop.connect import GROUP

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "connectors" / "README.md"
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "entry-points"
][GROUP]


def test_every_connector_has_its_row_and_every_row_its_connector() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(DECLARED)


def test_every_row_says_what_it_was_verified_against() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| `\w+` \|", line):
            assert all(cell.strip() for cell in line.strip("|").split("|")), line


def test_limits_and_fakes_that_the_page_names_are_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    limits = re.findall(r'^"([\w.]+)" = \d+$', text, re.M)
    assert limits
    assert set(limits) <= {row.name for row in ROWS}
    told = re.search(r"fakes (\w+) --port \d+ +# or: (.+)", text)
    assert told is not None
    assert {told[1], *told[2].split(", ")} == set(FAKES)


def test_files_that_the_page_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).is_file(), target
