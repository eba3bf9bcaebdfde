"""X's API by tweepy's `request`: the kit's session, renewed tokens, errors in our words.

tweepy has no call for v2 media and none for newer fields of a post, so everything goes through its
`request`: one path, with its errors and rate limits.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tweepy.asynchronous import AsyncClient
from tweepy.errors import HTTPException, NotFound, TooManyRequests, Unauthorized

from liveshop.connect import (
    ConnectorError,
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    SkipListing,
)
from liveshop.connect.http import Answer, call, error_of, retry_after

UNTIL_SEEN_SECONDS = 30.0
"""A new post may be missing in the list of our own for a moment."""
_TWEEPY_URL = "https://api.twitter.com"
_ERRORS = range(400, 600)


class XApi:
    """Calls with the connection's token. Each may raise RetryLater, OutcomeUnknown, SkipListing and
    NeedsAttention."""

    def __init__(self, kit: Kit, api_url: str) -> None:
        self._kit = kit
        self._api_url = api_url

    async def call(
        self,
        method: str,
        route: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        is_repeatable: bool = True,
        missing_is_fine: bool = False,
    ) -> dict[str, Any] | None:
        """The answer; a token that X refuses is renewed once. None where nothing is there and
        `missing_is_fine`."""
        token = await self._kit.tokens.access_token()
        for is_second in (False, True):
            transport = _Transport(self._kit, self._api_url, token, is_repeatable)
            client = AsyncClient(bearer_token=token, wait_on_rate_limit=False)
            client.session = transport
            try:
                await client.request(method, route, params=params, json=json)
                return transport.decoded()
            except Unauthorized:
                if is_second:
                    raise self._error(transport, None) from None
            except NotFound:
                if missing_is_fine:
                    return None
                raise self._error(transport, None) from None
            except HTTPException as error:
                raise self._error(transport, error) from None
            token = await self._kit.tokens.renewed(token)
        raise AssertionError("the second attempt returns or raises")

    def _error(self, transport: "_Transport", error: HTTPException | None) -> ConnectorError:
        answer, now = transport.answer, self._kit.clock.now()
        meant = error_of(answer, now, secrets=[transport.token])
        if isinstance(error, TooManyRequests):
            return RetryLater(
                "X takes no more requests for now; it goes on by itself.",
                after=_seconds_to_wait(answer, error.reset_time, now),
            )
        if answer.status == 402:
            return NeedsAttention(
                "The credits at X are used up. Buy some in its developer console."
            )
        if answer.status == 403:
            return _forbidden(answer.text.casefold(), meant)
        if isinstance(meant, OutcomeUnknown):
            return OutcomeUnknown(meant.detail, after=meant.after or UNTIL_SEEN_SECONDS)
        return meant


class _Transport:
    """What tweepy takes for its session: one long-lived one in place of one per call, X's present
    address, and errors whose body tweepy can always read."""

    def __init__(self, kit: Kit, api_url: str, token: str, is_repeatable: bool) -> None:
        self.token = token
        self._kit = kit
        self._api_url = api_url.rstrip("/")
        self._is_repeatable = is_repeatable
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        assert self._answer is not None
        return self._answer

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> AsyncIterator["_TweepyAnswer"]:
        self._answer = await call(
            self._kit.http,
            method,
            self._api_url + url.removeprefix(_TWEEPY_URL),
            who="X",
            clock=self._kit.clock,
            is_repeatable=self._is_repeatable,
            params=params,
            json=json,
            headers=headers,
            secrets=[self.token],
            passes=_ERRORS,
        )
        yield _TweepyAnswer(self._answer)

    def decoded(self) -> dict[str, Any]:
        """Raises RetryLater, OutcomeUnknown where it is no JSON object."""
        found = self.answer.json()
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class _TweepyAnswer:
    """The part of aiohttp's answer that tweepy uses. It expects JSON objects and whole numbers
    where a proxy may send anything; what X said is read from `Answer` instead."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def reason(self) -> str:
        return ""

    @property
    def headers(self) -> Mapping[str, str]:
        reset = self.answer.headers.get("x-rate-limit-reset", "")
        return {"x-rate-limit-reset": reset} if _is_moment(reset) else {}

    async def read(self) -> bytes:
        return self.answer.body

    async def json(self) -> dict[str, Any]:
        return {}


def keep_headers_out_of_logs() -> None:
    """tweepy writes all headers, the access token among them, to its log at DEBUG. A filter stays
    whatever level somebody sets."""
    logging.getLogger("tweepy.asynchronous.client").addFilter(_is_above_debug)


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _seconds_to_wait(answer: Answer, reset: int | None, now: datetime) -> float | None:
    """Until every window that is used up begins anew; None where X does not say."""
    moments = [] if reset is None else [reset]
    for window in ("user", "app"):
        left = answer.headers.get(f"x-{window}-limit-24hour-remaining", "")
        until = answer.headers.get(f"x-{window}-limit-24hour-reset", "")
        if left.strip() == "0" and _is_moment(until):
            moments.append(int(until))
    if not moments:
        return retry_after(answer.headers, now)
    return max(max(moments) - now.timestamp(), 1.0)


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 11


def _forbidden(said: str, meant: ConnectorError) -> ConnectorError:
    if "duplicate" in said:
        return SkipListing(
            "X refuses a text that the account has posted already. Change it.", field="text"
        )
    if "too long" in said:
        return SkipListing("X finds the text too long. Shorten it.", field="text")
    if "scope" in said or "permission" in said:
        return NeedsAttention(
            "X lets this connection do less than it needs. Give the app the permission Read and "
            "write in X's developer console, then authorise the connection again."
        )
    return meant
