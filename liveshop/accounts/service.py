"""Use cases of staff and API keys.

Every request asks the database who is asking: a switched-off account, a lost role or a revoked key
counts from the next request on, on every node, and there is no cache to forget.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from liveshop.accounts import store
from liveshop.accounts.model import (
    KEY_PREFIX,
    LONGEST_SESSION,
    SESSION_LIFE,
    SESSION_RENEWED_AFTER,
    ApiKey,
    BadCredentials,
    EmailTaken,
    NoSession,
    Staff,
    check_admin_remains,
    check_reach,
    checked_expiry,
    checked_password,
    checked_permissions,
    checked_roles,
    normal_email,
    normal_password,
    permissions_of,
)
from liveshop.accounts.passwords import Passwords
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid, NotFound, RateLimited
from liveshop.kernel.ids import KeyId, StaffId, new_id, new_secret
from liveshop.kernel.text import clean_line
from liveshop.settings import Settings
from liveshop.storage import Database, Tx
from liveshop.web import BadToken, Principal, RateLimit, RateLimiter

_SECRET_BYTES = 32
_LONGEST_TOKEN = 100
_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An open session; `token` goes into the cookie and nowhere else."""

    staff: Staff
    csrf_token: str
    expires_at: datetime
    token: str = field(repr=False)


OnRightsChanged = Callable[[Tx], Awaitable[None]]
"""Told in the transaction in which somebody's rights change."""


async def _tell_nobody(_: Tx) -> None:
    return None


class AccountService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        passwords: Passwords | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords or Passwords()
        self.on_rights_changed: OnRightsChanged = _tell_nobody
        self.secure_cookies = settings.public_url.startswith("https://")
        # One person mistyping; one address trying many people.
        self._tries_at_one = RateLimiter(RateLimit(burst=5, per_second=1 / 30))
        self._tries_from_address = RateLimiter(RateLimit(burst=30, per_second=1 / 5))

    # Sessions

    async def sign_in(self, email: str, password: str, address: str) -> SignedIn:
        """Open a session. Raises BadCredentials, or RateLimited after a few tries.

        Unknown e-mails take as long as known ones, so that answers do not tell who works here.
        """
        now = self._clock.now()
        looked_up = _email_or_nothing(email)
        self._count_try(address, looked_up or email[:254].lower(), now)
        password = normal_password(password)
        async with self._database.read() as conn:
            found = await store.staff_by_email(conn, looked_up) if looked_up else None
        is_right = await self._passwords.is_right(
            None if found is None else found.password_hash, password
        )
        if found is None or not is_right or not found.staff.active:
            raise BadCredentials("E-mail or password is wrong.")
        newer_hash = (
            await self._passwords.hash(password)
            if self._passwords.is_outdated(found.password_hash)
            else None
        )
        token = new_secret(_SECRET_BYTES)
        expires_at = now + SESSION_LIFE
        async with self._database.write() as tx:
            # The password may have been changed, or the account switched off, while we hashed.
            current = await store.lock_password(tx.conn, found.staff.id)
            if (
                current is None
                or not current.staff.active
                or current.password_hash != found.password_hash
            ):
                raise BadCredentials("E-mail or password is wrong.")
            if newer_hash is not None:
                await store.change_hash(tx.conn, current.staff.id, newer_hash)
            await store.end_expired_sessions(tx.conn, now)
            await store.add_session(
                tx.conn, _hash(token), current.staff.id, now=now, expires_at=expires_at
            )
        return SignedIn(current.staff, _csrf_token(token), expires_at, token)

    async def sign_out(self, token: str) -> None:
        """End the session of this cookie; an unknown one is no error."""
        if not _may_be_secret(token):
            return
        async with self._database.write() as tx:
            await store.end_session(tx.conn, _hash(token))

    async def session_of(self, token: str) -> Principal:
        """Whose session a cookie is. Raises BadToken for an unknown, expired or ended one."""
        opened = await self._open_session(token, self._clock.now())
        return opened.staff.as_principal(csrf_token=_csrf_token(token))

    async def continue_session(self, token: str) -> SignedIn:
        """The session of a page that was just opened; it lasts 14 days again from today.

        Called when a staff page loads, not at each request: no session ends in the middle of a
        show, and requests write nothing. After 90 days one signs in again in any case, so a stolen
        cookie does not live for ever. Raises BadToken.
        """
        now = self._clock.now()
        opened = await self._open_session(token, now)
        expires_at = opened.expires_at
        longest = min(now + SESSION_LIFE, opened.created_at + LONGEST_SESSION)
        if longest - expires_at >= SESSION_RENEWED_AFTER:
            expires_at = longest
            async with self._database.write() as tx:
                await store.prolong_session(tx.conn, _hash(token), expires_at)
        return SignedIn(opened.staff, _csrf_token(token), expires_at, token)

    async def _open_session(self, token: str, now: datetime) -> store.OpenSession:
        opened = None
        if _may_be_secret(token):
            async with self._database.read() as conn:
                opened = await store.session_by_hash(conn, _hash(token), now)
        if opened is None:
            raise BadToken("This session has ended. Sign in again.")
        return opened

    def _count_try(self, address: str, email: str, now: datetime) -> None:
        seconds = now.timestamp()
        wait = max(
            self._tries_from_address.wait_seconds(address, seconds),
            self._tries_at_one.wait_seconds(f"{address} {email}", seconds),
        )
        if wait:
            raise RateLimited(
                "Too many tries to sign in. Wait a moment, then try again.",
                retry_after=round(wait + 0.05, 1),
            )

    # Staff

    async def create_staff(
        self,
        *,
        email: str,
        name: str,
        password: str,
        roles: Iterable[str],
        by: Principal | None = None,
    ) -> Staff:
        """Add a member of staff; `by` None is the operator at the machine.

        Raises EmailTaken, TooManyRights, BadEmail, BadPassword, UnknownRole, BadText.
        """
        now = self._clock.now()
        member = Staff(
            id=StaffId(new_id("stf", now)),
            email=normal_email(email),
            name=clean_line(name, max_length=_NAME_LENGTH, field="name"),
            roles=checked_roles(roles),
            active=True,
            created_at=now,
        )
        check_reach(by, member.permissions)
        password_hash = await self._passwords.hash(checked_password(password))
        async with self._database.write() as tx:
            if not await store.add_staff(tx.conn, member, password_hash=password_hash):
                raise EmailTaken("Somebody here has this e-mail already.", data={"field": "email"})
        return member

    async def change_staff(
        self,
        staff_id: str,
        *,
        by: Principal | None = None,
        name: str | None = None,
        roles: Iterable[str] | None = None,
        active: bool | None = None,
        password: str | None = None,
    ) -> Staff:
        """Change what is not None. A new password, or being switched off, ends all sessions.

        Raises NotFound, LastAdmin, TooManyRights, BadPassword, UnknownRole, BadText.
        """
        new_name = None if name is None else clean_line(name, max_length=_NAME_LENGTH, field="name")
        new_roles = None if roles is None else checked_roles(roles)
        password_hash = (
            None if password is None else await self._passwords.hash(checked_password(password))
        )
        async with self._database.write() as tx:
            everybody = {member.id: member for member in await store.lock_everybody(tx.conn)}
            before = everybody.get(StaffId(staff_id))
            if before is None:
                raise NotFound("There is no such member of staff.")
            after = dataclasses.replace(
                before,
                name=before.name if new_name is None else new_name,
                roles=before.roles if new_roles is None else new_roles,
                active=before.active if active is None else active,
            )
            check_reach(by, permissions_of(before.roles) | permissions_of(after.roles))
            everybody[after.id] = after
            if "admin" in before.roles and before.active:
                check_admin_remains(everybody.values())
            await store.change_staff(tx.conn, after, password_hash=password_hash)
            if password_hash is not None or not after.active:
                await store.end_sessions_of(tx.conn, after.id)
            if after.permissions != before.permissions:
                await self.on_rights_changed(tx)
        return after

    async def list_staff(self) -> list[Staff]:
        async with self._database.read() as conn:
            return await store.all_staff(conn)

    # API keys

    async def create_key(
        self,
        *,
        name: str,
        permissions: Iterable[str],
        by: Principal,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; its secret is returned this once. A key made with a key has its owner.

        Raises TooManyRights, UnknownPermission, BadExpiry, BadText.
        """
        now = self._clock.now()
        wanted = checked_permissions(permissions)
        check_reach(by, wanted)
        if not by.is_staff:
            raise NoSession("Only staff and API keys can make API keys.")
        secret = KEY_PREFIX + new_secret(_SECRET_BYTES)
        label = clean_line(name, max_length=_NAME_LENGTH, field="name")
        expiry = checked_expiry(expires_at, now)
        async with self._database.write() as tx:
            owner = by.id
            if by.kind == "api_key":
                used = await store.key_by_id(tx.conn, by.id)
                if used is None:
                    raise BadToken("This API key is not valid.")
                owner = used.created_by
            key = ApiKey(
                id=KeyId(new_id("key", now)),
                name=label,
                permissions=wanted,
                created_by=StaffId(owner),
                created_at=now,
                expires_at=expiry,
            )
            await store.add_key(tx.conn, key, secret_hash=_hash(secret))
        return key, secret

    async def revoke_key(self, key_id: str) -> None:
        """The key stops working with the next request. Raises NotFound."""
        async with self._database.write() as tx:
            if not await store.revoke_key(tx.conn, key_id, self._clock.now()):
                raise NotFound("There is no such API key.")
            await self.on_rights_changed(tx)

    async def list_keys(self) -> list[ApiKey]:
        async with self._database.read() as conn:
            return await store.all_keys(conn)

    async def principal_of_key(self, secret: str) -> Principal:
        """Who an `lsk_...` secret speaks for. Raises BadToken when unknown, expired or revoked.

        The index lookup compares hashes, so its timing tells nothing about a secret.
        """
        found = None
        if secret.startswith(KEY_PREFIX) and _may_be_secret(secret):
            async with self._database.read() as conn:
                found = await store.key_by_hash(conn, _hash(secret), self._clock.now())
        if found is None:
            raise BadToken("This API key is unknown, expired or revoked.")
        key, owner = found
        return Principal(
            kind="api_key", id=key.id, name=key.name, permissions=key.permissions_now(owner)
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _csrf_token(token: str) -> str:
    """Follows from the session's secret, which scripts cannot read, and does not lead back."""
    digest = hashlib.sha256(b"liveshop csrf\0" + token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _may_be_secret(token: str) -> bool:
    """Headers can hold anything; what cannot be one of ours is not looked up."""
    return token.isascii() and 0 < len(token) <= _LONGEST_TOKEN


def _email_or_nothing(text: str) -> str | None:
    try:
        return normal_email(text)
    except Invalid:
        return None
