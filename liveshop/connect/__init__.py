"""The connector SDK: all that a connector may import besides the kernel.

A connector is found by its entry point in the group `liveshop.connectors`; nothing imports it by
name, so a shop can install one of its own beside those that come along.
"""

from liveshop.connect.lines import Line, file_chunks, split_lines
from liveshop.connect.model import (
    BadFile,
    BadRow,
    FileSource,
    SourceProduct,
    SourceRow,
    SourceVariant,
    UnknownConnector,
    WrongColumns,
)
from liveshop.connect.registry import GROUP, Connectors
from liveshop.connect.values import BadValue, minor_digits, parse_price, parse_quantity

__all__ = [
    "GROUP",
    "BadFile",
    "BadRow",
    "BadValue",
    "Connectors",
    "FileSource",
    "Line",
    "SourceProduct",
    "SourceRow",
    "SourceVariant",
    "UnknownConnector",
    "WrongColumns",
    "file_chunks",
    "minor_digits",
    "parse_price",
    "parse_quantity",
    "split_lines",
]
