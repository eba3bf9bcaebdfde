"""What came of it: figures, and a verdict in words. Made from the tally alone."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

import msgspec

from liveshop.crowd.histogram import Histogram
from liveshop.crowd.looking import Target
from liveshop.crowd.plan import Plan
from liveshop.crowd.sequence import Record, Span
from liveshop.crowd.tally import Tally

_LATE_SECONDS = 0.1
_SOME = 3
"""So many of a kind are named in a verdict."""


class Spread(msgspec.Struct):
    """Of milliseconds; null where nothing was measured. Up to 1.6 % too high, but for `max`."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> "Spread":
        p50, p95, p99 = (_ms(histogram.percentile(share)) for share in (0.5, 0.95, 0.99))
        return cls(histogram.count, p50, p95, p99, _ms(histogram.longest))


class Joins(msgspec.Struct):
    """`ms`: from opening the page to the greeting on the socket. `all_in_s`: when the last came in
    for the first time, after the beginning. `failed_tries`: by reason; most come in later."""

    people: int
    came_in: int
    never_in: int
    most_at_once: int
    peak_per_second: int
    all_in_s: int | None
    ms: Spread
    failed_tries: dict[str, int]
    turned_away: dict[str, int]


class ChatReport(msgspec.Struct):
    """`lost`: acknowledged, and missing in the log of at least one viewer who was there;
    `lost_deliveries` counts those viewers. `unseen`: acknowledged, and nobody ever got it.
    `arrived_unanswered`: not acknowledged, and there. `twice`: at two places of one log."""

    sent: int
    acknowledged: int
    refused: dict[str, int]
    unanswered: int
    arrived_unanswered: int
    lost: int
    lost_deliveries: int
    unseen: int
    twice: int
    hearts: int


class Log(msgspec.Struct):
    """`missed`: events in all gaps together. `omitted`: left out by the server's choice, and said.
    `behind`: viewers who lacked the end of the log when the crowd left. `reopened`: reloads by a
    snapshot that was older than the line, which was opened anew to get what lies between."""

    frames: int
    gaps: int
    missed: int
    repeats: int
    out_of_order: int
    omitted: int
    caught_up: int
    reloads: int
    reopened: int
    behind: int


class Lines(msgspec.Struct):
    """`away_ms`: from losing the line to the next greeting."""

    closes: dict[str, int]
    reconnects: int
    away_ms: Spread
    away_at_end: int


class OrderReport(msgspec.Struct):
    """`untried`: over before it came to that. `lost`: acknowledged, and not there when read back;
    `unread`: could not be read back."""

    placed: int
    untried: int
    refused: dict[str, int]
    failed: dict[str, int]
    requests: int
    lost: int
    twice: int
    wrong_total: int
    unread: int
    states: dict[str, int]


class Report(msgspec.Struct):
    """`problems`: what the server did wrong, in words; `remarks`: what else should be known.
    `crowd_late_ms`: how late the crowd itself was, which is part of every delivery. `records`: what
    each person was given of the log; not in the JSON of the command."""

    ok: bool
    verdict: str
    problems: list[str]
    remarks: list[str]
    show_id: str
    title: str
    seconds: float
    seed: int
    processes: int
    joins: Joins
    delivery_ms: Spread
    chat: ChatReport
    log: Log
    lines: Lines
    orders: OrderReport
    crowd_late_ms: Spread
    records: list[Record]

    def as_json(self) -> bytes:
        """One object, without the records."""
        fields: dict[str, Any] = {
            name: getattr(self, name) for name in self.__struct_fields__ if name != "records"
        }
        return msgspec.json.encode(fields)


def report_of(
    plan: Plan, target: Target, tally: Tally, *, seconds: float, processes: int
) -> Report:
    report = Report(
        ok=True,
        verdict="",
        problems=[],
        remarks=[],
        show_id=target.show_id,
        title=target.title,
        seconds=round(seconds, 1),
        seed=plan.seed,
        processes=processes,
        joins=_joins(tally),
        delivery_ms=Spread.of(tally.delivery),
        chat=_chat(tally),
        log=_log(tally),
        lines=Lines(dict(tally.closes), tally.reconnects, Spread.of(tally.away), tally.away_at_end),
        orders=_orders(tally),
        crowd_late_ms=Spread.of(tally.late),
        records=tally.records,
    )
    report.problems = _problems(plan, report, tally)
    report.remarks = _remarks(report)
    report.ok = not report.problems
    report.verdict = _verdict(report)
    return report


def _joins(tally: Tally) -> Joins:
    return Joins(
        people=tally.planned,
        came_in=tally.came_in,
        never_in=tally.never_in,
        most_at_once=tally.most_at_once,
        peak_per_second=max(tally.joins.values(), default=0),
        all_in_s=max(tally.joins) + 1 if tally.joins else None,
        ms=Spread.of(tally.joining),
        failed_tries=dict(tally.tries),
        turned_away=dict(tally.turned_away),
    )


def _chat(tally: Tally) -> ChatReport:
    chat = tally.chat
    lost, deliveries = _lost(tally)
    return ChatReport(
        sent=chat.sent,
        acknowledged=len(chat.acknowledged),
        refused=dict(chat.refused),
        unanswered=len(chat.unanswered),
        arrived_unanswered=sum(mark in chat.seen or mark in chat.told for mark in chat.unanswered),
        lost=lost,
        lost_deliveries=deliveries,
        unseen=len(chat.acknowledged - chat.seen.keys() - chat.told),
        twice=chat.twice,
        hearts=tally.hearts,
    )


def _lost(tally: Tally) -> tuple[int, int]:
    """(messages, deliveries) that were acknowledged and are missing somewhere."""
    places: dict[str, list[int]] = {}
    for mark, (epoch, offset) in tally.chat.seen.items():
        if mark in tally.chat.acknowledged:
            places.setdefault(epoch, []).append(offset)
    for offsets in places.values():
        offsets.sort()
    lost: set[tuple[str, int]] = set()
    deliveries = 0
    for span in _missing(tally):
        offsets = places.get(span.epoch, [])
        within = offsets[bisect_left(offsets, span.first) : bisect_right(offsets, span.last)]
        deliveries += len(within)
        lost.update((span.epoch, offset) for offset in within)
    return len(lost), deliveries


def _missing(tally: Tally) -> list[Span]:
    gaps = [gap for record in tally.records for gap in record.gaps]
    return [*gaps, *(span for _, span in tally.behind)]


def _log(tally: Tally) -> Log:
    records = tally.records
    return Log(
        frames=tally.events,
        gaps=sum(len(record.gaps) for record in records),
        missed=sum(gap.last - gap.first + 1 for record in records for gap in record.gaps),
        repeats=sum(record.repeats for record in records),
        out_of_order=sum(record.out_of_order for record in records),
        omitted=tally.omitted,
        caught_up=tally.caught_up,
        reloads=tally.reloads,
        reopened=tally.reopened,
        behind=len(tally.behind),
    )


def _orders(tally: Tally) -> OrderReport:
    orders = tally.orders
    return OrderReport(
        placed=orders.placed,
        untried=orders.untried,
        refused=dict(orders.refused),
        failed=dict(orders.failed),
        requests=orders.tries,
        lost=orders.read_back.get("lost", 0),
        twice=orders.twice,
        wrong_total=orders.read_back.get("wrong_total", 0),
        unread=orders.read_back.get("unread", 0),
        states=dict(orders.states),
    )


# -- in words


def _problems(plan: Plan, report: Report, tally: Tally) -> list[str]:
    joins, chat, log, orders = report.joins, report.chat, report.log, report.orders
    away = report.lines.away_at_end
    expected = {f"closed with {code}" for code in plan.expected_closes}
    turned_away = {why: n for why, n in joins.turned_away.items() if why not in expected}
    never_in = joins.never_in - sum(n for why, n in joins.turned_away.items() if why in expected)
    slow = report.delivery_ms.p99
    found = [
        (joins.came_in == 0, "nobody came in"),
        (
            never_in > 0 and joins.came_in > 0,
            f"{_many(never_in, 'viewer')} never came in "
            f"({_named(joins.failed_tries) or 'they left before the page was there'})",
        ),
        (
            turned_away,
            f"{_many(sum(turned_away.values()), 'viewer')} turned away ({_named(turned_away)})",
        ),
        (away, f"{_many(away, 'viewer')} lost the connection and did not come back"),
        (log.missed, f"{_many(log.missed, 'event')} missing in {_many(log.gaps, 'gap')}"),
        (log.repeats, f"{_many(log.repeats, 'event')} given twice"),
        (log.out_of_order, f"{_many(log.out_of_order, 'event')} out of order"),
        (log.behind, f"{_many(log.behind, 'viewer')} did not get the end of the log"),
        (
            chat.lost,
            f"{_many(chat.lost, 'message')} acknowledged, but missing for a viewer who was there "
            f"({chat.lost_deliveries} deliveries)",
        ),
        (chat.unseen, f"{_many(chat.unseen, 'message')} acknowledged, but never given to anybody"),
        (chat.twice, f"{_many(chat.twice, 'message')} in the log twice"),
        (orders.lost, f"{_many(orders.lost, 'order')} acknowledged, but not there"),
        (orders.twice, f"{_many(orders.twice, 'order')} placed twice under one key"),
        (
            orders.wrong_total,
            f"{_many(orders.wrong_total, 'order')} with another total than agreed",
        ),
        (orders.unread, f"{_many(orders.unread, 'order')} could not be read back"),
        (
            orders.failed,
            f"{_many(sum(orders.failed.values()), 'order')} without an outcome "
            f"({_named(orders.failed)})",
        ),
        (tally.faults, f"faults: {_named(tally.faults)}"),
        (
            plan.within_ms is not None and slow is not None and slow > plan.within_ms,
            f"p99 of delivery is {_number(slow)} ms; {_number(plan.within_ms)} ms was asked for",
        ),
        (
            plan.within_ms is not None and slow is None,
            "no delivery was measured, though a limit was given for it",
        ),
    ]
    return [words for is_so, words in found if is_so]


def _remarks(report: Report) -> list[str]:
    chat, joins = report.chat, report.joins
    late = report.crowd_late_ms.p99
    found = [
        (
            late is not None and late > _LATE_SECONDS * 1000,
            f"the crowd's own process was up to {_number(late)} ms late (p99): deliveries were "
            "faster than they look. Use more --processes, or another machine",
        ),
        (
            joins.failed_tries and not joins.never_in,
            f"coming in failed {_times(sum(joins.failed_tries.values()))} and succeeded later "
            f"({_named(joins.failed_tries)})",
        ),
        (
            chat.refused,
            f"{_many(sum(chat.refused.values()), 'message')} refused by the room "
            f"({_named(chat.refused)})",
        ),
        (
            chat.unanswered,
            f"{_many(chat.unanswered, 'message')} without an answer in time, of which "
            f"{chat.arrived_unanswered} arrived",
        ),
        (
            report.orders.refused,
            f"orders refused by the shop: {_named(report.orders.refused)}",
        ),
        (
            report.orders.untried,
            f"{_many(report.orders.untried, 'order')} not tried: it was over before",
        ),
        (
            report.lines.reconnects,
            f"connections lost and found again: {report.lines.reconnects}, the slowest after "
            f"{_number(report.lines.away_ms.max)} ms",
        ),
        (
            report.log.omitted,
            f"{_many(report.log.omitted, 'event')} left out, and said to be, for nobody "
            "could read that fast",
        ),
    ]
    return [words for is_so, words in found if is_so]


def _verdict(report: Report) -> str:
    if report.problems:
        return f"Not good: {'; '.join(report.problems)}."
    chat, orders = report.chat, report.orders
    parts = [f"{_many(report.joins.came_in, 'viewer')} came in"]
    if chat.acknowledged:
        parts.append(
            f"all of {_many(chat.acknowledged, 'message')} reached everybody who was there"
        )
    elif report.log.frames:
        parts.append("nobody missed an event")
    if orders.placed:
        parts.append(f"all of {_many(orders.placed, 'order')} were found again")
    return f"Good: {', '.join(parts)}."


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _named(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    named = ", ".join(f"{name} × {number}" for name, number in ranked[:_SOME])
    return f"{named}, …" if len(ranked) > _SOME else named


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
