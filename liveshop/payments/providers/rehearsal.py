"""Paying in a rehearsal, in production too: the sandbox's books and most of its test cards. Only
guests of a rehearsal are offered it, and what they paid is thrown away with their orders."""

from typing import Final

from liveshop.payments.model import BadPaymentInput
from liveshop.payments.providers.sandbox import CONFIRM_NUMBER, TEST_NUMBERS, Sandbox, card_digits
from liveshop.storage import Database

METHOD: Final = "rehearsal"


class Rehearsed(Sandbox):
    method = METHOD

    def __init__(self, database: Database) -> None:
        super().__init__(database, mode="test")

    def check(self, charge_input: str | None) -> None:
        """The card that has to be confirmed is not taken: where there is no sandbox, nobody plays
        the bank's part."""
        if card_digits(charge_input) not in TEST_NUMBERS.keys() - {CONFIRM_NUMBER}:
            raise BadPaymentInput(
                "This is a rehearsal: it takes the test card numbers only, such as "
                "4242 4242 4242 4242. Never type a real card number here.",
                data={"field": "payment.card_number"},
            )
