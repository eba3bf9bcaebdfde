"""Whether a request is one that Stripe takes, by the shapes its official client is generated with.

Stricter than their types in one point: where they say `Literal[...] | str`, to leave room for later
versions, only what they name is taken.
"""

import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ForwardRef, Literal, NotRequired, Required, Union, get_args, get_origin
from urllib.parse import parse_qsl

import stripe
import typing_extensions
from stripe._request_options import RequestOptions
from stripe._stripe_object import UntypedStripeObject

SHAPES: Mapping[str, Any] = {
    "POST /v1/payment_intents": stripe.params.PaymentIntentCreateParams,
    "GET /v1/payment_intents/{id}": stripe.params.PaymentIntentRetrieveParams,
    "POST /v1/payment_intents/{id}/cancel": stripe.params.PaymentIntentCancelParams,
    "POST /v1/payment_intents/{id}/capture": stripe.params.PaymentIntentCaptureParams,
    "POST /v1/refunds": stripe.params.RefundCreateParams,
    "GET /v1/refunds": stripe.params.RefundListParams,
}
_NOT_SENT = frozenset(RequestOptions.__annotations__)
_OPTIONAL = (NotRequired, typing_extensions.NotRequired)
_WRAPPED = (*_OPTIONAL, Required, typing_extensions.Required)


def violations(asked: Mapping[str, Any]) -> list[str]:
    """Of one request as the front has written it down; none: Stripe would take it."""
    sent = tree(asked["body"] if asked["method"] == "POST" else asked["query"])
    parts = asked["path"].split("/")
    if len(parts) > 3:
        parts[3] = "{id}"
    name = f"{asked['method']} {'/'.join(parts)}"
    if name not in SHAPES:
        return [f"{name}: there is no such request"]
    return list(_of_record(sent, SHAPES[name], name, _NOT_SENT))


def tree(form: str) -> dict[str, Any]:
    """`a[b][0]=c` as {"a": {"b": {"0": "c"}}}."""
    top: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form)):
        first, *rest = name.replace("]", "").split("[")
        place = top
        for step in (keys := [first, *rest])[:-1]:
            place = place.setdefault(step, {})
        place[keys[-1]] = value
    return top


def _of_record(
    sent: Any, shape: Any, where: str, but: frozenset[str] = frozenset()
) -> Iterator[str]:
    if not isinstance(sent, dict):
        yield f"{where}: not a record"
        return
    known = {
        name: _evaluated(hint, shape)
        for name, hint in shape.__annotations__.items()
        if name not in but
    }
    for name in sent.keys() - known.keys():
        yield f"{where}: {name} is unknown"
    for name, hint in known.items():
        if name in sent:
            yield from _of_value(sent[name], hint, shape, f"{where}: {name}")
        elif get_origin(hint) not in _OPTIONAL:
            yield f"{where}: {name} is missing"


def _of_value(sent: Any, hint: Any, shape: Any, where: str) -> Iterator[str]:
    hint = _evaluated(hint, shape)
    origin = get_origin(hint)
    if origin in _WRAPPED:
        return _of_value(sent, get_args(hint)[0], shape, where)
    if origin in (Union, types.UnionType):
        return _of_choice(sent, get_args(hint), shape, where)
    if origin is list:
        return _of_list(sent, get_args(hint)[0], shape, where)
    if typing_extensions.is_typeddict(hint):
        return _of_record(sent, hint, where)
    return iter(() if _is_a(sent, hint) else (f"{where}: {sent!r} is no {hint}",))


def _of_choice(sent: Any, among: Sequence[Any], shape: Any, where: str) -> Iterator[str]:
    choices = [_evaluated(one, shape) for one in among]
    named = [one for one in choices if get_origin(one) is Literal and get_args(one) != ("",)]
    if named and isinstance(sent, str):
        choices = named
    tries = [list(_of_value(sent, one, shape, where)) for one in choices]
    return iter(() if not all(tries) else min(tries, key=len))


def _of_list(sent: Any, kind: Any, shape: Any, where: str) -> Iterator[str]:
    if not isinstance(sent, dict):
        yield f"{where}: not a list"
        return
    for number, one in sent.items():
        yield from _of_value(one, kind, shape, f"{where}[{number}]")


def _is_a(sent: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return sent in get_args(kind)
    if get_origin(kind) is not None or kind is UntypedStripeObject:
        return isinstance(sent, dict) and all(isinstance(one, str) for one in sent.values())
    if not isinstance(sent, str):
        return False
    if kind is int:
        return sent.removeprefix("-").isdigit()
    if kind is bool:
        return sent in ("true", "false")
    return kind is str


def _evaluated(hint: Any, shape: Any) -> Any:
    if isinstance(hint, str):
        hint = ForwardRef(hint)
    if isinstance(hint, ForwardRef):
        names = vars(sys.modules[shape.__module__])
        return _evaluated(eval(hint.__forward_arg__, dict(names)), shape)
    return hint
