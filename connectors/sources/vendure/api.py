"""Vendure's Admin API: one GraphQL request and what its errors mean; lists, page by page."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from liveshop.connect import Kit, NeedsAttention, RetryLater, Secret
from liveshop.connect.http import Answer, call

_OVERLAP = 10
_LOGIN = """
mutation($username: String!, $password: String!) {
  login(username: $username, password: $password) {
    __typename
    ... on ErrorResult { message }
  }
}
"""


class Refused(Exception):
    """Vendure answered, and does not do this: `code` is its own, such as ENTITY_NOT_FOUND."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def for_merchant(self) -> NeedsAttention:
        """Where nothing but a person can help."""
        return NeedsAttention(f"Vendure refuses the request: {self.message}")


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are there: an API key, or a user name and a password."""

    api_key: Secret
    username: str
    password: Secret
    channel: str
    """The channel's token; empty for the default channel."""


class AdminApi:
    def __init__(
        self, kit: Kit, url: str, account: Account, *, params: Mapping[str, str] | None = None
    ) -> None:
        self._kit = kit
        self._url = url
        self._account = account
        self._params = dict(params or {})
        self._session: str | None = None
        self._login = asyncio.Lock()
        self.answered_at: datetime | None = None
        """When Vendure gave its last answer, by its own clock."""

    @property
    def has_key(self) -> bool:
        return bool(self._account.api_key)

    async def ask(self, document: str, **variables: Any) -> Any:
        """The `data` of the answer. Raises Refused, RetryLater, NeedsAttention; OutcomeUnknown for
        a mutation that may have been carried out."""
        session = await self._token()
        try:
            return await self._send(document, variables, session)
        except _Unauthorised as error:
            if self._account.api_key:
                raise error.for_merchant() from None
        try:
            return await self._send(document, variables, await self._token(rejected=session))
        except _Unauthorised as error:
            raise error.for_merchant() from None

    async def change(self, document: str, **variables: Any) -> Any:
        """The one result of a mutation. Raises what `ask` does; Refused for an ErrorResult too."""
        (result,) = (await self.ask(document, **variables)).values()
        if isinstance(result, dict) and "errorCode" in result:
            told = result.get("transitionError") or result["message"]
            raise Refused(result["errorCode"], told)
        return result

    async def walk(
        self,
        name: str,
        document: str,
        *,
        where: Mapping[str, Any] | None = None,
        take: int,
        place: "Place | None" = None,
    ) -> AsyncIterator[tuple[Any, list[Any], "Place | None"]]:
        """The list `name` of a query with `$options`, by id: (whole data, its new items, where to
        go on; None at the end).

        Vendure pages by number, and what is deleted meanwhile moves what follows. So each page
        begins with the end of the one before: where that is not found, it goes back.
        """
        overlap = min(_OVERLAP, take // 2)
        here: Place | None = place or Place(0, ())
        while here is not None:
            skip = max(0, here.skip - len(here.tail))
            options = {"skip": skip, "take": take, "sort": {"id": "ASC"}, "filter": where or {}}
            data = await self.ask(document, options=options)
            items = data[name]["items"]
            known = [at for at, item in enumerate(items) if item["id"] in here.tail]
            if here.tail and not known and skip:
                here = Place(max(0, skip - take) + len(here.tail), here.tail)
                continue
            new = items[known[-1] + 1 :] if known else items
            tail = (*here.tail, *(item["id"] for item in new))[-overlap:]
            here = None if len(items) < take else Place(skip + len(items), tail)
            yield data, new, here

    async def _token(self, *, rejected: str | None = None) -> str | None:
        """Of the session; None with an API key, which needs none."""
        if self._account.api_key:
            return None
        async with self._login:
            if self._session is None or self._session == rejected:
                self._session = await self._log_in()
            return self._session

    async def _log_in(self) -> str:
        variables = {
            "username": self._account.username,
            "password": self._account.password.reveal(),
        }
        answer, body = await self._post(_LOGIN, variables, {}, is_change=False)
        login = (_data(body) or {}).get("login") or {}
        if login.get("__typename") != "CurrentUser":
            raise NeedsAttention("Vendure does not accept the user name and password.")
        token = answer.headers.get("vendure-auth-token")
        if not token:
            raise NeedsAttention(
                "Vendure gives no session token. Allow the token method `bearer` in its "
                "authOptions, or use an API key."
            )
        return token

    async def _send(self, document: str, variables: Mapping[str, Any], session: str | None) -> Any:
        headers = {"vendure-token": self._account.channel} if self._account.channel else {}
        if session is None:
            headers["vendure-api-key"] = self._account.api_key.reveal()
        else:
            headers["Authorization"] = f"Bearer {session}"
        is_change = document.lstrip().startswith("mutation")
        _, body = await self._post(document, variables, headers, is_change=is_change)
        return _data(body)

    async def _post(
        self,
        document: str,
        variables: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        is_change: bool,
    ) -> tuple[Answer, Any]:
        answer = await call(
            self._kit.http,
            "POST",
            self._url,
            who="Vendure",
            clock=self._kit.clock,
            is_repeatable=not is_change,
            params=self._params,
            json={"query": document, "variables": variables},
            headers=headers,
            secrets=(self._account.api_key, self._account.password),
            # What is wrong with a request stands in the body, whatever the status is.
            passes=range(400, 429),
        )
        self.answered_at = _date_of(answer) or self._kit.clock.now()
        if answer.status in (401, 403):
            raise _Unauthorised("FORBIDDEN", "")
        try:
            return answer, msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NeedsAttention(
                f"There is no Admin API of Vendure at the address given (status {answer.status})."
            ) from None


class _Unauthorised(Refused):
    def for_merchant(self) -> NeedsAttention:
        return NeedsAttention(
            "Vendure does not let us do this: renew the key or the password, or give the role of "
            "the account the permissions that the documentation lists, on this channel."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """In a list: how many items were seen, and the ids of the last of them."""

    skip: int
    tail: Sequence[str]


def _data(body: Any) -> Any:
    """Raises what the errors of an answer stand for."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not errors:
        return body.get("data") if isinstance(body, dict) else None
    first = errors[0]
    code = str((first.get("extensions") or {}).get("code") or "")
    if code in {"FORBIDDEN", "UNAUTHENTICATED"}:
        raise _Unauthorised(code, "")
    if code == "CHANNEL_NOT_FOUND":
        raise NeedsAttention("Vendure has no channel with this token. Correct the channel token.")
    if code == "INTERNAL_SERVER_ERROR":
        raise RetryLater("Vendure reports an error inside itself.")
    raise Refused(code, str(first.get("message", ""))[:300])


def _date_of(answer: Answer) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
