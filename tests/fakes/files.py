"""A web server with one file on it, and the trouble that files on web servers have."""

import gzip
from dataclasses import dataclass, field
from email.utils import format_datetime
from hashlib import sha256
from typing import Literal

from aiohttp import BasicAuth, web

from fakes.faults import broken_off
from liveshop.connect.contract import WAIT_SECONDS
from liveshop.kernel.clock import Clock, SystemClock

Fault = Literal[
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "gone",
]
_STATUSES: dict[Fault, int] = {
    "expired": 401,
    "revoked": 401,
    "forbidden": 403,
    "too_many": 429,
    "too_many_until": 429,
    "unavailable": 503,
    "gone": 404,
}


@dataclass
class FakeFiles:
    """`content` stands at `/feed`. `sent` counts the answers with a body, `asked` all."""

    clock: Clock = field(default_factory=SystemClock)
    content: bytes = b""
    password: str | None = None
    has_etag: bool = True
    is_encoded: bool = False
    """Sent with `Content-Encoding: gzip`."""
    redirects: dict[str, str] = field(default_factory=dict)
    faults: set[Fault] = field(default_factory=set)
    asked: int = 0
    sent: int = 0
    authorisations: list[str | None] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.authorisations.append(request.headers.get("Authorization"))
        if request.path in self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects[request.path]})
        for fault, status in _STATUSES.items():
            if fault in self.faults:
                after = {"Retry-After": str(WAIT_SECONDS)} if fault == "too_many_until" else {}
                return web.Response(status=status, headers=after)
        if self.password is not None:
            given = request.headers.get("Authorization", "Basic Og==")
            if BasicAuth.decode(given).password != self.password:
                return web.Response(status=401)
        etag = f'"{sha256(self.content).hexdigest()[:12]}"'
        if self.has_etag and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        self.sent += 1
        headers = {"Date": format_datetime(self.clock.now(), usegmt=True)}
        if self.has_etag:
            headers["ETag"] = etag
        body = self.content
        if self.is_encoded:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        response = web.Response(body=body, headers=headers)
        if "half_sent" in self.faults:
            return await broken_off(request, response)
        return response


def make_app(clock: Clock | None = None) -> tuple[web.Application, FakeFiles]:
    fake = FakeFiles(clock or SystemClock())
    app = web.Application()
    app.router.add_get("/{path:.*}", fake.serve)
    return app, fake
