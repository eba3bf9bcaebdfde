"""Reserve online, pay in the store: the buyer pays at the till when he collects, and staff says so.

To the rest of the shop that is a promise like an invoice.
"""

from liveshop.payments.model import Delivery
from liveshop.payments.providers.invoice import Invoice


class AtPickup(Invoice):
    method = "at_pickup"
    deliveries: frozenset[Delivery] = frozenset({"pickup"})
