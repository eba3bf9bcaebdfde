"""Official specifications, held against every request and every answer of a fake.

They lie beside the project (`../shared/specs`, or where LIVESHOP_SPECS says) and are no part of it.
"""

import json
import os
import warnings
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue

VIOLATION = 599
"""The status of an answer to what the specification does not allow."""
FOLDER = Path(
    os.environ.get("LIVESHOP_SPECS", Path(__file__).parents[2].parent / "shared" / "specs")
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NoSpecification(Exception):
    """The file is not there: skip, aloud."""


class Fake(Protocol):
    violations: list[str]


class Specification:
    """One vendor's description of its API. `base_url`: where it says that the API is."""

    def __init__(self, path: Path, base_url: str) -> None:
        described = json.loads(path.read_bytes())
        # X's has an enum with a value twice, for which the file as a whole would be refused.
        self._api = OpenAPI.from_dict(described, config=Config(spec_validator_cls=None))
        self._base_url = base_url
        self._queries = {
            template: {
                method.upper(): _query_names(described, operation)
                for method, operation in operations.items()
                if isinstance(operation, dict)
            }
            for template, operations in described["paths"].items()
        }

    def knows(self, path: str) -> bool:
        """Whether the path is described at all; where tokens come from often is not."""
        return any(_fits(path, template) for template in self._queries)

    def request_problems(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> list[str]:
        asked = self._request(method, path, query, headers, body)
        return self._problems(lambda: self._api.validate_request(asked)) or self._unknown(
            method, path, query
        )

    def response_problems(
        self, method: str, path: str, status: int, content_type: str, body: bytes
    ) -> list[str]:
        asked = self._request(method, path, {}, {}, b"")
        answered = MockResponse(body, status_code=status, content_type=content_type)
        return self._problems(lambda: self._api.validate_response(asked, answered))

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> MockRequest:
        return MockRequest(
            self._base_url,
            method,
            path,
            args=dict(query),
            headers=dict(headers),
            data=body,
            content_type=headers.get("Content-Type", "application/json").split(";")[0],
        )

    def _unknown(self, method: str, path: str, query: Mapping[str, str]) -> list[str]:
        """Parameters that the specification does not have: openapi-core passes them over."""
        templates = (one for one in self._queries if _fits(path, one))
        known = self._queries[min(templates, key=lambda one: "{" in one)][method]
        return [f"query parameter {name} is unknown" for name in query if name not in known]

    def _problems(self, validate: Callable[[], Any]) -> list[str]:
        try:
            with warnings.catch_warnings():
                # It cannot check bearer tokens and says so each time; the fakes check them.
                warnings.simplefilter("ignore", UserWarning)
                validate()
        except OpenAPIError as error:
            cause = error.__cause__
            if isinstance(cause, InvalidSchemaValue):
                return [f"{error.__class__.__name__}: {one}" for one in cause.schema_errors]
            return [f"{error.__class__.__name__}: {error}"]
        return []


@lru_cache
def specification(file: str, base_url: str) -> Specification:
    """Loaded once. Raises NoSpecification."""
    path = FOLDER / file
    if not path.is_file():
        raise NoSpecification(
            f"The specification {file} is not here; set LIVESHOP_SPECS to the folder it is in."
        )
    return Specification(path, base_url)


def validating(specification: Specification, fake: Fake) -> Any:
    """A middleware: what the specification does not allow is answered with 599 and kept in
    `fake.violations`. Paths that it does not describe pass."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not specification.knows(request.path):
            return await handler(request)
        method, path = request.method, request.path
        problems = specification.request_problems(
            method, path, request.query, request.headers, await request.read()
        )
        if problems:
            return _violated(fake, f"request {method} {path}", problems)
        response = await handler(request)
        if isinstance(response, web.Response):
            body = response.body if isinstance(response.body, bytes) else b""
            problems = specification.response_problems(
                method, path, response.status, response.content_type, body
            )
            if problems:
                return _violated(fake, f"answer to {method} {path}", problems)
        return response

    return middleware


def _violated(fake: Fake, what: str, problems: list[str]) -> web.Response:
    fake.violations.extend(f"{what}: {problem}" for problem in problems)
    return web.json_response({"detail": "; ".join(problems)}, status=VIOLATION)


def _query_names(described: Mapping[str, Any], operation: Mapping[str, Any]) -> frozenset[str]:
    parameters = (_resolved(described, one) for one in operation.get("parameters", ()))
    return frozenset(one["name"] for one in parameters if one["in"] == "query")


def _resolved(described: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in one:
        found: Any = described
        for part in one["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        one = found
    return one


def _fits(path: str, template: str) -> bool:
    ours, theirs = path.split("/"), template.split("/")
    return len(ours) == len(theirs) and all(
        one == other or other.startswith("{") for one, other in zip(ours, theirs, strict=True)
    )
