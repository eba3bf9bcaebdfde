"""Where payment providers call back. They prove themselves by their signature, so anybody may ask;
the body is handed on as it came, for that is what was signed.
"""

from aiohttp import web

from liveshop.payments.inbox import Inbox
from liveshop.payments.model import BadEvent, BadSignature, UnknownProvider
from liveshop.web import PUBLIC, Call, Endpoint
from liveshop.web.server import read_body

_MAX_BYTES = 256 * 1024


def endpoints(inbox: Inbox) -> list[Endpoint]:
    async def hear_provider(call: Call) -> web.Response:
        body = await read_body(call.request, _MAX_BYTES)
        await inbox.hear(call.params["provider"], call.request.headers, body)
        return web.json_response({"received": True})

    return [
        Endpoint(
            "POST",
            "/hooks/{provider}",
            hear_provider,
            PUBLIC,
            "What a payment provider has to say, signed by it",
            "operations",
            raw=True,
            errors=(BadSignature, BadEvent, UnknownProvider),
            documented=False,
        )
    ]
