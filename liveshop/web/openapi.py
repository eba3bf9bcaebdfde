"""OpenAPI 3.1 made from the endpoints and their wire structs; nothing in it is written by hand."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from liveshop.kernel.errors import Forbidden, Invalid, RateLimited, ShopError, Unavailable
from liveshop.web.access import BadCsrf, BadToken, NotSignedIn
from liveshop.web.endpoint import Endpoint
from liveshop.web.server import BadRequest, TooLarge, WrongMediaType
from liveshop.web.wire import Problem

_REF = "#/components/schemas/{name}"
_PARAM = re.compile(r"\{(\w+)(?::[^}]*)?\}")


def document(
    endpoints: Sequence[Endpoint], *, title: str, version: str, url: str
) -> dict[str, Any]:
    """The OpenAPI document of the documented endpoints."""
    shown = [endpoint for endpoint in endpoints if endpoint.documented]
    types: list[Any] = [Problem]
    for endpoint in shown:
        types += [kind for kind in (endpoint.body, endpoint.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in shown:
        path = _PARAM.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A guest or customer token, or an API key (`lsk_...`).",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "liveshop_session",
                    "description": "Staff session; unsafe methods also need X-CSRF-Token.",
                },
            },
        },
    }


def errors_of(endpoint: Endpoint) -> list[type[ShopError]]:
    """Every error an endpoint can answer: its own and those of the kit."""
    found: list[type[ShopError]] = [BadToken, RateLimited, Unavailable, *endpoint.errors]
    if endpoint.access.rule != "public":
        found += [NotSignedIn, Forbidden]
    if endpoint.method not in ("GET", "HEAD"):
        found.append(BadCsrf)
    if endpoint.query is not None or endpoint.body is not None:
        found.append(Invalid)
    if endpoint.headers or endpoint.body is not None or endpoint.method not in ("GET", "HEAD"):
        found.append(BadRequest)
    if endpoint.body is not None or endpoint.consumes != ("application/json",):
        found += [WrongMediaType, TooLarge, Invalid]
    return list(dict.fromkeys(found))


def _operation(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "x-access": str(endpoint.access),
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, by_type),
        "security": _security(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_type[id(endpoint.body)]}},
        }
    elif endpoint.consumes != ("application/json",):
        operation["requestBody"] = {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in endpoint.consumes
            },
        }
    return operation


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    rule = endpoint.access.rule
    if rule == "public":
        return [{}, {"bearer": []}]
    return [{"bearer": []}] if rule == "viewer" else [{"bearer": []}, {"session": []}]


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAM.findall(endpoint.path)
    ]
    if endpoint.query is not None:
        (schema,), components = msgspec.json.schema_components([endpoint.query], ref_template=_REF)
        own = components[schema["$ref"].rsplit("/", 1)[-1]]
        required = own.get("required", [])
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": sub}
            for name, sub in own["properties"].items()
        ]
    for header in endpoint.headers:
        found.append(
            {
                "name": header,
                "in": "header",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            }
        )
    return found


def _responses(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {str(endpoint.status): _success(endpoint, by_type)}
    grouped: dict[int, list[str]] = {}
    for error in errors_of(endpoint):
        codes = grouped.setdefault(error.status, [])
        if error.code not in codes:
            codes.append(error.code)
    for status, codes in sorted(grouped.items()):
        responses[str(status)] = {
            "description": "`" + "`, `".join(codes) + "`",
            "content": {"application/problem+json": {"schema": by_type[id(Problem)]}},
        }
    return responses


def _success(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    if endpoint.status == 204:
        return {"description": "done"}
    if endpoint.raw:
        return {
            "description": "the document",
            "content": {kind: {"schema": {"type": "string"}} for kind in endpoint.produces},
        }
    return {
        "description": "done",
        "content": {"application/json": {"schema": by_type[id(endpoint.answer)]}},
    }
