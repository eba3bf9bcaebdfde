"""Which display names would deceive: the shop's own, those of its staff, look-alikes of both.

Names are compared by their skeleton (case, accents, spacing, digits for letters and the common
Cyrillic and Greek look-alikes folded away), word by word, so that `Adm1n` is caught and
`Badminton` or `Ghost` is not. Not all of Unicode's confusables: staff messages carry a badge that
no name can imitate, this only stops the cheap tricks.
"""

import re
import unicodedata
from functools import lru_cache

_RESERVED = (
    "admin", "admins", "administrator", "administrators", "host", "hosts", "hostess", "mod",
    "mods", "moderator", "moderators", "moderation", "staff", "team", "support", "official",
    "system", "shop", "store", "seller", "liveshop", "service", "helpdesk",
    "moderatorin", "gastgeber", "gastgeberin", "verkäufer", "verkäuferin", "kundendienst",
    "kundenservice", "kundensupport", "offiziell", "mitarbeiter", "mitarbeiterin", "betreiber",
)  # fmt: skip
_FILLERS = ("the", "our", "your", "der", "die", "das", "official", "live")

_LOOK_ALIKE = str.maketrans(
    "аеорсухіјѕкмтнвԁӏ" "αεοικνρτυχβημ" "01345789@$!|lß",
    "aeopcyxijskmthbdi" "aeoikvptuxbnm" "oieastbgasiiis",
)  # fmt: skip
_LINK = re.compile(r"://|@|/|\bwww\b|\w\.[a-z]{2,}\b", re.IGNORECASE)
_NUMBERED = re.compile(r"(guest|customer|gast|kunde|kundin)\s*#?\s*\d+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])")


def is_legible(name: str) -> bool:
    """At least one letter or digit: a name of joiners and marks alone shows as nothing."""
    return any(unicodedata.category(character)[0] in "LN" for character in name)


def holds_link(name: str) -> bool:
    """A name stands beside each message, so it would carry a link past the rule for messages."""
    return _LINK.search(_plain(name)) is not None


def is_reserved(name: str, shop_name: str) -> bool:
    """Whether the name would pass for the shop, its staff or a numbered guest."""
    if _NUMBERED.fullmatch(_plain(name).strip()):
        return True
    words = _words(name)
    return any(
        _is_reserved_run("".join(words[start:end]), shop_name)
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
    )


def is_fit_for_chat(name: str, shop_name: str) -> bool:
    return is_legible(name) and not holds_link(name) and not is_reserved(name, shop_name)


def _is_reserved_run(run: str, shop_name: str) -> bool:
    """A run of words, written as one, is reserved words alone: `admin`, `HostTeam2`, `m o d`."""
    pattern = _pattern(shop_name)
    return any(
        pattern.fullmatch(_skeleton(candidate)) is not None
        for candidate in (run, run.strip("0123456789"))
    )


@lru_cache(maxsize=8)
def _pattern(shop_name: str) -> re.Pattern[str]:
    own = _skeleton("".join(_words(shop_name)))
    reserved = {_skeleton(word) for word in _RESERVED} | ({own} if own else set())
    fillers = {_skeleton(word) for word in _FILLERS}

    def either(words: set[str]) -> str:
        return "|".join(re.escape(word) for word in sorted(words))

    return re.compile(f"(?:{either(fillers)})?(?:{either(reserved)})+")


def _words(name: str) -> list[str]:
    return _WORD.findall(_CAMEL.sub(" ", _plain(name)))


def _plain(name: str) -> str:
    """Compatibility forms, accents and invisible characters gone: `𝗔dmín` becomes `Admin`."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKD", name)
        if unicodedata.category(character) not in ("Mn", "Me", "Cf")
    )


def _skeleton(text: str) -> str:
    return _plain(text).lower().translate(_LOOK_ALIKE)
