"""Codes typed into a cart: which ones are kept, and how often somebody may guess.

A guest costs nothing, so guesses are counted by address too, and every wrong code has to find room
in one of three buckets of its address: of viewers who are new, of those who have been here for a
while, and of buyers, who hold something in their cart and have typed no wrong code in the last
hour. So from one address there come 800 wrong codes at once, and after that about three a second,
whatever the number of guests.

But all visitors of a shop may come from one address. Where a guesser has emptied the first bucket,
people who have been in the show for a while do not notice him; where he has let thousands of guests
grow old and emptied the second one too, a buyer still gets his right code in, unless the guesser
also fills a cart for each further guess. Right codes cost nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from liveshop.checkout.model import Cart, CodeNotValid, Limits, TooManyCodes
from liveshop.kernel.errors import RateLimited
from liveshop.kernel.ids import ViewerId
from liveshop.promotions.priced import Reason, UnusedCode
from liveshop.promotions.pricing import Context
from liveshop.promotions.words import unused_code_in_words
from liveshop.web import RateLimit, RateLimiter

_BY_VIEWER = RateLimit(burst=8, per_second=1 / 30)
_NEW_BY_ADDRESS = RateLimit(burst=200, per_second=1)
_AGED_BY_ADDRESS = RateLimit(burst=500, per_second=2)
_BUYERS_BY_ADDRESS = RateLimit(burst=100, per_second=1 / 5)
_MISTAKES = RateLimit(burst=1, per_second=1 / 3600)
_IS_NEW = timedelta(minutes=10)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A code that was tried, and what it was counted by."""

    counted: tuple[tuple[RateLimiter, str], ...]


class CodeGuard:
    """Counts wrong codes: an attempt is counted beforehand and forgiven when the code was right."""

    def __init__(self) -> None:
        self._viewers = RateLimiter(_BY_VIEWER)
        self._mistakes = RateLimiter(_MISTAKES)
        self._new = RateLimiter(_NEW_BY_ADDRESS)
        self._aged = RateLimiter(_AGED_BY_ADDRESS)
        self._buyers = RateLimiter(_BUYERS_BY_ADDRESS)

    def count(self, viewer_id: ViewerId, address: str | None, now: datetime) -> Attempt:
        """Raises RateLimited; a buyer may then `count_buyer`."""
        is_new = now - made_at(viewer_id) < _IS_NEW
        return self._count(viewer_id, address, now, self._new if is_new else self._aged)

    def may_be_buyer(self, viewer_id: ViewerId, now: datetime) -> bool:
        """Whether he has typed no wrong code in the last hour."""
        moment = now.timestamp()
        if self._mistakes.wait_seconds(viewer_id, moment):
            return False
        self._mistakes.wait_seconds(viewer_id, moment, cost=-1.0)
        return True

    def count_buyer(self, viewer_id: ViewerId, address: str | None, now: datetime) -> Attempt:
        """The same for who `may_be_buyer` and holds something. Raises RateLimited."""
        return self._count(viewer_id, address, now, self._buyers)

    def forgive(self, attempt: Attempt, now: datetime) -> None:
        for limiter, key in attempt.counted:
            limiter.wait_seconds(key, now.timestamp(), cost=-1.0)

    def _count(
        self, viewer_id: ViewerId, address: str | None, now: datetime, by_address: RateLimiter
    ) -> Attempt:
        moment = now.timestamp()
        wait = self._viewers.wait_seconds(viewer_id, moment)
        if wait:
            raise _limited(wait)
        counted: list[tuple[RateLimiter, str]] = [(self._viewers, viewer_id)]
        if address is not None:
            wait = by_address.wait_seconds(address, moment)
            if wait:
                # Who was not let in has guessed nothing.
                self._viewers.wait_seconds(viewer_id, moment, cost=-1.0)
                raise _limited(wait)
            counted.append((by_address, address))
        if not self._mistakes.wait_seconds(viewer_id, moment):
            counted.append((self._mistakes, viewer_id))
        return Attempt(tuple(counted))


def _limited(wait: float) -> RateLimited:
    return RateLimited(
        "Too many wrong codes; wait a little before you try another one.",
        retry_after=round(wait + 0.05, 1),
    )


def made_at(viewer_id: ViewerId) -> datetime:
    """When this id was made: its first ten characters are milliseconds."""
    milliseconds = 0
    for character in viewer_id[4:14]:
        milliseconds = milliseconds * 32 + _ALPHABET.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def checked_code(code: str | None, cart: Cart, context: Context, limits: Limits) -> str:
    """The code, if it may be kept in this cart. `context` knows it. Raises CodeNotValid,
    TooManyCodes.

    A code that takes nothing off at the moment may do so later: with another article, or alone.
    """
    reasons: dict[str, Reason] = {one.code: one.reason for one in cart.priced(context).unused_codes}
    reason: Reason | None = "unknown" if code is None else reasons.get(code)
    if code is None or reason in ("unknown", "expired", "not_yet", "exhausted"):
        assert reason is not None
        told = unused_code_in_words(UnusedCode(code or "", reason), "en")
        raise CodeNotValid(told, data={"field": "code", "reason": reason})
    if len(cart.codes) >= limits.max_codes:
        raise TooManyCodes(
            f"A cart takes at most {limits.max_codes} codes. Take one out first.",
            data={"max": limits.max_codes},
        )
    return code
