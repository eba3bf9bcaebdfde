"""Serve an application on loopback, on a port of the system's choice.

Every address that it is asked for, and what each request proves itself with, goes to the watch.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import secrets_watch
from aiohttp import web


@asynccontextmanager
async def serve(app: web.Application, *, port: int = 0) -> AsyncIterator[str]:
    """Yields the base URL without a slash at its end, such as `http://127.0.0.1:43521`."""
    app.middlewares.insert(0, _watched)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        host, bound = runner.addresses[0][:2]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


@web.middleware
async def _watched(request: web.Request, handler: Any) -> web.StreamResponse:
    secrets_watch.register_headers(request.headers)
    secrets_watch.note_url(f"http://{request.host}{request.raw_path}")
    answer: web.StreamResponse = await handler(request)
    return answer
