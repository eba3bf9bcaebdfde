"""The guide works: its example is built, installed beside liveshop, and keeps its contract.

Nothing here is imported from the example: it lives in processes of its own, as a stranger's would.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_connector"
ENTRY_POINTS: Mapping[str, str] = tomllib.loads(
    (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["entry-points"]["liveshop.connectors"]
SNIPPET = re.compile(
    r"(?:<!-- from (?P<path>\S+) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)\n```", re.S
)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a Python that has liveshop, and the example from its wheel."""
    folder = tmp_path_factory.mktemp("example")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    built = ("wheel", "--no-build-isolation", "--no-deps", "--no-index")
    _run(*pip, *built, "--wheel-dir", str(folder), str(EXAMPLE))
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    _run(*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}


def _run(*command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What it printed. A failure of it is one of the test, told in full."""
    ended = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_example_keeps_its_contract_when_it_is_installed_from_its_wheel(
    beside: Mapping[str, str], tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", tmp_path)
    said = _run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error",
        env=beside, cwd=tmp_path,
    )  # fmt: skip
    summary = said.strip().splitlines()[-1]
    assert re.fullmatch(r"\d+ passed in .*", summary), said


def test_liveshop_finds_it_by_its_entry_points(
    beside: Mapping[str, str], tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "liveshop.sqlite3")
    settings = tmp_path / "liveshop.toml"
    settings.write_text(
        f'mode = "demo"\ndata_dir = "{tmp_path}"\n[server]\nsecret = "{"s" * 40}"\n',
        encoding="utf-8",
    )
    listed = _run(
        sys.executable, "-m", "liveshop", "--config", str(settings), "connectors", "list",
        env=beside, cwd=tmp_path,
    )  # fmt: skip
    assert re.search(r"^noticeboard +Notice board +channel", listed, re.M), listed
    assert re.search(r"^noticeboard_messages +Notice board: messages +poster", listed, re.M), listed


def test_it_imports_nothing_of_liveshop_but_the_sdk_and_the_kernel() -> None:
    for path in EXAMPLE.rglob("*.py"):
        for name in _imported(path.read_text(encoding="utf-8")):
            if name.split(".")[0] in ("liveshop", "connectors", "tests"):
                assert name.startswith(("liveshop.connect", "liveshop.kernel")), (path, name)


def _imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_each_piece_of_code_in_the_guide_stands_in_the_file_it_names() -> None:
    guide = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    found = list(SNIPPET.finditer(guide))
    assert len(found) > 10
    for snippet in found:
        if snippet["kind"] == "console":
            continue
        assert snippet["path"], f"nothing says where this is from:\n{snippet['code']}"
        source = (EXAMPLE / snippet["path"]).read_text(encoding="utf-8")
        assert f"\n{snippet['code']}\n" in f"\n{source}\n", (
            f"{snippet['path']} has other code now:\n{snippet['code']}"
        )


def test_every_connector_of_the_example_stands_in_its_guide() -> None:
    guide = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for name in ENTRY_POINTS:
        assert f"`{name}`" in guide
