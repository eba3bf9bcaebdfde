"""What is well-formed and still wrong: figures out of range, parts that do not go together."""

import re
from datetime import date
from email.utils import parseaddr
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from liveshop.settings.sections import (
    PAYMENT_METHODS,
    CompanySettings,
    DatabaseSettings,
    DeliverySettings,
    MailSettings,
    ServerSettings,
    Settings,
    ShopSettings,
    SyndicationSettings,
    VideoSettings,
)


def contradictions(settings: Settings) -> list[str]:
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
        *_bad_realtime(settings),
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


def _bad_realtime(settings: Settings) -> list[str]:
    found: list[str] = []
    realtime = settings.realtime
    if realtime.broker == "redis":
        if urlsplit(realtime.redis_url).scheme not in ("redis", "rediss", "unix"):
            found.append("realtime.redis_url: write it like redis://127.0.0.1:6379/0")
        if not settings.database_url.startswith("postgresql"):
            found.append("realtime.broker: several nodes need PostgreSQL (database.url)")
    elif realtime.redis_url:
        found.append("realtime.redis_url: it is not used unless realtime.broker is redis")
    if realtime.connections_per_address < 0:
        found.append("realtime.connections_per_address: 0 or more")
    if not re.fullmatch("[A-Za-z0-9_.:-]{1,40}", realtime.redis_prefix):
        found.append("realtime.redis_prefix: letters, digits and _ . : - , at most 40")
    if settings.chat.readable_per_second < 0:
        found.append("chat.readable_per_second: 0 or more")
    if settings.server.node and not re.fullmatch("[A-Za-z0-9_.-]{1,60}", settings.server.node):
        found.append("server.node: letters, digits and _ . - , at most 60")
    if settings.server.node_url and not _is_http(settings.server.node_url):
        found.append("server.node_url: write it like http://10.0.0.11:8080")
    return found


def _bad_addresses(server: ServerSettings) -> list[str]:
    found: list[str] = []
    if not 0 <= server.port <= 65535:
        found.append("server.port: must be between 0 and 65535")
    if server.trusted_proxies < 0:
        found.append("server.trusted_proxies: a number of proxies is 0 or more")
    if min(server.shutdown_seconds, server.drain_lead_seconds, server.drain_seconds) < 0:
        found.append("server.shutdown_seconds, drain_lead_seconds, drain_seconds: 0 or more")
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
    if not 0 <= video.least_free_gib <= 100_000:
        found.append("video.least_free_gib: between 0 and 100000")
    found += [
        f"video.{name}: at least {least}"
        for name, value, least in (
            ("grace_seconds", video.grace_seconds, 1),
            ("rewind_seconds", video.rewind_seconds, 0),
            ("max_kbit_per_second", video.max_kbit_per_second, 100),
            ("link_hours", video.link_hours, 1),
            ("replay_days", video.replay_days, 0),
            ("recording_hours", video.recording_hours, 1),
        )
        if value < least
    ]
    return [*found, *_bad_archive(video)]


def _bad_archive(video: VideoSettings) -> list[str]:
    """Never with the secret in it."""
    found: list[str] = []
    if not video.archive_url:
        given = (video.archive_endpoint, video.archive_key_id, video.archive_secret)
        if any(given):
            found.append("video.archive_url: where to, such as s3://bucket/folder")
        return found
    parts = urlsplit(video.archive_url)
    if parts.scheme != "s3" or not re.fullmatch("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        found.append("video.archive_url: write it like s3://bucket/folder")
    if parts.query or parts.fragment:
        found.append("video.archive_url: nothing but a bucket and a folder")
    if video.archive_endpoint and not _is_http(video.archive_endpoint):
        found.append("video.archive_endpoint: write it like https://s3.example.com")
    if bool(video.archive_key_id) != bool(video.archive_secret):
        found.append("video.archive_secret: it goes with archive_key_id, and neither alone")
    if video.replay_days == 0:
        found.append("video.archive_url: with replay_days 0 there is nothing to move there")
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
