"""Promotions over HTTP: what the merchant's desk says and hears, and every bad input by name."""

from datetime import timedelta
from typing import Any

import builders
import pytest
from builders import Api

from liveshop.app import Liveshop
from liveshop.catalog.model import ProductDraft, VariantDraft
from liveshop.kernel.clock import ManualClock, rfc3339
from liveshop.kernel.money import Money

TEXTS = {"en": "Winter evening", "de": "Winterabend"}
TEN = {"type": "percent_off", "permille": 100}
SHOW = "shw_" + "0" * 26


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def body(kind: dict[str, Any] = TEN, **changes: Any) -> dict[str, Any]:
    return {"texts": TEXTS, "kind": kind} | changes


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    (
        {"starts_at": "2026-12-24T00:00:00Z", "ends_at": "2026-12-23T00:00:00Z"},
        422, "ends_before_start", "ends_at",
    ),
    ({"ends_at": "2026-11-20T00:00:00Z"}, 422, "bad_period", "ends_at"),
    ({"ends_at": "9999-12-31T23:59:59Z"}, 422, "bad_period", "ends_at"),
    ({"ends_at": "9999-12-31T23:59:59-12:00"}, 422, "bad_period", "ends_at"),
    ({"starts_at": "0001-01-01T00:00:00+14:00"}, 422, "bad_period", "starts_at"),
    ({"kind": TEN | {"permille": 1001}}, 422, "discount_too_large", "kind.permille"),
    ({"kind": TEN | {"permille": 0}}, 422, "nothing_off", "kind.permille"),
    ({"kind": TEN | {"permille": -5}}, 422, "nothing_off", "kind.permille"),
    ({"kind": {"type": "amount_off", "amount": eur(0)}}, 422, "nothing_off", "kind.amount"),
    ({"kind": {"type": "amount_off", "amount": eur(-5)}}, 422, "nothing_off", "kind.amount"),
    (
        {"kind": {"type": "fixed_price", "price": {"amount": 5, "currency": "USD"}}},
        422, "wrong_currency", "kind",
    ),
    ({"texts": {"en": "Only English"}}, 422, "text_missing", "texts"),
    ({"texts": {"en": " ", "de": " "}}, 422, "text_missing", "texts"),
    ({"codes": [" "]}, 422, "bad_text", "code"),
    ({"category": " > "}, 422, "no_products", "category"),
    ({"product_ids": ["prd_none"]}, 404, "unknown_product", "product_ids"),
    ({"variant_ids": ["var_none"]}, 404, "unknown_variant", "variant_ids"),
    ({"show_id": SHOW, "segment": "vip"}, 422, "kind_does_not_fit", "segment"),
    ({"show_id": "nowhere"}, 422, "invalid", "show_id"),
    (
        {"kind": {"type": "free_shipping"}, "category": "Home"},
        422, "kind_does_not_fit", "products",
    ),
]  # fmt: skip
NONSENSE: list[dict[str, Any]] = [
    {"kind": TEN | {"permille": 12.5}},
    {"kind": TEN | {"permille": "100"}},
    {"kind": TEN | {"permille": 10**30}},
    {"kind": {"type": "amount_off", "amount": {"amount": 1.5, "currency": "EUR"}}},
    {"kind": {"type": "half_price"}},
    {"kind": {"type": "buy_x_get_y", "buy": 0, "get": 1}},
    {"limit_total": 0},
    {"limit_per_customer": -1},
    {"limit_total": 1.5},
    {"starts_at": "2026-12-24"},
    {"starts_at": "2026-12-24T00:00:00"},
    {"texts": {"english": "x"}},
    {"priority": 1001},
    {"nonsense": 1},
]


DOUBTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"category": "Nowhere"}, ["no_products"]),
    ({"kind": {"type": "fixed_price", "price": eur(9900)}}, ["no_reduction"]),
    ({"kind": TEN | {"permille": 1000}}, ["free"]),
    ({"kind": TEN | {"permille": 50}}, ["not_below_lowest"]),
    ({"kind": TEN | {"permille": 500}, "limit_total": 100}, ["more_than_stock"]),
    ({"kind": TEN | {"permille": 500}, "limit_total": 5}, []),
]


@pytest.fixture
async def merchant(site: Api, site_shop: Liveshop) -> Api:
    return await site.signed_in(await builders.staff(site_shop, "merchant"))


async def created(merchant: Api, **changes: Any) -> Any:
    status, answer = await merchant.call("POST", "/api/promotions", body(**changes))
    assert status == 201, answer
    return answer


async def test_a_promotion_is_created_read_changed_paused_and_ended(merchant: Api) -> None:
    made = await created(merchant)
    assert (made["version"], made["phase"], made["codes"]) == (1, "running", [])
    path = f"/api/promotions/{made['id']}"
    assert await merchant.call("GET", path) == (200, made)
    change = body(codes=["Winter 20"], limit_total=5, version=1)
    status, changed = await merchant.call("PUT", path, change)
    assert (status, changed["version"], changed["codes"]) == (200, 2, ["winter20"])
    status, stale = await merchant.call("PUT", path, change)
    assert (status, stale["code"], stale["data"]) == (409, "promotion_changed", {"version": 2})
    for to, phase in (("paused", "paused"), ("active", "running"), ("ended", "ended")):
        status, answer = await merchant.call("POST", f"{path}/state", {"to": to})
        assert (status, answer["phase"]) == (200, phase)
    status, over = await merchant.call("PUT", path, body())
    assert (status, over["code"]) == (409, "promotion_ended")


async def test_the_list_has_pages(merchant: Api) -> None:
    ids = [(await created(merchant, stacking="stackable"))["id"] for _ in range(3)]
    status, first = await merchant.call("GET", "/api/promotions?limit=2")
    status, second = await merchant.call("GET", f"/api/promotions?limit=2&cursor={first['next']}")
    seen = [one["id"] for one in first["promotions"] + second["promotions"]]
    assert (status, sorted(seen), second["next"]) == (200, sorted(ids), None)
    status, none = await merchant.call("GET", "/api/promotions?ended=true")
    assert (status, none) == (200, {"promotions": [], "next": None})


async def test_the_storefront_says_the_price_in_force(site: Api, merchant: Api) -> None:
    listed = {"title": "Mug", "variants": [{"sku": "MUG", "list_price": eur(2800)}]}
    status, product = await merchant.call("POST", "/api/products", listed)
    assert status == 201, product
    made = await created(merchant, product_ids=[product["id"]], ends_at="2026-12-01T00:00:00Z")
    _, found = await site.call("GET", f"/api/products/{product['id']}")
    variant = found["variants"][0]
    assert (variant["price"], variant["list_price"]) == (eur(2520), eur(2800))
    assert variant["promotions"] == [
        {
            "id": made["id"],
            "texts": TEXTS,
            "ends_at": "2026-12-01T00:00:00Z",
            "units_left": None,
            "is_offer": False,
        }
    ]


async def test_a_bad_promotion_is_refused_by_name(merchant: Api) -> None:
    for changes, status, code, field in BAD:
        for path, sent in (
            ("/api/promotions", body(**changes)),
            ("/api/promotions/preview", {"promotion": body(**changes)}),
        ):
            if code == "text_missing" and path.endswith("preview"):
                continue  # prices can be looked at before there is a name
            found, problem = await merchant.call("POST", path, sent)
            told = (found, problem["code"], problem["data"]["field"])
            assert told == (status, code, field), changes


async def test_what_is_no_promotion_at_all_is_refused(merchant: Api) -> None:
    for changes in NONSENSE:
        status, problem = await merchant.call("POST", "/api/promotions", body(**changes))
        assert (status, problem["code"]) == (422, "invalid"), changes


async def test_an_overlap_names_the_other_promotion(merchant: Api) -> None:
    made = await created(merchant)
    status, problem = await merchant.call("POST", "/api/promotions", body())
    assert (status, problem["code"]) == (422, "overlapping_promotion")
    assert problem["data"]["promotion_ids"] == [made["id"]]


async def test_unknown_promotions_are_not_found(merchant: Api) -> None:
    path = "/api/promotions/prm_" + "0" * 26
    for method, where, sent in (
        ("GET", path, None),
        ("PUT", path, body()),
        ("POST", f"{path}/state", {"to": "ended"}),
        ("POST", "/api/promotions/preview", {"promotion": body(), "promotion_id": path[16:]}),
    ):
        status, problem = await merchant.call(method, where, sent)
        assert (status, problem["code"]) == (404, "unknown_promotion")


# The preview.


@pytest.fixture
async def mug(site_shop: Liveshop, clock: ManualClock) -> str:
    """A mug that was sold for less until ten days ago."""
    product = await builders.product(site_shop, price=1300)
    clock.advance(timedelta(days=40))
    await reprice(site_shop, product.id, 1500)
    clock.advance(timedelta(days=10))
    return product.id


async def reprice(shop: Liveshop, product_id: str, price: int) -> None:
    before = (await shop.catalog.product(product_id)).product
    draft = ProductDraft(
        title=before.title,
        variants=(VariantDraft(sku=before.variants[0].sku, price=Money(price, "EUR")),),
    )
    await shop.catalog.replace_product(product_id, draft)


async def preview(
    merchant: Api, language: str = "de", promotion_id: str | None = None, **changes: Any
) -> Any:
    status, answer = await merchant.call(
        "POST",
        "/api/promotions/preview",
        {"promotion": body(**changes), "promotion_id": promotion_id},
        Accept_Language=language,
    )
    assert status == 200, answer
    return answer


def said(answer: Any) -> dict[str, str]:
    variant = answer["variants"][0]
    return {one["channel"]: one["text"].replace("\u00a0", " ") for one in variant["channels"]}


async def test_the_preview_says_what_every_channel_would_say(mug: str, merchant: Api) -> None:
    seen = await preview(merchant, product_ids=[mug], kind=TEN | {"permille": 200})
    variant = seen["variants"][0]
    assert (variant["price_now"], variant["price"]) == (eur(1500), eur(1200))
    assert (variant["list_price"], variant["lowest_30_days"]) == (eur(1500), eur(1300))
    text = "12,00 € statt 15,00 € · niedrigster Preis der letzten 30 Tage 13,00 €"
    assert said(seen) == dict.fromkeys(("storefront", "show", "feed", "social"), text)
    assert seen["warnings"] == []
    english = await preview(merchant, "en-GB,de", product_ids=[mug], kind=TEN | {"permille": 200})
    assert said(english)["feed"] == (
        "€12.00 instead of €15.00 · lowest price of the last 30 days €13.00"
    )


async def test_an_offer_is_on_no_channel_but_its_show(mug: str, merchant: Api) -> None:
    seen = await preview(merchant, "en", show_id=SHOW)
    assert said(seen) == {
        "storefront": "€15.00",
        "show": "€13.50 instead of €15.00 · lowest price of the last 30 days €13.00",
        "feed": "€15.00",
        "social": "€15.00",
    }
    assert [one["is_reduced"] for one in seen["variants"][0]["channels"]] == [
        False, True, False, False,
    ]  # fmt: skip
    assert [one["code"] for one in seen["warnings"]] == ["not_below_lowest"]


async def test_codes_and_segments_are_in_the_price_and_on_no_channel(
    mug: str, merchant: Api
) -> None:
    for changes in ({"codes": ["welcome"]}, {"segment": "vip"}):
        seen = await preview(merchant, "en", **changes)
        assert seen["variants"][0]["price"] == eur(1350)
        assert set(said(seen).values()) == {"€15.00"}


async def test_what_takes_several_units_is_named_beside_the_price(mug: str, merchant: Api) -> None:
    seen = await preview(merchant, "de", kind={"type": "buy_x_get_y", "buy": 2, "get": 1})
    assert said(seen)["feed"] == "15,00 € · Winterabend"
    assert seen["warnings"] == []


async def test_a_preview_stores_nothing_and_needs_no_name(mug: str, merchant: Api) -> None:
    await preview(merchant, texts={})
    assert (await merchant.call("GET", "/api/promotions"))[1]["promotions"] == []


async def test_a_change_is_previewed_in_place_of_what_is_stored(mug: str, merchant: Api) -> None:
    made = await created(merchant, stacking="stackable")
    variants = [
        (await preview(merchant, stacking="stackable", promotion_id=id_))["variants"][0]
        for id_ in (None, made["id"])
    ]
    assert [one["price_now"] for one in variants] == [eur(1350)] * 2
    assert [one["price"] for one in variants] == [eur(1215), eur(1350)]


async def test_a_later_promotion_is_previewed_as_it_will_be(
    mug: str, merchant: Api, clock: ManualClock
) -> None:
    later = rfc3339(clock.now() + timedelta(days=25))
    seen = await preview(merchant, starts_at=later)
    variant = seen["variants"][0]
    assert (variant["price_now"], variant["price"]) == (eur(1500), eur(1350))
    assert variant["lowest_30_days"] == eur(1500)  # the 13 euros are forgotten by then


async def test_doubts_are_told(mug: str, merchant: Api) -> None:
    for changes, codes in DOUBTS:
        for language in ("de", "en"):
            seen = await preview(merchant, language, **changes)
            assert [one["code"] for one in seen["warnings"]] == codes
            assert all(one["text"] for one in seen["warnings"])


async def test_what_is_sold_out_is_named(merchant: Api, site_shop: Liveshop) -> None:
    await builders.product(site_shop, title="Bowl", stock=0)
    seen = await preview(merchant, "en")
    assert seen["warnings"] == [{"code": "sold_out", "text": "Sold out: Bowl"}]
