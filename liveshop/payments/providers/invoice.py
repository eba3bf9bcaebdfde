"""Payment on invoice: nothing to charge now; the buyer owes the amount once the order stands."""

from liveshop.kernel.ids import PaymentId
from liveshop.payments.model import Charge, ChargeAnswer, voided


class Invoice:
    method = "invoice"
    is_test = False

    def check(self, charge_input: str | None) -> None:
        return None

    async def charge(self, charge: Charge) -> ChargeAnswer:
        return ChargeAnswer("authorised", f"invoice_{charge.order_number}")

    async def find(self, key: PaymentId) -> ChargeAnswer | None:
        # Nothing outside this database can have happened, so an unanswered invoice never was.
        return None

    async def refund(self, charge: Charge) -> ChargeAnswer:
        # Nobody has paid yet: the buyer owes nothing any more.
        return ChargeAnswer("refunded", f"invoice_{charge.order_number}")

    async def void(self, charge: Charge) -> ChargeAnswer:
        # Nothing to rule out: what counts is which answer this database records first.
        return voided(charge.key)
