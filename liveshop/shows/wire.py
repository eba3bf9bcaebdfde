"""Shows on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from liveshop.catalog.wire import Image, Product
from liveshop.kernel.ids import ProductId, VariantId
from liveshop.promotions.model import Stored, TheseProducts, TheseVariants
from liveshop.promotions.wire import (
    AmountOff,
    FixedPrice,
    PercentOff,
    PriceWarning,
    Texts,
    kind_out,
)
from liveshop.shows import model
from liveshop.web import Wire

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=5000)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
HoldMode = Literal["hold_on_add", "first_paid"]
HoldSeconds = Annotated[int, Meta(ge=60, le=86_400, description="null: as the shop's settings say")]
State = Literal["draft", "scheduled", "rehearsal", "live", "ended", "replay"]
Audience = Literal["everyone", "customers"]
MAX_DELAY_MILLISECONDS = 3000


class Show(Wire):
    """`hls`: its video while it is live, or in a rehearsal, which began at `started_at` then.
    `replay`: what to play afterwards, which is `replay_url` where somebody gave one, and else the
    recording."""

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
    replay: str | None
    hls: str | None
    page: str
    after_rehearsal: Annotated[State | None, Meta(description="what it is when that ends")]
    hold_mode: HoldMode
    hold_seconds: int | None
    audience: Audience
    version: int

    @classmethod
    def of(
        cls,
        show: model.Show,
        *,
        public_url: str,
        covers: Mapping[str, Image],
        hls_path: str,
        replay_path: str,
    ) -> "Show":
        """`hls_path`: where its video is while it is live; `replay_path`: its recording, if there
        is one."""
        replay = show.replay_url or (f"{public_url}{replay_path}" if show.is_recorded else None)
        return cls(
            id=show.id,
            title=show.title,
            description=show.description,
            state=show.state,
            languages=list(show.languages),
            time_zone=show.time_zone,
            starts_at=show.starts_at,
            started_at=show.on_since,
            ended_at=show.ended_at,
            host_name=show.host_name,
            cover=covers.get(show.cover_id) if show.cover_id else None,
            lineup=list(show.lineup),
            replay_url=show.replay_url,
            replay=replay if show.state == "replay" else None,
            hls=f"{public_url}{hls_path}" if show.is_on_stage else None,
            page=f"{public_url}/s/{show.id}",
            after_rehearsal=None if show.rehearsal is None else show.rehearsal.came_from,
            hold_mode=show.hold_mode,
            hold_seconds=show.hold_seconds,
            audience=show.audience,
            version=show.version,
        )


class Invitation(Wire):
    """To a rehearsal, for as long as it goes on. Whoever has it can take part."""

    code: str
    url: Annotated[str, Meta(description="the show's page, for colleagues' phones")]
    qr: Annotated[str, Meta(description="the same address as a picture, a data URI")]


class InvitationInput(Wire):
    invitation: Annotated[str, Meta(min_length=1, max_length=80)]


class RehearsalGuest(Wire):
    """A guest's token, for this one show and until its rehearsal is over."""

    token: str
    viewer_id: str
    name: str
    expires_at: datetime
    show_id: str


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
    hold_mode: HoldMode = "hold_on_add"
    hold_seconds: HoldSeconds | None = None
    audience: Audience = "everyone"


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
    hold_mode: HoldMode | UnsetType = UNSET
    hold_seconds: HoldSeconds | UnsetType | None = UNSET
    audience: Audience | UnsetType = UNSET


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


class OfferInput(Wire):
    """A price for a product of the lineup, in this show alone, for `seconds` from now.

    `units`: for so many units; null: for all. Without `variant_ids` it is for all variants.
    `texts`: its name by language; left out: the product's title.
    """

    product_id: Id
    kind: PercentOff | AmountOff | FixedPrice
    seconds: Annotated[int, Meta(ge=10, le=86_400)]
    variant_ids: Annotated[list[Id], Meta(max_length=250)] = []
    units: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    per_customer: Annotated[int, Meta(ge=1, le=1000)] | None = None
    texts: Texts = {}


class Offer(Wire):
    """`units_left` counts down as carts take them and up as they let go; null: no limit."""

    id: str
    product_id: str
    variant_ids: list[str]
    texts: dict[str, str]
    kind: PercentOff | AmountOff | FixedPrice
    starts_at: datetime
    ends_at: datetime
    units: int | None
    units_left: int | None
    is_running: bool

    @classmethod
    def of(cls, stored: Stored, owners: Mapping[VariantId, ProductId], now: datetime) -> "Offer":
        """`stored` is an offer (`model.is_offer`); `owners`: the products of variants it names."""
        promotion = stored.promotion
        starts_at, ends_at = promotion.period.starts_at, promotion.period.ends_at
        kind = kind_out(promotion.kind)
        assert isinstance(kind, PercentOff | AmountOff | FixedPrice), "an offer has such a kind"
        assert starts_at is not None, "an offer has a start"
        assert ends_at is not None, "an offer has an end"
        variant_ids: list[VariantId] = []
        if isinstance(promotion.products, TheseVariants):
            variant_ids = sorted(promotion.products.variant_ids)
            product_id = owners[variant_ids[0]]
        else:
            assert isinstance(promotion.products, TheseProducts), "an offer names its product"
            (product_id,) = promotion.products.product_ids
        return cls(
            id=promotion.id,
            product_id=product_id,
            variant_ids=list(variant_ids),
            texts=dict(promotion.texts),
            kind=kind,
            starts_at=starts_at,
            ends_at=ends_at,
            units=promotion.limit.total,
            units_left=stored.units_left(),
            is_running=stored.phase(now) == "running",
        )


class Offers(Wire):
    offers: list[Offer]
    at: datetime


class OfferPreview(Wire):
    """The product as viewers would see it, with what to think of before starting."""

    product: Product
    warnings: list[PriceWarning]


class OfferStarted(Wire):
    offer: Offer
    product: Product


class OfferEnded(Wire):
    offer_id: str
    product: Product
    reason: Literal["stopped", "time"]


class ProductChanged(Wire):
    product: Product


class VideoState(Wire):
    """The host's picture, for viewers. `none`: it has not come yet, or the show is not live;
    `on_air` since then; `away`: it was there, is gone since then, and is hoped for until `back_by`.
    After that nothing changes but words: the show is live until its host ends it.
    """

    state: Literal["none", "on_air", "away"]
    since: datetime | None
    back_by: datetime | None


class StreamKey(Wire):
    """`hint`: the last characters of what was shown once."""

    person_id: str
    person_name: str
    hint: str
    is_mine: bool
    created_at: datetime
    last_used_at: datetime | None


class StreamKeys(Wire):
    """`server` is what an encoder asks for beside the key; null: this server takes no RTMP."""

    server: str | None
    keys: list[StreamKey]


class NewStreamKey(Wire):
    """`secret` is what an encoder calls the stream key. It is shown this once; only its hash is
    kept."""

    server: str | None
    secret: str
    key: StreamKey


class EncoderDelay(Wire):
    """How long this person's camera and encoder take before a picture is sent; `set_at` is null
    while nobody has measured it."""

    milliseconds: int
    set_at: datetime | None


class EncoderDelayInput(Wire):
    milliseconds: Annotated[int, Meta(ge=0, le=MAX_DELAY_MILLISECONDS)]


class LogEntry(Wire):
    """What became of a show's video. `data`, where known: width, height, video, audio, reason,
    code, detail, person_name, `seconds` away, and `is_preview` while the show was not live."""

    at: datetime
    kind: Literal["started", "changed", "replaced", "lost", "back", "refused"]
    data: dict[str, Any]


class ShowLog(Wire):
    """Oldest first."""

    entries: list[LogEntry]


EVENTS: dict[str, type[Wire]] = {
    "show.changed": ShowChanged,
    "lineup.changed": LineupChanged,
    "product.pinned": ProductPinned,
    "product.unpinned": ProductUnpinned,
    "product.changed": ProductChanged,
    "stock.changed": StockChanged,
    "offer.started": OfferStarted,
    "offer.ended": OfferEnded,
    "video.changed": VideoState,
}
