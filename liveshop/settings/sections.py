"""The sections of the settings, with their defaults. What each means stands beside it."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

Mode = Literal["production", "demo", "test"]


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    """How browsers reach this server, without a trailing slash; empty: http://host:port."""
    secret: str = ""
    """Signs guest tokens. At least 32 characters; `demo` makes its own and keeps it."""
    embed_origins: tuple[str, ...] = ()
    """Storefront origins that may embed shows, such as https://shop.example; `*` for any."""
    trusted_proxies: int = 0
    """How many proxies in front set X-Forwarded-For; 0: the socket's own address counts."""
    max_body_bytes: int = 256 * 1024
    shutdown_seconds: float = 5.0
    drain_lead_seconds: float = 3.0
    """With several nodes: how long one that was told to stop goes on serving while it says on
    /readyz that it will not, so that the load balancer sends nobody there any more."""
    drain_seconds: float = 5.0
    """Over how long it then sends its viewers to the other nodes."""
    node: str = ""
    """This process among several on one database; empty: made of host name, port and chance."""
    node_url: str = ""
    """How the other nodes reach this one, such as http://10.0.0.11:8080; empty: it has no
    others."""


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""
    """`postgresql+asyncpg://...` or `sqlite+aiosqlite:///...`; empty: SQLite in the data folder."""
    pool_size: int = 8
    busy_timeout_seconds: float = 10.0
    """How long a request waits for SQLite's one writer, or for a free connection."""
    lock_timeout_seconds: float = 10.0
    """PostgreSQL: how long a statement waits for what somebody else is changing. Transactions here
    take milliseconds, so whoever waits longer had better be told to come again."""
    idle_in_transaction_seconds: float = 30.0
    """PostgreSQL: after this a transaction in which nothing happens is ended by the server, so that
    a process that hangs does not keep what it has locked from all others."""


class ShippingStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price for shipping, in minor units, up to a weight and from a value of goods on."""

    amount: int
    max_weight_grams: int | None = None
    from_goods: int = 0


class CountryTax(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rates of one country by tax class, and whether prices contain them or they are added."""

    permille: dict[str, int]
    is_included: bool = True


class ShopSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = "Liveshop"
    currency: str = "EUR"
    languages: tuple[str, ...] = ("en", "de")
    shipping: dict[str, int] = msgspec.field(default_factory=lambda: {"DE": 490, "AT": 890})
    """Country -> flat shipping in minor units. A country not listed is not delivered to."""
    free_shipping_from: int = 0
    """Goods worth this many minor units ship free; 0: never."""
    tax_permille: dict[str, int] = msgspec.field(
        default_factory=lambda: {"standard": 190, "reduced": 70, "zero": 0}
    )
    """Tax class -> per mille, included in prices."""
    shipping_steps: dict[str, tuple[ShippingStep, ...]] = msgspec.field(default_factory=dict)
    """Country -> steps by weight and value, in place of its flat price. The cheapest that fits."""
    tax_by_country: dict[str, CountryTax] = msgspec.field(default_factory=dict)
    """Country -> its own tax, in place of `tax_permille`."""
    time_zone: str = "Europe/Berlin"
    """Where the shop is: its days are those of the lowest price of 30 days."""


class CheckoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hold_seconds: int = 600
    hold_warning_seconds: int = 60
    """How long before the end of a hold its viewer is warned; at least 20 (WCAG 2.2.1)."""
    hold_extensions: int = 1
    """How often a viewer may prolong a hold by `hold_seconds`."""
    waitlist_seconds: int = 180
    """How long a unit is kept for whoever is next in a waitlist."""
    payment_hold_seconds: int = 1800
    """How long the stock of an order waits for the answer of its payment."""
    max_codes: int = 5
    payment_unclear_seconds: int = 30
    """After this the provider is asked what became of a payment whose answer was not heard."""
    adds_per_minute: int = 600
    orders_per_minute: int = 120
    """From one network address, which a whole office or mobile network may share."""
    max_quantity: int = 20
    max_lines: int = 50


PAYMENT_METHODS = frozenset({"stripe", "invoice", "at_pickup", "sandbox"})


class PaymentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    methods: tuple[str, ...] = ("invoice",)
    """Of `stripe`, `invoice`, `at_pickup` and, in demo and test, `sandbox`; the first is offered
    first."""
    timeout_seconds: float = 20.0
    capture: Literal["placing", "shipping"] = "placing"
    """When a provider that can keep an amount for us is told to take it."""
    action_minutes: int = 15
    """How long a buyer may take to confirm a payment, before his cart is given back."""


class StripeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret_key: str = ""
    publishable_key: str = ""
    webhook_secret: str = ""
    """Of the webhook endpoint `https://.../hooks/stripe`, such as `whsec_...`."""
    api_url: str = "https://api.stripe.com"
    method_types: tuple[str, ...] = ()
    """Payment method types, such as `card`; empty: whatever the account has switched on."""


class DeliverySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From an order to its goods: what the promises that buyers see are made of."""

    cut_off: str = "14:00"
    """Orders placed until then, in the shop's time, leave the same working day."""
    handling_days: int = 0
    """Working days between an order and its parcel, beside the cut-off."""
    transit_days: dict[str, tuple[int, int]] = msgspec.field(
        default_factory=lambda: {"DE": (1, 3), "AT": (2, 4)}
    )
    """Country -> working days a parcel takes, at best and at worst. Without an entry nothing is
    promised there."""
    store_transit_days: tuple[int, int] = (1, 2)
    """Working days from a warehouse to a store."""
    working_days: tuple[int, ...] = (1, 2, 3, 4, 5)
    """ISO weekdays (1: Monday) on which parcels leave and arrive."""
    holidays: str = "DE"
    """Whose public holidays are no working days: ISO 3166, with a subdivision as `DE-BY`; empty:
    none."""
    closed_on: tuple[str, ...] = ()
    """More days on which nothing leaves, such as 2026-12-24."""
    pickup_minutes: int = 60
    """Opening time a store needs until what lies there is ready."""
    keep_days: int = 7
    """How long a store keeps goods for their buyer once they are ready."""
    return_days: int = 30
    """How long after they have arrived goods can be sent or brought back."""


class CompanySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who sells: printed on invoices and under mails."""

    name: str = ""
    """Its name in law; empty: the shop's."""
    address: tuple[str, ...] = ()
    """Line by line, as on a letter."""
    vat_id: str = ""
    """Such as DE123456789 (Council Directive 2006/112/EC, article 226)."""
    email: str = ""
    phone: str = ""
    bank: str = ""
    iban: str = ""
    """Where invoices are paid to."""
    bic: str = ""
    register: str = ""
    """Commercial register and number, and who manages it, in one line."""


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mails go over SMTP, or into a folder as .eml files; with neither, none are promised."""

    sender: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_starttls: bool = True
    folder: str = ""
    reminder_minutes: int = 15
    """How long before a show its reminders are sent."""
    keep_days: int = 90
    """So long after it was written the desk can read a mail."""

    @property
    def is_configured(self) -> bool:
        return bool(self.sender and (self.smtp_host or self.folder))


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_length: int = 300
    rate_per_10_seconds: int = 5
    slow_mode_seconds: int = 0
    links_allowed: bool = False
    readable_per_second: int = 25
    """Above so many messages a second viewers get a fair choice of them and are told how many more
    there were; host and moderators get all; 0: everybody does."""


class RealtimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_frame_bytes: int = 8 * 1024
    log_size: int = 2000
    """Events a room remembers for viewers who come back."""
    buffer_bytes: int = 512 * 1024
    """Unsent bytes after which a viewer counts as too slow (close code 4008)."""
    idle_seconds: float = 45.0
    broker: Literal["memory", "redis"] = "memory"
    """Where rooms' logs live: `memory` for one node, `redis` for several."""
    redis_url: str = ""
    """Such as redis://:password@10.0.0.5:6379/0, or rediss:// for TLS."""
    redis_prefix: str = "liveshop"
    """Before every key, so that shops can share a Redis."""
    connections_per_address: int = 2000
    """Open at once from one network address, which a mobile network may share; 0: no limit. Not
    counted: this machine's own addresses."""


class CustomerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Storefront sign-on: the storefront vouches for its customer with a JWT."""

    algorithm: Literal["", "HS256", "RS256"] = ""
    key: str = ""
    """The shared secret (HS256, at least 32 characters) or the public key in PEM (RS256)."""
    audience: str = "liveshop"
    issuer: str = ""
    guest_days: int = 180


class MediaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    widths: tuple[int, ...] = (160, 320, 640, 1280)
    folder: str = ""
    """Where pictures lie; several nodes need one that they share. Empty: `media` in `data_dir`."""
    fetch_private_addresses: bool = False
    """Whether imports may fetch pictures from loopback and private networks."""


class VideoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Live video: where encoders send to, and what players are given."""

    rtmp_port: int = 1935
    """Encoders connect here, on `server.host`; 0: no RTMP."""
    rtmps_port: int = 0
    """The same behind TLS, with `rtmps_certificate` and `rtmps_key` (PEM files); 0: none."""
    rtmps_certificate: str = ""
    rtmps_key: str = ""
    ingest_url: str = ""
    """What the studio tells hosts to enter, such as rtmps://live.example.com/live; empty: made of
    the host of `server.public_url` and the port."""
    part_seconds: float = 0.34
    """PART-TARGET of LL-HLS. 0.34 suits 15 to 60 pictures a second."""
    grace_seconds: int = 180
    """How long viewers are told that the picture is back in a moment after the encoder went."""
    rewind_seconds: int = 4 * 3600
    """How much of a running show viewers can go back; on disk, under `data_dir`."""
    folder: str = ""
    """Where recordings lie. Several nodes that share one go on with each other's recordings; else
    each keeps what was sent to it. Empty: `video` in `data_dir`."""
    least_free_gib: float = 2.0
    """What recorded shows leave free of that disk, since orders are written to it too; below it
    viewers cannot go back so far."""
    low_rung: bool = False
    """A second picture of 360 lines for weak networks; about a sixth of a core per show."""
    max_kbit_per_second: int = 12_000
    """An encoder that sends more for long is refused."""
    link_hours: int = 6
    """How long a signed playback address of a show for customers works."""
    camera_transcodes: int = 1
    """Browsers that can only send VP8 are transcoded, so many at once, each at half a core; 0:
    they are refused."""
    replay_days: int = 90
    """How long the recording of a show is kept after it; 0: nothing but what rewinding needs."""
    recording_hours: int = 12
    """A recording that is kept ends after so much of a show, so that a show that nobody ends does
    not fill the disk (about 1 GB an hour at 2.5 Mbit/s). The show goes on; viewers can go back to
    what was recorded, but not to what comes later."""
    replay_at_once: bool = True
    """Whether a show becomes its replay when it ends, without anybody asking for it."""
    thumbnail_seconds: int = 30
    """How often the picture of a running show is renewed; 0: there is none."""
    simulcast_legs: int = 5
    """Destinations that one show is sent to at once."""
    archive_url: str = ""
    """Where recordings move after the show, such as s3://bucket/folder; empty: they stay under
    `data_dir`."""
    archive_endpoint: str = ""
    """The address of an S3-compatible server; empty: Amazon's."""
    archive_region: str = ""
    archive_key_id: str = ""
    archive_secret: str = ""


class SyndicationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limits: dict[str, int] = msgspec.field(default_factory=dict)
    """Figures of vendors that are different for this shop, by name: `x.posts_per_day=50`."""
    source_seconds: int = 60
    """How often a shop system is asked for changes."""
    source_whole_hours: int = 24
    """How often its whole catalog is read, deletions included."""
    read_back_seconds: int = 6 * 3600
    """How old our knowledge of what a channel shows may become."""
    private_addresses: bool = False
    """Whether connectors may talk to loopback and private networks, such as a shop system on the
    same machine."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Mode = "production"
    data_dir: str = "liveshop-data"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    shop: ShopSettings = ShopSettings()
    checkout: CheckoutSettings = CheckoutSettings()
    payments: PaymentSettings = PaymentSettings()
    stripe: StripeSettings = StripeSettings()
    delivery: DeliverySettings = DeliverySettings()
    company: CompanySettings = CompanySettings()
    mail: MailSettings = MailSettings()
    chat: ChatSettings = ChatSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    customers: CustomerSettings = CustomerSettings()
    media: MediaSettings = MediaSettings()
    video: VideoSettings = VideoSettings()
    syndication: SyndicationSettings = SyndicationSettings()

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir)

    @property
    def recordings_path(self) -> Path:
        return Path(self.video.folder) if self.video.folder else self.data_path / "video"

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite+aiosqlite:///{self.data_path / 'liveshop.sqlite3'}"

    @property
    def public_url(self) -> str:
        given = self.server.public_url.rstrip("/")
        return given or f"http://{self.server.host}:{self.server.port}"

    @property
    def ingest_url(self) -> str:
        """What hosts enter as the server in their encoder; empty: no encoder is taken."""
        video = self.video
        if video.ingest_url:
            return video.ingest_url.rstrip("/")
        host = urlsplit(self.public_url).hostname or self.server.host
        host = f"[{host}]" if ":" in host else host
        if video.rtmps_port:
            return f"rtmps://{host}{_port_unless(443, video.rtmps_port)}/live"
        if video.rtmp_port:
            return f"rtmp://{host}{_port_unless(1935, video.rtmp_port)}/live"
        return ""


def _port_unless(usual: int, port: int) -> str:
    return "" if port == usual else f":{port}"
