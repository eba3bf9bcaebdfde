"""The HTTP kit: endpoints as data, one error shape, OpenAPI from the structs, safe defaults."""

from liveshop.web.access import (
    ANONYMOUS,
    PERMISSIONS,
    PUBLIC,
    SIGNED_IN,
    STAFF,
    VIEWER,
    Access,
    Authenticator,
    BadToken,
    NotSignedIn,
    Principal,
    permission,
)
from liveshop.web.endpoint import Call, Endpoint
from liveshop.web.language import LANGUAGES, language_of
from liveshop.web.limits import RateLimit, RateLimiter
from liveshop.web.wire import Amount, MoneyOut, Name, Wire

__all__ = [
    "ANONYMOUS",
    "LANGUAGES",
    "PERMISSIONS",
    "PUBLIC",
    "SIGNED_IN",
    "STAFF",
    "VIEWER",
    "Access",
    "Amount",
    "Authenticator",
    "BadToken",
    "Call",
    "Endpoint",
    "MoneyOut",
    "Name",
    "NotSignedIn",
    "Principal",
    "RateLimit",
    "RateLimiter",
    "Wire",
    "language_of",
    "permission",
]
