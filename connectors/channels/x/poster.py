"""The connector `x`: posts with pictures and their descriptions.

X knows no key that makes a repeated post harmless; what was sent without an answer is looked for
among our own posts before it is repeated.
"""

import base64
import html
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import msgspec

from connectors.channels.x.api import UNTIL_SEEN_SECONDS, XApi, keep_headers_out_of_logs
from connectors.limits import row
from liveshop.connect import (
    ImageLimit,
    Kit,
    OAuth,
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
from liveshop.connect.texts import measure

API_URL = "https://api.x.com"
SITE_URL = "https://x.com"

_TEXT = row("x.text")
_IMAGES = row("x.images")
_IMAGE_BYTES = row("x.image_bytes")
_ALT_TEXT = row("x.alt_text")
_POSTS = row("x.posts_per_15_minutes")
_POSTS_A_DAY = row("x.posts_per_day")
_MEDIA = row("x.media_per_15_minutes")
_READS = row("x.reads_per_15_minutes")
_COST = row("x.post_millicents")
_COST_WITH_LINK = row("x.post_with_link_millicents")
_COST_OF_ALT_TEXT = row("x.alt_text_millicents")

_QUARTER_SECONDS = 900
_DAY_SECONDS = 86_400
_CLOCKS_DIFFER = timedelta(minutes=1)
_PAGE = 100
_MOST_PAGES = 32
"""X lists no more than the last 3,200 posts of an account."""
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_PICTURE_PAGE = re.compile(r"/status/\d+/(?:photo|video)/\d+$")


class XConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The app in X's developer console that the shop posts with."""

    client_id: Annotated[
        str,
        msgspec.Meta(
            title="Client ID",
            description="Of your app in X's developer console, under OAuth 2.0.",
            min_length=1,
        ),
    ]
    client_secret: Annotated[
        Secret,
        msgspec.Meta(
            title="Client secret",
            description="Of the same app. Leave it empty for an app of the type Native App.",
        ),
    ] = Secret("")
    api_url: Annotated[str, msgspec.Meta(title="Address of the API", pattern=r"^https?://\S+$")] = (
        API_URL
    )
    site_url: Annotated[
        str, msgspec.Meta(title="Address of the site", pattern=r"^https?://\S+$")
    ] = SITE_URL


class X:
    """The connector `x`."""

    name = "x"
    title = "X"
    roles: frozenset[Role] = frozenset({"poster"})
    config = XConfig
    oauth = OAuth(
        authorize_url="{site_url}/i/oauth2/authorize",
        token_url="{api_url}/2/oauth2/token",  # noqa: S106  # an address
        scopes=("tweet.read", "tweet.write", "users.read", "media.write", "offline.access"),
    )

    @asynccontextmanager
    async def open(self, config: XConfig, kit: Kit) -> AsyncIterator["XPoster"]:
        keep_headers_out_of_logs()
        yield XPoster(config, kit)


class XPoster:
    """Posts of one account. Besides what a Poster promises: `publish` raises SkipListing for a text
    that the account has posted already, which X refuses."""

    def __init__(self, config: XConfig, kit: Kit) -> None:
        self._config = config
        self._kit = kit
        self._api = XApi(kit, config.api_url)
        self._user_id: str | None = None
        self._fields = "post.fields"

    @property
    def post_limits(self) -> PostLimits:
        return PostLimits(
            text=TextLimit(self._kit.limit(_TEXT), "x_weighted"),
            images=ImageLimit(
                rendition="landscape",
                most=self._kit.limit(_IMAGES),
                max_bytes=self._kit.limit(_IMAGE_BYTES),
                media_types=("image/jpeg", "image/png", "image/webp"),
                alt=TextLimit(self._kit.limit(_ALT_TEXT)),
            ),
        )

    def cost(self, post: Post) -> PostCost:
        plain, linked = self._kit.limit(_COST), self._kit.limit(_COST_WITH_LINK)
        described = sum(1 for image in post.images if image.alt) * self._kit.limit(
            _COST_OF_ALT_TEXT
        )
        of_which = f", {_dollars(described)} of it for describing pictures" if described else ""
        if post.link is None and not _LINK.search(post.text):
            total = plain + described
            return PostCost(total, f"X charges {_dollars(total)} for this post{of_which}.")
        total = linked + described
        return PostCost(
            total,
            f"X charges {_dollars(total)} for this post{of_which}. A post with a link costs "
            f"{_dollars(linked)}, one without {_dollars(plain)}.",
        )

    async def diagnose(self) -> Iterable[str]:
        me = await self._me()
        if me.get("protected"):
            return ["The account is protected: only its followers see the posts. Open it on X."]
        return []

    async def publish(self, post: Post) -> PostReceipt:
        self._check(post)
        await self._kit.spend(_POSTS, per_seconds=_QUARTER_SECONDS)
        await self._kit.spend(_POSTS_A_DAY, per_seconds=_DAY_SECONDS)
        media_ids = [await self._upload(image) for image in post.images]
        body: dict[str, Any] = {"text": post.text}
        if media_ids:
            body["media"] = {"media_ids": media_ids}
        if post.is_paid_partnership:
            body["paid_partnership"] = True
        answer = await self._api.call("POST", "/2/tweets", json=body, is_repeatable=False)
        remote_id = _data(answer).get("id")
        if not isinstance(remote_id, str) or not remote_id:
            raise OutcomeUnknown(
                "X said that it took the post, but not which one it is.", after=UNTIL_SEEN_SECONDS
            )
        return self._receipt(remote_id)

    async def find(self, post: Post) -> PostReceipt | None:
        wanted = _comparable(post.text)
        async for theirs in self._own_posts(post.created_at - _CLOCKS_DIFFER):
            if _comparable(_as_written(theirs)) == wanted:
                return self._receipt(str(theirs["id"]))
        return None

    async def delete(self, remote_id: str) -> None:
        await self._kit.spend(_POSTS, per_seconds=_QUARTER_SECONDS)
        answer = await self._api.call("DELETE", f"/2/tweets/{remote_id}", missing_is_fine=True)
        if answer is None or _data(answer).get("deleted") is True:
            return
        if await self.exists([remote_id]):
            raise RetryLater("X did not delete the post and does not say why.")

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        there: set[str] = set()
        rest = iter(dict.fromkeys(remote_ids))
        while page := list(islice(rest, _PAGE)):
            answer = await self._read("/2/tweets", {"ids": ",".join(page)})
            there.update(str(one["id"]) for one in _items(answer))
        return [one for one in remote_ids if one in there]

    def _check(self, post: Post) -> None:
        """Before pictures are sent for nothing."""
        length, most = measure(post.text, "x_weighted"), self._kit.limit(_TEXT)
        if length > most:
            raise SkipListing(
                f"The text has {length} letters as X counts, of {most}.", field="text"
            )
        if len(post.images) > self._kit.limit(_IMAGES):
            raise SkipListing(
                f"X takes {self._kit.limit(_IMAGES)} pictures at most.", field="images"
            )

    async def _upload(self, image: PostImage) -> str:
        data = await image.read()
        most = self._kit.limit(_IMAGE_BYTES)
        if len(data) > most:
            raise SkipListing(
                f"The picture has {len(data)} bytes and X takes {most}.", field="images"
            )
        await self._kit.spend(_MEDIA, per_seconds=_QUARTER_SECONDS)
        body = {"media": base64.b64encode(data).decode(), "media_category": "tweet_image"}
        # Repeatable: X throws away pictures that belong to no post.
        answer = await self._api.call("POST", "/2/media/upload", json=body)
        media_id = _data(answer).get("id")
        if not isinstance(media_id, str) or not media_id:
            raise RetryLater("X took a picture, but did not say under which number.")
        if image.alt:
            await self._kit.spend(_MEDIA, per_seconds=_QUARTER_SECONDS)
            described = {"id": media_id, "metadata": {"alt_text": {"text": image.alt}}}
            await self._api.call("POST", "/2/media/metadata", json=described)
        return media_id

    async def _own_posts(self, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """Those from then on, newest first. Raises RetryLater where X leaves out what is needed to
        recognise one."""
        user_id = self._user_id or str((await self._me())["id"])
        params = {
            "start_time": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "max_results": str(_PAGE),
        }
        route = f"/2/users/{user_id}/tweets"
        for _ in range(_MOST_PAGES):
            answer = await self._read(route, {**params, self._fields: "created_at,entities,text"})
            posts = _items(answer)
            if any("created_at" not in one for one in posts):
                if self._fields == "tweet.fields":
                    raise RetryLater("X does not tell what is in our posts.")
                # The specification of 2026 calls it post.fields, the guides still tweet.fields.
                self._fields = "tweet.fields"
                continue
            for one in posts:
                yield one
            token = (answer.get("meta") or {}).get("next_token")
            if not token:
                return
            params["pagination_token"] = str(token)

    async def _me(self) -> Mapping[str, Any]:
        answer = await self._read("/2/users/me", {"user.fields": "protected,username"})
        me = _data(answer)
        if "id" not in me:
            raise RetryLater("X does not say which account this is.")
        self._user_id = str(me["id"])
        return me

    def _receipt(self, remote_id: str) -> PostReceipt:
        return PostReceipt(remote_id, f"{self._config.site_url}/i/web/status/{remote_id}")

    async def _read(self, route: str, params: Mapping[str, str]) -> dict[str, Any]:
        await self._kit.spend(_READS, per_seconds=_QUARTER_SECONDS)
        try:
            return await self._api.call("GET", route, params=params) or {}
        except SkipListing as error:
            if "post.fields" not in params or "post.fields" not in error.detail:
                raise
        self._fields = "tweet.fields"
        renamed = {name.replace("post.fields", self._fields): params[name] for name in params}
        return await self._api.call("GET", route, params=renamed) or {}


def _data(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = (answer or {}).get("data")
    return found if isinstance(found, dict) else {}


def _items(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What stands under `data`; X leaves it out where there is nothing."""
    found = answer.get("data")
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict) and "id" in one]


def _as_written(theirs: Mapping[str, Any]) -> str:
    """The text of a post as it was before X shortened its links, escaped it and added the address
    of its pictures."""
    text = html.unescape(str(theirs.get("text", "")))
    entities = theirs.get("entities")
    links = entities.get("urls") if isinstance(entities, dict) else None
    for one in links or ():
        short, full = one.get("url"), one.get("expanded_url")
        if not short or not full:
            continue
        is_picture = one.get("media_key") is not None or _PICTURE_PAGE.search(full)
        text = text.replace(short, "" if is_picture else full)
    return text


def _comparable(text: str) -> str:
    """The same for two texts that differ only by what X does to blanks, and to links: it gives them
    a scheme and may write them a little differently."""
    plain = _LINK.sub(
        lambda link: link[0].partition("://")[2].rstrip("/"), unicodedata.normalize("NFC", text)
    )
    return " ".join(plain.casefold().split())


def _dollars(millicents: int) -> str:
    return f"${millicents / 100_000:.3f}"
