"""Both connectors keep what every connector promises; tried on the notice board itself."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestServer
from liveshop_noticeboard.server import NoticeBoard, Trouble, make_app

from liveshop.connect.contract import (
    ChannelContract,
    ChannelFarSide,
    FarSide,
    Fault,
    PosterContract,
    PosterFarSide,
    SeenListing,
    SeenPost,
)

KEY = "a-key-for-the-tests"
TROUBLES: Mapping[Fault, Trouble] = {
    "expired": "key_refused",
    "revoked": "key_refused",
    "forbidden": "reading_only",
    "too_many": "busy",
    "too_many_until": "busy_two_minutes",
    "unavailable": "closed",
    "half_sent": "hangs_up_halfway",
    "lost_answer": "hangs_up_when_done",
}


class BoardFar(FarSide):
    """The board that the connectors talk to, looked at from behind."""

    def __init__(self, url: str, board: NoticeBoard) -> None:
        self.url = url
        self.board = board

    @property
    def config(self) -> Mapping[str, object]:
        return {"url": self.url, "key": KEY}

    @property
    def limits(self) -> Mapping[str, int]:
        return {"noticeboard.batch": 5}

    @property
    def faults(self) -> Collection[Fault]:
        return tuple(TROUBLES)

    async def fault(self, kind: Fault) -> None:
        self.board.trouble = TROUBLES[kind]

    async def heal(self) -> None:
        self.board.trouble = "none"


class NoticesFar(BoardFar, ChannelFarSide):
    async def listings(self) -> Sequence[SeenListing]:
        return [
            SeenListing(
                one.number,
                {
                    "title": one.heading,
                    "description": one.text,
                    "price": one.price,
                    "sale_price": one.reduced,
                },
            )
            for one in self.board.notices.values()
            if not one.is_turned_over and not one.refused_because
        ]

    async def refuse(self, listing_id: str) -> None:
        self.board.refuse(listing_id, "Such a thing is not hung up here.")


class MessagesFar(BoardFar, PosterFarSide):
    async def posts(self) -> Sequence[SeenPost]:
        return [
            SeenPost(one.id, one.text, tuple(picture.alt for picture in one.pictures))
            for one in self.board.messages.values()
        ]


@asynccontextmanager
async def a_board() -> AsyncIterator[tuple[str, NoticeBoard]]:
    board = NoticeBoard(KEY)
    async with TestServer(make_app(board)) as server:
        yield str(server.make_url("")).rstrip("/"), board


class TestNoticeboard(ChannelContract):
    connector = "noticeboard"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[NoticesFar]:
        async with a_board() as (url, board):
            yield NoticesFar(url, board)


class TestNoticeboardMessages(PosterContract):
    connector = "noticeboard_messages"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[MessagesFar]:
        async with a_board() as (url, board):
            yield MessagesFar(url, board)


async def test_a_notice_that_was_refused_after_it_was_hung_up_is_told_with_its_reason() -> None:
    suite = TestNoticeboard()
    async with suite.both() as (channel, far):
        one = suite.listing(1)
        await suite.publish(channel, one)
        await far.refuse(one.id)
        (seen,) = (await channel.read_back([one.id])).values()
        assert seen.status == "rejected"
        assert seen.reason == "The notice board says: Such a thing is not hung up here."


async def test_a_scribbled_heading_is_seen_to_differ() -> None:
    suite = TestNoticeboard()
    async with suite.far_side() as far, suite.opened(far) as channel:
        one = suite.listing(1)
        await suite.publish(channel, one)
        far.board.notices[one.id].heading = "Free!"
        (seen,) = (await channel.read_back([one.id])).values()
        assert seen.shown is not None
        assert (seen.shown["title"], channel.shown(one)["title"]) == ("Free!", one.title)
