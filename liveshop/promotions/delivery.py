"""What a country adds to the goods: shipping by weight and value, and tax per rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from liveshop.kernel.errors import Invalid
from liveshop.kernel.money import Money, included_tax, split
from liveshop.promotions.reductions import per_mille


class NotDelivered(Invalid):
    """The shop does not sell to this country; `data.countries` names those it sells to."""

    code = "not_delivered"


class TooHeavy(NotDelivered):
    """More than any shipping to this country takes."""

    code = "too_heavy"


class UnknownTaxClass(Invalid):
    code = "unknown_tax_class"


@dataclass(frozen=True, slots=True)
class CountryTax:
    """Tax class -> per mille. `is_included`: prices contain it; else it comes on top."""

    is_included: bool
    permille: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ShippingStep:
    """A price for shipping, in minor units, up to a weight and from a value of goods on."""

    amount: int
    max_weight_grams: int | None = None
    from_goods: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """By country (ISO 3166). To be delivered to, a country needs both."""

    tax: Mapping[str, CountryTax]
    shipping: Mapping[str, Sequence[ShippingStep]]


@dataclass(frozen=True, slots=True)
class Tax:
    """`basis` is net. `is_included`: `amount` is inside the prices; else it is on top of them."""

    rate_permille: int
    basis: Money
    amount: Money
    is_included: bool


def tax_of(country: str, rates: Rates) -> CountryTax:
    """The country's tax. Raises NotDelivered."""
    if country not in rates.tax or not rates.shipping.get(country):
        countries = sorted(rates.tax.keys() & rates.shipping.keys())
        raise NotDelivered(
            f"We do not deliver there. Choose one of {', '.join(countries)}.",
            data={"field": "country", "countries": countries},
        )
    return rates.tax[country]


def tax_at(country: str, rates: Rates) -> CountryTax:
    """The same for what is collected in a store there. Raises NotDelivered."""
    if country not in rates.tax:
        raise NotDelivered(
            "Nothing can be collected in this country. Choose another store.",
            data={"field": "country", "countries": sorted(rates.tax)},
        )
    return rates.tax[country]


def shipping_to(country: str, weight_grams: int, goods: int, rates: Rates) -> int:
    """The cheapest step that fits. Raises TooHeavy."""
    fitting = [
        step.amount
        for step in rates.shipping[country]
        if goods >= step.from_goods
        and (step.max_weight_grams is None or weight_grams <= step.max_weight_grams)
    ]
    if not fitting:
        raise TooHeavy(
            "This is more than we can deliver there at once. Make two orders of it.",
            data={"field": "country", "weight_grams": weight_grams},
        )
    return min(fitting)


def taxes_on(
    goods: Sequence[tuple[str, int]], shipping: int, tax: CountryTax, currency: str
) -> tuple[Tax, ...]:
    """Tax per rate on (tax class, amount) of each line, rounded half up once per rate.

    Shipping shares the rates of the goods, in proportion to their value. Raises UnknownTaxClass.
    """
    by_rate: dict[int, int] = {}
    for tax_class, amount in goods:
        if tax_class not in tax.permille:
            raise UnknownTaxClass(
                f"No rate is known for the tax class {tax_class}.", data={"tax_class": tax_class}
            )
        rate = tax.permille[tax_class]
        by_rate[rate] = by_rate.get(rate, 0) + amount
    ordered = sorted(by_rate)
    shares = split(shipping, [by_rate[rate] for rate in ordered])
    result = []
    for rate, share in zip(ordered, shares, strict=True):
        whole = by_rate[rate] + share
        part = included_tax(whole, rate) if tax.is_included else per_mille(whole, rate)
        basis = whole - part if tax.is_included else whole
        result.append(Tax(rate, Money(basis, currency), Money(part, currency), tax.is_included))
    return tuple(result)
