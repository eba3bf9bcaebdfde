"""The suites themselves: something right passes, and each mistake is caught by the test for it."""

import inspect
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import pytest
from fakes.serving import serve
from toy_far_sides import ToyChannelFar, ToyPosterFar, ToySourceFar, ToyStageFar
from toy_vendor import Mistake, Toy, ToyConnector

import liveshop.connect.contract
from liveshop.connect import Connector, ConnectorError, parse_price
from liveshop.connect.contract import (
    ChannelContract,
    ChannelFarSide,
    Fault,
    FeedContract,
    FeedItem,
    PosterContract,
    PosterFarSide,
    SourceContract,
    SourceFarSide,
    StageContract,
    StageFarSide,
)


class TestToyChannel(ChannelContract):
    connector = "toy"
    mistake: Mistake = ""

    async def installed(self) -> Connector:
        return ToyConnector("channel", self.mistake)

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[ChannelFarSide]:
        toy = Toy()
        async with serve(toy.app()) as url:
            yield ToyChannelFar(url, toy)


class TestToyPoster(PosterContract):
    connector = "toy"
    mistake: Mistake = ""

    async def installed(self) -> Connector:
        return ToyConnector("poster", self.mistake)

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[PosterFarSide]:
        toy = Toy()
        async with serve(toy.app()) as url:
            yield ToyPosterFar(url, toy)


class TestToySource(SourceContract):
    connector = "toy"
    mistake: Mistake = ""

    async def installed(self) -> Connector:
        return ToyConnector("source", self.mistake)

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[SourceFarSide]:
        toy = Toy()
        async with serve(toy.app()) as url:
            yield ToySourceFar(url, toy)


class TestToyStage(StageContract):
    connector = "toy"
    mistake: Mistake = ""

    async def installed(self) -> Connector:
        return ToyConnector("stage", self.mistake)

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[StageFarSide]:
        toy = Toy()
        async with serve(toy.app()) as url:
            yield ToyStageFar(url, toy)


class TestToyFeed(FeedContract):
    connector = "toy"
    config: ClassVar[dict[str, object]] = {"base_url": "https://toy.example", "key": "k"}
    mistake: Mistake = ""

    async def installed(self) -> Connector:
        return ToyConnector("feed", self.mistake)

    def read(self, data: bytes) -> Sequence[FeedItem]:
        lines = [json.loads(line) for line in data.splitlines()][1:]
        return [
            FeedItem(
                one["id"],
                one["title"],
                one["description"],
                one["link"],
                parse_price(one["price"]),
                parse_price(one["sale"]) if one["sale"] else None,
            )
            for one in lines
        ]


@pytest.mark.parametrize(
    ("suite", "mistake", "test"),
    [
        (
            TestToyChannel,
            "doubles",
            "test_publishing_again_after_a_restart_makes_no_second_listing",
        ),
        (TestToyChannel, "cents_lost", "test_people_see_what_was_published"),
        (
            TestToyChannel,
            "ignores_withdrawal",
            "test_a_withdrawn_listing_is_gone_and_the_others_stay",
        ),
        (
            TestToyChannel,
            "batch_fails_whole",
            "test_a_refused_listing_does_not_hold_up_the_others",
        ),
        (TestToyChannel, "asks_when_opened", "test_it_opens_while_the_other_side_is_down"),
        (
            TestToyChannel,
            "forgets_the_wait",
            "test_too_many_requests_are_repeated_when_the_other_side_says",
        ),
        (TestToyChannel, "tells_the_key", "test_an_error_of_the_other_side_is_repeated_later"),
        (
            TestToyPoster,
            "posts_twice",
            "test_after_a_lost_answer_the_post_is_found_and_not_made_twice",
        ),
        (TestToyPoster, "finds_anything", "test_a_post_that_was_never_sent_is_not_found"),
        (TestToyPoster, "no_alt", "test_alt_texts_arrive"),
        (
            TestToyPoster,
            "cuts_silently",
            "test_a_text_of_the_longest_length_is_taken_and_one_more_is_not",
        ),
        (TestToySource, "orders_twice", "test_an_order_called_twice_is_made_once"),
        (TestToySource, "orders_twice", "test_an_order_whose_answer_was_lost_is_made_once"),
        (
            TestToySource,
            "overwrites_stock",
            "test_stock_is_set_only_where_the_source_has_the_expected_count",
        ),
        (
            TestToySource,
            "mark_too_late",
            "test_a_change_made_during_a_run_is_in_the_run_or_in_the_next_changes",
        ),
        (
            TestToySource,
            "stops_at_bad_rows",
            "test_a_product_that_cannot_be_read_spoils_only_itself",
        ),
        (TestToyFeed, "not_escaped", "test_texts_that_look_like_markup_arrive_as_they_are"),
        (TestToyFeed, "no_sale", "test_a_sale_stands_beside_the_price_before_it"),
        (TestToyFeed, "dates_itself", "test_the_same_listings_give_the_same_bytes"),
        (
            TestToyFeed,
            "controls_left_in",
            "test_line_ends_and_control_characters_break_nothing",
        ),
        (TestToyFeed, "two_decimals_for_all", "test_currencies_have_their_own_decimals"),
        (TestToyStage, "second_broadcast", "test_asking_again_makes_no_second_broadcast"),
        (TestToyStage, "second_broadcast", "test_the_same_after_a_lost_answer"),
        (
            TestToyStage,
            "key_in_address",
            "test_the_address_is_one_of_rtmp_and_holds_no_key",
        ),
        (TestToySource, "counts_sold", "test_an_order_is_written_back_as_it_was_paid"),
    ],
)
async def test_a_mistake_is_caught(suite: Any, mistake: Mistake, test: str) -> None:
    wrong = suite()
    wrong.mistake = mistake
    with pytest.raises((AssertionError, ValueError, ConnectorError)) as caught:
        await getattr(wrong, test)()
    assert not isinstance(caught.value, SkipTest)
    await getattr(suite(), test)()


@pytest.mark.parametrize("suite", [TestToyChannel, TestToyPoster, TestToySource, TestToyStage])
async def test_what_a_far_side_cannot_play_is_skipped_aloud(
    suite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: tuple[Fault, ...] = ()
    for far in (ToyChannelFar, ToyPosterFar, ToySourceFar, ToyStageFar):
        monkeypatch.setattr(far, "faults", faults)
    with pytest.raises(SkipTest, match="does not play 'revoked'"):
        await suite().test_a_revoked_token_asks_for_attention()


@pytest.mark.parametrize(
    "suite", [ChannelContract, FeedContract, PosterContract, SourceContract, StageContract]
)
def test_a_suite_without_its_hooks_cannot_run(suite: Any) -> None:
    assert inspect.isabstract(suite)


def test_the_suites_need_no_test_library_of_ours() -> None:
    """A stranger has pytest and pytest-asyncio; what is imported comes with liveshop itself."""
    folder = Path(liveshop.connect.contract.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in ("pytest", "hypothesis", "blockbuster", "tests"):
            assert f"import {name}" not in text, path
            assert f"from {name}" not in text, path
