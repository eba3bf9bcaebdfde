"""Meta catalogs, against a fake that knows what Meta generates for its own SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes.meta import CATALOG_ID, FakeMeta
from meta_builders import MetaListings, config_of, meta

from liveshop.connect import Accepted, Channel, Deferred, Memory, Refused
from liveshop.connect.contract import ChannelContract, DictMemory, open_connector
from liveshop.connect.contract.samples import listing
from liveshop.kernel.clock import Clock, ManualClock
from liveshop.kernel.money import Money


class TestMetaCatalog(ChannelContract):
    connector = "meta_catalog"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[MetaListings]:
        async with meta() as (url, fake):
            yield MetaListings(self.connector, url, fake)


@asynccontextmanager
async def catalog(
    url: str, memory: Memory | None = None, clock: Clock | None = None, **limits: int
) -> AsyncIterator[Channel]:
    figures = {"meta_catalog.batches_per_minute": 6000} | {
        f"meta_catalog.{name}": value for name, value in limits.items()
    }
    async with open_connector(
        "meta_catalog", config_of("meta_catalog", url), memory=memory, clock=clock, limits=figures
    ) as channel:
        yield channel


def batches(fake: FakeMeta) -> int:
    return fake.calls.count(f"POST {CATALOG_ID}/items_batch")


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a batch."""
    monkeypatch.setattr("connectors.channels.meta.batches._LOOKS", (0.0,))


async def test_one_refused_of_five_thousand_does_not_hold_up_the_others() -> None:
    given = [listing(number) for number in range(5000)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.refused_items[given[4711].id] = "This product is not allowed"
        verdicts = await channel.publish(given)
        assert [one.id for one in verdicts] == [one.id for one in given]
        (refused,) = [one for one in verdicts if not isinstance(one, Accepted)]
        assert refused == Refused(given[4711].id, "Meta refuses it: This product is not allowed")
        assert len(fake.raw) == 4999
        assert batches(fake) == 1


async def test_more_refusals_than_meta_tells_the_reasons_of_are_all_told() -> None:
    given = [listing(number) for number in range(30)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.refused_items |= {one.id: "Not allowed" for one in given[:20]}
        verdicts = await channel.publish(given)
        assert [isinstance(one, Refused) for one in verdicts] == [True] * 20 + [False] * 10
        assert all(one.reason for one in verdicts if isinstance(one, Refused))


async def test_a_refusal_before_the_batch_begins_is_told() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.refused_at_once["var_0001"] = "Invalid image link"
        verdicts = await channel.publish([listing(1), listing(2)])
        assert verdicts == [
            Refused("var_0001", "Meta refuses it: Invalid image link"),
            Accepted("var_0002"),
        ]


async def test_a_batch_that_is_too_large_is_halved_and_the_next_ones_begin_smaller() -> None:
    given = [listing(number) for number in range(100)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.most_entries = 40
        assert all(isinstance(one, Accepted) for one in await channel.publish(given))
        assert len(fake.raw) == 100
        assert batches(fake) == 7  # 100 and two of 50 are refused, four of 25 taken
        await channel.publish(given)
        assert batches(fake) == 11


async def test_an_item_that_spoils_whole_batches_is_found_and_the_others_get_through() -> None:
    given = [listing(number) for number in range(64)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.spoils_batches = given[40].id
        verdicts = await channel.publish(given)
        assert [one.id for one in verdicts if isinstance(one, Refused)] == [given[40].id]
        assert len(fake.raw) == 63
        await channel.publish(given[:40])
        assert batches(fake) == 14  # 2 × 6 on the way down and the first; then all at once again


async def test_an_item_too_large_by_itself_is_refused_in_words() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.most_entries = 0
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Refused)
        assert "larger" in verdict.reason


async def test_no_request_is_larger_than_the_limit_in_bytes() -> None:
    given = [replace(listing(number), description="Größe " * 200) for number in range(20)]
    async with meta() as (url, fake), catalog(url, request_bytes=10_000) as channel:
        assert all(isinstance(one, Accepted) for one in await channel.publish(given))
        assert batches(fake) == 5


@pytest.mark.usefixtures("one_look")
async def test_a_batch_still_worked_on_is_not_sent_again_and_gives_its_verdicts_later() -> None:
    given = [listing(number) for number in (1, 2)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.looks_until_done = 3
        fake.faults.refused_items[given[1].id] = "Not allowed"
        for _ in range(2):
            verdicts = await channel.publish(given)
            assert all(isinstance(one, Deferred) and one.after for one in verdicts)
        assert fake.raw == {}
        fake.batches[next(iter(fake.batches))]["looks"] = 0
        accepted, refused = await channel.publish(given)
        assert isinstance(accepted, Accepted)
        assert isinstance(refused, Refused)
        assert batches(fake) == 1


@pytest.mark.usefixtures("one_look")
async def test_those_of_a_batch_may_come_back_one_by_one_for_their_verdicts() -> None:
    given = [listing(number) for number in range(5)]
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.looks_until_done = 1
        await channel.publish(given)
        for one in given:
            (verdict,) = await channel.publish([one])
            assert isinstance(verdict, Accepted)
        assert batches(fake) == 1


@pytest.mark.usefixtures("one_look")
async def test_nothing_newer_is_sent_before_an_older_batch_is_done_even_after_a_restart() -> None:
    memory = DictMemory()
    shown, hidden = listing(1), replace(listing(1), is_visible=False)
    async with meta() as (url, fake):
        fake.faults.looks_until_done = 1_000
        async with catalog(url, memory) as channel:
            await channel.publish([shown])
        for _ in range(2):
            async with catalog(url, memory) as channel:
                (verdict,) = await channel.publish([hidden])
                assert isinstance(verdict, Deferred), "hidden is hidden only when it is done"
                assert batches(fake) == 1
        fake.faults.looks_until_done = 0
        fake.batches[next(iter(fake.batches))]["looks"] = 0
        async with catalog(url, memory) as channel:
            (verdict,) = await channel.publish([hidden])
            assert isinstance(verdict, Accepted)
        assert fake.visible_items() == []


@pytest.mark.usefixtures("one_look")
async def test_a_changed_listing_does_not_get_the_verdict_of_the_older_one() -> None:
    dearer = replace(listing(1), price=Money(9900, "EUR"))
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.looks_until_done = 1
        await channel.publish([listing(1)])
        fake.faults.looks_until_done = 0
        (verdict,) = await channel.publish([dearer])
        assert isinstance(verdict, Accepted)
        assert fake.raw["var_0001"]["price"] == "99.00 EUR"
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Accepted)
        assert fake.raw["var_0001"]["price"] == "19.91 EUR"
        assert batches(fake) == 3


@pytest.mark.usefixtures("one_look")
async def test_an_old_verdict_does_not_outlive_a_newer_batch_that_meta_gave_up() -> None:
    dearer = replace(listing(1), price=Money(9900, "EUR"))
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.looks_until_done = 1
        await channel.publish([listing(1)])
        fake.faults.looks_until_done = 9
        (verdict,) = await channel.publish([dearer])
        assert isinstance(verdict, Deferred)
        fake.faults.looks_until_done = 0
        fake.batches.clear()
        await channel.publish([listing(1)])
        assert batches(fake) == 3


@pytest.mark.usefixtures("one_look")
async def test_a_batch_that_meta_forgot_is_sent_again() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.looks_until_done = 5
        await channel.publish([listing(1)])
        fake.batches.clear()
        fake.faults.looks_until_done = 0
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Accepted)
        assert batches(fake) == 2


@pytest.mark.usefixtures("one_look")
async def test_a_batch_that_never_ends_holds_up_the_catalog_for_two_hours_only(
    clock: ManualClock,
) -> None:
    async with meta() as (url, fake), catalog(url, clock=clock) as channel:
        fake.faults.looks_until_done = 1_000
        await channel.publish([listing(1)])
        fake.faults.looks_until_done = 0
        clock.advance(timedelta(minutes=119))
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Deferred)
        clock.advance(timedelta(minutes=1))
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Accepted)


async def test_a_text_that_the_channel_edits_is_seen_when_reading_back() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.edits = str.title
        await channel.publish([listing(1)])
        back = await channel.read_back(["var_0001"])
        theirs, ours = back["var_0001"].shown or {}, channel.shown(listing(1))
        differing = {name for name in ours if ours[name] != theirs[name]}
        assert differing == {"title", "description"}


async def test_success_that_shows_nothing_is_seen_when_reading_back() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        fake.faults.shows_nothing = True
        (verdict,) = await channel.publish([listing(1)])
        assert isinstance(verdict, Accepted)
        assert dict(await channel.read_back(["var_0001"])) == {}


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"visibility": "staging"}, "hidden"),
        ({"review_status": "rejected", "review_rejection_reasons": ["Weapons"]}, "rejected"),
        ({"review_status": "rejected", "review_rejection_reasons": []}, "rejected"),
        ({"image_fetch_status": "FETCH_FAILED"}, "rejected"),
        ({"review_status": "pending"}, "in_review"),
        ({"review_status": "approved"}, "live"),
    ],
)
async def test_what_meta_made_of_an_item_is_told(told: dict[str, object], status: str) -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        await channel.publish([listing(1)])
        fake.items["var_0001"].update(told)
        seen = (await channel.read_back(["var_0001"]))["var_0001"]
        assert seen.status == status
        assert bool(seen.reason) == (status == "rejected")


async def test_many_are_read_back_in_pages() -> None:
    given = [listing(number) for number in range(100)]
    async with meta() as (url, fake), catalog(url) as channel:
        await channel.publish(given)
        fake.most_per_page = 30
        back = await channel.read_back([one.id for one in given])
        assert len(back) == 100


async def test_what_cannot_be_deleted_is_refused_and_what_is_not_there_is_fine() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        await channel.publish([listing(1), listing(2)])
        fake.faults.undeletable.add("var_0002")
        verdicts = await channel.withdraw(["var_0001", "var_0002", "var_0003"])
        assert [type(one) for one in verdicts] == [Accepted, Refused, Accepted]


async def test_a_catalog_that_is_not_there_is_told_and_one_of_another_kind_too() -> None:
    async with meta() as (url, fake):
        config = config_of("meta_catalog", url, catalog_id="999")
        async with open_connector("meta_catalog", config) as channel:
            (told,) = await channel.diagnose()
            assert "no catalog 999" in told
        fake.vertical = "hotels"
        async with catalog(url) as channel:
            (told,) = await channel.diagnose()  # type: ignore[attr-defined]
            assert "hotels" in told


async def test_what_stands_in_the_way_is_told_before_anything_is_sent() -> None:
    async with meta() as (url, fake), catalog(url) as channel:
        small = replace(listing(1).images[0], width=400)
        for field, bad in {
            "title": replace(listing(1), title=" "),
            "id": replace(listing(1), id="x" * 101),
            "link": replace(listing(1), link=""),
            "price": replace(listing(1), price=Money(0, "EUR")),
            "images": replace(listing(1), images=(small,)),
        }.items():
            assert [problem.field for problem in channel.check(bad)] == [field]
        assert fake.calls == []
