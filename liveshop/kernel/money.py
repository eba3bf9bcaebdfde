"""Money: whole minor units and their currency. No floats, and no cent lost when it is split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class MixedCurrencies(ArithmeticError):
    """Two currencies met in one sum."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount` in minor units (cents), `currency` by ISO 4217."""

    amount: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        self._check(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._check(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: int) -> "Money":
        return Money(self.amount * factor, self.currency)

    def _check(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise MixedCurrencies(f"{self.currency} and {other.currency} cannot be added")


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum; zero of `currency` for nothing."""
    result = Money(0, currency)
    for amount in amounts:
        result = result + amount
    return result


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Split minor units in proportion to weights by largest remainder; the parts add up exactly.

    Ties go to the earlier part. All weights zero: equal weights. Negative amounts split alike.
    """
    if not weights:
        if amount:
            raise ValueError("there is nothing to split the amount over")
        return []
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    sign = -1 if amount < 0 else 1
    shares = list(weights) if any(weights) else [1] * len(weights)
    whole = sum(shares)
    parts = [abs(amount) * share // whole for share in shares]
    remainders = [abs(amount) * share % whole for share in shares]
    left = abs(amount) - sum(parts)
    for index in sorted(range(len(shares)), key=lambda i: (-remainders[i], i))[:left]:
        parts[index] += 1
    return [sign * part for part in parts]


def included_tax(gross: int, rate_permille: int) -> int:
    """The tax inside a gross amount, rounded half up; the rate in per mille (19 % is 190)."""
    divisor = 1000 + rate_permille
    return (2 * gross * rate_permille + divisor) // (2 * divisor)
