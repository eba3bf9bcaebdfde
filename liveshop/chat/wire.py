"""The chat on the wire: messages, sanctions, settings, events and the arguments of commands."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from liveshop.chat.model import Role, RoomRules, SanctionKind
from liveshop.chat.people_store import Sanction as StoredSanction
from liveshop.chat.store import Message
from liveshop.kernel.clock import rfc3339
from liveshop.realtime.wire import When
from liveshop.web.wire import Wire

Id = Annotated[str, Meta(min_length=30, max_length=30, pattern=r"^[a-z]{3}_[0-9A-Z]{26}$")]
Seconds = Annotated[int, Meta(ge=1, le=30 * 24 * 3600)]
Moment = Annotated[datetime, Meta(tz=True)]


class ChatMessage(Wire):
    """A deleted message is a tombstone: its text is empty."""

    id: str
    author_id: str
    name: str
    role: Role
    text: str
    at: When
    deleted: bool

    @classmethod
    def of(cls, message: Message, *, for_moderators: bool = False) -> "ChatMessage":
        deleted = message.deleted_at is not None
        return cls(
            id=message.id,
            author_id=message.author_id,
            name=message.name,
            role=message.role,
            text="" if deleted and not for_moderators else message.text,
            at=rfc3339(message.at),
            deleted=deleted,
        )


class Sanction(Wire):
    """A mute holds in one show, a ban in the whole shop; `until` null: until it is lifted."""

    viewer_id: str
    name: str
    kind: SanctionKind
    until: When | None
    by: str
    at: When

    @classmethod
    def of(cls, sanction: StoredSanction) -> "Sanction":
        return cls(
            viewer_id=sanction.viewer_id,
            name=sanction.name,
            kind=sanction.kind,
            until=None if sanction.until is None else rfc3339(sanction.until),
            by=sanction.by_name,
            at=rfc3339(sanction.at),
        )


class ChatSettings(Wire):
    slow_mode_seconds: int
    links_allowed: bool
    paused: bool

    @classmethod
    def of(cls, rules: RoomRules) -> "ChatSettings":
        return cls(
            slow_mode_seconds=rules.slow_mode_seconds,
            links_allowed=rules.links_allowed,
            paused=rules.paused,
        )


class ChatSnapshot(Wire):
    messages: list[ChatMessage]
    pinned: ChatMessage | None
    settings: ChatSettings


class MessagePage(Wire):
    messages: list[ChatMessage]


class SanctionList(Wire):
    sanctions: list[Sanction]


class MessagesQuery(Wire):
    before: Id | None = None


class SpanQuery(Wire):
    """From a moment on, and before another one; left out: from the beginning, to the end."""

    from_: Moment | None = field(name="from", default=None)
    until: Moment | None = None


# -- events


class MessagePosted(Wire):
    message: ChatMessage


class MessageDeleted(Wire):
    message_id: str


class ViewerSanctioned(Wire):
    """`ban`: clients blank every message of this viewer."""

    viewer_id: str
    kind: Literal["mute", "ban", "lifted"]
    until: When | None


class MessagePinned(Wire):
    message: ChatMessage | None


class ChatConfigured(Wire):
    settings: ChatSettings


EVENTS: dict[str, type[Wire]] = {
    "chat.message": MessagePosted,
    "chat.deleted": MessageDeleted,
    "chat.sanctioned": ViewerSanctioned,
    "chat.message_pinned": MessagePinned,
    "chat.configured": ChatConfigured,
}
"""Logged events by type, for the generator of the widgets' types."""


# -- arguments and answers of commands


class ChatSend(Wire):
    text: Annotated[str, Meta(max_length=4000)]  # the real limit is a setting and says so itself


class ChatSent(Wire):
    message_id: str


class ChatDelete(Wire):
    message_id: Id


class ChatMute(Wire):
    viewer_id: Id
    seconds: Seconds


class ChatBan(Wire):
    viewer_id: Id


class ChatUnban(Wire):
    viewer_id: Id


class ChatPin(Wire):
    message_id: Id | None


class ChatConfigure(Wire):
    slow_mode_seconds: Annotated[int, Meta(ge=0, le=3600)] | UnsetType = UNSET
    links_allowed: bool | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


class ReactionSend(Wire):
    count: Annotated[int, Meta(ge=1, le=10)]
