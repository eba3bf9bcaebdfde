"""The HTML pages: readable without JavaScript, by people and by machines, in English and German."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import builders
import catalog_builders
import pytest
from builders import Api
from icalendar import Calendar

from liveshop.app import Liveshop
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.promotions.wire import PercentOff, PromotionInput
from liveshop.shows import wire as shows_wire

STARTS = datetime(2026, 12, 1, 18, 30, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script>\"'&<b>"


class Page(HTMLParser):
    """What a reader without scripts gets: the text, and the elements with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts).replace("\xa0", " ")

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]

    @property
    def json_ld(self) -> Any:
        (found,) = [
            text
            for attributes, text in self.scripts
            if attributes.get("type") == "application/ld+json"
        ]
        return json.loads(found)

    def meta(self, **wanted: str) -> str | None:
        (found,) = self.all("meta", **wanted)
        return found["content"]


async def page(site: Api, path: str, *, status: int = 200, **headers: str) -> Page:
    answer = await site.fetch("GET", path, **{"Accept": "text/html"} | headers)
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Page(answer.text)


@pytest.fixture
async def goods(site_shop: Liveshop) -> list[Product]:
    return [
        await builders.product(site_shop, title="Linen shirt", sizes=("S", "M"), price=4990),
        await builders.product(site_shop, title="Last lamp", stock=2, price=12900),
        await builders.product(site_shop, title="Gone vase", stock=0, price=900),
    ]


@pytest.fixture
async def announced(site_shop: Liveshop, goods: list[Product]) -> ShowId:
    picture = await site_shop.media.store_image(
        catalog_builders.picture(1600, 900), alt="A table with linen"
    )
    show = await site_shop.shows.create_show(
        shows_wire.ShowInput(
            title="Linen & light",
            description="Slow evenings.\n\nBring tea.",
            host_name="Hedda",
            starts_at=STARTS,
            cover_id=picture.media_id,
            product_ids=[product.id for product in goods],
        )
    )
    await site_shop.shows.change_state(show.id, "scheduled")
    return show.id


async def test_a_show_can_be_read_without_javascript(site: Api, announced: ShowId) -> None:
    found = await page(site, f"/s/{announced}?lang=en")
    for words in (
        "Linen & light",
        "Slow evenings.",
        "Bring tea.",
        "Hedda",
        "Linen shirt",
        "Last lamp",
        "Gone vase",
        "€49.90",
        "€129.00",
        "S, M",
    ):
        assert words in found.text, words
    assert "Tuesday, 1 December 2026" in found.text
    assert "19:30" in found.text  # the show's time zone, not the server's
    (moment,) = found.all("time")
    assert moment["datetime"] is not None
    assert datetime.fromisoformat(moment["datetime"]) == STARTS
    assert found.all("a", href=f"/api/shows/{announced}/calendar.ics")
    assert found.all("liveshop-show", show=announced)
    assert len(found.all("h1")) == 1
    assert found.all("html", lang="en")
    assert found.all("main")
    for picture in found.all("img"):
        assert picture["alt"] is not None
        assert int(picture["width"] or 0) > 0
        assert int(picture["height"] or 0) > 0


async def test_while_it_is_live_the_video_is_there_without_scripts(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    assert (await page(site, f"/s/{announced}")).all("video") == []
    await site_shop.shows.change_state(announced, "live")
    (video,) = (await page(site, f"/s/{announced}")).all("video")
    assert (video["src"] or "").endswith(f"/hls/{announced}/index.m3u8")
    await site_shop.shows.change_state(announced, "ended")
    assert (await page(site, f"/s/{announced}")).all("video") == []


async def test_stock_on_the_page_is_the_stock_there_is(
    site: Api, site_shop: Liveshop, announced: ShowId, goods: list[Product]
) -> None:
    before = await page(site, f"/s/{announced}?lang=en")
    lamp = goods[1].variants[0].id
    guest = await site.as_guest()
    status, _ = await guest.call("POST", "/api/cart/lines", {"variant_id": lamp, "quantity": 2})
    assert status == 200
    after = await page(site, f"/s/{announced}?lang=en")
    assert before.text.count("Sold out") == 1
    assert after.text.count("Sold out") == 2
    assert availability(before.json_ld)["LAST LAMP"] == "InStock"
    assert availability(after.json_ld)["LAST LAMP"] == "OutOfStock"


def availability(event: Mapping[str, Any]) -> dict[str, str]:
    return {
        offer["itemOffered"]["sku"]: offer["availability"].removeprefix("https://schema.org/")
        for offer in event["offers"]
    }


async def test_machines_read_the_event_and_its_offers(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    event = (await page(site, f"/s/{announced}")).json_ld
    assert event["@context"] == "https://schema.org"
    assert event["@type"] == "BroadcastEvent"
    assert event["name"] == "Linen & light"
    assert event["isLiveBroadcast"] is True
    assert event["eventStatus"] == "https://schema.org/EventScheduled"
    assert datetime.fromisoformat(event["startDate"]) == STARTS
    assert "endDate" not in event
    assert event["url"] == f"{site_shop.settings.public_url}/s/{announced}"
    assert event["performer"] == {"@type": "Person", "name": "Hedda"}
    assert event["image"][0].startswith("http")
    assert [
        (offer["@type"], offer["price"], offer["priceCurrency"], offer["itemOffered"]["name"])
        for offer in event["offers"]
    ] == [
        ("Offer", "49.90", "EUR", "Linen shirt"),
        ("Offer", "49.90", "EUR", "Linen shirt"),
        ("Offer", "129.00", "EUR", "Last lamp"),
        ("Offer", "9.00", "EUR", "Gone vase"),
    ]
    assert availability(event) == {
        "LINEN SHIRT-S": "InStock",
        "LINEN SHIRT-M": "InStock",
        "LAST LAMP": "InStock",
        "GONE VASE": "OutOfStock",
    }
    assert all("brand" not in offer["itemOffered"] for offer in event["offers"])
    await site_shop.shows.change_state(announced, "live")
    await site_shop.shows.change_state(announced, "ended")
    event = (await page(site, f"/s/{announced}")).json_ld
    assert datetime.fromisoformat(event["endDate"]) >= datetime.fromisoformat(event["startDate"])


async def test_a_lower_price_stands_beside_the_old_one_and_the_lowest_of_30_days(
    site: Api, site_shop: Liveshop, announced: ShowId, goods: list[Product], clock: ManualClock
) -> None:
    clock.advance(timedelta(days=1))
    ends_at = clock.now() + timedelta(hours=2)
    await site_shop.promotions.create_promotion(
        PromotionInput(
            texts={"en": "Lamp week", "de": "Lampenwoche"},
            kind=PercentOff(permille=100),
            product_ids=[goods[1].id],
            ends_at=ends_at,
        )
    )
    english = await page(site, f"/s/{announced}?lang=en")
    assert "€116.10 before €129.00" in english.text
    assert re.search(r"30 days: €129\.00", english.text)
    assert english.text.count("30 days") == 1
    german = await page(site, f"/s/{announced}?lang=de")
    assert "116,10 € vorher 129,00 €" in german.text
    offers = {one["itemOffered"]["sku"]: one for one in english.json_ld["offers"]}
    lamp = offers["LAST LAMP"]
    assert lamp["price"] == "116.10"
    assert datetime.fromisoformat(lamp["priceValidUntil"]) == ends_at
    assert lamp["priceSpecification"] == {
        "@type": "UnitPriceSpecification",
        "priceType": "https://schema.org/StrikethroughPrice",
        "price": "129.00",
        "priceCurrency": "EUR",
    }
    assert "priceSpecification" not in offers["GONE VASE"]
    assert "priceValidUntil" not in offers["GONE VASE"]
    clock.advance(timedelta(hours=2))
    after = await page(site, f"/s/{announced}?lang=en")
    assert "€116.10" not in after.text
    assert "30 days" not in after.text


async def test_a_shows_offer_is_on_its_page_and_on_no_other(
    site: Api, site_shop: Liveshop, announced: ShowId, goods: list[Product]
) -> None:
    other = await builders.live_show(site_shop, [goods[1].id])
    await site_shop.shows.change_state(announced, "live")
    await site_shop.offers.start_offer(
        announced,
        shows_wire.OfferInput(product_id=goods[1].id, kind=PercentOff(permille=500), seconds=60),
    )
    assert "€64.50" in (await page(site, f"/s/{announced}?lang=en")).text
    assert "€64.50" not in (await page(site, f"/s/{other}?lang=en")).text


async def test_shares_show_title_picture_and_address(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    found = await page(site, f"/s/{announced}?lang=de")
    address = f"{site_shop.settings.public_url}/s/{announced}"
    assert found.meta(property="og:title") == "Linen & light"
    assert found.meta(property="og:url") == address
    assert found.meta(property="og:locale") == "de_DE"
    assert found.meta(name="twitter:card") == "summary_large_image"
    assert (found.meta(property="og:description") or "").startswith("Slow evenings.")
    picture = found.meta(property="og:image") or ""
    assert found.meta(property="og:image:alt") == "A table with linen"
    assert int(found.meta(property="og:image:width") or 0) > 0
    assert found.all("link", rel="canonical", href=address)
    shown = await site.fetch("GET", urlsplit(picture).path)
    assert (shown.status, shown.headers["Content-Type"]) == (200, "image/jpeg")


async def test_oembed_is_found_and_gives_the_embed(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    found = await page(site, f"/s/{announced}")
    (link,) = found.all("link", type="application/json+oembed")
    parts = urlsplit(link["href"] or "")
    answer = await site.fetch("GET", f"{parts.path}?{parts.query}&maxwidth=500&maxheight=100")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    embed = answer.json
    assert (embed["version"], embed["type"], embed["title"]) == ("1.0", "rich", "Linen & light")
    assert (embed["width"], embed["height"]) == (500, 100)
    snippet = Page(embed["html"])
    assert snippet.all("liveshop-show", show=announced)
    assert snippet.all("script", src=f"{site_shop.settings.public_url}/embed.js")
    assert embed["thumbnail_url"].startswith("http")


async def test_oembed_says_what_it_cannot(site: Api, site_shop: Liveshop) -> None:
    public = site_shop.settings.public_url
    draft = await site_shop.shows.create_show(shows_wire.ShowInput(title="Secret"))
    for query, status in (
        ("", 422),
        ("url=x", 404),
        ("url=http://[", 404),
        ("url=https://elsewhere.example/s/x", 404),
        (f"url={public}/s/nothing", 404),
        (f"url={public}/s/{draft.id}", 404),
        (f"url={public}/studio", 404),
        (f"url={public}/s/x&format=xml", 501),
        (f"url={public}/s/x&maxwidth=wide", 422),
        (f"url={public}/s/x&maxwidth=-5", 404),
    ):
        answer = await site.fetch("GET", f"/oembed?{query}")
        assert answer.status == status, (query, answer.text)
        assert answer.json["detail"]
        assert "Secret" not in answer.text


async def test_the_calendar_file_is_one(site: Api, site_shop: Liveshop, announced: ShowId) -> None:
    answer = await site.fetch("GET", f"/api/shows/{announced}/calendar.ics")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{announced}.ics"'
    calendar = Calendar.from_ical(answer.body)
    (event,) = calendar.walk("VEVENT")
    assert event["SUMMARY"] == "Linen & light"
    assert event.decoded("DTSTART") == STARTS
    assert event.decoded("DTEND") == STARTS + timedelta(hours=1)
    assert event["URL"] == f"{site_shop.settings.public_url}/s/{announced}"
    assert str(announced) in event["UID"]
    (alarm,) = event.walk("VALARM")
    assert alarm.decoded("TRIGGER") == timedelta(minutes=-15)
    first = int(event["SEQUENCE"])
    moved = STARTS + timedelta(days=1)
    await site_shop.shows.change_show(announced, shows_wire.ShowChange(starts_at=moved))
    answer = await site.fetch("GET", f"/api/shows/{announced}/calendar.ics")
    (event,) = Calendar.from_ical(answer.body).walk("VEVENT")
    assert event.decoded("DTSTART") == moved
    assert int(event["SEQUENCE"]) > first


async def test_the_language_is_the_one_asked_for(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    english = await page(site, f"/s/{announced}?lang=en")
    german = await page(site, f"/s/{announced}?lang=de")
    assert "Dienstag, 1. Dezember 2026" in german.text
    assert "49,90 €" in german.text
    assert "Ausverkauft" in german.text
    assert german.all("html", lang="de")
    assert german.text != english.text
    for asked, language in (
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB", "en"),
        ("fr,de;q=0.5", "de"),
        ("", "en"),
        ("tlh", "en"),
        (",;=", "en"),
    ):
        for path in ("/", "/studio", "/desk", "/api/docs"):
            found = await page(site, path, Accept_Language=asked)
            assert found.all("html", lang=language), (path, asked)
    only_german = await site_shop.shows.create_show(
        shows_wire.ShowInput(title="Nur deutsch", languages=["de"], starts_at=STARTS)
    )
    await site_shop.shows.change_state(only_german.id, "scheduled")
    assert (await page(site, f"/s/{only_german.id}", Accept_Language="en")).all("html", lang="de")
    assert (await page(site, f"/s/{only_german.id}?lang=en")).all("html", lang="en")


@pytest.mark.parametrize("lang", ["en", "de"])
async def test_no_page_shows_a_key_instead_of_words(
    site: Api, announced: ShowId, lang: str
) -> None:
    for path, status in (
        (f"/s/{announced}", 200),
        ("/", 200),
        ("/studio", 200),
        ("/desk", 200),
        ("/api/docs", 200),
        ("/s/nothing", 404),
    ):
        found = await page(site, f"{path}?lang={lang}", status=status)
        assert not re.search(r"\bpage\.\w+", found.text), path
        assert "{" not in found.text.split("API")[0], path


async def test_a_draft_is_nobodys_business(site: Api, site_shop: Liveshop) -> None:
    draft = await site_shop.shows.create_show(shows_wire.ShowInput(title="A secret plan"))
    for caller in (site, await site.as_guest()):
        found = await page(caller, f"/s/{draft.id}", status=404)
        nothing = await page(caller, "/s/shw_nothing", status=404)
        assert "secret" not in found.html
        assert found.all("meta", name="robots", content="noindex")
        without_ids = [re.sub(r"[\w-]{12,}", "", one.text) for one in (found, nothing)]
        assert without_ids[0] == without_ids[1]
    host = await site.signed_in(await builders.staff(site_shop, "host"))
    assert "A secret plan" in (await page(host, f"/s/{draft.id}")).text
    assert "secret" not in (await page(host, "/")).html


async def test_what_people_type_stays_text(site: Api, site_shop: Liveshop) -> None:
    product = await builders.product(site_shop, title=f"Mug {HOSTILE}")
    show = await site_shop.shows.create_show(
        shows_wire.ShowInput(
            title=HOSTILE,
            description=HOSTILE,
            host_name=HOSTILE,
            starts_at=STARTS,
            product_ids=[product.id],
        )
    )
    await site_shop.shows.change_state(show.id, "scheduled")
    for path in (f"/s/{show.id}", "/"):
        found = await page(site, path)
        assert HOSTILE in found.text
        assert all(
            "alert(1)" not in text
            for attributes, text in found.scripts
            if attributes.get("type") != "application/ld+json"
        )
        assert found.all("b") == []
    assert (await page(site, f"/s/{show.id}")).json_ld["name"] == HOSTILE
    reflected = await page(site, f"/s/{'%3Cscript%3Ealert(1)%3C%2Fscript%3E'}", status=404)
    assert "alert(1)" not in reflected.html


async def test_the_home_page_lists_what_is_on(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    live = await builders.live_show(site_shop)
    found = await page(site, "/")
    for show_id in (live, announced):
        assert found.all("a", href=f"/s/{show_id}") or found.all(
            "a", href=f"{site_shop.settings.public_url}/s/{show_id}"
        )


async def test_a_code_on_a_shelf_leads_to_the_show_that_has_the_product(
    site: Api, site_shop: Liveshop, announced: ShowId, goods: list[Product]
) -> None:
    shirt, lamp = goods[0].id, goods[1].id
    told = f"product={lamp}&store=loc_1"
    other = await site_shop.shows.create_show(
        shows_wire.ShowInput(title="Later", starts_at=STARTS, product_ids=[lamp])
    )

    async def leads_to(query: str) -> str | None:
        answer = await site.fetch("GET", f"/?{query}")
        assert answer.status == (302 if "Location" in answer.headers else 200)
        return answer.headers.get("Location")

    assert await leads_to(f"{told}&utm_source=shelf") == f"/s/{announced}?{told}"
    await site_shop.shows.change_state(other.id, "live")
    assert await leads_to(told) == f"/s/{other.id}?{told}"
    assert await leads_to(f"product={shirt}") == f"/s/{announced}?product={shirt}"
    await site_shop.shows.change_state(other.id, "ended")
    assert await leads_to(told) == f"/s/{announced}?{told}"
    assert await leads_to("product=prd_nothing") is None


async def test_the_api_in_words_has_every_operation_and_needs_nobody_else(
    site: Api, site_shop: Liveshop
) -> None:
    found = await page(site, "/api/docs")
    document = site_shop.openapi()
    for path, operations in document["paths"].items():
        assert path in found.text, path
        for operation in operations.values():
            assert operation["summary"][1:] in found.text, operation["summary"]
    loaded = [
        address
        for tag, name in (
            ("script", "src"),
            ("img", "src"),
            ("link", "href"),
            ("iframe", "src"),
            ("source", "srcset"),
        )
        for attributes in found.all(tag)
        if (address := attributes.get(name))
    ]
    assert loaded
    assert all(
        address.startswith(("/", "data:image/svg+xml,")) and not address.startswith("//")
        for address in loaded
    ), loaded
    assert found.scripts == []


async def test_every_page_loads_files_that_are_there(
    site: Api, site_shop: Liveshop, announced: ShowId
) -> None:
    for path in ("/", f"/s/{announced}", "/studio", "/desk", "/api/docs", "/embed.js"):
        answer = await site.fetch("GET", path)
        named = set(re.findall(r"/assets/[\w.-]+", answer.text))
        for address in named:
            file = await site.fetch("GET", address)
            assert file.status == 200, (path, address)
            assert file.headers["Access-Control-Allow-Origin"] == "*"


async def test_the_document_is_openapi_and_complete(site: Api, site_shop: Liveshop) -> None:
    answer = await site.fetch("GET", "/api/openapi.json")
    document = answer.json
    assert document["openapi"] == "3.1.0"
    shown = {
        f"{endpoint.method} {endpoint.path}"
        for endpoint in site_shop.endpoints
        if endpoint.documented
    }
    found = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert found == shown
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))
    references = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert references <= document["components"]["schemas"].keys()


async def test_people_with_a_wrong_address_see_a_page_and_programs_a_problem(site: Api) -> None:
    for path in ("/nothing", "/studio/", "/s/shw_nothing"):
        found = await page(site, path, status=404)
        assert found.all("meta", name="robots", content="noindex")
        status, problem = await site.call("GET", path)
        assert (status, problem["status"]) == (404, 404)
    for path in ("/api/nothing", "/media/x/y", "/hls/x/index.m3u8"):
        answer = await site.fetch("GET", path, Accept="text/html")
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_show_speaks_the_readers_language_where_it_can(
    site: Api, site_shop: Liveshop
) -> None:
    both = await site_shop.shows.create_show(shows_wire.ShowInput(title="A", starts_at=STARTS))
    english = await site_shop.shows.create_show(
        shows_wire.ShowInput(title="B", starts_at=STARTS, languages=["en"])
    )
    for show, language in ((both, "de"), (english, "en")):
        await site_shop.shows.change_state(show.id, "scheduled")
        answer = await site.fetch(
            "GET", f"/s/{show.id}", Accept="text/html", Accept_Language="de-AT,de;q=0.9"
        )
        assert answer.headers["Content-Language"] == language
