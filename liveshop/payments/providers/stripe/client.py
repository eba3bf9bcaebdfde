"""The official client over our own HTTP session, and what its errors mean to us.

Its own adapter for aiohttp lets some lost answers through as errors of aiohttp, and leaves a
response open when its reader is stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import aiohttp
import structlog

from liveshop.kernel.errors import ShopError
from liveshop.payments.model import ProviderUnavailable
from liveshop.settings import StripeSettings

try:
    import stripe
except ImportError as missing:
    raise ImportError("payment by Stripe needs: pip install 'liveshop[stripe]'") from missing

_T = TypeVar("_T")
_log = structlog.get_logger()


class RefusedByStripe(ShopError):
    """What we asked for makes no sense to Stripe: a bug of ours, or an account or key that may not.
    The log says what; nothing was changed.
    """

    code = "payment_refused"
    status = 502


def client_of(settings: StripeSettings, http: "Http") -> stripe.StripeClient:
    # It would write an id into the home folder and look at the platform, both in the loop.
    stripe.enable_telemetry = False
    # It tells whole bodies at DEBUG, client secrets among them, and Stripe's words at INFO.
    logging.getLogger("stripe").addFilter(_is_warning)
    return stripe.StripeClient(
        settings.secret_key,
        http_client=http,
        base_addresses={"api": settings.api_url.rstrip("/")},
        # Once more after half a second, with the same idempotency key; then the shop asks again.
        max_network_retries=1,
    )


class Http(stripe.HTTPClient):
    name = "aiohttp"

    def __init__(self, timeout_seconds: float, session: aiohttp.ClientSession | None) -> None:
        """`session` stays the caller's to close; without one an own is opened when it is needed."""
        super().__init__()
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._given = session
        self._own: aiohttp.ClientSession | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            async with self._session.request(
                method,
                url,
                headers=dict(headers),
                data=post_data,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                return await answer.read(), answer.status, answer.headers
        except TimeoutError:
            # No time is left to try again in.
            raise _lost("TimeoutError", should_retry=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(type(error).__name__, should_retry=True) from None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._given is not None:
            return self._given
        if self._own is None or self._own.closed:
            self._own = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._own

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    def close(self) -> None:
        return None

    async def close_async(self) -> None:
        if self._own is not None:
            await self._own.close()


async def ask(call: Awaitable[_T]) -> _T:
    """Raises ProviderUnavailable, RefusedByStripe, and of Stripe's own errors only
    InvalidRequestError and CardError.
    """
    try:
        return await call
    except (stripe.InvalidRequestError, stripe.CardError):
        raise
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise refused(error) from None
    except stripe.StripeError as error:
        _log.warning(
            "stripe.unavailable",
            kind=type(error).__name__,
            status=error.http_status,
            request_id=error.request_id,
        )
        raise ProviderUnavailable(
            "Stripe cannot be reached, so it is not known yet what happened. It is asked again."
        ) from None


def refused(error: stripe.StripeError) -> RefusedByStripe:
    note_refusal(error)
    return RefusedByStripe(
        "The payment service refused our request, and nothing was charged. "
        "Choose another way to pay, or try again later."
    )


def note_refusal(error: stripe.StripeError) -> None:
    """In the log, without Stripe's words: they may repeat what was sent."""
    _log.error(
        "stripe.refused",
        kind=type(error).__name__,
        code=error.code,
        param=getattr(error, "param", None),
        status=error.http_status,
        request_id=error.request_id,
    )


def _lost(kind: str, *, should_retry: bool) -> stripe.APIConnectionError:
    words = f"no answer ({kind})"
    return stripe.APIConnectionError(words, should_retry=should_retry)  # type: ignore[no-untyped-call]


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
