"""A dry run: what planning found is counted for one connection, not written."""

import math
from dataclasses import dataclass, field

from liveshop.kernel.ids import ProductId
from liveshop.syndication import wire
from liveshop.syndication.carried import Carried
from liveshop.syndication.goals import Blocked, Goal, Off, Wait, is_there
from liveshop.syndication.model import ListingRow
from liveshop.syndication.outlets import Outlet
from liveshop.syndication.says import Step
from liveshop.syndication.store import HIDDEN

_MOST_CHANGES = 100
_MOST_NOTES = 20


@dataclass(frozen=True, slots=True)
class Decided:
    """One variant on one connection: the row there was and the one there shall be."""

    outlet: Outlet
    variant_id: str
    product_id: ProductId
    title: str
    before: ListingRow | None
    after: ListingRow | None
    goal: Goal
    step: Step | None


@dataclass(slots=True)
class Tally:
    """Call `note` with everything that was decided, then `plan`."""

    outlet: Outlet
    checked: int = 0
    unchanged: int = 0
    publish: int = 0
    update: int = 0
    hide: int = 0
    withdraw: int = 0
    skip: int = 0
    again: int = 0
    """Hidden first and shown again afterwards."""
    changes: list[wire.Change] = field(default_factory=list)

    def note(self, one: Decided) -> None:
        if one.outlet.id != self.outlet.id:
            return
        self.checked += 1
        row = one.after
        if row is None:
            self.unchanged += 1
        elif isinstance(one.goal, Blocked):
            self.skip += 1
            if row.due_at is not None:
                self.withdraw += 1
            self._add(one, "skip", one.goal.reason)
        elif isinstance(one.goal, Wait) and row.may_show:
            self.again += 1
            if row.wanted == HIDDEN:
                self.hide += 1
            else:
                self.withdraw += 1
            self._add(one, "hide", one.goal.reason, ["price"])
        elif isinstance(one.goal, Wait):
            self.publish += 1
            self._add(one, "publish", one.goal.reason)
        elif isinstance(one.goal, Off):
            self._note_off(one, row)
        else:
            self._note_shown(one, row)

    def _note_off(self, one: Decided, row: ListingRow) -> None:
        if is_there(row):
            self.withdraw += 1
            self._add(one, "withdraw", "It is not for sale any more.")
        else:
            self.unchanged += 1

    def _note_shown(self, one: Decided, row: ListingRow) -> None:
        if row.wanted == row.accepted or (self.outlet.is_feed and row.state == "sent"):
            self.unchanged += 1
        elif row.state == "rejected":
            self.skip += 1
            self._add(one, "skip", row.reason)
        elif row.accepted is None and not row.may_show:
            self.publish += 1
            self._add(one, "publish", None)
        else:
            self.update += 1
            self._add(one, "update", None, _fields(one))

    def _add(
        self, one: Decided, action: str, reason: str | None, fields: list[str] | None = None
    ) -> None:
        if len(self.changes) < _MOST_CHANGES:
            self.changes.append(
                wire.Change(
                    variant_id=one.variant_id,
                    product_id=one.product_id,
                    title=one.title,
                    action=action,  # type: ignore[arg-type]  # the callers' literals
                    reason=reason,
                    fields=fields or [],
                )
            )

    def plan(self, carried: Carried, language: str = "en") -> wire.Plan:
        outlet = self.outlet
        sent_again = self.again
        batches = (
            _batches(self.publish + self.update + sent_again, outlet.batch)
            + _batches(self.hide, outlet.batch)
            + _batches(self.withdraw, outlet.batch)
        )
        requests = 0 if outlet.is_feed else batches * outlet.requests_per_batch
        seconds = 0
        if outlet.requests_per_minute:
            seconds = math.ceil(requests * 60 / outlet.requests_per_minute)
        return wire.Plan(
            connection_id=outlet.id,
            checked=self.checked,
            unchanged=self.unchanged,
            publish=self.publish,
            update=self.update,
            hide=self.hide,
            withdraw=self.withdraw,
            skip=self.skip,
            requests=requests,
            seconds=seconds,
            notes=self._notes(carried, language),
            changes=self.changes,
        )

    def _notes(self, carried: Carried, language: str) -> list[str]:
        notes = [one.in_words(language) for one in carried.left_out if one.reasons][:_MOST_NOTES]
        if self.again:
            how = "hidden" if self.outlet.can_hide else "taken off"
            notes.append(
                f"{self.again} listings change their price: they are {how} first and shown again "
                "when no channel shows the old price any more."
            )
        if self.outlet.is_feed:
            notes.append("This is a feed: whoever fetches it sees changes when he next does.")
        if self.outlet.connection.state != "active":
            notes.append("The connection is not at work: nothing is sent until it is resumed.")
        return notes


def _fields(one: Decided) -> list[str]:
    """What is known to differ: that the price is about to, or nothing."""
    is_price = one.step is not None and one.step.announced.next is not None
    return ["price"] if is_price else []


def _batches(count: int, batch: int) -> int:
    return -(-count // max(1, batch))
