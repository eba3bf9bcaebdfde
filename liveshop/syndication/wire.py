"""Connections, listings and posts as they cross the API."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from liveshop.web import MoneyOut, Wire

Role = Literal["file_source", "source", "channel", "feed", "poster", "stage"]
ConnectionState = Literal["active", "paused", "attention", "removed"]
ListingState = Literal["pending", "sent", "live", "rejected", "drifted", "paused", "withdrawn"]
PostKind = Literal["announce", "reminder", "live_now", "product_moment", "replay"]
PostState = Literal[
    "scheduled",
    "sending",
    "unclear",
    "sent",
    "live",
    "refused",
    "cancelled",
    "removed",
]
PostTiming = Literal["at", "on_announced", "before_start", "on_live", "on_pin", "on_replay"]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Template = Annotated[str, msgspec.Meta(max_length=4000)]


# Connectors and connections


class ConfigField(Wire):
    """A field of a connector's configuration, for the form that asks for it."""

    name: str
    title: str
    description: str
    kind: Literal["text", "number", "switch", "choice", "secret"]
    is_required: bool
    choices: list[str] = msgspec.field(default_factory=list)
    default: str | int | bool | None = None


class Connector(Wire):
    """An installed connector."""

    name: str
    title: str
    roles: list[Role]
    needs_authorisation: bool
    fields: list[ConfigField]
    problem: str | None = None
    """Why it cannot be used, when it cannot be loaded."""


class Connectors(Wire):
    connectors: list[Connector]


class ConnectionInput(Wire):
    connector: str
    title: Title
    config: dict[str, Any]
    """Values by field; secrets as plain text. They are stored sealed and never given back."""
    language: str = "en"
    is_paused: bool = False
    """Nothing is sent until it is resumed: to look at the plan first."""


class ConnectionChange(Wire):
    """`config`: only the fields that change; a secret left out stays as it is."""

    version: int | None = None
    title: Title | None = None
    config: dict[str, Any] | None = None
    language: str | None = None


class NextConnectionState(Wire):
    to: Literal["active", "paused", "removed", "abandoned"]


class Connection(Wire):
    id: str
    connector: str
    connector_title: str
    title: str
    roles: list[Role]
    config: dict[str, Any]
    """Without secrets."""
    secrets_set: list[str]
    """The names of those that are set."""
    state: ConnectionState
    attention: str | None
    """What a person has to do."""
    language: str
    needs_authorisation: bool
    """It has to be authorised at the vendor before it works."""
    listings: dict[str, int]
    """How many listings are in which state."""
    feed_url: str | None
    """Where a feed is fetched. Whoever knows it can read the feed."""
    feed_fetched_at: datetime | None
    whole_at: datetime | None
    """When it was last gone through completely."""
    is_leaving: bool
    """It was removed, and goes when the channel has confirmed that nothing of ours is left."""
    run: "Run | None"
    """The work going on now, or the last one."""
    version: int


class Connections(Wire):
    connections: list[Connection]


class Diagnosis(Wire):
    """What is missing, one sentence each; empty: it works."""

    missing: list[str]


class AuthorisationStart(Wire):
    url: str
    """Where the merchant allows it; he comes back to the desk by himself."""


# Plans and runs


class Change(Wire):
    """One thing a sync would do, or will not do and why."""

    variant_id: str
    product_id: str
    title: str
    action: Literal["publish", "update", "hide", "withdraw", "skip"]
    reason: str | None = None
    fields: list[str] = msgspec.field(default_factory=list)
    """What differs, where that is known."""


class Plan(Wire):
    """A dry run: what a sync would do now. `changes` are the first hundred."""

    connection_id: str
    checked: int
    unchanged: int
    publish: int
    update: int
    hide: int
    withdraw: int
    skip: int
    requests: int
    seconds: int
    """How long the channel's limits make it take, at least."""
    notes: list[str]
    """What else the merchant should know, such as promotions that no channel may announce."""
    changes: list[Change]


class Run(Wire):
    """A piece of work with its progress; `total` is null while it is not known."""

    id: str
    connection_id: str
    kind: Literal["plan", "push", "read_back", "import"]
    state: Literal["running", "done", "failed"]
    started_at: datetime
    ended_at: datetime | None
    total: int | None
    done: int
    counts: dict[str, int]
    problem: str | None


class Runs(Wire):
    runs: list[Run]


# Listings: the truth table


class Drift(Wire):
    field: str
    ours: str
    theirs: str


class Listing(Wire):
    """One variant on one channel."""

    connection_id: str
    variant_id: str
    sku: str
    values: list[str]
    state: ListingState
    since: datetime
    reason: str | None
    drift: Drift | None
    remote_id: str | None
    read_at: datetime | None
    """When the channel was last asked what it shows."""
    next_at: datetime | None
    """When it is tried again."""


class ListedProduct(Wire):
    product_id: str
    title: str
    price: MoneyOut | None
    """What all channels say the first variant costs now; null: none says anything."""
    listings: list[Listing]


class ListingQuery(Wire):
    connection_id: str | None = None
    state: ListingState | None = None
    q: str = ""
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class ListedProducts(Wire):
    products: list[ListedProduct]
    next: str | None


class RepairInput(Wire):
    """Send these again, or with neither list everything that is rejected or drifted."""

    variant_ids: list[str] | None = None
    product_ids: list[str] | None = None


class Repaired(Wire):
    listings: int
    """How many are sent again."""


# Posts


class PostInput(Wire):
    """`when`: `at` sends at `send_at` (null: now); the others wait for the show, `before_start` so
    many minutes before it, and move with it. `template`: Jinja2, in place of that of the kind."""

    connection_id: str
    kind: PostKind
    show_id: str | None = None
    product_id: str | None = None
    language: str | None = None
    template: Template | None = None
    is_paid_partnership: bool = False
    when: PostTiming = "at"
    send_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    minutes_before: Annotated[int, msgspec.Meta(ge=1, le=10_080)] | None = None


class ShowPostsInput(Wire):
    """The posts a show has by itself, on each of these connections: one of each kind, once."""

    connection_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]
    kinds: Annotated[list[PostKind], msgspec.Meta(min_length=1, max_length=5)]
    reminder_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] | None = None
    is_paid_partnership: bool = False


class PostImage(Wire):
    url: str
    alt: str
    width: int
    height: int


class PostPreview(Wire):
    """Exactly what would be sent."""

    text: str
    length: int
    """As the channel counts."""
    limit: int
    link: str | None
    """Beside the text; null where it stands in it."""
    images: list[PostImage]
    cost: str | None
    """In words; null where posting is free."""
    notes: list[str]
    """What else to know, such as that the text was shortened."""
    template: str
    """The template it was made with: the given one, or that of the kind."""


class Post(Wire):
    id: str
    connection_id: str
    kind: PostKind
    state: PostState
    since: datetime
    reason: str | None
    show_id: str | None
    product_id: str | None
    language: str
    template: str | None
    is_paid_partnership: bool
    text: str | None
    """What was sent; null before."""
    url: str | None
    """Where people see it."""
    when: PostTiming
    send_at: datetime | None
    """When it is due, or was; null while what it waits for has no time yet."""
    created_at: datetime


class PostQuery(Wire):
    show_id: str | None = None
    connection_id: str | None = None
    before: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class Posts(Wire):
    posts: list[Post]
    next: str | None


# Orders at the source


class OrderExport(Wire):
    order_id: str
    connection_id: str
    state: Literal["waiting", "placed", "refused", "cancelled"]
    reference: str | None
    reason: str | None


class ExportSettlement(Wire):
    """`reference`: under which number the order was entered at the source by hand; null: send it
    again."""

    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class OrderExports(Wire):
    exports: list[OrderExport]
