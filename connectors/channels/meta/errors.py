"""What Meta's errors mean: which of our errors says what the engine does next, in plain words.

Codes and subcodes as in the guide "Handling Errors" of the Graph API, the rate limiting page and
the error codes of the Instagram platform.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from liveshop.connect import (
    ConnectorError,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    SkipListing,
)

_TOKEN_WORDS: Mapping[int, str] = {
    458: "the app was removed from the account",
    459: "Facebook wants the account's owner to log in and confirm something",
    460: "the password of the account was changed",
    463: "it has expired",
    464: "the account is not confirmed",
    467: "it was revoked",
    492: "the account no longer has a role on the Page",
}
_TOO_MANY = frozenset({4, 9, 17, 32, 341, 613, *range(80000, 80015)})
_SPAM = frozenset({2207051})
_NOT_READY = frozenset({2207003, 2207008, 2207027})
"""Instagram: the download took too long, or the container is not there or not ready yet."""
_ALREADY_GONE = frozenset({2207006})
_RESTRICTED = frozenset({2207050})
_PICTURE = frozenset({2207004, 2207005, 2207009, 2207023, 2207026, 2207052})
_CAPTION = frozenset({2207010, 2207040})
_PERMISSION = re.compile(
    r"\b(?:pages|instagram|catalog|business|ads|publish|read)_[a-z]+(?:_[a-z]+)*\b"
)
_PARAMETER = re.compile(r"\b(?:param(?:eter)?|field)[: ]+[`'\"]?(\w+)|param (\w+)\b", re.IGNORECASE)
_FIELDS: Mapping[str, str] = {
    "message": "text",
    "caption": "text",
    "link": "link",
    "url": "images",
    "image_url": "images",
    "children": "images",
    "attached_media": "images",
    "alt_text": "images",
    "alt_text_custom": "images",
}
_TOKEN_SHAPED = re.compile(r"\bEAA[0-9A-Za-z]{10,}|\b[0-9a-f]{32,}\b")
_LONGEST = 300


class TooMuchAtOnce(RetryLater):
    """The request was too large; the same in smaller parts may do."""


class NotThere(SkipListing):
    """There is no such object, or the token does not see it."""


def meaning(
    error: Mapping[str, Any],
    *,
    is_repeatable: bool,
    after: float | None,
    permissions: Sequence[str],
    secrets: Sequence[str],
) -> ConnectorError:
    """The error to raise for the `error` of an answer.

    `after`: seconds the answer asked us to wait. `permissions`: those the call needs, named where
    Meta names none. `secrets`: never told, whatever Meta repeats.
    """
    code = _number(error.get("code"))
    subcode = _number(error.get("error_subcode"))
    words = _words(error, secrets)
    if code in {102, 190, 467}:
        why = _TOKEN_WORDS.get(subcode, "it is not valid")
        return NeedsAttention(
            f"Meta does not take the access token: {why}. Make a new one and put it in here."
        )
    if subcode in _SPAM or code == 368:
        return NeedsAttention(
            f"Meta has blocked this action for now, as it looks like spam to it or breaks a rule "
            f"({words}). Look into the account's support inbox before you go on."
        )
    if subcode in _RESTRICTED:
        return NeedsAttention(
            "The Instagram account is restricted or inactive. Open the Instagram app and follow "
            "what it asks for."
        )
    if code in {3, 10} or 200 <= code <= 299:
        named = sorted(set(_PERMISSION.findall(words))) or sorted(permissions)
        return NeedsAttention(
            f"The access token lacks a permission: {', '.join(named)} ({words}). Give it to the "
            "app or the system user at Meta, make a new token and put it in here."
        )
    if code == 1 and "reduce the amount" in words.lower():
        return TooMuchAtOnce("The request was too large for Meta.")
    if code in _TOO_MANY:
        return RetryLater("Meta allows no more calls for now.", after=after)
    return _of_the_content(code, subcode, words, error, is_repeatable=is_repeatable, after=after)


def _of_the_content(
    code: int,
    subcode: int,
    words: str,
    error: Mapping[str, Any],
    *,
    is_repeatable: bool,
    after: float | None,
) -> ConnectorError:
    if subcode in _NOT_READY:
        return RetryLater("Instagram is not done with the picture yet.", after=after or 30)
    if subcode in _PICTURE or code in {36000, 36001, 36003}:
        return SkipListing(f"Instagram does not take the picture: {words}", field="images")
    if subcode in _CAPTION:
        return SkipListing(f"Instagram does not take the text: {words}", field="text")
    if subcode == 33 or subcode in _ALREADY_GONE or code == 803:
        return NotThere("Meta has no such object, or the token may not see it.")
    if code == 506:
        return SkipListing("Facebook does not take the same post twice in a row.", field="text")
    if code == 1609005:
        return SkipListing("Facebook cannot read the page that the link leads to.", field="link")
    if code in {-2, -1, 1, 2} or error.get("is_transient") is True:
        if is_repeatable:
            return RetryLater("Meta has a problem of its own.", after=after)
        return OutcomeUnknown("Meta reported a problem of its own.", after=after)
    return SkipListing(f"Meta does not take this: {words}", field=_field(words))


def clean(text: str, secrets: Sequence[str]) -> str:
    """A text of Meta's for people: without secrets, and not longer than people read."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = " ".join(_TOKEN_SHAPED.sub("…", text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _words(error: Mapping[str, Any], secrets: Sequence[str]) -> str:
    told = error.get("error_user_msg") or error.get("message") or "no reason given"
    return clean(str(told), secrets)


def _field(words: str) -> str | None:
    """The part of a post that a parameter of Meta's stands for."""
    found = _PARAMETER.search(words)
    return _FIELDS.get((found[1] or found[2]).lower()) if found else None


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
