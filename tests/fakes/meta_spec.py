"""What Meta's edges take and tell, as Meta generates it: `facebook-business` 26, Graph API v26.0.

Each generated method holds the types of its parameters; its class names the fields of the answer.
What is not generated (`items_batch` takes the names of product feeds) stands in a table here, each
name beside the generated field it becomes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facebook_business.adobjects.productitem import ProductItem
from facebook_business.typechecker import TypeChecker

_OF_EVERY_CALL = frozenset(
    {"appsecret_proof", "fields", "limit", "after", "before", "locale", "summary"}
)
"""Graph API, "Using the Graph API", "Securing requests", "Paginated results"."""
_DATETIME = re.compile(r"\d{9,11}|\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?([+-]\d\d:?\d\d|Z)?")

ITEM_FIELDS: Mapping[str, str] = {
    "id": "retailer_id",
    "item_group_id": "retailer_product_group_id",
    "title": "name",
    "description": "description",
    "availability": "availability",
    "condition": "condition",
    "price": "price",
    "sale_price": "sale_price",
    "sale_price_effective_date": "sale_price_start_date",
    "link": "url",
    "image_link": "image_url",
    "additional_image_link": "additional_image_urls",
    "brand": "brand",
    "gtin": "gtin",
    "mpn": "manufacturer_part_number",
    "product_type": "product_type",
    "google_product_category": "category",
    "quantity_to_sell_on_facebook": "quantity_to_sell_on_facebook",
    "visibility": "visibility",
    "color": "color",
    "size": "size",
    "material": "material",
    "pattern": "pattern",
    "additional_variant_attribute": "additional_variant_attributes",
}
"""Name in `items_batch` -> field of `ProductItem`. "Migrate to the /items_batch Endpoint"."""

_CATALOG_PRICE = re.compile(r"\d{1,11}(\.\d{1,3})? [A-Z]{3}")
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?[+-]\d\d:?\d\d"
_EFFECTIVE = re.compile(f"{_MOMENT}/{_MOMENT}")
_BATCH_ANSWER = frozenset({"handles", "validation_status"})
_ITEM_ENUMS = {
    "availability": ProductItem.Availability,
    "condition": ProductItem.Condition,
    "visibility": ProductItem.Visibility,
}


class _NoApi:
    """Stands in for a connection: the generated methods only describe their call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One generated call."""

    name: str
    method: str
    edge: str
    checker: Any
    answers: Any
    """The class whose objects are answered."""

    def request_problems(self, params: Mapping[str, object]) -> Iterator[str]:
        for name, value in params.items():
            if name == "fields":
                known = _fields(self.answers)
                for field in str(value).split(","):
                    if field not in known:
                        yield f"{self.name}: there is no field {field}"
            elif name not in _OF_EVERY_CALL and not self.checker.is_valid_key(name):
                yield f"{self.name}: there is no parameter {name}"
            elif name not in _OF_EVERY_CALL and not self._is_of_type(name, value):
                yield f"{self.name}: {name} is not a {self.checker.get_type(name)}: {value!r:.80}"

    def _is_of_type(self, name: str, value: object) -> bool:
        kind = self.checker.get_type(name)
        if not isinstance(value, str):
            return bool(kind == "file")
        if kind in self.checker._enum_data:
            return value in self.checker._enum_data[kind]
        if kind == "string":
            return True
        if kind == "bool":
            return value in {"true", "false"}
        if kind in {"int", "unsigned int"}:
            return value.isdecimal()
        if kind == "datetime":
            return _DATETIME.fullmatch(value) is not None
        try:
            decoded = json.loads(value)
        except ValueError:
            return False
        if (self.edge, name) == ("items_batch", "requests"):
            return isinstance(decoded, list)  # generated as `map`, documented as an array
        return bool(self.checker.is_type(kind, decoded))

    def answer_problems(self, answer: object) -> Iterator[str]:
        if not isinstance(answer, dict):
            yield f"{self.name}: the answer is no object"
            return
        if "error" in answer:
            return
        if self.edge == "items_batch":
            yield from (f"{self.name}: it tells no {one}" for one in answer.keys() - _BATCH_ANSWER)
            return
        entries = answer.get("data", [answer])
        known = _fields(self.answers) | {"id", "success", "post_id"}
        types = getattr(self.answers, "_field_types", {})
        checker = TypeChecker(types, {})
        for entry in entries:
            for name, value in entry.items():
                if name not in known:
                    yield f"{self.name}: it tells no {name}"
                elif _is_simple(types.get(name)) and not _is_simple_type(checker, name, value):
                    yield f"{self.name}: {name} is not told as {types[name]}: {value!r:.80}"


def call(node: type[Any], method: str) -> Call:
    """Of a generated class and the name of its method, such as `create_feed`."""
    request = getattr(node(fbid="1", api=_NoApi()), method)(pending=True)
    return Call(
        name=f"{request._method} {node.__name__}/{request._endpoint}".rstrip("/"),
        method=request._method,
        edge=request._endpoint,
        checker=request._param_checker,
        answers=request._target_class,
    )


def item_problems(entry: object) -> Iterator[str]:
    """Of one request in `items_batch`: its shape and names. Values are the channel's to judge."""
    if not isinstance(entry, dict) or entry.keys() - {"method", "data"}:
        yield "items_batch: a request holds a method and data, and nothing else"
        return
    if entry.get("method") not in {"CREATE", "UPDATE", "DELETE"}:
        yield f"items_batch: there is no method {entry.get('method')}"
    data = entry.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        yield "items_batch: the data of a request has an id, a text"
        return
    for name, value in data.items():
        if name not in ITEM_FIELDS:
            yield f"items_batch: there is no field {name}"
        elif (problem := _value_problem(name, value)) is not None:
            yield f"items_batch: {name} {problem}: {value!r:.80}"


def _value_problem(name: str, value: object) -> str | None:
    if name == "additional_image_link":
        is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if is_list else "is no list of texts"
    if name == "quantity_to_sell_on_facebook":
        return None if isinstance(value, int) else "is no number"
    if not isinstance(value, str):
        return "is no text"
    if name in _ITEM_ENUMS and value not in _values(_ITEM_ENUMS[name]):
        return "is not one of Meta's"
    if name == "price" and not _CATALOG_PRICE.fullmatch(value):
        return "is no price such as 9.99 USD"
    if name == "sale_price" and value and not _CATALOG_PRICE.fullmatch(value):
        return "is no price such as 9.99 USD"
    if name == "sale_price_effective_date" and value and not _EFFECTIVE.fullmatch(value):
        return "is not two moments with a slash between"
    return None


def _is_simple(kind: str | None) -> bool:
    return kind in {"string", "int", "unsigned int", "bool", "list<string>"}


def _is_simple_type(checker: Any, name: str, value: object) -> bool:
    if checker.get_type(name) == "string":
        return isinstance(value, str)
    return bool(checker.is_type(checker.get_type(name), value))


def _fields(answers: Any) -> set[str]:
    return _values(answers.Field) if hasattr(answers, "Field") else set()


def _values(names: type[Any]) -> set[str]:
    return {
        value
        for one in reversed(names.__mro__)
        for name, value in vars(one).items()
        if not name.startswith("_") and isinstance(value, str)
    }


_unknown = set(ITEM_FIELDS.values()) - _values(ProductItem.Field)
assert not _unknown, f"facebook-business knows no {_unknown}"
