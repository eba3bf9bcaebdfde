"""Makers for tests of payments: a bank whose buyers confirm, and that calls back."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from checkout_builders import Bank, viewer, wish_of

from liveshop.app import Liveshop
from liveshop.kernel.ids import PaymentId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders import history
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.payments import refund_store
from liveshop.payments import store as payments_store
from liveshop.payments.model import (
    BadEvent,
    BadSignature,
    Charge,
    ChargeAnswer,
    ClientStep,
    PaymentState,
    ProviderEvent,
    Refund,
    RefundAnswer,
    RefundState,
)

ADA, BOB = viewer(1), viewer(2)
CONFIRM_CARD = "4000 0000 0000 3220"
_KEY = b"the bank signs with this"
_TOLERANCE = timedelta(minutes=5)


@dataclass
class HearingBank(Bank):
    """Asks the buyer to confirm where the card is CONFIRM_CARD; `says` and `calls` what happens
    there."""

    made_there: list[tuple[str, Money, RefundAnswer]] = field(default_factory=list)
    refund_states: dict[str, RefundState] = field(default_factory=dict)

    async def charge(self, charge: Charge) -> ChargeAnswer:
        if charge.card_number == CONFIRM_CARD and charge.key not in self.books:
            self.amounts[charge.key] = charge.amount
            self.books[charge.key] = ChargeAnswer(
                "action_required",
                f"bank_{charge.key}",
                client=ClientStep(f"{charge.key}_secret", {"key": "public"}),
            )
        return await super().charge(charge)

    def says(
        self,
        order: Order,
        state: PaymentState,
        *,
        message: str | None = None,
        amount: Money | None = None,
    ) -> ChargeAnswer:
        """From now on this is what became of the payment."""
        key = order.payment.id
        self.amounts.setdefault(key, order.total)
        client = ClientStep(f"{key}_secret", {}) if state == "action_required" else None
        answer = ChargeAnswer(state, f"bank_{key}", message, amount, client)
        self.books[key] = answer
        return answer

    def gives_back(self, order: Order, amount: int, state: RefundState = "done") -> None:
        """Somebody refunds at the bank's own desk."""
        answer = RefundAnswer(state, f"there_{len(self.made_there)}")
        self.made_there.append(("", Money(amount, order.total.currency), answer))

    async def refunds_of(self, charge: Charge) -> list[tuple[str, Money, RefundAnswer]]:
        ours = [
            (str(key), amount, RefundAnswer(self.refund_states.get(key, "done"), f"back_{key}"))
            for key, (whose, amount) in self.returned.items()
            if whose == charge.key
        ]
        return [*ours, *self.made_there]

    def calls(
        self,
        order: Order | None,
        *,
        event_id: str = "evt_1",
        about: str = "payment",
        at: datetime,
        dispute: str | None = None,
        reference: str | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """A webhook: (headers, body)."""
        if reference is None and order is not None:
            reference = f"bank_{order.payment.id}"
        told = {
            "id": event_id,
            "about": about,
            "at": at.isoformat(),
            "reference": reference,
            "dispute": dispute,
        }
        body = json.dumps(told).encode()
        return {"Bank-Signature": _signature(body)}, body

    def read_event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderEvent:
        shown = headers.get("Bank-Signature", "")
        if not hmac.compare_digest(shown.encode(), _signature(body).encode()):
            raise BadSignature("The bank has not signed this.")
        told: dict[str, Any] = json.loads(body)
        if "id" not in told:
            raise BadEvent("This is no event of the bank.")
        at = datetime.fromisoformat(told["at"])
        if now - at > _TOLERANCE:
            raise BadSignature("The bank signed this too long ago.")
        return ProviderEvent(
            id=told["id"],
            type=f"{told['about']}.changed",
            reference=told["reference"],
            happened_at=at,
            about=told["about"],
            dispute=told["dispute"],
        )


def signed(body: bytes) -> dict[str, str]:
    return {"Bank-Signature": _signature(body)}


def _signature(body: bytes) -> str:
    return hmac.digest(_KEY, body, hashlib.sha256).hex()


async def buys(
    shop: Liveshop,
    variant_id: VariantId,
    *,
    card: str | None = None,
    quantity: int = 1,
    who: ViewerId = ADA,
    key: str = "key-1",
    method: str = "bank",
) -> tuple[Order, ClientStep | None]:
    await shop.carts.add_to_cart(who, variant_id, quantity, None)
    return await shop.orders.place(
        who, key, await wish_of(shop, who, method=method, card=card or CONFIRM_CARD)
    )


async def order_of(shop: Liveshop, order: Order) -> Order:
    async with shop.database.read() as conn:
        found = await orders_store.by_id(conn, order.id)
    assert found is not None
    return found


async def refunds_of(shop: Liveshop, order: Order) -> list[Refund]:
    async with shop.database.read() as conn:
        return (await refund_store.of_orders(conn, [order.id]))[order.id]


async def told(shop: Liveshop, order: Order) -> list[str]:
    """Kinds of what its history says, sorted: of one moment there is no order."""
    async with shop.database.read() as conn:
        return sorted(event.kind for event in await history.of_order(conn, order.id))


async def due_at(shop: Liveshop, payment_id: PaymentId) -> datetime | None:
    async with shop.database.read() as conn:
        found = await payments_store.by_id(conn, payment_id)
    assert found is not None
    return found.check_at


def with_amount(answer: ChargeAnswer, amount: int, currency: str = "EUR") -> ChargeAnswer:
    return replace(answer, amount=Money(amount, currency))
