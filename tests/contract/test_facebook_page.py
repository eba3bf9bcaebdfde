"""Facebook Pages, against a fake that knows what Meta generates for its own SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fakes.meta import PAGE_ID, FakeMeta
from meta_builders import MetaPosts, config_of, meta

from liveshop.connect import Post, Poster, PostImage
from liveshop.connect.contract import PosterContract, open_connector
from liveshop.kernel.clock import ManualClock

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


class TestFacebookPage(PosterContract):
    connector = "facebook_page"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[MetaPosts]:
        async with meta() as (url, fake):
            yield MetaPosts(self.connector, url, fake)


def written(text: str, *, key: str = "pst_1", minutes: int = 0, **more: object) -> Post:
    return replace(
        Post(
            key=key,
            kind="announce",
            text=text,
            language="en",
            created_at=START + timedelta(minutes=minutes),
        ),
        **more,  # type: ignore[arg-type]
    )


def picture(alt: str) -> PostImage:
    async def read() -> bytes:
        return b"\xff\xd8\xff\xe0" + alt.encode()

    return PostImage("https://shop.example/1.jpg", "image/jpeg", alt, 1080, 1080, read)


@asynccontextmanager
async def page(**config: object) -> AsyncIterator[tuple[Poster, FakeMeta, ManualClock]]:
    clock = ManualClock(START)
    async with meta() as (url, fake):
        fake.now = clock.now
        given = config_of("facebook_page", url, **config)
        async with open_connector("facebook_page", given, clock=clock) as poster:
            yield poster, fake, clock


async def test_a_post_without_pictures_gets_a_preview_of_its_link() -> None:
    async with page() as (poster, fake, _):
        receipt = await poster.publish(written("Tonight at 8 https://shop.example/s/1 #mugs"))
        post = fake.posts[receipt.remote_id]
        assert post["link"] == "https://shop.example/s/1"
        assert receipt.url == f"https://www.facebook.com/{receipt.remote_id}"


async def test_pictures_are_uploaded_unpublished_with_their_alt_texts() -> None:
    async with page() as (poster, fake, _):
        receipt = await poster.publish(
            written("Two mugs", images=(picture("A grey mug"), picture("A blue mug")))
        )
        assert fake.posts[receipt.remote_id]["alts"] == ("A grey mug", "A blue mug")
        assert [one["is_published"] for one in fake.photos.values()] == [False, False]
        assert [one["data"][4:] for one in fake.photos.values()] == [b"A grey mug", b"A blue mug"]


async def test_the_token_of_the_page_is_asked_for_once() -> None:
    async with page() as (poster, fake, _):
        await poster.publish(written("One"))
        await poster.publish(written("Two"))
        assert fake.calls.count(f"GET {PAGE_ID}") == 1


async def test_a_paid_partnership_names_its_sponsor() -> None:
    async with page(sponsor_page_id="777") as (poster, fake, _):
        await poster.publish(written("An advert", is_paid_partnership=True))
        await poster.publish(written("No advert"))
        assert [post["sponsor_id"] for post in fake.posts.values()] == ["777", None]


async def test_a_post_of_another_key_with_the_same_text_is_not_taken_for_this_one() -> None:
    async with page() as (poster, _, clock):
        reminder = written("In ten minutes!", key="pst_1")
        same_again = written("In ten minutes!", key="pst_2")
        clock.advance(timedelta(minutes=5))
        first = await poster.publish(reminder)
        assert await poster.find(same_again) is None
        second = await poster.publish(same_again)
        assert (await found(poster, reminder), await found(poster, same_again)) == (
            first.remote_id,
            second.remote_id,
        )


async def test_a_post_older_than_ours_is_not_ours() -> None:
    async with page() as (poster, fake, clock):
        await poster.publish(written("Good morning"))
        clock.advance(timedelta(days=1))
        assert await poster.find(written("Good morning", key="pst_2", minutes=24 * 60)) is None
        fake.posts.clear()


async def test_a_post_is_found_behind_many_newer_ones() -> None:
    async with page() as (poster, _, clock):
        post = written("The first of many")
        first = await poster.publish(post)
        for number in range(60):
            clock.advance(timedelta(seconds=1))
            await poster.publish(written(f"Number {number}", key=f"pst_{number + 2}"))
        assert await found(poster, post) == first.remote_id


async def test_a_post_hidden_by_facebook_is_not_seen_by_people() -> None:
    async with page() as (poster, fake, _):
        receipt = await poster.publish(written("One"))
        fake.posts[receipt.remote_id]["is_hidden"] = True
        assert list(await poster.exists([receipt.remote_id])) == []


async def test_a_page_that_nobody_can_see_is_told() -> None:
    async with page() as (poster, fake, _):
        fake.is_page_published = False
        (told,) = await poster.diagnose()
        assert "not published" in told


async def test_a_text_of_ours_that_facebook_edited_is_not_taken_for_the_same() -> None:
    async with page() as (poster, fake, _):
        fake.faults.edits = lambda text: text.replace("\n", " ")
        post = written("Two\nlines")
        receipt = await poster.publish(post)
        assert await found(poster, post) == receipt.remote_id  # spaces and lines are no difference
        fake.faults.edits = str.upper
        loud = written("quiet", key="pst_2")
        await poster.publish(loud)
        assert await poster.find(loud) is None


async def found(poster: Poster, post: Post) -> str | None:
    receipt = await poster.find(post)
    return receipt.remote_id if receipt else None
