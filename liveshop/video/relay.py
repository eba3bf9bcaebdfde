"""Requests for a show's video, passed on to the node that has it. A thin shell around `origins`.

Many viewers ask a node for the same part at the same moment: one of these requests is passed on and
answers all of them. Passed on are the path, which carries the signature, the query, and what says
which bytes are wanted; staff's cookie or token only where an address asks for one. Only addresses
that nodes themselves have written into the database are fetched, and no redirect is followed.
"""

import asyncio
import hmac
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
import msgspec
import structlog
from aiohttp import WSMsgType, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import ShowId
from liveshop.realtime.model import SUBPROTOCOL, CloseCode
from liveshop.storage import StorageUnavailable
from liveshop.video.model import NoRecording, NoVideo
from liveshop.video.origins import Origin, Origins
from liveshop.video.stream import no_video
from liveshop.web import Call, Endpoint

_log = structlog.get_logger("relay")

_MARK: Final = "Liveshop-Relayed"
"""On what a node has passed on, so that it is passed on no further: a signature, lest a viewer make
a cache keep what a node alone would answer."""
_PURPOSE: Final = b"liveshop relayed request 1"
_CONNECT_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 15.0
"""A playlist that is waited for comes within three target durations."""
_WHOLE_SECONDS: Final = 20.0
_SILENT_FOR_SECONDS: Final = 5.0
"""A node that did not answer for a recording is not asked again for so long: each would wait."""
_WRITE_SECONDS: Final = 300.0
"""For a block of a film: browsers that have enough stop reading."""
_BLOCK: Final = 256 * 1024
_MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer that is shared: twelve seconds of the highest bit rate that is taken."""
_MOST_SHARED: Final = 500
_MOST_STREAMED: Final = 100
"""Films and chunks of recordings, each for one viewer."""
_KEPT_SECONDS: Final = 2.0
"""What never changes is kept so long for those who ask a little later; as `_MOST_SHARED` has it."""
_OF_RECORDINGS: Final = ("/hls/{show_id}/replay/", "/hls/{show_id}/files/")
_OF_STAFF: Final = (
    "/api/shows/{show_id}/video",
    "/api/shows/{show_id}/recording",
    "/api/shows/{show_id}/simulcast",
)
_ASKED: Final = (hdrs.ACCEPT, "X-Forwarded-For")
_WHICH_BYTES: Final = (hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH)
_PROOF: Final = (hdrs.COOKIE, hdrs.AUTHORIZATION, hdrs.ORIGIN, hdrs.HOST)
_ANSWERED: Final = (
    hdrs.CONTENT_TYPE, hdrs.CACHE_CONTROL, hdrs.ETAG, hdrs.LAST_MODIFIED, hdrs.ACCEPT_RANGES,
    hdrs.CONTENT_RANGE, hdrs.CONTENT_DISPOSITION, hdrs.RETRY_AFTER,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Relay:
    """`run()` belongs to the application's background work; before it nothing is passed on.
    `shares_recordings`: all nodes have them in one folder."""

    def __init__(self, origins: Origins, secret: str, *, shares_recordings: bool = False) -> None:
        self._origins = origins
        self._shares_recordings = shares_recordings
        self._silent: dict[str, float] = {}
        """Nodes that did not answer, and when they are asked again."""
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
        self._client: aiohttp.ClientSession | None = None
        self._shared: dict[tuple[str, str, str], asyncio.Task[Answer]] = {}
        self._streamed = 0

    async def run(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(
            sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS, total=None
        )
        async with aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=_MOST_SHARED + _MOST_STREAMED),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as client:
            self._client = client
            try:
                await asyncio.Event().wait()
            finally:
                self._client = None
                for task in list(self._shared.values()):
                    task.cancel()

    # -- which requests

    def passing_on(self, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
        """All of these, as every node is to answer them."""
        return [self._for_all(one) for one in endpoints]

    def _for_all(self, endpoint: Endpoint) -> Endpoint:
        if endpoint.path.startswith("/hls/{show_id}/"):
            is_kept = endpoint.path.startswith(_OF_RECORDINGS)
            return self.kept(endpoint) if is_kept else self.live(endpoint)
        if endpoint.method == "GET" and endpoint.path in _OF_STAFF:
            return self.told(endpoint)
        return endpoint

    def live(self, endpoint: Endpoint) -> Endpoint:
        """Of a running show: answered by its origin. `show_id` is in the path."""

        async def handle(call: Call) -> Any:
            show_id = _show_of(call.params["show_id"])
            if self.is_relayed(call.request):
                return await endpoint.handler(call)
            origin = self._origins.elsewhere(show_id)
            if origin is not None:
                return await self._passed_on(call.request, origin)
            try:
                return await endpoint.handler(call)
            except NoVideo:
                # It may have gone to another node while it was waited for.
                origin = self._origins.elsewhere(show_id)
                if origin is None:
                    raise
            return await self._passed_on(call.request, origin)

        return replace(endpoint, handler=handle)

    def kept(self, endpoint: Endpoint) -> Endpoint:
        """Of a recording: answered by the node that had the show last, or here where that does not
        answer; only here where nodes share the folder."""

        async def handle(call: Call) -> Any:
            if not self._shares_recordings and not self.is_relayed(call.request):
                origin: Origin | None = None
                with suppress(StorageUnavailable):
                    origin = await self._origins.kept(_show_of(call.params["show_id"]))
                if origin is not None and not self._is_silent(origin):
                    with suppress(NoRecording):
                        return await self._streamed_from(call.request, origin)
            return await endpoint.handler(call)

        return replace(endpoint, handler=handle)

    def told(self, endpoint: Endpoint) -> Endpoint:
        """For staff, about what arrives: the show's origin knows, and checks who asks once more."""

        async def handle(call: Call) -> Any:
            show_id = ShowId(call.params["show_id"])
            origin = None if self.is_relayed(call.request) else self._origins.elsewhere(show_id)
            if origin is not None:
                answer = await self._fetched(call.request, origin, with_proof=True)
                if answer.status == 200:
                    return msgspec.json.decode(answer.body, type=endpoint.answer)
            return await endpoint.handler(call)

        return replace(endpoint, handler=handle)

    def is_relayed(self, request: web.Request) -> bool:
        """Whether another node has passed it on."""
        shown = request.headers.get(_MARK, "")
        return bool(shown) and hmac.compare_digest(shown.encode(), self._mark(request).encode())

    # -- how

    async def _passed_on(self, request: web.Request, origin: Origin) -> web.Response:
        """Raises NoVideo."""
        key = (origin.url, request.method, request.path_qs)
        task = self._shared.get(key)
        if task is None:
            if len(self._shared) >= _MOST_SHARED:
                raise _too_many()
            task = self._shared[key] = asyncio.create_task(self._fetched(request, origin))
            task.add_done_callback(lambda done: self._answered(key, done))
        try:
            answer = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise no_video() from None
            raise
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _answered(self, key: tuple[str, str, str], task: asyncio.Task[Answer]) -> None:
        def drop() -> None:
            if self._shared.get(key) is task:
                del self._shared[key]

        is_good = not task.cancelled() and task.exception() is None
        if is_good and "immutable" in task.result().headers.get(hdrs.CACHE_CONTROL, ""):
            asyncio.get_running_loop().call_later(_KEPT_SECONDS, drop)
        else:
            drop()

    async def _fetched(
        self, request: web.Request, origin: Origin, *, with_proof: bool = False
    ) -> Answer:
        """Raises NoVideo where the node does not answer."""
        try:
            async with (
                asyncio.timeout(_WHOLE_SECONDS),
                self._opened(request, origin, _ASKED + _PROOF * with_proof) as answer,
            ):
                body = bytearray()
                async for block in answer.content.iter_any():
                    body += block
                    if len(body) > _MOST_BYTES:
                        raise no_video()
                return Answer(answer.status, _told(answer), bytes(body))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._note(origin, error)
            raise no_video() from None

    async def _streamed_from(self, request: web.Request, origin: Origin) -> web.StreamResponse:
        """Raises NoRecording where the node does not answer."""
        if self._streamed >= _MOST_STREAMED:
            raise _too_many()
        async with AsyncExitStack() as stack:
            self._streamed += 1
            stack.callback(self._left)
            opened = self._opened(request, origin, _ASKED + _WHICH_BYTES)
            try:
                answer = await stack.enter_async_context(opened)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._note(origin, error)
                self._silent[origin.node] = _seconds() + _SILENT_FOR_SECONDS
                raise NoRecording("The node that keeps this recording does not answer.") from None
            return _Streamed(answer, stack.pop_all())

    def _is_silent(self, origin: Origin) -> bool:
        return self._silent.get(origin.node, 0.0) > _seconds()

    def _left(self) -> None:
        self._streamed -= 1

    def _opened(
        self, request: web.Request, origin: Origin, names: tuple[str, ...]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """`names`: which headers are passed on. Raises NoVideo."""
        if self._client is None:
            raise no_video()
        headers: dict[str, str] = {
            name: request.headers[name] for name in names if name in request.headers
        }
        headers[hdrs.ACCEPT_ENCODING] = "identity"
        headers[_MARK] = self._mark(request)
        return self._client.request(
            request.method, _url(origin, request), headers=headers, allow_redirects=False
        )

    def _mark(self, request: web.Request) -> str:
        path = request.path.encode(errors="replace")
        return hmac.digest(self._key, path, "sha256")[:16].hex()

    def _note(self, origin: Origin, error: Exception) -> None:
        _log.warning("node_does_not_answer", node=origin.node, error=type(error).__name__)

    # -- sockets

    async def socket(
        self, request: web.Request, reader: web.WebSocketResponse, show_id: ShowId
    ) -> CloseCode | None:
        """What the show's origin sends by the WebSocket of the same address, for a reader that is
        not heard; why it ended. None: the origin is this node."""
        origin = None if self.is_relayed(request) else self._origins.elsewhere(show_id)
        if origin is None or self._client is None:
            return None
        headers: dict[str, str] = {
            name: request.headers[name] for name in _PROOF if name in request.headers
        }
        headers[_MARK] = self._mark(request)
        offered = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [SUBPROTOCOL]))
        try:
            async with self._client.ws_connect(
                _url(origin, request),
                headers=headers,
                protocols=[one.strip() for one in offered.split(",") if one.strip()],
                max_msg_size=_MOST_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CONNECT_SECONDS),
            ) as far:
                return await _carry(far, reader)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._note(origin, error)
            return CloseCode.UNAVAILABLE


async def _carry(far: aiohttp.ClientWebSocketResponse, reader: web.WebSocketResponse) -> CloseCode:
    """Until one of the two goes."""

    async def out() -> CloseCode:
        async for message in far:
            async with asyncio.timeout(_SILENT_SECONDS):
                if message.type is WSMsgType.TEXT:
                    await reader.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await reader.send_bytes(message.data)
        return next((one for one in CloseCode if one == far.close_code), CloseCode.UNAVAILABLE)

    async def back() -> CloseCode:
        await reader.receive()
        return CloseCode.IDLE

    tasks = [asyncio.create_task(out()), asyncio.create_task(back())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Streamed(web.StreamResponse):
    """An answer passed on block by block."""

    def __init__(self, answer: aiohttp.ClientResponse, opened: AsyncExitStack) -> None:
        super().__init__(status=answer.status)
        self._answer: aiohttp.ClientResponse | None = answer
        self._opened = opened
        for name, value in _told(answer).items():
            self.headers[name] = value
        if answer.content_length is not None:
            self.content_length = answer.content_length

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        answer, self._answer = self._answer, None
        if answer is None:
            return await super().prepare(request)
        try:
            writer = await super().prepare(request)
            if request.method == hdrs.METH_HEAD:
                return writer
            async for block in answer.content.iter_chunked(_BLOCK):
                async with asyncio.timeout(_WRITE_SECONDS):
                    await self.write(block)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("file_broke_off", error=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()  # or it would look complete
        finally:
            answer.close()
            await self._opened.aclose()
        return writer


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _show_of(named: str) -> ShowId:
    """Of the part of a path that names a show, signed or not."""
    return ShowId(named.partition("~")[0])


def _told(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}


def _url(origin: Origin, request: web.Request) -> URL:
    return URL(origin.url.rstrip("/") + request.path_qs, encoded=True)


def _too_many() -> ShopError:
    return Unavailable("Too much is asked of another node. Try again in a moment.", retry_after=1)
