"""What a buyer asks for when he places an order."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from liveshop.checkout import wire
from liveshop.kernel.ids import LocationId, ShowId
from liveshop.kernel.text import clean_email
from liveshop.orders.model import Address
from liveshop.payments.model import Delivery
from liveshop.web import MoneyOut


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What a buyer asks for, cleaned."""

    expected_total: MoneyOut
    email: str
    address: Address
    method: str
    card_number: str | None
    show_id: ShowId | None
    language: str = "en"
    expected_lines: tuple[tuple[str, int], ...] | None = None
    """(variant, quantity) as the screen showed them, sorted."""
    delivery: Delivery = "ship"
    store_id: LocationId | None = None
    expected_until: datetime | None = None
    """The end of the promise that the screen showed."""

    @classmethod
    def of(cls, given: wire.OrderInput) -> "OrderWish":
        """Raises BadText or Invalid naming the field."""
        email = clean_email(given.email)
        return cls(
            expected_total=given.expected_total,
            email=email,
            address=given.address.to_model(is_whole=given.delivery.kind == "ship"),
            method=given.payment.method,
            card_number=given.payment.card_number,
            show_id=ShowId(given.show_id) if given.show_id else None,
            language=given.language,
            expected_lines=(
                tuple(sorted((one.variant_id, one.quantity) for one in given.expected_lines))
                if given.expected_lines is not None
                else None
            ),
            delivery=given.delivery.kind,
            store_id=LocationId(given.delivery.store_id) if given.delivery.store_id else None,
            expected_until=given.expected_until,
        )

    def digest(self) -> str:
        """Tells one wish from another under the same key; card data takes no part."""
        told = [
            self.expected_total,
            self.email,
            self.address,
            self.method,
            self.show_id,
            self.expected_lines,
            self.delivery,
            self.store_id,
        ]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
