"""Tokens: our own for viewers, and the storefront's that vouch for a customer.

Both name their one algorithm; what a token's header claims is never asked (RFC 8725, 3.1). Expiry
is checked here against the caller's clock and not by the library, which knows the system's only.
"""

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.exceptions import InvalidSubjectError

from liveshop.customers.model import SIGN_ON_LEEWAY, BadSignOn, SignOnNotConfigured, is_viewer_id
from liveshop.settings import BadSettings, CustomerSettings
from liveshop.web import BadToken

_AUDIENCE = "liveshop:viewer"
_MAX_LENGTH = 8192
_OPTIONS: Any = {
    "require": ["sub", "exp", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
# A deeply nested or oddly encoded token breaks out of the library with these beside its own.
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class ViewerToken:
    expires_at: datetime
    token: str = field(repr=False)


class ViewerTokens:
    """Signs and reads our own tokens: HS256 by a key derived from `server.secret`.

    Derived, so that no other use of that secret (or a storefront given the same one) can make them.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"liveshop viewer token 1", "sha256")

    def sign(self, viewer_id: str, *, now: datetime, life: timedelta) -> ViewerToken:
        # Whole seconds: what the caller is told is what the token says.
        expires_at = (now + life).replace(microsecond=0)
        claims = {
            "sub": viewer_id,
            "aud": _AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        return ViewerToken(expires_at, jwt.encode(claims, self._key, algorithm="HS256"))

    def read(self, token: str, now: datetime) -> str:
        """The viewer's id. Raises BadToken for anything forged, foreign or expired."""
        if len(token) > _MAX_LENGTH or not token.isascii():
            raise BadToken("This token is not one of this shop's.")
        try:
            claims = jwt.decode(
                token, self._key, algorithms=["HS256"], audience=_AUDIENCE, options=_OPTIONS
            )
        except _UNREADABLE as error:
            raise BadToken("This token is not one of this shop's.") from error
        viewer_id = str(claims["sub"])
        if not is_viewer_id(viewer_id):
            raise BadToken("This token is not one of this shop's.")
        if _seconds(claims, "exp") <= now.timestamp():
            raise BadToken("This token has expired. Get a new one.")
        return viewer_id


class StorefrontTokens:
    """Checks the JWTs of the storefront. Raises BadSettings at the start for an unusable key."""

    def __init__(self, settings: CustomerSettings) -> None:
        self._settings = settings
        self._key = _usable_key(settings)

    def read(self, token: str, now: datetime) -> dict[str, Any]:
        """The claims of a token that holds. Raises BadSignOn or SignOnNotConfigured.

        Required: `sub`, `exp`, `aud`, and `iss` where one is configured.
        """
        settings = self._settings
        if self._key is None:
            raise SignOnNotConfigured(
                "This shop takes no sign-on from a storefront. "
                "Set customers.algorithm and customers.key to allow it."
            )
        if len(token) > _MAX_LENGTH or not token.isascii():
            raise _bad("unreadable")
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[settings.algorithm],
                audience=settings.audience,
                issuer=settings.issuer or None,
                options=_OPTIONS,
            )
        except _UNREADABLE as error:
            raise _bad(_reason(error)) from error
        moment, leeway = now.timestamp(), SIGN_ON_LEEWAY.total_seconds()
        if _seconds(claims, "exp") <= moment - leeway:
            raise _bad("expired")
        for claim in ("nbf", "iat"):
            if claim in claims and not _seconds(claims, claim) <= moment + leeway:
                raise _bad("not_yet_valid")
        return claims


_REASONS: Mapping[type[Exception], str] = {
    jwt.InvalidAlgorithmError: "wrong_algorithm",
    jwt.InvalidSignatureError: "wrong_signature",
    jwt.InvalidAudienceError: "wrong_audience",
    jwt.InvalidIssuerError: "wrong_issuer",
    InvalidSubjectError: "bad_sub",
}
_IN_WORDS: Mapping[str, str] = {
    "wrong_algorithm": "it is signed by another algorithm than configured",
    "wrong_signature": "its signature does not fit the configured key",
    "wrong_audience": "its audience (aud) is not this shop's",
    "wrong_issuer": "its issuer (iss) is not the configured one",
    "bad_sub": "its subject (sub) must be text",
    "expired": "it has expired",
    "not_yet_valid": "it is not valid yet; check the storefront's clock",
    "missing_sub": "it names nobody (sub)",
    "missing_exp": "it has no expiry (exp)",
    "missing_aud": "it has no audience (aud)",
    "missing_iss": "it has no issuer (iss)",
    "unreadable": "it is not a signed JSON web token",
}


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"missing_{error.claim}"
    return _REASONS.get(type(error), "unreadable")


def _bad(reason: str) -> BadSignOn:
    words = _IN_WORDS.get(reason, _IN_WORDS["unreadable"])
    return BadSignOn(f"The storefront's token does not hold: {words}.", data={"reason": reason})


def _seconds(claims: Mapping[str, Any], claim: str) -> float:
    """A NumericDate of RFC 7519; what is not a number counts as never, either way."""
    value = claims[claim]
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # of any size: integers compare with floats without overflow
    if isinstance(value, float) and math.isfinite(value):
        return value
    return -math.inf if claim == "exp" else math.inf


def _usable_key(settings: CustomerSettings) -> bytes | RSAPublicKey | None:
    if not settings.algorithm:
        return None
    raw = settings.key.strip().encode()
    looks_pem = raw.startswith(b"-----BEGIN")
    if settings.algorithm == "HS256":
        if looks_pem:
            # A public key is public: taken as a shared secret, everybody could sign with it.
            raise BadSettings(
                ["customers.key: this is a PEM key; HS256 takes a shared secret (or use RS256)"]
            )
        if len(raw) < 32:
            raise BadSettings(["customers.key: HS256 needs a secret of at least 32 characters"])
        return raw
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSettings(["customers.key: RS256 needs an RSA public key in PEM form"]) from error
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise BadSettings(["customers.key: RS256 needs an RSA key of at least 2048 bits"])
    return key
