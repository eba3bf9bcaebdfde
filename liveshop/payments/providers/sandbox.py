"""The sandbox: accepts and declines by test number. It takes no money: for demo and test only.

It keeps its charges in a table of its own, as a real provider would in its own database: only so
can a crash between "charged" and "recorded" be told from one before it.
"""

from liveshop.kernel.ids import PaymentId
from liveshop.payments import store
from liveshop.payments.model import BadPaymentInput, Charge, ChargeAnswer, voided
from liveshop.settings import Mode
from liveshop.storage import Database

TEST_NUMBERS = {
    "4242424242424242": None,
    "4000000000000002": "The card was declined. Use another card or another way to pay.",
    "4000000000009995": "The card has insufficient funds. Use another card or another way to pay.",
}


class Sandbox:
    method = "sandbox"
    is_test = True

    def __init__(self, database: Database, *, mode: Mode) -> None:
        if mode == "production":
            raise ValueError("the sandbox takes no money and runs in demo and test only")
        self._database = database

    def check(self, charge_input: str | None) -> None:
        if _digits(charge_input) not in TEST_NUMBERS:
            raise BadPaymentInput(
                "This is a test shop: it takes the test card numbers only, such as "
                "4242 4242 4242 4242. Never type a real card number here.",
                data={"field": "payment.card_number"},
            )

    async def charge(self, charge: Charge) -> ChargeAnswer:
        before = await self.find(charge.key)
        if before is not None:
            return before
        message = TEST_NUMBERS[_digits(charge.card_number)]
        answer = ChargeAnswer("declined" if message else "paid", f"sandbox_{charge.key}", message)
        return await self._keep(charge, answer)

    async def find(self, key: PaymentId) -> ChargeAnswer | None:
        async with self._database.read() as conn:
            return await store.sandbox_find(conn, key)

    async def void(self, charge: Charge) -> ChargeAnswer:
        return await self._keep(charge, voided(charge.key))

    async def refund(self, charge: Charge) -> ChargeAnswer:
        async with self._database.write() as tx:
            await store.sandbox_refund(tx.conn, charge.key)
            answer = await store.sandbox_find(tx.conn, charge.key)
        return answer if answer is not None else voided(charge.key)

    async def _keep(self, charge: Charge, answer: ChargeAnswer) -> ChargeAnswer:
        """Of two that come at once with one key, the ledger knows who was first."""
        async with self._database.write() as tx:
            return await store.sandbox_keep(tx.conn, charge.key, charge.amount, answer)


def _digits(text: str | None) -> str:
    return "".join(character for character in text or "" if character.isdigit())
