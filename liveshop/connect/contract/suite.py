"""What the suites share: a connector opened against its far side, and the bad days of all roles."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Generic, TypeVar
from unittest import SkipTest

from liveshop.connect.config import fields_of
from liveshop.connect.connector import AccessTokens, Connector, Memory, Role
from liveshop.connect.contract.far_side import (
    TOKEN_PREFIX,
    WAIT_SECONDS,
    ContractTokens,
    FarSide,
    Fault,
)
from liveshop.connect.contract.opening import DictMemory, NoTokens, open_connector
from liveshop.connect.errors import ConnectorError, NeedsAttention, OutcomeUnknown, RetryLater
from liveshop.connect.limits import RENDITIONS, ImageLimit
from liveshop.connect.registry import Connectors
from liveshop.kernel.clock import Clock, SystemClock

Far = TypeVar("Far", bound=FarSide)
Side = TypeVar("Side")
T = TypeVar("T")


class Contract(ABC):
    """`connector`: the name of the entry point. `role`: set by each suite."""

    connector: ClassVar[str] = ""
    role: ClassVar[Role]

    async def installed(self) -> Connector:
        """The connector as its entry point gives it."""
        assert self.connector, f"{type(self).__name__} does not say its `connector`"
        return await asyncio.to_thread(lambda: Connectors.installed().connector(self.connector))

    async def test_it_is_installed_with_this_role(self) -> None:
        connector = await self.installed()
        assert connector.name == self.connector, "the name differs from the entry point's"
        assert connector.title.strip(), "the connector has no title"
        assert self.role in connector.roles, f"{self.role} is not among its roles"


class FarSideContract(Contract, Generic[Far, Side]):
    """A suite with another system on the other side; `far_side` is all that has to be written."""

    protocol: ClassVar[Any]
    """What is opened; set by each suite."""
    _secrets: tuple[str, ...] = ()

    @abstractmethod
    def far_side(self) -> AbstractAsyncContextManager[Far]:
        """Start the other side, empty; stop it when the test is over."""
        ...

    @abstractmethod
    async def act(self, side: Side) -> None:
        """One call of this role that is carried out on the far side."""
        ...

    def tokens(self, connector: Connector) -> AccessTokens:
        """What an OAuth connector gets its access tokens from."""
        return ContractTokens() if connector.oauth is not None else NoTokens()

    def clock(self) -> Clock:
        return SystemClock()

    @asynccontextmanager
    async def opened(self, far: Far, memory: Memory | None = None) -> AsyncIterator[Side]:
        """The connector, opened against this far side; `memory` outlives it, as over a restart."""
        connector = await self.installed()
        self._secrets = tuple(
            str(far.config[field.name])
            for field in fields_of(connector.config)
            if field.kind == "secret" and far.config.get(field.name)
        )
        async with open_connector(
            connector,
            far.config,
            clock=self.clock(),
            tokens=self.tokens(connector),
            memory=memory or DictMemory(),
            limits=far.limits,
        ) as opened:
            yield opened

    @asynccontextmanager
    async def both(self) -> AsyncIterator[tuple[Side, Far]]:
        async with self.far_side() as far, self.opened(far) as side:
            yield side, far

    async def test_what_it_opens_has_the_protocol_of_its_role(self) -> None:
        async with self.both() as (side, _):
            assert isinstance(side, self.protocol), f"{type(side).__name__} lacks a part of it"

    # Bad days

    async def test_it_opens_while_the_other_side_is_down(self) -> None:
        async with self.far_side() as far:
            await play(far, "unavailable")
            async with self.opened(far):
                pass

    async def test_diagnose_has_nothing_to_say_when_it_works(self) -> None:
        async with self.both() as (side, _):
            assert list(await _diagnose(side)) == []

    async def test_an_expired_token_is_renewed_or_asks_for_attention(self) -> None:
        async with self.both() as (side, far):
            await self.act(side)
            await play(far, "expired")
            try:
                await self.act(side)
            except NeedsAttention as error:
                self.check_words(error)

    async def test_a_revoked_token_asks_for_attention(self) -> None:
        error = await self._error_of("revoked")
        assert isinstance(error, NeedsAttention), f"revoked: {error!r}"

    async def test_a_revoked_token_is_diagnosed(self) -> None:
        async with self.both() as (side, far):
            await play(far, "revoked")
            try:
                missing = list(await _diagnose(side))
            except NeedsAttention as error:
                missing = [error.detail]
            assert missing, "diagnose says that all is well though the token is revoked"

    async def test_a_missing_permission_asks_for_attention(self) -> None:
        error = await self._error_of("forbidden")
        assert isinstance(error, NeedsAttention), f"forbidden: {error!r}"

    async def test_too_many_requests_are_repeated_later(self) -> None:
        error = await self._error_of("too_many")
        assert isinstance(error, RetryLater), f"429 without a time: {error!r}"
        assert not isinstance(error, OutcomeUnknown), "a request refused by 429 had no effect"
        assert error.after is None or error.after > 0

    async def test_too_many_requests_are_repeated_when_the_other_side_says(self) -> None:
        error = await self._error_of("too_many_until")
        assert isinstance(error, RetryLater), f"429 with a time: {error!r}"
        assert error.after is not None, "the time that the other side asked for is lost"
        assert WAIT_SECONDS - 20 <= error.after <= WAIT_SECONDS + 60, f"after={error.after}"

    async def test_an_error_of_the_other_side_is_repeated_later(self) -> None:
        error = await self._error_of("unavailable")
        assert isinstance(error, RetryLater), f"5xx: {error!r}"

    async def test_a_half_sent_answer_is_repeated_later(self) -> None:
        error = await self._error_of("half_sent")
        assert isinstance(error, RetryLater), f"half an answer: {error!r}"

    async def test_it_works_again_when_the_trouble_is_over(self) -> None:
        async with self.both() as (side, far):
            await play(far, "unavailable")
            await self.error_of(self.act(side))
            await far.heal()
            await self.act(side)

    async def _error_of(self, kind: Fault) -> ConnectorError:
        async with self.both() as (side, far):
            await play(far, kind)
            return await self.error_of(self.act(side))

    async def error_of(self, call: Awaitable[object]) -> ConnectorError:
        """The ConnectorError that a call raises, its words checked. Anything else is a failure."""
        try:
            await call
        except ConnectorError as error:
            self.check_words(error)
            return error
        raise AssertionError("the call went through although the far side was at fault")

    def check_words(self, error: ConnectorError) -> None:
        """The text says something, and neither it nor its cause holds a secret."""
        assert error.detail.strip(), f"{type(error).__name__} says nothing to the merchant"
        told = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
        assert TOKEN_PREFIX not in told, "the error holds an access token"
        assert not any(one in told for one in self._secrets), "the error holds a secret"


async def play(far: FarSide, kind: Fault) -> None:
    """Switch a fault on. Raises SkipTest where the far side cannot play it."""
    if kind not in far.faults:
        raise SkipTest(f"{type(far).__name__} does not play {kind!r}")
    await far.fault(kind)


async def optional(call: Awaitable[T], what: str) -> T:
    """What a far side answers. Raises SkipTest where it has not implemented that."""
    try:
        return await call
    except NotImplementedError:
        raise SkipTest(f"the far side does not implement {what}") from None


async def _diagnose(side: Any) -> Iterable[str]:
    said: Iterable[str] = await side.diagnose()
    return said


def check_images(limit: ImageLimit) -> None:
    """Limits of pictures that a rendition can be made for."""
    assert limit.rendition in RENDITIONS, f"{limit.rendition} is no rendition"
    assert limit.most >= 0
    assert limit.max_bytes >= 50_000, "no picture of a product gets that small"
    assert "image/jpeg" in limit.media_types, "pictures are made as JPEG"
