"""`liveshop connectors`, command by command, against the notice board of the examples."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from blockbuster import BlockBuster
from click.testing import CliRunner, Result
from fakes.serving import serve

from connectors.sources.ndjson import Ndjson
from liveshop import cli
from liveshop.app import Liveshop, opened
from liveshop.catalog.model import ProductDraft, VariantDraft
from liveshop.catalog.tables import media
from liveshop.connect import Connectors
from liveshop.kernel.ids import MediaId, new_id
from liveshop.kernel.money import Money
from liveshop.settings import load
from liveshop.web import logs

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_connector"
TITLE = "Board [red] of [b]Ada[/b]"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, no_blocking_calls: BlockBuster) -> Iterator[None]:
    """A command has its process to itself: it may read files while it starts, and sets the logs
    up. Its terminal is wide enough."""
    no_blocking_calls.deactivate()
    # `liveshop.cli.connectors` is the group of commands and hides its module.
    for name in ("connection_view", "connectors"):
        monkeypatch.setattr(sys.modules[f"liveshop.cli.{name}"], "POLL_SECONDS", 0.02)
    monkeypatch.setattr(logs, "configure", lambda **_: structlog.reset_defaults())
    for console in (cli.console.out, cli.console.err):
        monkeypatch.setattr(console, "_width", 200)
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
async def board(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The notice board, hung up; its connectors are installed."""
    monkeypatch.syspath_prepend(EXAMPLE)

    def imported() -> tuple[Any, Any]:
        from liveshop_noticeboard import channel, server  # noqa: PLC0415  # no package of ours

        return channel, server

    channel, server = await asyncio.to_thread(imported)
    installed = Connectors.of(channel.Noticeboard(), Ndjson())
    monkeypatch.setattr(Connectors, "installed", lambda: installed)
    made = server.NoticeBoard("let-me-in")
    async with serve(server.make_app(made)) as url:
        made.url = url
        yield made


@pytest.fixture
async def run(board: Any, tmp_path: Path, sqlite_template: Path) -> Run:
    """Runs `liveshop`, on a shop with two products."""
    settings = tmp_path / "liveshop.toml"
    await asyncio.to_thread(_set_up, settings, sqlite_template)
    async with opened(await asyncio.to_thread(lambda: load(file=settings, environ={}))) as shop:
        await _add_products(shop)

    async def run_(*arguments: str, **more: Any) -> Result:
        given = ["--config", str(settings), *arguments]
        return await asyncio.to_thread(CliRunner().invoke, cli.main, given, **more)

    return run_


def _set_up(settings: Path, database: Path) -> None:
    data = settings.parent / "data"
    data.mkdir()
    shutil.copy(database, data / "liveshop.sqlite3")
    settings.write_text(
        f'mode = "demo"\ndata_dir = "{data}"\n[server]\nsecret = "{"s" * 40}"\n'
        '[shop]\nlanguages = ["en"]\n[syndication]\nprivate_addresses = true\n'
    )


async def _add_products(shop: Liveshop) -> None:
    now = datetime.now(UTC)
    picture = MediaId(new_id("med", now))
    async with shop.database.write() as tx:
        facts = {"digest": "0" * 64, "extension": "jpg", "width": 800, "height": 600, "alt": ""}
        await tx.conn.execute(sa.insert(media).values(id=picture, created_at=now, **facts))
    for title, sku in (("Mug [bold]", "MUG-1"), ("Bowl", "BOWL-2")):
        await shop.catalog.create_product(
            ProductDraft(
                title=title,
                url=f"https://shop.example/{sku}",
                image_ids=(picture,),
                variants=(VariantDraft(sku=sku, price=Money(1990, "EUR")),),
            )
        )


@pytest.fixture
async def connected(run: Run, board: Any) -> Run:
    """Runs `liveshop connectors`, with the board connected and nothing sent yet."""

    async def run_(*arguments: str, **more: Any) -> Result:
        return await run("connectors", *arguments, **more)

    made = await run_(
        "connect", "noticeboard", "--title", TITLE, "--set", f"url={board.url}",
        "--set", "key=let-me-in", "--paused",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert f"{TITLE}: nothing is missing" in made.output
    return run_


async def test_what_is_installed_and_what_is_connected_is_listed(run: Run, board: Any) -> None:
    listed = await run("connectors", "list")
    assert "noticeboard  Notice board" in listed.output
    assert "Nothing is connected yet." in listed.output


async def test_the_fields_of_a_connector_are_told(run: Run) -> None:
    told = (await run("connectors", "fields", "noticeboard")).output
    assert "key (needed, secret): Key. Printed when the notice board starts." in told
    assert "url (optional, by default http://127.0.0.1:9200): Address." in told


async def test_a_missing_secret_is_named_where_nobody_can_be_asked(run: Run) -> None:
    answer = await run("connectors", "connect", "noticeboard")
    assert answer.exit_code == 1
    assert "key is needed: Key. Printed when the notice board starts." in answer.output
    assert "--secret-file key=FILE" in answer.output


async def test_a_field_that_is_wrong_is_named_beside_those_there_are(run: Run) -> None:
    answer = await run(
        "connectors", "connect", "noticeboard", "--set", "key=k", "--set", "adress=x"
    )
    assert answer.exit_code == 1
    assert "adress: is not a field of this connector" in answer.output
    assert "  url (optional" in answer.output


async def test_an_unknown_connector_is_answered_with_the_installed_ones(run: Run) -> None:
    answer = await run("connectors", "connect", "pinboard")
    assert answer.exit_code == 1
    assert "there is no connector pinboard; installed: ndjson, noticeboard" in answer.output


async def test_a_secret_is_read_from_a_file_and_shown_nowhere(
    run: Run, board: Any, tmp_path: Path
) -> None:
    secret = tmp_path / "key"
    await asyncio.to_thread(secret.write_text, "let-me-in\n")
    made = await run(
        "connectors", "connect", "noticeboard", "--set", f"url={board.url}",
        "--secret-file", f"key={secret}",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "let-me-in" not in made.output + (await run("connectors", "list")).output
    missing = await run("connectors", "connect", "noticeboard", "--secret-file", "key=/no/such")
    assert "key: cannot read /no/such" in missing.output


async def test_what_is_missing_is_said_in_plain_words(connected: Run, board: Any) -> None:
    assert f"{TITLE}: nothing is missing" in (await connected("check")).output
    board.trouble = "key_refused"
    checked = await connected("check", "noticeboard")
    assert checked.exit_code == 1
    assert f"{TITLE}: The notice board does not accept the access" in checked.output
    assert "renew its key" in checked.output


async def test_the_plan_is_shown_before_anything_is_sent(connected: Run, board: Any) -> None:
    planned = await connected("plan", "noticeboard")
    assert "2 checked: 2 to publish" in planned.output
    assert "Mug [bold]  publish" in planned.output
    assert "! The connection is not at work: nothing is sent until it is resumed." in planned.output
    assert "is paused" in (await connected("sync", TITLE)).output
    assert board.notices == {}


async def test_one_that_was_broken_is_found_told_and_repaired(connected: Run, board: Any) -> None:
    await connected("resume", "noticeboard")
    synced = await connected("sync", "noticeboard")
    assert synced.exit_code == 0, synced.output
    assert f"{TITLE}: sending" in synced.stderr
    assert "2/2" in synced.stderr
    assert "2 live" in synced.stdout
    assert {one.heading for one in board.notices.values()} == {"Mug [bold]", "Bowl"}

    mug = next(one.number for one in board.notices.values() if one.heading == "Mug [bold]")
    board.refuse(mug, "No mugs here [1].")
    synced = await connected("sync", "noticeboard")
    assert synced.exit_code == 1
    assert "1 live, 1 rejected" in synced.stdout
    told = (await connected("listings", "--state", "rejected")).stdout
    assert "Mug [bold]" in told
    assert "MUG-1" in told
    assert "The notice board says: No mugs here [1]." in told
    assert "Bowl" not in told

    board.take_again(mug)
    assert "1 listing(s) will be sent again" in (await connected("repair", TITLE)).output
    assert (await connected("sync", "noticeboard")).exit_code == 0
    assert "No listing is rejected." in (await connected("listings", "--state", "rejected")).output
    assert not any(one.refused_because for one in board.notices.values())


async def test_a_sync_looks_at_what_the_channel_shows_and_puts_it_right(
    connected: Run, board: Any
) -> None:
    await connected("resume", "noticeboard")
    await connected("sync")
    for number in list(board.notices)[:1]:
        del board.notices[number]
    for number in list(board.notices):
        board.notices[number].heading = "Cheap!!"
    synced = await connected("sync")
    assert f"{TITLE}: looking at what it shows" in synced.stderr
    assert "2 live" in synced.stdout
    assert {one.heading for one in board.notices.values()} == {"Mug [bold]", "Bowl"}


async def test_a_sync_says_that_the_channel_cannot_be_asked(connected: Run, board: Any) -> None:
    await connected("resume", "noticeboard")
    board.trouble = "closed"
    synced = await connected("sync", "noticeboard")
    assert synced.exit_code == 1
    assert f"{TITLE}: The notice board answered 503: The board is being painted." in synced.output
    assert "2 pending" in synced.output
    board.trouble = "key_refused"
    await connected("sync", "noticeboard")
    waits = await connected("sync", "noticeboard")
    assert waits.exit_code == 1
    assert f"{TITLE}: waits for you: The notice board does not accept" in waits.output


async def test_a_long_table_says_that_there_is_more(connected: Run) -> None:
    await connected("resume", "noticeboard")
    await connected("sync", "noticeboard")
    shown = (await connected("listings", "noticeboard", "--limit", "1")).output
    assert "... and more: --limit 10 shows them" in shown
    assert "... and more" not in (await connected("listings", "--limit", "2")).output


async def test_a_connection_is_paused_resumed_and_removed(connected: Run, board: Any) -> None:
    assert "active" in (await connected("resume", "noticeboard")).output
    await connected("sync", "noticeboard")
    assert "2 paused" in (await connected("pause", "noticeboard")).output
    await connected("resume", "noticeboard")
    asked = await connected("remove", "noticeboard", input="n\n")
    assert asked.exit_code == 1
    assert len(board.notices) == 2
    assert "leaving" in (await connected("remove", "noticeboard", "--yes")).output
    assert "removed" in (await connected("sync", "noticeboard")).output
    assert board.notices == {}
    gone = await connected("sync", "noticeboard")
    assert "there is no connection noticeboard; there are: none" in gone.output


async def test_two_of_one_name_have_to_be_told_apart(connected: Run, board: Any) -> None:
    await connected(
        "connect", "noticeboard", "--title", "Other", "--set", f"url={board.url}",
        "--set", "key=let-me-in", "--paused",
    )  # fmt: skip
    answer = await connected("plan", "noticeboard")
    assert "several connections are called noticeboard; name one of con_" in answer.output
    assert (await connected("plan", "other")).exit_code == 0
