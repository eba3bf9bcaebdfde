"""How connections, plans and listings look in a terminal. Texts of merchants are never markup."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from liveshop.app import Liveshop
from liveshop.cli.console import err, out
from liveshop.syndication import wire

POLL_SECONDS = 0.2
_WORK = {
    "plan": "planning",
    "push": "sending",
    "read_back": "looking at what it shows",
    "import": "reading",
}


def say(text: str, *, begin: str = "", style: str = "") -> None:
    """One line, as it is; `begin` stands before it in `style`."""
    line = Text(begin, style=style) if begin else Text()
    out.print(line.append(Text(text, style="" if begin else style)), soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: Sequence[str] = ()
) -> None:
    """`whole`: columns whose values are never broken over lines."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def print_connectors(found: Sequence[wire.Connector]) -> None:
    print_table(
        ("connector", "what it is", "can be"),
        [(one.name, one.problem or one.title, ", ".join(one.roles)) for one in found],
    )


def print_fields(connector: wire.Connector) -> None:
    """What a configuration needs, one field a line."""
    if not connector.fields:
        say(f"{connector.title} has nothing to configure.")
    for field in connector.fields:
        facts = ["needed" if field.is_required else "optional"]
        if field.kind == "secret":
            facts.append("secret")
        if field.choices:
            facts.append(f"one of {', '.join(field.choices)}")
        elif field.kind == "switch":
            facts.append("true or false")
        elif field.kind == "number":
            facts.append("a number")
        if field.default not in (None, ""):
            facts.append(f"by default {field.default}")
        told = f" ({', '.join(facts)}): {field.title}. {field.description}".rstrip()
        say(told, begin=f"  {field.name}", style="bold")


def print_connections(found: Sequence[wire.Connection]) -> None:
    rows = []
    for one in found:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(one.listings.items()))
        state = "leaving" if one.is_leaving and one.state == "active" else one.state
        rows.append((one.title, one.id, one.connector, state, counts))
    columns = ("connection", "id", "connector", "state", "listings")
    print_table(columns, rows, whole=("id", "connector", "state"))
    for one in found:
        if one.attention:
            say(f": {one.attention}", begin=one.title, style="yellow")
        elif one.needs_authorisation and one.state != "removed":
            say(": it has to be authorised in the desk.", begin=one.title, style="yellow")
        if one.feed_url:
            say(f": its feed is {one.feed_url}", begin=one.title)


def print_missing(one: wire.Connection, missing: Sequence[str]) -> int:
    """The exit status that goes with it."""
    if not missing:
        say(": nothing is missing", begin=one.title, style="green")
    for problem in missing:
        say(f": {problem}", begin=one.title, style="yellow")
    return 1 if missing else 0


def print_plan(plan: wire.Plan) -> None:
    parts = [
        (plan.publish, "to publish"),
        (plan.update, "to update"),
        (plan.hide, "to hide while a price changes"),
        (plan.withdraw, "to take off"),
        (plan.skip, "that cannot go"),
        (plan.unchanged, "unchanged"),
    ]
    counts = ", ".join(f"{count} {what}" for count, what in parts if count)
    say(f"{plan.checked} checked: {counts or 'nothing to do'}")
    if plan.requests:
        say(f"{plan.requests} request(s), at least {plan.seconds} s by the channel's limits")
    for note in plan.notes:
        say(f" {note}", begin="!", style="yellow")
    if plan.changes:
        print_table(
            ("product", "what", "why"),
            [(one.title, one.action, one.reason or ", ".join(one.fields)) for one in plan.changes],
        )
    of = plan.publish + plan.update + plan.hide + plan.withdraw + plan.skip
    if of > len(plan.changes):
        say(f"... the first {len(plan.changes)} of them are shown")


def why(one: wire.Listing) -> str:
    if one.reason:
        return one.reason
    if one.drift:
        return f"{one.drift.field}: ours {one.drift.ours}, theirs {one.drift.theirs}"
    return ""


@asynccontextmanager
async def progress_shown(shop: Liveshop, found: Sequence[wire.Connection]) -> AsyncIterator[None]:
    """A bar for each piece of work that begins while the block lasts."""
    service = shop.syndication.connections
    titles = {one.id: one.title for one in found}
    seen = {run.id for id_ in titles for run in await service.runs(id_) if run.state != "running"}
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
    ) as bars:
        tasks = {}

        async def look() -> None:
            for id_, title in titles.items():
                # The newest come first; what was begun first is shown first.
                for run in reversed(await service.runs(id_)):
                    if run.id in seen:
                        continue
                    if run.id not in tasks:
                        name = f"{title}: {_WORK.get(run.kind, run.kind)}"
                        tasks[run.id] = bars.add_task(name, total=run.total)
                    total = run.total if run.total or run.state == "running" else run.done
                    bars.update(tasks[run.id], completed=run.done, total=total)

        async def watch() -> None:
            while True:
                await look()
                await asyncio.sleep(POLL_SECONDS)

        watcher = asyncio.create_task(watch())
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            await look()
