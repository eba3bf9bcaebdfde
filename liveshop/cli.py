"""The command line. The only place that reads settings and the environment."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from liveshop import __version__
from liveshop.app import Browser, Liveshop, listening, opened, supervised, until_stopped
from liveshop.catalog.importer import ImportReport
from liveshop.connect import Connectors
from liveshop.demo import run as demo_run
from liveshop.demo import seed
from liveshop.kernel.errors import ShopError
from liveshop.migrations import migrate as run_migrations
from liveshop.migrations import pending_migrations
from liveshop.settings import BadSettings, Settings
from liveshop.settings import load as load_settings
from liveshop.storage import Database, Jobs
from liveshop.web import assets as web_assets
from liveshop.web import logs
from liveshop.web.assets import AssetsMissing

out = Console()
err = Console(stderr=True)


class Fault(click.ClickException):
    """A problem the operator can do something about, in words."""

    def show(self, file: Any = None) -> None:
        err.print(f"[bold red]liveshop:[/] {self.message}", highlight=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="liveshop")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="A liveshop.toml; by default the one in this folder, if there is one.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Live shopping on your own server."""
    if config is None and Path("liveshop.toml").is_file():
        config = Path("liveshop.toml")
    context.obj = config


def _settings(config: Path | None, **overrides: Any) -> Settings:
    given = {
        name.replace("__", "."): value for name, value in overrides.items() if value is not None
    }
    try:
        settings = load_settings(file=config, overrides=given)
    except BadSettings as error:
        raise _corrections(error) from error
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    return settings


def _corrections(error: BadSettings) -> Fault:
    lines = "\n".join(f"  - {problem}" for problem in error.problems)
    return Fault(f"the settings need {len(error.problems)} correction(s):\n{lines}")


def _run(main_: Coroutine[Any, Any, None]) -> None:
    """Run to the end; known problems become one line and exit status 1."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(main_)
            finally:
                runner.run(_drivers_ended())
    except ShopError as error:
        raise Fault(error.detail) from error
    except BadSettings as error:  # a key or a method that only its room can judge
        raise _corrections(error) from error
    except AssetsMissing as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(_in_words(error)) from error
    except KeyboardInterrupt:
        sys.exit(130)


async def _drivers_ended() -> None:
    """Wait, shortly, for the threads of SQLite connections that were cut off in mid-work.

    They still answer to the loop, and would print a traceback if it were closed by then.
    """
    for _ in range(100):
        if not any("_connection_worker_thread" in one.name for one in threading.enumerate()):
            return
        await asyncio.sleep(0.02)


def _in_words(error: OSError) -> str:
    text = str(error)
    if "address already in use" in text.lower():
        return f"the port is in use by another program. Choose another with --port. ({text})"
    if isinstance(error, PermissionError) or "read-only" in text.lower():
        return f"the data folder cannot be written; check its owner and permissions. ({text})"
    return text


@main.command()
@click.option("--host", default=None, help="Address to listen on (server.host).")
@click.option("--port", type=int, default=None, help="Port to listen on (server.port).")
@click.pass_obj
def serve(config: Path | None, host: str | None, port: int | None) -> None:
    """Run the server, its worker included."""
    settings = _settings(config, server__host=host, server__port=port)
    try:
        browser = Browser.load(settings)
    except AssetsMissing as error:
        raise Fault(str(error)) from error

    async def run() -> None:
        async with opened(settings, browser) as shop:
            address = settings.server
            async with listening(shop.web_application(), address.host, address.port):
                err.print(f"Liveshop listens on {settings.public_url}", highlight=False)
                await until_stopped()

    _make_data_folder(settings)
    _run(run())


@main.command()
@click.pass_obj
def worker(config: Path | None) -> None:
    """Run the outbox worker alone, beside `serve` processes on the same database."""
    settings = _settings(config)

    async def run() -> None:
        async with opened(settings) as shop:
            stopped = asyncio.create_task(until_stopped())
            working = [
                asyncio.create_task(supervised("worker", shop.worker.run)),
                asyncio.create_task(supervised("slow worker", shop.slow_worker.run)),
            ]
            await stopped
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    _make_data_folder(settings)
    _run(run())


@main.command()
@click.pass_obj
def migrate(config: Path | None) -> None:
    """Bring the database up to date."""
    settings = _settings(config)

    async def run() -> None:
        applied = await run_migrations(settings.database_url)
        out.print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")

    _make_data_folder(settings)
    _run(run())


@main.command()
@click.pass_obj
def doctor(config: Path | None) -> None:
    """Say what is wrong with this installation, in words."""
    settings = _settings(config)
    problems: list[str] = []
    try:
        web_assets.load()
    except AssetsMissing as error:
        problems.append(str(error))
    try:
        _make_data_folder(settings)
    except Fault as error:
        problems.append(error.message)

    async def look() -> None:
        database = Database.open(settings.database_url)
        try:
            await database.ping()
            missing = await pending_migrations(settings.database_url)
            if missing:
                problems.append(
                    f"the database misses {len(missing)} migration(s): run `liveshop migrate`"
                )
                return
            async with database.read() as conn:
                dead = await Jobs.dead(conn)
            problems.extend(
                f"{row[1]} job(s) of {row[0]} failed for good; the last error: {row[2]}"
                for row in dead
            )
        except ShopError as error:
            problems.append(error.detail)
        finally:
            await database.close()

    _run(look())
    if settings.server.host not in ("127.0.0.1", "localhost", "::1") and not (
        settings.public_url.startswith("https://")
    ):
        problems.append("server.public_url: serve over https where strangers reach this server")
    if not settings.server.embed_origins:
        problems.append("server.embed_origins: empty, so no storefront may embed a show")
    for problem in problems:
        out.print(f"[yellow]![/] {problem}", highlight=False)
    if problems:
        sys.exit(1)
    out.print("[green]nothing wrong found[/]")


@main.command("create-staff")
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(["host", "moderator", "merchant", "admin"]),
)
@click.password_option(help="Asked for when not given.")
@click.pass_obj
def create_staff(
    config: Path | None, email: str, name: str, roles: tuple[str, ...], password: str
) -> None:
    """Add a member of staff, such as the first admin."""
    settings = _settings(config)

    async def run() -> None:
        async with opened(settings) as shop:
            member = await shop.accounts.create_staff(
                email=email, name=name, password=password, roles=roles
            )
            out.print(f"{member.name} ({', '.join(sorted(member.roles))}) may sign in")

    _make_data_folder(settings)
    _run(run())


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--format",
    "format_",
    default=None,
    help="google_csv or ndjson; by default told from the file's name.",
)
@click.pass_obj
def import_file(config: Path | None, file: Path, format_: str | None) -> None:
    """Import products from FILE: a Google product feed (CSV) or NDJSON."""
    settings = _settings(config)
    size = file.stat().st_size
    kind = format_ or ("ndjson" if file.suffix in (".ndjson", ".jsonl") else "google_csv")

    async def run() -> None:
        async with opened(settings) as shop:
            report = await _import_with_progress(shop, file, kind, size)
        for problem in report.problems:
            where = f"line {problem.line}" + (
                f", id {problem.source_id}" if problem.source_id else ""
            )
            out.print(f"[yellow]{where}[/]: {problem.reason}", highlight=False)
        if report.problems_total > len(report.problems):
            out.print(f"... and {report.problems_total - len(report.problems)} more")
        out.print(
            f"{report.rows} rows: {report.products_created} products created, "
            f"{report.products_updated} updated, {report.unchanged} rows unchanged, "
            f"{report.failed} failed",
            highlight=False,
        )
        if report.failed:
            sys.exit(2)

    _make_data_folder(settings)
    _run(run())


async def _import_with_progress(shop: Liveshop, file: Path, kind: str, size: int) -> ImportReport:
    source = Connectors.installed().file_source(kind)
    percentage = TextColumn("{task.percentage:.0f} %")
    with Progress(
        TextColumn("{task.description}"), BarColumn(), percentage, TimeElapsedColumn(), console=err
    ) as bar:
        task = bar.add_task(file.name, total=size)

        async def chunks() -> AsyncIterator[bytes]:
            with open(file, "rb") as handle:  # noqa: ASYNC230  # reads go to a thread
                while chunk := await asyncio.to_thread(handle.read, 256 * 1024):
                    yield chunk
                    bar.advance(task, len(chunk))

        return await shop.catalog.import_file(source, chunks())


@main.group()
def connectors() -> None:
    """Look at the installed connectors."""


@connectors.command("list")
def connectors_list() -> None:
    """The connectors that are installed."""
    for name in Connectors.installed().names:
        out.print(name)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--public-host",
    default=None,
    help="The name or address browsers use, for phones in the same network.",
)
@click.option("--port", type=int, default=8080, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("liveshop-demo"),
    show_default=True,
    help="The demo's data folder.",
)
@click.option("--fresh", is_flag=True, help="Start over: delete what an earlier demo kept.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready.")
def demo(
    host: str, public_host: str | None, port: int, data: Path, fresh: bool, as_json: bool
) -> None:
    """Run a whole shop: a live show with video, chat and checkout, and a storefront around it."""
    if public_host is None:
        if host in ("0.0.0.0", "::"):  # noqa: S104  # asked for, and refused without a name
            raise Fault(
                f"no browser can open http://{host}. Say by which name or address this machine "
                "is reached, such as --public-host 192.168.1.20"
            )
        public_host = host
    logs.configure(level="warning", fmt="console")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(f"making the demo's {what}", total=of)
            bar.update(tasks[what], completed=done)

        try:
            plan = demo_run.prepare(
                data=data.absolute(),
                host=host,
                port=port,
                public_host=public_host,
                fresh=fresh,
                progress=progress,
                environ={},
            )
        except OSError as error:
            raise Fault(_in_words(error)) from error
        except AssetsMissing as error:
            raise Fault(str(error)) from error

    def ready(addresses: demo_run.Addresses) -> None:
        if as_json:
            click.echo(msgspec.json.encode(addresses).decode())
        else:
            _print_addresses(addresses)

    _run(demo_run.run(plan, ready))
    if not as_json:
        err.print("The demo has ended; its data is kept.")


def _print_addresses(addresses: demo_run.Addresses) -> None:
    """Lines, not a table: an address must never be cut to fit a column."""
    server = addresses.studio.removesuffix("/studio")
    rows = (
        ("storefront with the show", addresses.storefront),
        ("the show's own page", f"{server}/s/{addresses.show_id}"),
        ("studio, for hosts", addresses.studio),
        ("  sign in as", f"{seed.HOST_EMAIL} / {seed.PASSWORD}"),
        ("desk, for merchants", addresses.desk),
        ("  sign in as", f"{seed.MERCHANT_EMAIL} / {seed.PASSWORD}"),
        ("  or as admin", f"{seed.ADMIN_EMAIL} / {seed.PASSWORD}"),
        ("API", f"{server}/api/docs"),
        ("test cards", "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined"),
    )
    out.print(
        "\n[bold]The Liveshop demo is live.[/]  Ctrl-C ends it and keeps its data; "
        "`liveshop demo --fresh` starts over.\n",
        soft_wrap=True,
    )
    for what, where in rows:
        out.print(f"  {what:<26}{where}", highlight=False, soft_wrap=True)


def _make_data_folder(settings: Settings) -> None:
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fault(_in_words(error)) from error
    # Asked here and not left to the database: its driver's thread outlives a failed connection.
    if not os.access(settings.data_path, os.W_OK | os.X_OK):
        raise Fault(_in_words(PermissionError(str(settings.data_path))))
