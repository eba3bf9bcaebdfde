"""A front before localstripe, in a process of its own: what Stripe does and localstripe does not.

It keeps idempotency keys as Stripe does, writes down every request, takes out what localstripe does
not know, lets a buyer confirm with a publishable key as Stripe.js does, and has bad days on demand.
Everything else goes through as it is. It imports nothing of localstripe.

- `GET /_front/requests`: what was asked since `DELETE /_front`, which forgets everything.
- `DELETE /_front/keys`: a day has passed, and idempotency keys are forgotten.
- `POST /_front/faults`: one JSON `Fault`; it is used up by the requests it meets.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web

KEY = {"Authorization": "Bearer sk_test_of_the_front"}
_UNKNOWN = ("description", "automatic_payment_methods[enabled]")
_DECLINED_WHEN_CHARGED = "4000000000000341"
_DECLINED_WHEN_KEPT = ("4000000000000002", "4000000000009995")
_KEPT_HEADERS = ("Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Headers")


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose method and path hold `of`."""

    of: str = ""
    times: int = 1
    kind: str = "lost_answer"
    """lost_answer: done, and the connection closed. lost_request: closed at once. slow: no answer.
    answer: `status` and `body` in place of localstripe's. kept: the same, and again whenever the
    idempotency key comes again."""
    status: int = 500
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class Answered:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Kept:
    """Under an idempotency key: what was asked, and the answer once there is one."""

    asked: tuple[str, str]
    answer: Answered | None = None
    is_running: bool = False


class Front:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._asked: deque[dict[str, Any]] = deque(maxlen=5000)
        self._keys: dict[str, Kept] = {}
        self._faults: list[Fault] = []
        self._http: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        app = web.Application()
        app.cleanup_ctx.append(self._session)
        app.router.add_get("/_front/requests", self._requests)
        app.router.add_delete("/_front", self._forget)
        app.router.add_delete("/_front/keys", self._forget_keys)
        app.router.add_post("/_front/faults", self._spoil)
        app.router.add_route("*", "/{path:.*}", self._any)
        return app

    async def _session(self, _: web.Application) -> Any:
        async with aiohttp.ClientSession() as self._http:
            yield

    async def _requests(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._asked))

    async def _forget(self, _: web.Request) -> web.Response:
        self._asked.clear()
        self._faults.clear()
        self._keys.clear()
        await self._passed("DELETE", "/_config/data", "")
        return web.Response()

    async def _forget_keys(self, _: web.Request) -> web.Response:
        self._keys.clear()
        return web.Response()

    async def _spoil(self, request: web.Request) -> web.Response:
        self._faults.append(Fault(**await request.json()))
        return web.Response()

    async def _any(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self._asked.append(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query_string,
                "body": body,
                "idempotency_key": request.headers.get("Idempotency-Key"),
                "version": request.headers.get("Stripe-Version"),
            }
        )
        fault = self._fault_of(request)
        if fault is not None and fault.kind == "answer":
            return web.json_response(fault.body, status=fault.status)
        if fault is not None and fault.kind == "kept":
            told = Answered(
                fault.status,
                json.dumps(fault.body).encode(),
                {"Content-Type": "application/json"},
            )
            key = request.headers.get("Idempotency-Key", "")
            self._keys[key] = Kept((request.path, body), told)
            return web.Response(body=told.body, status=told.status, headers=told.headers)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(3600)
        if fault is not None and fault.kind == "lost_request":
            return _closed(request)
        answer = await self._answer(request, body)
        if fault is not None:
            return _closed(request)
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    def _fault_of(self, request: web.Request) -> Fault | None:
        for fault in self._faults:
            if fault.of in f"{request.method} {request.path}" and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    async def _answer(self, request: web.Request, body: str) -> Answered:
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None:
            return await self._done(request, body)
        asked = (request.path, body)
        kept = self._keys.setdefault(key, Kept(asked))
        if kept.asked != asked:
            return _error(400, "idempotency_error", "Keys can only be used with the same request.")
        if kept.answer is not None:
            headers = {**kept.answer.headers, "Idempotent-Replayed": "true"}
            return Answered(kept.answer.status, kept.answer.body, headers)
        if kept.is_running:
            return _error(409, "idempotency_error", "This key is in use.", "idempotency_key_in_use")
        kept.is_running = True
        kept.answer = await self._done(request, body)
        return kept.answer

    async def _done(self, request: web.Request, body: str) -> Answered:
        parts = request.path.strip("/").split("/")
        if request.method == "POST" and parts == ["v1", "payment_intents"]:
            body = _known(body)
        if request.method == "POST" and parts == ["v1", "refunds"]:
            refusal = await self._refusal_of(dict(parse_qsl(body)))
            if refusal is not None:
                return refusal
        if request.method == "POST" and parts[:2] == ["v1", "payment_intents"]:
            fields = dict(parse_qsl(body))
            if parts[-1] == "confirm" and "client_secret" in fields:
                return await self._confirmed(parts[2], fields, request)
        return await self._passed(request.method, request.path_qs, body, request)

    async def _passed(
        self, method: str, path: str, body: str, request: web.Request | None = None
    ) -> Answered:
        headers = dict(KEY)
        if request is not None:
            names = ("Authorization", "Content-Type", "Origin")
            headers = {name: request.headers[name] for name in names if name in request.headers}
        elif body.startswith("{"):
            headers["Content-Type"] = "application/json"
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        assert self._http is not None
        sent = body.encode() if method == "POST" else None
        async with self._http.request(
            method, f"{self._upstream}{path}", data=sent, headers=headers
        ) as answer:
            kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
            return Answered(answer.status, await answer.read(), kept)

    async def _refusal_of(self, fields: dict[str, str]) -> Answered | None:
        """localstripe gives more back than was paid, and fails where nothing was."""
        intent = fields.get("payment_intent", "")
        found = await self._passed("GET", f"/v1/payment_intents/{intent}", "")
        if found.status != 200:
            return _error(404, "invalid_request_error", "No such intent.", "resource_missing")
        told = json.loads(found.body)
        if told["status"] != "succeeded":
            return _error(400, "invalid_request_error", "It has no successful charge.")
        listed = await self._passed("GET", f"/v1/refunds?payment_intent={intent}&limit=100", "")
        gone = sum(one["amount"] for one in json.loads(listed.body)["data"])
        if gone == told["amount"]:
            words = "It has been refunded already."
            return _error(400, "invalid_request_error", words, "charge_already_refunded")
        if gone + int(fields["amount"]) > told["amount"]:
            return _error(400, "invalid_request_error", "More than is left.")
        return None

    async def _confirmed(
        self, intent: str, fields: dict[str, str], request: web.Request
    ) -> Answered:
        """As Stripe.js confirms: with the publishable key, the client secret and a new card."""
        path = f"/v1/payment_intents/{intent}"
        before = await self._passed("GET", path, "")
        if before.status != 200 or not fields.get("key", "").startswith("pk_"):
            return before if before.status != 200 else _error(401, "invalid_request_error", "Key.")
        if json.loads(before.body)["client_secret"] != fields["client_secret"]:
            return _error(401, "invalid_request_error", "No such payment intent.")
        if json.loads(before.body)["status"] not in (
            "requires_payment_method",
            "requires_confirmation",
        ):
            return _error(
                400, "invalid_request_error", "Not now.", "payment_intent_unexpected_state"
            )
        method = await self._passed("POST", "/v1/payment_methods", _payment_method(fields))
        if method.status != 200:
            return method
        chosen = {"payment_method": json.loads(method.body)["id"], "latest_charge": None}
        await self._passed("POST", path, json.dumps(chosen))
        answer = await self._passed("POST", f"{path}/confirm", "")
        if "Origin" in request.headers:
            answer.headers["Access-Control-Allow-Origin"] = "*"
        return answer


def _known(body: str) -> str:
    """The creation of an intent without what localstripe does not know."""
    fields = [pair for pair in parse_qsl(body) if pair[0] not in _UNKNOWN]
    old = "payment_method_types"
    return urlencode([(name.replace(f"allowed_{old}", old), value) for name, value in fields])


def _payment_method(fields: dict[str, str]) -> str:
    """localstripe has cards that are declined when they are kept for a customer, not charged."""
    start = "payment_method_data"
    named = {
        name.removeprefix(start).replace("][", "\0").strip("[]").replace("\0", "]["): value
        for name, value in fields.items()
        if name.startswith(start)
    }
    sent = {}
    for name, value in named.items():
        first, _, rest = name.partition("][")
        number = name == "card][number" and value in _DECLINED_WHEN_KEPT
        sent[f"{first}[{rest}]" if rest else first] = _DECLINED_WHEN_CHARGED if number else value
    return urlencode(sent)


def _error(status: int, kind: str, words: str, code: str | None = None) -> Answered:
    body = {"error": {"type": kind, "message": words, "code": code}}
    return Answered(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _closed(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def main() -> None:
    # It ends with whoever started it, however that one ends.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    app = Front(sys.argv[1]).application()
    web.run_app(app, sock=listening, print=None, access_log=None, shutdown_timeout=0.5)


if __name__ == "__main__":
    main()
