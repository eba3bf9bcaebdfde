"""The notice board itself: a small service to connect, to look at and to make trouble with.

Stands for any service with an HTTP API, and knows nothing of Liveshop. All it holds is gone when it
ends.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

import click
import msgspec
from aiohttp import web

from liveshop_noticeboard.page import render

Trouble = Literal[
    "none",
    "key_refused",
    "reading_only",
    "busy",
    "busy_two_minutes",
    "closed",
    "hangs_up_halfway",
    "hangs_up_when_done",
]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
MOST_NOTICES = 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Notice(msgspec.Struct, forbid_unknown_fields=True):
    """One sheet of paper. Texts that are empty say nothing."""

    number: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    heading: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    text: Annotated[str, msgspec.Meta(max_length=2000)]
    price: str
    reduced: str
    reduced_from: str
    reduced_until: str
    in_stock: bool
    link: str
    picture: str
    picture_alt: str
    is_turned_over: bool
    """It hangs there with its back to the people."""
    refused_because: str = ""


class Picture(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    alt: Annotated[str, msgspec.Meta(max_length=120)]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """`reference`: the sender's own name for it."""

    reference: str
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
    pictures: Annotated[list[Picture], msgspec.Meta(max_length=2)]
    id: str = ""


@dataclass
class NoticeBoard:
    """What hangs there, and what its keeper has decided."""

    key: str
    notices: dict[str, Notice] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why, by number."""
    trouble: Trouble = "none"
    written: int = 0
    """How many messages there ever were."""

    def hang(self, notices: list[Notice]) -> dict[str, str]:
        """Put them there, in the place of those with the same number; why not, by number."""
        for one in notices:
            if one.number in self.refused:
                continue
            self.notices[one.number] = one
        return {
            one.number: self.refused[one.number] for one in notices if one.number in self.refused
        }

    def refuse(self, number: str, because: str) -> None:
        """From now on it does not hang here; what hangs there is turned over."""
        self.refused[number] = because
        if number in self.notices:
            self.notices[number].refused_because = because

    def take_again(self, number: str) -> None:
        """It may be sent again; the refused sheet goes."""
        self.refused.pop(number, None)
        if number in self.notices and self.notices[number].refused_because:
            del self.notices[number]


BOARD = web.AppKey("board", NoticeBoard)


def make_app(board: NoticeBoard) -> web.Application:
    app = web.Application(middlewares=[_trouble, _key])
    app[BOARD] = board
    app.add_routes(
        [
            web.get("/", _page),
            web.post("/keeper", _keeper),
            web.get("/api/account", _account),
            web.put("/api/notices", _hang),
            web.get("/api/notices", _look),
            web.post("/api/notices/remove", _remove),
            web.post("/api/messages", _write_message),
            web.get("/api/messages", _list_messages),
            web.delete("/api/messages/{id}", _delete_message),
        ]
    )
    return app


# Keys and bad days


@web.middleware
async def _key(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/api/"):
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), request.app[BOARD].key.encode()):
            return _problem(401, "This key is not known here.")
    return await handler(request)


@web.middleware
async def _trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
    trouble = request.app[BOARD].trouble if request.path.startswith("/api/") else "none"
    match trouble:
        case "key_refused":
            return _problem(401, "This key was withdrawn.")
        case "reading_only" if request.path != "/api/account":
            return _problem(403, "This key may not write.")
        case "busy":
            return _problem(429, "Too many people are here.")
        case "busy_two_minutes":
            return _problem(429, "Too many people are here.", {"Retry-After": "120"})
        case "closed":
            return _problem(503, "The board is being painted.")
    response = await handler(request)
    if trouble == "hangs_up_when_done" and request.method in ("PUT", "POST"):
        _hang_up(request)
    if trouble == "hangs_up_halfway" and isinstance(response, web.Response):
        body = response.body if isinstance(response.body, bytes) else b""
        half = web.StreamResponse(headers={"Content-Length": str(len(body) + 1)})
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
        _hang_up(request)
        return half
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=headers)


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


# The API


async def _account(request: web.Request) -> web.Response:
    return _json({"may_write": request.app[BOARD].trouble != "reading_only"})


async def _hang(request: web.Request) -> web.Response:
    try:
        notices = msgspec.json.decode(await request.read(), type=list[Notice])
    except msgspec.ValidationError as error:
        return _problem(422, f"This is not a list of notices: {error}.")
    if len(notices) > MOST_NOTICES:
        return _problem(422, f"At most {MOST_NOTICES} notices at once.")
    return _json({"refused": request.app[BOARD].hang(notices)})


async def _look(request: web.Request) -> web.Response:
    board = request.app[BOARD]
    numbers = request.query.getall("number", [])
    return _json([board.notices[number] for number in numbers if number in board.notices])


async def _remove(request: web.Request) -> web.Response:
    try:
        numbers = msgspec.json.decode(await request.read(), type=list[str])
    except msgspec.ValidationError as error:
        return _problem(422, f"This is not a list of numbers: {error}.")
    removed = [number for number in numbers if request.app[BOARD].notices.pop(number, None)]
    return _json({"removed": removed})


async def _write_message(request: web.Request) -> web.Response:
    board = request.app[BOARD]
    try:
        message = msgspec.json.decode(await request.read(), type=Message)
    except msgspec.ValidationError as error:
        return _problem(422, f"This is not a message: {error}.")
    board.written += 1
    message.id = f"m{board.written}"
    board.messages[message.id] = message
    return _json({"id": message.id}, status=201)


async def _list_messages(request: web.Request) -> web.Response:
    reference = request.query.get("reference")
    messages = request.app[BOARD].messages.values()
    return _json([one for one in messages if reference in (None, one.reference)])


async def _delete_message(request: web.Request) -> web.Response:
    if request.app[BOARD].messages.pop(request.match_info["id"], None) is None:
        return _problem(404, "There is no such message.")
    return _json({})


# The page, and what its keeper does there


async def _page(request: web.Request) -> web.Response:
    board = request.app[BOARD]
    text = render(
        list(board.notices.values()),
        list(board.messages.values()),
        refused=board.refused,
        trouble=board.trouble,
        troubles=TROUBLES,
    )
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


async def _keeper(request: web.Request) -> web.Response:
    board = request.app[BOARD]
    given = await request.post()
    number = str(given.get("number", ""))
    match given.get("do"):
        case "refuse":
            board.refuse(number, "Such a thing is not hung up here.")
        case "take_again":
            board.take_again(number)
        case "scribble" if number in board.notices:
            board.notices[number].heading += " (cheap!!)"
        case "tear_off":
            board.notices.pop(number, None)
        case "trouble" if given.get("trouble") in TROUBLES:
            board.trouble = next(one for one in TROUBLES if one == given.get("trouble"))
        case _:
            raise web.HTTPBadRequest(text="The keeper does not know how to do this.")
    raise web.HTTPSeeOther("/")


async def serve(board: NoticeBoard, *, port: int) -> None:
    runner = web.AppRunner(make_app(board), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        click.echo(f"The notice board hangs at http://127.0.0.1:{port}/ and its key is {board.key}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@click.command()
@click.option("--port", type=int, default=9200, show_default=True)
@click.option("--key", default="let-me-in", show_default=True)
def main(port: int, key: str) -> None:
    """Hang up a notice board on 127.0.0.1, until interrupted."""
    try:
        asyncio.run(serve(NoticeBoard(key), port=port))
    except KeyboardInterrupt:
        click.echo("The notice board was taken down.")


if __name__ == "__main__":
    main()
