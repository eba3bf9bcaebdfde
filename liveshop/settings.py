"""One frozen tree of settings: defaults < liveshop.toml < LIVESHOP_A__B < LIVESHOP_A__B_FILE.

Read once, in `cli.py`. All problems are reported together, in words.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
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


class RealtimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_frame_bytes: int = 8 * 1024
    log_size: int = 2000
    """Events a room remembers for viewers who come back."""
    buffer_bytes: int = 512 * 1024
    """Unsent bytes after which a viewer counts as too slow (close code 4008)."""
    idle_seconds: float = 45.0


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
    low_rung: bool = False
    """A second picture of 360 lines for weak networks; about a sixth of a core per show."""
    max_kbit_per_second: int = 12_000
    """An encoder that sends more for long is refused."""
    link_hours: int = 6
    """How long a signed playback address of a show for customers works."""


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
    def database_url(self) -> str:
        return self.database.url or f"sqlite+aiosqlite:///{self.data_path / 'liveshop.sqlite3'}"

    @property
    def public_url(self) -> str:
        given = self.server.public_url.rstrip("/")
        return given or f"http://{self.server.host}:{self.server.port}"


class BadSettings(Exception):
    """Everything that is wrong with the settings, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    *,
    file: Path | None,
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings. Raises BadSettings with every problem found, not just the first."""
    problems: list[str] = []
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            problems.append(f"{file}: no such file")
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{file}: {error}")
    _merge_environment(tree, environ, problems)
    for dotted, value in (overrides or {}).items():
        _put(tree, dotted.split("."), value)
    settings = _convert(tree, problems)
    problems.extend(_contradictions(settings))
    if problems:
        raise BadSettings(problems)
    return settings


def _merge_environment(
    tree: dict[str, Any], environ: Mapping[str, str], problems: list[str]
) -> None:
    for name in sorted(environ):
        if not name.startswith("LIVESHOP_"):
            continue
        path = name.removeprefix("LIVESHOP_").lower().split("__")
        value = environ[name]
        if path[-1].endswith("_file"):
            try:
                value = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: cannot read {value}: {error}")
                continue
            path[-1] = path[-1].removesuffix("_file")
        if not value.isascii() and not _is_utf8(value):
            problems.append(f"{'.'.join(path)}: {name} is not UTF-8")
            continue
        if not all(path) or not _put(tree, path, value):
            problems.append(f"{'.'.join(path[:-1])}: {name} does not name a setting")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _put(tree: dict[str, Any], path: list[str], value: Any) -> bool:
    """Set a value in the tree; False where something that is no section stands in the way."""
    section: Any = tree
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            return False
    section[path[-1]] = value
    return True


def _convert(tree: dict[str, Any], problems: list[str]) -> Settings:
    """Section by section, so that one bad value does not hide the next; it keeps its default."""
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    good: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in known:
            problems.append(f"{name}: unknown setting; known are {', '.join(known)}")
            continue
        kind = known[name]
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            good[name] = _convert_section(name, value, kind, problems)
        else:
            _convert_value(name, value, kind, good, name, problems)
    return Settings(**good)


def _convert_section(
    section: str, values: dict[str, Any], kind: type[msgspec.Struct], problems: list[str]
) -> msgspec.Struct:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    good: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{section}.{name}"
        if name not in known:
            problems.append(f"{where}: unknown setting; known are {', '.join(known)}")
            continue
        _convert_value(where, value, known[name], good, name, problems)
    return kind(**good)


def _convert_value(
    where: str, value: Any, kind: Any, good: dict[str, Any], name: str, problems: list[str]
) -> None:
    if isinstance(value, str) and get_origin(kind) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, str) and get_origin(kind) is dict:
        value = dict(pair.split("=", 1) for pair in value.split(",") if "=" in pair)
    try:
        good[name] = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        choices = f" (one of {', '.join(map(str, get_args(kind)))})" if _is_literal(kind) else ""
        problems.append(f"{where}: {error}{choices}")


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _contradictions(settings: Settings) -> list[str]:
    """Rules over several values, and defaults too dangerous to start with."""
    found: list[str] = []
    production = settings.mode == "production"
    if len(settings.server.secret) < 32:
        found.append(
            "server.secret: set at least 32 random characters "
            "(LIVESHOP_SERVER__SECRET or LIVESHOP_SERVER__SECRET_FILE)"
        )
    if production and "sandbox" in settings.payments.methods:
        found.append("payments.methods: sandbox takes no money; it runs in demo and test only")
    if settings.customers.algorithm and len(settings.customers.key) < 32:
        found.append("customers.key: storefront sign-on needs its key (32 characters or a PEM)")
    if not settings.payments.methods:
        found.append("payments.methods: name at least one, or nobody can buy")
    return [
        *found,
        *_bad_addresses(settings.server),
        *_bad_database(settings.database),
        *_bad_shop(settings.shop),
        *_bad_times(settings),
        *_bad_promises(settings.delivery),
        *_bad_payments(settings),
        *_bad_syndication(settings.syndication),
        *_bad_company(settings.company),
        *_bad_mail(settings.mail),
        *_bad_video(settings.video),
    ]


def _bad_database(database: DatabaseSettings) -> list[str]:
    found: list[str] = []
    if database.pool_size < 1:
        found.append("database.pool_size: at least 1 connection")
    found += [
        f"database.{name}: more than 0"
        for name in ("busy_timeout_seconds", "lock_timeout_seconds", "idle_in_transaction_seconds")
        if getattr(database, name) <= 0
    ]
    return found


def _bad_addresses(server: ServerSettings) -> list[str]:
    found: list[str] = []
    if not 0 <= server.port <= 65535:
        found.append("server.port: must be between 0 and 65535")
    if server.trusted_proxies < 0:
        found.append("server.trusted_proxies: a number of proxies is 0 or more")
    if server.public_url and not _is_http(server.public_url):
        found.append("server.public_url: write it like https://live.shop.example")
    found += [
        f"server.embed_origins: {origin} is no origin; write it like https://shop.example"
        for origin in server.embed_origins
        if origin != "*" and not (_is_http(origin) and origin.count("/") == 2)
    ]
    return found


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _bad_shop(shop: ShopSettings) -> list[str]:
    found: list[str] = []
    if not re.fullmatch("[A-Z]{3}", shop.currency):
        found.append("shop.currency: three capital letters (ISO 4217), such as EUR")
    if not all(re.fullmatch("[A-Z]{2}", code) and at >= 0 for code, at in shop.shipping.items()):
        found.append("shop.shipping: two capital letters (ISO 3166) and an amount of 0 or more")
    missing = {"standard", "reduced", "zero"} - shop.tax_permille.keys()
    if missing or not all(0 <= rate < 1000 for rate in shop.tax_permille.values()):
        found.append("shop.tax_permille: a rate (190 is 19 %) for each of standard, reduced, zero")
    found += _bad_delivery(shop)
    if not shop.languages or not set(shop.languages) <= {"en", "de"}:
        found.append("shop.languages: one or more of en, de")
    return found


def _bad_delivery(shop: ShopSettings) -> list[str]:
    found: list[str] = []
    for country, steps in shop.shipping_steps.items():
        where = f"shop.shipping_steps.{country}"
        if not re.fullmatch("[A-Z]{2}", country):
            found.append(f"{where}: a country has two capital letters (ISO 3166)")
        numbers = [(one.amount, one.from_goods, one.max_weight_grams or 0) for one in steps]
        if not steps or any(min(one) < 0 for one in numbers):
            found.append(f"{where}: at least one step, with amounts and weights of 0 or more")
    for country, tax in shop.tax_by_country.items():
        where = f"shop.tax_by_country.{country}"
        missing = {"standard", "reduced", "zero"} - tax.permille.keys()
        if missing or not all(0 <= rate < 1000 for rate in tax.permille.values()):
            found.append(f"{where}: a rate (190 is 19 %) for each of standard, reduced, zero")
    try:
        ZoneInfo(shop.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found.append("shop.time_zone: a name of the IANA database, such as Europe/Berlin")
    return found


def _bad_times(settings: Settings) -> list[str]:
    found: list[str] = []
    checkout = settings.checkout
    if checkout.hold_warning_seconds < 20:
        found.append("checkout.hold_warning_seconds: at least 20, so that people can react")
    if checkout.hold_seconds < checkout.hold_warning_seconds + 10:
        found.append("checkout.hold_seconds: longer than hold_warning_seconds by 10 or more")
    if not 0 <= checkout.hold_extensions <= 10:
        found.append("checkout.hold_extensions: 0 to 10")
    if checkout.waitlist_seconds < 30:
        found.append("checkout.waitlist_seconds: at least 30, or nobody can take his turn")
    if checkout.payment_hold_seconds <= settings.payments.timeout_seconds:
        found.append("checkout.payment_hold_seconds: longer than payments.timeout_seconds")
    return found


def _bad_payments(settings: Settings) -> list[str]:
    found: list[str] = []
    methods, stripe = settings.payments.methods, settings.stripe
    unknown = sorted(set(methods) - PAYMENT_METHODS)
    if unknown:
        found.append(
            f"payments.methods: there is no method {', '.join(unknown)} "
            f"(one of {', '.join(sorted(PAYMENT_METHODS))})"
        )
    if len(set(methods)) < len(methods):
        found.append("payments.methods: name each only once")
    if "stripe" in methods:
        needed = {
            "secret_key": stripe.secret_key,
            "publishable_key": stripe.publishable_key,
            "webhook_secret": stripe.webhook_secret,
        }
        found += [
            f"stripe.{name}: payment by stripe needs it "
            f"(LIVESHOP_STRIPE__{name.upper()} or LIVESHOP_STRIPE__{name.upper()}_FILE)"
            for name, value in needed.items()
            if not value
        ]
        if not _is_http(stripe.api_url):
            found.append("stripe.api_url: write it like https://api.stripe.com")
        found += _bad_stripe_keys(settings)
    if settings.payments.timeout_seconds <= 0:
        found.append("payments.timeout_seconds: more than 0")
    if settings.payments.action_minutes < 1:
        found.append("payments.action_minutes: at least 1, or nobody can confirm a payment")
    if settings.payments.action_minutes * 60 >= settings.checkout.payment_hold_seconds:
        found.append(
            "payments.action_minutes: shorter than checkout.payment_hold_seconds, or the goods of "
            "a buyer who takes his time are sold to others"
        )
    return found


def _bad_stripe_keys(settings: Settings) -> list[str]:
    """Goods for money that is none, and money for goods that are none. Never a key in it."""
    is_real = settings.mode == "production"
    wrong, words = (
        ("_test_", "this is a test key, which takes no money; production needs one of live mode")
        if is_real
        else (
            "_live_",
            f"this key takes real money, which mode {settings.mode} must not; use a test key",
        )
    )
    keys = {
        "secret_key": settings.stripe.secret_key,
        "publishable_key": settings.stripe.publishable_key,
    }
    return [f"stripe.{name}: {words}" for name, key in keys.items() if wrong in key]


def _bad_promises(delivery: DeliverySettings) -> list[str]:
    is_good = {
        "cut_off: a time of day, such as 14:00": bool(_CLOCK.fullmatch(delivery.cut_off)),
        f"handling_days: 0 to {_MOST_DAYS}": 0 <= delivery.handling_days <= _MOST_DAYS,
        "transit_days: by country (ISO 3166) at best and at worst, such as DE = [1, 3]": all(
            re.fullmatch("[A-Z]{2}", country) and _is_range(days)
            for country, days in delivery.transit_days.items()
        ),
        "store_transit_days: at best and at worst, such as [1, 2]": _is_range(
            delivery.store_transit_days
        ),
        "working_days: one or more of 1 (Monday) to 7 (Sunday)": (
            bool(delivery.working_days) and set(delivery.working_days) <= set(range(1, 8))
        ),
        "holidays: a country, or a part of one, such as DE or DE-BY": (
            not delivery.holidays or _is_holiday_calendar(delivery.holidays)
        ),
        "closed_on: days, such as 2026-12-24": all(map(_is_date, delivery.closed_on)),
        "pickup_minutes: 0 to a week of minutes": 0 <= delivery.pickup_minutes <= 7 * 24 * 60,
        "keep_days: 1 to 365": 1 <= delivery.keep_days <= 365,
        "return_days: 0 to 3650": 0 <= delivery.return_days <= 3650,
    }
    return [f"delivery.{rule}" for rule, is_kept in is_good.items() if not is_kept]


_CLOCK = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
_MOST_DAYS = 60


def _is_range(days: tuple[int, int]) -> bool:
    return 0 <= days[0] <= days[1] <= _MOST_DAYS


def _is_holiday_calendar(name: str) -> bool:
    country, dash, part = name.partition("-")
    parts = holidays.list_supported_countries(include_aliases=False).get(country)
    return parts is not None and (part in parts if dash else True)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _bad_syndication(syndication: SyndicationSettings) -> list[str]:
    found: list[str] = []
    if syndication.source_seconds < 5:
        found.append("syndication.source_seconds: at least 5, or a shop system does nothing else")
    if syndication.source_whole_hours < 1:
        found.append("syndication.source_whole_hours: at least 1")
    if syndication.read_back_seconds < 60:
        found.append("syndication.read_back_seconds: at least 60, or it uses up a channel's limits")
    found += [
        f"syndication.limits.{name}: 0 or more"
        for name, figure in sorted(syndication.limits.items())
        if figure < 0
    ]
    return found


_VAT_ID = r"[A-Z]{2}[0-9A-Z+*.]{2,13}|CHE-?[0-9.]{9,11}( (MWST|TVA|IVA))?"
_MAX_ADDRESS_LINES = 6


def _bad_company(company: CompanySettings) -> list[str]:
    found: list[str] = []
    if len(company.address) > _MAX_ADDRESS_LINES:
        found.append(f"company.address: at most {_MAX_ADDRESS_LINES} lines")
    if company.vat_id and not re.fullmatch(_VAT_ID, company.vat_id):
        found.append("company.vat_id: the country's letters and the number, such as DE123456789")
    if company.email and not _is_address(company.email):
        found.append("company.email: an e-mail address")
    if company.iban and not _is_iban(company.iban):
        found.append("company.iban: its check digits are wrong (ISO 13616)")
    if company.bic and not re.fullmatch("[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", company.bic):
        found.append("company.bic: 8 or 11 letters and digits (ISO 9362)")
    return found


def _is_iban(text: str) -> bool:
    iban = text.replace(" ", "")
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban):
        return False
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_address(text: str) -> bool:
    return bool(re.fullmatch(r"[^\s@<>,]+@[^\s@<>,]+\.[^\s@<>,]+", text))


def _bad_video(video: VideoSettings) -> list[str]:
    found = [
        f"video.{name}: a port between 0 (none) and 65535"
        for name, port in (("rtmp_port", video.rtmp_port), ("rtmps_port", video.rtmps_port))
        if not 0 <= port < 65536
    ]
    if video.rtmps_port and not (video.rtmps_certificate and video.rtmps_key):
        found.append("video.rtmps_port: needs rtmps_certificate and rtmps_key (PEM files)")
    if video.rtmps_port and video.rtmps_port == video.rtmp_port:
        found.append("video.rtmps_port: another one than rtmp_port")
    if video.ingest_url and not video.ingest_url.startswith(("rtmp://", "rtmps://")):
        found.append("video.ingest_url: write it like rtmps://live.example.com/live")
    if not 0.1 <= video.part_seconds <= 1.0:
        found.append("video.part_seconds: between 0.1 and 1")
    found += [
        f"video.{name}: at least {least}"
        for name, value, least in (
            ("grace_seconds", video.grace_seconds, 1),
            ("rewind_seconds", video.rewind_seconds, 0),
            ("max_kbit_per_second", video.max_kbit_per_second, 100),
            ("link_hours", video.link_hours, 1),
        )
        if value < least
    ]
    return found


def _bad_mail(mail: MailSettings) -> list[str]:
    found: list[str] = []
    if (mail.smtp_host or mail.folder) and not _is_address(parseaddr(mail.sender)[1]):
        found.append("mail.sender: who mails are from, such as Shop <orders@shop.example>")
    if not 0 < mail.smtp_port <= 65535:
        found.append("mail.smtp_port: must be between 1 and 65535")
    if not 4 < mail.keep_days <= 36_500:
        found.append("mail.keep_days: 5 or more, because so long a mail may wait to be sent")
    if mail.smtp_user and not (mail.smtp_starttls or mail.smtp_port == 465):
        found.append("mail.smtp_starttls: a password is sent over TLS only")
    return found
