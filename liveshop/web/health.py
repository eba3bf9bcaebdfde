"""Is it alive (the process answers), is it ready (it can do its work), what has it counted.

Only what a node cannot work without makes it unready: without the database it has no answer to
anything. Without the rooms' broker viewers stay, pages and checkout go on, and it is the same on
every node, so taking them all out of the load balancer would turn a chat that pauses into a shop
that is closed. That is told as `degraded`, with status 200.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from liveshop.kernel.errors import ShopError
from liveshop.web.access import PUBLIC
from liveshop.web.endpoint import Call, Endpoint
from liveshop.web.metrics import Metrics

Check = Callable[[], Awaitable[None]]
"""Raises a ShopError that says what is wrong."""
_ANSWER_SECONDS = 2.0
_OK = "ok"


def endpoints(
    needed: Mapping[str, Check],
    metrics: Metrics,
    *,
    wished: Mapping[str, Check] | None = None,
    is_draining: Callable[[], bool] = lambda: False,
) -> list[Endpoint]:
    """`needed`: without these it is not ready; `wished`: without these it does less."""
    wished = wished or {}

    async def healthz(_: Call) -> web.Response:
        return web.json_response({"status": _OK})

    async def readyz(_: Call) -> web.Response:
        if is_draining():
            return _report("draining", {}, 503)
        checks = [*needed.values(), *map(_soon, wished.values())]
        found = await asyncio.gather(*(_outcome(check) for check in checks))
        report = dict(zip([*needed, *wished], found, strict=True))
        if any(report[name] != _OK for name in needed):
            return _report("not ready", report, 503)
        is_whole = all(report[name] == _OK for name in wished)
        return _report(_OK if is_whole else "degraded", report, 200)

    async def show_metrics(_: Call) -> web.Response:
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    def plain(path: str, handler: Callable[[Call], Awaitable[web.Response]], what: str) -> Endpoint:
        return Endpoint(
            "GET", path, handler, PUBLIC, what, "operations", raw=True, documented=False
        )

    return [
        plain("/healthz", healthz, "the process answers"),
        plain("/readyz", readyz, "the server can work"),
        plain("/metrics", show_metrics, "Prometheus metrics"),
    ]


async def _outcome(check: Check) -> str:
    try:
        await check()
    except ShopError as error:
        return error.detail
    except TimeoutError:
        return "no answer"
    return _OK


def _soon(check: Check) -> Check:
    async def checked() -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await check()

    return checked


def _report(status: str, checks: Mapping[str, str], code: int) -> web.Response:
    body = msgspec.json.encode({"status": status, "checks": checks})
    return web.Response(body=body, status=code, content_type="application/json")
