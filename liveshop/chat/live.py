"""The chat's commands on the socket: decode, call, encode."""

from typing import TypeVar

from msgspec import UNSET, UnsetType

from liveshop.chat import wire
from liveshop.chat.service import ChatService
from liveshop.kernel.errors import RateLimited
from liveshop.kernel.ids import MessageId, ShowId, ViewerId
from liveshop.realtime import CommandSpec, Hub, Session
from liveshop.web.access import SIGNED_IN, permission
from liveshop.web.limits import RateLimit, RateLimiter

_T = TypeVar("_T")
HEARTS = RateLimit(burst=60, per_second=10)
"""For each person: as fast as a thumb."""


def commands(service: ChatService, hub: Hub) -> list[CommandSpec]:
    hearts = RateLimiter(HEARTS)

    async def send(session: Session, args: wire.ChatSend) -> wire.ChatSent:
        message_id = await service.post_message(
            ShowId(session.show_id), session.principal, args.text, address=session.address
        )
        return wire.ChatSent(message_id=message_id)

    async def delete(session: Session, args: wire.ChatDelete) -> None:
        await service.delete_message(
            ShowId(session.show_id), session.principal, MessageId(args.message_id)
        )

    async def mute(session: Session, args: wire.ChatMute) -> None:
        await service.mute(
            ShowId(session.show_id),
            session.principal,
            ViewerId(args.viewer_id),
            seconds=args.seconds,
        )

    async def ban(session: Session, args: wire.ChatBan) -> None:
        await service.ban(ShowId(session.show_id), session.principal, ViewerId(args.viewer_id))

    async def unban(session: Session, args: wire.ChatUnban) -> None:
        await service.lift(ShowId(session.show_id), ViewerId(args.viewer_id))

    async def pin(session: Session, args: wire.ChatPin) -> None:
        message_id = None if args.message_id is None else MessageId(args.message_id)
        await service.pin_message(ShowId(session.show_id), message_id)

    async def configure(session: Session, args: wire.ChatConfigure) -> None:
        await service.configure(
            ShowId(session.show_id),
            slow_mode_seconds=_given(args.slow_mode_seconds),
            links_allowed=_given(args.links_allowed),
            paused=_given(args.paused),
        )

    async def react(session: Session, args: wire.ReactionSend) -> None:
        wait = hearts.wait_seconds(session.principal.id, hub.monotonic(), cost=args.count)
        if wait:
            raise RateLimited("Slow down a little.", retry_after=round(wait + 0.05, 1))
        hub.react(session.show_id, args.count)

    moderate = permission("chat:moderate")
    return [
        CommandSpec("chat.send", wire.ChatSend, SIGNED_IN, send, "say something", wire.ChatSent),
        CommandSpec("chat.delete", wire.ChatDelete, SIGNED_IN, delete, "delete a message"),
        CommandSpec("chat.mute", wire.ChatMute, moderate, mute, "silence a viewer for a while"),
        CommandSpec("chat.ban", wire.ChatBan, moderate, ban, "ban a viewer from the chats"),
        CommandSpec("chat.unban", wire.ChatUnban, moderate, unban, "lift mute and ban"),
        CommandSpec("chat.pin", wire.ChatPin, moderate, pin, "keep a message on top"),
        CommandSpec("chat.configure", wire.ChatConfigure, moderate, configure, "change the rules"),
        CommandSpec("reaction.send", wire.ReactionSend, SIGNED_IN, react, "send hearts"),
    ]


def _given(value: _T | UnsetType) -> _T | None:
    return None if value is UNSET else value
