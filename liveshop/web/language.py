"""The languages the server itself speaks, and which of them a reader is given."""

from aiohttp import web

LANGUAGES = ("en", "de")


def language_of(request: web.Request) -> str:
    """The browser's first language that we speak, else English."""
    for part in request.headers.get("Accept-Language", "").split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in LANGUAGES:
            return language
    return "en"
