"""The three connectors to Meta, opened against its fake, and the far sides of their suites."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from fakes.meta import (
    ACCOUNT_ID,
    APP_SECRET,
    CATALOG_ID,
    PAGE_ID,
    USER_TOKEN,
    FakeMeta,
    make_app,
)
from fakes.serving import serve

from liveshop.connect.contract import (
    ChannelFarSide,
    Fault,
    PosterFarSide,
    SeenListing,
    SeenPost,
)

_FAULTS: Collection[Fault] = (
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
)
_MAKES_IT = {"facebook_page": "feed", "instagram": "media_publish", "meta_catalog": "items_batch"}
_PLACE = {
    "facebook_page": {"page_id": PAGE_ID},
    "instagram": {"account_id": ACCOUNT_ID},
    "meta_catalog": {"catalog_id": CATALOG_ID},
}


def config_of(connector: str, url: str, **more: object) -> dict[str, object]:
    """Leads to the fake at this address; secrets as plain text."""
    return {
        "access_token": USER_TOKEN,
        "app_secret": APP_SECRET,
        "api_url": url,
        **_PLACE[connector],
        **more,
    }


@asynccontextmanager
async def meta() -> AsyncIterator[tuple[str, FakeMeta]]:
    """Address and state of the fake; nobody may have broken Meta's specification in the end."""
    app, fake = make_app()
    async with serve(app) as url:
        yield url, fake
    assert fake.violations == []


class _Side:
    def __init__(self, connector: str, url: str, fake: FakeMeta) -> None:
        self._connector = connector
        self._url = url
        self.fake = fake

    @property
    def config(self) -> Mapping[str, object]:
        return config_of(self._connector, self._url)

    @property
    def faults(self) -> Collection[Fault]:
        return _FAULTS

    async def fault(self, kind: Fault) -> None:
        self.fake.faults.everything = kind
        self.fake.faults.only_for = _MAKES_IT[self._connector] if kind == "lost_answer" else ""

    async def heal(self) -> None:
        self.fake.faults.everything = None


class MetaPosts(_Side, PosterFarSide):
    async def posts(self) -> Sequence[SeenPost]:
        made = self.fake.posts if self._connector == "facebook_page" else self.fake.media
        return [
            SeenPost(one["id"], one.get("message", one.get("caption", "")), one["alts"])
            for one in made.values()
        ]


class MetaListings(_Side, ChannelFarSide):
    @property
    def limits(self) -> Mapping[str, int]:
        return {"meta_catalog.batch": 20, "meta_catalog.batches_per_minute": 6000}

    async def listings(self) -> Sequence[SeenListing]:
        return [_as_people_see(one) for one in self.fake.visible_items()]

    async def refuse(self, listing_id: str) -> None:
        self.fake.faults.refused_items[listing_id] = "This product is not allowed"


def _as_people_see(raw: Mapping[str, str]) -> SeenListing:
    starts, _, ends = raw["sale_price_effective_date"].partition("/")
    return SeenListing(
        raw["id"],
        {
            "title": " ".join(raw["title"].split()),
            "description": " ".join(raw["description"].split()),
            "price": raw["price"],
            "sale_price": raw["sale_price"],
            "sale_starts": starts,
            "sale_ends": ends,
            "availability": raw["availability"],
            "link": raw["link"],
        },
    )
