"""localstripe for the tests, in its own process behind `stripe_front`, and a buyer in a browser.

localstripe is GPL: nothing of it is imported here. Its fixture in conftest is `stripe_server`.
"""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import secrets_watch

from liveshop.settings import StripeSettings

SECRET_KEY = "sk_test_of_the_tests_0123456789"
PUBLISHABLE_KEY = "pk_test_of_the_tests_0123456789"
WEBHOOK_SECRET = "whsec_of_the_tests_0123456789"
GOOD = "4242424242424242"
DECLINED = "4000000000000341"
WITH_3D_SECURE = "4000000000003220"
DECLINED_AFTER_3D_SECURE = "4000008400001629"
_START_SECONDS = 60.0
_SERVE = """
import json, os, socket, sys, threading
from aiohttp import web
from localstripe import resources
from localstripe.server import app
resources.Store.dump_to_disk = lambda store: None  # it would write to /tmp after each request
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(128)
print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
web.run_app(app, sock=listening, print=None, access_log=None)
"""


@dataclass(frozen=True, slots=True)
class StripeServer:
    """`url` is the front, which is what `stripe.api_url` should be; `bare_url` is localstripe."""

    url: str
    bare_url: str

    def settings(self, **given: Any) -> StripeSettings:
        """For the provider; `card` only unless other `method_types` are given."""
        return StripeSettings(
            **{
                "secret_key": SECRET_KEY,
                "publishable_key": PUBLISHABLE_KEY,
                "webhook_secret": WEBHOOK_SECRET,
                "api_url": self.url,
                "method_types": ("card",),
                **given,
            }
        )

    def environment(self) -> dict[str, str]:
        """The same for a server in its own process."""
        return {
            "LIVESHOP_STRIPE__SECRET_KEY": SECRET_KEY,
            "LIVESHOP_STRIPE__PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "LIVESHOP_STRIPE__WEBHOOK_SECRET": WEBHOOK_SECRET,
            "LIVESHOP_STRIPE__API_URL": self.url,
            "LIVESHOP_STRIPE__METHOD_TYPES": "card",
        }


@contextmanager
def running() -> Iterator[StripeServer]:
    """Where localstripe is missing, that is an error in CI and a skip elsewhere."""
    if importlib.util.find_spec("localstripe") is None:
        if os.environ.get("CI"):
            raise RuntimeError("localstripe is not installed; it is in the extra `test`")
        pytest.skip("localstripe is missing; it is in the extra `test`")
    for secret in (SECRET_KEY, WEBHOOK_SECRET):
        secrets_watch.register(secret, "key of Stripe", lasting=True)
    front = str(Path(__file__).with_name("stripe_front.py"))
    with ExitStack() as both:
        bare = both.enter_context(_process([sys.executable, "-c", _SERVE]))
        yield StripeServer(both.enter_context(_process([sys.executable, front, bare])), bare)


@contextmanager
def _process(command: list[str]) -> Iterator[str]:
    """Yields its address."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    in_time = threading.Timer(_START_SECONDS, process.kill)
    in_time.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        in_time.cancel()
        if not line:
            raise RuntimeError(f"it did not start: {command[-1][-60:]}")
        yield f"http://127.0.0.1:{json.loads(line)['port']}"
    finally:
        in_time.cancel()
        process.kill()
        process.communicate()


class StripeRefuses(Exception):
    """What Stripe tells a browser, such as that a card was declined."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {error.get('code')}")
        self.status = status
        self.code = error.get("code")


@dataclass
class Browser:
    """What Stripe.js does for a buyer, with the publishable key and one client secret."""

    server: StripeServer
    http: aiohttp.ClientSession

    async def confirm(self, secret: str, number: str = GOOD) -> dict[str, Any]:
        """Confirm with a card; the intent. Raises StripeRefuses when it is declined."""
        secrets_watch.register(secret, "client secret")
        return await self._post(
            f"{_intent_of(secret)}/confirm",
            {
                "client_secret": secret,
                "payment_method_data[type]": "card",
                "payment_method_data[card][number]": number,
                "payment_method_data[card][exp_month]": "12",
                "payment_method_data[card][exp_year]": "2030",
                "payment_method_data[card][cvc]": "123",
            },
        )

    async def pay_by_sepa(self, secret: str, iban: str = "DE89370400440532013000") -> Any:
        """A direct debit, which is collected half a second later."""
        secrets_watch.register(secret, "client secret")
        return await self._post(
            f"{_intent_of(secret)}/confirm",
            {
                "client_secret": secret,
                "payment_method_data[type]": "sepa_debit",
                "payment_method_data[sepa_debit][iban]": iban,
            },
        )

    async def authenticate(self, secret: str, *, success: bool) -> dict[str, Any]:
        """Come back from the bank's 3-D Secure page."""
        answer = str(success).lower()
        return await self._post(
            f"{_intent_of(secret)}/_authenticate?success={answer}", {"client_secret": secret}
        )

    async def _post(self, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self.server.url}/v1/payment_intents/{path}"
        async with self.http.post(url, data={"key": PUBLISHABLE_KEY, **fields}) as answer:
            told: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise StripeRefuses(answer.status, told.get("error", {}))
        return told


@dataclass
class Desk:
    """Stripe's side of things, for the tests."""

    server: StripeServer
    http: aiohttp.ClientSession

    async def requests(self) -> list[dict[str, Any]]:
        """What our server asked (not the browser), since `start_anew`."""
        async with self.http.get(f"{self.server.url}/_front/requests") as answer:
            asked: list[dict[str, Any]] = await answer.json()
        return [one for one in asked if one["version"] is not None]

    async def start_anew(self) -> None:
        """As on its first day."""
        async with self.http.delete(f"{self.server.url}/_front") as answer:
            assert answer.status == 200

    async def let_a_day_pass(self) -> None:
        """Idempotency keys are forgotten."""
        async with self.http.delete(f"{self.server.url}/_front/keys") as answer:
            assert answer.status == 200

    async def spoil(self, of: str = "", **fault: Any) -> None:
        """See `stripe_front.Fault`."""
        async with self.http.post(
            f"{self.server.url}/_front/faults", json={"of": of, **fault}
        ) as answer:
            assert answer.status == 200

    async def send_webhooks_to(self, url: str, secret: str = WEBHOOK_SECRET) -> None:
        """There and no longer to where it was before."""
        config = f"{self.server.bare_url}/_config/webhooks/liveshop"
        async with self.http.post(config, json={"url": url, "secret": secret}) as answer:
            assert answer.status == 200

    async def intent(self, reference: str) -> dict[str, Any]:
        return await self._get(f"payment_intents/{reference}")

    async def change(self, reference: str, changed: Mapping[str, Any]) -> None:
        """Make an intent another one, as only somebody else with the account's key could."""
        url = f"{self.server.bare_url}/v1/payment_intents/{reference}"
        key = {"Authorization": f"Bearer {SECRET_KEY}"}
        async with self.http.post(url, json=changed, headers=key) as answer:
            assert answer.status == 200

    async def intents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get("payment_intents?limit=100"))["data"]
        return found

    async def refund_by_hand(self, reference: str, amount: int) -> None:
        """As a person does in Stripe's dashboard."""
        fields = {"payment_intent": reference, "amount": amount}
        url, key = f"{self.server.bare_url}/v1/refunds", {"Authorization": f"Bearer {SECRET_KEY}"}
        async with self.http.post(url, data=fields, headers=key) as answer:
            assert answer.status == 200

    async def refunds(self, reference: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get(f"refunds?payment_intent={reference}"))[
            "data"
        ]
        return found

    async def _get(self, path: str) -> dict[str, Any]:
        key = {"Authorization": f"Bearer {SECRET_KEY}"}
        async with self.http.get(f"{self.server.bare_url}/v1/{path}", headers=key) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told


def _intent_of(secret: str) -> str:
    return secret.partition("_secret_")[0]
