"""The connector `bluesky`: posts with pictures, links and hashtags, through atproto.

The key of a record is made from the post's own key, so a post is looked for by its address, and
sending it twice cannot make two.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any

from atproto_client import AsyncClient, models
from atproto_client.exceptions import RequestErrorBase
from atproto_client.utils.facet_detection import detect_facets
from atproto_core.uri import AtUri

from connectors.channels.bluesky.session import Account, BlueskyConfig, name_of
from connectors.limits import row
from liveshop.connect import (
    ImageLimit,
    Kit,
    Post,
    PostCost,
    PostImage,
    PostLimits,
    PostReceipt,
    Role,
    SkipListing,
    TextLimit,
)
from liveshop.connect.texts import cut, measure
from liveshop.kernel.clock import rfc3339

SITE_URL = "https://bsky.app"
COLLECTION = "app.bsky.feed.post"

_TEXT = row("bluesky.text")
_TEXT_BYTES = row("bluesky.text_bytes")
_IMAGES = row("bluesky.images")
_IMAGE_BYTES = row("bluesky.image_bytes")
_ALT_TEXT = row("bluesky.alt_text")
_WRITES = row("bluesky.writes_per_hour")

_HOUR_SECONDS = 3600
_CARD_TITLE = TextLimit(120, "graphemes")
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"


class Bluesky:
    """The connector `bluesky`."""

    name = "bluesky"
    title = "Bluesky"
    roles: frozenset[Role] = frozenset({"poster"})
    config = BlueskyConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: BlueskyConfig, kit: Kit) -> AsyncIterator["BlueskyPoster"]:
        yield BlueskyPoster(config, kit)


class BlueskyPoster:
    """Posts of one account. `publish` may be repeated: a post that is there is not made again."""

    def __init__(self, config: BlueskyConfig, kit: Kit) -> None:
        self._kit = kit
        self._account = Account(config, kit)

    @property
    def post_limits(self) -> PostLimits:
        return PostLimits(
            text=TextLimit(self._kit.limit(_TEXT), "graphemes"),
            images=ImageLimit(
                rendition="landscape",
                most=self._kit.limit(_IMAGES),
                max_bytes=self._kit.limit(_IMAGE_BYTES),
                media_types=("image/jpeg", "image/png", "image/webp"),
                alt=TextLimit(self._kit.limit(_ALT_TEXT), "graphemes"),
            ),
        )

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def diagnose(self) -> Iterable[str]:
        found = await self._account.call(lambda client: client.com.atproto.server.get_session())
        if found.active is False:
            return [f"The account is not active ({found.status or 'no reason given'})."]
        return []

    async def publish(self, post: Post) -> PostReceipt:
        self._check(post)
        if (there := await self.find(post)) is not None:
            return there
        embed = await self._embed(post)
        record = models.AppBskyFeedPost.Record(
            text=post.text,
            created_at=rfc3339(self._kit.clock.now()),
            langs=[post.language],
            facets=detect_facets(post.text) or None,
            embed=embed,
        )
        await self._kit.spend(_WRITES, per_seconds=_HOUR_SECONDS)
        key = record_key(post)
        made = await self._account.call(
            lambda client: client.com.atproto.repo.create_record(
                models.ComAtprotoRepoCreateRecord.Data(
                    repo=self._account.did, collection=COLLECTION, rkey=key, record=record
                )
            ),
            is_repeatable=False,
        )
        return self._receipt(made.uri)

    async def find(self, post: Post) -> PostReceipt | None:
        uri = await self._uri_there(record_key(post))
        return None if uri is None else self._receipt(uri)

    async def delete(self, remote_id: str) -> None:
        key = AtUri.from_str(remote_id).rkey
        await self._kit.spend(_WRITES, per_seconds=_HOUR_SECONDS)
        await self._account.call(
            lambda client: client.com.atproto.repo.delete_record(
                models.ComAtprotoRepoDeleteRecord.Data(
                    repo=self._account.did, collection=COLLECTION, rkey=key
                )
            )
        )

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        return [
            one for one in remote_ids if await self._uri_there(AtUri.from_str(one).rkey) is not None
        ]

    def _check(self, post: Post) -> None:
        """Before pictures are sent for nothing."""
        for limit in (
            self.post_limits.text,
            TextLimit(self._kit.limit(_TEXT_BYTES), "bytes"),
        ):
            length = measure(post.text, limit.unit)
            if length > limit.most:
                raise SkipListing(
                    f"The text has {length} {limit.unit}, of {limit.most} that Bluesky takes.",
                    field="text",
                )
        if len(post.images) > self._kit.limit(_IMAGES):
            raise SkipListing(
                f"Bluesky takes {self._kit.limit(_IMAGES)} pictures at most.", field="images"
            )

    async def _embed(self, post: Post) -> Any:
        """Pictures, or else a card for the link."""
        if post.images:
            return models.AppBskyEmbedImages.Main(
                images=[await self._uploaded(image) for image in post.images]
            )
        found = _LINK.search(post.text)
        link = post.link or (found[0] if found else None)
        if link is None:
            return None
        lines = _LINK.sub("", post.text).split("\n")
        title = next((line.strip() for line in lines if line.strip()), link)
        return models.AppBskyEmbedExternal.Main(
            external=models.AppBskyEmbedExternal.External(
                uri=link, title=cut(title, _CARD_TITLE), description=""
            )
        )

    async def _uploaded(self, image: PostImage) -> Any:
        data = await image.read()
        most = self._kit.limit(_IMAGE_BYTES)
        if len(data) > most:
            raise SkipListing(
                f"The picture has {len(data)} bytes and Bluesky takes {most}.", field="images"
            )
        headers = {"Content-Type": image.media_type}
        uploaded = await self._account.call(
            lambda client: client.com.atproto.repo.upload_blob(data, headers=headers)
        )
        return models.AppBskyEmbedImages.Image(
            image=uploaded.blob,
            alt=image.alt,
            aspect_ratio=models.AppBskyEmbedDefs.AspectRatio(
                width=image.width, height=image.height
            ),
        )

    async def _uri_there(self, key: str) -> str | None:
        """The address of the record with this key; None where there is none."""

        async def get(client: AsyncClient) -> str | None:
            params = models.ComAtprotoRepoGetRecord.Params(
                repo=self._account.did, collection=COLLECTION, rkey=key
            )
            try:
                found = await client.com.atproto.repo.get_record(params)
            except RequestErrorBase as error:
                if name_of(error) == "RecordNotFound":
                    return None
                raise
            return str(found.uri)

        return await self._account.call(get)

    def _receipt(self, uri: str) -> PostReceipt:
        found = AtUri.from_str(uri)
        return PostReceipt(uri, f"{SITE_URL}/profile/{found.hostname}/post/{found.rkey}")


def record_key(post: Post) -> str:
    """The record's key: a TID, as the lexicon demands, the same for the same post.

    The second is the post's own; microseconds and clock id come from its key, 30 bits in all, since
    several posts may be made in one moment. https://atproto.com/specs/tid
    """
    digest = int.from_bytes(hashlib.sha256(post.key.encode()).digest()[:8])
    microseconds = int(post.created_at.astimezone(UTC).timestamp()) * 1_000_000
    number = (microseconds + digest % 1_000_000) << 10 | digest >> 54
    return "".join(_SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))
