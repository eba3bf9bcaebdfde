"""Posts before they are sent: what they say, the same in the preview and on the channel."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import catalog_builders
import post_builders
import pytest
from PIL import Image
from post_builders import LIMITS, WORDS_ONLY, Posting

from liveshop.app import Liveshop
from liveshop.catalog.model import Product, ProductDraft, UnknownMedia, VariantDraft
from liveshop.connect import (
    ImageLimit,
    NeedsAttention,
    OutcomeUnknown,
    PostCost,
    RetryLater,
    Sale,
    TextLimit,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import UnknownShow
from liveshop.syndication import store, wire
from liveshop.syndication.model import (
    BadTemplate,
    PostSent,
    TooLong,
    UnknownConnection,
    UnknownPost,
    WrongRole,
)
from liveshop.syndication.post_model import BadPost, ChannelAway, ChannelRefuses
from liveshop.syndication.says import Announced, PriceSchedule
from liveshop.web import MoneyOut

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = sqlite


@pytest.fixture
def made(wired: Liveshop, clock: ManualClock) -> Posting:
    return post_builders.posting(wired, clock)


@pytest.fixture
async def posting(made: Posting, shop: Liveshop) -> AsyncIterator[Posting]:
    made.channel.limits = WORDS_ONLY
    await made.ready()
    yield made
    await made.open.close()


def moment(product: Product, **more: Any) -> dict[str, Any]:
    return {"kind": "product_moment", "product_id": product.id} | more


async def reduce(posting: Posting, product: Product, amount: int) -> None:
    await posting.shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Sale", "de": "Sale"},
            kind=promotions_wire.FixedPrice(price=MoneyOut(amount=amount, currency="EUR")),
            product_ids=[product.id],
        )
    )


async def announce(posting: Posting, product: Product, announced: Announced) -> None:
    async with posting.shop.database.write() as tx:
        await store.put_announced(
            tx.conn, {VariantId(one.id): announced for one in product.variants}
        )


# The preview


async def test_what_the_preview_shows_is_what_is_sent(posting: Posting) -> None:
    posting.channel.limits = LIMITS
    product = await posting.mug()
    show_id = await posting.show(state="live", product_ids=[product.id])
    for given in (
        {"kind": "live_now", "show_id": show_id},
        moment(product, show_id=show_id, language="de", is_paid_partnership=True),
        {"kind": "live_now", "show_id": show_id, "template": "Come! {{ link }}"},
    ):
        preview = await posting.posts.preview(posting.asked(**given))
        await posting.post(**given)
        await posting.turn()
        sent = posting.channel.made[-1]
        assert sent.post.text == preview.text
        assert sent.post.link == preview.link
        assert preview.images == [
            wire.PostImage(url=one.url, alt=one.alt, width=one.width, height=one.height)
            for one in sent.post.images
        ]
        assert (preview.limit, preview.length <= preview.limit) == (280, True)
        assert sent.post.is_paid_partnership is given.get("is_paid_partnership", False)
        [content] = sent.images
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", (1200, 628))


async def test_a_post_leads_to_its_show_and_says_where_it_was_read(posting: Posting) -> None:
    show_id = await posting.show()
    preview = await posting.posts.preview(posting.asked(show_id=show_id))
    link = (
        f"{posting.shop.settings.public_url}/s/{show_id}?utm_source=fake_posting"
        f"&utm_medium=social&utm_campaign={show_id}&utm_content=announce"
    )
    assert link in preview.text
    assert preview.link is None
    posting.channel.limits = replace(WORDS_ONLY, link="beside")
    preview = await posting.posts.preview(posting.asked(show_id=show_id))
    assert (link in preview.text, preview.link) == (False, link)


async def test_a_product_without_a_show_leads_to_the_shop(posting: Posting) -> None:
    linked = await posting.mug(url="https://shop.example/mug")
    preview = await posting.posts.preview(posting.asked(**moment(linked)))
    assert "https://shop.example/mug?utm_source=fake_posting" in preview.text
    homeless = await posting.mug()
    with pytest.raises(BadPost, match="give the product an address"):
        await posting.posts.preview(posting.asked(**moment(homeless)))


async def test_the_merchant_is_told_what_it_costs_and_what_is_different(posting: Posting) -> None:
    posting.channel.cost = PostCost(20_000, "$0.20, because of the link")
    posting.channel.limits = replace(WORDS_ONLY, link="none", text=TextLimit(120))
    show_id = await posting.show(state="draft", description="All about winter. " * 40)
    preview = await posting.posts.preview(posting.asked(show_id=show_id))
    assert preview.cost == "$0.20, because of the link"
    assert preview.notes == [
        "The show is a draft. The post waits until the show is announced.",
        "The text was shortened so that it fits.",
        "Links cannot be followed on this channel.",
        "It has no picture.",
    ]


async def test_a_preview_leaves_nothing_behind(posting: Posting) -> None:
    await posting.posts.preview(posting.asked(show_id=await posting.show()))
    assert (await posting.posts.list_posts(wire.PostQuery())).posts == []
    await posting.settle()
    assert posting.channel.made == []


# Prices


async def test_a_reduced_price_is_said_with_what_the_law_wants(posting: Posting) -> None:
    product = await posting.mug(url="https://shop.example/mug")
    posting.clock.advance(timedelta(days=40))
    await reduce(posting, product, 1900)
    preview = await posting.posts.preview(posting.asked(**moment(product, language="de")))
    told = preview.text.replace("\u00a0", " ")
    assert "19,00 € statt 28,00 € · niedrigster Preis der letzten 30 Tage 28,00 €" in told


async def test_the_price_of_a_show_is_never_in_a_post(posting: Posting) -> None:
    product = await posting.mug()
    show_id = await posting.show(state="live", product_ids=[product.id])
    await posting.shop.offers.start_offer(
        show_id,
        shows_wire.OfferInput(
            product_id=product.id, kind=promotions_wire.PercentOff(permille=500), seconds=600
        ),
    )
    preview = await posting.posts.preview(posting.asked(**moment(product, show_id=show_id)))
    assert "€28.00" in preview.text
    assert "€14.00" not in preview.text


async def test_a_post_says_what_all_channels_say(posting: Posting) -> None:
    """Something that makes it cheaper in the storefront may not be for channels to announce."""
    product = await posting.mug(url="https://shop.example/mug")
    await reduce(posting, product, 1900)
    await announce(posting, product, Announced(PriceSchedule(Money(2800, "EUR"))))
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    assert ("€28.00" in preview.text, "€19.00" in preview.text) == (True, False)
    sale = Sale(Money(2000, "EUR"))
    schedule = PriceSchedule(Money(2800, "EUR"), sale, lowest=Money(2400, "EUR"))
    await announce(posting, product, Announced(schedule))
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    assert "€20.00 instead of €28.00 · lowest price of the last 30 days €24.00" in preview.text


async def test_a_post_waits_while_the_channels_are_told_another_price(posting: Posting) -> None:
    product = await posting.mug(url="https://shop.example/mug")
    old, new = PriceSchedule(Money(2800, "EUR")), PriceSchedule(Money(2500, "EUR"))
    await announce(posting, product, Announced(old, next=new))
    post = await posting.post(**moment(product))
    await posting.turn()
    shown = await posting.posts.post(post.id)
    assert (shown.state, posting.channel.made) == ("scheduled", [])
    assert shown.reason == "The price is changing on the channels. The post waits for it."
    await announce(posting, product, Announced(new))
    posting.clock.advance(timedelta(minutes=1))
    await posting.turn()
    assert "€25.00" in posting.channel.made[0].post.text


async def test_a_product_at_several_prices_is_said_to_begin_with_the_lowest(
    posting: Posting,
) -> None:
    product = await posting.mug(
        url="https://shop.example/mug",
        options=catalog_builders.shirt_draft().options,
        variants=(
            VariantDraft(sku="S", price=Money(2800, "EUR"), values=("S",)),
            VariantDraft(sku="M", price=Money(1900, "EUR"), values=("M",)),
        ),
    )
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    assert "from €19.00" in preview.text
    assert "€28.00" not in preview.text


# Pictures


async def test_a_show_has_a_card_that_anybody_may_fetch(posting: Posting) -> None:
    posting.channel.limits = LIMITS
    cover = await posting.shop.media.store_image(catalog_builders.picture(1600, 900), alt="Candles")
    show_id = await posting.show(cover_id=cover.media_id)
    first = (await posting.posts.preview(posting.asked(show_id=show_id))).images[0]
    again = (await posting.posts.preview(posting.asked(show_id=show_id))).images[0]
    assert first == again
    assert first.alt == "Live show: Winter evening, with Hedda, Sat, 21 Nov · 22:00 CET"
    base, _, name = first.url.rpartition("/")
    assert base == f"{posting.shop.settings.public_url}/media/cards"
    path = await posting.pictures.card(name)
    assert path.is_file()
    await posting.shop.shows.change_show(show_id, shows_wire.ShowChange(title="Winter night"))
    other = (await posting.posts.preview(posting.asked(show_id=show_id))).images[0]
    assert other.url != first.url


@pytest.mark.parametrize("name", ["x.jpg", "../secret", "0" * 32 + ".png", "0" * 32 + ".jpg"])
async def test_a_card_that_was_not_drawn_is_not_there(posting: Posting, name: str) -> None:
    with pytest.raises(UnknownMedia):
        await posting.pictures.card(name)


@pytest.mark.parametrize(
    ("alt", "said"), [("A blue mug on a table", "A blue mug on a table"), ("", "Mug")]
)
async def test_a_product_moment_shows_the_product_and_says_what_is_to_be_seen(
    posting: Posting, alt: str, said: str
) -> None:
    posting.channel.limits = LIMITS
    product = await posting.mug(alt=alt, url="https://shop.example/mug")
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    [image] = preview.images
    assert image.alt == said
    assert f"/media/{product.pictures[0].media_id}/landscape-" in image.url


async def test_an_alt_text_has_the_length_the_channel_takes(posting: Posting) -> None:
    limit = ImageLimit("landscape", most=1, max_bytes=1_000_000, alt=TextLimit(20))
    posting.channel.limits = replace(LIMITS, images=limit)
    product = await posting.mug(url="https://shop.example/mug")
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    assert len(preview.images[0].alt) <= 20
    posting.channel.limits = replace(LIMITS, images=replace(limit, alt=None))
    preview = await posting.posts.preview(posting.asked(**moment(product)))
    assert any("takes no alt text" in note for note in preview.notes)


async def test_a_channel_that_needs_a_picture_gets_no_post_without_one(posting: Posting) -> None:
    posting.channel.limits = replace(LIMITS, needs_image=True)
    product = await posting.mug(url="https://shop.example/mug", image_ids=())
    with pytest.raises(BadPost, match="no post without a picture"):
        await posting.posts.create(posting.asked(**moment(product)))


# What is refused

BAD: list[tuple[dict[str, Any], type[ShopError]]] = [
    ({"connection_id": "con_none"}, UnknownConnection),
    ({"show_id": "shw_none"}, UnknownShow),
    ({"show_id": None}, BadPost),
    ({"kind": "product_moment"}, BadPost),
    ({"kind": "product_moment", "product_id": "prd_none"}, BadPost),
    ({"kind": "product_moment", "product_id": "prd_none", "show_id": None}, BadPost),
    ({"language": "xx"}, BadPost),
    ({"when": "on_pin"}, BadPost),
    ({"when": "on_live", "send_at": datetime(2026, 12, 24, tzinfo=UTC)}, BadPost),
    ({"send_at": datetime(9999, 12, 24, tzinfo=UTC)}, BadPost),
    ({"kind": "product_moment", "show_id": None, "when": "on_live"}, BadPost),
    ({"template": "{{ nonsense }} {{ link }}"}, BadTemplate),
    ({"template": "{% for x in y %}"}, BadTemplate),
    ({"template": "x" * 1000}, TooLong),
]


@pytest.mark.parametrize(("given", "error"), BAD)
async def test_a_post_that_cannot_be_is_refused_at_once(
    posting: Posting, given: dict[str, Any], error: type[ShopError]
) -> None:
    asked = posting.asked(**({"show_id": await posting.show()} | given))
    for call in (posting.posts.preview, posting.posts.create):
        with pytest.raises(error):
            await call(asked)
    assert (await posting.posts.list_posts(wire.PostQuery())).posts == []


async def test_a_connection_that_takes_no_posts_says_so(posting: Posting) -> None:
    async with posting.shop.database.write() as tx:
        other = replace(posting.connection, id="con_other", roles=frozenset({"feed"}))
        await post_builders.connection_store.add(tx.conn, other, sealed="")  # type: ignore[arg-type]
    with pytest.raises(WrongRole):
        await posting.post(connection_id="con_other", show_id=await posting.show())


async def test_a_product_that_left_the_shop_is_not_advertised(posting: Posting) -> None:
    product = await posting.mug(url="https://shop.example/mug")
    later = posting.clock.now() + timedelta(hours=1)
    post = await posting.post(**moment(product, send_at=later))
    draft = ProductDraft(
        title="Mug",
        is_active=False,
        variants=(VariantDraft(sku="MUG", price=Money(2800, "EUR")),),
    )
    await posting.shop.catalog.replace_product(product.id, draft, expected_version=None)
    posting.clock.advance(timedelta(hours=2))
    await posting.turn()
    shown = await posting.posts.post(post.id)
    assert (shown.state, shown.reason) == ("refused", "The product is not on sale.")


# Cancelled and taken off


async def test_a_cancelled_post_is_not_sent(posting: Posting) -> None:
    post = await posting.post(show_id=await posting.show())
    assert (await posting.posts.cancel(post.id)).state == "cancelled"
    assert (await posting.posts.cancel(post.id)).state == "cancelled"
    await posting.settle()
    assert posting.channel.made == []


async def test_a_sent_post_is_taken_off_the_channel_once(posting: Posting) -> None:
    post = await posting.post(show_id=await posting.show())
    await posting.settle()
    with pytest.raises(PostSent):
        await posting.posts.cancel(post.id)
    assert (await posting.posts.remove(post.id)).state == "removed"
    assert posting.channel.seen() == []
    removed = await posting.posts.remove(post.id)
    assert (removed.state, removed.reason) == ("removed", None)
    assert removed.text == posting.channel.made[0].post.text


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (RetryLater("Away.", after=5), ChannelAway),
        (OutcomeUnknown("No answer."), ChannelAway),
        (NeedsAttention("Authorise again."), ChannelRefuses),
    ],
)
async def test_a_post_that_could_not_be_taken_off_is_still_said_to_be_there(
    posting: Posting, fault: Exception, error: type[ShopError]
) -> None:
    post = await posting.post(show_id=await posting.show())
    await posting.settle()
    posting.channel.delete_raises = fault
    with pytest.raises(error):
        await posting.posts.remove(post.id)
    assert (await posting.posts.post(post.id)).state == "live"


async def test_a_post_nobody_knows_the_fate_of_is_neither_cancelled_nor_removed(
    posting: Posting,
) -> None:
    post = await posting.post(show_id=await posting.show())
    posting.channel.days = ["unheard_late"]
    await posting.turn()
    for call in (posting.posts.cancel, posting.posts.remove):
        with pytest.raises(PostSent):
            await call(post.id)
    await posting.settle()
    assert (await posting.posts.remove(post.id)).state == "removed"


async def test_an_unknown_post_is_not_found(posting: Posting) -> None:
    for call in (posting.posts.post, posting.posts.cancel, posting.posts.remove):
        with pytest.raises(UnknownPost):
            await call("pst_none")


async def test_the_list_has_pages(posting: Posting) -> None:
    show_id = await posting.show()
    ids = []
    for _ in range(3):
        ids.append((await posting.post(show_id=show_id)).id)
        posting.clock.advance(timedelta(seconds=1))
    first = await posting.posts.list_posts(wire.PostQuery(show_id=show_id, limit=2))
    rest = await posting.posts.list_posts(
        wire.PostQuery(connection_id=posting.connection.id, before=first.next, limit=2)
    )
    assert [one.id for one in (*first.posts, *rest.posts)] == ids[::-1]
    assert rest.next is None
