"""The buyer's page of an order: opened by its link alone, without JavaScript, kept to itself."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import urlencode

import builders
import letter_builders as made
import pytest
from builders import Answer, Api
from letter_builders import bought, page_of

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.orders import feedback, return_store
from liveshop.orders.model import Order

FORM = "application/x-www-form-urlencoded"


class Page(HTMLParser):
    """The text of a page, its elements, and what its forms would send."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


async def opened(api: Api, path: str) -> Page:
    answer = await api.fetch("GET", path, Accept="text/html")
    assert answer.status == 200, answer.text
    return Page(answer.text)


async def sent(api: Api, path: str, **fields: str) -> Answer:
    return await api.fetch("POST", path, raw=urlencode(fields).encode(), Content_Type=FORM)


async def delivered(shop: Liveshop, **given: str) -> Order:
    order = await bought(shop, **given)
    await made.ship(shop, order, carrier="DHL", tracking="0034043416")
    await made.deliver(shop, order)
    return order


async def test_the_link_alone_shows_the_order_and_nothing_of_it_leaks(
    site: Api, site_shop: Liveshop
) -> None:
    order = await bought(site_shop)
    answer = await site.fetch("GET", page_of(site_shop, order))
    assert answer.status == 200
    headers = answer.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    page = Page(answer.text)
    assert page.all("script") == []
    assert [meta["content"] for meta in page.all("meta") if meta.get("name") == "referrer"] == [
        "no-referrer"
    ]
    for said in (order.number, "getting your order ready", "2 × Mug", "€60.90", "Paid."):
        assert said in page.text
    assert "Tuesday, 24 November – Thursday, 26 November" in page.text
    assert "ada@example.org" not in page.html


@pytest.mark.parametrize("change", ["short", "other", "none", "upper"])
async def test_a_wrong_link_is_a_page_that_does_not_exist(
    change: str, site: Api, site_shop: Liveshop
) -> None:
    path = page_of(site_shop, await bought(site_shop))
    wrong = {
        "short": path[:-1],
        "other": path[:-1] + ("0" if path[-1] != "0" else "1"),
        "none": "/o/nothing",
        "upper": path.replace("/o/", "/o/x"),
    }[change]
    for end in ("", "/invoice"):
        answer = await site.fetch("GET", wrong + end, Accept="text/html")
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
    assert (await sent(site, f"{wrong}/feedback", effort="7")).status == 404
    assert (await sent(site, f"{wrong}/return", kind="by_post")).status == 404


async def test_the_page_goes_along_with_the_parcel(site: Api, site_shop: Liveshop) -> None:
    order = await bought(site_shop)
    path = page_of(site_shop, order)
    await made.ship(site_shop, order, carrier="DHL", tracking="0034043416")
    page = await opened(site, path)
    assert "Your order is on its way" in page.text
    assert "DHL" in page.text
    assert "0034043416" in page.text
    assert "Somebody of the shop" not in page.html
    await made.deliver(site_shop, order)
    page = await opened(site, path)
    assert "Your order has arrived" in page.text
    assert len(page.all("time")) == 3


async def test_a_pickup_shows_its_code_to_be_scanned_once_it_is_ready(
    site: Api, site_shop: Liveshop
) -> None:
    place = await made.store_place(site_shop)
    order = await bought(site_shop, store_id=place, places=[place], language="de")
    path = page_of(site_shop, order)
    assert order.pickup_code is not None
    page = await opened(site, path)
    assert f"Dein Code, sobald alles bereitliegt: {order.pickup_code}" in page.text
    assert not [one for one in page.all("svg") if "qr" in (one.get("class") or "")]
    assert "Laden Altona" in page.text
    await made.ready(site_shop, order)
    page = await opened(site, path)
    assert [html["lang"] for html in page.all("html")] == ["de"]
    assert "Deine Bestellung liegt bereit" in page.text
    assert order.pickup_code in page.text
    assert len(page.all("svg")) >= 2
    assert "Samstag, 28. November" in page.text
    assert "geschlossen" in page.text
    assert "Große Bergstraße 1" in page.text


async def test_a_return_is_announced_once_and_told_back(site: Api, site_shop: Liveshop) -> None:
    order = await delivered(site_shop)
    path = page_of(site_shop, order)
    page = await opened(site, path)
    (form,) = [one for one in page.all("form") if "/return" in (one["action"] or "")]
    assert form["action"] == f"{path}/return#return"
    fields = {"quantity-0": "1", "reason-0": "damaged", "kind": "by_post", "note": "a crack"}
    answer = await sent(site, f"{path}/return", **fields)
    assert (answer.status, answer.headers["Location"]) == (303, f"{path}?said=return#return")
    assert answer.headers["Cache-Control"] == "no-store"
    async with site_shop.database.read() as conn:
        (asked,) = await return_store.of_order(conn, order.id)
    assert (asked.kind, asked.state, asked.note) == ("by_post", "requested", "a crack")
    assert [(one.position, one.quantity, one.reason) for one in asked.lines] == [(0, 1, "damaged")]
    page = await opened(site, f"{path}?said=return")
    assert "We know about it now" in page.text
    assert "1 × Mug" in page.text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"quantity-0": "0", "kind": "by_post"}, "Choose how many"),
        ({"quantity-0": "1", "kind": "by_post"}, "Choose a reason"),
        ({"quantity-0": "1", "reason-0": "damaged"}, "Choose how it comes back"),
        ({"quantity-0": "one", "reason-0": "damaged", "kind": "by_post"}, "has to be a number"),
        ({"quantity-0": "-1", "reason-0": "damaged", "kind": "by_post"}, "has to be a number"),
        ({"quantity-0": "3", "reason-0": "damaged", "kind": "by_post"}, "That many cannot"),
        ({"quantity-7": "1", "reason-7": "damaged", "kind": "by_post"}, "That many cannot"),
        ({"quantity-0": "1", "reason-0": "envy", "kind": "by_post"}, "could not read"),
        ({"quantity-0": "1", "reason-0": "damaged", "kind": "by_drone"}, "could not read"),
        ({"quantity-0": "1", "reason-0": "damaged", "kind": "by_post", "note": "x" * 501}, "long"),
        ({"quantity-0": "1", "reason-0": "damaged", "kind": "by_post", "note": "\x00"}, "could"),
        ({}, "Choose how many"),
    ],
)
async def test_a_return_that_cannot_be_is_told_on_the_page_and_what_was_typed_is_kept(
    fields: dict[str, str], told: str, site: Api, site_shop: Liveshop
) -> None:
    order = await delivered(site_shop)
    given = {"note": "<b>it's broken</b>"} | fields
    answer = await sent(site, f"{page_of(site_shop, order)}/return", **given)
    assert answer.status == 422
    page = Page(answer.text)
    (error,) = re.findall(r'role="alert">(.*?)</p>', page.html, re.S)
    assert told in error
    if "note" not in fields:
        assert "&lt;b&gt;it&#39;s broken&lt;/b&gt;" in page.html
    if fields.get("reason-0") == "damaged" and fields.get("note") != "\x00":
        assert '<option value="damaged" selected>' in page.html
    async with site_shop.database.read() as conn:
        assert await return_store.of_order(conn, order.id) == []


async def test_the_two_questions_are_answered_and_may_be_answered_anew(
    site: Api, site_shop: Liveshop
) -> None:
    order = await delivered(site_shop)
    path = page_of(site_shop, order)
    for effort, satisfaction, comment in (("7", "5", "Great"), ("3", "2", "Not so great")):
        answer = await sent(
            site,
            f"{path}/feedback",
            effort=effort,
            satisfaction=satisfaction,
            comment=comment,
        )
        assert answer.status == 303
    async with site_shop.database.read() as conn:
        known = await feedback.of_order(conn, order.id)
    assert known is not None
    assert (known.effort, known.satisfaction, known.comment) == (3, 2, "Not so great")
    page = await opened(site, f"{path}?said=feedback")
    assert "Thank you for telling us." in page.text
    chosen = {one["name"]: one["value"] for one in page.all("input") if "checked" in one}
    assert (chosen["effort"], chosen["satisfaction"]) == ("3", "2")
    assert "Not so great" in page.text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"comment": "only words"},
        {"effort": "8"},
        {"effort": "٣"},
        {"satisfaction": "0"},
        {"satisfaction": "five"},
    ],
)
async def test_answers_that_are_none_are_asked_for_again(
    fields: dict[str, str], site: Api, site_shop: Liveshop
) -> None:
    order = await delivered(site_shop)
    answer = await sent(site, f"{page_of(site_shop, order)}/feedback", **fields)
    assert answer.status == 422
    assert "answer at least one" in answer.text
    assert fields.get("comment", "") in answer.text


async def test_forms_are_forms_and_not_too_large(site: Api, site_shop: Liveshop) -> None:
    path = page_of(site_shop, await delivered(site_shop))
    answer = await site.fetch("POST", f"{path}/feedback", {"effort": 7})
    assert answer.status == 415
    answer = await sent(site, f"{path}/feedback", effort="7", comment="x" * 70_000)
    assert answer.status == 413
    assert "too long" in answer.text
    for raw in (b"\xff\xfe", b"comment=%FF", b"&".join([b"a=b"] * 600)):
        answer = await site.fetch("POST", f"{path}/feedback", raw=raw, Content_Type=FORM)
        assert answer.status == 422


async def test_who_sends_a_lot_waits_and_others_do_not(
    site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    first = page_of(site_shop, await delivered(site_shop))
    statuses = [(await sent(site, f"{first}/feedback", effort="7")).status for _ in range(11)]
    assert statuses == [303] * 10 + [429]
    other = await bought(site_shop, number=2, title="Cup")
    answer = await sent(site, f"{page_of(site_shop, other)}/feedback", effort="7")
    assert answer.status == 303
    clock.advance(timedelta(minutes=1))
    assert (await sent(site, f"{first}/feedback", effort="7")).status == 303


async def test_staff_with_a_session_uses_the_page_as_a_buyer_does(
    site: Api, site_shop: Liveshop
) -> None:
    path = page_of(site_shop, await delivered(site_shop))
    browser = await site.signed_in(await builders.staff(site_shop, "merchant"))
    browser.csrf = ""
    assert (await sent(browser, f"{path}/feedback", effort="7")).status == 303
    broken = Api(site.client, session="session=old")
    assert (await broken.fetch("GET", path)).status == 200


async def test_the_invoice_opens_from_the_page(site: Api, site_shop: Liveshop) -> None:
    order = await bought(site_shop)
    path = page_of(site_shop, order)
    page = await opened(site, path)
    assert f"{path}/invoice" in [link.get("href") for link in page.all("a")]
    answer = await site.fetch("GET", f"{path}/invoice")
    assert answer.status == 200
    assert "R2026-000001" in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Invoice R2026-000001" in (await opened(site, path)).text


async def test_a_cancelled_order_says_so_and_takes_no_forms(site: Api, site_shop: Liveshop) -> None:
    order = await bought(site_shop, method="invoice")
    await site_shop.desk.cancel(order.id, made.STAFF, "no stock")
    path = page_of(site_shop, order)
    page = await opened(site, path)
    assert "This order is cancelled" in page.text
    assert "no stock" not in page.html
    assert page.all("form") == []
    answer = await sent(site, f"{path}/feedback", effort="7")
    assert answer.status == 409
    answer = await site.fetch("GET", f"{path}/invoice", Accept="text/html")
    assert answer.status == 404


async def test_names_of_every_script_and_hostile_ones_are_shown_as_they_are(
    site: Api, site_shop: Liveshop
) -> None:
    order = await bought(site_shop, name="<script>alert(1)</script> آدا", title="حقيبة <b>")
    page = await opened(site, page_of(site_shop, order))
    assert page.all("script") == []
    assert "<script>alert(1)</script> آدا" in page.text
    assert "<bdi>حقيبة &lt;b&gt;</bdi>" in page.html


@pytest.mark.parametrize("position", ["9" * 5000, "99999", "٣", "-1", "0x1", "1e3"])
async def test_a_form_with_a_number_nobody_has_is_told_so(
    site: Api, site_shop: Liveshop, position: str
) -> None:
    order = await delivered(site_shop)
    form = {f"quantity-{position}": "1", f"reason-{position}": "other", "kind": "by_post"}
    answer = await sent(site, f"{page_of(site_shop, order)}/return", **form)
    assert answer.status == 422, answer.text
