"""OAuth 2 with PKCE, once for all connectors: authorise, exchange, refresh.

RFC 6749 and 7636. A refresh token that rotates is stored before the access token that came with it
is used: a process that dies in between has lost nothing. Vendors that see an old refresh token
twice end the whole authorisation, so only one process at a time refreshes, and looks first whether
another has done it.
"""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn, Protocol
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import aiohttp
import msgspec

from liveshop.connect.errors import NeedsAttention, RetryLater
from liveshop.connect.http import Answer, call, error_of, scrub
from liveshop.kernel.clock import Clock

MARGIN = timedelta(seconds=60)
"""A token is renewed this long before it ends: clocks differ, and requests take a while."""
_TIMEOUT_SECONDS = 20
_LONGEST = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class OAuth:
    """How a vendor authorises. Addresses may hold `{field}` of the configuration: at the beginning
    a whole base address, elsewhere a part of one, which is quoted."""

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    client_auth: Literal["basic", "body"] = "basic"
    """Where the client's secret goes in token requests. A client without one is public."""
    client_id_field: str = "client_id"
    client_secret_field: str = "client_secret"  # noqa: S105  # the name of a field
    extra_params: tuple[tuple[str, str], ...] = ()
    """For the authorisation address, such as ("access_type", "offline")."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a vendor gave. `expires_at` None: until it is refused. Stored sealed."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    scope: str | None = None
    """What was granted, where the vendor tells."""


class TokenStore(Protocol):
    """Where the tokens of one connection are kept."""

    async def load(self) -> Tokens | None:
        """None while it was never authorised."""
        ...

    async def save(self, tokens: Tokens) -> None:
        """Stored for good when this returns."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Held by one at a time, over all processes."""
        ...


def begin(
    oauth: OAuth, fields: Mapping[str, str], *, redirect_uri: str, state: str
) -> tuple[str, str]:
    """(The address to send the merchant to, the verifier to keep for `exchange`).

    `fields`: the configuration by `config.texts_of`, defaults and secrets included. `state`: a
    secret of the merchant's session, to be compared when he comes back. Raises NeedsAttention
    without a client id.
    """
    verifier = secrets.token_urlsafe(48)
    challenge = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": _client_id(oauth, fields),
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if oauth.scopes:
        query["scope"] = " ".join(oauth.scopes)
    query.update(oauth.extra_params)
    url = _filled(oauth.authorize_url, fields)
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}{urlencode(query, quote_via=quote)}", verifier


async def exchange(
    http: aiohttp.ClientSession,
    oauth: OAuth,
    fields: Mapping[str, str],
    *,
    code: str,
    verifier: str,
    redirect_uri: str,
    now: datetime,
) -> Tokens:
    """The tokens for the code that the merchant came back with; a code works once. Raises
    NeedsAttention, RetryLater."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    return await _ask(http, oauth, fields, form, hidden=(code, verifier), now=now)


async def refresh(
    http: aiohttp.ClientSession,
    oauth: OAuth,
    fields: Mapping[str, str],
    tokens: Tokens,
    *,
    now: datetime,
) -> Tokens:
    """New tokens; the old refresh token is kept where the vendor sends none. Save them before you
    use them. Raises NeedsAttention, RetryLater."""
    old = tokens.refresh_token
    if old is None:
        raise NeedsAttention(
            f"The authorisation at {_who(oauth, fields)} has run out. Authorise the connection "
            "again."
        )
    form = {"grant_type": "refresh_token", "refresh_token": old}
    new = await _ask(http, oauth, fields, form, hidden=(old, tokens.access_token), now=now)
    return Tokens(
        new.access_token,
        new.refresh_token or old,
        new.expires_at,
        new.scope or tokens.scope,
    )


class TokenKeeper:
    """The `AccessTokens` of one connection in one process."""

    def __init__(
        self,
        oauth: OAuth,
        fields: Mapping[str, str],
        store: TokenStore,
        http: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        self._oauth = oauth
        self._fields = fields
        self._store = store
        self._http = http
        self._clock = clock
        self._tokens: Tokens | None = None
        self._unsaved: tuple[Tokens, Tokens] | None = None
        self._flight: asyncio.Task[Tokens] | None = None

    async def access_token(self) -> str:
        """One that is valid now. Raises NeedsAttention, RetryLater."""
        if self._tokens is not None and self._is_fresh(self._tokens):
            return self._tokens.access_token
        return (await self._renew(None)).access_token

    async def renewed(self, rejected: str) -> str:
        """Another one than this. Raises NeedsAttention, RetryLater."""
        if (
            self._tokens is not None
            and self._tokens.access_token != rejected
            and self._is_fresh(self._tokens)
        ):
            return self._tokens.access_token
        return (await self._renew(rejected)).access_token

    def _is_fresh(self, tokens: Tokens) -> bool:
        return tokens.expires_at is None or tokens.expires_at - self._clock.now() > MARGIN

    async def _renew(self, rejected: str | None) -> Tokens:
        """All who ask at one moment wait for one refresh; that one of them is cancelled does not
        stop it, for then a token would be lost between the vendor and the store."""
        if self._flight is not None:
            tokens = await asyncio.shield(self._flight)
            if tokens.access_token != rejected:
                return tokens
        if self._flight is None:
            self._flight = asyncio.create_task(self._load_or_refresh(rejected))
            self._flight.add_done_callback(self._landed)
        tokens = await asyncio.shield(self._flight)
        if tokens.access_token == rejected:
            raise NeedsAttention(
                f"{_who(self._oauth, self._fields)} gives the same access token again that is "
                "refused. Authorise the connection again."
            )
        return tokens

    def _landed(self, flight: "asyncio.Task[Tokens]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # whoever waited has seen it

    async def _load_or_refresh(self, rejected: str | None) -> Tokens:
        async with self._store.exclusive():
            stored = await self._store.load()
            if stored is None:
                raise NeedsAttention(
                    "This connection was not authorised yet. Authorise it in the desk."
                )
            if self._unsaved is not None:
                stored = await self._save_late(stored, *self._unsaved)
            if stored.access_token == rejected or not self._is_fresh(stored):
                stored = await self._refresh_and_save(stored)
            self._tokens = stored
            return stored

    async def _refresh_and_save(self, old: Tokens) -> Tokens:
        new = await refresh(self._http, self._oauth, self._fields, old, now=self._clock.now())
        self._unsaved = (old, new)
        await self._store.save(new)
        self._unsaved = None
        return new

    async def _save_late(self, stored: Tokens, old: Tokens, new: Tokens) -> Tokens:
        """An earlier refresh worked and could not be stored: that is made up for, unless the
        connection was authorised anew meanwhile."""
        if stored == old:
            await self._store.save(new)
            stored = new
        self._unsaved = None
        return stored


async def _ask(
    http: aiohttp.ClientSession,
    oauth: OAuth,
    fields: Mapping[str, str],
    form: dict[str, str],
    *,
    hidden: tuple[str, ...],
    now: datetime,
) -> Tokens:
    client_id = _client_id(oauth, fields)
    client_secret = fields.get(oauth.client_secret_field) or ""
    headers: dict[str, str] = {}
    if client_secret and oauth.client_auth == "basic":
        # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form = {**form, "client_id": client_id}
        if client_secret:
            form["client_secret"] = client_secret
    hidden = (*hidden, client_secret)
    answer = await call(
        http,
        "POST",
        _filled(oauth.token_url, fields),
        who=_who(oauth, fields),
        # Repeating is the only way on: without an answer there is no other token to go on with.
        is_repeatable=True,
        data=form,
        headers=headers,
        secrets=hidden,
        timeout_seconds=_TIMEOUT_SECONDS,
        passes=range(400, 600),
    )
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise error_of(answer, now, secrets=hidden)
    said = _object(answer.body)
    token = said.get("access_token")
    if not answer.is_success or not isinstance(token, str) or not token:
        _refused(answer, said, hidden)
    return _tokens(said, token, now)


def _tokens(said: Mapping[str, Any], access_token: str, now: datetime) -> Tokens:
    refresh_token, scope = said.get("refresh_token"), said.get("scope")
    return Tokens(
        access_token=access_token,
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        expires_at=_ends_at(said.get("expires_in"), now),
        scope=scope if isinstance(scope, str) else None,
    )


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _ends_at(expires_in: object, now: datetime) -> datetime | None:
    """Some send the seconds as a text, and some 0 for a token without an end."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not 0 < seconds < _LONGEST.total_seconds():
        return None
    return now + timedelta(seconds=seconds)


def _refused(answer: Answer, said: Mapping[str, Any], hidden: tuple[str, ...]) -> NoReturn:
    error, words = said.get("error"), said.get("error_description")
    if isinstance(error, dict):
        inner: dict[str, Any] = error
        error, words = inner.get("type"), inner.get("message")
    told = ": ".join(scrub(str(one), hidden)[:200] for one in (error, words) if one)
    told = told or f"status {answer.status}"
    if error in ("temporarily_unavailable", "slow_down", "server_error"):
        raise RetryLater(f"{answer.who} gives no token for now ({told}).")
    if answer.is_success and error is None:
        raise RetryLater(f"{answer.who} sent an answer without a token.")
    if error in ("invalid_client", "unauthorized_client"):
        raise NeedsAttention(
            f"{answer.who} does not accept the client id or its secret. Correct them in the "
            f"configuration of the connection. ({told})"
        )
    raise NeedsAttention(
        f"The authorisation at {answer.who} has ended or was withdrawn. Authorise the connection "
        f"again. ({told})"
    )


def _client_id(oauth: OAuth, fields: Mapping[str, str]) -> str:
    client_id = fields.get(oauth.client_id_field)
    if not client_id:
        raise NeedsAttention(
            f"The configuration of the connection has no {oauth.client_id_field}. Set it first."
        )
    return client_id


def _filled(url: str, fields: Mapping[str, str]) -> str:
    """The address with `{field}` filled in: a whole base address as it is, a part of one quoted."""
    for name, value in fields.items():
        place = "{" + name + "}"
        if url.startswith(place):
            url = value.rstrip("/") + url.removeprefix(place)
        elif place in url:
            url = url.replace(place, quote(value, safe=""))
    if missing := re.search(r"\{(\w+)\}", url):
        raise NeedsAttention(
            f"The configuration of the connection has no {missing[1]}. Set it first."
        )
    return url


def _who(oauth: OAuth, fields: Mapping[str, str]) -> str:
    """The host that gives the tokens."""
    try:
        return urlsplit(_filled(oauth.token_url, fields)).hostname or "the vendor"
    except (ValueError, NeedsAttention):
        return "the vendor"
