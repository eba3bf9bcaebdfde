"""One shop's Admin API: requests, access tokens, the cost of queries, errors into words.

Shopify counts points, not requests: a query is refused while the bucket holds less than the query
may cost, and each answer tells what the bucket holds. We keep the same count and wait, so that a
request is not spent on being refused.
https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import msgspec

from liveshop.connect import (
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Secret,
    SkipListing,
)
from liveshop.connect.http import Answer, call

VERSION = "2026-10"
_TIMEOUT_SECONDS = 30.0
_OURS = frozenset({400, 401, 402, 403, 404, 406, 410, 414, 422, 423, 430})
"""Statuses that are judged here."""
_MAX_WAIT_SECONDS = 10.0
_RENEW_BEFORE = timedelta(minutes=5)
_SCOPE = re.compile(r"\b(?:read|write)_[a-z_]+\b")


class ShopifyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A shop, and an app that is installed in it."""

    shop: Annotated[
        str,
        msgspec.Meta(
            title="Shop", description="Its domain: your-shop.myshopify.com.", min_length=1
        ),
    ]
    client_id: Annotated[
        str,
        msgspec.Meta(
            title="Client ID",
            description="Of the app that you made for this shop in Shopify's Dev Dashboard.",
        ),
    ] = ""
    client_secret: Annotated[
        Secret, msgspec.Meta(title="Client secret", description="Stands beside the client ID.")
    ] = Secret("")
    access_token: Annotated[
        Secret,
        msgspec.Meta(
            title="Access token",
            description="In place of client ID and secret, from an app that was made in the "
            "shop's admin (shpat_…).",
        ),
    ] = Secret("")
    location_id: Annotated[
        str,
        msgspec.Meta(
            title="Location",
            description="The number of the location whose stock is sold. Empty: everything that "
            "the online shop can sell.",
        ),
    ] = ""
    api_version: Annotated[
        str,
        msgspec.Meta(title="API version", pattern=r"^(20\d\d-(01|04|07|10)|unstable)$"),
    ] = VERSION
    api_url: Annotated[
        str, msgspec.Meta(title="API address", description="Where the shop's API is.")
    ] = "https://{shop}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A GraphQL document with one operation of this name."""

    name: str
    text: str
    is_change: bool = False
    """It has an effect: without an answer, whether it had one is not known."""


class TooCostly(NeedsAttention):
    """The query may cost more than any bucket holds: ask for less at once."""

    def __init__(self) -> None:
        super().__init__("Shopify refuses to hand out even the least at once: it costs too much.")


class Admin:
    """Sends operations, one at a time or several."""

    def __init__(self, config: ShopifyConfig, kit: Kit) -> None:
        self._kit = kit
        self._base_url = config.api_url.replace("{shop}", shop_domain(config.shop)).rstrip("/")
        self._url = f"{self._base_url}/admin/api/{config.api_version}/graphql.json"
        self._tokens = _Tokens(config, kit, self._base_url)
        self._bucket = _Bucket(kit)
        self.version_served: str | None = None
        """Shopify answers by a newer version when it no longer has the one asked for."""
        self.server_time: datetime | None = None
        """When it sent its last answer, by its own clock."""

    async def ask(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's `data`. Raises TooCostly, RetryLater, OutcomeUnknown, NeedsAttention,
        SkipListing for a change that cannot be read."""
        await self._bucket.make_room(operation.name)
        token = await self._tokens.get()
        try:
            return await self._send(operation, variables, token)
        except _TokenRefused:
            token = await self._tokens.another(token)
        try:
            return await self._send(operation, variables, token)
        except _TokenRefused:
            raise _refused_token() from None

    async def _send(
        self, operation: Operation, variables: Mapping[str, Any], token: str
    ) -> dict[str, Any]:
        answer = await call(
            self._kit.http,
            "POST",
            self._url,
            who="Shopify",
            clock=self._kit.clock,
            is_repeatable=not operation.is_change,
            json={"query": operation.text, "variables": dict(variables)},
            headers={"X-Shopify-Access-Token": token},
            secrets=(token,),
            timeout_seconds=_TIMEOUT_SECONDS,
            passes=_OURS,
        )
        _check_status(answer)
        self.version_served = answer.headers.get("X-Shopify-API-Version")
        self.server_time = _moment(answer.headers.get("Date"))
        return self._data(operation, answer.json())

    def _data(self, operation: Operation, answer: Any) -> dict[str, Any]:
        unclear = OutcomeUnknown if operation.is_change else RetryLater
        if not isinstance(answer, dict):
            raise unclear("Shopify's answer is not one of its Admin API.")
        cost = _part(_part(answer, "extensions"), "cost")
        self._bucket.learn(operation.name, cost)
        if errors := answer.get("errors"):
            self._raise(errors, operation, cost)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise unclear("Shopify's answer holds no data.")
        return data

    def _raise(self, errors: Any, operation: Operation, cost: Mapping[str, Any]) -> None:
        """Codes: https://shopify.dev/docs/api/usage/response-codes"""
        listed = [one for one in errors if isinstance(one, dict)] if type(errors) is list else []
        codes = {_part(one, "extensions").get("code") for one in listed}
        told = "; ".join(str(one.get("message", "")) for one in listed)[:500]
        if "THROTTLED" in codes:
            raise RetryLater(
                "Shopify's limit for this app is used up for now.",
                after=self._bucket.wait_after_refusal(cost),
            )
        if "MAX_COST_EXCEEDED" in codes:
            raise TooCostly
        if "ACCESS_DENIED" in codes:
            scopes = ", ".join(sorted(set(_SCOPE.findall(told)))) or "a permission"
            raise NeedsAttention(
                f"The app lacks {scopes} in this shop. Add it to the app's access scopes in "
                "Shopify and install the app again."
            )
        if "SHOP_INACTIVE" in codes:
            raise NeedsAttention("Shopify says that the shop is not active.")
        if "INTERNAL_SERVER_ERROR" in codes:
            unclear = OutcomeUnknown if operation.is_change else RetryLater
            raise unclear("Shopify reports an error of its own; it will be asked again.")
        if "INVALID_VARIABLE" in codes and operation.is_change:
            # In brackets stands the value, which may be somebody's.
            raise SkipListing(
                f"Shopify cannot read what was sent: {told.partition('(')[0].strip()}"
            )
        # What is left is a query that this version of the API does not know: our bug, or its age.
        raise RuntimeError(f"Shopify does not understand {operation.name}: {told}")


class _TokenRefused(Exception):
    pass


def _check_status(answer: Answer) -> None:
    """Codes: https://shopify.dev/docs/api/usage/response-codes"""
    status = answer.status
    if status == 401:
        raise _TokenRefused
    if status == 430:  # "security rejection": too fast for its liking
        raise RetryLater("Shopify asks to slow down.")
    if status == 403:
        raise NeedsAttention(
            "Shopify does not allow this app to do that (403). Check the app's access scopes and "
            "that it is installed in the shop."
        )
    if status == 404:
        raise NeedsAttention(
            "Shopify knows no such shop or API version (404). Check the shop's domain."
        )
    if status in (402, 423):
        raise NeedsAttention(
            f"The shop is frozen or locked ({status}). Settle that with Shopify; then go on here."
        )
    if not answer.is_success:
        raise NeedsAttention(
            f"Shopify answers {status} instead of an answer of its API. Check the shop's domain."
        )


def _refused_token() -> NeedsAttention:
    return NeedsAttention(
        "Shopify refuses the access token: it was revoked, has expired, or the app was removed "
        "from the shop. Install the app again and enter its credentials here."
    )


class _Tokens:
    """Fixed, or fetched with the app's own credentials and then good for a day.

    https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
    """

    def __init__(self, config: ShopifyConfig, kit: Kit, base_url: str) -> None:
        self._config = config
        self._kit = kit
        self._url = f"{base_url}/admin/oauth/access_token"
        self._fetched: tuple[Secret, datetime] | None = None
        self._fetching = asyncio.Lock()

    async def get(self) -> str:
        if self._config.access_token:
            return self._config.access_token.reveal()
        async with self._fetching:
            if self._fetched is None or self._fetched[1] <= self._kit.clock.now():
                self._fetched = await self._fetch()
            return self._fetched[0].reveal()

    async def another(self, refused: str) -> str:
        """Raises NeedsAttention where there can be none."""
        if self._config.access_token:
            raise _refused_token()
        async with self._fetching:
            if self._fetched is not None and self._fetched[0].reveal() == refused:
                self._fetched = None
        return await self.get()

    async def _fetch(self) -> tuple[Secret, datetime]:
        if not self._config.client_id or not self._config.client_secret:
            raise NeedsAttention(
                "The connection has no credentials. Enter the client ID and the client secret of "
                "an app that is installed in the shop."
            )
        answer = await call(
            self._kit.http,
            "POST",
            self._url,
            who="Shopify",
            clock=self._kit.clock,
            is_repeatable=True,
            data={
                "grant_type": "client_credentials",
                "client_id": self._config.client_id,
                "client_secret": self._config.client_secret.reveal(),
            },
            secrets=(self._config.client_secret,),
            timeout_seconds=_TIMEOUT_SECONDS,
            passes=_OURS,
        )
        if answer.status in (400, 401):
            raise NeedsAttention(
                "Shopify refuses the app's client ID and secret. Check both, and that the app is "
                "installed in this shop and belongs to the same organisation."
            )
        _check_status(answer)
        try:
            given = msgspec.convert(answer.json(), _Given)
        except msgspec.ValidationError:
            raise RetryLater("Shopify gave no access token; it will be asked again.") from None
        lasts = timedelta(seconds=given.expires_in) - _RENEW_BEFORE
        return Secret(given.access_token), self._kit.clock.now() + lasts


class _Given(msgspec.Struct):
    access_token: str
    expires_in: int = 3600


class _Bucket:
    """What the shop lets this app spend, as far as the answers have told."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._costs: dict[str, float] = {}
        self._available = 0.0
        self._maximum = 0.0
        self._rate = 0.0
        self._at: datetime | None = None

    async def make_room(self, name: str) -> None:
        """Wait until the operation fits, and count it as spent. Raises RetryLater when the wait
        would be long."""
        cost = self._costs.get(name, 0.0)
        wait = self._wait_for(cost)
        if wait > _MAX_WAIT_SECONDS:
            raise RetryLater("Shopify's limit for this app is used up for now.", after=wait)
        self._available -= cost
        if wait > 0:
            await asyncio.sleep(wait)

    def learn(self, name: str, cost: Mapping[str, Any]) -> None:
        status = _part(cost, "throttleStatus")
        numbers = [status.get(key) for key in ("currentlyAvailable", "maximumAvailable")]
        rate = status.get("restoreRate")
        requested = cost.get("requestedQueryCost")
        if isinstance(requested, int | float):
            self._costs[name] = float(requested)
        if isinstance(rate, int | float) and all(isinstance(one, int | float) for one in numbers):
            self._available, self._maximum = float(numbers[0] or 0), float(numbers[1] or 0)
            self._rate = float(rate)
            self._at = self._kit.clock.now()

    def wait_after_refusal(self, cost: Mapping[str, Any]) -> float | None:
        """Seconds until there is room for what was refused; None when Shopify told nothing."""
        requested = cost.get("requestedQueryCost")
        if not isinstance(requested, int | float) or self._at is None:
            return None
        return max(1.0, self._wait_for(float(requested)))

    def _wait_for(self, cost: float) -> float:
        if self._at is None or self._rate <= 0:
            return 0.0
        now = self._kit.clock.now()
        restored = max(0.0, (now - self._at).total_seconds()) * self._rate
        self._available = min(self._maximum, self._available + restored)
        self._at = now
        # One that the bucket can never hold is refused by Shopify itself, which says so.
        return max(0.0, min(cost, self._maximum) - self._available) / self._rate


def shop_domain(shop: str) -> str:
    """`my-shop`, `https://my-shop.myshopify.com/admin` -> `my-shop.myshopify.com`."""
    if match := re.search(r"admin\.shopify\.com/store/([a-z0-9-]+)", shop.strip().lower()):
        return f"{match[1]}.myshopify.com"
    name = re.sub(r"^[a-z]+://", "", shop.strip().lower()).partition("/")[0]
    if not re.fullmatch(r"[a-z0-9.-]+(?::\d+)?", name):
        raise NeedsAttention("The shop's domain must be like your-shop.myshopify.com.")
    return name if "." in name or ":" in name else f"{name}.myshopify.com"


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, dict) else {}
