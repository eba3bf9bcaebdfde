"""An account's session on its Bluesky server: signed in when needed, and again when it ends.

atproto's requests go by the kit's session: one set of time-outs and guards.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import httpx
import msgspec
from atproto_client import AsyncClient, Session, SessionEvent
from atproto_client.exceptions import RequestErrorBase
from atproto_client.models.common import XrpcError
from atproto_client.request import AsyncRequest, Response
from atproto_core.exceptions import AtProtocolError

from liveshop.connect import (
    ConnectorError,
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Secret,
    SkipListing,
)
from liveshop.connect.http import Answer, call, error_of, retry_after

SERVICE_URL = "https://bsky.social"
_UNTIL_SEEN_SECONDS = 5.0
_MAKES_A_RECORD = "com.atproto.repo.createRecord"
_NOT_SENT_ON = frozenset({"host", "content-length", "connection", "accept-encoding"})
_NOT_PASSED_BACK = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""aiohttp has unpacked the body already."""
_TOKEN_REFUSED = frozenset({"ExpiredToken", "InvalidToken", "AuthMissing", "BadJwt"})
_CLOSED = frozenset({"AccountTakedown", "AccountDeactivated", "AccountSuspended", "RepoTakendown"})
_NO_SUCH_METHOD = frozenset({"XRPCNotSupported", "MethodNotImplemented"})
T = TypeVar("T")


class BlueskyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The account that posts."""

    handle: Annotated[
        str,
        msgspec.Meta(title="Handle", description="Such as shop.bsky.social.", min_length=3),
    ]
    app_password: Annotated[
        Secret,
        msgspec.Meta(
            title="App password",
            description="Made on Bluesky under Settings, Privacy and security, App passwords. "
            "Not the password of the account.",
        ),
    ]
    service_url: Annotated[
        str,
        msgspec.Meta(
            title="Address of the account's server",
            description="Another one only where the account is on a server of its own.",
            pattern=r"^https?://\S+$",
        ),
    ] = SERVICE_URL


class Account:
    """Calls in the name of the account. Each may raise RetryLater, OutcomeUnknown, SkipListing and
    NeedsAttention. `did`: who it is, known inside a call."""

    def __init__(self, config: BlueskyConfig, kit: Kit) -> None:
        self._config = config
        self._kit = kit
        self._signing_in = asyncio.Lock()
        self._client: AsyncClient | None = None
        self.did = ""

    async def call(
        self, send: Callable[[AsyncClient], Awaitable[T]], *, is_repeatable: bool = True
    ) -> T:
        """Signs in first where needed, and once more where the session is refused."""
        for is_second in (False, True):
            client = await self._signed_in()
            try:
                return await send(client)
            except RequestErrorBase as error:
                if is_second or not _is_session_refused(error):
                    raise self._meaning(error, is_repeatable=is_repeatable) from None
            except (AtProtocolError, ValueError):
                raise _unreadable(is_repeatable=is_repeatable) from None
            if self._client is client:
                self._client = None
        raise AssertionError("the second attempt returns or raises")

    async def _signed_in(self) -> AsyncClient:
        async with self._signing_in:
            if self._client is None:
                self._client = await self._sign_in()
            return self._client

    async def _sign_in(self) -> AsyncClient:
        request = _Request(transport=_KitTransport(self._kit), trust_env=False)
        client = AsyncClient(self._config.service_url, request=request)
        client.on_session_change(self._note_account)
        handle = self._config.handle.strip().removeprefix("@")
        password = self._config.app_password.reveal()
        try:
            await client.login(handle, password, fetch_bsky_profile=False)
        except RequestErrorBase as error:
            if name_of(error) == "AuthFactorTokenRequired":
                raise NeedsAttention(
                    "This is the password of the account, which alone does not sign in. Make an "
                    "app password on Bluesky and enter that."
                ) from None
            if name_of(error) == "AuthenticationRequired":
                raise NeedsAttention(
                    "Bluesky does not accept the handle or the app password. Make a new app "
                    "password on Bluesky and enter it."
                ) from None
            raise self._meaning(error, is_repeatable=True) from None
        except (AtProtocolError, ValueError):
            raise _unreadable(is_repeatable=True) from None
        return client

    def _note_account(self, _: SessionEvent, session: Session) -> None:
        self.did = session.did

    def _meaning(self, error: RequestErrorBase, *, is_repeatable: bool) -> ConnectorError:
        response = error.response
        if response is None:
            return _unreadable(is_repeatable=is_repeatable)
        name, now = name_of(error), self._kit.clock.now()
        body = msgspec.json.encode({"message": _message_of(error)})
        answer = Answer(response.status_code, response.headers, body, "Bluesky", is_repeatable)
        if response.status_code == 429:
            after = _until_reset(response.headers, now)
            return RetryLater("Bluesky takes no more requests for now.", after=after)
        if name in _CLOSED:
            return NeedsAttention("Bluesky has closed or suspended the account. Look there why.")
        if name in _NO_SUCH_METHOD or response.status_code == 404:
            return NeedsAttention("There is no Bluesky server at this address. Correct it.")
        if _is_session_refused(error):
            return NeedsAttention(
                "Bluesky ended the session and takes no new one. Make a new app password on "
                "Bluesky and enter it."
            )
        meant = error_of(answer, now, secrets=[self._config.app_password])
        if isinstance(meant, OutcomeUnknown):
            return OutcomeUnknown(meant.detail, after=meant.after or _UNTIL_SEEN_SECONDS)
        if isinstance(meant, SkipListing) and "grapheme" in meant.detail:
            return SkipListing("Bluesky finds the text too long. Shorten it.", field="text")
        return meant


class _Request(AsyncRequest):  # type: ignore[misc]  # atproto ships no types
    """atproto gives the bytes of a picture in a way that httpx warns of."""

    async def post(self, *args: Any, **kwargs: Any) -> Response:
        if isinstance(kwargs.get("data"), bytes):
            kwargs["content"] = kwargs.pop("data")
        return await super().post(*args, **kwargs)


class _KitTransport(httpx.AsyncBaseTransport):
    """httpx over the kit's session. Redirects are refused: a password would go with them."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await call(
            self._kit.http,
            request.method,
            str(request.url),
            who="Bluesky",
            clock=self._kit.clock,
            is_repeatable=not request.url.path.endswith(_MAKES_A_RECORD),
            data=await request.aread() or None,
            headers={
                name: value
                for name, value in request.headers.items()
                if name.lower() not in _NOT_SENT_ON
            },
            passes=range(300, 600),
        )
        if 300 <= answer.status < 400:
            raise NeedsAttention("The address of the Bluesky server leads elsewhere. Correct it.")
        if answer.is_success and answer.body:
            answer.json()
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in _NOT_PASSED_BACK
        }
        return httpx.Response(answer.status, headers=headers, content=answer.body)


def _until_reset(headers: dict[str, Any], now: datetime) -> float | None:
    reset = str(headers.get("ratelimit-reset", ""))
    if reset.isascii() and reset.isdecimal() and len(reset) <= 11:
        return max(int(reset) - now.timestamp(), 1.0)
    return retry_after(headers, now)


def _is_session_refused(error: RequestErrorBase) -> bool:
    status = 0 if error.response is None else error.response.status_code
    return status == 401 or name_of(error) in _TOKEN_REFUSED


def name_of(error: RequestErrorBase) -> str:
    content = None if error.response is None else error.response.content
    return content.error if isinstance(content, XrpcError) else ""


def _message_of(error: RequestErrorBase) -> str:
    content = None if error.response is None else error.response.content
    return (content.message or "") if isinstance(content, XrpcError) else ""


def _unreadable(*, is_repeatable: bool) -> RetryLater:
    if is_repeatable:
        return RetryLater("Bluesky sent an answer that cannot be read.")
    return OutcomeUnknown("Bluesky sent an answer that cannot be read.", after=_UNTIL_SEEN_SECONDS)
