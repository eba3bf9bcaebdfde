"""What every channel promises: what it was given is what people see, once, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from liveshop.connect.connector import Role
from liveshop.connect.contract.far_side import ChannelFarSide
from liveshop.connect.contract.samples import HOSTILE, listing
from liveshop.connect.contract.suite import FarSideContract, check_images, optional, play
from liveshop.connect.errors import RetryLater
from liveshop.connect.listings import (
    Accepted,
    Channel,
    Deferred,
    Listing,
    Refused,
    Sale,
    Seen,
    Verdict,
)
from liveshop.kernel.money import Money


class ChannelContract(FarSideContract[ChannelFarSide, Channel]):
    """Inherit it, set `connector`, and write `far_side`: see `ChannelFarSide`."""

    role: ClassVar[Role] = "channel"
    protocol: ClassVar[Any] = Channel
    currency: ClassVar[str] = "EUR"

    async def settle(self, far: ChannelFarSide) -> None:
        """Wait until the channel shows what it accepted. Override it where that takes a while."""

    def listing(self, number: int, **changes: Any) -> Listing:
        """A listing that this channel takes. Override it where it wants more than the usual."""
        return replace(listing(number, currency=self.currency), **changes)

    async def act(self, side: Channel) -> None:
        for verdict in await side.publish([self.listing(1)]):
            if isinstance(verdict, Deferred):
                raise RetryLater(verdict.reason, after=verdict.after)
            assert isinstance(verdict, Accepted), verdict

    async def seen(self, far: ChannelFarSide) -> dict[str, Mapping[str, str]]:
        """What people see, by id; fails on a double."""
        await self.settle(far)
        found = await far.listings()
        ids = [one.id for one in found]
        assert len(ids) == len(set(ids)), f"a listing is there more than once: {sorted(ids)}"
        return {one.id: one.fields for one in found}

    async def publish(self, channel: Channel, *listings: Listing) -> None:
        """All of them, in batches, each accepted."""
        batch = channel.listing_limits.batch
        for start in range(0, len(listings), batch):
            given = listings[start : start + batch]
            verdicts = await channel.publish(given)
            _one_each(verdicts, [one.id for one in given])
            assert all(isinstance(one, Accepted) for one in verdicts), verdicts

    # Publish, change, withdraw

    async def test_limits_make_sense(self) -> None:
        async with self.both() as (channel, _):
            limits = channel.listing_limits
            assert limits.batch >= 1
            assert limits.read_batch >= 1
            assert limits.title.most >= 20
            assert limits.description.most >= 100
            assert limits.requests_per_batch >= 1
            assert limits.requests_per_minute is None or limits.requests_per_minute > 0
            check_images(limits.images)

    async def test_people_see_what_was_published(self) -> None:
        async with self.both() as (channel, far):
            first, second = self.listing(1), self.listing(2)
            await self.publish(channel, first, second)
            seen = await self.seen(far)
            assert seen.keys() == {first.id, second.id}
            for one in (first, second):
                _agree(seen[one.id], channel.shown(one))

    async def test_publishing_again_makes_no_second_listing(self) -> None:
        async with self.both() as (channel, far):
            await self.publish(channel, self.listing(1))
            await self.publish(channel, self.listing(1))
            assert len(await self.seen(far)) == 1

    async def test_publishing_again_after_a_restart_makes_no_second_listing(self) -> None:
        async with self.far_side() as far:
            for _ in range(2):  # the second time with nothing remembered
                async with self.opened(far) as channel:
                    await self.publish(channel, self.listing(1))
            assert len(await self.seen(far)) == 1

    async def test_a_changed_title_and_price_are_shown(self) -> None:
        async with self.both() as (channel, far):
            await self.publish(channel, self.listing(1), self.listing(2))
            changed = self.listing(1, title="A better mug", price=Money(2590, self.currency))
            await self.publish(channel, changed)
            seen = await self.seen(far)
            _agree(seen[changed.id], channel.shown(changed))
            _agree(seen[self.listing(2).id], channel.shown(self.listing(2)))
            assert channel.shown(changed) != channel.shown(self.listing(1))

    async def test_a_sale_is_shown_and_gone_when_it_is_taken_back(self) -> None:
        async with self.both() as (channel, far):
            now = self.clock().now()
            sale = Sale(
                Money(1490, self.currency), now - timedelta(hours=1), now + timedelta(days=2)
            )
            on_sale = self.listing(1, sale=sale)
            assert channel.shown(on_sale) != channel.shown(self.listing(1)), "a sale is not shown"
            for one in (on_sale, self.listing(1)):
                await self.publish(channel, one)
                _agree((await self.seen(far))[one.id], channel.shown(one))

    async def test_one_that_is_sold_out_is_accepted(self) -> None:
        async with self.both() as (channel, _):
            await self.publish(channel, self.listing(1, is_available=False, quantity=0))

    async def test_texts_that_look_like_markup_arrive_as_they_are(self) -> None:
        async with self.both() as (channel, far):
            hostile = self.listing(1, title=HOSTILE, description=f"{HOSTILE}\nSecond line.")
            assert HOSTILE in channel.shown(hostile).values(), "the title is not shown as it is"
            await self.publish(channel, hostile)
            _agree((await self.seen(far))[hostile.id], channel.shown(hostile))

    async def test_a_hidden_listing_is_shown_to_nobody(self) -> None:
        async with self.both() as (channel, far):
            if not channel.listing_limits.can_hide:
                await self.publish(channel, self.listing(1))
                await channel.withdraw([self.listing(1).id])
            else:
                await self.publish(channel, self.listing(1))
                await self.publish(channel, self.listing(1, is_visible=False))
            assert await self.seen(far) == {}
            await self.publish(channel, self.listing(1))
            assert len(await self.seen(far)) == 1

    async def test_a_withdrawn_listing_is_gone_and_the_others_stay(self) -> None:
        async with self.both() as (channel, far):
            first, second = self.listing(1), self.listing(2)
            await self.publish(channel, first, second)
            _one_each(await channel.withdraw([first.id]), [first.id], Accepted)
            assert (await self.seen(far)).keys() == {second.id}
            back = (await channel.read_back([first.id])).get(first.id)
            assert back is None or back.status == "hidden", f"read back after withdrawal: {back}"

    async def test_withdrawing_what_is_not_there_is_accepted(self) -> None:
        async with self.both() as (channel, _):
            ids = ["var_never_sent", self.listing(1).id]
            for _again in range(2):
                _one_each(await channel.withdraw(ids), ids, Accepted)

    async def test_a_full_batch_goes_in_one_call(self) -> None:
        async with self.both() as (channel, far):
            batch = channel.listing_limits.batch
            given = [self.listing(number) for number in range(batch)]
            verdicts = await channel.publish(given)
            _one_each(verdicts, [one.id for one in given], Accepted)
            assert len(await self.seen(far)) == batch
            ids = [one.id for one in given]
            _one_each(await channel.withdraw(ids), ids, Accepted)
            assert await self.seen(far) == {}

    async def test_nothing_to_do_is_done(self) -> None:
        async with self.both() as (channel, _):
            assert list(await channel.publish([])) == []
            assert list(await channel.withdraw([])) == []
            assert dict(await channel.read_back([])) == {}

    # Read back

    async def test_what_is_read_back_is_what_people_see(self) -> None:
        async with self.both() as (channel, far):
            given = [self.listing(number) for number in (1, 2)]
            await self.publish(channel, *given)
            await self.settle(far)
            back = await self.read_back(channel, [one.id for one in given])
            assert back.keys() == {one.id for one in given}
            for one in given:
                assert back[one.id].id == one.id
                assert back[one.id].status in ("live", "in_review"), back[one.id]
                _agree(back[one.id].shown or {}, channel.shown(one))

    async def test_what_is_not_there_is_left_out_when_reading_back(self) -> None:
        async with self.both() as (channel, far):
            await self.publish(channel, self.listing(1))
            await self.settle(far)
            back = await channel.read_back([self.listing(1).id, "var_never_sent"])
            assert set(back) == {self.listing(1).id}

    async def read_back(self, channel: Channel, ids: Sequence[str]) -> dict[str, Seen]:
        size = channel.listing_limits.read_batch
        back: dict[str, Seen] = {}
        for start in range(0, len(ids), size):
            back.update(await channel.read_back(ids[start : start + size]))
        return back

    # Bad input, bad days

    async def test_a_good_listing_has_no_problems_and_a_bad_one_is_told(self) -> None:
        async with self.both() as (channel, far):
            assert list(channel.check(self.listing(1))) == []
            poor = self.listing(1, title="", description="", images=(), gtin=None, brand=None)
            for problem in channel.check(poor):
                assert problem.field, problem
                assert problem.reason.strip(), problem
            assert await far.listings() == [], "check sent something"

    async def test_a_refused_listing_does_not_hold_up_the_others(self) -> None:
        async with self.both() as (channel, far):
            given = [self.listing(number) for number in (1, 2, 3)]
            await optional(far.refuse(given[1].id), "refuse")
            size = channel.listing_limits.batch
            verdicts: list[Verdict] = []
            for start in range(0, 3, size):
                verdicts += await channel.publish(given[start : start + size])
            _one_each(verdicts, [one.id for one in given])
            by_id = {one.id: one for one in verdicts}
            assert (await self.seen(far)).keys() == {given[0].id, given[2].id}
            for taken in (given[0], given[2]):
                assert isinstance(by_id[taken.id], Accepted), by_id[taken.id]
            refused = by_id[given[1].id]
            if isinstance(refused, Accepted):  # told later: then reading back has to say it
                back = (await channel.read_back([refused.id])).get(refused.id)
                assert back is None or back.status == "rejected", back
                assert back is None or back.reason, "rejected without a reason"
            else:
                assert isinstance(refused, Refused), refused
                assert refused.reason.strip()

    async def test_a_lost_answer_leads_to_no_second_listing(self) -> None:
        async with self.both() as (channel, far):
            await play(far, "lost_answer")
            error = await self.error_of(self.act(channel))
            assert isinstance(error, RetryLater), f"an answer was lost: {error!r}"
            await far.heal()
            await self.publish(channel, self.listing(1))
            assert len(await self.seen(far)) == 1


def _agree(fields: Mapping[str, str], shown: Mapping[str, str]) -> None:
    """Where both tell a field, they tell the same; and they have to have some in common."""
    assert {"title", "price"} <= shown.keys(), "`shown` has to hold title and price"
    common = fields.keys() & shown.keys()
    assert common, f"nothing to compare: {sorted(fields)} and {sorted(shown)}"
    differing = {
        name: (fields[name], shown[name]) for name in common if fields[name] != shown[name]
    }
    assert not differing, f"what is there differs from `shown` (there, ours): {differing}"


def _one_each(
    verdicts: Sequence[Verdict], ids: Sequence[str], kind: type[Verdict] | None = None
) -> None:
    assert sorted(one.id for one in verdicts) == sorted(ids), "not one verdict for each listing"
    if kind is not None:
        wrong = [one for one in verdicts if not isinstance(one, kind)]
        assert not wrong, wrong
