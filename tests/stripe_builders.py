"""Makers for tests of Stripe: the provider before localstripe, what it is asked, what is posted."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
import secrets_watch
import stripe_shapes
from aiohttp import web
from fakes.serving import serve
from stripe_server import Browser, Desk, StripeServer

from liveshop.kernel.ids import PaymentId
from liveshop.kernel.money import Money
from liveshop.payments.model import Charge
from liveshop.payments.providers.stripe import Stripe

KEY = PaymentId("pay_01K00000000000000000000001")
ASKED = Charge(KEY, Money(3290, "EUR"), "L-100001")


@dataclass
class StripeHouse:
    stripe: Stripe
    browser: Browser
    desk: Desk


@asynccontextmanager
async def stripe_house(server: StripeServer) -> AsyncIterator[StripeHouse]:
    """A Stripe nobody has asked for anything yet. At the end, whatever was asked of it is held
    against what Stripe takes.
    """
    async with aiohttp.ClientSession() as http:
        desk = Desk(server, http)
        await desk.start_anew()
        stripe = Stripe(server.settings(), capture="placing", timeout_seconds=5)
        with pytest.MonkeyPatch.context() as patch:
            # Before it tries once more.
            patch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0.02)
            yield StripeHouse(stripe, Browser(server, http), desk)
        await stripe.aclose()
        for asked in await desk.requests():
            assert stripe_shapes.violations(asked) == []


async def begun(stripe: Stripe, asked: Charge = ASKED) -> tuple[Charge, str]:
    """The charge as it is once its reference is known, and its client secret."""
    answer = await stripe.charge(asked)
    assert answer.state == "action_required"
    assert answer.client is not None
    secrets_watch.register(answer.client.secret, "client secret")
    return replace(asked, reference=answer.reference), answer.client.secret


async def state(stripe: Stripe, charge: Charge) -> str:
    found = await stripe.find(charge)
    assert found is not None
    assert found.amount == charge.amount
    return found.state


@dataclass(frozen=True)
class Delivery:
    """One webhook as it was posted."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])

    @property
    def reference(self) -> str:
        return str(json.loads(self.body)["data"]["object"]["id"])


@dataclass
class LetterBox:
    url: str
    _posted: "asyncio.Queue[Delivery]"

    async def next_about(self, reference: str | None) -> Delivery:
        """localstripe delivers after a second, and so perhaps what an earlier test has done."""
        async with asyncio.timeout(10):
            while (one := await self._posted.get()).reference != reference:
                pass
        return one


@asynccontextmanager
async def letter_box() -> AsyncIterator[LetterBox]:
    """An address for webhooks, and what is posted there."""
    posted: asyncio.Queue[Delivery] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        posted.put_nowait(Delivery(request.headers.copy(), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hooks/stripe", take)
    async with serve(app) as url:
        yield LetterBox(f"{url}/hooks/stripe", posted)
