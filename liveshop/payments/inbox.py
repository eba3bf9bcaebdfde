"""Webhooks: each event once, in whatever order they come.

An event is a hint and nothing more: it makes the payment due to be asked for, which outlives the
process, and what the provider then answers counts. Forging, losing, repeating or mixing up events
can therefore only make us ask too often or too late.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import structlog

from liveshop.kernel.clock import Clock
from liveshop.payments import event_store, store
from liveshop.payments.model import (
    HearsEvents,
    Payment,
    ProviderEvent,
    SomethingDue,
    UnknownProvider,
)
from liveshop.payments.service import Payments
from liveshop.storage import Database, Tx

Outcome = Literal["asked", "ignored", "unknown_payment", "dispute", "known"]
OnDispute = Callable[[Tx, Payment, datetime], Awaitable[None]]
"""Told of each payment whose dispute has a new state, in the transaction that writes it down."""

_KEPT = timedelta(days=90)
_log = structlog.get_logger("payments")


class Inbox:
    def __init__(
        self, database: Database, clock: Clock, payments: Payments, on_dispute: OnDispute
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self._on_dispute = on_dispute

    async def hear(self, provider: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Write an event down and have asked what it is about; `known` when it was here before.

        Raises UnknownProvider, BadSignature, BadEvent.
        """
        now = self._clock.now()
        event = self._hearing(provider).read_event(headers, body, now)
        if event.about == "nothing" or event.reference is None:
            # Anybody's providers tell a lot: what is not for us is not kept.
            return "ignored"
        async with self._database.write() as tx:
            payment = await store.by_reference(tx.conn, provider, event.reference)
            outcome = _outcome(event, payment)
            if not await event_store.keep(tx.conn, provider, event, outcome, now):
                return "known"
            if payment is not None and outcome in ("asked", "dispute"):
                await store.ask_soon(tx.conn, payment.id, now)
                tx.notify(SomethingDue())
            if payment is not None and outcome == "dispute":
                await self._dispute(tx, provider, payment, event, now)
        _log.info("payment_event", provider=provider, type=event.type, outcome=outcome)
        return outcome

    async def drop_old(self) -> None:
        """Housekeeping, hourly: nobody repeats an event after so long."""
        async with self._database.write() as tx:
            await event_store.drop_before(tx.conn, self._clock.now() - _KEPT)

    def _hearing(self, name: str) -> HearsEvents:
        for provider in self._payments.all():
            if provider.method == name and isinstance(provider, HearsEvents):
                return provider
        raise UnknownProvider("No payment provider is expected to call here.")

    async def _dispute(
        self, tx: Tx, provider: str, payment: Payment, event: ProviderEvent, now: datetime
    ) -> None:
        is_news = event.dispute is not None and event.dispute != payment.dispute
        if is_news and await event_store.is_newest_dispute(tx.conn, provider, event):
            _log.warning("payment_disputed", payment=payment.id, order=payment.order_id)
            await store.change(tx.conn, payment.id, now, dispute=event.dispute)
            await self._on_dispute(tx, replace(payment, dispute=event.dispute), now)


def _outcome(event: ProviderEvent, payment: Payment | None) -> Outcome:
    if payment is None:
        return "unknown_payment"
    return "dispute" if event.about == "dispute" else "asked"
