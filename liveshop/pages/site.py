"""The HTML pages: shows for everybody, the shells of studio and desk, the API in words.

They stand above the features because they show several at once, and below the composition root.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import jinja2
import msgspec
from aiohttp import web
from babel.dates import format_datetime
from babel.numbers import format_currency, get_currency_precision
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.wire import Product, Variant
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId
from liveshop.kernel.zones import time_zones
from liveshop.pages.share_pictures import SharePicture, SharePictures
from liveshop.promotions.announce import price_before
from liveshop.settings import Settings
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import Show, UnknownShow
from liveshop.shows.replay_viewing import Film
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.web import ANONYMOUS, LANGUAGES, PUBLIC, Call, Endpoint, MoneyOut, language_of
from liveshop.web import assets as web_assets
from liveshop.web.assets import Assets

_STRIPE = {
    "script-src": "https://js.stripe.com https://*.js.stripe.com",
    "frame-src": "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com",
    "connect-src": "https://api.stripe.com",
}
"""What Stripe.js needs: https://docs.stripe.com/security/guide#content-security-policy."""
_STRIPE_PERMISSIONS = 'geolocation=(), payment=(self "https://js.stripe.com"), interest-cohort=()'
_MOMENTS = {"de": "EEEE, d. MMMM y, HH:mm (zzzz)", "en": "EEEE, d MMMM y, HH:mm (zzzz)"}


FilmOf = Callable[[AsyncConnection, Show], Awaitable[Film | None]]


class OembedQuery(msgspec.Struct):
    url: str
    format: str = "json"
    maxwidth: int = 960
    maxheight: int = 640


class OnlyJson(ShopError):
    """The status is the one oEmbed asks for (section 2.3.4)."""

    code = "only_json"
    status = 501


class Pages:
    """Renders templates. Reads them when it is made, before the loop runs."""

    def __init__(self, settings: Settings, assets: Assets) -> None:
        self._settings = settings
        self._assets = assets
        self._words = {language: _words(language) for language in LANGUAGES}
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader(_templates()),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        for language in LANGUAGES:
            # Babel reads its files at the first use, and the loop must not wait for a disk.
            _money_writer(language)(MoneyOut(amount=0, currency=settings.shop.currency))
            _moment_writer(language)(datetime.now(UTC), "UTC")
        # Lookups like schema["enum"] on an OpenAPI document are questions, not mistakes.
        self._lenient = self._environment.overlay(undefined=jinja2.ChainableUndefined)

    def render(
        self,
        template: str,
        request: web.Request,
        *,
        lang: str | None = None,
        status: int = 200,
        **data: Any,
    ) -> web.Response:
        """An HTML answer under a strict content security policy."""
        language = lang or _language(request)
        nonce = secrets.token_urlsafe(12)
        environment = self._lenient if template == "docs.html.j2" else self._environment
        html = environment.get_template(template).render(
            status=status,
            lang=language,
            t=self._translator(language),
            asset=self._assets.url,
            nonce=nonce,
            shop_name=self._settings.shop.name,
            demo=self._settings.mode == "demo",
            base_url=self._settings.public_url,
            money=_money_writer(language),
            moment=_moment_writer(language),
            **data,
        )
        response = web.Response(text=html, content_type="text/html", status=status)
        takes_stripe = "stripe" in self._settings.payments.methods
        response.headers["Content-Security-Policy"] = _policy(
            nonce, self._settings.public_url, _STRIPE if takes_stripe else {}
        )
        if takes_stripe:
            response.headers["Permissions-Policy"] = _STRIPE_PERMISSIONS
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Language"] = language
        return response

    def _translator(self, language: str) -> Callable[..., str]:
        words, fallback = self._words[language], self._words["en"]

        def translate(key: str, **values: Any) -> str:
            text = words.get(key) or fallback.get(key) or key
            for name, value in values.items():
                text = text.replace("{" + name + "}", str(value))
            return text

        return translate


def endpoints(
    pages: Pages,
    shows: ShowService,
    database: Database,
    settings: Settings,
    openapi: Callable[[], dict[str, Any]],
    pictures: SharePictures,
    film_of: FilmOf,
) -> list[Endpoint]:
    """`film_of`: a replay as one file, for browsers and readers without our player."""

    async def home(call: Call) -> web.Response:
        listed = await shows.list_shows(None, ANONYMOUS)
        product_id = call.request.query.get("product", "")
        if product_id and (found := _show_with(listed, product_id)) is not None:
            there = f"/s/{found.id}?{urlencode(_arrival(call.request))}"
            return web.Response(
                status=302, headers={"Location": there, "Cache-Control": "no-store"}
            )
        return pages.render(
            "home.html.j2",
            call.request,
            live=[show for show in listed if show.state == "live"],
            scheduled=sorted(
                (show for show in listed if show.state == "scheduled"),
                key=lambda show: show.starts_at or datetime.max.replace(tzinfo=call.now.tzinfo),
            ),
            past=[show for show in listed if show.state in ("ended", "replay")],
        )

    async def show_page(call: Call) -> web.Response:
        show_id = ShowId(call.params["show_id"])
        invitation = call.request.query.get("invite", "")
        who = await shows.rehearsals.as_invited(call.principal, invitation)
        async with database.read() as conn:
            found = await shows.visible(conn, show_id, who)
            if found.rehearsal is not None and not invitation and who.may("shows:write"):
                # The player is a guest, whoever looks at the page.
                address = (await shows.rehearsals.invite(show_id)).url
                return web.Response(
                    status=302, headers={"Location": address, "Cache-Control": "no-store"}
                )
            show = await shows.show_out(conn, found)
            products = await shows.products_out(conn, found)
            film = await film_of(conn, found)
        picture = await pictures.of(found, show)
        language = _chosen_language(call.request) or _of_show(show, call.request)
        oembed = urlencode({"url": show.page, "format": "json"})
        response = pages.render(
            "show.html.j2",
            call.request,
            lang=language if language in LANGUAGES else "en",
            show=show,
            products=products,
            shared=picture,
            film=film,
            json_ld=json_ld(show, products, settings, picture, film),
            price_before=_price_before,
            oembed_url=f"{settings.public_url}/oembed?{oembed}",
            player_lang=language,
        )
        if show.state == "rehearsal":
            # The address may hold the invitation.
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Robots-Tag"] = "noindex"
            response.headers["Cache-Control"] = "no-store"
        return response

    async def studio(call: Call) -> web.Response:
        return pages.render("studio.html.j2", call.request)

    async def desk(call: Call) -> web.Response:
        return pages.render("desk.html.j2", call.request)

    async def docs(call: Call) -> web.Response:
        return pages.render("docs.html.j2", call.request, openapi=openapi())

    async def oembed(call: Call) -> web.Response:
        query: OembedQuery = call.query
        if query.format != "json":
            raise OnlyJson("Only format=json is answered.")
        show_id = _show_at(query.url, settings.public_url)
        async with database.read() as conn:
            found = await shows.visible(conn, show_id, ANONYMOUS)
            show = await shows.show_out(conn, found)
        picture = await pictures.of(found, show)
        answer: dict[str, Any] = {
            "version": "1.0",
            "type": "rich",
            "title": show.title,
            "provider_name": settings.shop.name,
            "provider_url": settings.public_url,
            "width": max(1, min(query.maxwidth, 960)),
            "height": max(1, min(query.maxheight, 640)),
            "html": (
                f'<script async src="{settings.public_url}/embed.js"></script>'
                f'<liveshop-show show="{show.id}"></liveshop-show>'
            ),
        }
        if picture is not None:
            answer |= {
                "thumbnail_url": picture.url,
                "thumbnail_width": picture.width,
                "thumbnail_height": picture.height,
            }
        return web.json_response(body=msgspec.json.encode(answer))

    def page(path: str, handler: Any, what: str) -> Endpoint:
        return Endpoint(
            "GET",
            path,
            handler,
            PUBLIC,
            what,
            "pages",
            raw=True,
            produces=("text/html",),
            documented=False,
        )

    return [
        page("/", home, "The shop's shows"),
        page("/s/{show_id}", show_page, "A show's own page"),
        page("/studio", studio, "The host's studio"),
        page("/desk", desk, "The merchant's desk"),
        page("/api/docs", docs, "The API in words"),
        Endpoint(
            "GET",
            "/oembed",
            oembed,
            PUBLIC,
            "oEmbed of a show's page",
            "pages",
            query=OembedQuery,
            raw=True,
            documented=False,
            any_origin=True,
        ),
    ]


def _show_with(listed: Sequence[shows_wire.Show], product_id: str) -> shows_wire.Show | None:
    """Where a product can be seen: in a show that is on, else the next one, else the latest."""
    having = [show for show in listed if product_id in show.lineup]
    never = datetime.max.replace(tzinfo=UTC)
    scheduled = sorted(
        (show for show in having if show.state == "scheduled"),
        key=lambda show: show.starts_at or never,
    )
    past = [show for show in having if show.state in ("replay", "ended")]
    past.sort(key=lambda show: (show.state == "replay", show.ended_at or never), reverse=True)
    live = [show for show in having if show.state == "live"]
    return next(iter((*live, *scheduled, *past)), None)


def _arrival(request: web.Request) -> dict[str, str]:
    """What the player wants to know of an address, such as that of a code on a shelf."""
    names = ("product", "store", "lang")
    return {name: request.query[name] for name in names if name in request.query}


def _show_at(url: str, public_url: str) -> ShowId:
    """The show whose page this is. Raises UnknownShow."""
    try:
        asked = urlsplit(url)
    except ValueError as error:
        raise UnknownShow("This is not the address of a show here.") from error
    if asked.netloc != urlsplit(public_url).netloc or not asked.path.startswith("/s/"):
        raise UnknownShow("This is not the address of a show here.")
    return ShowId(asked.path.removeprefix("/s/").strip("/"))


def error_page(
    pages: Pages, request: web.Request, error: ShopError, request_id: str
) -> web.Response:
    return pages.render(
        "error.html.j2",
        request,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
    )


def json_ld(
    show: shows_wire.Show,
    products: Sequence[Product],
    settings: Settings,
    picture: SharePicture | None = None,
    film: Film | None = None,
) -> str:
    """schema.org BroadcastEvent with the offers of its lineup, as JSON text."""
    event: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "BroadcastEvent",
        "name": show.title,
        "description": show.description,
        "url": show.page,
        "isLiveBroadcast": True,
        "inLanguage": show.languages,
        "eventStatus": "https://schema.org/EventScheduled",
        "eventAttendanceMode": "https://schema.org/OnlineEventAttendanceMode",
        "location": {"@type": "VirtualLocation", "url": show.page},
        "organizer": {
            "@type": "Organization",
            "name": settings.shop.name,
            "url": settings.public_url,
        },
        "offers": [offer for product in products for offer in _offers(show, product)],
    }
    start = show.started_at or show.starts_at
    if start is not None:
        event["startDate"] = start
    if show.ended_at is not None:
        event["endDate"] = show.ended_at
    if picture is not None:
        event["image"] = [picture.url]
    if film is not None:
        event["recordedIn"] = _video(show, film, picture)
    if show.host_name:
        event["performer"] = {"@type": "Person", "name": show.host_name}
    return msgspec.json.encode(event).decode()


def _video(show: shows_wire.Show, film: Film, picture: SharePicture | None) -> dict[str, Any]:
    """Its recording, with what search engines ask of one:
    https://developers.google.com/search/docs/appearance/structured-data/video
    """
    video: dict[str, Any] = {
        "@type": "VideoObject",
        "name": show.title,
        "description": show.description or show.title,
        "uploadDate": show.ended_at,
        "duration": f"PT{round(film.seconds)}S",
        "inLanguage": show.languages,
        "url": show.page,
    }
    poster = film.poster or (None if picture is None else picture.url)
    if poster is not None:
        video["thumbnailUrl"] = [poster]
    if show.audience == "everyone":
        video["contentUrl"] = film.mp4
    return video


def _offers(show: shows_wire.Show, product: Product) -> list[dict[str, Any]]:
    item: dict[str, Any] = {
        "@type": "Product",
        "name": product.title,
    }
    if product.brand:
        item["brand"] = {"@type": "Brand", "name": product.brand}
    if product.images:
        item["image"] = [image.src for image in product.images]
    return [
        {
            "@type": "Offer",
            "url": show.page,
            **_price(variant),
            "availability": "https://schema.org/"
            + ("InStock" if variant.available > 0 else "OutOfStock"),
            "itemOffered": item
            | {"sku": variant.sku}
            | ({"gtin13": variant.gtin} if variant.gtin and len(variant.gtin) == 13 else {}),
        }
        for variant in product.variants
    ]


def _price(variant: Variant) -> dict[str, Any]:
    """The price in force, until when, and what it is announced against, the way Google reads it:
    https://developers.google.com/search/docs/appearance/structured-data/merchant-listing
    """
    price: dict[str, Any] = {
        "price": _decimal(variant.price),
        "priceCurrency": variant.price.currency,
    }
    ends = [one.ends_at for one in variant.promotions if one.ends_at is not None]
    if ends:
        price["priceValidUntil"] = min(ends)
    before = _price_before(variant)
    if before is not None:
        price["priceSpecification"] = {
            "@type": "UnitPriceSpecification",
            "priceType": "https://schema.org/StrikethroughPrice",
            "price": _decimal(before),
            "priceCurrency": before.currency,
        }
    return price


def _price_before(variant: Variant) -> MoneyOut | None:
    """What a reduced price is announced against; None where nothing is."""
    before = price_before(
        variant.list_price.to_money(),
        None if variant.compare_at is None else variant.compare_at.to_money(),
    )
    return MoneyOut.of(before) if variant.price.amount < before.amount else None


def _decimal(money: MoneyOut) -> str:
    digits = get_currency_precision(money.currency)
    return f"{money.amount / 10**digits:.{digits}f}"


def _money_writer(language: str) -> Callable[[MoneyOut], str]:
    def write(money: MoneyOut) -> str:
        return format_currency(_decimal(money), money.currency, locale=language)

    return write


def _moment_writer(language: str) -> Callable[[datetime, str], str]:
    def write(moment: datetime, zone: str) -> str:
        return format_datetime(
            moment, _MOMENTS[language], tzinfo=time_zones()[zone], locale=language
        )

    return write


def _chosen_language(request: web.Request) -> str | None:
    chosen = request.query.get("lang", "")
    return chosen if chosen in LANGUAGES else None


def _language(request: web.Request) -> str:
    """Asked for by `?lang=`, else the browser's first language that we speak, else English."""
    return _chosen_language(request) or language_of(request)


def _of_show(show: shows_wire.Show, request: web.Request) -> str:
    """The reader's language if the show is held in it, else the show's first."""
    wanted = _language(request)
    return wanted if wanted in show.languages else show.languages[0]


def _policy(nonce: str, public_url: str, more: Mapping[str, str]) -> str:
    """`more`: by directive, what else the page may load."""
    # The page may be open under another name of this server than its public one.
    live = public_url.replace("http", "ws", 1)
    directives = {
        "default-src": "'none'",
        "script-src": f"'self' 'nonce-{nonce}'",
        "style-src": "'self'",
        "img-src": f"'self' {public_url} data: blob: https:",
        "media-src": f"'self' {public_url} blob: https:",
        "font-src": "'self'",
        "connect-src": f"'self' {public_url} {live}",
        "frame-src": "",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    told = {name: f"{sources} {more.get(name, '')}".strip() for name, sources in directives.items()}
    return "; ".join(f"{name} {sources}" for name, sources in told.items() if sources)


def _templates() -> dict[str, str]:
    folder = web_assets.folder("pages")
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.j2")}


def _words(language: str) -> dict[str, str]:
    words: dict[str, str] = {}
    for path in sorted(web_assets.folder("locales").glob(f"*{language}.json")):
        words |= msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    return words
