"""Lengths as channels count them, texts cut to fit, HTML made plain."""

import unicodedata
from typing import get_args

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from liveshop.connect.limits import TextLimit, TextUnit
from liveshop.connect.texts import cut, measure, plain_text

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
UNITS: tuple[TextUnit, ...] = get_args(TextUnit)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("characters", 9), ("graphemes", 3), ("utf16", 13), ("bytes", 28), ("x_weighted", 4)],
)
def test_one_text_has_a_length_for_every_way_of_counting(unit: TextUnit, expected: int) -> None:
    assert measure("aé" + FAMILY, unit) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # As twitter-text's conformance suite counts with configuration 3.
        ("Hi http://test.co", 26),
        ("http://test.co", 23),
        ("https://www.twitter.com/aloha " * 10, 240),
        ("285 chars- http://www.twitter.com/jack " + "xxxxxxxxxx-" * 24, 299),
        ("故" * 160, 320),
        ("the" + "故" * 160, 323),
        ("😷" * 160, 320),
        ("A\u0301B", 2),
        ("A\ufb2c", 4),
        ("H🐱☺" + FAMILY, 7),
        ("😷👾😡🔥💩", 10),
        ("🙋🏽👨\u200d🎤", 4),
        ("\u2000\u200a\u200b‐‑–—‘’“”′″", 13),
        ("randomurl" * 7 + "s.com", 68),
        ("Test https://test.com test https://test.com test.com test", 86),
    ],
)
def test_x_counts_as_its_own_library_does(text: str, expected: int) -> None:
    assert measure(text, "x_weighted") == expected


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/path/to/resource?search=foo&lang=en",
        "HTTPS://www.ExaMPLE.COM/index.html",
        "http://sports.yahoo.com/nfl/news;_ylt=Aom0;ylu=XyZ?slug=ap-superbowlnotebook",
        "http://test_underscore.twitter.com",
        "http://☃.net/",
        "http://example.com/Русские_слова",
        "https://www.youtube.com/playlist?list=PL0ZPu8XSRTB7wZzn0mLHMvyzVFeRxbWn-",
        "https://de.wikipedia.org/wiki/Schal_(Kleidung)",
        "https://münchen.de/märkte",
        "https://пример.рф/",
        "https://shop.nordlicht.boutique:8443/s/shw_01?utm_source=x&utm_medium=social#watch",
        "example.com",
        "www.example.com",
        "foo.co.jp",
        "müller.de",
    ],
)
def test_any_link_weighs_23(link: str) -> None:
    assert measure(link, "x_weighted") == 23
    assert measure(f"Da: {link}.", "x_weighted") == 28
    assert measure(f"({link})", "x_weighted") == 25
    assert measure(f"の{link}の", "x_weighted") == 27


@pytest.mark.parametrize(
    "text",
    [
        "me@example.com",
        "@example.com",
        "#example.com",
        "http://localhost:8080/s/shw_01",
        "http://192.168.0.1/index.html",
        "ftp://nowhere/else",
        "http://www.-domain4352/",
        "1.299,00 und 3.5 und z.B.",
    ],
)
def test_what_is_no_link_on_x_weighs_what_it_is(text: str) -> None:
    assert measure(text, "x_weighted") == len(text)


def test_where_x_may_not_see_a_link_the_larger_count_is_taken() -> None:
    long = "https://shop.nowhere.example/" + "a" * 40
    assert measure(long, "x_weighted") == len(long)
    assert measure("https://a.example", "x_weighted") == 23
    assert measure("https://" + "a" * 64 + ".com/foo", "x_weighted") == 80
    assert measure("https://example.com/" + "a" * 5000, "x_weighted") == 5020


@pytest.mark.parametrize("emoji", ["🇩🇪", "1️⃣", "©️", "❤️", "👩🏽\u200d🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "☺"])
def test_an_emoji_weighs_two_whatever_it_is_made_of(emoji: str) -> None:
    assert measure(emoji, "x_weighted") == 2
    assert measure(emoji * 3, "x_weighted") == 6


def test_digits_and_the_copyright_sign_are_letters() -> None:
    assert measure("© 2026 #1", "x_weighted") == 9


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("Bowls from Lisbon", 17, "Bowls from Lisbon"),
        ("Bowls from Lisbon", 16, "Bowls from…"),
        ("Bowls, from Lisbon", 8, "Bowls…"),
        ("Bowls from Lisbon", 3, "Bo…"),
        ("Bowls from Lisbon", 1, "…"),
        ("Bowls from Lisbon", 0, ""),
        ("Donaudampfschifffahrtsgesellschaft", 12, "Donaudampfs…"),
        ("An Donaudampfschifffahrtsgesellschaft", 12, "An Donaudam…"),
        (FAMILY * 3, 20, FAMILY * 2 + "…"),
        ("", 0, ""),
    ],
)
def test_a_text_is_cut_between_words_where_that_keeps_most_of_it(
    text: str, most: int, expected: str
) -> None:
    limit = TextLimit(most, "graphemes" if FAMILY not in text else "characters")
    assert cut(text, limit) == expected


def test_a_link_is_left_out_rather_than_broken() -> None:
    text = "Look https://example.com/a/long/way and more of it"
    assert cut(text, TextLimit(30)) == "Look…"
    assert cut(text, TextLimit(30, "x_weighted")) == "Look https://example.com/a/long/way…"


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(["a", " ", "\n", ".", "/", "é", "e\u0301", "日", FAMILY, "🇩🇪", "👩🏽"]),
        st.sampled_from(["https://example.com/", "test.com", "word ", "\u200d", "\ufe0f", "#"]),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
).map("".join)


@given(_PIECES, st.integers(-2, 90), st.sampled_from(UNITS))
def test_what_was_cut_fits_and_no_grapheme_is_split(text: str, most: int, unit: TextUnit) -> None:
    shorter = cut(text, TextLimit(most, unit))
    assert measure(shorter, unit) <= max(0, most)
    if shorter != text:
        assert shorter == "" or shorter.endswith("…")
        kept = shorter.removesuffix("…")
        assert text.startswith(kept)
        assert len(kept) in {0, *(match.end() for match in regex.finditer(r"\X", text))}


@given(_PIECES)
def test_x_counts_a_text_the_same_however_its_accents_are_written(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert measure(apart, "x_weighted") == measure(
        unicodedata.normalize("NFC", apart), "x_weighted"
    )


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Soft &amp; warm.</p><p>Made in Porto.</p>", "Soft & warm.\n\nMade in Porto."),
        ("One<br>two<br/>three", "One\ntwo\nthree"),
        ("One<br><br>two", "One\n\ntwo"),
        ("<ul>\n  <li>Wool</li>\n  <li>Linen</li>\n</ul>", "Wool\nLinen"),
        ("<h2>Care</h2>Wash <b>cold</b>.", "Care\n\nWash cold."),
        ("<p>a</p><style>p{color:red}</style><script>alert(1)</script><p>b</p>", "a\n\nb"),
        ("a<!-- not seen -->b", "ab"),
        ("<table><tr><td>S</td><td>38</td></tr><tr><td>M</td><td>40</td></tr>", "S 38\nM 40"),
        ("Gr&ouml;&szlig;e&nbsp;38", "Größe 38"),
        ("in\u200bvisi\u00adble\u202e", "invisible"),
        ("5 < 6 & 7 > 2", "5 < 6 & 7 > 2"),
        ("no tags\nat all", "no tags at all"),
        ("", ""),
        ("<p></p><div><div><p>deep</p></div></div>", "deep"),
    ],
)
def test_html_becomes_text_that_reads_the_same(html: str, expected: str) -> None:
    assert plain_text(html) == expected


@given(st.text(max_size=200))
def test_plain_text_takes_anything(html: str) -> None:
    plain_text(html)
