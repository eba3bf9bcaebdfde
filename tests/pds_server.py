"""A real Bluesky server for the tests: started once, an account of its own for each test."""

import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp
from aiohttp import web
from fakes.faults import broken_off, lost
from npm_packages import npm_server

COLLECTION = "app.bsky.feed.post"
_numbers = itertools.count(1)
Fault = Literal[
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
]
WAIT_SECONDS = 120
_NOT_PASSED_ON = frozenset({"host", "content-length", "connection", "transfer-encoding"})


@dataclass
class Pds:
    """`keys` of the account that tests share: making one takes half a second."""

    url: str
    keys: "Keys | None" = None


@dataclass(frozen=True)
class Keys:
    handle: str
    did: str
    token: str = field(repr=False)
    app_password: str = field(repr=False)


@contextmanager
def running() -> Iterator[Pds]:
    """Started for the block. A missing one is an error in CI and a skip elsewhere."""
    with tempfile.TemporaryDirectory(prefix="liveshop-pds-") as data:
        environment = {"PDS_DATA": data, "LOG_ENABLED": "false"}
        with npm_server(Path(__file__).parent / "pds", environment) as told:
            yield Pds(told["url"])


class PdsError(Exception):
    """What the server answered to the tests' own request."""


@dataclass
class Account:
    """A merchant at work on Bluesky, by the password of the account."""

    url: str
    http: aiohttp.ClientSession
    keys: Keys

    @property
    def did(self) -> str:
        return self.keys.did

    async def ask(self, method: str, nsid: str, **request: Any) -> Any:
        return await _ask(self.http, self.url, method, nsid, token=self.keys.token, **request)

    async def records(self) -> list[Mapping[str, Any]]:
        """All posts, oldest key first, each with `uri` and `value`."""
        params = {"repo": self.did, "collection": COLLECTION, "limit": "100", "reverse": "true"}
        told = await self.ask("GET", "com.atproto.repo.listRecords", params=params)
        found: list[Mapping[str, Any]] = told["records"]
        return found

    async def delete(self, uri: str) -> None:
        key = uri.rsplit("/", maxsplit=1)[1]
        body = {"repo": self.did, "collection": COLLECTION, "rkey": key}
        await self.ask("POST", "com.atproto.repo.deleteRecord", json=body)

    async def blob(self, cid: str) -> bytes:
        address = f"{self.url}/xrpc/com.atproto.sync.getBlob"
        async with self.http.get(address, params={"did": self.did, "cid": cid}) as answer:
            return await answer.read()


@asynccontextmanager
async def account(pds: Pds, *, is_shared: bool = True) -> AsyncIterator[Account]:
    """One without posts: the shared one emptied, or a new one."""
    async with aiohttp.ClientSession() as http:
        if not is_shared:
            yield Account(pds.url, http, await _new_account(http, pds.url))
            return
        if pds.keys is None:
            pds.keys = await _new_account(http, pds.url)
        shared = Account(pds.url, http, pds.keys)
        for one in await shared.records():
            await shared.delete(one["uri"])
        yield shared


async def _new_account(http: aiohttp.ClientSession, url: str) -> Keys:
    # Words such as `shop` and `mug` are reserved there.
    name = f"nordstube{next(_numbers)}"
    given = {
        "handle": f"{name}.test",
        "email": f"{name}@example.com",
        "password": "the-password-of-the-account",
    }
    made = await _ask(http, url, "POST", "com.atproto.server.createAccount", json=given)
    token = made["accessJwt"]
    told = await _ask(
        http,
        url,
        "POST",
        "com.atproto.server.createAppPassword",
        token=token,
        json={"name": "liveshop"},
    )
    return Keys(given["handle"], made["did"], token, told["password"])


async def _ask(
    http: aiohttp.ClientSession,
    url: str,
    method: str,
    nsid: str,
    *,
    token: str | None = None,
    **request: Any,
) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.request(method, f"{url}/xrpc/{nsid}", headers=headers, **request) as answer:
        told = await answer.read()
        if answer.status != 200:
            raise PdsError(told)
        return json.loads(told or b"{}")


@dataclass
class FaultyWay:
    """What stands between us and the server, to make bad days that it does not make itself."""

    url: str
    faults: set[Fault] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    """The methods called, in order."""
    _seen: set[str] = field(default_factory=set, repr=False)
    _refused: set[str] = field(default_factory=set, repr=False)

    def fault(self, kind: Fault) -> None:
        self.faults.add(kind)
        if kind == "expired":
            self._refused |= self._seen

    def heal(self) -> None:
        self.faults.clear()
        self._refused.clear()

    def app(self, http: aiohttp.ClientSession) -> web.Application:
        """`half_sent` and `lost_answer` befall only what makes or deletes a post."""

        async def handle(request: web.Request) -> web.StreamResponse:
            method = request.path.removeprefix("/xrpc/")
            self.requests.append(method)
            refused = self._refusal(request, method)
            if refused is not None:
                return refused
            answer = await self._passed_on(http, request)
            if method.endswith(("createRecord", "deleteRecord")):
                if "lost_answer" in self.faults:
                    return await lost(request, answer)
                if "half_sent" in self.faults:
                    return await broken_off(request, answer)
            return answer

        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", handle)
        return app

    def _refusal(self, request: web.Request, method: str) -> web.Response | None:
        """In the words of the real server, as far as it could be made to say them."""
        is_sign_in = method.endswith("createSession")
        token = request.headers.get("Authorization", "")
        self._seen.add(token)
        if "unavailable" in self.faults:
            return _refused(503, "UpstreamFailure", "Not available")
        if "revoked" in self.faults:
            if is_sign_in:
                return _refused(401, "AuthenticationRequired", "Invalid identifier or password")
            return _refused(400, "ExpiredToken", "Token has been revoked")
        if token in self._refused and not is_sign_in:
            return _refused(400, "ExpiredToken", "Token has expired")
        if "forbidden" in self.faults and not is_sign_in:
            return _refused(403, "InsufficientScope", "Insufficient access to service")
        if "too_many" in self.faults:
            return _refused(429, "RateLimitExceeded", "Rate Limit Exceeded")
        if "too_many_until" in self.faults:
            answer = _refused(429, "RateLimitExceeded", "Rate Limit Exceeded")
            until = datetime.now(UTC) + timedelta(seconds=WAIT_SECONDS)
            answer.headers["ratelimit-reset"] = str(int(until.timestamp()))
            return answer
        return None

    async def _passed_on(self, http: aiohttp.ClientSession, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        }
        async with http.request(
            request.method, f"{self.url}{request.path_qs}", headers=headers, data=body or None
        ) as answer:
            told = await answer.read()
            if request.path.endswith(("createSession", "refreshSession")) and answer.status == 200:
                told = self._session(told)
            return web.Response(body=told, status=answer.status, content_type=answer.content_type)

    def _session(self, told: bytes) -> bytes:
        """Without the document of the account, which would lead past us to the server itself."""
        session = json.loads(told)
        session.pop("didDoc", None)
        # Two sessions of one second have the same token.
        self._refused.discard(f"Bearer {session['accessJwt']}")
        return json.dumps(session).encode()


def _refused(status: int, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=status)
