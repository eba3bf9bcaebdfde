"""What nodes tell each other."""

import pytest
from msgspec import inspect

from liveshop.app import HEARD_EVERYWHERE

PLAIN = (inspect.StrType, inspect.LiteralType, inspect.TimeDeltaType, inspect.DateTimeType)


@pytest.mark.parametrize("kind", HEARD_EVERYWHERE)
def test_signals_are_plain_and_short_so_that_they_arrive_as_they_were(kind: type) -> None:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.DataclassType)
    for one in described.fields:
        if isinstance(one.type, inspect.VarTupleType):
            assert len(described.fields) == 1, "a long list is sent in parts"
            assert isinstance(one.type.item_type, inspect.StrType)
        else:
            assert isinstance(one.type, PLAIN), f"{kind.__name__}.{one.name}"
