"""Webhooks: forged, too old, repeated, out of order, about nothing we know, with other money."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import builders
import pytest
import sqlalchemy as sa
from builders import Api
from payment_builders import (
    BOB,
    HearingBank,
    buys,
    due_at,
    order_of,
    refunds_of,
    signed,
    told,
)

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.checkout.payment_history import note_dispute
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import Order
from liveshop.payments.inbox import Inbox
from liveshop.payments.model import BadEvent, BadSignature, UnknownProvider
from liveshop.payments.providers.invoice import Invoice
from liveshop.payments.tables import payment_event
from liveshop.storage import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def bank() -> HearingBank:
    return HearingBank()


@pytest.fixture
def wired(
    database_url: str,
    tmp_path: Path,
    clock: ManualClock,
    bank: HearingBank,
    monkeypatch: pytest.MonkeyPatch,
) -> Liveshop:
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank, "invoice": Invoice()})
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
def inbox(shop: Liveshop, clock: ManualClock) -> Inbox:
    return Inbox(shop.database, clock, shop.payments, note_dispute)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


@pytest.fixture
async def order(shop: Liveshop, mug: VariantId) -> Order:
    return (await buys(shop, mug))[0]


async def events(shop: Liveshop) -> list[tuple[str, str]]:
    async with shop.database.read() as conn:
        rows = await conn.execute(
            sa.select(payment_event.c.event_id, payment_event.c.outcome).order_by(
                payment_event.c.event_id
            )
        )
        return [(row.event_id, row.outcome) for row in rows]


async def test_an_event_has_the_payment_asked_for_and_is_not_believed_itself(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, order: Order, clock: ManualClock
) -> None:
    told_early = bank.calls(order, event_id="evt_early", at=clock.now())
    assert await inbox.hear("bank", *told_early) == "asked"
    await shop.reconciler.run_due()
    assert (await order_of(shop, order)).state == "pending", "nothing is paid at the bank"
    bank.says(order, "paid")
    assert await inbox.hear("bank", *bank.calls(order, at=clock.now())) == "asked"
    assert await due_at(shop, order.payment.id) == clock.now()
    await shop.reconciler.run_due()
    assert (await order_of(shop, order)).state == "confirmed"
    assert await events(shop) == [("evt_1", "asked"), ("evt_early", "asked")]


async def test_each_event_counts_once_however_often_it_comes(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, order: Order, clock: ManualClock
) -> None:
    call = bank.calls(order, at=clock.now())
    outcomes = await asyncio.gather(*(inbox.hear("bank", *call) for _ in range(6)))
    assert sorted(outcomes) == ["asked", *["known"] * 5]
    await shop.reconciler.run_due()
    assert await inbox.hear("bank", *call) == "known"
    assert not await shop.reconciler.run_due(), "a replay has nothing asked"
    assert len(await events(shop)) == 1


async def test_in_whatever_order_events_come_the_end_is_the_same(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, order: Order, clock: ManualClock
) -> None:
    """The refund is heard of before the payment, and its beginning last of all."""
    bank.says(order, "paid")
    bank.gives_back(order, 1000)
    for number, about in enumerate(("refund", "payment", "payment")):
        at = clock.now() - number * 10 * SECOND
        call = bank.calls(order, event_id=f"evt_{number}", about=about, at=at)
        assert await inbox.hear("bank", *call) == "asked"
        await shop.reconciler.run_due()
    found = await order_of(shop, order)
    assert (found.state, found.payment.state, found.payment.refunded) == ("confirmed", "paid", 1000)
    assert [(one.cause, one.state) for one in await refunds_of(shop, order)] == [
        ("provider", "done")
    ]


async def test_an_event_about_a_payment_we_do_not_know_is_noted(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, clock: ManualClock
) -> None:
    call = bank.calls(None, reference="bank_of_somebody_else", at=clock.now())
    assert await inbox.hear("bank", *call) == "unknown_payment"
    nothing = bank.calls(None, event_id="evt_2", about="nothing", at=clock.now())
    for _ in range(2):
        assert await inbox.hear("bank", *nothing) == "ignored"
    assert await events(shop) == [("evt_1", "unknown_payment")], "what is about nothing is not kept"
    clock.advance(timedelta(days=89))
    await inbox.drop_old()
    assert len(await events(shop)) == 1
    clock.advance(timedelta(days=2))
    await inbox.drop_old()
    assert await events(shop) == []
    assert not await shop.reconciler.run_due()


async def test_what_the_provider_has_not_signed_changes_nothing(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, order: Order, clock: ManualClock
) -> None:
    headers, body = bank.calls(order, at=clock.now())
    forged = body.replace(b"evt_1", b"evt_2")
    for shown, sent in (
        (headers, forged),
        ({}, body),
        ({"Bank-Signature": "ü"}, body),
        (signed(b""), body),
    ):
        with pytest.raises(BadSignature):
            await inbox.hear("bank", shown, sent)
    clock.advance(timedelta(minutes=6))
    with pytest.raises(BadSignature, match="too long ago"):
        await inbox.hear("bank", headers, body)
    empty = json.dumps({"at": clock.now().isoformat()}).encode()
    with pytest.raises((BadEvent, BadSignature)):
        await inbox.hear("bank", signed(empty), empty)
    assert await events(shop) == []
    assert await due_at(shop, order.payment.id) == order.placed_at + 30 * SECOND


@pytest.mark.parametrize("name", ["invoice", "unknown", "", "bank ", "BANK"])
async def test_nobody_else_is_expected_to_call(
    inbox: Inbox, bank: HearingBank, order: Order, clock: ManualClock, name: str
) -> None:
    with pytest.raises(UnknownProvider):
        await inbox.hear(name, *bank.calls(order, at=clock.now()))


@pytest.mark.parametrize("amount", [Money(1, "EUR"), Money(3290, "CHF")])
async def test_an_event_about_other_money_confirms_nothing(
    shop: Liveshop,
    bank: HearingBank,
    inbox: Inbox,
    order: Order,
    clock: ManualClock,
    amount: Money,
) -> None:
    bank.says(order, "paid", amount=amount)
    await inbox.hear("bank", *bank.calls(order, at=clock.now()))
    await shop.reconciler.run_due()
    found = await order_of(shop, order)
    assert (found.state, found.payment.state) == ("pending", "action_required")
    assert found.payment.problem is not None
    assert "payment.mismatch" in await told(shop, order)


async def test_a_dispute_is_noted_and_the_newest_word_counts(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug, card=builders.GOOD_CARD)
    for number, (dispute, age) in enumerate([("won", 0), ("needs_response", 60), ("lost", 30)]):
        call = bank.calls(
            order,
            event_id=f"evt_{number}",
            about="dispute",
            dispute=dispute,
            at=clock.now() - age * SECOND,
        )
        assert await inbox.hear("bank", *call) == "dispute"
    found = await order_of(shop, order)
    assert (found.state, found.payment.dispute) == ("confirmed", "won")
    assert (await told(shop, order)).count("payment.dispute") == 1


async def test_an_event_heard_before_a_crash_is_asked_for_after_it(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, order: Order, clock: ManualClock
) -> None:
    """Between hearing and asking the process dies: what is due is in the database."""
    bank.says(order, "paid")
    await inbox.hear("bank", *bank.calls(order, at=clock.now()))
    assert await shop.reconciler.run_due()
    assert (await order_of(shop, order)).state == "confirmed"


async def test_an_event_that_comes_while_the_bank_is_asked_is_not_forgotten(
    shop: Liveshop, bank: HearingBank, inbox: Inbox, mug: VariantId, clock: ManualClock
) -> None:
    asked, _ = await buys(shop, mug, who=BOB)
    order = await shop.orders.settle(asked.id, bank.says(asked, "authorised"))
    calls = iter([bank.calls(order, event_id="evt_2", at=clock.now())])

    async def calls_meanwhile() -> None:
        for call in calls:
            await inbox.hear("bank", *call)

    await inbox.hear("bank", *bank.calls(order, at=clock.now()))
    bank.on_find = calls_meanwhile
    await shop.reconciler.run_due()
    assert await due_at(shop, order.payment.id) is not None
    assert await shop.reconciler.run_due()
    assert await due_at(shop, order.payment.id) is None


async def test_over_http_an_event_is_taken_as_it_came(
    api: Api, bank: HearingBank, order: Order, clock: ManualClock
) -> None:
    headers, body = bank.calls(order, at=clock.now())
    sent = {name.replace("-", "_"): value for name, value in headers.items()}

    async def post(path: str, raw: bytes, **shown: str) -> tuple[int, str]:
        answer = await api.fetch("POST", path, raw=raw, Content_Type="application/json", **shown)
        return answer.status, answer.json.get("code", "")

    assert await post("/hooks/bank", body, **sent) == (200, "")
    assert await post("/hooks/bank", body, **sent) == (200, "")
    unknown = bank.calls(None, event_id="evt_9", reference="bank_9", at=clock.now())
    shown = {"Bank_Signature": unknown[0]["Bank-Signature"]}
    assert await post("/hooks/bank", unknown[1], **shown) == (200, "")
    assert await post("/hooks/bank", body + b" ", **sent) == (400, "bad_signature")
    assert await post("/hooks/bank", b"\x00\xff" * 99) == (400, "bad_signature")
    assert await post("/hooks/bank", b"") == (400, "bad_signature")
    assert await post("/hooks/nobody", body, **sent) == (404, "unknown_payment_provider")
    assert await post("/hooks/bank", b"x" * (256 * 1024 + 1), **sent) == (413, "too_large")
