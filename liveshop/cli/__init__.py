"""The command line. The only room that reads settings and the environment."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from liveshop import __version__
from liveshop.app import Browser, Liveshop, opened, supervised
from liveshop.catalog.importer import ImportReport
from liveshop.cli.connectors import connectors
from liveshop.cli.console import (
    Fault,
    err,
    in_words,
    make_data_folder,
    out,
    run_to_end,
    settings_of,
)
from liveshop.cli.crowd import crowd_command
from liveshop.cli.machine import make_ready_for_crowds
from liveshop.connect import Connectors
from liveshop.demo import run as demo_run
from liveshop.demo import seed
from liveshop.kernel.errors import ShopError
from liveshop.migrations import migrate as run_migrations
from liveshop.migrations import pending_migrations
from liveshop.realtime import brokers
from liveshop.serving import listening, taking_video, until_stopped
from liveshop.settings import Settings
from liveshop.storage import Database, Jobs
from liveshop.web import assets as web_assets
from liveshop.web import logs
from liveshop.web.assets import AssetsMissing


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


@main.command()
@click.option("--host", default=None, help="Address to listen on (server.host).")
@click.option("--port", type=int, default=None, help="Port to listen on (server.port).")
@click.pass_obj
def serve(config: Path | None, host: str | None, port: int | None) -> None:
    """Run the server, its worker included."""
    settings = settings_of(config, server__host=host, server__port=port)
    try:
        browser = Browser.load(settings)
    except AssetsMissing as error:
        raise Fault(str(error)) from error

    async def run() -> None:
        async with opened(settings, browser) as shop:
            address = settings.server
            async with (
                listening(shop.web_application(), address.host, address.port),
                taking_video(shop),
            ):
                err.print(f"Liveshop listens on {settings.public_url}", highlight=False)
                if settings.ingest_url:
                    err.print(f"Encoders send to {settings.ingest_url}", highlight=False)
                await shop.drain(await until_stopped())

    make_data_folder(settings)
    make_ready_for_crowds()
    run_to_end(run())


@main.command()
@click.pass_obj
def worker(config: Path | None) -> None:
    """Run the outbox worker alone, beside `serve` processes on the same database."""
    settings = settings_of(config)

    async def run() -> None:
        async with opened(settings) as shop:
            shop.nodes.leases.is_node = False
            stopped = asyncio.create_task(until_stopped())
            working = [
                asyncio.create_task(supervised("worker", shop.worker.run)),
                asyncio.create_task(supervised("slow worker", shop.slow_worker.run)),
                asyncio.create_task(supervised("export worker", shop.export_worker.run)),
                asyncio.create_task(supervised("mail worker", shop.mail_worker.run)),
                asyncio.create_task(supervised("reminder worker", shop.reminder_worker.run)),
                asyncio.create_task(supervised("syndication", shop.synchronise)),
                asyncio.create_task(supervised("broker", shop.broker.run)),
                *(
                    asyncio.create_task(supervised(name, job))
                    for name, job in shop.nodes.jobs.items()
                ),
            ]
            await stopped
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    make_data_folder(settings)
    run_to_end(run())


@main.command()
@click.pass_obj
def migrate(config: Path | None) -> None:
    """Bring the database up to date."""
    settings = settings_of(config)

    async def run() -> None:
        applied = await run_migrations(settings.database_url)
        out.print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")

    make_data_folder(settings)
    run_to_end(run())


def lacks_of_several_nodes(settings: Settings) -> list[str]:
    """What works with one node and not with several, in words."""
    if settings.realtime.broker == "memory":
        return []
    told = {
        "server.node_url": (
            settings.server.node_url,
            "no other node can show the video that is sent to this one",
        ),
        "media.folder": (
            settings.media.folder,
            "pictures of one node are missing on the others; name a folder that all share",
        ),
        "video.folder": (
            settings.video.folder,
            "what a node recorded that dies is missing from the replay; name one that all share",
        ),
    }
    return [f"{name}: empty, so {why}" for name, (given, why) in told.items() if not given]


@main.command()
@click.pass_obj
def doctor(config: Path | None) -> None:
    """Say what is wrong with this installation, in words."""
    settings = settings_of(config)
    problems: list[str] = []
    try:
        web_assets.load()
    except AssetsMissing as error:
        problems.append(str(error))
    try:
        make_data_folder(settings)
    except Fault as error:
        problems.append(error.message)

    async def look() -> None:
        problems.extend(await brokers.problems_of(settings.realtime))
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

    run_to_end(look())
    if settings.server.host not in ("127.0.0.1", "localhost", "::1") and not (
        settings.public_url.startswith("https://")
    ):
        problems.append("server.public_url: serve over https where strangers reach this server")
    if "invoice" in settings.payments.methods and not settings.company.iban:
        problems.append(
            "company.iban: empty, so neither invoices nor mails say where to transfer to "
            "(unless company.address or company.bank does)"
        )
    if not settings.server.embed_origins:
        problems.append("server.embed_origins: empty, so no storefront may embed a show")
    problems.extend(lacks_of_several_nodes(settings))
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
    settings = settings_of(config)

    async def run() -> None:
        async with opened(settings) as shop:
            member = await shop.accounts.create_staff(
                email=email, name=name, password=password, roles=roles
            )
            out.print(f"{member.name} ({', '.join(sorted(member.roles))}) may sign in")

    make_data_folder(settings)
    run_to_end(run())


_FORMATS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".xml": "google_xml"}


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--format",
    "format_",
    default=None,
    help="google_csv, google_xml or ndjson; by default told from the file's name.",
)
@click.pass_obj
def import_file(config: Path | None, file: Path, format_: str | None) -> None:
    """Import products from FILE: a Google product feed (CSV or XML) or NDJSON."""
    settings = settings_of(config)
    size = file.stat().st_size
    kind = format_ or _FORMATS.get(file.suffix.lower(), "google_csv")

    async def run() -> None:
        async with opened(settings) as shop:
            report = await _import_with_progress(shop, file, kind, size)
            # The server beside it does not hear of this by itself; the channels shall.
            await shop.syndication.planner.note()
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

    make_data_folder(settings)
    run_to_end(run())


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


main.add_command(connectors)
main.add_command(crowd_command)


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
            raise Fault(in_words(error)) from error
        except AssetsMissing as error:
            raise Fault(str(error)) from error

    def ready(addresses: demo_run.Addresses) -> None:
        if as_json:
            click.echo(msgspec.json.encode(addresses).decode())
        else:
            _print_addresses(addresses, data / demo_run.SETTINGS_FILE)

    make_ready_for_crowds()
    run_to_end(demo_run.run(plan, ready))
    if not as_json:
        err.print("The demo has ended; its data is kept.")


def _print_addresses(addresses: demo_run.Addresses, settings_file: Path) -> None:
    """Lines, not a table: an address must never be cut to fit a column."""
    server = addresses.studio.removesuffix("/studio")
    rows = (
        ("storefront with the show", addresses.storefront),
        ("the show's own page", f"{server}/s/{addresses.show_id}"),
        ("studio, for hosts", addresses.studio),
        ("  sign in as", f"{seed.HOST_EMAIL} / {seed.PASSWORD}"),
        ("  OBS sends to", f"{addresses.ingest} with a key from the studio (Send video)"),
        ("desk, for merchants", addresses.desk),
        ("  sign in as", f"{seed.MERCHANT_EMAIL} / {seed.PASSWORD}"),
        ("  or as admin", f"{seed.ADMIN_EMAIL} / {seed.PASSWORD}"),
        ("API", f"{server}/api/docs"),
        ("commands", f"liveshop --config {settings_file} connectors list"),
        (
            "test cards",
            "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined, "
            "4000 0000 0000 3220 asks to be confirmed",
        ),
    )
    out.print(
        "\n[bold]The Liveshop demo is live.[/]  Ctrl-C ends it and keeps its data; "
        "`liveshop demo --fresh` starts over.\n",
        soft_wrap=True,
    )
    for what, where in rows:
        out.print(f"  {what:<26}{where}", highlight=False, soft_wrap=True)
