"""How the notice board is spoken to: its configuration, its limits, one request.

Both connectors use this; another service needs little more than another `ask`.
"""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

import msgspec

from liveshop.connect import Answer, ImageLimit, Kit, Limit, Secret, TextLimit, call

_RULES = "the rules at the notice board"
_READ_ON = date(2026, 11, 1)
BATCH = Limit("noticeboard.batch", 20, "notices per request", _READ_ON, _RULES)
REQUESTS = Limit("noticeboard.requests_per_minute", 600, "requests", _READ_ON, _RULES)
HEADING = Limit("noticeboard.heading", 120, "characters", _READ_ON, _RULES)
TEXT = Limit("noticeboard.text", 2000, "characters", _READ_ON, _RULES)
MESSAGE = Limit("noticeboard.message", 400, "characters", _READ_ON, _RULES)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    key: Annotated[
        Secret,
        msgspec.Meta(title="Key", description="Printed when the notice board starts."),
    ]
    url: Annotated[
        str,
        msgspec.Meta(
            title="Address",
            description="Where the notice board is, without a slash at the end.",
            pattern=r"^https?://[^\s/]+$",
        ),
    ] = "http://127.0.0.1:9200"


def pictures(kit: Kit, most: int) -> ImageLimit:
    return ImageLimit("square", most, max_bytes=1_000_000, alt=TextLimit(kit.limit(HEADING)))


class Board:
    """Requests to one notice board."""

    def __init__(self, config: Config, kit: Kit) -> None:
        self.url = config.url
        self._key = config.key
        self._kit = kit

    async def ask(
        self, method: str, path: str, *, passes: Iterable[int] = (), **more: Any
    ) -> Answer:
        """Raises RetryLater, OutcomeUnknown, SkipListing, NeedsAttention."""
        await self._kit.spend(REQUESTS, per_seconds=60)
        return await call(
            self._kit.http,
            method,
            self.url + path,
            who="The notice board",
            clock=self._kit.clock,
            headers={"Authorization": f"Bearer {self._key.reveal()}"},
            secrets=(self._key,),
            timeout_seconds=20,
            passes=frozenset(passes),
            **more,
        )

    async def diagnose(self) -> Iterable[str]:
        account = (await self.ask("GET", "/api/account")).json()
        if not account["may_write"]:
            return ["The key may only read. Ask the keeper of the board for one that may write."]
        return []
