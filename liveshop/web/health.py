"""Is it alive (the process answers), is it ready (it can do its work), what has it counted."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from liveshop.kernel.errors import ShopError
from liveshop.web.access import PUBLIC
from liveshop.web.endpoint import Call, Endpoint
from liveshop.web.metrics import Metrics

Check = Callable[[], Awaitable[None]]


def endpoints(checks: Mapping[str, Check], metrics: Metrics) -> list[Endpoint]:
    async def healthz(_: Call) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: Call) -> web.Response:
        report: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await check()
                report[name] = "ok"
            except ShopError as error:
                report[name] = error.detail
        ready = all(value == "ok" for value in report.values())
        body = msgspec.json.encode({"status": "ok" if ready else "not ready", "checks": report})
        return web.Response(
            body=body, status=200 if ready else 503, content_type="application/json"
        )

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
