"""A show and its declared states; pure rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from liveshop.kernel.clock import EARLIEST_YEAR, LATEST_YEAR
from liveshop.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from liveshop.kernel.ids import LocationId, ProductId, RehearsalId, ShowId
from liveshop.kernel.rehearsals import shelf_of
from liveshop.kernel.zones import time_zones
from liveshop.promotions.model import (
    AmountOff,
    Automatic,
    FixedPrice,
    InShow,
    PercentOff,
    Promotion,
    TheseProducts,
    TheseVariants,
)

HoldMode = Literal["hold_on_add", "first_paid"]
"""`first_paid`: carts of the show hold nothing, whoever pays first is served first."""
ShowState = Literal["draft", "scheduled", "rehearsal", "live", "ended", "replay"]
Audience = Literal["everyone", "customers"]
"""`customers`: whom the storefront signed on, and the shop's staff."""
AUDIENCES: tuple[Audience, ...] = ("everyone", "customers")
TRANSITIONS: dict[ShowState, frozenset[ShowState]] = {
    "draft": frozenset({"scheduled", "rehearsal", "live"}),
    "scheduled": frozenset({"draft", "rehearsal", "live"}),
    # Back to where it came from, or straight on; either way all of the rehearsal is thrown away.
    "rehearsal": frozenset({"draft", "scheduled", "live"}),
    "live": frozenset({"ended"}),
    "ended": frozenset({"replay"}),
    "replay": frozenset({"ended"}),
}
PUBLIC_STATES: frozenset[ShowState] = frozenset({"scheduled", "live", "ended", "replay"})
ON_STAGE: frozenset[ShowState] = frozenset({"rehearsal", "live"})
"""Seen, pinned, bought from: by everybody, or by those who take part in the rehearsal."""
PINS_REMEMBERED = 100
"""Also for viewers who go back in the show."""
PINS_REPLAYED = 1000
"""For those who see it again, from its beginning."""
MAX_LINEUP = 200
LANGUAGES = ("en", "de")


class UnknownShow(NotFound):
    code = "unknown_show"


class CustomersOnly(Forbidden):
    """The show is for customers, and nobody vouches that this is one. `data.show_id` names it."""

    code = "customers_only"


class WrongState(Conflict):
    """The show's state does not allow this; `data` holds the state and what it allows."""

    code = "wrong_show_state"


class ShowNotLive(Conflict):
    code = "show_not_live"


class NotInLineup(Conflict):
    code = "not_in_lineup"


class NoStart(Conflict):
    """A show without a start time cannot be scheduled."""

    code = "no_start_time"


class NoRecording(Conflict):
    """There is nothing to replay."""

    code = "no_recording"


class BadShow(Invalid):
    code = "bad_show"


class BadOffer(Invalid):
    """An offer for variants its product does not have; `data.field` names where."""

    code = "bad_offer"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A show as its host practises it, for staff and whom they invite. `before`: what the show had
    that the rehearsal changes; see `rehearsals`."""

    id: RehearsalId
    show_id: ShowId
    came_from: ShowState
    started_at: datetime
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shelf(self) -> LocationId:
        """Where what it sells lies."""
        shelf = shelf_of(self.id)
        assert shelf is not None, "the id is that of a rehearsal"
        return shelf


@dataclass(frozen=True, slots=True)
class Show:
    id: ShowId
    title: str
    description: str
    state: ShowState
    languages: tuple[str, ...]
    time_zone: str
    starts_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    host_name: str
    cover_id: str | None
    replay_url: str | None
    lineup: tuple[ProductId, ...]
    version: int
    created_at: datetime
    hold_mode: HoldMode = "hold_on_add"
    hold_seconds: int | None = None
    audience: Audience = "everyone"
    is_recorded: bool = False
    """There is a recording of our own."""
    rehearsal: Rehearsal | None = None
    """While it is in rehearsal."""

    @property
    def is_on_stage(self) -> bool:
        return self.state in ON_STAGE

    @property
    def shelf(self) -> LocationId | None:
        """The one from which alone it sells; None: any of the shop's."""
        return None if self.rehearsal is None else self.rehearsal.shelf

    @property
    def on_since(self) -> datetime | None:
        """When it went live, or its rehearsal began."""
        return self.started_at if self.rehearsal is None else self.rehearsal.started_at

    @property
    def is_for_some(self) -> bool:
        """Whether its video is only for those who are given a signed address."""
        return self.audience == "customers" or self.state == "rehearsal"

    @property
    def is_public(self) -> bool:
        return self.state in PUBLIC_STATES

    @property
    def is_over(self) -> bool:
        return self.state in ("ended", "replay")


@dataclass(frozen=True, slots=True)
class Pin:
    """From `at` on this product is in focus; None: no product is."""

    product_id: ProductId | None
    at: datetime


# Signals, sent in this process after the commit.


@dataclass(frozen=True, slots=True)
class ShowStarted:
    show_id: ShowId


@dataclass(frozen=True, slots=True)
class RehearsalStarted:
    show_id: ShowId
    rehearsal_id: RehearsalId
    at: datetime


@dataclass(frozen=True, slots=True)
class RehearsalEnded:
    """What was seen of it is not seen any more; whoever sends video goes on, unseen."""

    show_id: ShowId
    audience: Audience
    at: datetime


@dataclass(frozen=True, slots=True)
class ShowEnded:
    """Whoever sends video to this show may stop."""

    show_id: ShowId


@dataclass(frozen=True, slots=True)
class AudienceChanged:
    """From now on other people may watch; playback addresses follow."""

    show_id: ShowId
    audience: Audience


def check_transition(show: Show, to: ShowState) -> None:
    """Raises WrongState, NoStart or NoRecording."""
    allowed = TRANSITIONS[show.state]
    if show.rehearsal is not None:
        allowed = frozenset({show.rehearsal.came_from, "live"})
    if to not in allowed:
        raise WrongState(
            f"A show that is {show.state} cannot become {to}; "
            f"it can become {' or '.join(sorted(allowed))}.",
            data={"state": show.state, "allowed": sorted(allowed)},
        )
    if to == "scheduled" and show.starts_at is None:
        raise NoStart("Give the show a start time before you announce it.")
    if to == "replay" and not show.replay_url and not show.is_recorded:
        raise NoRecording("There is no recording: set replay_url to an MP4 or HLS address first.")


def check_pin(show: Show, product_id: ProductId) -> None:
    if not show.is_on_stage:
        raise ShowNotLive("Products are pinned while the show is live.", data={"state": show.state})
    if product_id not in show.lineup:
        raise NotInLineup(
            "This product is not in the lineup. Add it first.", data={"product_id": product_id}
        )


def is_offer(promotion: Promotion) -> bool:
    """Whether a promotion is what a host starts in a show: a lower price for one product, or for
    some of its variants, there alone and up to a moment. Merchants may have made it as well.
    """
    match promotion.products:
        case TheseProducts(product_ids):
            is_for_one = len(product_ids) == 1
        case products:
            is_for_one = isinstance(products, TheseVariants)
    return (
        is_for_one
        and isinstance(promotion.kind, PercentOff | AmountOff | FixedPrice)
        and isinstance(promotion.trigger, Automatic)
        and isinstance(promotion.scope, InShow)
        and promotion.period.starts_at is not None
        and promotion.period.ends_at is not None
    )


def check_time_zone(name: str) -> str:
    if name not in time_zones():
        raise BadShow(
            f"There is no time zone {name!r}; write it like Europe/Berlin.",
            data={"field": "time_zone"},
        )
    return name


def check_start(moment: datetime) -> datetime:
    """A moment calendars can hold in every time zone. Raises BadShow."""
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise BadShow(
            f"starts_at lies between the years {EARLIEST_YEAR} and {LATEST_YEAR}.",
            data={"field": "starts_at"},
        )
    return moment


def check_languages(languages: Sequence[str]) -> tuple[str, ...]:
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown or not languages:
        raise BadShow(
            f"Languages are one or more of {', '.join(LANGUAGES)}.", data={"field": "languages"}
        )
    return tuple(dict.fromkeys(languages))


def check_replay_url(url: str) -> str:
    if not url.startswith(("https://", "http://")) or any(sign in url for sign in " \"'<>\n\\"):
        raise BadShow("replay_url must be an http(s) address.", data={"field": "replay_url"})
    return url


def check_lineup(product_ids: Sequence[ProductId]) -> tuple[ProductId, ...]:
    if len(product_ids) > MAX_LINEUP:
        raise BadShow(f"A lineup holds at most {MAX_LINEUP} products.", data={"field": "lineup"})
    if len(set(product_ids)) != len(product_ids):
        raise BadShow("A product stands in the lineup twice.", data={"field": "lineup"})
    return tuple(product_ids)
