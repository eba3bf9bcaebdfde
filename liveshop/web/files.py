"""Serving the built browser files, to pages of every origin."""

from aiohttp import web

from liveshop.kernel.errors import NotFound
from liveshop.web.access import PUBLIC
from liveshop.web.assets import Asset, Assets
from liveshop.web.endpoint import Call, Endpoint

_FOR_EVER = "public, max-age=31536000, immutable"
_SHORT = "public, max-age=300"
_THREAD = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
"""A worker has the policy of its own file; the studio's camera sends from one, to this server."""


def endpoints(assets: Assets) -> list[Endpoint]:
    async def asset(call: Call) -> web.Response:
        found = assets.files.get(call.params["name"])
        if found is None:
            raise NotFound("There is no such file.")
        return _response(call, found)

    async def embed(call: Call) -> web.Response:
        return _response(call, assets.files["embed.js"])

    return [
        Endpoint(
            "GET",
            "/assets/{name}",
            asset,
            PUBLIC,
            "A built browser file",
            "files",
            raw=True,
            any_origin=True,
            documented=False,
        ),
        Endpoint(
            "GET",
            "/embed.js",
            embed,
            PUBLIC,
            "The embed's loader",
            "files",
            raw=True,
            any_origin=True,
            documented=False,
        ),
    ]


def _response(call: Call, asset: Asset) -> web.Response:
    zipped = "gzip" in call.request.headers.get("Accept-Encoding", "")
    response = web.Response(
        body=asset.gzipped if zipped else asset.body, content_type=asset.media_type
    )
    if asset.media_type.startswith("text/"):
        response.charset = "utf-8"
    if asset.media_type == "text/javascript":
        response.headers["Content-Security-Policy"] = _THREAD
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = _FOR_EVER if asset.is_hashed else _SHORT
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    return response
