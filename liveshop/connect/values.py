"""Values as shop systems write them: prices and quantities, read strictly, refused in words.

A price that can be read in two ways is refused rather than guessed: a wrong guess is a hundredfold.
"""

import re

from liveshop.kernel.money import Money

_NO_DIGITS = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    }
)
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_PRICE = re.compile(
    r"(?:(?P<before>[A-Za-z]{3})\s*)?(?P<number>\d[\d.,' \u00a0\u202f]*)"
    r"(?:\s*(?P<after>[A-Za-z]{3}))?",
    re.ASCII,
)
_GROUPED = re.compile(r"\d{1,3}(?:([.,' \u00a0\u202f])\d{3})(?:\1\d{3})*", re.ASCII)
_QUANTITY = re.compile(r"\d{1,7}(?:\.0+)?", re.ASCII)


class BadValue(ValueError):
    """A value that cannot be read; the text says which and why."""


def minor_digits(currency: str) -> int:
    """Decimal places of a currency by ISO 4217."""
    if currency in _NO_DIGITS:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


def parse_price(text: str, *, field: str = "price") -> Money:
    """`49.90 EUR`, `EUR 49,90`, `1,299.00 USD` -> Money. Raises BadValue."""
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        raise BadValue(f"{field} '{_shown(text)}' is not a price such as 49.90 EUR")
    currency = (match["before"] or match["after"] or "").upper()
    if not currency or (match["before"] and match["after"]):
        raise BadValue(f"{field} '{_shown(text)}' needs one currency, such as 49.90 EUR")
    digits = minor_digits(currency)
    whole, fraction = _split_number(match["number"].strip(), digits, text, field)
    if len(whole) > 11:
        raise BadValue(f"{field} '{_shown(text)}' is too large")
    return Money(int(whole) * 10**digits + int(fraction.ljust(digits, "0") or 0), currency)


def _split_number(number: str, digits: int, text: str, field: str) -> tuple[str, str]:
    last = max(number.rfind("."), number.rfind(","))
    if last < 0:
        return _without_groups(number, text, field), ""
    whole, mark, fraction = number[:last], number[last], number[last + 1 :]
    if not fraction.isdecimal():
        raise BadValue(f"{field} '{_shown(text)}' is not a price such as 49.90 EUR")
    if len(fraction) == 3 and digits != 3:
        # 1,299 or 1.299: thousands to some, decimals to others. Several groups leave no doubt.
        if mark in whole and _GROUPED.fullmatch(number):
            return re.sub(r"\D", "", number), ""
        raise BadValue(f"{field} '{_shown(text)}' can be read in two ways; write it like 1299.00")
    if len(fraction) > digits:
        raise BadValue(f"{field} '{_shown(text)}' has more than {digits} decimals")
    return _without_groups(whole, text, field), fraction


def _without_groups(whole: str, text: str, field: str) -> str:
    if whole.isdecimal():
        return whole
    if _GROUPED.fullmatch(whole):
        return re.sub(r"\D", "", whole)
    raise BadValue(f"{field} '{_shown(text)}' is not a price such as 49.90 EUR")


def format_price(price: Money) -> str:
    """`49.90 EUR`, as feeds and catalogs write it."""
    digits = minor_digits(price.currency)
    whole, rest = divmod(abs(price.amount), 10**digits)
    sign = "-" if price.amount < 0 else ""
    fraction = f".{rest:0{digits}d}" if digits else ""
    return f"{sign}{whole}{fraction} {price.currency}"


def parse_quantity(text: str, *, field: str = "quantity") -> int:
    """A whole number of pieces from 0 up. Raises BadValue."""
    stripped = text.strip()
    if not _QUANTITY.fullmatch(stripped):
        raise BadValue(f"{field} '{_shown(text)}' is not a whole number from 0 to 9999999")
    return int(stripped.split(".", maxsplit=1)[0])


def _shown(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return printable if len(printable) <= 40 else printable[:40] + "…"
