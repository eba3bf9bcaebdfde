"""Captions: what a post says, in a language, within the length of a channel.

When it is too long, hashtags go first, the last ones first, then what the template marks with
`may_shorten`, the last one first. Price, legal note, `#ad` mark and link are whole or there is no
post: a shortened price is a wrong price. `caption_templates` says what a template may do.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import regex
from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time, get_timezone_name

from liveshop.catalog.display import ShownPrice
from liveshop.connect import PostKind, PostLimits, TextLimit
from liveshop.connect.texts import ELLIPSIS, cut, measure
from liveshop.kernel.money import Money
from liveshop.promotions.announce import in_words
from liveshop.syndication.caption_templates import BARE, CaptionTemplate, checked, house_template
from liveshop.syndication.model import TooLong

_AD = {"en": "#ad", "de": "Anzeige #ad"}
_WHEN = {"en": "{date}, {time} {zone}", "de": "{date}, {time} Uhr {zone}"}
_WHERE = {"en": "More at {address}", "de": "Mehr auf {address}"}
_MOST_DESCRIPTION = TextLimit(5000)
_HASHTAG = re.compile(r"(?:(?<=\s)|(?<=\()|^)[#＃](?=\w)", re.MULTILINE)
_NOT_IN_HASHTAG = regex.compile(r"[^\p{L}\p{M}\p{N}_]")
_FOLDED = re.compile(r"[^\S\u00a0\u202f]+")
_SPACES = re.compile(r"[ \t]+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_LEAST = {"description": 30, "show_title": 16, "product_title": 16, "shop_name": 16}
"""As long as anything else can be shortened, these are not shorter than that."""
_TITLES = frozenset({"show_title", "product_title", "shop_name"})


@dataclass(frozen=True, slots=True)
class CaptionFacts:
    """What a caption may say. Amounts are what the shop says; nothing is computed here.

    `starts_at` is aware; it is told in `time_zone` (IANA, such as `Europe/Berlin`). `legal` is
    said word for word. `hashtags` with or without their `#`, the most important first.
    """

    language: str
    shop_name: str
    time_zone: str = "UTC"
    show_title: str = ""
    host_name: str = ""
    starts_at: datetime | None = None
    product_title: str = ""
    price: Money | None = None
    price_before: Money | None = None
    lowest_30_days: Money | None = None
    legal: str = ""
    hashtags: tuple[str, ...] = ()
    is_paid_partnership: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """`length` as the channel counts; `was_cut`: something was shortened or left out."""

    text: str
    length: int
    was_cut: bool


def render_caption(
    template: str | None, kind: PostKind, facts: CaptionFacts, limits: PostLimits, link: str | None
) -> Caption:
    """The text of a post, ready to be sent. Raises BadTemplate, TooLong.

    `template` None: the one of the house for this kind. Reads files when it meets a language or
    time zone for the first time: run it in a thread.
    """
    draft = _Draft(kind, facts, limits, link)
    if template is not None:
        return draft.caption(checked(template))
    try:
        return draft.caption(checked(house_template(kind, facts.language)))
    except TooLong:
        short, shortest = BARE
    try:
        caption = draft.caption(checked(short))
    except TooLong:
        caption = draft.caption(checked(shortest))
    return replace(caption, was_cut=True)


class _Draft:
    """One caption being fitted."""

    def __init__(
        self, kind: PostKind, facts: CaptionFacts, limits: PostLimits, link: str | None
    ) -> None:
        self._limits = limits
        self._values = _values(kind, facts, limits, link)
        self._tags = _hashtags(facts.hashtags, without=self._values["ad"])
        self._musts: tuple[str, ...] = ("legal", "where", "link")

    def caption(self, template: CaptionTemplate) -> Caption:
        if _says(template.render({**self._values, "hashtags": ""}), self._values["price"]):
            # Also where it stands under a condition that a shortened text no longer meets.
            self._musts = ("price", "legal", "where", "link")
        whole = self._text(template, self._values, self._tags)
        if self._fits(whole):
            return self._done(whole, was_cut=False)
        count = _most(
            len(self._tags),
            lambda count: self._fits(self._text(template, self._values, self._tags[:count])),
        )
        if count is not None:
            return self._done(self._text(template, self._values, self._tags[:count]), was_cut=True)
        values = dict(self._values)
        for least in (_LEAST, {}):
            for name in reversed(template.may_shorten):
                values[name] = self._shortened(template, values, name, least.get(name, 0))
                text = self._text(template, values, ())
                if self._fits(text):
                    return self._done(text, was_cut=True)
        raise self._too_long(self._text(template, values, ()))

    def _shortened(
        self, template: CaptionTemplate, values: Mapping[str, str], name: str, least: int
    ) -> str:
        """As much of this text as fits: of a title at least so much, of others nothing at all
        rather than less."""
        whole, unit = self._values[name], self._limits.text.unit
        size = measure(whole, unit)
        if name == "host_name":
            least = size
        least = min(least, size)

        def piece(length: int) -> str:
            shorter = cut(whole, TextLimit(length, unit))
            return "" if shorter == ELLIPSIS else shorter

        def fits(length: int) -> bool:
            text = self._text(template, {**values, name: piece(length)}, ())
            return self._fits(text)

        fitting = _most(size - least, lambda more: fits(least + more))
        if fitting is not None:
            return piece(least + fitting)
        return piece(least) if name in _TITLES else ""

    def _text(
        self, template: CaptionTemplate, values: Mapping[str, str], tags: Sequence[str]
    ) -> str:
        """The text with what a template may have left out, and no more hashtags than allowed."""
        most = self._limits.max_hashtags
        if most is not None:
            body = self._completed(template, values, "")
            tags = tags[: max(0, most - len(_HASHTAG.findall(body)))]
        text = self._completed(template, values, " ".join(tags))
        return text if most is None else self._with_few_hashtags(text, most)

    def _completed(self, template: CaptionTemplate, values: Mapping[str, str], tags: str) -> str:
        text = _tidy(template.render({**values, "hashtags": tags}))
        if not _says(text, values["ad"]):
            text = f"{values['ad']}\n{text}"
        for name in self._musts:
            if not _says(text, values[name]):
                text = f"{text}\n\n{values[name]}"
        if tags and "hashtags" not in template.names:
            text = f"{text}\n\n{tags}"
        return text.strip("\n")

    def _with_few_hashtags(self, text: str, most: int) -> str:
        """Those too many in titles and descriptions become plain words."""
        kept = [
            range(found.start(), found.end())
            for name in ("ad", "price", "legal", "link")
            if (found := re.search(re.escape(self._values[name]), text))
        ]
        signs = [match.start() for match in _HASHTAG.finditer(text)]
        loose = [at for at in signs if not any(at in span for span in kept)]
        for at in reversed(loose[max(0, most - (len(signs) - len(loose))) :]):
            text = text[:at] + text[at + 1 :]
        return text

    def _fits(self, text: str) -> bool:
        return measure(text, self._limits.text.unit) <= self._limits.text.most

    def _done(self, text: str, *, was_cut: bool) -> Caption:
        return Caption(text, measure(text, self._limits.text.unit), was_cut)

    def _too_long(self, text: str) -> TooLong:
        length, most = measure(text, self._limits.text.unit), self._limits.text.most
        return TooLong(
            f"The post is too long for this channel even at its shortest: {length}, at most "
            f"{most}. Price, legal note, #ad mark and link are never shortened; shorten the "
            "template, or mark texts in it with may_shorten.",
            data={"length": length, "limit": most},
        )


def _most(highest: int, fits: Callable[[int], bool]) -> int | None:
    """The highest number from 0 on that fits, found by halving; None where none does."""
    count = bisect_left(range(highest + 1), True, key=lambda number: not fits(number))
    return count - 1 if count else None


def _values(
    kind: PostKind, facts: CaptionFacts, limits: PostLimits, link: str | None
) -> dict[str, str]:
    language = _known(facts.language)
    given = link or ""
    return {
        "kind": kind,
        "language": facts.language,
        "shop_name": _line(facts.shop_name),
        "show_title": _line(facts.show_title),
        "host_name": _line(facts.host_name),
        "product_title": _line(facts.product_title),
        "description": cut(_tidy(facts.description), _MOST_DESCRIPTION),
        "when": _when(facts.starts_at, facts.time_zone, language),
        "price": _price(facts, language),
        "legal": _line(facts.legal),
        "ad": _phrase(_AD, language) if facts.is_paid_partnership else "",
        "link": given if limits.link == "in_text" else "",
        "where": _where(given, language) if limits.link == "none" and given else "",
    }


def _price(facts: CaptionFacts, language: str) -> str:
    if facts.price is None:
        return ""
    shown = ShownPrice(facts.price, facts.lowest_30_days)
    return in_words(shown, facts.price_before or facts.price, None, language)


def _when(moment: datetime | None, time_zone: str, language: str) -> str:
    """`Sat, Dec 5, 7:00 PM CET`: as clocks show it there."""
    if moment is None:
        return ""
    locale = Locale.parse(language, sep="-")
    try:
        local = moment.astimezone(ZoneInfo(time_zone))
    except (KeyError, ValueError):
        local = moment.astimezone(UTC)
    name = get_timezone_name(local, width="short", locale=locale)
    if not name.isalpha():  # Babel has no short name in this language
        name = local.tzname() or ""
    told = _phrase(_WHEN, language).format(
        date=format_skeleton("MMMEd", local, locale=locale),
        time=format_time(local, "short", locale=locale),
        zone=name if name.isalpha() else f"UTC{name}",
    )
    return told.replace("\u202f", " ")


def _where(link: str, language: str) -> str:
    address = urlsplit(link).netloc.removeprefix("www.")
    return _phrase(_WHERE, language).format(address=address)


def _hashtags(given: Sequence[str], *, without: str) -> list[str]:
    tags: dict[str, str] = {}
    for one in given:
        word = _NOT_IN_HASHTAG.sub("", one)
        if word and not word.isnumeric() and f"#{word.casefold()}" not in without.split():
            tags.setdefault(word.casefold(), f"#{word}")
    return list(tags.values())


def _known(language: str) -> str:
    """The language, or English where Babel knows it not."""
    try:
        Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError):
        return "en"
    return language


def _phrase(phrases: Mapping[str, str], language: str) -> str:
    return phrases.get(language.partition("-")[0], phrases["en"])


def _says(text: str, phrase: str) -> bool:
    """Whether it stands in the text as words of its own: `#ad` is not in `#adventure`."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None or not phrase


def _line(text: str) -> str:
    return _FOLDED.sub(" ", text).strip()


def _tidy(text: str) -> str:
    """No spaces at the ends of lines or side by side, no more than one empty line."""
    lines = [_SPACES.sub(" ", line).strip(" ") for line in text.split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


def tracked(
    link: str,
    *,
    channel: str,
    campaign: str | None,
    content: str | None,
    medium: Literal["social", "feed"] = "social",
) -> str:
    """The link with UTM parameters: `utm_source` is the channel, `utm_campaign` the show.

    What the link says already stays, its own UTM parameters too; so twice is the same as once.
    """
    parts = urlsplit(link)
    if parts.scheme not in ("http", "https"):
        return link
    wanted = {
        "utm_source": channel,
        "utm_medium": medium,
        "utm_campaign": campaign,
        "utm_content": content,
    }
    there = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    added = [
        f"{name}={quote(value, safe='')}"
        for name, value in wanted.items()
        if value and name not in there
    ]
    query = "&".join(part for part in (parts.query, *added) if part)
    return urlunsplit(parts._replace(query=query))
