"""No token is told: every log, error, warning and address of the whole suite is searched.

A plugin of pytest, one per worker. What connectors keep secret is known here as soon as it exists
(`Secret`, `Tokens`, sealed credentials, what fakes are sent in headers); what is said is noted as
it is said, before our own scrubbing of logs; at its end a test fails that said a secret. A failure
names the place and the kind, never the secret.

What is no leak:

- The token of a feed in the address of that feed: it is the key that the merchant hands out. In
  logs and errors it is a leak like any other.
- `code` and `state` in the address that a vendor sends the merchant back to: RFC 6749 puts them
  there, they are spent by the request that brings them. In logs and errors the code is a leak.

A test that tells one on purpose says where: `@pytest.mark.tells_secrets("url")`.

Drivers of databases are heard from WARNING on: below it they repeat every statement, for each of
which our engine hides the values.
"""

import base64
import functools
import importlib
import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import aiohttp
import pytest
import structlog

from liveshop.connect import credentials, oauth, stages
from liveshop.connect.errors import ConnectorError
from liveshop.kernel.errors import ShopError
from liveshop.syndication import authorising, sealing
from liveshop.video.simulcast import address

Place = Literal["log", "error", "warning", "output", "url"]

_SHORTEST = 8
_KEPT_CHARACTERS = 1_000_000
_TELLS_EVERY_STATEMENT = ("sqlalchemy", "aiosqlite", "asyncpg")
_HEADERS = ("authorization", "x-shopify-access-token", "vendure-auth-token")
_IN_ITS_ADDRESS = frozenset({"feed token", "authorisation code"})


@dataclass(frozen=True, slots=True)
class Leak:
    """`where`: the logger, the class of the error, the server that was asked."""

    kind: str
    place: Place
    where: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.place}: {self.where}"


@dataclass(slots=True)
class _Said:
    place: Place
    where: str
    text: str


class Watch:
    """Secrets of one file of tests, and what the running test said.

    Beyond a million characters the texts are searched at once and dropped: what they say of a
    secret that is registered only later is not seen then.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._lasting: dict[str, str] = {}
        self._secrets: dict[str, str] = {}
        self._said: list[_Said] = []
        self._characters = 0
        self._leaks: dict[Leak, None] = {}

    def register(self, secret: object, kind: str = "secret", *, lasting: bool = False) -> None:
        """`lasting`: for longer than the running file of tests. Too short or no text: left out."""
        if not isinstance(secret, str) or len(secret) < _SHORTEST or not _is_telling(secret):
            return
        with self._lock:
            known = self._lasting if lasting else self._secrets
            known.setdefault(secret, kind)

    def note(self, place: Place, where: str, text: str) -> None:
        """Something was said."""
        if len(text) < _SHORTEST:
            return
        with self._lock:
            self._said.append(_Said(place, where, text))
            self._characters += len(text)
            if self._characters > _KEPT_CHARACTERS:
                self._search()

    @property
    def kept_characters(self) -> int:
        return self._characters

    def leaks(self) -> list[Leak]:
        """What was found since the last call."""
        with self._lock:
            self._search()
            found = list(self._leaks)
            self._leaks.clear()
            return found

    def forget(self) -> None:
        """A file of tests is over."""
        with self._lock:
            self._secrets.clear()

    def _search(self) -> None:
        said, self._said, self._characters = self._said, [], 0
        if not said:
            return
        everything = "\n".join(one.text for one in said)
        for secret, kind in [*self._lasting.items(), *self._secrets.items()]:
            for form in forms_of(secret):
                if form not in everything:
                    continue
                for one in said:
                    if form in one.text and not (one.place == "url" and kind in _IN_ITS_ADDRESS):
                        self._leaks[Leak(kind, one.place, one.where)] = None


@functools.lru_cache(maxsize=4096)
def forms_of(secret: str) -> frozenset[str]:
    """The ways in which it may stand in a text: plain, in an address, in JSON, in base64."""
    raw = secret.encode()
    return frozenset(
        {
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
            *_in_base64(raw),
        }
    )


def _in_base64(raw: bytes) -> Iterator[str]:
    """What is the same whatever stands before and after it; too short a piece is none."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode()
        piece = coded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        if len(piece) >= _SHORTEST:
            yield piece


def _is_telling(secret: str) -> bool:
    """A word that texts use anyway, or an address, tells nothing."""
    return not secret.isspace() and not secret.startswith(("http://", "https://"))


watch = Watch()
register = watch.register
note = watch.note


def register_headers(headers: Mapping[str, str]) -> None:
    """What a request proves itself with."""
    for name in _HEADERS:
        value = headers.get(name)
        if value is not None:
            scheme, _, rest = value.partition(" ")
            register(rest or scheme, "access token")


# What listens


class Plugin:
    """To be registered when pytest is configured."""

    def __init__(self) -> None:
        self._undo = pytest.MonkeyPatch()

    def pytest_sessionstart(self) -> None:
        # Not at the top: pytest has to see that package before it is imported.
        contract = importlib.import_module("liveshop.connect.contract")
        register(contract.TOKEN_PREFIX, "access token", lasting=True)
        _hear_loggers(self._undo)
        _hear_structlog(self._undo)
        _hear_errors(self._undo)
        _hear_addresses(self._undo)
        _learn_secrets(self._undo)

    def pytest_sessionfinish(self) -> None:
        self._undo.undo()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        note("warning", warning_message.category.__name__, str(warning_message.message))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        result = yield
        for _, name, text in item._report_sections:
            if name != "log":
                note("output", name, text)
        meant = {place for mark in item.iter_markers("tells_secrets") for place in mark.args}
        if told := [str(leak) for leak in watch.leaks() if leak.place not in meant]:
            item.ihook.pytest_runtest_logreport(report=_failure(item, told))
        if nextitem is None or nextitem.path != item.path:
            watch.forget()
        return result


def _failure(item: pytest.Item, told: list[str]) -> pytest.TestReport:
    return pytest.TestReport(
        item.nodeid,
        item.location,
        keywords={},
        outcome="failed",
        longrepr="\n".join(["A secret was told.", *told]),
        when="teardown",
    )


def _hear_loggers(undo: pytest.MonkeyPatch) -> None:
    """Every record that its logger lets through, whether or not a handler takes it."""
    call_handlers = logging.Logger.callHandlers

    def heard(self: logging.Logger, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        note("log", record.name, f"{record.getMessage()}{_chain(error)}")
        call_handlers(self, record)

    undo.setattr(logging.Logger, "callHandlers", heard)
    logging.getLogger().setLevel(logging.DEBUG)
    for name in _TELLS_EVERY_STATEMENT:
        logging.getLogger(name).setLevel(logging.WARNING)


def _hear_structlog(undo: pytest.MonkeyPatch) -> None:
    """What is handed to a logger, before processors take anything out."""
    process = structlog.BoundLoggerBase._process_event

    def heard(
        self: structlog.BoundLoggerBase, method: str, event: str | None, more: dict[str, Any]
    ) -> Any:
        around = {**structlog.contextvars.get_contextvars(), **self._context, **more}
        told = more.get("exc_info")
        error = sys.exc_info()[1] if told is True else told
        chain = _chain(error if isinstance(error, BaseException) else None)
        note("log", f"structlog {event}", f"{event} {around!r}{chain}")
        return process(self, method, event, more)

    undo.setattr(structlog.BoundLoggerBase, "_process_event", heard)


def _hear_errors(undo: pytest.MonkeyPatch) -> None:
    """Both families of errors, as they are made."""

    def hear(family: type[Exception]) -> None:
        begin: Callable[..., None] = family.__init__

        @functools.wraps(begin)
        def begun(self: Exception, *args: Any, **more: Any) -> None:
            begin(self, *args, **more)
            note("error", type(self).__name__, " ".join(map(str, [*args, *more.values()])))

        undo.setattr(family, "__init__", begun)

    hear(ConnectorError)
    hear(ShopError)


def _hear_addresses(undo: pytest.MonkeyPatch) -> None:
    """What this process asks for with aiohttp, each redirect too. What others send is seen by the
    fakes that they ask (`fakes.serving`)."""
    begin = aiohttp.ClientSession.__init__
    trace = aiohttp.TraceConfig()

    async def asked(_session: Any, _context: Any, params: Any) -> None:
        note_url(str(params.url))

    async def sent_on(_session: Any, _context: Any, params: Any) -> None:
        note_url(params.response.headers.get("Location", ""))

    trace.on_request_start.append(asked)
    trace.on_request_redirect.append(sent_on)

    @functools.wraps(begin)
    def begun(self: aiohttp.ClientSession, *args: Any, **more: Any) -> None:
        traces = [*(more.pop("trace_configs", None) or ()), trace]
        begin(self, *args, trace_configs=traces, **more)

    undo.setattr(aiohttp.ClientSession, "__init__", begun)


def note_url(url: str) -> None:
    """`where` is the part that is sure to hold no secret: scheme and host."""
    scheme, slashes, rest = url.partition("://")
    where = f"{scheme}{slashes}{rest.split('/')[0]}" if slashes else "a redirect"
    note("url", where, "\n".join({url, unquote(url), unquote_plus(url)}))


def _learn_secrets(undo: pytest.MonkeyPatch) -> None:
    def secret(one: credentials.Secret) -> None:
        register(one.reveal(), "secret of a configuration")

    def tokens(one: oauth.Tokens) -> None:
        register(one.access_token, "access token")
        register(one.refresh_token, "refresh token")

    def sealed(one: sealing.Credentials) -> None:
        for text in one.secrets.values():
            register(text, "secret of a configuration")
        if one.tokens is not None:
            tokens(one.tokens)
        register(one.feed_token, "feed token")

    def stream_key(one: address.Address | stages.StageTarget) -> None:
        register(one.key, "stream key")

    for made, learn in (
        (credentials.Secret, secret),
        (oauth.Tokens, tokens),
        (sealing.Credentials, sealed),
        (address.Address, stream_key),
        (stages.StageTarget, stream_key),
    ):
        _after(
            undo, made, "__init__", lambda result, self, *_args, learn=learn, **_more: learn(self)
        )
    _after(undo, sealing.Sealer, "open", lambda result, *_args, **_more: sealed(result))
    exchange = oauth.exchange

    @functools.wraps(exchange)
    async def exchanged(*args: Any, **more: Any) -> oauth.Tokens:
        register(more["verifier"], "verifier")
        register(more["code"], "authorisation code")
        return await exchange(*args, **more)

    for module in (oauth, authorising):
        _after(undo, module, "begin", lambda told, *_args, **_more: register(told[1], "verifier"))
        undo.setattr(module, "exchange", exchanged)


def _after(undo: pytest.MonkeyPatch, owner: Any, name: str, then: Callable[..., None]) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args: Any, **more: Any) -> Any:
        result = function(*args, **more)
        then(result, *args, **more)
        return result

    undo.setattr(owner, name, wrapped)


def _chain(error: BaseException | None) -> str:
    """The texts of an error and of those behind it; nothing of the source around them."""
    if error is None:
        return ""
    told = traceback.TracebackException(type(error), error, None, limit=0)
    return "\n" + "".join(told.format())
