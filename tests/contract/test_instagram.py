"""Instagram, against a fake that knows what Meta generates for its own SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes.meta import ACCOUNT_ID, FakeMeta
from meta_builders import MetaPosts, config_of, meta

from liveshop.connect import (
    Memory,
    OutcomeUnknown,
    Post,
    Poster,
    PostImage,
    RetryLater,
    SkipListing,
)
from liveshop.connect.contract import DictMemory, PosterContract, open_connector
from liveshop.kernel.clock import ManualClock

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


class TestInstagram(PosterContract):
    connector = "instagram"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[MetaPosts]:
        async with meta() as (url, fake):
            yield MetaPosts(self.connector, url, fake)


def written(
    text: str = "Tonight", *, key: str = "pst_1", pictures: int = 1, **more: object
) -> Post:
    async def read() -> bytes:
        raise AssertionError("Instagram loads pictures itself")

    images = tuple(
        PostImage(f"https://shop.example/{n}.jpg", "image/jpeg", f"Mug {n}", 1080, 1350, read)
        for n in range(pictures)
    )
    post = Post(key=key, kind="announce", text=text, language="en", created_at=START, images=images)
    return replace(post, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def instagram(url: str, memory: Memory | None = None) -> AsyncIterator[Poster]:
    async with open_connector(
        "instagram", config_of("instagram", url), clock=ManualClock(START), memory=memory
    ) as poster:
        yield poster


def made(fake: FakeMeta, edge: str) -> int:
    return fake.calls.count(f"POST {ACCOUNT_ID}/{edge}")


async def test_a_process_that_was_killed_before_publishing_goes_on_with_its_container() -> None:
    memory = DictMemory()
    async with meta() as (url, fake):
        fake.faults.everything, fake.faults.only_for = "unavailable", "media_publish"
        async with instagram(url, memory) as poster:
            with pytest.raises(OutcomeUnknown):
                await poster.publish(written())
        fake.faults.everything = None
        async with instagram(url, memory) as poster:
            assert await poster.find(written()) is None
            await poster.publish(written())
        assert made(fake, "media") == 1
        assert len(fake.media) == 1


async def test_a_process_that_was_killed_after_publishing_finds_its_post() -> None:
    memory = DictMemory()
    async with meta() as (url, fake):
        fake.faults.everything, fake.faults.only_for = "lost_answer", "media_publish"
        async with instagram(url, memory) as poster:
            with pytest.raises(OutcomeUnknown):
                await poster.publish(written())
        fake.faults.everything = None
        async with instagram(url, memory) as poster:
            with pytest.raises(OutcomeUnknown):  # who repeats without looking gets no second post
                await poster.publish(written())
            receipt = await poster.find(written())
        assert receipt is not None
        assert list(fake.media) == [receipt.remote_id]


async def test_a_published_post_that_is_not_listed_yet_is_looked_for_later() -> None:
    async with meta() as (url, fake), instagram(url) as poster:
        await poster.publish(written())
        fake.media.clear()
        with pytest.raises(RetryLater):
            await poster.find(written())


async def test_several_pictures_become_a_carousel_with_their_alt_texts() -> None:
    async with meta() as (url, fake), instagram(url) as poster:
        receipt = await poster.publish(written(pictures=3, is_paid_partnership=True))
        post = fake.media[receipt.remote_id]
        assert post["alts"] == ("Mug 0", "Mug 1", "Mug 2")
        assert post["is_paid"]
        assert receipt.url == post["permalink"]


async def test_a_used_up_day_waits_and_makes_nothing() -> None:
    async with meta() as (url, fake), instagram(url) as poster:
        fake.faults.quota_total = 1
        await poster.publish(written("One"))
        with pytest.raises(RetryLater) as full:
            await poster.publish(written("Two", key="pst_2"))
        assert full.value.after is not None
        assert made(fake, "media") == 1
        (told,) = await poster.diagnose()
        assert "24 hours" in told


async def test_a_picture_that_instagram_cannot_use_is_told_and_may_be_tried_anew() -> None:
    async with meta() as (url, fake), instagram(url) as poster:
        fake.faults.spoils_pictures = True
        with pytest.raises(SkipListing) as refused:
            await poster.publish(written())
        assert refused.value.field == "images"
        fake.faults.spoils_pictures = False
        await poster.publish(written())
        assert made(fake, "media") == 2
        assert len(fake.media) == 1


async def test_a_container_that_takes_long_is_waited_for_by_coming_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.channels.meta.instagram._LOOKS", (0.0,))
    async with meta() as (url, fake), instagram(url) as poster:
        fake.faults.looks_until_done = 3
        for _ in range(2):
            with pytest.raises(RetryLater):
                await poster.publish(written())
        await poster.publish(written())
        assert made(fake, "media") == 1
        assert len(fake.media) == 1


async def test_an_expired_container_is_replaced() -> None:
    memory = DictMemory()
    async with meta() as (url, fake), instagram(url, memory) as poster:
        fake.faults.everything, fake.faults.only_for = "unavailable", "media_publish"
        with pytest.raises(OutcomeUnknown):
            await poster.publish(written())
        fake.faults.everything = None
        for container in fake.containers.values():
            container["status_code"] = "EXPIRED"
        await poster.publish(written())
        assert made(fake, "media") == 2
        assert len(fake.media) == 1
