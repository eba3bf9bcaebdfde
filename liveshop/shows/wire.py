"""Shows on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from liveshop.catalog.wire import Image, Product
from liveshop.shows import model
from liveshop.video.http import playlist_path
from liveshop.web import Wire

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=5000)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
State = Literal["draft", "scheduled", "live", "ended", "replay"]


class Show(Wire):
    id: str
    title: str
    description: str
    state: State
    languages: list[str]
    time_zone: str
    starts_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    host_name: str
    cover: Image | None
    lineup: list[str]
    replay_url: str | None
    hls: str | None
    page: str
    version: int

    @classmethod
    def of(cls, show: model.Show, *, public_url: str, covers: Mapping[str, Image]) -> "Show":
        return cls(
            id=show.id,
            title=show.title,
            description=show.description,
            state=show.state,
            languages=list(show.languages),
            time_zone=show.time_zone,
            starts_at=show.starts_at,
            started_at=show.started_at,
            ended_at=show.ended_at,
            host_name=show.host_name,
            cover=covers.get(show.cover_id) if show.cover_id else None,
            lineup=list(show.lineup),
            replay_url=show.replay_url,
            hls=f"{public_url}{playlist_path(show.id)}" if show.state == "live" else None,
            page=f"{public_url}/s/{show.id}",
            version=show.version,
        )


class ShowPage(Wire):
    shows: list[Show]


class ShowQuery(Wire):
    state: State | None = None


class ShowInput(Wire):
    title: Title
    description: Text = ""
    languages: Annotated[list[str], Meta(min_length=1, max_length=10)] | None = None
    time_zone: Annotated[str, Meta(min_length=1, max_length=60)] = "Europe/Berlin"
    starts_at: Annotated[datetime, Meta(tz=True)] | None = None
    host_name: Annotated[str, Meta(max_length=100)] = ""
    cover_id: Id | None = None
    product_ids: Annotated[list[Id], Meta(max_length=200)] = []
    replay_url: Annotated[str, Meta(max_length=2000)] | None = None


class ShowChange(Wire):
    """What is left out stays as it is."""

    title: Title | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    languages: Annotated[list[str], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    time_zone: Annotated[str, Meta(min_length=1, max_length=60)] | UnsetType = UNSET
    starts_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    host_name: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    cover_id: Id | UnsetType | None = UNSET
    replay_url: Annotated[str, Meta(max_length=2000)] | UnsetType | None = UNSET


class StateChange(Wire):
    to: State


class Lineup(Wire):
    product_ids: Annotated[list[Id], Meta(max_length=200)]


class PinInput(Wire):
    product_id: Id


class Pin(Wire):
    product_id: str | None
    at: datetime

    @classmethod
    def of(cls, pin: model.Pin) -> "Pin":
        return cls(product_id=pin.product_id, at=pin.at)


class ReminderInput(Wire):
    email: Annotated[str, Meta(min_length=3, max_length=254)]
    consent: Annotated[bool, Meta(description="must be true: the box was ticked")]
    language: Literal["en", "de"] = "en"
    wording: Annotated[str, Meta(max_length=1000, description="the text beside the box")] = ""


class Reminder(Wire):
    id: str
    show_id: str
    email: str


class ShowChanged(Wire):
    show: Show


class LineupChanged(Wire):
    show: Show
    products: list[Product]


class ProductPinned(Wire):
    product_id: str
    at: datetime


class ProductUnpinned(Wire):
    at: datetime


class StockChanged(Wire):
    variant_id: str
    product_id: str
    available: int


class ProductChanged(Wire):
    product: Product


EVENTS: dict[str, type[Wire]] = {
    "show.changed": ShowChanged,
    "lineup.changed": LineupChanged,
    "product.pinned": ProductPinned,
    "product.unpinned": ProductUnpinned,
    "product.changed": ProductChanged,
    "stock.changed": StockChanged,
}
