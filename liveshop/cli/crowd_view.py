"""How a crowd looks in a terminal: while it goes on, and what came of it."""

from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from liveshop import crowd

_RATE_TICKS = 6
"""Rates are taken over so many ticks."""
_WIDEST = 100


class Board:
    """What goes on, drawn in one place. A context manager."""

    def __init__(self, console: Console, plan: crowd.Plan) -> None:
        self._console = console
        self._plan = plan
        self._ticks: deque[crowd.Tick] = deque(maxlen=_RATE_TICKS)
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Board":
        self._live.start()
        self._live.update(Text(f"Looking at {self._plan.addresses[0]} …"))
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, tick: crowd.Tick) -> None:
        self._ticks.append(tick)
        self._live.update(self._drawn(tick))

    def _drawn(self, tick: crowd.Tick) -> Group:
        plan = self._plan
        width = min(self._console.width, _WIDEST)
        head = Table.grid(expand=True)
        head.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        head.add_column(justify="right", no_wrap=True)
        clock = f"{_clock(min(tick.elapsed, plan.seconds))} of {_clock(plan.seconds)}"
        where = Text(plan.addresses[0], style="bold")
        head.add_row(where, "at the end …" if tick.is_settling else clock)
        head.width = width
        done = min(tick.elapsed, plan.seconds)
        # Padded, as a bar alone does not end its line.
        bar = Padding(ProgressBar(total=plan.seconds, completed=done, width=width), 0)
        figures = _grid()
        latest = [tick.delivery.percentile(share) for share in (0.5, 0.95, 0.99)]
        p50, p95, p99 = ("-" if one is None else _ms(one * 1000) for one in latest)
        figures.add_row(
            "viewers",
            _facts(
                f"{tick.here:,} of {plan.viewers:,} here",
                f"{self._rate(tick.came_in, 'came_in')} joins/s",
                _bad(tick.away, "away"),
                _bad(tick.failed_tries, "failed tries"),
            ),
        )
        figures.add_row("delivery", _facts(f"p50 {p50}", f"p95 {p95}", f"p99 {p99}"))
        figures.add_row(
            "log",
            _facts(
                f"{self._rate(tick.events, 'events')} events/s",
                _bad(tick.gaps, "gaps"),
                _bad(tick.repeats, "repeats"),
                f"{tick.reconnects:,} reconnects",
            ),
        )
        figures.add_row(
            "chat",
            _facts(
                f"{tick.acknowledged:,} messages",
                f"{self._rate(tick.acknowledged, 'acknowledged')} messages/s",
                f"{tick.refused:,} refused",
            ),
        )
        if plan.buyers:
            figures.add_row(
                "orders",
                _facts(
                    f"{tick.orders_placed:,} placed",
                    f"{tick.orders_refused:,} refused",
                    _bad(tick.orders_failed, "failed"),
                ),
            )
        return Group(head, bar, figures)

    def _rate(self, now: int, name: str) -> str:
        first, last = self._ticks[0], self._ticks[-1]
        seconds = last.elapsed - first.elapsed
        if seconds <= 0:
            return "0"
        rate = (now - int(getattr(first, name))) / seconds
        return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def print_report(console: Console, report: crowd.Report) -> None:
    joins, chat, log, lines = report.joins, report.chat, report.log, report.lines
    orders, delivery = report.orders, report.delivery_ms
    figures = _grid()
    figures.add_row("show", Text(f"{report.title} ({report.show_id})"))
    figures.add_row(
        "viewers",
        _facts(
            f"{joins.came_in:,} of {joins.people:,} came in",
            f"{joins.most_at_once:,} at once at most",
            _bad(joins.never_in, "never in"),
        ),
    )
    figures.add_row(
        "joins",
        _facts(
            f"{joins.peak_per_second:,}/s at most",
            f"p50 {_ms(joins.ms.p50)}",
            f"p99 {_ms(joins.ms.p99)}",
            f"all in after {joins.all_in_s or 0} s",
        ),
    )
    figures.add_row(
        "delivery",
        _facts(
            f"p50 {_ms(delivery.p50)}",
            f"p95 {_ms(delivery.p95)}",
            f"p99 {_ms(delivery.p99)}",
            f"slowest {_ms(delivery.max)}",
        )
        if delivery.count
        else Text("nothing was said"),
    )
    figures.add_row(
        "log",
        _facts(
            f"{log.frames:,} events",
            _bad(log.gaps, "gaps"),
            _bad(log.repeats, "repeats"),
            _bad(log.out_of_order, "out of order"),
            f"{log.reloads:,} reloads",
        ),
    )
    figures.add_row(
        "chat",
        _facts(
            f"{chat.acknowledged:,} of {chat.sent:,} acknowledged",
            _bad(chat.lost + chat.unseen, "lost"),
            f"{sum(chat.refused.values()):,} refused",
        ),
    )
    away = (f"away p95 {_ms(lines.away_ms.p95)}", f"at most {_ms(lines.away_ms.max)}")
    figures.add_row(
        "lines",
        _facts(
            f"{lines.reconnects:,} lost and back",
            *(away if lines.reconnects else ()),
            *((_bad(lines.away_at_end, "lost for good"),) if lines.away_at_end else ()),
            _bad(sum(joins.failed_tries.values()), "failed tries"),
        ),
    )
    if orders.requests or orders.refused or orders.failed:
        figures.add_row(
            "orders",
            _facts(
                f"{orders.placed:,} placed",
                f"{sum(orders.refused.values()):,} refused",
                _bad(sum(orders.failed.values()), "failed"),
                _bad(orders.lost, "lost"),
                _bad(orders.twice, "twice"),
            ),
        )
    console.print(figures)
    for remark in report.remarks:
        console.print(Text(f"  {remark[0].upper()}{remark[1:]}."), soft_wrap=True)
    style = "bold green" if report.ok else "bold red"
    console.print(Text(report.verdict, style=style), soft_wrap=True)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    return grid


def _facts(*facts: str | Text) -> Text:
    return Text(" · ", style="dim").join(
        fact if isinstance(fact, Text) else Text(fact, style="default") for fact in facts
    )


def _bad(count: int, what: str) -> Text:
    return Text(f"{count:,} {what}", style="bold red" if count else "default")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:,.1f} s"
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
