"""Orders of ours in Shopify: found before they are created, so that each is there once.

`orderCreate` takes no idempotency key: in version 2026-10 it is not among the mutations that
document `@idempotent`. So our key goes in as `sourceIdentifier`, and before anything is created
Shopify is asked for an order with it. Its search lags behind, so an attempt whose outcome is not
known is noted before it is sent, and nothing is sent again until the search had time to show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.sources.shopify.admin import Admin
from connectors.sources.shopify.products import decimal_of
from connectors.sources.shopify.queries import (
    CANCEL_ORDER,
    CREATE_ORDER,
    FIND_ORDER,
    JOB,
    ORDER_STATE,
)
from liveshop.connect import (
    Kit,
    NeedsAttention,
    OrderItem,
    OutcomeUnknown,
    RetryLater,
    SkipListing,
    SourceOrder,
)
from liveshop.kernel.money import Money, total

SEARCH_LAG = timedelta(minutes=2)
"""Not published; new orders are usually found within seconds."""
_JOB_SECONDS = 5.0
_NOTE_LENGTH = 255


class Orders:
    def __init__(self, admin: Admin, kit: Kit) -> None:
        self._admin = admin
        self._kit = kit

    async def place(self, order: SourceOrder) -> str:
        found, currency = await self._find(order.key)
        attempt = f"order:{order.key}"
        if found is not None:
            await self._kit.memory.forget(attempt)
            return found
        if order.total.currency != currency:
            raise SkipListing(
                f"The order is in {order.total.currency}, the Shopify shop sells in {currency}.",
                field="total",
            )
        if _tax_on_top(order).amount < 0:
            raise SkipListing(
                "The lines and the shipping of the order come to more than was paid. Enter it in "
                "Shopify by hand.",
                field="total",
            )
        await self._wait_for_search(attempt)
        await self._kit.memory.put(attempt, self._kit.clock.now().isoformat())
        try:
            reference = await self._create(order)
        except OutcomeUnknown:
            raise
        except Exception:
            await self._kit.memory.forget(attempt)  # it was refused: nothing to wait for
            raise
        await self._kit.memory.forget(attempt)
        return reference

    async def _find(self, key: str) -> tuple[str | None, str]:
        """The id of the order with our key, and the shop's currency."""
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        data = await self._admin.ask(FIND_ORDER, {"query": f'source_identifier:"{quoted}"'})
        for node in data["orders"]["nodes"]:
            if node["sourceIdentifier"] == key:  # a search may find more than was asked for
                return str(node["id"]), data["shop"]["currencyCode"]
        return None, data["shop"]["currencyCode"]

    async def _wait_for_search(self, attempt: str) -> None:
        """Raises RetryLater while an earlier attempt may exist unseen."""
        noted = await self._kit.memory.get(attempt)
        if noted is None:
            return
        left = datetime.fromisoformat(noted) + SEARCH_LAG - self._kit.clock.now()
        if left > timedelta(0):
            raise RetryLater(
                "Shopify may have the order already; it is looked for again before it is sent "
                "once more.",
                after=left.total_seconds(),
            )

    async def _create(self, order: SourceOrder) -> str:
        variables = {
            "order": _input(order),
            # Obeying: where Shopify has no unit left, the order is refused rather than oversold.
            "options": {
                "inventoryBehaviour": "DECREMENT_OBEYING_POLICY",
                "sendReceipt": False,
                "sendFulfillmentReceipt": False,
            },
        }
        payload = (await self._admin.ask(CREATE_ORDER, variables))["orderCreate"]
        errors = payload["userErrors"]
        codes = {one["code"] for one in errors}
        if "SHOP_DORMANT" in codes:
            raise NeedsAttention("Shopify says that the shop is dormant and takes no orders.")
        if "INVENTORY_CLAIM_FAILED" in codes:
            raise SkipListing(
                "Shopify has too few units left for this order. Refund it, or correct the stock "
                "in Shopify and send it again.",
                field="items",
            )
        if errors or payload["order"] is None:
            raise SkipListing(f"Shopify does not take the order: {_told(errors, order)}")
        return str(payload["order"]["id"])

    async def cancel(self, reference: str, reason: str) -> None:
        job = f"cancel:{reference}"
        if await self._is_cancelled(reference):
            await self._kit.memory.forget(job)
            return
        if (job_id := await self._kit.memory.get(job)) is not None:
            await self._follow(reference, job, job_id)
            return
        variables = {
            "id": reference,
            "reason": "OTHER",
            "note": reason[:_NOTE_LENGTH],
            # The money is with our payment provider, and goes back from there.
            "refund": {"originalPaymentMethodsRefund": False},
        }
        payload = (await self._admin.ask(CANCEL_ORDER, variables))["orderCancel"]
        if errors := payload["orderCancelUserErrors"]:
            raise SkipListing(f"Shopify does not cancel the order: {_messages(errors)}")
        started = payload["job"]
        if started is not None and not started["done"]:
            await self._kit.memory.put(job, started["id"])
        if not await self._is_cancelled(reference):
            raise RetryLater("Shopify is cancelling the order.", after=_JOB_SECONDS)
        await self._kit.memory.forget(job)

    async def _is_cancelled(self, reference: str) -> bool:
        order = (await self._admin.ask(ORDER_STATE, {"id": reference}))["order"]
        if order is None:
            raise SkipListing("Shopify has no such order any more; there is nothing to cancel.")
        return order["cancelledAt"] is not None

    async def _follow(self, reference: str, job: str, job_id: str) -> None:
        state = (await self._admin.ask(JOB, {"id": job_id}))["job"]
        if state is not None and not state["done"]:
            raise RetryLater("Shopify is cancelling the order.", after=_JOB_SECONDS)
        await self._kit.memory.forget(job)
        if not await self._is_cancelled(reference):
            raise SkipListing(
                "Shopify did not cancel the order, perhaps because it was sent already. See the "
                "order in Shopify."
            )


def _input(order: SourceOrder) -> dict[str, Any]:
    address = _address(order)
    tax = _tax_on_top(order)
    net = (order.total - tax).amount
    rate = str(round(Decimal(tax.amount) / net, 4)) if net else "0"
    tax_lines = [{"title": "Tax", "rate": rate, "priceSet": _bag(tax)}] if tax.amount else []
    return {
        "sourceIdentifier": order.key,
        "customAttributes": [
            {"key": "liveshop_order", "value": order.key},
            {"key": "liveshop_number", "value": order.number},
            {"key": "payment_reference", "value": order.payment_reference},
        ],
        "tags": ["liveshop"],
        "note": f"Live shopping order {order.number}",
        "currency": order.total.currency,
        "taxesIncluded": not tax_lines,
        "taxLines": tax_lines,
        "email": order.email or None,
        "shippingAddress": address,
        "billingAddress": address,
        "lineItems": [line for item in order.items for line in lines_of(item)],
        "shippingLines": [{"title": "Shipping", "priceSet": _bag(order.shipping)}],
        "financialStatus": "PAID",
        "transactions": [
            {
                "kind": "SALE",
                "status": "SUCCESS",
                "gateway": order.payment_method,
                "amountSet": _bag(order.total),
                "authorizationCode": order.payment_reference,
            }
        ],
    }


def _tax_on_top(order: SourceOrder) -> Money:
    """What was paid beyond lines and shipping; prices otherwise hold their tax."""
    parts = [*(one.total for one in order.items), order.shipping]
    return order.total - total(parts, order.total.currency)


def lines_of(item: OrderItem) -> Iterator[dict[str, Any]]:
    """`orderCreate` knows no discount on a line, so each unit has the price that was paid for it.
    What does not divide evenly becomes two lines a cent apart, and nothing is lost."""
    low, more = divmod(item.total.amount, item.quantity)
    for quantity, each in ((item.quantity - more, low), (more, low + 1)):
        if quantity:
            yield {
                "variantId": item.source_id,
                "quantity": quantity,
                "priceSet": _bag(Money(each, item.total.currency)),
                "requiresShipping": True,
            }


def _address(order: SourceOrder) -> dict[str, Any]:
    first, _, last = order.address.name.strip().rpartition(" ")
    return {
        "firstName": first or None,
        "lastName": last or None,
        "address1": order.address.street or None,
        "city": order.address.city or None,
        "zip": order.address.postal_code or None,
        "countryCode": order.address.country or None,
    }


def _bag(money: Money) -> dict[str, Any]:
    return {"shopMoney": {"amount": decimal_of(money), "currencyCode": money.currency}}


def _messages(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(str(one["message"]) for one in errors)[:500] or "it does not say why"


def _told(errors: Sequence[Mapping[str, Any]], order: SourceOrder) -> str:
    """Shopify's words without the buyer's name and address, which it may quote."""
    text = _messages(errors)
    address = order.address
    for private in (order.email, address.name, address.street, address.postal_code, address.city):
        if private:
            text = text.replace(private, "…")
    return text
