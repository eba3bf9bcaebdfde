"""What a post is, when its moment comes, and when that has passed. Pure.

A post that speaks of a show is sent while what it says is true: an announcement before the start,
"we are live" during the show. One that missed its moment is cancelled, never sent late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from liveshop.connect import PostKind
from liveshop.kernel.clock import EARLIEST_YEAR, LATEST_YEAR
from liveshop.kernel.errors import Conflict, Invalid, Unavailable
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows.model import Show
from liveshop.syndication.model import ConnectionId, PostId, PostState

PostTiming = Literal["at", "on_announced", "before_start", "on_live", "on_pin", "on_replay"]
"""`at` a time; or when the show is announced, so many minutes before its start, when it goes live,
when its product is first pinned, when its replay is there."""
KINDS: tuple[PostKind, ...] = get_args(PostKind)
TIMING_OF: Mapping[PostKind, PostTiming] = {
    "announce": "on_announced",
    "reminder": "before_start",
    "live_now": "on_live",
    "product_moment": "on_pin",
    "replay": "on_replay",
}
"""When the posts go out that a show has by itself."""
REMINDER_MINUTES = 30
LATE = timedelta(hours=24)
"""What could not be sent for so long, its merchant has given up or done by hand."""


class BadPost(Invalid):
    """A post that lacks what it speaks of; `data.field` names it."""

    code = "bad_post"


class ChannelRefuses(Conflict):
    """The channel does not do this, or not before a person has acted; `detail` says how."""

    code = "channel_refuses"


class ChannelAway(Unavailable):
    """The channel cannot answer now; `detail` says what it said."""

    code = "channel_away"


@dataclass(frozen=True, slots=True)
class PostRow:
    """A post as it is kept. See `tables.post`."""

    id: PostId
    connection_id: ConnectionId
    show_id: ShowId | None
    product_id: ProductId | None
    kind: PostKind
    state: PostState
    since: datetime
    language: str
    template: str | None
    is_paid_partnership: bool
    timing: PostTiming
    created_at: datetime
    minutes_before: int | None = None
    reason: str | None = None
    text: str | None = None
    link: str | None = None
    remote_id: str | None = None
    remote_url: str | None = None
    send_at: datetime | None = None
    due_at: datetime | None = None
    sending_at: datetime | None = None
    attempts: int = 0
    read_at: datetime | None = None
    once: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Not any more, and why."""

    reason: str


def check_parts(kind: PostKind, show_id: str | None, product_id: str | None) -> None:
    """Raises BadPost: posts are about a show, product moments about a product."""
    if kind == "product_moment":
        if product_id is None:
            raise BadPost("Say which product it is about.", data={"field": "product_id"})
    elif show_id is None:
        raise BadPost("Say which show it is about.", data={"field": "show_id"})


def check_timing(timing: PostTiming, show_id: str | None, product_id: str | None) -> None:
    """Raises BadPost: whoever waits for a show names it."""
    if timing != "at" and show_id is None:
        raise BadPost("Say which show it waits for.", data={"field": "show_id"})
    if timing == "on_pin" and product_id is None:
        raise BadPost("Say which product it waits for.", data={"field": "product_id"})


def check_moment(moment: datetime) -> datetime:
    """A moment that databases and calendars can hold. Raises BadPost."""
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise BadPost(
            f"send_at lies between the years {EARLIEST_YEAR} and {LATEST_YEAR}.",
            data={"field": "send_at"},
        )
    return moment


def moment_of(
    post: PostRow, show: Show, pins: Mapping[ProductId, Sequence[datetime]], now: datetime
) -> datetime | None:
    """When it is to be sent, as far as the show stands now; None: that is not known yet. What has
    come stays at the moment at which it was first seen.

    `pins`: when each product came into focus, oldest first.
    """
    seen = post.send_at or now
    # What a rehearsal does, such as to pin, is no moment of the show.
    state, pins = (show.rehearsal.came_from, {}) if show.rehearsal else (show.state, pins)
    match post.timing:
        case "at":
            return post.send_at
        case "on_announced":
            return None if state == "draft" else seen
        case "before_start":
            if state == "draft" or show.starts_at is None:
                return None
            minutes = REMINDER_MINUTES if post.minutes_before is None else post.minutes_before
            return show.starts_at - timedelta(minutes=minutes)
        case "on_live":
            return show.started_at
        case "on_pin":
            moments = pins.get(post.product_id, ()) if post.product_id is not None else ()
            return next((moment for moment in moments if moment >= post.created_at), None)
        case "on_replay":
            return seen if state == "replay" else None


def hindrance(post: PostRow, show: Show | None, now: datetime) -> Wait | Missed | None:
    """Why it would not be true, or not in time, if it were sent now; None: it may go out."""
    if show is not None and show.state == "rehearsal":
        return Wait("The show is in rehearsal. The post waits until that is over.")
    found = _hindrance_of_time(post, show, now)
    if found is None and show is not None and show.audience != "everyone":
        return Wait("The show is for customers. The post waits until it is for everyone.")
    return found


def _hindrance_of_time(post: PostRow, show: Show | None, now: datetime) -> Wait | Missed | None:
    if show is None:
        is_late = post.send_at is not None and now - post.send_at > LATE
        return Missed("It could not be sent for a day. Make a new one.") if is_late else None
    if show.state == "draft":
        return Wait("The show is a draft. The post waits until the show is announced.")
    match post.kind:
        case "announce" | "reminder":
            has_begun = show.started_at is not None or show.state != "scheduled"
            if has_begun or (show.starts_at is not None and show.starts_at <= now):
                return Missed("The start of the show has passed.")
        case "live_now" | "product_moment":
            if show.state in ("ended", "replay"):
                return Missed("The show is over.")
            if show.state != "live":
                return Wait("The post waits until the show is live.")
        case "replay":
            if show.state != "replay":
                return Wait("The post waits until there is a replay.")
    return None
