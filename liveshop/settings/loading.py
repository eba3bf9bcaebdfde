"""Reads the settings: defaults < liveshop.toml < LIVESHOP_A__B < LIVESHOP_A__B_FILE."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from liveshop.settings.contradictions import contradictions
from liveshop.settings.sections import Settings


class BadSettings(Exception):
    """Everything that is wrong with the settings, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    *,
    file: Path | None,
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings. Raises BadSettings with every problem found, not just the first."""
    problems: list[str] = []
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            problems.append(f"{file}: no such file")
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{file}: {error}")
    _merge_environment(tree, environ, problems)
    for dotted, value in (overrides or {}).items():
        _put(tree, dotted.split("."), value)
    settings = _convert(tree, problems)
    problems.extend(contradictions(settings))
    if problems:
        raise BadSettings(problems)
    return settings


def _merge_environment(
    tree: dict[str, Any], environ: Mapping[str, str], problems: list[str]
) -> None:
    for name in sorted(environ):
        if not name.startswith("LIVESHOP_"):
            continue
        path = name.removeprefix("LIVESHOP_").lower().split("__")
        value = environ[name]
        if path[-1].endswith("_file"):
            try:
                value = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: cannot read {value}: {error}")
                continue
            path[-1] = path[-1].removesuffix("_file")
        if not value.isascii() and not _is_utf8(value):
            problems.append(f"{'.'.join(path)}: {name} is not UTF-8")
            continue
        if not all(path) or not _put(tree, path, value):
            problems.append(f"{'.'.join(path[:-1])}: {name} does not name a setting")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _put(tree: dict[str, Any], path: list[str], value: Any) -> bool:
    """Set a value in the tree; False where something that is no section stands in the way."""
    section: Any = tree
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            return False
    section[path[-1]] = value
    return True


def _convert(tree: dict[str, Any], problems: list[str]) -> Settings:
    """Section by section, so that one bad value does not hide the next; it keeps its default."""
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    good: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in known:
            problems.append(f"{name}: unknown setting; known are {', '.join(known)}")
            continue
        kind = known[name]
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            good[name] = _convert_section(name, value, kind, problems)
        else:
            _convert_value(name, value, kind, good, name, problems)
    return Settings(**good)


def _convert_section(
    section: str, values: dict[str, Any], kind: type[msgspec.Struct], problems: list[str]
) -> msgspec.Struct:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    good: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{section}.{name}"
        if name not in known:
            problems.append(f"{where}: unknown setting; known are {', '.join(known)}")
            continue
        _convert_value(where, value, known[name], good, name, problems)
    return kind(**good)


def _convert_value(
    where: str, value: Any, kind: Any, good: dict[str, Any], name: str, problems: list[str]
) -> None:
    if isinstance(value, str) and get_origin(kind) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, str) and get_origin(kind) is dict:
        value = dict(pair.split("=", 1) for pair in value.split(",") if "=" in pair)
    try:
        good[name] = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        choices = f" (one of {', '.join(map(str, get_args(kind)))})" if _is_literal(kind) else ""
        problems.append(f"{where}: {error}{choices}")


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal
