"""X on loopback: tokens that rotate, pictures, posts. Held against X's own specification."""

import base64
import binascii
import hashlib
import html
import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

import regex
from aiohttp import web

from fakes.faults import broken_off, lost
from fakes.openapi import specification, validating
from liveshop.connect.contract import TOKEN_PREFIX, WAIT_SECONDS
from liveshop.kernel.clock import Clock, SystemClock

SPECIFICATION = "x-api-v2.openapi.json"
BASE_URL = "https://api.x.com"
USER_ID = "2244994945"
SCOPES = "tweet.read tweet.write users.read media.write offline.access"

Fault = Literal[
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
    "no_credits",
    "shows_nothing",
    "edits_text",
]
"""Those of the contract suite, and: the account has no credits; a post is accepted and never seen;
a post is shown with another text. `half_sent` and `lost_answer` befall only requests that make or
delete a post, so that those before get through."""

_LINK = re.compile(r"https?://\S+|(?<!\S)[\w-]+\.(?:com|net|org)(?:/\S*)?")
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
_PICTURE = regex.compile(r"\p{Extended_Pictographic}|\p{RI}")
_MOST_BYTES = 5_000_000


@dataclass(slots=True)
class Media:
    id: str
    size: int
    alt: str | None = None


@dataclass(slots=True)
class StoredPost:
    id: str
    written: str
    """The text as it was sent."""
    shown: str
    """The same with short links, escaped, as the API gives it."""
    created_at: datetime
    media: list[Media]
    is_paid_partnership: bool
    links: dict[str, str] = field(default_factory=dict)
    """Short -> full."""


@dataclass(slots=True)
class _Grant:
    challenge: str
    redirect_uri: str
    client_id: str


class FakeX:
    """One account. `posts`: what people see, newest last."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.posts: dict[str, StoredPost] = {}
        self.media: dict[str, Media] = {}
        self.faults: set[Fault] = set()
        self.violations: list[str] = []
        self.requests: list[str] = []
        """Method and path of each that was understood."""
        self.access: set[str] = set()
        self.refresh: set[str] = set()
        self._used_refresh: set[str] = set()
        self._grants: dict[str, _Grant] = {}
        self._seen: set[str] = set()
        self._refused: set[str] = set()
        self._last = 1_460_000_000_000_000_000

    def fault(self, kind: Fault) -> None:
        self.faults.add(kind)
        if kind == "expired":
            self._refused |= self._seen

    def heal(self) -> None:
        self.faults.clear()
        self._refused.clear()

    def next_id(self) -> str:
        self._last += 1
        return str(self._last)

    def accepts(self, token: str) -> bool:
        self._seen.add(token)
        if "revoked" in self.faults or token in self._refused:
            return False
        return token.startswith(TOKEN_PREFIX) or token in self.access

    def store(self, text: str, media: list[Media], *, is_paid_partnership: bool) -> StoredPost:
        """A post, with its links made short."""
        post_id = self.next_id()
        links: dict[str, str] = {}

        def shorten(link: re.Match[str]) -> str:
            short = f"https://t.co/{len(self.posts):03d}{len(links):07d}"
            links[short] = link[0] if "://" in link[0] else f"http://{link[0]}"
            return short

        shown = html.escape(_LINK.sub(shorten, text), quote=False)
        if "edits_text" in self.faults:
            shown = f"{shown} (edited)"
        if media:
            short = f"https://t.co/{post_id[-10:]}"
            links[short] = f"https://x.com/shop/status/{post_id}/photo/1"
            shown = f"{shown} {short}"
        post = StoredPost(post_id, text, shown, self.clock.now(), media, is_paid_partnership, links)
        if "shows_nothing" not in self.faults:
            self.posts[post_id] = post
        return post

    def allow(self, *, client_id: str, redirect_uri: str, challenge: str) -> str:
        """A code, as if the owner of the account had agreed."""
        code = secrets.token_hex(8)
        self._grants[code] = _Grant(challenge, redirect_uri, client_id)
        return code

    def redeem(self, form: Any, client_id: str) -> dict[str, Any] | None:
        """Tokens for a code or for a refresh token, which is good once; None where it is not."""
        if form.get("grant_type") == "refresh_token":
            token = form.get("refresh_token", "")
            if token in self._used_refresh:  # a stolen one: nothing of this account is good now
                self.access.clear()
                self.refresh.clear()
            if token not in self.refresh or "revoked" in self.faults:
                return None
            self.refresh.discard(token)
            self._used_refresh.add(token)
            return self._tokens()
        grant = self._grants.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            grant is None
            or grant.challenge != challenge
            or grant.redirect_uri != form.get("redirect_uri")
            or grant.client_id != client_id
        ):
            return None
        return self._tokens()

    def _tokens(self) -> dict[str, Any]:
        access, refresh = secrets.token_hex(24), secrets.token_hex(24)
        self.access.add(access)
        self.refresh.add(refresh)
        return {
            "token_type": "bearer",
            "expires_in": 7200,
            "access_token": access,
            "refresh_token": refresh,
            "scope": SCOPES,
        }


FAKE: web.AppKey[FakeX] = web.AppKey("fake", FakeX)


def make_app(clock: Clock | None = None) -> tuple[web.Application, FakeX]:
    """Raises NoSpecification."""
    fake = FakeX(clock or SystemClock())
    described = specification(SPECIFICATION, BASE_URL)
    app = web.Application(
        middlewares=[_unwell, validating(described, fake), _guarded],
        client_max_size=8 * 1024 * 1024,
    )
    app[FAKE] = fake
    app.router.add_get("/i/oauth2/authorize", _authorize)
    app.router.add_post("/2/oauth2/token", _token)
    app.router.add_get("/2/users/me", _me)
    app.router.add_post("/2/media/upload", _upload)
    app.router.add_post("/2/media/metadata", _describe)
    app.router.add_post("/2/tweets", _create)
    app.router.add_get("/2/tweets", _lookup)
    app.router.add_delete("/2/tweets/{id}", _delete)
    app.router.add_get("/2/users/{id}/tweets", _own_posts)
    return app, fake


def weight(text: str) -> int:
    """By X's rules, in another way than ours: a link 23, emoji 2, light letters 1, else 2."""
    normal = unicodedata.normalize("NFC", text)
    links = len(_LINK.findall(normal))
    total = 23 * links
    for letter in regex.findall(r"\X", _LINK.sub("", normal)):
        if _PICTURE.search(letter):
            total += 2
        else:
            total += sum(
                1 if any(low <= ord(one) <= high for low, high in _LIGHT) else 2 for one in letter
            )
    return total


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _unwell(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: what happens to answers on their way."""
    response = await handler(request)
    faults = request.app[FAKE].faults
    if request.method == "GET" or not request.path.startswith("/2/tweets"):
        return response
    if "lost_answer" in faults:
        return await lost(request, response)
    if "half_sent" in faults and isinstance(response, web.Response):
        return await broken_off(request, response)
    return response


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Innermost: tokens, limits and outages, in the words of the specification."""
    fake = request.app[FAKE]
    if "unavailable" in fake.faults:
        return _problem(503, "Service Unavailable", "Service Unavailable")
    if "oauth2" in request.path:
        return await handler(request)
    fake.requests.append(f"{request.method} {request.path}")
    if not fake.accepts(request.headers.get("Authorization", "").removeprefix("Bearer ")):
        return _problem(401, "Unauthorized", "Unauthorized")
    if "forbidden" in fake.faults:
        return _problem(403, "Forbidden", "Your token lacks the required OAuth scopes.")
    if "no_credits" in fake.faults:
        return _problem(402, "Payment Required", "Your account has no credits.")
    if fake.faults & {"too_many", "too_many_until"}:
        response = _problem(429, "Too Many Requests", "Too Many Requests")
        if "too_many_until" in fake.faults:
            until = fake.clock.now() + timedelta(seconds=WAIT_SECONDS)
            response.headers["x-rate-limit-limit"] = "100"
            response.headers["x-rate-limit-remaining"] = "0"
            response.headers["x-rate-limit-reset"] = str(int(until.timestamp()))
        return response
    return await handler(request)


def _problem(status: int, title: str, detail: str) -> web.Response:
    """In the form Error of the specification, with the words that X really adds."""
    told = {"code": status, "message": title, "title": title, "status": status, "detail": detail}
    return web.json_response(told, status=status)


async def _authorize(request: web.Request) -> web.Response:
    """The owner of the account agrees at once."""
    asked = request.query
    if asked.get("code_challenge_method") != "S256" or asked.get("response_type") != "code":
        raise web.HTTPBadRequest
    code = request.app[FAKE].allow(
        client_id=asked["client_id"],
        redirect_uri=asked["redirect_uri"],
        challenge=asked["code_challenge"],
    )
    back = urlencode({"code": code, "state": asked["state"]})
    raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")


async def _token(request: web.Request) -> web.Response:
    form = await request.post()
    given = request.headers.get("Authorization", "")
    client_id = str(form.get("client_id", ""))
    if given.startswith("Basic "):
        try:
            client_id = base64.b64decode(given.removeprefix("Basic ")).decode().split(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return web.json_response({"error": "invalid_client"}, status=401)
    tokens = request.app[FAKE].redeem(form, client_id)
    if tokens is None:
        told = {"error": "invalid_grant", "error_description": "Value passed was invalid."}
        return web.json_response(told, status=400)
    return web.json_response(tokens)


async def _me(request: web.Request) -> web.Response:
    me = {"id": USER_ID, "name": "The Shop", "username": "shop", "protected": False}
    return web.json_response({"data": me})


async def _upload(request: web.Request) -> web.Response:
    given = await request.json()
    try:
        data = base64.b64decode(given["media"], validate=True)
    except binascii.Error:
        return _problem(400, "Invalid Request", "media is not base64.")
    if not data or len(data) > _MOST_BYTES:
        return _problem(400, "Invalid Request", "The media has a wrong size.")
    fake = request.app[FAKE]
    media = Media(fake.next_id(), len(data))
    fake.media[media.id] = media
    told = {"id": media.id, "media_key": f"3_{media.id}", "size": media.size}
    return web.json_response({"data": {**told, "expires_after_secs": 86_400}})


async def _describe(request: web.Request) -> web.Response:
    given = await request.json()
    media = request.app[FAKE].media.get(given["id"])
    if media is None:
        return _problem(404, "Not Found", "There is no such media.")
    media.alt = given["metadata"]["alt_text"]["text"]
    return web.json_response({"data": {"id": media.id, "associated_metadata": given["metadata"]}})


async def _create(request: web.Request) -> web.Response:
    fake = request.app[FAKE]
    given = await request.json()
    text = given.get("text", "")
    if weight(text) > 280:
        return _problem(403, "Forbidden", "Your post text is too long.")
    if any(one.written == text for one in fake.posts.values()):
        detail = "You are not allowed to create a Post with duplicate content."
        return _problem(403, "Forbidden", detail)
    media = [fake.media.get(one) for one in given.get("media", {}).get("media_ids", [])]
    known = [one for one in media if one is not None]
    if len(known) != len(media):
        return _problem(400, "Invalid Request", "Your media IDs are invalid.")
    post = fake.store(text, known, is_paid_partnership=given.get("paid_partnership", False))
    told = {"id": post.id, "text": post.shown, "edit_history_post_ids": [post.id]}
    return web.json_response({"data": told}, status=201)


async def _delete(request: web.Request) -> web.Response:
    if request.app[FAKE].posts.pop(request.match_info["id"], None) is None:
        return _problem(404, "Not Found", "There is no such post.")
    return web.json_response({"data": {"deleted": True}})


async def _lookup(request: web.Request) -> web.Response:
    fake = request.app[FAKE]
    ids = request.query["ids"].split(",")
    found = [_as_told(fake.posts[one], request) for one in ids if one in fake.posts]
    answer: dict[str, Any] = {"data": found} if found else {}
    if missing := [one for one in ids if one not in fake.posts]:
        answer["errors"] = [_not_found(one) for one in missing]
    return web.json_response(answer)


async def _own_posts(request: web.Request) -> web.Response:
    fake, asked = request.app[FAKE], request.query
    since = datetime.fromisoformat(asked.get("start_time", "2010-11-06T00:00:00Z"))
    newest_first = sorted(fake.posts.values(), key=lambda one: int(one.id), reverse=True)
    matching = [one for one in newest_first if one.created_at >= since.astimezone(UTC)]
    first, most = int(asked.get("pagination_token", "0")), int(asked.get("max_results", "10"))
    page = matching[first : first + most]
    meta: dict[str, Any] = {"result_count": len(page)}
    if first + most < len(matching):
        meta["next_token"] = str(first + most)
    answer: dict[str, Any] = {"meta": meta}
    if page:
        answer["data"] = [_as_told(one, request) for one in page]
    return web.json_response(answer)


def _as_told(post: StoredPost, request: web.Request) -> dict[str, Any]:
    """With the fields asked for; only id and text unless more are."""
    fields = request.query.get("post.fields", "").split(",")
    told: dict[str, Any] = {"id": post.id, "text": post.shown}
    if "created_at" in fields:
        told["created_at"] = f"{post.created_at:%Y-%m-%dT%H:%M:%S}.000Z"
    if "entities" in fields and post.links:
        told["entities"] = {"urls": [_link(post, *one) for one in post.links.items()]}
    return told


def _link(post: StoredPost, short: str, full: str) -> dict[str, Any]:
    start = post.shown.index(short)
    told: dict[str, Any] = {"start": start, "end": start + len(short)}
    told |= {"url": short, "expanded_url": full, "display_url": full.split("//")[1][:26]}
    return told | ({"media_key": f"3_{post.media[0].id}"} if "/photo/" in full else {})


def _not_found(post_id: str) -> dict[str, str]:
    return {
        "type": "https://api.x.com/2/problems/resource-not-found",
        "title": "Not Found Error",
        "detail": f"Could not find post with ids: [{post_id}].",
        "resource_type": "post",
        "resource_id": post_id,
        "parameter": "ids",
        "value": post_id,
    }
