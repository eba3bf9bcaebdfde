"""Use cases of viewers: come in as a guest or a customer, choose a name, consent, be forgotten."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.customers import store
from liveshop.customers.model import (
    CUSTOMER_TOKEN_LIFE,
    GUEST_PREFIX,
    MAX_NAME_LENGTH,
    Consent,
    NameReserved,
    NameUnfit,
    Viewer,
    default_name,
    is_guest,
    vouched_from,
)
from liveshop.customers.names import holds_link, is_legible, is_reserved
from liveshop.customers.tokens import StorefrontTokens, ViewerTokens
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import NotFound, RateLimited
from liveshop.kernel.ids import RehearsalId, ViewerId, new_id
from liveshop.kernel.rehearsals import is_rehearsing, new_guest
from liveshop.kernel.text import clean_line, clean_text
from liveshop.settings import Settings
from liveshop.storage import Database, Together, Tx
from liveshop.web import BadToken, Principal, RateLimit, RateLimiter

_REHEARSAL_LIFE = timedelta(hours=24)
_MAX_PURPOSE_LENGTH = 40
_MAX_SUBJECT_LENGTH = 254
_MAX_WORDING_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody let in. `token` goes to the browser and is not kept."""

    viewer_id: ViewerId
    name: str
    expires_at: datetime
    token: str = field(repr=False)


OnForgotten = Callable[[Tx, str], Awaitable[None]]
"""Told of each viewer in the transaction that erases him."""


GoingOn = Callable[[AsyncConnection, Collection[str]], Awaitable[set[str]]]
"""Those of these guests of rehearsals whose rehearsal is not over."""


async def _nothing_goes_on(_: AsyncConnection, __: Collection[str]) -> set[str]:
    return set()


async def _tell_nobody(_: Tx, __: str) -> None:
    return None


class CustomerService:
    """Raises BadSettings when the key of the storefront's sign-on cannot be used."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self.on_forgotten: OnForgotten = _tell_nobody
        self.going_on: GoingOn = _nothing_goes_on
        self._shop_name = settings.shop.name
        self._guest_life = timedelta(days=settings.customers.guest_days)
        self._tokens = ViewerTokens(settings.server.secret)
        self._storefront = StorefrontTokens(settings.customers)
        # One address can be a whole shop full of phones behind one router, and a token costs
        # microseconds and no row; this only stops a loop that makes tokens for ever.
        self._entries = RateLimiter(RateLimit(burst=2000, per_second=50))
        # A host who practises lets a crowd of thousands in from one address; only who was invited
        # gets this far.
        self._rehearsing = RateLimiter(RateLimit(burst=20_000, per_second=500))
        self._invitations = RateLimiter(RateLimit(burst=50, per_second=1))
        self._known: Together[str, Viewer | None] = Together(self._look_up)

    def new_guest(self, address: str | None = None) -> Admitted:
        """Let a guest in: a signed token and no row. Raises RateLimited.

        Without an address nothing is counted: that is the shop itself asking.
        """
        now = self._clock.now()
        self._count_entry(address, now)
        viewer_id = ViewerId(new_id(GUEST_PREFIX, now))
        return self._admit(viewer_id, default_name(viewer_id), self._guest_life, now)

    def check_invitations(self, address: str, now: datetime) -> None:
        """Count an invitation that was no good. Raises RateLimited."""
        self._invitations.check(address, now.timestamp(), "Too many invitations; wait a little.")

    def new_rehearsal_guest(self, rehearsal_id: RehearsalId, address: str) -> Admitted:
        """Let in somebody who was invited; his token is worth nothing once the rehearsal is over.
        Raises RateLimited."""
        now = self._clock.now()
        self._rehearsing.check(
            address, now.timestamp(), "Too many came in from this address at once."
        )
        viewer_id = new_guest(rehearsal_id)
        return self._admit(viewer_id, default_name(viewer_id), _REHEARSAL_LIFE, now)

    async def sign_on(self, storefront_jwt: str, address: str | None = None) -> Admitted:
        """Let in the customer a storefront vouches for; the same customer gets the same id.

        Raises BadSignOn (with `data.reason`), SignOnNotConfigured, RateLimited.
        """
        now = self._clock.now()
        self._count_entry(address, now)
        vouched = vouched_from(self._storefront.read(storefront_jwt, now))
        async with self._database.write() as tx:
            customer = await store.save_customer(
                tx.conn, vouched, display_name=vouched.display_name(self._shop_name), now=now
            )
        return self._admit(customer.id, customer.shown_name, CUSTOMER_TOKEN_LIFE, now)

    async def principal_of(self, token: str) -> Principal:
        """Whose token this is. Raises BadToken when forged, expired, or its owner was forgotten.

        A read per request is the price of "deleted" meaning now; requests that come together
        share it.
        """
        viewer_id = self._tokens.read(token, self._clock.now())
        known = await self._known.ask(viewer_id)
        guest = is_guest(viewer_id)
        if (known is None and not guest) or (known is not None and known.deleted_at is not None):
            raise BadToken("This account does not exist any more.")
        return Principal(
            kind="guest" if guest else "customer",
            id=viewer_id,
            name=default_name(viewer_id) if known is None else known.shown_name,
        )

    async def _look_up(self, viewer_ids: Sequence[str]) -> list[Viewer | Exception | None]:
        async with self._database.read() as conn:
            known = await store.viewers_by_ids(conn, viewer_ids)
            rehearsing = {one for one in viewer_ids if is_rehearsing(one)}
            over = rehearsing - await self.going_on(conn, rehearsing) if rehearsing else set()
        return [
            BadToken("This rehearsal is over.") if viewer_id in over else known.get(viewer_id)
            for viewer_id in viewer_ids
        ]

    async def rename(self, viewer_id: str, name: str) -> str:
        """Choose the name shown in chat; returns it cleaned.

        Raises BadText, NameUnfit, NameReserved, NotFound.
        """
        cleaned = clean_line(name, max_length=MAX_NAME_LENGTH, field="name")
        if cleaned != default_name(viewer_id):
            self._check_name(cleaned)
        async with self._database.write() as tx:
            if not await store.rename(tx.conn, viewer_id, cleaned, self._clock.now()):
                raise NotFound("There is no such viewer.")
        return cleaned

    async def display_names(
        self, conn: AsyncConnection, viewer_ids: Collection[ViewerId]
    ) -> dict[ViewerId, str]:
        """The name to show for each of these viewers, read in the caller's transaction."""
        return await store.display_names(conn, viewer_ids)

    async def segments_of(self, conn: AsyncConnection, viewer_id: ViewerId) -> frozenset[str]:
        """The segments a viewer is in, read in the caller's transaction."""
        return await store.segments_of(conn, viewer_id)

    async def forget(self, viewer_id: str) -> None:
        """Erase a viewer. Their tokens stop working with the next request. Raises NotFound.

        Records of consent stay, as proof that what was done was allowed when it was done.
        """
        async with self._database.write() as tx:
            if not await store.forget(tx.conn, viewer_id, self._clock.now()):
                raise NotFound("There is no such viewer.")
            await self.on_forgotten(tx, viewer_id)

    async def record_consent(self, *, subject: str, purpose: str, wording: str) -> Consent:
        """Record that `subject` (a viewer id or e-mail) agreed to `purpose` in these words.

        Inside another transaction use `store.add_consent`. Raises BadText.
        """
        subject, purpose = _subject(subject), _purpose(purpose)
        words = clean_text(wording, max_length=_MAX_WORDING_LENGTH, field="wording")
        async with self._database.write() as tx:
            return await store.add_consent(
                tx.conn, subject=subject, purpose=purpose, wording=words, now=self._clock.now()
            )

    async def withdraw_consent(self, *, subject: str, purpose: str) -> None:
        """Nothing to withdraw is no error. Raises BadText."""
        async with self._database.write() as tx:
            await store.withdraw_consent(
                tx.conn,
                subject=_subject(subject),
                purpose=_purpose(purpose),
                now=self._clock.now(),
            )

    async def has_consent(self, *, subject: str, purpose: str) -> bool:
        """Whether it holds now; ask right before acting on it."""
        async with self._database.read() as conn:
            return await store.has_consent(
                conn, subject=_subject(subject), purpose=_purpose(purpose)
            )

    def _admit(self, viewer_id: ViewerId, name: str, life: timedelta, now: datetime) -> Admitted:
        signed = self._tokens.sign(viewer_id, now=now, life=life)
        return Admitted(viewer_id, name, signed.expires_at, signed.token)

    def _check_name(self, name: str) -> None:
        if not is_legible(name):
            raise NameUnfit("A name needs a letter or a digit.", data={"field": "name"})
        if holds_link(name):
            raise NameUnfit("A name cannot hold a link or address.", data={"field": "name"})
        if is_reserved(name, self._shop_name):
            raise NameReserved(
                "This name could be taken for the shop's own. Choose another.",
                data={"field": "name"},
            )

    def _count_entry(self, address: str | None, now: datetime) -> None:
        if address is None:
            return
        wait = self._entries.wait_seconds(address, now.timestamp())
        if wait:
            raise RateLimited(
                "Too many came in from this address at once. Try again in a moment.",
                retry_after=round(wait + 0.05, 1),
            )


def _subject(text: str) -> str:
    """Ids keep their case; e-mails are one whatever case they were typed in."""
    line = clean_line(text, max_length=_MAX_SUBJECT_LENGTH, field="subject")
    return line.lower() if "@" in line else line


def _purpose(text: str) -> str:
    return clean_line(text, max_length=_MAX_PURPOSE_LENGTH, field="purpose")
