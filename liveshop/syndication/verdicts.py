"""What a channel's answer makes of a listing's row. Pure: rows in, rows out."""

from dataclasses import replace
from datetime import datetime, timedelta

from liveshop.connect import Accepted, Deferred, Refused, Verdict
from liveshop.kernel.jitter import jittered
from liveshop.syndication.model import ListingRow, ListingState
from liveshop.syndication.store import HIDDEN

MOST_ATTEMPTS = 8
_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3600.0


def wait_after(attempts: int, *, at_least: float | None = None) -> timedelta:
    """Growing, with jitter, so that a thousand listings do not come back as one."""
    seconds = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** max(0, attempts - 1))
    return jittered(timedelta(seconds=max(seconds, at_least or 0.0)), 1.0, 1.3)


def with_state(row: ListingRow, state: ListingState, now: datetime) -> ListingRow:
    """A paused listing stays so whatever is found out about it."""
    if row.state in (state, "paused"):
        return row
    return replace(row, state=state, since=now)


def after_publish(
    row: ListingRow, before: ListingRow, sent: str, verdict: Verdict | None, now: datetime
) -> ListingRow:
    """`row` as it stands now, `before` as it was before the request, `sent` the digest in it.

    None for a verdict: the channel said nothing of this one.
    """
    is_current = row.wanted == sent
    match verdict:
        case Accepted(remote_id=remote_id):
            taken = replace(row, accepted=sent, remote_id=remote_id or row.remote_id)
            if not is_current:
                return taken
            done = replace(taken, due_at=None, reason=None, attempts=0, read_at=None)
            return with_state(done, "sent", now)
        case Refused(reason=reason):
            # It has kept what it had.
            kept = replace(row, accepted=before.accepted, may_show=before.may_show)
            if not is_current:
                return kept
            return with_state(
                replace(kept, due_at=None, reason=reason, attempts=0), "rejected", now
            )
        case Deferred(reason=reason, after=after):
            return _again(row, reason, after, now) if is_current else row
    return _again(row, "The channel said nothing about it.", None, now) if is_current else row


def _again(row: ListingRow, reason: str, after: float | None, now: datetime) -> ListingRow:
    attempts = row.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        given_up = replace(
            row,
            attempts=attempts,
            due_at=None,
            reason=f"Given up after {attempts} attempts. The channel last said: {reason}",
        )
        return with_state(given_up, "rejected", now)
    return replace(
        row,
        attempts=attempts,
        reason=reason,
        due_at=now + wait_after(attempts, at_least=after),
    )


def after_take_off(
    row: ListingRow,
    verdict: Verdict | None,
    now: datetime,
    *,
    was_hidden: bool,
    is_seen: bool,
) -> ListingRow:
    """`was_hidden`: it was asked to keep it hidden, not to take it off. `is_seen`: people can
    still see it, whatever the channel answered."""
    if isinstance(verdict, Accepted) and not is_seen:
        gone = replace(
            row,
            may_show=False,
            accepted=HIDDEN if was_hidden else None,
            remote_id=verdict.remote_id or row.remote_id if was_hidden else None,
        )
        if row.wanted != (HIDDEN if was_hidden else None):
            return gone  # something else is wanted by now, and it is due for that
        return replace(gone, due_at=None, attempts=0, drift=None)
    reason = "It can still be seen there."
    after = None
    if isinstance(verdict, Refused):
        reason = verdict.reason
    elif isinstance(verdict, Deferred):
        reason, after = verdict.reason, verdict.after
    attempts = row.attempts + 1
    tried = replace(
        row,
        attempts=attempts,
        due_at=now + wait_after(attempts, at_least=after),
        # What a channel will not hide is taken off altogether.
        wanted=None if was_hidden and isinstance(verdict, Refused) else row.wanted,
    )
    if attempts < MOST_ATTEMPTS:
        return tried
    # It is never given up: what should not be seen must not be forgotten.
    told = (
        f"It cannot be taken off: {reason} Take it off there by hand. It is tried again every hour."
    )
    return with_state(replace(tried, reason=told), "rejected", now)
