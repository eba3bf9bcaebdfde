"""What people type, made safe to store and show: normal form, nothing invisible or reordering.

Bidi *marks* of right-to-left names stay; bidi *overrides and isolates*, which can make one text
look like another, go. So do zero-width characters, except the joiner that emoji need.
"""

import re
import unicodedata

from liveshop.kernel.errors import Invalid

_REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = "\u200b\u2060\ufeff\u00ad\u180e\u115f\u1160\u3164\uffa0"
_DROP = dict.fromkeys(map(ord, _REORDERING + _INVISIBLE))
_SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_MANY_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)
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
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    normal = unicodedata.normalize("NFC", unified).translate(_DROP)
    normal = _MANY_MARKS.sub(r"\1", normal)
    return "".join(
        character
        for character in normal
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn")
    )


def _checked(text: str, max_length: int, field: str, empty: bool) -> str:
    if not text and not empty:
        raise BadText(f"{field} must not be empty.", data={"field": field})
    if len(text) > max_length:
        raise BadText(
            f"{field} is too long: {len(text)} characters, at most {max_length}.",
            data={"field": field, "max_length": max_length},
        )
    return text
