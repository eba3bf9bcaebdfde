"""Does a text hold a link, or a plain attempt to hide one? Judged by eye, not by standard.

Two lists, because half of all top-level domains are words: "look.at" is a typing slip more often
than an address in Austria, so a word counts only in lower case and without any space around it.
A wrong refusal costs a viewer one retyped space; a wrong pass costs every viewer a scam.
"""

import re
import unicodedata

_SURE = (
    "com|net|org|info|biz|xyz|ru|cn|uk|eu|de|fr|nl|pl|cz|dk|se|io|dev|app|gg|ly|cc|ws|tk|ml|ga|cf|gq"
    "|site|website|icu|vip|bid|cfd|sbs|edu|gov|co"
)
_WORDS = (
    "at|ch|it|is|me|to|tv|be|es|pt|no|fi|us|so|in|am|fm|ai|la|li|shop|store|online|top|club|live"
    "|link|click|page|blog|news|fun|win|sale|deals|space|tech|world|best|buzz|art"
)
_LABEL = r"(?=[\w-]*[^\W\d_])[\w-]{2,}"  # at least one letter, so "4.99" is a price

_SCHEME = re.compile(r"\b(?:h(?:tt|xx)ps?|ftp)\s*:\s*/\s*/|\bwww\s*\.\s*\w", re.IGNORECASE)
_SURE_DOMAIN = re.compile(rf"{_LABEL}\.(?:{_SURE})(?![\w-])", re.IGNORECASE)
_WORD_DOMAIN = re.compile(rf"{_LABEL}\.(?:{_WORDS})(?![\w-])")
_WITH_PATH = re.compile(rf"(?<![\w-])[\w-]+\.(?:{_SURE}|{_WORDS})/\w", re.IGNORECASE)
_SPELLED_OUT = re.compile(
    rf"{_LABEL}\s+(?:dot|punkt|point)\s+(?:{_SURE}|shop|me|tv)(?![\w-])", re.IGNORECASE
)
_SPACED = re.compile(
    rf"{_LABEL}\s*(?:\s\.|\.\s)\s*(?:com|net|org|xyz|ru|info)(?![\w-])", re.IGNORECASE
)
_NUMBERS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/)")
_BRACKETED_DOT = re.compile(r"\s*[\[({<]\s*(?:\.|dot|punkt|point)\s*[\])}>]\s*", re.IGNORECASE)
_PATTERNS = (
    _SCHEME,
    _SURE_DOMAIN,
    _WORD_DOMAIN,
    _WITH_PATH,
    _SPELLED_OUT,
    _SPACED,
    _NUMBERS,
)
_OTHER_DOTS = str.maketrans({"。": ".", "．": ".", "｡": ".", "․": ".", "‧": ".", "・": "."})
_HIDING = ("Cf", "Mn", "Me")


def holds_link(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text.translate(_OTHER_DOTS))
    if not plain.isascii():
        # A mark between two letters hides a link from a pattern, not from a reader.
        plain = "".join(one for one in plain if unicodedata.category(one) not in _HIDING)
    plain = _BRACKETED_DOT.sub(".", plain)
    return any(pattern.search(plain) for pattern in _PATTERNS)
