"""Asks providers about every payment and refund that is not settled, until it is.

`check_at` says when to ask next. Who asks puts the next time off first, so a process that dies in
the middle, or a provider that is away, only means that it is asked again; two that ask the same do
no harm, for an answer is acted on once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import OrderId, PaymentId, RefundId, new_id
from liveshop.kernel.jitter import jittered
from liveshop.kernel.money import Money
from liveshop.payments import refund_store, store
from liveshop.payments.model import (
    METHOD_GONE,
    NOT_TOLD,
    OPEN,
    REFUND_FAILED,
    ChargeAnswer,
    Payment,
    PaymentState,
    Refund,
    RefundAnswer,
    SomethingDue,
    UnknownMethod,
    voided,
)
from liveshop.payments.service import Payments
from liveshop.storage import Database, Tx

Settle = Callable[[OrderId, ChargeAnswer], Awaitable[object]]
OnRefund = Callable[[Tx, Refund, datetime], Awaitable[None]]
"""Told of each refund that the provider moved, in the transaction that writes it down."""

_log = structlog.get_logger("payments")
_POLL_SECONDS = 1.0
_AT_ONCE = 8
"""Questions at one time: a provider that hangs must not make everybody wait for it in a row."""
_BATCH = 64
_FIRST = timedelta(seconds=2)
_LONGEST = timedelta(hours=1)
_WAITS: dict[PaymentState, tuple[timedelta, timedelta]] = {
    "pending": (_FIRST, timedelta(minutes=1)),
    "action_required": (timedelta(seconds=30), timedelta(minutes=2)),
    "processing": (timedelta(minutes=1), _LONGEST),
}
"""The first and the longest wait by state; anything else waits like a refund."""


class Reconciler:
    """Supervised by its owner: `run` for ever, or `run_due` in tests."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        payments: Payments,
        settle: Settle,
        on_refund: OnRefund,
        order_number: Callable[[OrderId], Awaitable[str]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self._settle = settle
        self._on_refund = on_refund
        self._order_number = order_number
        self._wake = asyncio.Event()
        self._has_hastened = False
        database.listen(SomethingDue, lambda _: self.wake())

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Ask until cancelled. A database that is away is waited for."""
        while True:
            self._wake.clear()
            try:
                await self._hasten_once()
                busy = await self.run_due()
            except ShopError as error:
                _log.warning("reconciler_waits", reason=error.detail)
                busy = False
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _hasten_once(self) -> None:
        """What the last process put off, or may have missed, is asked for at once."""
        if self._has_hastened:
            return
        async with self._database.write() as tx:
            await store.hasten(tx.conn, self._clock.now())
        self._has_hastened = True

    async def run_due(self) -> bool:
        """Ask about all that is due now; True when there was something."""
        now = self._clock.now()
        async with self._database.read() as conn:
            payments = await store.due_payments(conn, now, _BATCH)
            refunds = await refund_store.due(conn, now, _BATCH)
        if not payments and not refunds:
            return False
        async with self._database.write() as tx:
            mine = await store.put_off_payments(
                tx.conn,
                {one.id: (checks, _next_check(one, checks, now)) for one, checks in payments},
            )
            my_refunds = await refund_store.put_off(
                tx.conn,
                {
                    one.id: (checks, _later(now, checks, _FIRST, _LONGEST))
                    for one, checks in refunds
                },
            )
        places = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(name: str, asked: Awaitable[None]) -> None:
            async with places:
                try:
                    await asked
                except ShopError as error:
                    _log.warning("payment_unclear", about=name, reason=error.detail)
                except Exception:  # one answer nobody can read must not stop the others
                    _log.exception("payment_check_broke", about=name)

        await asyncio.gather(
            *(in_turn(one.id, self._ask(one)) for one, _ in payments if one.id in mine),
            *(in_turn(one.id, self._ask_refund(one)) for one, _ in refunds if one.id in my_refunds),
        )
        return True

    async def look(self, payment_id: PaymentId) -> None:
        """Ask about one payment now. Raises ProviderUnavailable, UnknownMethod."""
        async with self._database.read() as conn:
            payment = await store.by_id(conn, payment_id)
        if payment is not None:
            await self._ask(payment)

    async def _ask(self, payment: Payment) -> None:
        """Both questions are answered before anything is written: it is asked again otherwise."""
        number = await self._order_number(payment.order_id)
        try:
            answer = await self._answer(payment, number)
            is_here = payment.captured > 0 or (answer is not None and answer.state == "paid")
            told = await self._payments.refunds_of(payment, number) if is_here else []
        except Unavailable:
            raise
        except UnknownMethod:
            if payment.state in OPEN and payment.reference is None:
                # Nobody was told how to pay it, so nobody can.
                await self._settle(payment.order_id, voided(payment.id))
                return
            await self._show(payment, METHOD_GONE)
            raise
        except ShopError:
            await self._show(payment, NOT_TOLD)
            raise
        if payment.problem in (METHOD_GONE, NOT_TOLD):
            async with self._database.write() as tx:
                await store.drop_problem(
                    tx.conn, payment.id, str(payment.problem), self._clock.now()
                )
        if payment.captured:
            await self._take_over_refunds(payment, told)
        if answer is not None:
            await self._settle(payment.order_id, answer)
        elif payment.state not in OPEN:
            async with self._database.write() as tx:
                await store.ask_no_more(tx.conn, payment.id, self._clock.now())
        if not payment.captured:
            await self._take_over_refunds(payment, told)

    async def _show(self, payment: Payment, problem: str) -> None:
        async with self._database.write() as tx:
            await store.set_problem(tx.conn, payment.id, problem, self._clock.now())

    async def _answer(self, payment: Payment, number: str) -> ChargeAnswer | None:
        is_over = (
            payment.state == "action_required"
            and payment.expires_at is not None
            and payment.expires_at <= self._clock.now()
        )
        if payment.is_void_wanted or is_over:
            return await self._payments.void(payment, number)
        found = await self._payments.find(payment, number)
        if found is None and payment.state == "pending":
            # A request that hangs may still be about to charge: the provider must rule it out.
            return await self._payments.void(payment, number)
        if found is not None and (payment.state, found.state) == ("processing", "action_required"):
            # The bank has turned it down after days, and nobody is there to try again.
            return await self._payments.void(payment, number)
        return found

    async def _ask_refund(self, owed: Refund) -> None:
        async with self._database.read() as conn:
            payment = await store.by_id(conn, owed.payment_id)
        assert payment is not None
        number = await self._order_number(payment.order_id)
        if owed.cause == "provider":
            # It is theirs, and not to be asked for: all there is to know is how it stands.
            told = await self._payments.refunds_of(payment, number)
            await self._take_over_refunds(payment, told)
            return
        try:
            answer = await self._payments.refund(payment, number, owed)
        except UnknownMethod:
            await self._show(payment, METHOD_GONE)
            raise
        now = self._clock.now()
        async with self._database.write() as tx:
            await store.lock(tx.conn, payment.id)
            if answer.state == "due":
                await refund_store.note_attempt(tx.conn, owed.id, answer, now)
                return
            await self._record(tx, owed, answer, now)
            if answer.state == "failed":
                # Perhaps because people gave it back there already: that has to be heard of.
                await store.ask_soon(tx.conn, payment.id, now)

    async def _take_over_refunds(
        self, payment: Payment, told: Sequence[tuple[str, Money, RefundAnswer]]
    ) -> None:
        """How refunds stand at the provider, also those that were made there."""
        if not told:
            return
        now = self._clock.now()
        async with self._database.write() as tx:
            locked = await store.lock(tx.conn, payment.id)
            assert locked is not None
            known = (await refund_store.of_orders(tx.conn, [payment.order_id]))[payment.order_id]
            for key, amount, answer in told:
                mine = next(
                    (one for one in known if key == one.id or answer.reference == one.reference),
                    None,
                )
                if mine is not None:
                    await self._record(tx, mine, answer, now)
                elif answer.state != "failed":
                    await self._take_over(tx, locked, amount, answer, now)

    async def _record(self, tx: Tx, known: Refund, answer: RefundAnswer, now: datetime) -> None:
        """The payment is locked."""
        check_at = _later(now, 5, _FIRST, _LONGEST) if answer.state in ("due", "pending") else None
        if await refund_store.record(tx.conn, known, answer, now, check_at=check_at):
            moved = replace(
                known, state=answer.state, reference=answer.reference, message=answer.message
            )
            if answer.state == "failed":
                _log.error("refund_failed", refund=known.id, order=known.order_id)
                await store.set_problem(tx.conn, known.payment_id, REFUND_FAILED, now)
            await self._on_refund(tx, moved, now)

    async def _take_over(
        self, tx: Tx, payment: Payment, amount: Money, answer: RefundAnswer, now: datetime
    ) -> None:
        """A refund made at the provider, not here."""
        is_same_money = amount.currency == payment.amount.currency and amount.amount > 0
        if not is_same_money or not await refund_store.set_aside(
            tx.conn, payment.id, amount.amount, now
        ):
            _log.error("refund_beyond_payment", payment=payment.id, order=payment.order_id)
            await store.change(
                tx.conn,
                payment.id,
                now,
                problem="A refund at the provider is more than is left here. Compare the two.",
            )
            return
        made = Refund(
            id=RefundId(new_id("rfd", now)),
            order_id=payment.order_id,
            payment_id=payment.id,
            state=answer.state,
            amount=amount,
            cause="provider",
            note=None,
            reference=answer.reference,
            message=answer.message,
            created_at=now,
        )
        waits = answer.state in ("due", "pending")
        check_at = _later(now, 5, _FIRST, _LONGEST) if waits else None
        await refund_store.add(tx.conn, made, key=f"provider {answer.reference}", check_at=check_at)
        await self._on_refund(tx, made, now)


def _next_check(payment: Payment, checks: int, now: datetime) -> datetime:
    first, longest = _WAITS.get(payment.state, (_FIRST, _LONGEST))
    at = _later(now, checks, first, longest)
    if payment.expires_at is not None and now < payment.expires_at < at:
        return payment.expires_at
    return at


def _later(now: datetime, checks: int, first: timedelta, longest: timedelta) -> datetime:
    """Longer each time, and not all at one moment."""
    wait: timedelta = min(first * 2 ** min(checks, 20), longest)
    return now + jittered(wait)
