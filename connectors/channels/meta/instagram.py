"""Posts on Instagram: pictures with a caption. First a container, then its publication.

The container's id is stored before it is published. It makes publishing repeatable: a process that
died asks the container whether it was published, and goes on where the other stopped.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from connectors.channels.meta.errors import NotThere
from connectors.channels.meta.graph import (
    OFFICIAL_URL,
    UNPROVEN,
    VERSION,
    AccessToken,
    ApiUrl,
    ApiVersion,
    AppSecret,
    Graph,
)
from connectors.channels.meta.recent import Recent
from connectors.limits import row
from liveshop.connect import (
    ImageLimit,
    Kit,
    OutcomeUnknown,
    Post,
    PostCost,
    PostImage,
    PostLimits,
    PostReceipt,
    RetryLater,
    Role,
    Secret,
    SkipListing,
    TextLimit,
)

_CAPTION = row("instagram.caption")
_HASHTAGS = row("instagram.hashtags")
_IMAGES = row("instagram.images")
_IMAGE_BYTES = row("instagram.image_bytes")
_ALT_TEXT = row("instagram.alt_text")
_POSTS_PER_DAY = row("instagram.posts_per_day")
_PERMISSIONS = ("instagram_basic", "instagram_content_publish", "pages_read_engagement")
_LOOKS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds between looks at a container that is being made. Meta asks for no more than one look a
minute for five minutes; pictures are done within seconds."""
_CLOCKS_APART = timedelta(minutes=1)
_WHEN_FULL_SECONDS = 3600.0

_USELESS = frozenset({"EXPIRED", "ERROR", "GONE"})


class InstagramConfig(msgspec.Struct, frozen=True, kw_only=True):
    account_id: Annotated[
        str,
        msgspec.Meta(
            title="Instagram account id",
            description="Of the professional account, as the business settings show it.",
            pattern=r"^\d{1,30}$",
        ),
    ]
    access_token: AccessToken
    shape: Annotated[
        Literal["portrait", "square"],
        msgspec.Meta(title="Shape of pictures", description="Portrait fills more of the screen."),
    ] = "portrait"
    app_secret: AppSecret = Secret("")
    version: ApiVersion = VERSION
    api_url: ApiUrl = OFFICIAL_URL


class Instagram:
    name = "instagram"
    title = "Instagram"
    roles: frozenset[Role] = frozenset({"poster"})
    config = InstagramConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: InstagramConfig, kit: Kit) -> AsyncIterator["InstagramPoster"]:
        poster = InstagramPoster(config, kit)
        try:
            yield poster
        finally:
            await poster.close()


class InstagramPoster:
    """A `Poster` for one professional account."""

    def __init__(self, config: InstagramConfig, kit: Kit) -> None:
        self._account = config.account_id
        self._has_app_secret = bool(config.app_secret)
        self._kit = kit
        self._containers = Recent(kit.memory, "containers")  # our key -> container id
        self._graph = Graph(config, kit, permissions=_PERMISSIONS)
        self._limits = PostLimits(
            text=TextLimit(kit.limit(_CAPTION)),
            images=ImageLimit(
                config.shape,
                most=kit.limit(_IMAGES),
                max_bytes=kit.limit(_IMAGE_BYTES),
                alt=TextLimit(kit.limit(_ALT_TEXT)),
            ),
            link="none",
            max_hashtags=kit.limit(_HASHTAGS),
            needs_image=True,
        )

    @property
    def post_limits(self) -> PostLimits:
        return self._limits

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def diagnose(self) -> Iterable[str]:
        account = await self._graph.get(self._account, fields="id,username")
        used, allowed = await self._allowance()
        told: list[str] = []
        if used >= allowed:
            told.append(
                f"The account {account.get('username', self._account)} has made the {allowed} "
                "posts that Instagram allows in 24 hours. Further posts wait."
            )
        if not self._has_app_secret:
            told.append(UNPROVEN)
        return told

    async def publish(self, post: Post) -> PostReceipt:
        if not post.images:
            raise SkipListing("Instagram takes no post without a picture.", field="images")
        if len(post.text) > self._limits.text.most:
            raise SkipListing("The text is longer than Instagram takes.", field="text")
        container = (await self._containers.all()).get(post.key)
        state = await self._state(container) if container is not None else "GONE"
        if state == "PUBLISHED":
            raise OutcomeUnknown("This was published before; it has to be looked for.")
        used, allowed = await self._allowance()
        if used >= allowed:
            raise RetryLater(
                f"Instagram allows {allowed} posts in 24 hours, and they are used up.",
                after=_WHEN_FULL_SECONDS,
            )
        if container is None or state in _USELESS:
            container = await self._make_container(post)
            await self._containers.put(post.key, container)
        if state != "FINISHED":
            await self._until_ready(container)
        answer = await self._graph.post(
            f"{self._account}/media_publish", {"creation_id": container}, is_repeatable=False
        )
        remote_id = str(answer["id"])
        return PostReceipt(remote_id, await self._address(remote_id))

    async def find(self, post: Post) -> PostReceipt | None:
        container = (await self._containers.all()).get(post.key)
        state = await self._state(container) if container is not None else None
        if state not in {"PUBLISHED", "GONE", None}:
            return None  # nothing but a published container can have become a post
        oldest = post.created_at - _CLOCKS_APART
        answer = await self._graph.get(
            f"{self._account}/media",
            fields="id,caption,timestamp,permalink",
            since=int(oldest.timestamp()),
        )
        for entry in answer.get("data", []):
            is_recent = datetime.fromisoformat(entry["timestamp"]) >= oldest
            if is_recent and str(entry.get("caption", "")).split() == post.text.split():
                return PostReceipt(entry["id"], entry.get("permalink"))
        if state == "PUBLISHED":
            raise RetryLater("Instagram published the post but does not list it yet.", after=60)
        return None

    async def delete(self, remote_id: str) -> None:
        try:
            await self._graph.delete(remote_id)
        except NotThere:
            return

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        seen = await asyncio.gather(*(self._is_seen(one) for one in remote_ids))
        return [one for one, is_seen in zip(remote_ids, seen, strict=True) if is_seen]

    async def close(self) -> None:
        await self._graph.close()

    async def _make_container(self, post: Post) -> str:
        params: dict[str, object] = {"caption": post.text}
        if post.is_paid_partnership:
            params["is_paid_partnership"] = True
        if len(post.images) == 1:
            return await self._container({**params, **_picture(post.images[0])})
        children = [
            await self._container({"is_carousel_item": True, **_picture(image)})
            for image in post.images
        ]
        for child in children:
            await self._until_ready(child)
        return await self._container({**params, "media_type": "CAROUSEL", "children": children})

    async def _container(self, params: Mapping[str, object]) -> str:
        """Seen by nobody until it is published, so it may be made twice."""
        answer = await self._graph.post(f"{self._account}/media", params, is_repeatable=True)
        return str(answer["id"])

    async def _until_ready(self, container: str) -> None:
        for seconds in _LOOKS:
            if seconds:
                await asyncio.sleep(seconds)
            state = await self._state(container)
            if state in {"FINISHED", "PUBLISHED"}:
                return
            if state == "ERROR":
                raise SkipListing(
                    "Instagram could not make a post of the picture. It must be a JPEG that "
                    "anybody on the internet can load.",
                    field="images",
                )
            if state != "IN_PROGRESS":
                break
        raise RetryLater("Instagram is not done with the picture yet.", after=30)

    async def _state(self, container: str) -> str:
        """FINISHED, IN_PROGRESS, PUBLISHED, EXPIRED, ERROR, or our GONE."""
        try:
            answer = await self._graph.get(container, fields="status_code")
        except NotThere:
            return "GONE"
        return str(answer.get("status_code", "IN_PROGRESS"))

    async def _allowance(self) -> tuple[int, int]:
        """(used, allowed) in 24 hours, as Instagram itself counts; the documents disagree."""
        answer = await self._graph.get(
            f"{self._account}/content_publishing_limit", fields="config,quota_usage"
        )
        entry: Mapping[str, Any] = next(iter(answer.get("data", [])), {})
        config: Mapping[str, Any] = entry.get("config") or {}
        allowed = config.get("quota_total", self._kit.limit(_POSTS_PER_DAY))
        return int(entry.get("quota_usage", 0)), int(allowed)

    async def _address(self, remote_id: str) -> str | None:
        """The post is made; that its address is not told now is no reason to fail."""
        try:
            media = await self._graph.get(remote_id, fields="permalink")
        except (RetryLater, SkipListing):
            return None
        permalink = media.get("permalink")
        return permalink if isinstance(permalink, str) else None

    async def _is_seen(self, remote_id: str) -> bool:
        try:
            await self._graph.get(remote_id, fields="id")
        except NotThere:
            return False
        return True


def _picture(image: PostImage) -> dict[str, object]:
    return {"image_url": image.url, **({"alt_text": image.alt} if image.alt else {})}
