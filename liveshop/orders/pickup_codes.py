"""Pickup codes as people show and type them: `kernel.ids.new_code` makes them.

Ten characters of Crockford's base 32 are 50 bits: short enough to be read aloud, and too many to be
guessed by who must sign in as staff to try one.
"""

import re
import unicodedata
from urllib.parse import parse_qsl, urlsplit

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHAPE = re.compile(f"[{_ALPHABET}]{{6,16}}")
_LOOK_ALIKE = str.maketrans("OIL", "011")
_BETWEEN = re.compile(r"[\s\-‐‑‒–—_.]+")  # dashes as they are pasted
_LONGEST_SCAN = 500


def read_code(scanned: str) -> str | None:
    """The code in what was typed or scanned, such as `7k2m9-qxa0l` or an address with the code in
    it; None for what cannot be one.
    """
    text = unicodedata.normalize("NFKC", scanned[:_LONGEST_SCAN]).strip()
    if "/" not in text:
        return _plain(text)
    try:
        address = urlsplit(text)
    except ValueError:
        return None
    asked = dict(parse_qsl(address.query))
    places = [asked.get("code", ""), address.fragment, address.path.rstrip("/").rpartition("/")[2]]
    return next((code for place in places if (code := _plain(place)) is not None), None)


def _plain(text: str) -> str | None:
    code = _BETWEEN.sub("", text).upper().translate(_LOOK_ALIKE)
    return code if _SHAPE.fullmatch(code) else None
