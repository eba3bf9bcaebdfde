"""A chat with its ports and everything it told the rooms."""

from collections.abc import Collection
from datetime import timedelta

from room_builders import GUEST, OTHER_SHOW, SHOW
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import ChatService, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import MessageId, ShowId, ViewerId
from liveshop.settings import ChatSettings
from liveshop.storage import Database, Published
from liveshop.web.access import Principal

SHOW_ID, OTHER_SHOW_ID = ShowId(SHOW), ShowId(OTHER_SHOW)
ADA = ViewerId(GUEST.id)
HOME, ELSEWHERE = "93.184.216.34", "8.8.4.4"


class Chat:
    """A chat service with its ports and everything it told the rooms."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.states: dict[str, str] = {SHOW: "live", OTHER_SHOW: "live"}
        self.names: dict[str, str] = {}
        self.told: list[Published] = []
        self.service = self.node()
        database.publish = self._publish

    def node(self) -> ChatService:
        """Another node's, which gathers messages of its own."""
        return ChatService(
            self.database,
            self.clock,
            ChatSettings(),
            viewer_names=self._names,
            show_state=self._state,
            secret="s" * 32,
        )

    async def _names(
        self, _conn: AsyncConnection, viewer_ids: Collection[ViewerId]
    ) -> dict[ViewerId, str]:
        return {one: self.names[one] for one in viewer_ids if one in self.names}

    async def _state(self, _conn: AsyncConnection, show_id: ShowId) -> str | None:
        return self.states.get(show_id)

    async def _publish(self, published: list[Published]) -> None:
        self.told += published

    async def say(
        self,
        who: Principal,
        text: str,
        *,
        show: ShowId = SHOW_ID,
        address: str = HOME,
        after: float = 0.0,
    ) -> MessageId:
        self.clock.advance(timedelta(seconds=after))
        return await self.service.post_message(show, who, text, address=address)

    async def snapshot(self, show: ShowId = SHOW_ID) -> wire.ChatSnapshot:
        async with self.database.read() as conn:
            return await self.service.recent(conn, show)

    async def texts(self, show: ShowId = SHOW_ID) -> list[str]:
        return [message.text for message in (await self.snapshot(show)).messages]

    def take_told(self) -> list[tuple[str, str]]:
        told = [(item.room, item.type) for item in self.told]
        self.told.clear()
        return told
