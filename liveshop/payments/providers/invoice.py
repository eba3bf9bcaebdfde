"""Payment on invoice: nothing to charge now; the buyer owes the amount once the order stands, and
staff says when it has come.
"""

from collections.abc import Mapping

from liveshop.payments.model import (
    Charge,
    ChargeAnswer,
    Delivery,
    RefundAnswer,
    RefundWish,
    voided,
)


class Invoice:
    method = "invoice"
    is_test = False
    is_by_hand = True
    deliveries: frozenset[Delivery] = frozenset({"ship", "pickup"})

    def options(self) -> Mapping[str, str]:
        return {}

    def check(self, charge_input: str | None) -> None:
        return None

    async def charge(self, charge: Charge) -> ChargeAnswer:
        return ChargeAnswer("authorised", self._reference(charge))

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        # Nothing outside this database can have happened, so an unanswered promise never was one.
        return None if charge.reference is None else await self.charge(charge)

    async def void(self, charge: Charge) -> ChargeAnswer:
        # Nothing to rule out: what counts is which answer this database records first.
        if charge.reference is None:
            return voided(charge.key)
        return ChargeAnswer("voided", charge.reference)

    async def capture(self, charge: Charge) -> ChargeAnswer:
        """It stays a promise until somebody says that the money has come."""
        return await self.charge(charge)

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        # People give it back and say so.
        return RefundAnswer("pending", f"{self.method}_{wish.key}")

    def _reference(self, charge: Charge) -> str:
        return f"{self.method}_{charge.order_number}"
