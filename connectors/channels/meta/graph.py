"""The Graph API: facebook-sdk 3.1 behind one small class, made safe for a server of today.

The SDK is synchronous, knows no version after 3.1 and would put the token into addresses. So it is
given none: the session adds it as a header; each thread has an SDK object and a session of its own;
the version is set after it was made. A call that may not be repeated and got no answer is
`OutcomeUnknown`.
"""

import asyncio
import hashlib
import hmac
import threading
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

import msgspec
import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import MaxRetryError, NewConnectionError

from connectors.channels.meta.errors import TooMuchAtOnce, meaning
from connectors.limits import row
from liveshop.connect import (
    ConnectorError,
    Kit,
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Secret,
    SkipListing,
)

with warnings.catch_warnings():
    # A pattern in facebook-sdk 3.1 has an invalid escape; where warnings are errors it won't load.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", SyntaxWarning)
    import facebook

OFFICIAL_URL = "https://graph.facebook.com/"
VERSION = "v26.0"
_USAGE_PERCENT = row("facebook.usage_percent")
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_WHOLE_CALL_SECONDS = 120.0
_UNTIL_CALMER_SECONDS = 300.0
"""How long calls rest when a usage header says full and not for how long."""

Parts = Mapping[str, tuple[str | None, bytes]]
"""By name: a file name, None for a part that is none, and the bytes."""

log = structlog.get_logger(__name__)


AccessToken = Annotated[
    Secret,
    msgspec.Meta(
        title="Access token",
        description="Of a system user in the business settings, best one that never expires.",
    ),
]
AppSecret = Annotated[
    Secret,
    msgspec.Meta(
        title="App secret",
        description="Of the app the token was made with. Signs each call, so that a stolen token "
        "is of no use. Needed where the app requires proof.",
    ),
]
ApiVersion = Annotated[str, msgspec.Meta(title="Graph API version", pattern=r"^v\d{1,3}\.\d{1,2}$")]
ApiUrl = Annotated[str, msgspec.Meta(title="Address of the API", pattern=r"^https?://\S+$")]
UNPROVEN = (
    "There is no app secret. Calls work unless the app requires proof, but a stolen token could be "
    "used by anybody. It stands in the app's basic settings."
)


class MetaConfig(Protocol):
    """What the configurations of all connections to Meta have in common."""

    @property
    def access_token(self) -> Secret: ...

    @property
    def app_secret(self) -> Secret: ...

    @property
    def version(self) -> str: ...

    @property
    def api_url(self) -> str: ...


class Graph:
    """Calls to the Graph API with one token. Every call may raise RetryLater, OutcomeUnknown,
    SkipListing and NeedsAttention; `TooMuchAtOnce` and `NotThere` tell two cases apart.

    `permissions`: those that the calls need, for the words when one is missing.
    """

    def __init__(
        self,
        config: MetaConfig,
        kit: Kit,
        *,
        permissions: Sequence[str] = (),
        token: Secret | None = None,
        most_at_once: int = 4,
    ) -> None:
        self._config = config
        self._kit = kit
        self._permissions = tuple(permissions)
        self._token = token or config.access_token
        self._slots = asyncio.Semaphore(most_at_once)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._resting_until: datetime | None = None

    def with_token(self, token: Secret) -> "Graph":
        """The same for another token."""
        return Graph(self._config, self._kit, permissions=self._permissions, token=token)

    async def get(self, path: str, **params: object) -> dict[str, Any]:
        """`path` without version, such as `1234/feed`; nested values of `params` become JSON."""
        return await self._call("GET", path, params, is_repeatable=True)

    async def post(
        self,
        path: str,
        params: Mapping[str, object],
        *,
        is_repeatable: bool,
        parts: Parts | None = None,
    ) -> dict[str, Any]:
        """Send a form; with `parts` as multipart, where bytes go as they are."""
        return await self._call("POST", path, params, is_repeatable=is_repeatable, parts=parts)

    async def delete(self, path: str) -> dict[str, Any]:
        return await self._call("DELETE", path, {}, is_repeatable=True)

    async def close(self) -> None:
        for session in self._sessions:
            await asyncio.to_thread(session.close)

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        *,
        is_repeatable: bool,
        parts: Parts | None = None,
    ) -> dict[str, Any]:
        self._check_rest()
        plain = {name: _plain(value) for name, value in params.items()}
        async with self._slots:
            try:
                async with asyncio.timeout(_WHOLE_CALL_SECONDS):
                    return await asyncio.to_thread(
                        self._call_in_thread,
                        method,
                        path,
                        plain,
                        parts=parts,
                        is_repeatable=is_repeatable,
                    )
            except TimeoutError:
                raise _no_answer(is_repeatable=is_repeatable) from None

    def _check_rest(self) -> None:
        if self._resting_until is None:
            return
        left = (self._resting_until - self._kit.clock.now()).total_seconds()
        if left > 0:
            raise RetryLater("Meta's allowance of calls is used up for now.", after=left)
        self._resting_until = None

    def _call_in_thread(
        self,
        method: str,
        path: str,
        params: dict[str, str],
        *,
        parts: Parts | None,
        is_repeatable: bool,
    ) -> dict[str, Any]:
        sdk, seen = self._of_this_thread()
        seen.clear()
        if self._config.app_secret:
            params["appsecret_proof"] = proof(self._token, self._config.app_secret)
        is_post = method == "POST"
        result: object = None
        failure: ConnectorError | None = None
        try:
            result = sdk.request(
                f"{sdk.version}/{path}",
                args=None if is_post else params,
                post_args=params if is_post else None,
                files=parts,
                method=method,
            )
        except facebook.GraphAPIError as error:
            failure = self._refusal(error.result, seen, is_repeatable=is_repeatable)
        except (requests.ConnectionError, requests.Timeout) as error:
            failure = (
                RetryLater("Meta cannot be reached.")
                if _never_left(error)
                else _no_answer(is_repeatable=is_repeatable)
            )
        except (requests.RequestException, ValueError, KeyError):
            # Half a body, no JSON in spite of its name, or not even a type of content.
            failure = self._refusal(None, seen, is_repeatable=is_repeatable)
        if failure is None and seen.status >= 400:
            failure = self._refusal(result, seen, is_repeatable=is_repeatable)
        if failure is not None:
            raise failure  # out here, so that no exception with Meta's own words hangs on it
        return result if isinstance(result, dict) else {"success": result is True}

    def _of_this_thread(self) -> "tuple[Any, _LastAnswer]":
        if not hasattr(self._local, "sdk"):
            session = requests.Session()
            session.trust_env = False  # neither a proxy nor a .netrc that nobody set for us
            session.max_redirects = 0
            session.auth = _InHeader(self._token)
            if self._config.api_url.rstrip("/") + "/" != OFFICIAL_URL:
                session.mount(OFFICIAL_URL, _Elsewhere(self._config.api_url))
            self._sessions.append(session)
            seen = _LastAnswer()
            session.hooks["response"].append(seen.note)
            session.hooks["response"].append(self._note_usage)
            timeout = (_CONNECT_SECONDS, _ANSWER_SECONDS)
            sdk = facebook.GraphAPI(access_token=None, timeout=timeout, session=session)
            sdk.version = self._config.version  # its constructor refuses all that are alive
            self._local.sdk, self._local.seen = sdk, seen
        return self._local.sdk, self._local.seen

    def _refusal(
        self, result: object, seen: "_LastAnswer", *, is_repeatable: bool
    ) -> ConnectorError:
        error = result.get("error") if isinstance(result, dict) else None
        if isinstance(error, dict):
            log.info(
                "meta_refused",
                code=error.get("code"),
                subcode=error.get("error_subcode"),
                trace=error.get("fbtrace_id"),
            )
            return meaning(
                error,
                is_repeatable=is_repeatable,
                after=seen.after,
                permissions=self._permissions,
                secrets=(self._token.reveal(), self._config.app_secret.reveal()),
            )
        log.info("meta_answered_without_sense", status=seen.status)
        if seen.status == 413:
            return TooMuchAtOnce("The request was too large for Meta.")
        if seen.status == 429:
            return RetryLater("Meta allows no more calls for now.", after=seen.after)
        if seen.status == 401:
            return NeedsAttention(
                "Meta does not take the access token. Make a new one and put it in here."
            )
        if 400 <= seen.status < 500:
            return SkipListing(f"Meta refuses the request and gives no reason ({seen.status}).")
        if is_repeatable:
            return RetryLater("Meta's answer made no sense.", after=seen.after)
        return OutcomeUnknown("Meta's answer made no sense.", after=seen.after)

    def _note_usage(self, response: requests.Response, *_args: object, **_kwargs: object) -> None:
        rest = usage_rest(response.headers, full_percent=self._kit.limit(_USAGE_PERCENT))
        if rest:
            self._resting_until = self._kit.clock.now() + timedelta(seconds=rest)


class _LastAnswer:
    """Status and wait of the answer that this thread got last."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.status = 0
        self.after: float | None = None

    def note(self, response: requests.Response, *_args: object, **_kwargs: object) -> None:
        self.status = response.status_code
        asked = response.headers.get("Retry-After", "")
        self.after = usage_rest(response.headers) or (float(asked) if asked.isdecimal() else None)


class _InHeader(AuthBase):
    """The token as a header. Meta takes it there as well as in the address, where logs keep it."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class _Elsewhere(HTTPAdapter):
    """Calls to Meta's own address go to another: a gateway, or a fake in tests."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/") + "/"

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        request.url = self._base_url + (request.url or "").removeprefix(OFFICIAL_URL)
        return super().send(request, *args, **kwargs)


def proof(token: Secret, app_secret: Secret) -> str:
    """`appsecret_proof`: shows that the caller has the app's secret, and not a token alone."""
    return hmac.new(
        app_secret.reveal().encode(), token.reveal().encode(), hashlib.sha256
    ).hexdigest()


def usage_rest(headers: Mapping[str, str], *, full_percent: int = 100) -> float | None:
    """Seconds to rest by the usage headers; None while there is room.

    `X-App-Usage` has percents; `X-Business-Use-Case-Usage` has them by business and use, and the
    minutes until calls are taken again once they are not.
    """
    rests: list[float] = []
    app = _json(headers.get("X-App-Usage"))
    if isinstance(app, dict) and _fullest(app) >= full_percent:
        rests.append(_UNTIL_CALMER_SECONDS)
    uses = _json(headers.get("X-Business-Use-Case-Usage"))
    for entries in uses.values() if isinstance(uses, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, dict):
                continue
            minutes = entry.get("estimated_time_to_regain_access")
            if isinstance(minutes, int | float) and minutes > 0:
                rests.append(float(minutes) * 60)
            elif _fullest(entry) >= full_percent:
                rests.append(_UNTIL_CALMER_SECONDS)
    return max(rests, default=None)


def _fullest(usage: Mapping[str, object]) -> float:
    percents = (usage.get(name) for name in ("call_count", "total_time", "total_cputime"))
    return max((float(one) for one in percents if isinstance(one, int | float)), default=0.0)


def _json(text: str | None) -> object:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return None


def _plain(value: object) -> str:
    """As a form carries it: the SDK would send Python's own words for true and for a list."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _never_left(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that nothing can have been carried out."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _no_answer(*, is_repeatable: bool) -> RetryLater:
    if is_repeatable:
        return RetryLater("Meta did not answer.")
    return OutcomeUnknown("Meta did not answer; it may have done what was asked.")
