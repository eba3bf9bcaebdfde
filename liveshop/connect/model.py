"""What a source says about products, as plain facts. The catalog checks the rules, not the source.

A source reports a row it cannot read as a `BadRow` and goes on; it raises `BadFile` only when no
row of the file can be read.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from liveshop.kernel.errors import Invalid, NotFound
from liveshop.kernel.money import Money


class BadFile(Invalid):
    """The file as a whole cannot be read; nothing of it was imported."""

    code = "bad_file"


class WrongColumns(BadFile):
    """`data.missing` and `data.found` name the columns."""

    code = "wrong_columns"


class UnknownConnector(NotFound):
    code = "unknown_connector"


@dataclass(frozen=True, slots=True)
class SourceVariant:
    """One sellable thing. `source_id` is unique within the source and never reused."""

    source_id: str
    sku: str
    price: Money
    values: tuple[str, ...] = ()
    """One value for each name in the product's `option_names`, in that order."""
    gtin: str | None = None
    compare_at: Money | None = None
    tax_class: str = "standard"
    quantity: int | None = None
    """How many the source has; None when it does not say, and stock is then left alone."""
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class SourceProduct:
    source_id: str
    title: str
    variants: tuple[SourceVariant, ...]
    option_names: tuple[str, ...] = ()
    description_html: str = ""
    brand: str | None = None
    category: str | None = None
    url: str | None = None
    image_urls: tuple[str, ...] = ()
    is_active: bool = True
    is_whole: bool = True
    """True: these are all variants, others are withdrawn. False: further rows may bring more."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    line: int
    product: SourceProduct


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read, and why, in words for the person who keeps the file."""

    line: int
    source_id: str | None
    reason: str
    product_id: str | None = None
    """The product it belongs to, where that can still be told: one that is there, not deleted."""


@runtime_checkable
class FileSource(Protocol):
    """A connector that reads products from a file. Made without arguments, used for many files."""

    @property
    def name(self) -> str:
        """The connector's name, the same as its entry point's."""

    @property
    def media_type(self) -> str:
        """Such as `text/csv`."""

    def rows(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[SourceRow | BadRow]:
        """Read the file piece by piece, in bounded memory. Raises BadFile."""
