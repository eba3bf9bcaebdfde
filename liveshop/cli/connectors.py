"""`liveshop connectors`: connect channels and shop systems, look, sync, repair."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import click

from liveshop.app import Liveshop, opened
from liveshop.cli.connection_view import (
    POLL_SECONDS,
    print_connections,
    print_connectors,
    print_fields,
    print_missing,
    print_plan,
    print_table,
    progress_shown,
    say,
    why,
)
from liveshop.cli.console import Fault, make_data_folder, run_to_end, settings_of
from liveshop.syndication import wire
from liveshop.syndication.model import BadConfiguration

_BROKEN = ("rejected", "drifted")
_STATES = ("pending", "sent", "live", "rejected", "drifted", "paused", "withdrawn")
_MOST_ROUNDS = 5000
"""Of a sync. A hundred thousand listings take some hundred turns."""
_QUIET_ROUNDS = 3
"""So often nothing may be found to do before a sync is at its end."""
_PATIENT_ROUNDS = 200
"""The same while a piece of work goes on: a single request may take half a minute."""


@click.group()
def connectors() -> None:
    """Connect shop systems and channels, see what they show, sync and repair."""


def _with_shop(config: Path | None, work: Callable[[Liveshop], Awaitable[int]]) -> None:
    """Run `work` on an opened shop; its number is the exit status."""
    settings = settings_of(config)
    make_data_folder(settings)
    status = 0

    async def run() -> None:
        nonlocal status
        async with opened(settings) as shop:
            status = await work(shop)

    run_to_end(run())
    if status:
        sys.exit(status)


@connectors.command("list")
@click.pass_obj
def list_(config: Path | None) -> None:
    """The connectors that are installed, and the connections made with them."""

    async def work(shop: Liveshop) -> int:
        print_connectors(await shop.syndication.connections.connectors())
        found = await shop.syndication.connections.connections()
        if not found:
            say("")
            say("Nothing is connected yet. `liveshop connectors connect NAME` does it.")
            return 0
        say("")
        print_connections(found)
        return 0

    _with_shop(config, work)


@connectors.command("fields")
@click.argument("connector")
@click.pass_obj
def fields(config: Path | None, connector: str) -> None:
    """What has to be said to connect with CONNECTOR."""

    async def work(shop: Liveshop) -> int:
        print_fields(await _installed(shop, connector))
        return 0

    _with_shop(config, work)


@connectors.command("connect")
@click.argument("connector")
@click.option("--title", default=None, help="What you call it; by default the connector's title.")
@click.option("--language", default="en", show_default=True, help="Of its texts.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of its configuration; may be repeated.",
)
@click.option(
    "--secret-file",
    "secret_files",
    multiple=True,
    metavar="FIELD=FILE",
    help="A secret, read from a file, so that no shell history keeps it.",
)
@click.option("--paused", is_flag=True, help="Send nothing yet: look at the plan, then resume.")
@click.pass_obj
def connect(
    config: Path | None,
    connector: str,
    title: str | None,
    language: str,
    pairs: tuple[str, ...],
    secret_files: tuple[str, ...],
    paused: bool,
) -> None:
    """Connect a shop system or channel with CONNECTOR. Secrets that are needed and not given are
    asked for; `fields CONNECTOR` tells all of them."""
    given: dict[str, object] = dict(_pair(pair) for pair in pairs)
    for pair in secret_files:
        field, path = _pair(pair)
        try:
            given[field] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(f"{field}: cannot read {path}: {error}") from error

    async def work(shop: Liveshop) -> int:
        known = await _installed(shop, connector)
        await _ask_secrets(known, given)
        try:
            made = await shop.syndication.connections.create(
                wire.ConnectionInput(
                    connector=connector,
                    title=title or known.title,
                    config=_typed(known, given),
                    language=language,
                    is_paused=paused,
                )
            )
        except BadConfiguration:
            say(f"{known.title} is configured by --set FIELD=VALUE, with these fields:")
            print_fields(known)
            raise
        say(f"connected: {made.title} ({made.id})")
        if made.feed_url:
            say(f"its feed: {made.feed_url}")
        if made.needs_authorisation:
            url = await shop.syndication.authorisations.authorise(made.id)
            say("Open this address in a browser and allow it:")
            say(url)
            say("You come back to this server, which has to run for that: `liveshop serve`.")
            return 0
        status = print_missing(made, await shop.syndication.connections.diagnose(made.id))
        if paused:
            say(f"`plan {made.id}` shows what would be sent, `resume {made.id}` lets it go.")
        return status

    _with_shop(config, work)


@connectors.command("check")
@click.argument("connection", required=False)
@click.pass_obj
def check(config: Path | None, connection: str | None) -> None:
    """Say in plain words what is missing, for each connection or one."""

    async def work(shop: Liveshop) -> int:
        found = await _chosen(shop, connection)
        if not found:
            say("Nothing is connected.")
        status = 0
        for one in found:
            missing = await shop.syndication.connections.diagnose(one.id)
            if one.attention and one.attention not in missing:
                missing = [one.attention, *missing]
            status |= print_missing(one, missing)
        return status

    _with_shop(config, work)


@connectors.command("plan")
@click.argument("connection")
@click.pass_obj
def plan(config: Path | None, connection: str) -> None:
    """Show what a sync would do now, without doing it."""

    async def work(shop: Liveshop) -> int:
        one = (await _chosen(shop, connection))[0]
        print_plan(await shop.syndication.planner.dry_run(one.id))
        return 0

    _with_shop(config, work)


@connectors.command("sync")
@click.argument("connection", required=False)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.pass_obj
def sync(config: Path | None, connection: str | None, dry_run: bool) -> None:
    """Read from shop systems, send to channels and look at what they show, now: one connection, or
    all. Exit status 1: something needs a person."""

    async def work(shop: Liveshop) -> int:
        chosen = await _chosen(shop, connection)
        found = [one for one in chosen if one.state == "active"]
        for one in chosen:
            if one.state == "paused":
                say(": is paused. `resume` lets it go on.", begin=one.title, style="yellow")
            elif one.state != "active":
                told = f": waits for you: {one.attention} When that is done, `resume` it."
                say(told, begin=one.title, style="yellow")
        status = int(any(one.state == "attention" for one in chosen))
        if dry_run:
            for one in found:
                if {"channel", "feed"} & set(one.roles):
                    say(":", begin=one.title, style="bold")
                    print_plan(await shop.syndication.planner.dry_run(one.id))
            return status
        if not found:
            return status
        for one in found:
            if {"channel", "source"} & set(one.roles):
                missing = await shop.syndication.connections.diagnose(one.id)
                status |= print_missing(one, missing) if missing else 0
            await shop.syndication.connections.sync_soon(one.id)
        async with progress_shown(shop, found):
            await _sync_to_end(shop, [one.id for one in found])
        after = [await shop.syndication.connections.connection(one.id) for one in found]
        print_connections(after)
        broken = sum(one.listings.get(state, 0) for one in after for state in _BROKEN)
        if broken:
            say(f"{broken} listing(s) are not as they should be: `listings --state rejected` or")
            say("`listings --state drifted` tells which and why.")
        return int(bool(status or broken or any(one.attention for one in after)))

    _with_shop(config, work)


async def _sync_to_end(shop: Liveshop, ids: Sequence[str]) -> None:
    """As long as turns are due, here or in a server that works on the same database: a price that
    changes takes several of them."""
    quiet = 0
    done: dict[str, tuple[str, int]] = {}
    for _ in range(_MOST_ROUNDS):
        await shop.syndication.runner.run_due()
        before, done = done, await _work_done(shop, ids)
        quiet = quiet + 1 if done == before else 0
        is_running = any(state == "running" for state, _ in done.values())
        if quiet >= (_PATIENT_ROUNDS if is_running else _QUIET_ROUNDS):
            return
        if quiet:
            await asyncio.sleep(POLL_SECONDS)


async def _work_done(shop: Liveshop, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """How far the latest pieces of work have come; those that failed have not, and wait for their
    time."""
    return {
        run.id: (run.state, run.done)
        for id_ in ids
        for run in await shop.syndication.connections.runs(id_)
        if run.state != "failed"
    }


@connectors.command("listings")
@click.argument("connection", required=False)
@click.option("--state", type=click.Choice(_STATES), default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.pass_obj
def listings(config: Path | None, connection: str | None, state: str | None, limit: int) -> None:
    """The truth table: product by channel, its state, since when and why."""

    async def work(shop: Liveshop) -> int:
        found = {one.id: one.title for one in await _chosen(shop, connection)}
        wanted = next(iter(found)) if connection else None
        rows: list[tuple[str, ...]] = []
        after: str | None = None
        while len(rows) <= limit:
            page = await shop.syndication.listings.products(
                wire.ListingQuery(connection_id=wanted, state=state, after=after)  # type: ignore[arg-type]
            )
            rows += [
                (
                    product.title,
                    one.sku,
                    found.get(one.connection_id, one.connection_id),
                    one.state,
                    f"{one.since.astimezone():%Y-%m-%d %H:%M}",
                    why(one),
                )
                for product in page.products
                for one in product.listings
            ]
            after = page.next
            if after is None:
                break
        if not rows:
            say(f"No listing is {state}." if state else "There are no listings.")
            return 0
        columns = ("product", "SKU", "channel", "state", "since", "why")
        print_table(columns, rows[:limit], whole=("SKU", "state", "since"))
        if len(rows) > limit:
            say(f"... and more: --limit {min(limit * 10, 1000)} shows them")
        return 0

    _with_shop(config, work)


@connectors.command("repair")
@click.argument("connection")
@click.option("--product", "product_ids", multiple=True, help="Only this product; may be repeated.")
@click.pass_obj
def repair(config: Path | None, connection: str, product_ids: tuple[str, ...]) -> None:
    """Send again what was rejected or has drifted; `sync` then does it at once."""

    async def work(shop: Liveshop) -> int:
        one = (await _chosen(shop, connection))[0]
        count = await shop.syndication.listings.repair(
            one.id, wire.RepairInput(product_ids=list(product_ids) or None)
        )
        say(f"{count} listing(s) will be sent again: by the server, or now by `sync`")
        return 0

    _with_shop(config, work)


def _change_state(config: Path | None, connection: str, to: str) -> None:
    async def work(shop: Liveshop) -> int:
        one = (await _chosen(shop, connection))[0]
        print_connections([await shop.syndication.connections.change_state(one.id, to)])
        return 0

    _with_shop(config, work)


@connectors.command("pause")
@click.argument("connection")
@click.pass_obj
def pause(config: Path | None, connection: str) -> None:
    """Stop working on CONNECTION; what stands there stays."""
    _change_state(config, connection, "paused")


@connectors.command("resume")
@click.argument("connection")
@click.pass_obj
def resume(config: Path | None, connection: str) -> None:
    """Go on with CONNECTION."""
    _change_state(config, connection, "active")


@connectors.command("remove")
@click.argument("connection")
@click.confirmation_option(prompt="All of ours is taken off there, for good. Go on?")
@click.pass_obj
def remove(config: Path | None, connection: str) -> None:
    """Take everything of ours off CONNECTION and end it."""
    _change_state(config, connection, "removed")


@connectors.command("abandon")
@click.argument("connection")
@click.confirmation_option(prompt="What is left there has to be taken off by hand. Go on?")
@click.pass_obj
def abandon(config: Path | None, connection: str) -> None:
    """End CONNECTION although what is left there cannot be taken off."""
    _change_state(config, connection, "abandoned")


async def _chosen(shop: Liveshop, connection: str | None) -> list[wire.Connection]:
    """One by id, title or connector, or all. Raises Fault."""
    found = await shop.syndication.connections.connections()
    if connection is None:
        return found
    for names in (
        [one.id.casefold() for one in found],
        [one.title.casefold() for one in found],
        [one.connector for one in found],
    ):
        chosen = [
            one for one, name in zip(found, names, strict=True) if name == connection.casefold()
        ]
        if len(chosen) == 1:
            return chosen
        if chosen:
            ids = ", ".join(one.id for one in chosen)
            raise Fault(f"several connections are called {connection}; name one of {ids}")
    known = ", ".join(f"{one.title} ({one.id})" for one in found) or "none"
    raise Fault(f"there is no connection {connection}; there are: {known}")


async def _installed(shop: Liveshop, connector: str) -> wire.Connector:
    """Raises Fault."""
    known = {one.name: one for one in await shop.syndication.connections.connectors()}
    if connector not in known:
        raise Fault(f"there is no connector {connector}; installed: {', '.join(sorted(known))}")
    problem = known[connector].problem
    if problem is not None:
        raise Fault(problem)
    return known[connector]


async def _ask_secrets(connector: wire.Connector, given: dict[str, object]) -> None:
    """Those that are needed and were not given. Raises Fault where nobody can be asked."""
    for field in connector.fields:
        if field.kind != "secret" or not field.is_required or field.name in given:
            continue
        if not sys.stdin.isatty():
            raise Fault(
                f"{field.name} is needed: {field.title}. {field.description} Give it by "
                f"--secret-file {field.name}=FILE, or run this in a terminal to be asked for it."
            )
        given[field.name] = await asyncio.to_thread(click.prompt, field.title, hide_input=True)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise Fault(f"write it like FIELD=VALUE, not {name}")
    return name.strip(), value


def _typed(connector: wire.Connector, given: Mapping[str, object]) -> dict[str, object]:
    """Yes and no out of the texts of a command line; the rest is read as it is in forms."""
    kinds = {field.name: field.kind for field in connector.fields}
    words = {"yes": "true", "no": "false"}
    return {
        name: words.get(str(value).casefold(), value) if kinds.get(name) == "switch" else value
        for name, value in given.items()
    }
