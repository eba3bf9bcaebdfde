"""Captions: what a post says fits, and what it must say is whole."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveshop.catalog.display import ShownPrice
from liveshop.connect import ImageLimit, PostKind, PostLimits, TextLimit
from liveshop.connect.limits import TextUnit
from liveshop.connect.texts import measure
from liveshop.kernel.money import Money
from liveshop.promotions.announce import in_words
from liveshop.syndication.captions import CaptionFacts, render_caption, tracked
from liveshop.syndication.model import BadTemplate, TooLong

KINDS: tuple[PostKind, ...] = get_args(PostKind)
IMAGES = ImageLimit("square", 4, 1_000_000)
X = PostLimits(TextLimit(280, "x_weighted"), IMAGES)
INSTAGRAM = PostLimits(TextLimit(2200), IMAGES, link="none", max_hashtags=5)
FACEBOOK = PostLimits(TextLimit(63_206), IMAGES, link="beside")
LINK = "https://nordlicht.example.com/s/shw_01?utm_source=x"
FACTS = CaptionFacts(
    language="en",
    shop_name="Nordlicht",
    time_zone="Europe/Berlin",
    show_title="Bowls from Lisbon",
    host_name="Mara Lindqvist",
    starts_at=datetime(2026, 12, 5, 18, tzinfo=UTC),
)
OFFER = replace(
    FACTS,
    product_title="Large bowl “Alfama”",
    price=Money(1200, "EUR"),
    price_before=Money(1500, "EUR"),
    lowest_30_days=Money(1300, "EUR"),
    legal="incl. VAT, plus shipping",
    hashtags=("#ceramics", "live shopping", "Lisbon", "ceramics", "2026"),
    description="Thrown by hand in a small workshop above the Tejo. " * 8,
    is_paid_partnership=True,
)


def said(
    facts: CaptionFacts,
    kind: PostKind = "announce",
    *,
    limits: PostLimits = X,
    template: str | None = None,
    link: str | None = LINK,
) -> str:
    text = render_caption(template, kind, facts, limits, link).text
    return text.replace("\u00a0", " ")


def test_a_show_is_announced_with_its_local_time() -> None:
    assert said(FACTS) == (
        f"Bowls from Lisbon\nLive on Sat, Dec 5, 7:00 PM CET with Mara Lindqvist\n\n{LINK}"
    )


def test_it_speaks_german_with_german_times_and_prices() -> None:
    assert said(replace(OFFER, language="de-AT", description="", hashtags=()), limits=FACEBOOK) == (
        "Anzeige #ad\n"
        "Bowls from Lisbon\n"
        "Live am Sa., 5. Dez., 19:00 Uhr MEZ mit Mara Lindqvist\n"
        "In der Show: Large bowl “Alfama”: € 12,00 statt € 15,00 · niedrigster Preis der letzten "
        "30 Tage € 13,00 (incl. VAT, plus shipping)"
    )


def test_other_languages_get_english_words_and_their_own_numbers() -> None:
    text = said(replace(OFFER, language="fr"), limits=INSTAGRAM)
    assert "Live on sam. 5 déc., 19:00 CET" in text
    assert "12,00 € instead of 15,00 €" in text
    assert "€12.00" in said(replace(OFFER, language="zz-Unknown"))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/New_York", "Sat, Dec 5, 1:00 PM EST"),
        ("Asia/Tokyo", "Sun, Dec 6, 3:00 AM JST"),
        ("America/Sao_Paulo", "Sat, Dec 5, 3:00 PM UTC-03"),
        ("UTC", "Sat, Dec 5, 6:00 PM UTC"),
        ("Nowhere/Else", "Sat, Dec 5, 6:00 PM UTC"),
    ],
)
def test_the_time_is_that_of_the_show_s_place_and_says_so(zone: str, expected: str) -> None:
    assert expected in said(replace(FACTS, time_zone=zone))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_kind_has_a_template_in_every_language(kind: PostKind, language: str) -> None:
    text = said(replace(OFFER, language=language, hashtags=()), kind, limits=FACEBOOK)
    assert "Bowls from Lisbon" in text
    assert "Large bowl “Alfama”: " in text
    assert "  " not in text
    assert "{" not in text
    others = {said(replace(FACTS, language=language), other) for other in KINDS}
    assert len(others) == (len(KINDS) if language == "en" else 5)


def test_a_reduced_price_is_said_with_the_words_of_every_other_channel() -> None:
    words = in_words(
        ShownPrice(Money(1200, "EUR"), Money(1300, "EUR")), Money(1500, "EUR"), None, "en"
    )
    assert words in render_caption(None, "product_moment", OFFER, X, LINK).text


def test_a_legal_note_that_is_the_price_is_said_once() -> None:
    words = "€12.00 instead of €15.00 · lowest price of the last 30 days €13.00"
    assert said(replace(OFFER, legal=words), "product_moment").count("instead of") == 1
    assert "Large bowl “Alfama”: from €9.00\n" in said(
        replace(OFFER, price=None, legal="from €9.00"), "product_moment"
    )


# What is shortened


def test_hashtags_go_before_the_description_is_shortened() -> None:
    facts = replace(
        OFFER,
        description="Thrown by hand in a small workshop above the Tejo, slowly and with love.",
    )
    caption = render_caption(None, "product_moment", facts, X, LINK)
    assert caption.was_cut
    assert facts.description in caption.text
    assert "#Lisbon" not in caption.text
    roomy = PostLimits(TextLimit(400, "x_weighted"), IMAGES)
    whole = render_caption(None, "product_moment", facts, roomy, LINK)
    assert not whole.was_cut
    assert "#ceramics #liveshopping #Lisbon" in whole.text
    tight = PostLimits(TextLimit(whole.length - 1, "x_weighted"), IMAGES)
    assert render_caption(None, "product_moment", facts, tight, LINK).text.endswith(
        "#ceramics #liveshopping"
    )


def test_the_description_goes_before_the_title() -> None:
    caption = render_caption(None, "product_moment", OFFER, X, LINK)
    assert "Thrown by hand in a small workshop above the Tejo…\n" in caption.text
    assert "Large bowl “Alfama”: " in caption.text
    assert caption.length <= 280


def test_a_title_keeps_its_beginning_as_long_as_anything_else_can_go() -> None:
    long = replace(OFFER, product_title="Bowl " * 60, show_title="Show " * 60)
    text = said(long, "product_moment")
    assert text.startswith("#ad\nBowl Bowl")
    assert "Show Show" in text


def test_where_the_words_around_do_not_fit_the_facts_stay() -> None:
    limits = PostLimits(TextLimit(140, "x_weighted"), IMAGES)
    assert render_caption(None, "announce", OFFER, limits, LINK).was_cut
    text = said(OFFER, "announce", limits=limits)
    assert text.startswith("#ad\nLarge bowl…\n€12.00 instead of")
    assert text.endswith(f"(incl. VAT, plus shipping)\n{LINK}")


def test_what_must_be_said_and_does_not_fit_makes_no_post() -> None:
    with pytest.raises(TooLong, match="never shortened") as caught:
        said(OFFER, limits=PostLimits(TextLimit(100, "x_weighted"), IMAGES))
    assert caught.value.data["limit"] == 100
    assert caught.value.data["length"] > 100


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "Ü", " ", "#", "#ad", "#new ", "{{", "日", "👩🏽\u200d🚀", "e\u0301"]
        ),
        st.sampled_from(["https://shop.example.com/a ", "test.com", "Schale ", "50 % "]),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
).map("".join)
_MONEY = st.integers(0, 10_000_000).map(lambda amount: Money(amount, "EUR"))
_FACTS = st.builds(
    CaptionFacts,
    language=st.sampled_from(["en", "de", "de-AT", "fr", "ar", "ja"]),
    shop_name=_PIECES,
    time_zone=st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo"]),
    show_title=_PIECES,
    host_name=_PIECES,
    starts_at=st.none()
    | st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1 < at.year < 9999),
    product_title=_PIECES,
    price=st.none() | _MONEY,
    price_before=st.none() | _MONEY,
    lowest_30_days=st.none() | _MONEY,
    legal=st.sampled_from(["", "incl. VAT", "inkl. MwSt., zzgl. Versand #1", "ab 3\u00a0€", "*"]),
    hashtags=st.lists(_PIECES, max_size=8).map(tuple),
    is_paid_partnership=st.booleans(),
    description=_PIECES.map(lambda text: text * 5),
)
_UNITS: tuple[TextUnit, ...] = get_args(TextUnit)
_LIMITS = st.builds(
    PostLimits,
    text=st.builds(TextLimit, st.integers(20, 500), st.sampled_from(_UNITS)),
    images=st.just(IMAGES),
    link=st.sampled_from(["in_text", "beside", "none"]),
    max_hashtags=st.none() | st.integers(1, 6),
)


def what_must_be_said(facts: CaptionFacts, limits: PostLimits) -> list[str]:
    musts = []
    if facts.price is not None:
        shown = ShownPrice(facts.price, facts.lowest_30_days)
        musts.append(in_words(shown, facts.price_before or facts.price, None, facts.language))
    if facts.legal:
        musts.append(facts.legal)
    if facts.is_paid_partnership:
        musts.append("Anzeige #ad" if facts.language.startswith("de") else "#ad")
    if limits.link == "in_text":
        musts.append(LINK)
    if limits.link == "none":
        musts.append("nordlicht.example.com")
    return musts


@settings(max_examples=150, deadline=None)
@given(_FACTS, _LIMITS, st.sampled_from(KINDS))
def test_whatever_is_said_fits_and_holds_what_it_must(
    facts: CaptionFacts, limits: PostLimits, kind: PostKind
) -> None:
    musts = what_must_be_said(facts, limits)
    unit, most = limits.text.unit, limits.text.most
    try:
        caption = render_caption(None, kind, facts, limits, LINK)
    except TooLong:
        # 6 for what stands between them
        assert measure("\n".join(musts), unit) + 6 > most
        return
    assert caption.length == measure(caption.text, unit) <= most
    for must in musts:
        assert must in caption.text, must
    if facts.is_paid_partnership:
        assert re.search(r"#ad(?!\w)", caption.text)
    if limits.max_hashtags is not None:
        tags = re.findall(r"(?:(?<=\s)|(?<=\()|^)#(?=\w)", caption.text, re.MULTILINE)
        fixed = facts.is_paid_partnership + ("#1" in facts.legal)
        assert len(tags) <= max(limits.max_hashtags, fixed)
    if limits.link != "in_text":
        assert LINK not in caption.text


# Links and hashtags


def test_a_link_stands_in_the_text_beside_it_or_is_told_in_words() -> None:
    assert said(FACTS, limits=X).endswith(LINK)
    assert "http" not in said(FACTS, limits=FACEBOOK)
    assert said(FACTS, limits=INSTAGRAM).endswith("More at nordlicht.example.com")
    german = said(replace(FACTS, language="de"), limits=INSTAGRAM)
    assert german.endswith("Mehr auf nordlicht.example.com")


def test_never_more_hashtags_than_the_channel_takes_the_ad_mark_included() -> None:
    facts = replace(OFFER, show_title="Bowls #sale #new", hashtags=tuple("abcdefgh"))
    text = said(facts, limits=replace(INSTAGRAM, max_hashtags=4))
    assert re.findall(r"#\w+", text) == ["#ad", "#sale", "#new", "#a"]
    text = said(facts, limits=replace(INSTAGRAM, max_hashtags=2))
    assert re.findall(r"#\w+", text) == ["#ad", "#sale"]
    assert "Bowls #sale new" in text


def test_a_hashtag_that_begins_with_ad_is_no_ad_mark() -> None:
    facts = replace(OFFER, hashtags=("adventure",), description="")
    text = said(facts, template="{{ hashtags }} {{ show_title }}", limits=FACEBOOK)
    assert text.startswith("#ad\n#adventure")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://a.example/s/1", "https://a.example/s/1?utm_source=x&utm_medium=social"),
        ("https://a.example/?q=1&q=", "https://a.example/?q=1&q=&utm_source=x&utm_medium=social"),
        ("https://a.example/p#buy", "https://a.example/p?utm_source=x&utm_medium=social#buy"),
        (
            "https://a.example/?utm_source=mail",
            "https://a.example/?utm_source=mail&utm_medium=social",
        ),
        ("mailto:a@a.example", "mailto:a@a.example"),
    ],
)
def test_a_link_is_tracked_and_says_all_that_it_said(link: str, expected: str) -> None:
    once = tracked(link, channel="x", campaign=None, content=None)
    assert once == expected
    assert tracked(once, channel="x", campaign=None, content=None) == once


def test_a_tracked_link_names_channel_show_and_kind() -> None:
    link = tracked(
        "https://a.example/", channel="google feed", campaign="shw_1", content="a&b", medium="feed"
    )
    assert link == (
        "https://a.example/?utm_source=google%20feed&utm_medium=feed&utm_campaign=shw_1"
        "&utm_content=a%26b"
    )


# Templates of merchants


def test_a_template_of_one_s_own_says_what_it_says_and_nothing_that_must_be_said_is_lost() -> None:
    template = (
        "{{ show_title | upper | may_shorten }}!{% if host_name %} {{ host_name }}{% endif %}"
    )
    assert said(replace(OFFER, hashtags=("#new",)), template=template) == (
        f"#ad\nBOWLS FROM LISBON! Mara Lindqvist\n\nincl. VAT, plus shipping\n\n{LINK}\n\n#new"
    )


def test_in_a_template_of_one_s_own_only_what_is_marked_is_shortened() -> None:
    limits = PostLimits(TextLimit(60), IMAGES, link="beside")
    facts = replace(FACTS, description="Thrown by hand in a small workshop above the Tejo.")
    marked = "{{ show_title }}\n{{ description | may_shorten }}"
    assert said(facts, template=marked, limits=limits) == (
        "Bowls from Lisbon\nThrown by hand in a small workshop above…"
    )
    with pytest.raises(TooLong, match="may_shorten"):
        said(facts, template="{{ show_title }}\n{{ description }}", limits=limits)


def test_a_price_is_not_lost_with_the_text_that_it_stood_beside() -> None:
    template = "{% if description %}{{ description | may_shorten }} {{ price }}{% endif %}"
    facts = replace(OFFER, legal="", is_paid_partnership=False, hashtags=())
    limits = PostLimits(TextLimit(75), IMAGES, link="beside")
    text = said(facts, template=template, limits=limits)
    assert text == "€12.00 instead of €15.00 · lowest price of the last 30 days €13.00"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ show.title }}", "nothing called|A dot"),
        ("{{ ''.__class__.__mro__ }}", "A dot"),
        ("{{ show_title['x'] }}", "A bracket"),
        ("{{ show_title() }}", "A call"),
        ("{{ range(10) }}", "A call"),
        ("{% for a in hashtags %}{{ a }}{% endfor %}", "A loop"),
        ("{% set x = 1 %}", "set"),
        ("{% include 'x' %}", "include"),
        ("{% macro a() %}{% endmacro %}", "not for captions"),
        ("{{ 'a' * 1000000000 }}", "not for captions"),
        ("{{ 9 ** 999999999 }}", "not for captions"),
        ("{{ secret }}", "nothing called “secret”"),
        ("{{ show_title | replace('a', 'b') }}", "no filter “replace”"),
        ("{{ price | lower }}", "said as it is"),
        ("{{ link | upper | may_shorten }}", "said as it is"),
        ("{{ 'text' | may_shorten }}", "marks one of"),
        ("{{ show_title | default(a=1) }}", "at most one"),
        ("{{ show_title", "mistake in line 1"),
        ("{% if %}", "mistake in line 1"),
        ("line\n{{ nothing }}", "Line 2"),
        ("x" * 4001, "too long"),
        ("{{ " + "(" * 1500 + "1" + ")" * 1500 + " }}", "too deeply"),
        ("{% if price %}" * 150 + "{% endif %}" * 150, "too deeply"),
        ("{{ show_title > 5 }}", "cannot be used"),
    ],
)
def test_a_template_can_do_nothing_but_say_things(template: str, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(BadTemplate, match=reason):
        said(FACTS, template=template)
    assert time.monotonic() - begun < 2


def test_what_looks_like_a_template_in_a_title_is_only_text() -> None:
    assert "{{ price }}{% raw %}" in said(replace(FACTS, show_title="{{ price }}{% raw %}"))
