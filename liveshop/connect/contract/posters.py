"""What every poster promises: a post is there once, as written, or it is not there."""

from dataclasses import replace
from typing import Any, ClassVar

from liveshop.connect.connector import Role
from liveshop.connect.contract import samples
from liveshop.connect.contract.far_side import PosterFarSide
from liveshop.connect.contract.suite import FarSideContract, check_images, play
from liveshop.connect.errors import OutcomeUnknown, SkipListing
from liveshop.connect.posts import Post, Poster


class PosterContract(FarSideContract[PosterFarSide, Poster]):
    """Inherit it, set `connector`, and write `far_side`: see `PosterFarSide`."""

    role: ClassVar[Role] = "poster"
    protocol: ClassVar[Any] = Poster

    def post(self, poster: Poster, number: int, **changes: Any) -> Post:
        """A post that this channel takes. Override it where it wants more than the usual."""
        made = samples.post(number, created_at=self.clock().now(), images=poster.post_limits.images)
        if poster.post_limits.link == "beside":
            made = replace(made, link=f"{samples.SHOP}/s/{number}")
        return replace(made, **changes)

    async def act(self, side: Poster) -> None:
        await side.publish(self.post(side, 1))

    async def settle(self, far: PosterFarSide) -> None:
        """Wait until people see what was accepted. Override it where that takes a while."""

    async def test_limits_make_sense(self) -> None:
        async with self.both() as (poster, _):
            limits = poster.post_limits
            assert limits.text.most >= 20
            assert limits.max_hashtags is None or limits.max_hashtags >= 0
            check_images(limits.images)

    async def test_people_see_the_post_as_it_was_written(self) -> None:
        async with self.both() as (poster, far):
            post = self.post(poster, 1)
            receipt = await poster.publish(post)
            await self.settle(far)
            (seen,) = await far.posts()
            assert seen.remote_id == receipt.remote_id
            assert seen.text == post.text
            if post.link is not None:
                assert seen.link == post.link

    async def test_alt_texts_arrive(self) -> None:
        async with self.both() as (poster, far):
            post = self.post(poster, 1)
            await poster.publish(post)
            await self.settle(far)
            (seen,) = await far.posts()
            takes_alt = poster.post_limits.images.alt is not None
            assert seen.alts == (tuple(image.alt for image in post.images) if takes_alt else ())

    async def test_as_many_pictures_as_it_says(self) -> None:
        async with self.both() as (poster, far):
            limit = poster.post_limits.images
            post = self.post(poster, 1)
            images = tuple(
                replace(post.images[0], alt=f"Picture {number}") for number in range(limit.most)
            )
            await poster.publish(replace(post, images=images))
            await self.settle(far)
            (seen,) = await far.posts()
            if limit.alt is not None:
                assert seen.alts == tuple(image.alt for image in images)

    async def test_a_post_without_a_picture_is_sent_or_refused_in_words(self) -> None:
        async with self.both() as (poster, far):
            bare = self.post(poster, 1, images=())
            if not poster.post_limits.needs_image:
                await poster.publish(bare)
                return
            error = await self.error_of(poster.publish(bare))
            assert isinstance(error, SkipListing), f"{error!r}"
            assert await far.posts() == []

    async def test_a_text_of_the_longest_length_is_taken_and_one_more_is_not(self) -> None:
        async with self.both() as (poster, far):
            most = poster.post_limits.text.most
            await poster.publish(self.post(poster, 1, text="a" * most))
            error = await self.error_of(poster.publish(self.post(poster, 2, text="a" * (most + 1))))
            assert isinstance(error, SkipListing), f"too long: {error!r}"
            await self.settle(far)
            assert [seen.text for seen in await far.posts()] == ["a" * most]

    async def test_a_post_is_found_again(self) -> None:
        async with self.both() as (poster, far):
            posts = [self.post(poster, number) for number in (1, 2)]
            receipts = [await poster.publish(post) for post in posts]
            await self.settle(far)
            for post, receipt in zip(posts, receipts, strict=True):
                found = await poster.find(post)
                assert found is not None, "a post that was sent is not found"
                assert found.remote_id == receipt.remote_id

    async def test_a_post_that_was_never_sent_is_not_found(self) -> None:
        async with self.both() as (poster, _):
            await poster.publish(self.post(poster, 1))
            assert await poster.find(self.post(poster, 2)) is None

    async def test_after_a_lost_answer_the_post_is_found_and_not_made_twice(self) -> None:
        async with self.far_side() as far:
            async with self.opened(far) as poster:
                post = self.post(poster, 1)
                await play(far, "lost_answer")
                error = await self.error_of(poster.publish(post))
                assert isinstance(error, OutcomeUnknown), f"an answer was lost: {error!r}"
                await far.heal()
            await self.settle(far)
            (there,) = await far.posts()
            async with self.opened(far) as poster:  # as after a restart
                found = await poster.find(post)
            assert found is not None, "the post is there and was not found"
            assert found.remote_id == there.remote_id

    async def test_half_an_answer_never_hides_that_it_may_have_been_posted(self) -> None:
        async with self.both() as (poster, far):
            post = self.post(poster, 1)
            await play(far, "half_sent")
            error = await self.error_of(poster.publish(post))
            await far.heal()
            await self.settle(far)
            if await far.posts():
                assert isinstance(error, OutcomeUnknown), f"it was posted: {error!r}"
                assert await poster.find(post) is not None

    async def test_a_deleted_post_is_gone_and_deleting_it_again_is_no_error(self) -> None:
        async with self.both() as (poster, far):
            receipts = [await poster.publish(self.post(poster, number)) for number in (1, 2)]
            await self.settle(far)
            for _ in range(2):
                await poster.delete(receipts[0].remote_id)
            await self.settle(far)
            assert [seen.remote_id for seen in await far.posts()] == [receipts[1].remote_id]

    async def test_it_tells_which_posts_people_can_still_see(self) -> None:
        async with self.both() as (poster, far):
            receipts = [await poster.publish(self.post(poster, number)) for number in (1, 2)]
            await self.settle(far)
            ids = [receipt.remote_id for receipt in receipts]
            assert sorted(await poster.exists(ids)) == sorted(ids)
            await poster.delete(ids[0])
            await self.settle(far)
            assert list(await poster.exists(ids)) == ids[1:]
            assert list(await poster.exists([])) == []

    async def test_the_cost_is_told_without_asking_anybody(self) -> None:
        async with self.both() as (poster, far):
            if "unavailable" in far.faults:
                await far.fault("unavailable")
            cost = poster.cost(self.post(poster, 1))
            assert cost is None or (cost.milli_cents > 0 and cost.words.strip())
