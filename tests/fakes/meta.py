"""Meta's Graph API on loopback: a Page, an Instagram account and a catalog.

Every request and answer is held against what Meta generates for its own SDK (`meta_spec`). A token
in an address or a body, a wrong proof, or a name that Meta does not know is a violation. By hand,
connect with `USER_TOKEN`, `APP_SECRET` and the ids below.
"""

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from facebook_business.adobjects.igmedia import IGMedia
from facebook_business.adobjects.iguser import IGUser
from facebook_business.adobjects.page import Page
from facebook_business.adobjects.pagepost import PagePost
from facebook_business.adobjects.productcatalog import ProductCatalog
from facebook_business.adobjects.shadowigmediabuilder import ShadowIGMediaBuilder

from fakes import meta_spec as spec

VERSION = "v26.0"
PAGE_ID, ACCOUNT_ID, CATALOG_ID = "1021", "17841400000000001", "3300"
USER_TOKEN = "EAAfakeSystemUserToken0123456789"
PAGE_TOKEN = "EAAfakePageToken9876543210fedcba"
APP_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_NEEDED = ("title", "description", "availability", "condition", "price", "link", "image_link")


@dataclass
class Faults:
    """What goes wrong. `everything`: on each request until it is None again."""

    everything: str | None = None
    """expired, revoked, forbidden, too_many, too_many_until, unavailable, no_json, half_sent,
    lost_answer, spam."""
    only_for: str = ""
    """Of `everything`: only calls whose path ends so."""
    refused_items: dict[str, str] = field(default_factory=dict)
    """Retailer id -> why it is refused, told when the batch is done."""
    refused_at_once: dict[str, str] = field(default_factory=dict)
    """The same, told in the answer to the batch."""
    looks_until_done: int = 0
    """How often a batch or a container is still being worked on when looked at."""
    spoils_batches: str | None = None
    """A batch that holds this retailer id is refused as a whole."""
    most_entries: int | None = None
    """More requests in one batch are too large."""
    shows_nothing: bool = False
    """Batches succeed and nothing comes of them."""
    edits: Callable[[str], str] | None = None
    """What the channel makes of our titles and texts."""
    usage: dict[str, object] | None = None
    """The value of `X-Business-Use-Case-Usage`."""
    spoils_pictures: bool = False
    undeletable: set[str] = field(default_factory=set)
    quota_total: int = 100


@dataclass
class FakeMeta:
    """The state. `raw` of an item is the data as it was sent."""

    faults: Faults = field(default_factory=Faults)
    violations: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """`POST 1021/feed`, in order."""
    addresses: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    photos: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    media: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_page_published: bool = True
    requires_proof: bool = True
    vertical: str = "commerce"
    most_per_page: int = 1000
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100_001))

    def number(self) -> str:
        return str(next(self._numbers))

    def visible_items(self) -> list[dict[str, Any]]:
        return [one for one in self.raw.values() if one.get("visibility") != "staging"]


class _Refused(Exception):
    """An answer of Meta's with an `error`."""

    def __init__(
        self, code: int, message: str, *, subcode: int | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {
            "message": message,
            "type": "OAuthException",
            "code": code,
            "fbtrace_id": "AbCdEfGhIjK",
        }
        if subcode is not None:
            self.error["error_subcode"] = subcode


def _not_there() -> _Refused:
    return _Refused(100, "Unsupported request. Object does not exist.", subcode=33)


_Handler = Callable[[FakeMeta, str, dict[str, Any]], object]
_STATE: web.AppKey[FakeMeta] = web.AppKey("state", FakeMeta)


def make_app() -> tuple[web.Application, FakeMeta]:
    fake = FakeMeta()
    app = web.Application(client_max_size=40_000_000)
    app[_STATE] = fake
    app.router.add_route("*", "/{version}/{node}", _serve)
    app.router.add_route("*", "/{version}/{node}/{edge}", _serve)
    return app, fake


async def _serve(request: web.Request) -> web.StreamResponse:
    fake = request.app[_STATE]
    node, edge = request.match_info["node"], request.match_info.get("edge", "")
    path = f"{node}/{edge}".rstrip("/")
    fake.calls.append(f"{request.method} {path}")
    fake.addresses.append(str(request.url))
    is_hit = path.endswith(fake.faults.only_for)
    fault = fake.faults.everything if is_hit else None
    if (early := _early_fault(fault)) is not None:
        return early
    try:
        params = await _params(request)
        _check_access(fake, request, params)
        if fault in _REFUSALS:
            raise _REFUSALS[fault]()
        answer, problems = _answer(fake, request, node, edge, params)
        status = 200
    except _Refused as refused:
        answer, problems, status = {"error": refused.error}, [], refused.status
    if request.match_info["version"] != VERSION:
        problems.append(f"{path}: version {request.match_info['version']}")
    if problems:
        fake.violations.extend(problems)
        return web.Response(status=599, text="\n".join(problems))
    return await _send(request, fake, answer, status=status, fault=fault)


def _early_fault(fault: str | None) -> web.Response | None:
    if fault == "unavailable":
        error = {"message": "An unexpected error has occurred.", "code": 2, "is_transient": True}
        return web.json_response({"error": error}, status=500)
    if fault == "no_json":
        return web.Response(status=503, text="<html>Sorry</html>", content_type="text/html")
    return None


_REFUSALS: Mapping[str | None, Callable[[], _Refused]] = {
    "expired": lambda: _Refused(
        190, "Error validating access token: Session has expired", subcode=463, status=401
    ),
    "revoked": lambda: _Refused(
        190, f"Error validating access token {USER_TOKEN}: removed", subcode=458, status=401
    ),
    "forbidden": lambda: _Refused(
        200, "(#200) Requires catalog_management or pages_manage_posts permission", status=403
    ),
    "too_many": lambda: _Refused(4, "(#4) Application request limit reached", status=403),
    "too_many_until": lambda: _Refused(80014, "There have been too many calls", status=400),
    "spam": lambda: _Refused(368, "The action attempted has been deemed abusive"),
}


async def _params(request: web.Request) -> dict[str, Any]:
    """Texts, and `FileField` for what came as a file."""
    params: dict[str, Any] = dict(request.query)
    if request.method == "POST":
        params.update(await request.post())
    return params


def _check_access(fake: FakeMeta, request: web.Request, params: dict[str, Any]) -> None:
    for token in (USER_TOKEN, PAGE_TOKEN):
        if token in str(request.url) or token in params.values():
            fake.violations.append("a token outside of the header")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or token not in {USER_TOKEN, PAGE_TOKEN}:
        raise _Refused(190, "Invalid OAuth access token.", status=401)
    expected = hmac.new(APP_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
    given = params.pop("appsecret_proof", None)
    params["_is_page"] = token == PAGE_TOKEN
    if given is None and not fake.requires_proof:
        return
    if given is None:
        raise _Refused(100, "API calls from the server require an appsecret_proof argument")
    if given != expected:
        fake.violations.append("a wrong appsecret_proof")
        raise _Refused(100, "Invalid appsecret_proof provided in the API argument")


def _answer(
    fake: FakeMeta, request: web.Request, node: str, edge: str, params: dict[str, Any]
) -> tuple[object, list[str]]:
    key = (_kind(fake, node), request.method, edge)
    if key[0] is None:
        raise _not_there()
    if key not in _CALLS:
        return None, [f"Meta has no {request.method} {key[0]}/{edge}"]
    call, handler = _CALLS[key]
    sent = {name: value for name, value in params.items() if name != "_is_page"}
    source = sent.pop("source", None) if edge == "photos" else None
    if source is not None and not isinstance(source, web.FileField):
        return None, ["a picture that is no file"]
    problems = list(call.request_problems(sent))
    if problems:
        return None, problems
    params["source"] = source
    answer = handler(fake, node, params)
    return answer, list(call.answer_problems(answer))


def _kind(fake: FakeMeta, node: str) -> str | None:
    known = {PAGE_ID: "page", ACCOUNT_ID: "account", CATALOG_ID: "catalog"}
    if node in known:
        return known[node]
    if node in fake.posts:
        return "post"
    if node in fake.containers:
        return "container"
    return "media" if node in fake.media else None


async def _send(
    request: web.Request, fake: FakeMeta, answer: object, *, status: int, fault: str | None
) -> web.StreamResponse:
    headers = {"X-App-Usage": json.dumps({"call_count": 3, "total_time": 2, "total_cputime": 1})}
    usage = fake.faults.usage
    if fault == "too_many_until":
        entry = {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 2}
        usage = {"987": [entry]}
    if usage is not None:
        headers["X-Business-Use-Case-Usage"] = json.dumps(usage)
    body = json.dumps(answer).encode()
    if fault == "half_sent":
        headers["Content-Type"] = "application/json; charset=UTF-8"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body) + 10
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        _hang_up(request)
        return response
    if fault == "lost_answer":
        _hang_up(request)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


# The Page


def _page(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    told = {
        "id": node,
        "name": "Loom & Co",
        "is_published": fake.is_page_published,
        "access_token": PAGE_TOKEN,
    }
    return _only(told, params)


def _create_photo(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    _as_page(params)
    if params["source"] is None and "url" not in params:
        raise _Refused(324, "(#324) Requires upload file")
    number = fake.number()
    fake.photos[number] = {
        "alt": params.get("alt_text_custom", ""),
        "is_published": params.get("published", "true") == "true",
        "data": params["source"].file.read() if params["source"] else b"",
    }
    return {"id": number}


def _create_feed(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    _as_page(params)
    pictures = [one["media_fbid"] for one in json.loads(params.get("attached_media", "[]"))]
    if not params.get("message") and not params.get("link") and not pictures:
        raise _Refused(100, "(#100) One of message, link or attached_media is needed")
    if unknown := [one for one in pictures if one not in fake.photos]:
        raise _Refused(100, f"(#100) Param attached_media has no photo {unknown[0]}")
    number = f"{node}_{fake.number()}"
    fake.posts[number] = {
        "id": number,
        "message": _edited(fake, params.get("message", "")),
        "link": params.get("link"),
        "alts": tuple(fake.photos[one]["alt"] for one in pictures),
        "sponsor_id": params.get("sponsor_id"),
        "created_time": _meta_time(fake.now()),
        "permalink_url": f"https://www.facebook.com/{number}",
        "is_published": True,
        "is_hidden": False,
    }
    return {"id": number}


def _published_posts(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    _as_page(params)
    return _paged(fake, list(reversed(fake.posts.values())), params)


def _post(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    return _only(fake.posts[node], params)


def _delete_post(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    _as_page(params)
    del fake.posts[node]
    return {"success": True}


def _as_page(params: dict[str, Any]) -> None:
    if not params["_is_page"]:
        raise _Refused(
            200, "(#200) Requires pages_manage_posts as an admin with a Page token", status=403
        )


# Instagram


def _account(_fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    return _only({"id": node, "username": "loomandco"}, params)


def _publishing_limit(fake: FakeMeta, _node: str, _params: dict[str, Any]) -> object:
    config = {"quota_total": fake.faults.quota_total, "quota_duration": 86400}
    return {"data": [{"quota_usage": len(fake.media), "config": config}]}


def _create_media(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    children = json.loads(params.get("children", "[]"))
    is_carousel = params.get("media_type") == "CAROUSEL"
    if is_carousel and not 2 <= len(children) <= 10:
        raise _Refused(100, "A carousel has two to ten children", subcode=2207028)
    if not is_carousel and urlsplit(params.get("image_url", "")).scheme not in {"http", "https"}:
        raise _Refused(9004, "The media could not be fetched from this URI", subcode=2207052)
    if len(params.get("caption", "")) > 2200:
        raise _Refused(36004, "The caption is too long", subcode=2207010)
    number = fake.number()
    pictures = [fake.containers[one] for one in children] if is_carousel else []
    own = params.get("alt_text", "")
    fake.containers[number] = {
        "id": number,
        "caption": params.get("caption", ""),
        "alts": tuple(one["alts"][0] for one in pictures) or (own,),
        "is_child": params.get("is_carousel_item") == "true",
        "is_paid": params.get("is_paid_partnership") == "true",
        "looks": fake.faults.looks_until_done,
        "status_code": "ERROR" if fake.faults.spoils_pictures else "IN_PROGRESS",
    }
    return {"id": number}


def _container(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    container = fake.containers[node]
    if container["status_code"] == "IN_PROGRESS":
        if container["looks"] <= 0:
            container["status_code"] = "FINISHED"
        container["looks"] -= 1
    return _only(container, params)


def _publish_media(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    container = fake.containers.get(params["creation_id"])
    if container is None or container["is_child"]:
        raise _Refused(24, "The media builder was not found", subcode=2207008)
    if container["status_code"] == "PUBLISHED":
        raise _Refused(100, "The container was published before")
    if container["status_code"] != "FINISHED":
        raise _Refused(9007, "The media is not ready for publishing", subcode=2207027)
    if len(fake.media) >= fake.faults.quota_total:
        raise _Refused(9, "The maximum number of posts is reached", subcode=2207042)
    container["status_code"] = "PUBLISHED"
    number = fake.number()
    fake.media[number] = {
        "id": number,
        "caption": container["caption"],
        "timestamp": _meta_time(fake.now()),
        "permalink": f"https://www.instagram.com/p/{number}/",
        "alts": container["alts"],
        "is_paid": container["is_paid"],
    }
    return {"id": number}


def _media_list(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    since = datetime.fromtimestamp(int(params.get("since", 0)), UTC)
    entries = [
        one
        for one in reversed(fake.media.values())
        if datetime.fromisoformat(one["timestamp"]) >= since
    ]
    return _paged(fake, entries, params)


def _media(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    return _only(fake.media[node], params)


def _delete_media(fake: FakeMeta, node: str, _params: dict[str, Any]) -> object:
    del fake.media[node]
    return {"success": True}


# The catalog


def _catalog(fake: FakeMeta, node: str, params: dict[str, Any]) -> object:
    return _only({"id": node, "name": "Loom", "vertical": fake.vertical}, params)


def _items_batch(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    entries = json.loads(params["requests"])
    problems = [problem for entry in entries for problem in spec.item_problems(entry)]
    if params.get("item_type") != "PRODUCT_ITEM":
        problems.append("items_batch: item_type is needed")
    if len(entries) > 5000:
        problems.append("items_batch: more than 5000 requests")
    if problems:
        fake.violations.extend(problems)
        raise _Refused(100, f"Invalid parameter: {problems[0]}")
    if fake.faults.most_entries is not None and len(entries) > fake.faults.most_entries:
        raise _Refused(
            1, "Please reduce the amount of data you're asking for, then retry your request"
        )
    if any(entry["data"]["id"] == fake.faults.spoils_batches for entry in entries):
        raise _Refused(100, "(#100) Invalid parameter")
    at_once = {
        entry["data"]["id"]: reason
        for entry in entries
        if (reason := fake.faults.refused_at_once.get(entry["data"]["id"]))
    }
    handle = f"Ac{fake.number()}"
    fake.batches[handle] = {
        "status": "started",
        "looks": fake.faults.looks_until_done,
        "entries": [one for one in entries if one["data"]["id"] not in at_once],
        "errors": [],
    }
    answer: dict[str, object] = {"handles": [handle]}
    if at_once:
        answer["validation_status"] = [
            {"retailer_id": id_, "errors": [{"message": reason}]} for id_, reason in at_once.items()
        ]
    return answer


def _check_batch(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    batch = fake.batches.get(params["handle"])
    if batch is None:
        return {"data": []}
    if batch["status"] != "finished":
        batch["status"] = "in_progress"
        if batch["looks"] <= 0:
            finish(fake, batch)
        batch["looks"] -= 1
    loads_ids = params.get("load_ids_of_invalid_requests") == "true"
    told = {
        "handle": params["handle"],
        "status": batch["status"],
        "errors": batch["errors"][:10],  # Meta tells a sample, and the ids of all
        "errors_total_count": len(batch["errors"]),
        "ids_of_invalid_requests": [one["id"] for one in batch["errors"]] if loads_ids else [],
    }
    return {"data": [_only(told, params, always=())]}


def finish(fake: FakeMeta, batch: dict[str, Any]) -> None:
    """Carry a batch out."""
    batch["status"] = "finished"
    for line, entry in enumerate(batch["entries"], start=1):
        data, id_ = entry["data"], entry["data"]["id"]
        reason = _item_refusal(fake, entry)
        if reason is not None:
            batch["errors"].append({"line": line, "id": id_, "message": reason})
        elif entry["method"] == "DELETE":
            del fake.raw[id_], fake.items[id_]
        elif not fake.faults.shows_nothing:
            fake.raw[id_] = {**fake.raw.get(id_, {}), **data}
            fake.items[id_] = _node_of(fake, fake.raw[id_])


def _item_refusal(fake: FakeMeta, entry: Mapping[str, Any]) -> str | None:
    data = entry["data"]
    if data["id"] in fake.faults.undeletable:
        return "This item is part of a set"
    if entry["method"] == "DELETE":
        return None if data["id"] in fake.raw else "Item to be deleted does not exist"
    if data["id"] in fake.faults.refused_items:
        return fake.faults.refused_items[data["id"]]
    whole = {**fake.raw.get(data["id"], {}), **data}
    missing = [name for name in _NEEDED if not whole.get(name)]
    return f"A required field is missing: {missing[0]}" if missing else None


def _node_of(fake: FakeMeta, data: Mapping[str, Any]) -> dict[str, Any]:
    """As reading tells it: other names, prices for people, moments in Meta's writing."""
    amount, currency = data["price"].split()
    starts, _, ends = data.get("sale_price_effective_date", "").partition("/")
    number = fake.items.get(data["id"], {}).get("id") or fake.number()
    item = {
        "id": number,
        "retailer_id": data["id"],
        "name": _edited(fake, data["title"]),
        "description": _edited(fake, data["description"]),
        "url": data["link"],
        "price": _for_people(amount, currency),
        "currency": currency,
        "availability": data["availability"],
        "visibility": data.get("visibility", "published"),
        "review_status": "approved",
        "review_rejection_reasons": [],
        "image_fetch_status": "FETCHED",
    }
    if data.get("sale_price"):
        item["sale_price"] = _for_people(*data["sale_price"].split())
        if starts:
            item["sale_price_start_date"] = _meta_time(datetime.fromisoformat(starts))
            item["sale_price_end_date"] = _meta_time(datetime.fromisoformat(ends))
    return item


def _products(fake: FakeMeta, _node: str, params: dict[str, Any]) -> object:
    wanted = json.loads(params.get("filter", "{}")).get("retailer_id", {}).get("is_any")
    entries = [
        item for item in fake.items.values() if wanted is None or item["retailer_id"] in wanted
    ]
    return _paged(fake, entries, params)


# Common


def _only(
    told: Mapping[str, Any], params: Mapping[str, Any], always: Sequence[str] = ("id",)
) -> dict[str, Any]:
    wanted = set(params.get("fields", "id").split(",")) | set(always)
    return {name: value for name, value in told.items() if name in wanted}


def _paged(
    fake: FakeMeta, entries: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
) -> dict[str, Any]:
    limit = min(int(params.get("limit", 25)), fake.most_per_page)
    start = int(params.get("after", 0))
    page = entries[start : start + limit]
    answer: dict[str, Any] = {"data": [_only(one, params) for one in page]}
    if page:
        end = str(start + len(page))
        answer["paging"] = {"cursors": {"before": str(start), "after": end}}
        if start + limit < len(entries):
            answer["paging"]["next"] = f"https://graph.facebook.com/next?after={end}"
    return answer


def _edited(fake: FakeMeta, text: str) -> str:
    return fake.faults.edits(text) if fake.faults.edits else text


def _meta_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}+0000"


def _for_people(amount: str, currency: str) -> str:
    whole, mark, fraction = amount.partition(".")
    return f"{_SYMBOLS.get(currency, currency)}{int(whole):,}{mark}{fraction}"


_CALLS: Mapping[tuple[str, str, str], tuple[spec.Call, _Handler]] = {
    ("page", "GET", ""): (spec.call(Page, "api_get"), _page),
    ("page", "POST", "photos"): (spec.call(Page, "create_photo"), _create_photo),
    ("page", "POST", "feed"): (spec.call(Page, "create_feed"), _create_feed),
    ("page", "GET", "published_posts"): (
        spec.call(Page, "get_published_posts"),
        _published_posts,
    ),
    ("post", "GET", ""): (spec.call(PagePost, "api_get"), _post),
    ("post", "DELETE", ""): (spec.call(PagePost, "api_delete"), _delete_post),
    ("account", "GET", ""): (spec.call(IGUser, "api_get"), _account),
    ("account", "GET", "content_publishing_limit"): (
        spec.call(IGUser, "get_content_publishing_limit"),
        _publishing_limit,
    ),
    ("account", "POST", "media"): (spec.call(IGUser, "create_media"), _create_media),
    ("account", "POST", "media_publish"): (
        spec.call(IGUser, "create_media_publish"),
        _publish_media,
    ),
    ("account", "GET", "media"): (spec.call(IGUser, "get_media"), _media_list),
    ("container", "GET", ""): (spec.call(ShadowIGMediaBuilder, "api_get"), _container),
    ("media", "GET", ""): (spec.call(IGMedia, "api_get"), _media),
    ("media", "DELETE", ""): (spec.call(IGMedia, "api_delete"), _delete_media),
    ("catalog", "GET", ""): (spec.call(ProductCatalog, "api_get"), _catalog),
    ("catalog", "POST", "items_batch"): (
        spec.call(ProductCatalog, "create_items_batch"),
        _items_batch,
    ),
    ("catalog", "GET", "check_batch_request_status"): (
        spec.call(ProductCatalog, "get_check_batch_request_status"),
        _check_batch,
    ),
    ("catalog", "GET", "products"): (spec.call(ProductCatalog, "get_products"), _products),
}
