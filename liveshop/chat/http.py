"""The chat over HTTP: what moderators read, and what belongs to a replay. Everything that happens
live is in `live.py`."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from liveshop.chat import wire
from liveshop.chat.service import ChatService
from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import MessageId, ShowId
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.shows.replay_model import NoReplay
from liveshop.web.access import PUBLIC, Principal, permission
from liveshop.web.endpoint import Call, Endpoint


def endpoints(
    service: ChatService,
    replay_span: Callable[[ShowId, Principal], Awaitable[tuple[datetime | None, datetime | None]]],
) -> list[Endpoint]:
    """`replay_span`: what of a show plays again for whoever asks; raises where nothing does."""

    async def list_messages(call: Call) -> wire.MessagePage:
        before = None if call.query.before is None else MessageId(call.query.before)
        found = await service.history(ShowId(call.params["show_id"]), before=before)
        return wire.MessagePage(messages=found)

    async def list_replay_messages(call: Call) -> wire.MessagePage:
        show_id = ShowId(call.params["show_id"])
        shown = await replay_span(show_id, call.principal)
        asked: wire.SpanQuery = call.query
        found = await service.said_between(show_id, asked.from_, asked.until, within=shown)
        return wire.MessagePage(messages=found)

    async def list_sanctions(call: Call) -> wire.SanctionList:
        found = await service.sanctions(ShowId(call.params["show_id"]))
        return wire.SanctionList(sanctions=found)

    moderate = permission("chat:moderate")
    return [
        Endpoint(
            "GET",
            "/api/shows/{show_id}/messages",
            list_messages,
            moderate,
            "The last 100 messages, or those before one of them, with what moderators deleted",
            "chat",
            query=wire.MessagesQuery,
            answer=wire.MessagePage,
            errors=(NotFound,),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/replay/chat",
            list_replay_messages,
            PUBLIC,
            "What was said in a span of a show that plays again, in order: the first 500 messages",
            "chat",
            query=wire.SpanQuery,
            answer=wire.MessagePage,
            errors=(UnknownShow, CustomersOnly, NoReplay),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/sanctions",
            list_sanctions,
            moderate,
            "Mutes of this show and bans of the shop that are in force",
            "chat",
            answer=wire.SanctionList,
            errors=(NotFound,),
        ),
    ]
