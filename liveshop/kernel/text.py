"""What people type, made safe to store and show: normal form, nothing invisible or reordering.

What cannot be seen stays only where a script or an emoji needs it: joiners inside emoji and inside
words of scripts that join, variation selectors behind what they vary, bidi *marks* in texts with
right-to-left letters. Bidi *overrides, embeddings and isolates*, which can make one text look like
another, go. So do floods of combining marks, which would paint over the neighbours.
"""

import re
import unicodedata

from liveshop.kernel.errors import Invalid

_PLAIN = re.compile(
    r"[\n\t\x20-\x7e\xa0-\xac\xae-\u02ff\u0400-\u0481\u048a-\u052f\u2010-\u2027\u2030-\u2037"
    r"\u20a0-\u20bf]*"
)
"""Nothing in these needs a closer look."""
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SPACES = re.compile(r"[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]+")
_SPACE = re.compile(r"\s|\u2800")
_NOWHERE = frozenset(["Cc", "Cs", "Co", "Cn", "Cf"])
_SEEN = re.compile(
    "[\n\t\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    # Emoji that are younger than this Python's tables.
    "\U0001f000-\U0001fbff]"
)
"""Of these categories, what is seen nevertheless."""
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0001d159]+")
"""Of no such category, and not seen nevertheless."""
_TAGS = re.compile(
    # Flags such as Scotland's, UTS #51 ED-14a; alone they are text that nobody sees.
    "(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f)"
    "|[\U000e0000-\U000e007f]"
)
_BIDI_MARKS = frozenset("\u200e\u200f\u061c")
_JOINER, _NON_JOINER = "\u200d", "\u200c"
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_VARIED = frozenset("0123456789#*\u203c\u2049\u2139\u3030")
"""What has an emoji form, beside symbols."""
_MARKS_AT_MOST = 4
_TIBETAN_MARKS_AT_MOST = 8
_PASSES_AT_MOST = 4
"""What is taken away changes the neighbours of what is left."""
_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@,;:<>()\[\]\"\\.]+(\.[^\s@,;:<>()\[\]\"\\.]+)+")


class BadText(Invalid):
    code = "bad_text"


def clean_line(text: str, *, max_length: int, field: str = "text", empty: bool = False) -> str:
    """One line of text, trimmed, spaces folded. Raises BadText when empty or too long."""
    return _checked(
        _SPACES.sub(" ", _clean(text).replace("\n", " ")).strip(), max_length, field, empty
    )


def clean_text(text: str, *, max_length: int, field: str = "text", empty: bool = False) -> str:
    """Text of several lines; line ends become `\\n`."""
    lines = [_SPACES.sub(" ", line).strip() for line in _clean(text).split("\n")]
    return _checked("\n".join(lines).strip(), max_length, field, empty)


def clean_email(text: str, *, field: str = "email") -> str:
    """An address a mail can be sent to, and only to it: no list, no name beside it.

    Raises BadText or Invalid. Whether anybody reads there, only a mail can tell.
    """
    email = clean_line(text, max_length=254, field=field)
    if not _EMAIL.fullmatch(email):
        raise Invalid("This is not an e-mail address.", data={"field": field})
    return email


def _clean(text: str) -> str:
    normal = unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", text))
    if _PLAIN.fullmatch(normal):
        return normal
    seen = "".join(one for one in _UNSEEN.sub("", normal) if _may_be_seen(one))
    for _ in range(_PASSES_AT_MOST):
        before, seen = seen, _in_place(_TAGS.sub(r"\1", unicodedata.normalize("NFC", seen)))
        if seen == before:
            return seen
    # Nobody writes like this. What is left without marks and joiners is in its place.
    bare = (one for one in seen if unicodedata.category(one) not in ("Cf", "Mn", "Me"))
    return unicodedata.normalize("NFC", "".join(bare))


def _may_be_seen(character: str) -> bool:
    if unicodedata.category(character) not in _NOWHERE or _SEEN.match(character):
        return True
    is_joiner = character in (_JOINER, _NON_JOINER)
    return is_joiner or character in _BIDI_MARKS or "\U000e0000" <= character <= "\U000e007f"


def _in_place(text: str) -> str:
    """Without what is not where a script or an emoji needs it."""
    letters = (one for one in text if one not in _BIDI_MARKS)
    is_right_to_left = any(unicodedata.bidirectional(one) in ("R", "AL") for one in letters)
    kept = [""]
    marks = 0
    for place, character in enumerate(text):
        last, following = kept[-1], text[place + 1 : place + 2]
        if character in (_JOINER, _NON_JOINER):
            if not _joins(character, kept, following, marks):
                continue
        elif character in _BIDI_MARKS:
            if not is_right_to_left or last in _BIDI_MARKS:
                continue
        elif _SELECTORS.match(character):
            if not (_is_symbol(last) or _is_of(last, "Lo") or last in _VARIED):
                continue
        elif _is_of(character, "Mn", "Me"):
            marks += 1
            is_tibetan = "\u0f00" <= character <= "\u0fff"
            if (
                not last
                or _SPACE.match(last)
                or marks > (_TIBETAN_MARKS_AT_MOST if is_tibetan else _MARKS_AT_MOST)
            ):
                continue
        else:
            marks = 0
        kept.append(character)
    return "".join(kept)


def _joins(character: str, before: list[str], following: str, marks: int) -> bool:
    """Whether a joiner or non-joiner has something to do there, behind so many marks."""
    last = before[-1]
    is_varied = _SELECTORS.match(last) is not None
    if character == _JOINER:
        is_pictures = _is_symbol(before[-2] if is_varied else last) and _is_symbol(following)
        if is_pictures or _is_virama(last):
            return True
    goes_on = _is_of(following, "Lo", "Mc") or (_is_virama(following) and marks < _MARKS_AT_MOST)
    return goes_on and not is_varied and _is_of(last, "Lo", "Mn", "Mc")


def _is_virama(character: str) -> bool:
    """It takes the vowel of a consonant: combining class 9, UAX #44."""
    return character != "" and unicodedata.combining(character) == 9


def _is_of(character: str, *categories: str) -> bool:
    return character != "" and unicodedata.category(character) in categories


def _is_symbol(character: str) -> bool:
    """Emoji among them, and what changes their skin."""
    return _is_of(character, "So", "Sm", "Sk") or "\U0001f000" <= character <= "\U0001fbff"


def _checked(text: str, max_length: int, field: str, empty: bool) -> str:
    if not text and not empty:
        raise BadText(f"{field} must not be empty.", data={"field": field})
    if len(text) > max_length:
        raise BadText(
            f"{field} is too long: {len(text)} characters, at most {max_length}.",
            data={"field": field, "max_length": max_length},
        )
    return text
