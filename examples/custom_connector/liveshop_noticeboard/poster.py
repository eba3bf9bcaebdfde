"""Messages on the notice board: the shop's posts about shows and products."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from liveshop.connect import (
    Kit,
    Post,
    PostCost,
    PostLimits,
    PostReceipt,
    Role,
    TextLimit,
)
from liveshop_noticeboard.api import MESSAGE, Board, Config, pictures


class NoticeboardMessages:
    name = "noticeboard_messages"
    title = "Notice board: messages"
    roles: frozenset[Role] = frozenset({"poster"})
    config = Config
    oauth = None

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["MessagePoster"]:
        yield MessagePoster(config, kit)


class MessagePoster(Board):
    def __init__(self, config: Config, kit: Kit) -> None:
        super().__init__(config, kit)
        self.post_limits = PostLimits(
            text=TextLimit(kit.limit(MESSAGE)), images=pictures(kit, most=2), link="in_text"
        )

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def publish(self, post: Post) -> PostReceipt:
        message = {
            "reference": post.key,
            "text": post.text,
            "pictures": [{"url": one.url, "alt": one.alt} for one in post.images],
        }
        answer = await self.ask("POST", "/api/messages", json=message)
        return self._receipt(answer.json()["id"])

    async def find(self, post: Post) -> PostReceipt | None:
        answer = await self.ask("GET", "/api/messages", params={"reference": post.key})
        return next((self._receipt(one["id"]) for one in answer.json()), None)

    async def delete(self, remote_id: str) -> None:
        await self.ask("DELETE", f"/api/messages/{remote_id}", passes={404})

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        if not remote_ids:
            return []
        there = {one["id"] for one in (await self.ask("GET", "/api/messages")).json()}
        return [id_ for id_ in remote_ids if id_ in there]

    def _receipt(self, remote_id: str) -> PostReceipt:
        return PostReceipt(remote_id, url=f"{self.url}/#{remote_id}")
