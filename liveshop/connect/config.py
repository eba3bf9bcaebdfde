"""Configurations of connectors: the fields of the struct, its secrets apart, problems in words.

What is stored is checked again when it is read, since a connector may have changed meanwhile. Forms
and command lines give texts, so `"5"` is a number and `"true"` a switch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import inspect

from liveshop.connect.credentials import Secret
from liveshop.kernel.errors import Invalid

FieldKind = Literal["text", "secret", "number", "switch", "choice"]
T = TypeVar("T")


class BadConfig(Invalid):
    """`problems`: what is wrong, in words, by field."""

    code = "bad_config"

    def __init__(self, problems: Mapping[str, str]) -> None:
        told = " ".join(f"{name} {text}." for name, text in sorted(problems.items()))
        super().__init__(told, data={"problems": dict(problems)})
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. `default` is None where there is none, and for secrets."""

    name: str
    title: str
    description: str
    kind: FieldKind
    is_required: bool
    choices: tuple[str, ...] = ()
    default: str | int | bool | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    field: Field
    type: inspect.Type
    """Without the None that stands for `not set`."""
    allows_none: bool
    default: Any


def fields_of(config: type[Any]) -> list[Field]:
    """The fields, in the order of the struct. Raises TypeError for one that no form can show."""
    return [known.field for known in _known(config)]


def decode_config(config: type[T], plain: Mapping[str, object], secrets: Mapping[str, str]) -> T:
    """The struct. Raises BadConfig with all problems at once; an unknown field is one of them.

    An empty text means `not set`, except for a text that has a default: there it is what it is.
    """
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    all_known = _known(config)
    for known in all_known:
        name = known.field.name
        is_secret = known.field.kind == "secret"
        if name in (plain if is_secret else secrets):
            problems[name] = (
                "is a secret and has to be given as one" if is_secret else "is no secret"
            )
            continue
        value: object = secrets.get(name) if is_secret else plain.get(name)
        if value is None or (value == "" and _empty_is_unset(known)):
            if known.field.is_required:
                problems[name] = "is needed"
            continue
        try:
            values[name] = _value(known, value)
        except ValueError as error:
            problems[name] = str(error)
    names = {known.field.name for known in all_known}
    for name in [*plain, *secrets]:
        if name not in names:
            problems[str(name)[:60]] = "is not a field of this connector"
    if problems:
        raise BadConfig(problems)
    try:
        return config(**values)
    except (ValueError, TypeError) as error:  # what the struct's own __post_init__ finds
        raise BadConfig({"config": str(error)}) from None


def split_config(
    config: type[Any], given: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, str]]:
    """(plain, secrets) of what a form or a file gave, to be stored apart; secrets that are empty
    are left out. Raises BadConfig where a secret is no text; the rest is for `decode_config`."""
    is_secret = {field.name for field in fields_of(config) if field.kind == "secret"}
    plain: dict[str, object] = {}
    secrets: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name, value in given.items():
        if name not in is_secret:
            plain[name] = value
        elif isinstance(value, Secret):
            secrets[name] = value.reveal()
        elif isinstance(value, str):
            if value.strip():
                secrets[name] = value.strip()
        elif value is not None:
            problems[name] = "has to be a text"
    if problems:
        raise BadConfig(problems)
    return plain, secrets


def texts_of(
    config: type[Any], plain: Mapping[str, object], secrets: Mapping[str, str]
) -> dict[str, str]:
    """Every field that has a value or a default, as text, secrets in plain: what the addresses and
    the client of an `OAuth` are filled from. Judges nothing."""
    texts: dict[str, str] = {}
    for known in _known(config):
        name = known.field.name
        given = secrets.get(name) if known.field.kind == "secret" else plain.get(name)
        if given is None or (given == "" and _empty_is_unset(known)):
            given = known.default
        if isinstance(given, Secret):
            given = given.reveal()
        if isinstance(given, str | int):
            texts[name] = str(given).lower() if isinstance(given, bool) else str(given).strip()
    return texts


def _known(config: type[Any]) -> tuple[_Known, ...]:
    info = inspect.type_info(config)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{config.__name__} has to be a msgspec.Struct")
    return tuple(_known_field(config, one) for one in info.fields)


def _known_field(config: type[Any], one: inspect.Field) -> _Known:
    title, description = "", ""
    of = one.type
    allows_none = False
    while True:
        if isinstance(of, inspect.Metadata):
            schema = of.extra_json_schema or {}
            title = title or str(schema.get("title", ""))
            description = description or str(schema.get("description", ""))
            of = of.type
        elif isinstance(of, inspect.UnionType):
            rest = [part for part in of.types if not isinstance(part, inspect.NoneType)]
            allows_none = len(rest) < len(of.types)
            if len(rest) != 1:
                raise TypeError(f"{config.__name__}.{one.name}: no form can show a choice of types")
            of = rest[0]
        else:
            break
    default = one.default
    if one.default_factory is not msgspec.NODEFAULT:
        default = one.default_factory()
    kind = _kind(of)
    if kind is None:
        raise TypeError(
            f"{config.__name__}.{one.name}: a field is a str, int, bool, Literal of str or Secret"
        )
    shown = default if isinstance(default, str | int) and kind != "secret" else None
    field = Field(
        name=one.name,
        title=title or one.name.replace("_", " ").capitalize(),
        description=description,
        kind=kind,
        is_required=one.required,
        choices=tuple(map(str, of.values)) if isinstance(of, inspect.LiteralType) else (),
        default=shown,
    )
    return _Known(field, of, allows_none, default)


def _kind(of: inspect.Type) -> FieldKind | None:
    if isinstance(of, inspect.CustomType) and of.cls is Secret:
        return "secret"
    if isinstance(of, inspect.LiteralType) and all(isinstance(one, str) for one in of.values):
        return "choice"
    if isinstance(of, inspect.BoolType):
        return "switch"
    if isinstance(of, inspect.IntType):
        return "number"
    return "text" if isinstance(of, inspect.StrType) else None


def _empty_is_unset(known: _Known) -> bool:
    return known.field.kind != "text" or known.field.is_required or known.allows_none


def _value(known: _Known, value: object) -> Any:
    """Raises ValueError, worded to follow the field's name."""
    of = known.type
    if known.field.kind == "secret":
        if not isinstance(value, str):
            raise ValueError("has to be a text")
        return Secret(value)
    if known.field.kind == "choice":
        if value not in known.field.choices:
            raise ValueError(f"has to be one of {', '.join(known.field.choices)}")
        return value
    if known.field.kind == "switch":
        return _switch(value)
    if isinstance(of, inspect.IntType):
        return _number(of, value)
    assert isinstance(of, inspect.StrType)
    return _text(of, value)


def _switch(value: object) -> bool:
    try:
        return msgspec.convert(value, bool, strict=False)
    except msgspec.ValidationError:
        raise ValueError("has to be true or false") from None


def _number(of: inspect.IntType, value: object) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError("has to be a whole number")
        number = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        raise ValueError("has to be a whole number") from None
    least = of.ge if of.ge is not None else (None if of.gt is None else of.gt + 1)
    most = of.le if of.le is not None else (None if of.lt is None else of.lt - 1)
    if least is not None and number < least:
        raise ValueError(f"has to be at least {least}")
    if most is not None and number > most:
        raise ValueError(f"has to be at most {most}")
    if of.multiple_of is not None and number % of.multiple_of:
        raise ValueError(f"has to be a multiple of {of.multiple_of}")
    return number


def _text(of: inspect.StrType, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("has to be a text")
    text = value.strip()
    if of.min_length is not None and len(text) < of.min_length:
        raise ValueError(f"has to have at least {of.min_length} characters")
    if of.max_length is not None and len(text) > of.max_length:
        raise ValueError(f"has to have at most {of.max_length} characters")
    if any(not character.isprintable() for character in text):
        raise ValueError("must not hold line ends or control characters")
    if of.pattern is not None and not re.search(of.pattern, text):
        raise ValueError("does not look as it should")
    return text
