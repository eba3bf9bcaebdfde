"""From endpoints to an aiohttp application: identity, access, decoding, answers, one error shape.

Middlewares would split this into five places; one function per request keeps the order visible.
"""

import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import hdrs, web

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid, NotFound, ShopError
from liveshop.kernel.ids import new_secret
from liveshop.web.access import ANONYMOUS, Authenticator, BadCsrf, Principal
from liveshop.web.endpoint import CLIENT_ADDRESS, REQUEST_ID, Call, Endpoint
from liveshop.web.metrics import Metrics
from liveshop.web.wire import Problem

_log = structlog.get_logger("http")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL, which PostgreSQL cannot store; not an escaped backslash before `u0000`."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class BadRequest(ShopError):
    code = "bad_request"
    status = 400


class WrongMediaType(ShopError):
    code = "wrong_media_type"
    status = 415


class TooLarge(ShopError):
    code = "too_large"
    status = 413


class WrongMethod(ShopError):
    code = "method_not_allowed"
    status = 405


ErrorPage = Callable[[web.Request, ShopError, str], web.Response]
_FOR_PROGRAMS = ("/api/", "/hls/", "/media/", "/live/", "/assets/", "/hooks/")


@dataclass(slots=True)
class WebKit:
    """What every request needs. One per application."""

    clock: Clock
    authenticator: Authenticator
    public_origin: str
    embed_origins: frozenset[str] = frozenset()
    max_body_bytes: int = 256 * 1024
    trusted_proxies: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    error_page: ErrorPage | None = None
    """Shows an error to a person; without one they get problem+json like programs do."""

    def may_embed(self, origin: str) -> bool:
        return origin in self.embed_origins or "*" in self.embed_origins

    def is_own_origin(self, request: web.Request, origin: str) -> bool:
        try:
            return origin == self.public_origin or urlsplit(origin).netloc == request.host
        except ValueError:  # no URL at all
            return False

    def client_address(self, request: web.Request) -> str:
        """Counted from the right of X-Forwarded-For: what is further left, callers can invent."""
        if self.trusted_proxies:
            hops = [
                hop.strip()
                for line in request.headers.getall("X-Forwarded-For", [])
                for hop in line.split(",")
            ]
            hops = [hop for hop in hops if hop]
            if hops:
                return hops[-min(self.trusted_proxies, len(hops))]
        return request.remote or ""


def mount(app: web.Application, kit: WebKit, endpoints: Iterable[Endpoint]) -> None:
    """Add the endpoints' routes and the outermost error handling to an application."""
    app.middlewares.append(_outermost(kit))
    preflighted: set[str] = set()
    for endpoint in endpoints:
        handler = _handler(kit, endpoint)
        app.router.add_route(endpoint.method, endpoint.path, handler)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, handler)
        if endpoint.path.startswith("/api/") and endpoint.path not in preflighted:
            preflighted.add(endpoint.path)
            app.router.add_route("OPTIONS", endpoint.path, _preflight(kit))


def _handler(kit: WebKit, endpoint: Endpoint) -> Any:
    decoder: msgspec.json.Decoder[Any] | None = (
        msgspec.json.Decoder(endpoint.body) if endpoint.body is not None else None
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        who = ANONYMOUS if endpoint.is_by_link else await kit.authenticator.authenticate(request)
        endpoint.access.check(who)
        _check_csrf(kit, request, who)
        call = Call(
            request=request,
            principal=who,
            now=kit.clock.now(),
            request_id=request[REQUEST_ID],
            params=_params(request),
        )
        for header in endpoint.headers:
            if not request.headers.get(header, "").strip():
                raise BadRequest(f"The header {header} is missing.", data={"header": header})
        if endpoint.query is not None:
            call.query = _query(request, endpoint.query)
        if decoder is not None:
            call.body = await _json_body(kit, endpoint, request, decoder)
        elif endpoint.consumes != ("application/json",):
            _check_media_type(request, endpoint.consumes)
        answer = await endpoint.handler(call)
        response = _answer(endpoint, answer)
        if not response.prepared:
            response.headers.extend(call.headers_out)
            for put in call.cookies_out:
                put(response)
        return response

    handle.endpoint = endpoint  # type: ignore[attr-defined]  # read by the access table's test
    return handle


def _answer(endpoint: Endpoint, answer: Any) -> web.StreamResponse:
    if endpoint.raw:
        assert isinstance(answer, web.StreamResponse)
        return answer
    if endpoint.status == 204:
        return web.Response(status=204)
    return web.Response(
        body=msgspec.json.encode(answer), status=endpoint.status, content_type="application/json"
    )


def _params(request: web.Request) -> dict[str, str]:
    params = dict(request.match_info)
    for value in params.values():
        if len(value) > 200 or any(character < " " or character == "\x7f" for character in value):
            raise NotFound("There is nothing at this address.")
    return params


def _query(request: web.Request, kind: type) -> Any:
    try:
        query: Any = msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"The query is wrong: {error}.") from error
    if "\x00" in request.query_string or "%00" in request.query_string:
        raise Invalid("The query holds a NUL character.")
    return query


async def _json_body(
    kit: WebKit, endpoint: Endpoint, request: web.Request, decoder: "msgspec.json.Decoder[Any]"
) -> Any:
    _check_media_type(request, ("application/json",))
    raw = await read_body(request, endpoint.max_body_bytes or kit.max_body_bytes)
    if _NUL.search(raw):
        raise Invalid("The body holds a NUL character; leave it out.")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Invalid(f"The body is wrong: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error


def _check_media_type(request: web.Request, wanted: tuple[str, ...]) -> None:
    given = request.content_type
    if given not in wanted:
        raise WrongMediaType(
            f"Send {' or '.join(wanted)}, not {given}.", data={"accepts": list(wanted)}
        )


async def read_body(request: web.Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises TooLarge before reading more than that."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.", data={"limit": limit})
    chunks = bytearray()
    async for chunk in request.content.iter_any():
        chunks += chunk
        if len(chunks) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.", data={"limit": limit})
    return bytes(chunks)


def _check_csrf(kit: WebKit, request: web.Request, who: Principal) -> None:
    """Cookies are sent by browsers unasked, so an unsafe act must also show the page's token."""
    if who.csrf_token is None or request.method in _SAFE_METHODS:
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not kit.is_own_origin(request, origin):
        raise BadCsrf("Requests with a session cookie are taken from the server's own pages only.")
    shown = request.headers.get("X-CSRF-Token", "").encode()
    if not hmac.compare_digest(shown, who.csrf_token.encode()):
        raise BadCsrf("The header X-CSRF-Token is missing or old. Load the page again.")


def _preflight(kit: WebKit) -> Any:
    async def preflight(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN, "")
        response = web.Response(status=204)
        if kit.may_embed(origin):
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
            response.headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, Idempotency-Key"
            )
            response.headers["Access-Control-Max-Age"] = "7200"
        return response

    return preflight


def _outermost(kit: WebKit) -> Any:
    @web.middleware
    async def outermost(request: web.Request, handler: Any) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = request[REQUEST_ID] = new_secret(9)
        request[CLIENT_ADDRESS] = kit.client_address(request)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response: web.StreamResponse = await handler(request)
        except ShopError as error:
            response = _told(kit, request, error, request_id)
        except web.HTTPNotFound:
            nothing = NotFound("There is nothing at this address.")
            response = _told(kit, request, nothing, request_id)
        except web.HTTPException as error:
            response = _from_aiohttp(error, request_id)
        except web.RequestPayloadError:
            broken = BadRequest("The body could not be unpacked; check its Content-Encoding.")
            response = problem_response(broken, request_id)
            response.force_close()  # where the next request begins can no longer be told
        except (ConnectionError, TimeoutError) as error:
            # The client went away in mid-request; nobody is left to read this.
            response = problem_response(BadRequest(f"The request broke off: {error}"), request_id)
        except Exception:  # the outermost: an unknown fault becomes one fixed text
            _log.exception("unexpected", method=request.method, route=_route(request))
            response = problem_response(
                ShopError(
                    "Something broke here. Nothing more is known; try again, then report it "
                    "with the request id."
                ),
                request_id,
            )
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        if not response.prepared:
            _finish(kit, request, response, request_id)
        kit.metrics.request(
            request.method, _route(request), response.status, time.perf_counter() - started
        )
        return response

    return outermost


def _told(
    kit: WebKit, request: web.Request, error: ShopError, request_id: str
) -> web.StreamResponse:
    """An error as the caller can read it: a page for people, problem+json for programs."""
    is_person = (
        kit.error_page is not None
        and request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("Accept", "")
        and not request.path.startswith(_FOR_PROGRAMS)
    )
    if is_person and kit.error_page is not None:
        return kit.error_page(request, error, request_id)
    return problem_response(error, request_id)


def problem_response(error: ShopError, request_id: str) -> web.Response:
    problem = Problem(
        type=f"urn:liveshop:{error.code}",
        title=error.code.replace("_", " ").capitalize(),
        status=error.status,
        code=error.code,
        detail=error.detail,
        data=error.data,
        request_id=request_id,
        retry_after=error.retry_after,
    )
    response = web.Response(
        body=msgspec.json.encode(problem),
        status=error.status,
        content_type="application/problem+json",
    )
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


def _from_aiohttp(error: web.HTTPException, request_id: str) -> web.StreamResponse:
    if error.status < 400:
        return error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = problem_response(
            WrongMethod(f"This address answers {allowed}.", data={"allowed": allowed}), request_id
        )
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem_response(TooLarge("The body is too large."), request_id)
    bad = BadRequest("The request could not be read.")
    response = problem_response(bad, request_id)
    response.set_status(error.status)
    return response


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "geolocation=(), payment=(self), interest-cohort=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


def _finish(
    kit: WebKit, request: web.Request, response: web.StreamResponse, request_id: str
) -> None:
    headers = response.headers
    headers["X-Request-Id"] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _NO_PAGE)
    if request.path.startswith("/api/") or response.status >= 400:
        headers.setdefault("Cache-Control", "no-store")
    endpoint = getattr(request.match_info.handler, "endpoint", None)
    if endpoint is not None and endpoint.any_origin:
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return
    headers.add("Vary", "Origin")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin and request.path.startswith("/api/") and kit.may_embed(origin):
        # Never with credentials: an embed proves itself by token, so no cookie crosses origins.
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
