"""Asking providers: each question within a time, with our own id as key, and no transaction open.

Whatever does not answer in time raises ProviderUnavailable: what happened is not known then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from liveshop.kernel.clock import Clock
from liveshop.kernel.money import Money
from liveshop.payments import store
from liveshop.payments.model import (
    CannotCapture,
    Capture,
    Charge,
    ChargeAnswer,
    HearsEvents,
    Payment,
    PaymentProvider,
    ProviderUnavailable,
    Refund,
    RefundAnswer,
    RefundWish,
    UnknownMethod,
    free,
    voided,
)
from liveshop.settings import PaymentSettings
from liveshop.storage import Database, Tx

_T = TypeVar("_T")
OnCaptured = Callable[[Tx, Payment, datetime], Awaitable[None]]
"""Told of each payment that was taken, in the transaction that writes it down."""
Record = Callable[[Tx, Payment, ChargeAnswer, datetime], Awaitable[object]]
"""Writes down that a payment was taken: `Payments.record_capture`, and more."""


async def _tell_nobody(_: Tx, __: Payment, ___: datetime) -> None:
    return None


@runtime_checkable
class _KeepsOpen(Protocol):
    async def aclose(self) -> None: ...


class Payments:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: PaymentSettings,
        providers: Mapping[str, PaymentProvider],
        on_captured: OnCaptured = _tell_nobody,
        *,
        rehearsal: PaymentProvider | None = None,
    ) -> None:
        """`rehearsal`: the only one that guests of a rehearsal are offered, and nobody else."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._providers = dict(providers)
        self._rehearsal = rehearsal
        self._on_captured = on_captured

    def all(self) -> list[PaymentProvider]:
        """In the order in which they are offered."""
        return list(self._providers.values())

    def all_in(self, in_rehearsal: bool) -> list[PaymentProvider]:  # a callback
        """The same for guests of a rehearsal, or for everybody else."""
        if not in_rehearsal:
            return self.all()
        return [] if self._rehearsal is None else [self._rehearsal]

    def offered(self, method: str, *, in_rehearsal: bool) -> PaymentProvider:
        """The provider that a buyer chose. Raises UnknownMethod."""
        choice = self.all_in(in_rehearsal)
        for provider in choice:
            if provider.method == method:
                return provider
        raise _unknown(choice)

    async def close(self) -> None:
        """Let go of what providers keep open."""
        for provider in self._providers.values():
            if isinstance(provider, _KeepsOpen):
                await provider.aclose()

    def provider(self, method: str) -> PaymentProvider:
        """Raises UnknownMethod."""
        provider = self._providers.get(method)
        if provider is None and self._rehearsal is not None and method == self._rehearsal.method:
            return self._rehearsal
        if provider is None:
            raise _unknown(self.all())
        return provider

    def capture_of(self, method: str) -> Capture:
        """When the money of a new payment is taken."""
        provider = self.provider(method)
        # In a rehearsal nothing is shipped.
        waits = (
            self._settings.capture == "shipping"
            and not provider.is_by_hand
            and provider is not self._rehearsal
        )
        return "later" if waits else "now"

    async def charge(
        self, payment: Payment, order_number: str, card_number: str | None = None
    ) -> ChargeAnswer:
        """A payment of nothing is paid, and nobody is asked: here and in what follows."""
        if payment.amount.amount == 0:
            return free(payment.id)
        provider = self.provider(payment.method)
        return await self._within(provider.charge(charge_of(payment, order_number, card_number)))

    async def find(self, payment: Payment, order_number: str) -> ChargeAnswer | None:
        if payment.amount.amount == 0:
            return free(payment.id)
        provider = self.provider(payment.method)
        return await self._within(provider.find(charge_of(payment, order_number)))

    async def void(self, payment: Payment, order_number: str) -> ChargeAnswer:
        if payment.amount.amount == 0:
            return voided(payment.id)
        provider = self.provider(payment.method)
        return await self._within(provider.void(charge_of(payment, order_number)))

    async def refund(self, payment: Payment, order_number: str, owed: Refund) -> RefundAnswer:
        provider = self.provider(payment.method)
        wish = RefundWish(
            owed.id,
            charge_of(payment, order_number),
            owed.amount,
            attempt=owed.reference if owed.state == "due" else None,
        )
        return await self._within(provider.refund(wish))

    async def refunds_of(
        self, payment: Payment, order_number: str
    ) -> list[tuple[str, Money, RefundAnswer]]:
        """The refunds the provider has: (our key or empty, amount, how it stands). None for one
        that does not tell."""
        provider = self.provider(payment.method)
        if not isinstance(provider, HearsEvents):
            return []
        return await self._within(provider.refunds_of(charge_of(payment, order_number)))

    async def capture(
        self, order_number: str, payment: Payment, record: Record | None = None
    ) -> ChargeAnswer:
        """Take what was authorised, all of it, and write down that we have it. No transaction may
        be open. `record` writes it down instead of `record_capture`.

        What is paid already is answered as it is, and so is what people collect by hand, which
        stays `authorised`. Raises CannotCapture, ProviderUnavailable.
        """
        if payment.state == "paid":
            return ChargeAnswer("paid", payment.reference or "")
        if payment.state != "authorised" or payment.is_void_wanted:
            raise CannotCapture(
                "This payment was not promised, or was given up.",
                data={"order_id": payment.order_id},
            )
        provider = self.provider(payment.method)
        try:
            answer = await self._within(provider.capture(charge_of(payment, order_number)))
        except CannotCapture as error:
            raise CannotCapture(error.detail, data={"order_id": payment.order_id}) from error
        except ProviderUnavailable:
            async with self._database.write() as tx:
                await store.ask_soon(tx.conn, payment.id, self._clock.now())
            raise
        if answer.amount is not None and answer.amount != payment.amount:
            raise CannotCapture(
                "The provider has another amount for this payment. Look at it there.",
                data={"order_id": payment.order_id},
            )
        if answer.state == "paid":
            now = self._clock.now()
            async with self._database.write() as tx:
                await (record or self.record_capture)(tx, payment, answer, now)
        return answer

    async def record_capture(
        self, tx: Tx, payment: Payment, answer: ChargeAnswer, now: datetime
    ) -> Payment | None:
        """We have what was authorised: the payment as it is then. None where it is not authorised
        any more, or given up; then the reconciler hears of the money, and gives it back."""
        if not await store.record_answer(tx.conn, payment, answer, now):
            return None
        paid = replace(
            payment,
            state="paid",
            captured=payment.amount.amount,
            reference=answer.reference,
            check_at=None,
        )
        await self._on_captured(tx, paid, now)
        return paid

    async def _within(self, asked: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await asked
        except TimeoutError as error:
            raise ProviderUnavailable(
                "The payment provider does not answer in time. Nothing is lost: it is asked again.",
                retry_after=10.0,
            ) from error


def _unknown(offered: Sequence[PaymentProvider]) -> UnknownMethod:
    names = ", ".join(one.method for one in offered)
    return UnknownMethod(f"Pay with one of {names}.", data={"field": "payment.method"})


def charge_of(payment: Payment, order_number: str, card_number: str | None = None) -> Charge:
    """What a provider is asked for."""
    return Charge(
        key=payment.id,
        amount=payment.amount,
        order_number=order_number,
        card_number=card_number,
        reference=payment.reference,
        capture=payment.capture,
    )
