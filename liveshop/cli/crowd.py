"""`liveshop crowd`: people sent to a show; what they do there is in `liveshop.crowd`."""

import asyncio
import signal
import sys
from collections.abc import Callable

import click
from rich.console import Console

from liveshop import crowd
from liveshop.cli.console import Fault, err, out, run_to_end
from liveshop.cli.crowd_view import Board, print_report

_NOT_GOOD = 1
_LINE_SECONDS = 10.0
"""How often progress is said where there is no terminal to draw on."""


class CannotStart(Fault):
    """Nothing was measured."""

    exit_code = 2


@click.command("crowd")
@click.argument("url")
@click.option("--show", default="", help="The show; without it the one that is live.")
@click.option(
    "--invite", default="", help="The invitation to a show in rehearsal, from the studio."
)
@click.option(
    "--node", "nodes", multiple=True, help="Another address of the same shop; repeatable."
)
@click.option("--viewers", type=int, default=100, show_default=True, help="How many come.")
@click.option(
    "--chatters", default="5%", show_default=True, metavar="N|%", help="Of them, writing."
)
@click.option("--buyers", default="0", show_default=True, metavar="N|%", help="Of them, ordering.")
@click.option("--buy", is_flag=True, help="Yes, orders: never on a server that sells for real.")
@click.option("--minutes", type=float, default=None, help="How long they stay.  [default: 1]")
@click.option("--seconds", type=float, default=None, help="The same in seconds.")
@click.option(
    "--arrival",
    type=click.Choice(crowd.ARRIVALS),
    default="show",
    show_default=True,
    help="show: a rush at the beginning, then as people drop in; some leave, some come back.",
)
@click.option("--chat-per-minute", type=float, default=2.0, show_default=True, help="Each chatter.")
@click.option(
    "--hearts-per-minute", type=float, default=4.0, show_default=True, help="Each chatter."
)
@click.option("--orders-each", type=int, default=1, show_default=True, help="Each buyer.")
@click.option("--within", "within_ms", type=float, help="Fail when p99 of delivery is above (ms).")
@click.option("--seed", type=int, default=1, show_default=True, help="The same crowd again.")
@click.option("--processes", default="auto", show_default=True, help="How many, or auto.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def crowd_command(
    url: str,
    show: str,
    invite: str,
    nodes: tuple[str, ...],
    viewers: int,
    chatters: str,
    buyers: str,
    buy: bool,
    minutes: float | None,
    seconds: float | None,
    arrival: crowd.Arrival,
    chat_per_minute: float,
    hearts_per_minute: float,
    orders_each: int,
    within_ms: float | None,
    seed: int,
    processes: str,
    as_json: bool,
) -> None:
    """Send a crowd of simulated viewers to the show at URL, and count what becomes of them.

    URL is a server's address or a show's page. Viewers open real sockets and check every event of
    the room: in order, no gap, no repeat. They do not load the video. Chatters write at human
    rates; buyers fill a cart and order, where nothing is sold for real.

    Ends with 0 when all was well, 1 when not, and 2 when the crowd could not start.
    """
    if minutes is not None and seconds is not None:
        raise click.UsageError("--minutes and --seconds say the same; give one of them")
    try:
        base, named, invitation = crowd.address_of(url)
        plan = crowd.Plan(
            addresses=(base, *(crowd.address_of(node)[0] for node in nodes)),
            show_id=show or named,
            viewers=viewers,
            chatters=crowd.counted(chatters, viewers),
            buyers=crowd.counted(buyers, viewers),
            seconds=seconds if seconds is not None else 60 * (1 if minutes is None else minutes),
            arrival=arrival,
            chat_per_minute=chat_per_minute,
            hearts_per_minute=hearts_per_minute,
            orders_each=orders_each,
            buy=buy,
            invitation=invite or invitation,
            seed=seed,
            tick_seconds=0.5,
            within_ms=within_ms,
        )
        count = _processes(processes)
    except (crowd.BadPlan, crowd.CannotStart) as error:
        raise CannotStart(str(error)) from error
    run_to_end(_run(plan, count, as_json=as_json))


def _processes(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise crowd.BadPlan(f"--processes is auto or a number from 1 to 64, not {text}")
    return int(text)


async def _run(plan: crowd.Plan, processes: int | None, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, stop)
    try:
        if err.is_terminal:
            with Board(err, plan) as board:
                report = await crowd.run_crowd(plan, board.show, processes=processes, stop=stop)
        else:
            report = await crowd.run_crowd(plan, _teller(err, plan), processes=processes, stop=stop)
    except (crowd.BadPlan, crowd.CannotStart) as error:
        raise CannotStart(str(error)) from error
    if as_json:
        click.echo(report.as_json())
    else:
        print_report(out, report)
    if not report.ok:
        if as_json:
            err.print(report.verdict, highlight=False, soft_wrap=True)
        sys.exit(_NOT_GOOD)


def _stop(stop: asyncio.Event) -> None:
    """The first Ctrl-C ends the crowd early and reports; a second one ends at once."""
    if stop.is_set():
        raise KeyboardInterrupt
    stop.set()


def _teller(console: Console, plan: crowd.Plan) -> Callable[[crowd.Tick], None]:
    """A line now and then."""
    said_at = -_LINE_SECONDS

    def tell(tick: crowd.Tick) -> None:
        nonlocal said_at
        if tick.elapsed - said_at < _LINE_SECONDS:
            return
        said_at = tick.elapsed
        late = tick.delivery.percentile(0.99)
        console.print(
            f"{tick.elapsed:.0f} s of {plan.seconds:.0f}: {tick.here:,} of {plan.viewers:,} "
            f"viewers here, {tick.acknowledged:,} messages, p99 "
            f"{'-' if late is None else f'{late * 1000:,.0f} ms'}, {tick.gaps} gaps, "
            f"{tick.repeats} repeats, {tick.orders_placed} orders",
            highlight=False,
            soft_wrap=True,
        )

    return tell
