"""Posts on a Facebook Page: a text with its link, or with pictures and their alt texts.

Facebook knows no key that would make a post repeatable. After a time-out we look among the Page's
own posts; which of those are already known to be another post's stands in the connection's memory.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

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
    Post,
    PostCost,
    PostImage,
    PostLimits,
    PostReceipt,
    Role,
    Secret,
    SkipListing,
    TextLimit,
)

_TEXT = row("facebook.text")
_IMAGES = row("facebook.images")
_IMAGE_BYTES = row("facebook.image_bytes")
_ALT_TEXT = row("facebook.alt_text")
_PERMISSIONS = ("pages_manage_posts", "pages_read_engagement")
_CLOCKS_APART = timedelta(minutes=1)
_PAGE_OF_POSTS = 50


class PageConfig(msgspec.Struct, frozen=True, kw_only=True):
    page_id: Annotated[
        str,
        msgspec.Meta(
            title="Page id",
            description="The number of the Page: About, Page transparency.",
            pattern=r"^\d{1,30}$",
        ),
    ]
    access_token: AccessToken
    sponsor_page_id: Annotated[
        str,
        msgspec.Meta(
            title="Page id of a sponsor",
            description="Named by Facebook on posts marked as paid partnership.",
            pattern=r"^\d{0,30}$",
        ),
    ] = ""
    app_secret: AppSecret = Secret("")
    version: ApiVersion = VERSION
    api_url: ApiUrl = OFFICIAL_URL


class FacebookPage:
    name = "facebook_page"
    title = "Facebook Page"
    roles: frozenset[Role] = frozenset({"poster"})
    config = PageConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: PageConfig, kit: Kit) -> AsyncIterator["PagePoster"]:
        poster = PagePoster(config, kit)
        try:
            yield poster
        finally:
            await poster.close()


class PagePoster:
    """A `Poster` for one Page."""

    def __init__(self, config: PageConfig, kit: Kit) -> None:
        self._config = config
        self._sent = Recent(kit.memory, "sent")  # remote id -> our key
        self._given = Graph(config, kit, permissions=_PERMISSIONS)
        self._as_page: Graph | None = None
        self._limits = PostLimits(
            text=TextLimit(kit.limit(_TEXT)),
            images=ImageLimit(
                "square",
                most=kit.limit(_IMAGES),
                max_bytes=kit.limit(_IMAGE_BYTES),
                alt=TextLimit(kit.limit(_ALT_TEXT)),
            ),
            link="in_text",
        )

    @property
    def post_limits(self) -> PostLimits:
        return self._limits

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def diagnose(self) -> Iterable[str]:
        graph = await self._graph()
        page = await graph.get(self._config.page_id, fields="id,name,is_published")
        told: list[str] = []
        if page.get("is_published") is False:
            told.append(
                f"The Page {page.get('name', self._config.page_id)} is not published: nobody sees "
                "its posts. Publish it in its settings."
            )
        if not self._config.app_secret:
            told.append(UNPROVEN)
        return told

    async def publish(self, post: Post) -> PostReceipt:
        if len(post.text) > self._limits.text.most:
            raise SkipListing("The text is longer than Facebook takes.", field="text")
        graph = await self._graph()
        params: dict[str, object] = {"message": post.text}
        if post.images:
            pictures = [await self._upload(graph, image) for image in post.images]
            params["attached_media"] = [{"media_fbid": picture} for picture in pictures]
        elif link := post.link or _first_link(post.text):
            params["link"] = link
        if post.is_paid_partnership and self._config.sponsor_page_id:
            params["sponsor_id"] = self._config.sponsor_page_id
        answer = await graph.post(f"{self._config.page_id}/feed", params, is_repeatable=False)
        remote_id = str(answer["id"])
        await self._sent.put(remote_id, post.key)
        return PostReceipt(remote_id, _address(remote_id))

    async def find(self, post: Post) -> PostReceipt | None:
        known = await self._sent.all()
        graph = await self._graph()
        oldest = post.created_at - _CLOCKS_APART
        async for entry in _newest_first(graph, f"{self._config.page_id}/published_posts"):
            if datetime.fromisoformat(entry["created_time"]) < oldest:
                return None
            is_others = known.get(entry["id"], post.key) != post.key
            if not is_others and _same(entry.get("message", ""), post.text):
                return PostReceipt(entry["id"], entry.get("permalink_url") or None)
        return None

    async def delete(self, remote_id: str) -> None:
        graph = await self._graph()
        try:
            await graph.delete(remote_id)
        except NotThere:
            return

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        graph = await self._graph()
        seen = await asyncio.gather(*(_is_seen(graph, one) for one in remote_ids))
        return [one for one, is_seen in zip(remote_ids, seen, strict=True) if is_seen]

    async def close(self) -> None:
        await self._given.close()
        if self._as_page is not None:
            await self._as_page.close()

    async def _graph(self) -> Graph:
        """With the Page's own token: only with that do posts appear as the Page's. It is what the
        Page itself tells to those who may post there."""
        if self._as_page is None:
            page = await self._given.get(self._config.page_id, fields="access_token")
            token = page.get("access_token")
            self._as_page = self._given.with_token(
                Secret(token) if isinstance(token, str) else self._config.access_token
            )
        return self._as_page

    async def _upload(self, graph: Graph, image: PostImage) -> str:
        """Unpublished: it is seen only in the post that names it, so it may be repeated."""
        params: dict[str, object] = {"published": False}
        if image.alt:
            params["alt_text_custom"] = image.alt
        photo = await graph.post(
            f"{self._config.page_id}/photos",
            params,
            is_repeatable=True,
            parts={"source": ("picture.jpg", await image.read())},
        )
        return str(photo["id"])


async def _newest_first(graph: Graph, path: str) -> AsyncIterator[Mapping[str, Any]]:
    after: dict[str, object] = {}
    while True:
        answer = await graph.get(
            path,
            fields="id,message,created_time,permalink_url",
            limit=_PAGE_OF_POSTS,
            **after,
        )
        for entry in answer.get("data", []):
            yield entry
        paging = answer.get("paging", {})
        if "next" not in paging:
            return
        after = {"after": paging["cursors"]["after"]}


async def _is_seen(graph: Graph, remote_id: str) -> bool:
    try:
        post = await graph.get(remote_id, fields="id,is_published,is_hidden")
    except NotThere:
        return False
    return post.get("is_published") is not False and post.get("is_hidden") is not True


def _first_link(text: str) -> str | None:
    """For the preview: Facebook makes one of the field `link` only, not of the text."""
    return next((word for word in text.split() if word.startswith(("https://", "http://"))), None)


def _same(theirs: str, ours: str) -> bool:
    return theirs.split() == ours.split()


def _address(remote_id: str) -> str:
    return f"https://www.facebook.com/{remote_id}"
