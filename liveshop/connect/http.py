"""Requests as connectors send them: whatever goes wrong becomes an error that says what is next.

A failure before anything was sent is RetryLater; one after is OutcomeUnknown, unless the request
may be repeated without harm. No error holds the address, since some vendors put tokens there.
"""

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

import aiohttp
import msgspec

from liveshop.connect.credentials import AccessTokens, Secret
from liveshop.connect.errors import (
    ConnectorError,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    SkipListing,
)
from liveshop.kernel.clock import Clock, SystemClock
from liveshop.kernel.errors import ShopError

MAX_BODY = 32 * 1024 * 1024
"""Bytes of an answer, unpacked. More is refused rather than kept."""
_SYSTEM_CLOCK = SystemClock()
_PIECE = 64 * 1024
_WORDS = 300
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_NOT_DONE = frozenset({408, 425, 429})
"""Refused before anything was done."""
_ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[a-zA-Z]{2,}")


class Lent(Protocol):
    """What `call_authorised` needs of a `Kit`."""

    clock: Clock
    http: aiohttp.ClientSession
    tokens: AccessTokens


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` find names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    who: str = "The other side"
    is_repeatable: bool = True
    """Of the request: what a body that cannot be read means for it."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """UTF-8; what is none is replaced."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Raises RetryLater or OutcomeUnknown where the body is no JSON, as behind a broken
        proxy."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            detail = f"{self.who} sent an answer that cannot be read (status {self.status})."
        raise _later(detail, is_repeatable=self.is_repeatable)


async def call(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    who: str,
    clock: Clock = _SYSTEM_CLOCK,
    is_repeatable: bool | None = None,
    params: Any = None,
    json: Any = None,
    data: Any = None,
    headers: Mapping[str, str] | None = None,
    secrets: Collection[str | Secret] = (),
    timeout_seconds: float | None = None,
    max_body: int = MAX_BODY,
    passes: Collection[int] = (),
) -> Answer:
    """Send one request and read the whole answer; redirects are not followed.

    `who` begins the error texts. `is_repeatable` None: by the method. `secrets` never get into an
    error. Statuses from 400 on raise what `error_of` says, except those in `passes`.
    """
    repeatable = method.upper() in _REPEATABLE if is_repeatable is None else is_repeatable
    sent = {"Accept": "application/json", **(headers or {})}
    if json is not None:
        data = msgspec.json.encode(json)
        sent.setdefault("Content-Type", "application/json")
    timeout = http.timeout
    if timeout_seconds is not None:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    try:
        async with http.request(
            method,
            url,
            params=params,
            data=data,
            headers=sent,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            body = await _body(response, max_body)
            answer = Answer(response.status, response.headers, body, who, repeatable)
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        # Chained errors would show the address, and whatever stands in it.
        raise NeedsAttention(
            f"The address of {who} in the configuration is not a web address. Correct it."
        ) from None
    except ShopError as error:  # the session refuses addresses of our own network
        raise NeedsAttention(error.detail) from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise RetryLater(f"{who} cannot be reached.") from None
    except (TimeoutError, asyncio.IncompleteReadError):
        raise _later(f"{who} did not answer in time.", is_repeatable=repeatable) from None
    except _TooLarge:
        detail = f"{who} sent an answer of more than {max_body // 1024} KB."
        raise _later(detail, is_repeatable=repeatable) from None
    except (aiohttp.ClientError, OSError):
        detail = f"The connection to {who} broke off before the whole answer was here."
        raise _later(detail, is_repeatable=repeatable) from None
    if answer.status < 400 or answer.status in passes:
        return answer
    raise error_of(answer, clock.now(), secrets=secrets)


async def call_authorised(
    kit: Lent,
    method: str,
    url: str,
    *,
    who: str,
    scheme: str = "Bearer",
    is_repeatable: bool | None = None,
    params: Any = None,
    json: Any = None,
    data: Any = None,
    headers: Mapping[str, str] | None = None,
    secrets: Collection[str | Secret] = (),
    timeout_seconds: float | None = None,
    max_body: int = MAX_BODY,
    passes: Collection[int] = (),
) -> Answer:
    """As `call`, with the connection's access token; one that is refused (401) is renewed once and
    the request sent again, which is safe since a refused one did nothing. `data` has to be one
    that can be sent twice. A second 401 raises NeedsAttention."""
    token = await kit.tokens.access_token()
    hidden = (*secrets, token)
    for is_second in (False, True):
        answer = await call(
            kit.http,
            method,
            url,
            who=who,
            clock=kit.clock,
            is_repeatable=is_repeatable,
            params=params,
            json=json,
            data=data,
            headers={**(headers or {}), "Authorization": f"{scheme} {token}"},
            secrets=hidden,
            timeout_seconds=timeout_seconds,
            max_body=max_body,
            passes={401, *passes},
        )
        if answer.status != 401 or is_second:
            break
        token = await kit.tokens.renewed(token)
        hidden = (*hidden, token)
    if answer.status == 401:
        raise error_of(answer, kit.clock.now(), secrets=hidden)
    return answer


def error_of(
    answer: Answer, now: datetime, *, secrets: Collection[str | Secret] = ()
) -> ConnectorError:
    """What an answer from 400 on means; some of its words are in the text, without `secrets`."""
    said = scrub(_words(answer.body), secrets)
    told = f"{answer.who} answered {answer.status}{': ' + said if said else ''}"
    told = told if told.endswith((".", "!", "?")) else told + "."
    after = retry_after(answer.headers, now)
    if answer.status in _NOT_DONE:
        if answer.status == 429:
            told = f"{answer.who} takes no more requests for now ({told.rstrip('.')})."
        return RetryLater(told, after=after)
    if answer.status >= 500:
        return _later(told, is_repeatable=answer.is_repeatable, after=after)
    if answer.status == 401:
        return NeedsAttention(
            f"{answer.who} does not accept the access of this connection. Authorise it again or "
            f"renew its key. ({told})"
        )
    if answer.status in (402, 403):
        return NeedsAttention(
            f"{answer.who} does not permit this. Give the connection the permission that it lacks, "
            f"or ask {answer.who} why. ({told})"
        )
    return SkipListing(told)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, written in seconds or as a date; None without one
    that can be read. RFC 9110, section 10.2.3."""
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d+)?", value, re.ASCII):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def scrub(text: str, secrets: Collection[str | Secret]) -> str:
    """The text without these, however they are written in addresses."""
    revealed = {one.reveal() if isinstance(one, Secret) else one for one in secrets}
    forms = {
        form
        for one in revealed
        if one
        for form in (one, quote(one), quote(one, safe=""), quote_plus(one))
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "…")
    return text


class _TooLarge(Exception):
    """An answer is longer than we keep."""


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. One of an error may break off: its status says enough."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.content.iter_chunked(_PIECE):
            size += len(part)
            if size > most:
                raise _TooLarge
            parts.append(part)
    except (aiohttp.ClientError, TimeoutError, OSError):
        if response.status < 400:
            raise
        return b""
    return b"".join(parts)


def _later(detail: str, *, is_repeatable: bool, after: float | None = None) -> RetryLater:
    if is_repeatable:
        return RetryLater(detail, after=after)
    return OutcomeUnknown(f"{detail} Whether it was carried out is not known.", after=after)


def _words(body: bytes) -> str:
    """What a JSON error says to people, in one line; nothing for other bodies. Mail addresses are
    left out."""
    try:
        found = _message(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    line = _ADDRESS.sub("…", " ".join(found.split()))
    return line if len(line) <= _WORDS else line[:_WORDS] + "…"


def _message(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value if depth else ""
    if isinstance(value, list) and value:
        return _message(value[0], depth + 1)
    if not isinstance(value, dict) or depth > 4:
        return ""
    for name in (
        "error_description",
        "error_user_msg",
        "message",
        "detail",
        "errors",
        "error",
        "reason",
        "title",
    ):
        if value.get(name) and (found := _message(value[name], depth + 1)):
            return found
    return ""
