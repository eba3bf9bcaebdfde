"""Structured logs without secrets: values with telling names or the look of a token are removed.

Of a request only method and route are logged, never its query: staff searches by name or e-mail
address there. There is no access log of the web server's own; a proxy before it must leave the
query out of its log too.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_TELLING = re.compile(
    r"(password|secret|token|authorization|cookie|card|email|address)", re.IGNORECASE
)
_LOOKS_SECRET = re.compile(
    r"(lsk_[\w-]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]*|[Bb]earer[ .][\w.-]+|://[^/@\s]+:[^/@\s]+@)"
)
REMOVED = "[removed]"


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor; also used for texts that leave in error messages."""
    for key, value in event.items():
        if key not in ("event", "level", "timestamp") and _TELLING.search(key):
            event[key] = REMOVED
        else:
            event[key] = _scrubbed(value)
    return event


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, Mapping):
        return {
            key: REMOVED if _TELLING.search(str(key)) else _scrubbed(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub_text(repr(value))


def scrub_text(text: str) -> str:
    return _LOOKS_SECRET.sub(REMOVED, text)


def configure(*, level: str, fmt: str) -> None:
    """Set up logging for a process; everything goes to standard error."""
    numeric = getattr(logging, level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, scrub, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, scrub],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                scrub,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(numeric, logging.WARNING))
