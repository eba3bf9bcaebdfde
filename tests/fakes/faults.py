"""Bad days that fakes and proxies share: what goes wrong below HTTP's statuses."""

import asyncio

from aiohttp import web


async def broken_off(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send a part of the body and close the connection."""
    body = response.body if isinstance(response.body, bytes) else b""
    partial = web.StreamResponse(status=response.status)
    partial.content_type = response.content_type
    partial.content_length = len(body) + 1
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    return await lost(request, partial)


async def lost(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection without an answer, or in the middle of one."""
    if request.transport is not None:
        request.transport.close()
    await asyncio.sleep(0)
    return response
