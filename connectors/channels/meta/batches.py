"""Batches of catalog items: sent, waited for, and what became of each item.

Meta answers `items_batch` with a handle and works on the batch later. One batch is settled before
the next is sent, or an older one, done late, could show what a newer one has hidden. So a batch
that takes long is `Deferred` and its handle kept; when the engine sends the same again it gets that
batch's verdicts. Updates and deletions may be repeated: the retailer id is ours.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from connectors.channels.meta.errors import NotThere, TooMuchAtOnce, clean
from connectors.channels.meta.graph import Graph
from connectors.limits import row
from liveshop.connect import (
    Accepted,
    Deferred,
    Kit,
    NeedsAttention,
    Refused,
    SkipListing,
    Verdict,
)

_BATCH = row("meta_catalog.batch")
_BATCHES_PER_MINUTE = row("meta_catalog.batches_per_minute")
_REQUEST_BYTES = row("meta_catalog.request_bytes")
_LOOKS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between looks at a batch before the engine is let go on with other things."""
_COME_BACK_SECONDS = 30.0
_MOST_SPLITS = 30
"""Enough to find two items in five thousand for which Meta refuses whole requests."""
_GIVE_UP_AFTER = timedelta(hours=2)
"""A batch that Meta never ends must not hold up the catalog for ever."""
_WORKING = frozenset({"started", "in_progress"})
_OPEN = "open_batch"


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a batch, ready to be sent."""

    id: str
    data: bytes
    digest: bytes


class _Sent(msgspec.Struct, frozen=True):
    """What is remembered of a batch over a restart."""

    handles: tuple[str, ...]
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class _Open:
    """A batch that Meta works on. After a restart nothing but `sent` is known of it."""

    sent: _Sent
    digests: Mapping[str, bytes] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


class Batches:
    """The batches of one catalog, one after the other."""

    def __init__(self, graph: Graph, catalog_id: str, kit: Kit) -> None:
        self._graph = graph
        self._catalog_id = catalog_id
        self._kit = kit
        self._one_at_a_time = asyncio.Lock()
        self._most_entries = kit.limit(_BATCH)
        self._open: _Open | None = None
        self._has_looked_back = False
        self._decided: dict[str, tuple[bytes, str | None]] = {}
        self._splits_left = 0

    async def send(self, entries: Sequence[Entry]) -> list[Verdict]:
        """One verdict for each. Raises RetryLater, NeedsAttention."""
        async with self._one_at_a_time:
            self._splits_left = _MOST_SPLITS
            if not await self._is_settled():
                return [_deferred(one.id) for one in entries]
            verdicts = self._take_decided(entries)
            left = deque(self._parts([one for one in entries if one.id not in verdicts]))
            while left and await self._is_settled():
                part = left.popleft()
                if halves := await self._post(part, verdicts):
                    left.extendleft(reversed(halves))
                elif await self._is_settled():
                    verdicts.update(self._take_decided(part))
            return [verdicts.get(one.id) or _deferred(one.id) for one in entries]

    async def _post(
        self, part: Sequence[Entry], verdicts: dict[str, Verdict]
    ) -> Sequence[Sequence[Entry]]:
        """Send one request; what it settles at once goes to `verdicts`. Returns two halves to send
        instead where Meta does not take the whole."""
        await self._kit.spend(_BATCHES_PER_MINUTE, per_seconds=60)
        for one in part:
            self._decided.pop(one.id, None)  # what was decided of it before is past now
        try:
            answer = await self._graph.post(
                f"{self._catalog_id}/items_batch",
                {"item_type": "PRODUCT_ITEM", "allow_upsert": True},
                is_repeatable=True,
                parts={"requests": (None, b"[" + b",".join(one.data for one in part) + b"]")},
            )
        except TooMuchAtOnce:
            if len(part) == 1:
                reason = "It is larger than Meta takes. Shorten its description."
                verdicts[part[0].id] = Refused(part[0].id, reason)
                return ()
            middle = len(part) // 2
            self._most_entries = min(self._most_entries, middle)
            return part[:middle], part[middle:]
        except NotThere:
            raise NeedsAttention(
                f"There is no catalog {self._catalog_id}, or the token may not write to it. Assign "
                "it to the system user in the business settings."
            ) from None
        except SkipListing as refusal:
            if len(part) > 1 and self._splits_left > 0:  # one of them spoils the others
                self._splits_left -= 1
                middle = len(part) // 2
                return part[:middle], part[middle:]
            verdicts.update({one.id: Refused(one.id, refusal.detail) for one in part})
            return ()
        handles = tuple(str(one) for one in answer.get("handles", []))
        sent = _Sent(handles, self._kit.clock.now())
        self._open = _Open(sent, {one.id: one.digest for one in part}, _invalid(answer))
        await self._kit.memory.put(_OPEN, msgspec.json.encode(sent).decode())
        return ()

    async def _is_settled(self) -> bool:
        """Whether Meta is done with the batch before; waits for a moment."""
        if not self._has_looked_back:
            stored = await self._kit.memory.get(_OPEN)
            if stored:
                self._open = _Open(msgspec.json.decode(stored, type=_Sent))
            self._has_looked_back = True
        batch = self._open
        if batch is None:
            return True
        refused = dict(batch.refused)
        is_given_up = False
        waiting = list(batch.sent.handles)
        for seconds in _LOOKS:
            if waiting and seconds:
                await asyncio.sleep(seconds)
            while waiting:
                status, problems = await self._look(waiting[0])
                if status in _WORKING:
                    break
                is_given_up = is_given_up or status != "finished"
                refused.update(problems)
                waiting.pop(0)
        if waiting and self._kit.clock.now() - batch.sent.sent_at < _GIVE_UP_AFTER:
            return False
        is_given_up = is_given_up or bool(waiting)
        await self._kit.memory.forget(_OPEN)
        self._open = None
        if not is_given_up:
            self._decided |= {
                id_: (digest, refused.get(id_)) for id_, digest in batch.digests.items()
            }
        return True

    async def _look(self, handle: str) -> tuple[str, Mapping[str, str]]:
        """The status of a batch, and whom it refused and why."""
        try:
            answer = await self._graph.get(
                f"{self._catalog_id}/check_batch_request_status",
                handle=handle,
                load_ids_of_invalid_requests=True,
                fields="status,errors,errors_total_count,ids_of_invalid_requests",
            )
        except SkipListing:
            return "forgotten", {}
        told: Mapping[str, Any] = next(iter(answer.get("data", [])), {})
        problems = {
            str(one): "Meta refuses it and gives no reason."
            for one in told.get("ids_of_invalid_requests") or ()
        }
        for error in told.get("errors") or ():
            if error.get("id"):
                problems[str(error["id"])] = _reason(error)
        return str(told.get("status", "forgotten")), problems

    def _take_decided(self, entries: Iterable[Entry]) -> dict[str, Verdict]:
        """Verdicts of settled batches on exactly these requests, after which nothing else was sent
        for the item. They count once: the same request later is another one."""
        verdicts: dict[str, Verdict] = {}
        for one in entries:
            digest, reason = self._decided.get(one.id, (b"", None))
            if digest == one.digest:
                del self._decided[one.id]
                verdicts[one.id] = Refused(one.id, reason) if reason else Accepted(one.id)
        return verdicts

    def _parts(self, entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
        """In order, each within what one request may hold."""
        most_bytes = self._kit.limit(_REQUEST_BYTES)
        part: list[Entry] = []
        size = 0
        for one in entries:
            is_full = size + len(one.data) > most_bytes or len(part) == self._most_entries
            if part and is_full:
                yield part
                part, size = [], 0
            part.append(one)
            size += len(one.data) + 1
        if part:
            yield part


def entry(method: Literal["UPDATE", "DELETE"], data: Mapping[str, Any]) -> Entry:
    encoded = msgspec.json.encode({"method": method, "data": data})
    return Entry(data["id"], encoded, hashlib.blake2b(encoded, digest_size=16).digest())


def _invalid(answer: Mapping[str, Any]) -> dict[str, str]:
    """Those that Meta found fault with before it began."""
    return {
        str(one["retailer_id"]): _reason(one["errors"][0])
        for one in answer.get("validation_status") or ()
        if one.get("retailer_id") and one.get("errors")
    }


def _reason(error: Mapping[str, Any]) -> str:
    return f"Meta refuses it: {clean(str(error.get('message', 'no reason given')), ())}"


def _deferred(id_: str) -> Deferred:
    return Deferred(id_, "Meta is still working on it.", _COME_BACK_SECONDS)
