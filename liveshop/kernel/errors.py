"""The one error shape: a fact with a code, what to do about it, and whether trying again helps."""

from collections.abc import Mapping
from typing import Any, ClassVar


class ShopError(Exception):
    """Something the caller can be told. Subclasses are named for the fact and live in `model.py`.

    `detail` is shown to people: it says what happened and what to do, and holds no secret and
    nobody's personal data. `data` holds what a program needs to go on.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        data: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data: dict[str, Any] = dict(data or {})
        self.retry_after = retry_after


class NotFound(ShopError):
    code = "not_found"
    status = 404


class Invalid(ShopError):
    """Well-formed input that breaks a rule; `data.field` names where."""

    code = "invalid"
    status = 422


class Forbidden(ShopError):
    code = "forbidden"
    status = 403


class Conflict(ShopError):
    code = "conflict"
    status = 409


class RateLimited(ShopError):
    code = "rate_limited"
    status = 429
    retryable = True


class Unavailable(ShopError):
    """Something this request needs is down for now; nothing was changed."""

    code = "unavailable"
    status = 503
    retryable = True
