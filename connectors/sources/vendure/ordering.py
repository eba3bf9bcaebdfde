"""An order of ours into Vendure: a draft order, filled step by step, paid with our reference.

Vendure knows no idempotency key. So the order is looked for by its payment before anything is made,
the draft's id is remembered as soon as there is one, and each step is taken only if the draft does
not show it yet: whoever repeats this after any break goes on where it was.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.sources.vendure import documents
from connectors.sources.vendure.api import AdminApi, Refused
from liveshop.connect import Kit, SkipListing, SourceOrder
from liveshop.kernel.money import Money

_AUTHOR = "author"
_DRIFT = timedelta(minutes=2)
"""By which the clocks of a Vendure of several processes may differ."""


class Ordering:
    """`method`: the code of the shipping method to use; empty: the one that costs the same."""

    def __init__(self, api: AdminApi, kit: Kit, *, method: str) -> None:
        self._api = api
        self._kit = kit
        self._method = method

    async def place(self, order: SourceOrder) -> str:
        """The code of the order there, made now or before. Raises SkipListing besides what
        requests raise."""
        placed = await self._placed(order)
        if placed is not None:
            await self._clean_up(order, placed)
            return str(placed["code"])
        draft_id = await self._draft(order)
        try:
            code = await self._finish(order, draft_id)
        except Refused as error:
            await self._give_up(order, draft_id)
            raise SkipListing(_why(error)) from None
        return code

    async def cancel(self, code: str, *, reason: str) -> None:
        """One that is cancelled already is no error. Raises SkipListing."""
        found = await self._find({"code": {"eq": code}})
        if found is None:
            raise SkipListing(f"Vendure has no order {code} any more.")
        if found["state"] == "Cancelled":
            return
        given = {"orderId": found["id"], "cancelShipping": True, "reason": reason}
        try:
            await self._api.change(documents.CANCEL, input=given)
        except Refused as error:
            raise SkipListing(_why(error)) from None

    # Which order it is

    async def _placed(self, order: SourceOrder) -> Mapping[str, Any] | None:
        """The one with our payment; a payment may stand for orders at other sources too."""
        where = {"transactionId": {"eq": order.payment_reference}}
        return await self._find(where, ours=order.key)

    async def _find(
        self, where: Mapping[str, Any], *, ours: str | None = None
    ) -> Mapping[str, Any] | None:
        items = (await self._api.ask(documents.FIND, options={"filter": where, "take": 20}))[
            "orders"
        ]["items"]
        for item in items:
            if ours is None or any(_is_ours(payment, ours) for payment in item["payments"]):
                return dict(item)
        return None

    async def _draft(self, order: SourceOrder) -> str:
        """The id of the draft for this order: remembered, made by a process that died before it
        could remember it, or new."""
        remembered = await self._kit.memory.get(_memory_key(order))
        begun: str | None = None
        draft_id: str | None = None
        if remembered is not None:
            begun, draft_id = json.loads(remembered)
        if draft_id is not None:
            known = (await self._api.ask(documents.READ, id=draft_id))["order"]
            if known is not None and known["state"] != "Cancelled":
                return draft_id
            begun = draft_id = None
        if begun is None:
            # By Vendure's clock: it has just answered.
            begun = (self._api.answered_at or self._kit.clock.now()).isoformat()
            await self._remember(order, begun, None)
        else:
            draft_id = await self._orphan(datetime.fromisoformat(begun))
        if draft_id is None:
            made = await self._api.change(documents.CREATE)
            await self._remember(order, begun, made["id"])
            await self._note_author(made)
            return str(made["id"])
        await self._remember(order, begun, draft_id)
        return draft_id

    async def _orphan(self, begun: datetime) -> str | None:
        """An empty draft that our own account made since then.

        It bears no mark of ours, for Vendure makes drafts without any. That of another order could
        only be taken if that one was between making it and remembering it at this moment.
        """
        since = (begun - _DRIFT).astimezone(UTC).isoformat()
        where = {"state": {"eq": "Draft"}, "createdAt": {"after": since}}
        options = {"filter": where, "sort": {"createdAt": "DESC"}, "take": 50}
        author = await self._kit.memory.get(_AUTHOR)
        items = (await self._api.ask(documents.DRAFTS, options=options))["orders"]["items"]
        for item in items:
            is_empty = not (
                item["totalQuantity"]
                or item["customer"]
                or (item["shippingAddress"] or {}).get("streetLine1")
            )
            if is_empty and author in (None, _author_of(item)):
                return str(item["id"])
        return None

    async def _note_author(self, draft: Mapping[str, Any]) -> None:
        """Whom Vendure takes us for: with an API key it does not tell otherwise."""
        author = _author_of(draft)
        if author is not None and author != await self._kit.memory.get(_AUTHOR):
            await self._kit.memory.put(_AUTHOR, author)

    async def _remember(self, order: SourceOrder, begun: str, draft_id: str | None) -> None:
        await self._kit.memory.put(_memory_key(order), json.dumps([begun, draft_id]))

    # The steps

    async def _finish(self, order: SourceOrder, draft_id: str) -> str:
        draft = await self._read(draft_id)
        if draft["state"] == "Draft":
            await self._fill(order, draft)
            await self._settle_difference(order, draft_id)
            await self._api.change(documents.MOVE, id=draft_id, state="ArrangingPayment")
        draft = await self._read(draft_id)
        if not draft["payments"]:
            await self._pay(order, draft)
        await self._clean_up(order, draft)
        return str(draft["code"])

    async def _read(self, draft_id: str) -> Mapping[str, Any]:
        return dict((await self._api.ask(documents.READ, id=draft_id))["order"])

    async def _fill(self, order: SourceOrder, draft: Mapping[str, Any]) -> None:
        await self._fill_lines(order, draft)
        if draft["customer"] is None:
            await self._set_customer(order, draft["id"])
        address = {
            "fullName": order.address.name,
            "streetLine1": order.address.street,
            "postalCode": order.address.postal_code,
            "city": order.address.city,
            "countryCode": order.address.country,
        }
        if not (draft["shippingAddress"] or {}).get("streetLine1"):
            await self._api.change(documents.SHIP_TO, id=draft["id"], input=address)
        if not (draft["billingAddress"] or {}).get("streetLine1"):
            await self._api.change(documents.BILL_TO, id=draft["id"], input=address)
        if not draft["shippingLines"]:
            await self._set_shipping(order, draft["id"])

    async def _fill_lines(self, order: SourceOrder, draft: Mapping[str, Any]) -> None:
        lines = {line["productVariant"]["id"]: line for line in draft["lines"]}
        wanted: dict[str, int] = {}
        for item in order.items:
            wanted[item.source_id] = wanted.get(item.source_id, 0) + item.quantity
        for variant_id, quantity in wanted.items():
            line = lines.get(variant_id)
            if line is None:
                given = {"productVariantId": variant_id, "quantity": quantity}
                await self._api.change(documents.ADD, id=draft["id"], input=given)
            elif line["quantity"] != quantity:
                given = {"orderLineId": line["id"], "quantity": quantity}
                await self._api.change(documents.ADJUST, id=draft["id"], input=given)

    async def _set_customer(self, order: SourceOrder, draft_id: str) -> None:
        """Vendure refuses to write over a customer with a login, so a known one is taken as is."""
        options = {"filter": {"emailAddress": {"eq": order.email.casefold()}}, "take": 1}
        known = (await self._api.ask(documents.CUSTOMERS, options=options))["customers"]["items"]
        first, _, last = order.address.name.rpartition(" ")
        new = {"emailAddress": order.email, "firstName": first or last, "lastName": last}
        given = {"customer": known[0]["id"]} if known else {"input": new}
        await self._api.change(documents.SET_CUSTOMER, id=draft_id, **given)

    async def _set_shipping(self, order: SourceOrder, draft_id: str) -> None:
        methods = (await self._api.ask(documents.METHODS, id=draft_id))[
            "eligibleShippingMethodsForDraftOrder"
        ]
        chosen = [one for one in methods if one["code"] == self._method]
        if not self._method:
            same = [one for one in methods if one["priceWithTax"] == order.shipping.amount]
            chosen = same or methods
        if not chosen:
            named = f"shipping method {self._method}" if self._method else "shipping method"
            raise Refused("NO_METHOD", f"it has no {named} for this address")
        await self._api.change(documents.SHIP_BY, id=draft_id, method=chosen[0]["id"])

    async def _settle_difference(self, order: SourceOrder, draft_id: str) -> None:
        """Make the total what was paid.

        Prices of draft orders cannot be set. What is less, or more, is a promotion with a coupon
        for this one order; a fixed discount may be negative. It is deleted once the order is paid.
        """
        draft = await self._read(draft_id)
        if draft["currencyCode"] != order.total.currency:
            raise Refused(
                "CURRENCY",
                f"it takes {draft['currencyCode']} on this channel, and {order.total.currency} "
                "was paid",
            )
        if draft["totalWithTax"] == order.total.amount:
            return
        for code in [code for code in draft["couponCodes"] if code.startswith(_prefix(order))]:
            await self._api.change(documents.UNAPPLY, id=draft_id, code=code)
            await self._delete_promotion(code)
        draft = await self._read(draft_id)
        channel = (await self._api.ask(documents.CHANNEL))["activeChannel"]
        actions = _actions(order, draft, includes_tax=channel["pricesIncludeTax"])
        if not actions:
            return
        code = f"{_prefix(order)}{draft['totalWithTax'] - order.total.amount}"
        await self._delete_promotion(code)
        promotion = {
            "enabled": True,
            "couponCode": code,
            "usageLimit": 1,
            "conditions": [],
            "actions": actions,
            "translations": [
                {
                    "languageCode": channel["defaultLanguageCode"],
                    "name": f"Price in Liveshop, order {order.number}",
                }
            ],
        }
        await self._api.change(documents.PROMOTE, input=promotion)
        await self._api.change(documents.APPLY, id=draft_id, code=code)

    async def _pay(self, order: SourceOrder, draft: Mapping[str, Any]) -> None:
        if draft["totalWithTax"] != order.total.amount:
            theirs = Money(draft["totalWithTax"], draft["currencyCode"])
            note = (
                f"Liveshop order {order.number}: {_words(order.total)} was paid; "
                f"the total here is {_words(theirs)}."
            )
            given = {"id": draft["id"], "note": note, "isPublic": False}
            await self._api.change(documents.NOTE, input=given)
        payment = {
            "orderId": draft["id"],
            "method": f"Liveshop {order.payment_method}",
            "transactionId": order.payment_reference,
            "metadata": {"liveshop_order": order.key, "liveshop_number": order.number},
        }
        await self._api.change(documents.PAY, input=payment)

    # Afterwards

    async def _clean_up(self, order: SourceOrder, placed: Mapping[str, Any]) -> None:
        for code in placed["couponCodes"]:
            if code.startswith(_prefix(order)):
                await self._delete_promotion(code)
        await self._kit.memory.forget(_memory_key(order))

    async def _delete_promotion(self, code: str) -> None:
        options = {"filter": {"couponCode": {"eq": code}}, "take": 1}
        found = (await self._api.ask(documents.PROMOTIONS, options=options))["promotions"]["items"]
        for one in found:
            await self._api.change(documents.UNPROMOTE, id=one["id"])

    async def _give_up(self, order: SourceOrder, draft_id: str) -> None:
        """Leave nothing behind of an order that Vendure does not take."""
        draft = (await self._api.ask(documents.READ, id=draft_id))["order"]
        if draft is not None:
            if draft["state"] == "Draft":
                await self._api.change(documents.DELETE, id=draft_id)
            elif draft["state"] == "ArrangingPayment":
                await self._api.change(documents.MOVE, id=draft_id, state="Cancelled")
            await self._clean_up(order, draft)
        await self._kit.memory.forget(_memory_key(order))


def _actions(
    order: SourceOrder, draft: Mapping[str, Any], *, includes_tax: bool
) -> list[dict[str, Any]]:
    """What takes the draft's total to what was paid. Vendure takes fixed discounts off the goods,
    with or without tax as the channel's prices are."""
    actions: list[dict[str, Any]] = []
    less = draft["totalWithTax"] - order.total.amount
    if not order.shipping.amount and draft["shippingWithTax"]:
        actions.append({"code": "free_shipping", "arguments": []})
        less -= draft["shippingWithTax"]
    if less and not includes_tax and draft["subTotalWithTax"]:
        less = round(less * draft["subTotal"] / draft["subTotalWithTax"])
    if less:
        arguments = [{"name": "discount", "value": str(less)}]
        actions.append({"code": "order_fixed_discount", "arguments": arguments})
    return actions


def _is_ours(payment: Mapping[str, Any], key: str) -> bool:
    metadata = payment["metadata"]
    return isinstance(metadata, dict) and metadata.get("liveshop_order") == key


def _author_of(draft: Mapping[str, Any]) -> str | None:
    entries = draft["history"]["items"]
    author = entries[0]["administrator"] if entries else None
    return str(author["user"]["id"]) if author else None


def _memory_key(order: SourceOrder) -> str:
    return f"order:{order.key}"


def _prefix(order: SourceOrder) -> str:
    return f"liveshop-{order.key}-"


def _why(error: Refused) -> str:
    if error.code == "INSUFFICIENT_STOCK_ERROR":
        return "Vendure does not have enough of it any more. Restock it there, or refund the buyer."
    return f"Vendure does not take the order: {error.message}"


def _words(amount: Money) -> str:
    return f"{amount.amount / 100:.2f} {amount.currency}"
