"""The server over HTTP, as its viewers use it: what was answered, or why there is no answer."""

import socket
import ssl
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from liveshop import __version__

_T = TypeVar("_T")
_TIMEOUT = aiohttp.ClientTimeout(total=20.0, sock_connect=10.0)
_CONNECTIONS = 100
"""Kept open for one source address; browsers would have some each, and no server needs that."""
AGENT = f"liveshop-crowd/{__version__}"


class NoAnswer(Exception):
    """`str()` is a short reason. Trying again may help; whether the request was carried out is
    not known."""

    retry_after: float | None = None


class Refused(Exception):
    """The server said no. `str()` is what it said, for people."""

    def __init__(self, status: int, code: str, detail: str, data: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.data = data


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str = ""
    data: dict[str, Any] = {}  # msgspec copies it
    retry_after: float | None = None


class Message(msgspec.Struct):
    text: str


class _ChatSettings(msgspec.Struct):
    slow_mode_seconds: int = 0


class _Chat(msgspec.Struct):
    messages: list[Message]
    settings: _ChatSettings


class Snapshot(msgspec.Struct):
    """`products` is read by buyers alone."""

    epoch: str
    offset: int
    chat: _Chat
    products: msgspec.Raw


class Guest(msgspec.Struct):
    """`show_id`: of a rehearsal's guest, who is one nowhere else."""

    token: str
    show_id: str = ""


class Shop:
    """One source address. Close it with `close`."""

    def __init__(self, source: str | None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, local_addr=(source, 0) if source else None
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            headers={"User-Agent": AGENT, "Accept": "application/json"},
        )

    async def close(self) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        token: str = "",
        key: str = "",
    ) -> bytes:
        """The answer's body. Raises NoAnswer, Refused."""
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        try:
            async with self._session.request(
                method, url, json=body, headers=headers, allow_redirects=method == "GET"
            ) as response:
                answer = await response.read()
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NoAnswer(in_short(error)) from error
        if status < 400:
            return answer
        raise _problem(status, answer)

    async def snapshot(self, base: str, show_id: str, token: str) -> Snapshot:
        """Raises NoAnswer, Refused."""
        raw = await self.call("GET", f"{base}/api/shows/{show_id}/snapshot", token=token)
        return understood(raw, Snapshot)

    async def guest(self, base: str, invitation: str) -> Guest:
        """A new guest; with an `invitation` one who takes part in that rehearsal. Raises NoAnswer,
        Refused."""
        path, body = "/api/guests", None
        if invitation:
            path, body = "/api/rehearsals/guests", {"invitation": invitation}
        return understood(await self.call("POST", f"{base}{path}", body), Guest)


def understood(raw: bytes, type_: type[_T]) -> _T:
    """Raises NoAnswer for what is not the answer of a Liveshop server."""
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.MsgspecError as error:
        raise NoAnswer("an answer that makes no sense") from error


def _problem(status: int, answer: bytes) -> NoAnswer | Refused:
    try:
        problem = msgspec.json.decode(answer, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    if status == 429 or status >= 500:
        gone = NoAnswer(problem.code if status == 429 and problem.code else f"HTTP {status}")
        gone.retry_after = problem.retry_after
        return gone
    return Refused(status, problem.code or f"http_{status}", problem.detail, problem.data)


def in_short(error: BaseException) -> str:
    """A reason that many failures share, so that it can be counted."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return "it speaks no https"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError | aiohttp.ServerDisconnectedError | EOFError):
        return "connection broke off"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
