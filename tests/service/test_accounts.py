"""Staff and API keys on both databases: who gets in, who is put out, and how fast."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from liveshop.accounts import store
from liveshop.accounts.http import COOKIE, StaffAuthenticator, endpoints
from liveshop.accounts.model import (
    ROLES,
    SESSION_LIFE,
    BadCredentials,
    EmailTaken,
    LastAdmin,
    NoSession,
    Staff,
    TooManyRights,
)
from liveshop.accounts.passwords import Passwords
from liveshop.accounts.service import AccountService
from liveshop.accounts.tables import api_key, staff, staff_session
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import NotFound, RateLimited
from liveshop.settings import ServerSettings, Settings
from liveshop.storage import Database
from liveshop.web import ANONYMOUS, BadToken, Principal
from liveshop.web.server import WebKit, mount

PASSWORD = "a good long password"
HERE = "203.0.113.7"


def cheap(time_cost: int = 1) -> PasswordHasher:
    """argon2id with parameters for tests: the same code, a thousandth of the work."""
    return PasswordHasher(time_cost=time_cost, memory_cost=64, parallelism=1)


@pytest.fixture
def accounts(database: Database, clock: ManualClock) -> AccountService:
    return AccountService(database, clock, Settings(mode="test"), passwords=Passwords(cheap()))


async def add(
    accounts: AccountService, name: str, *roles: str, by: Principal | None = None
) -> Staff:
    return await accounts.create_staff(
        email=f"{name}@shop.example", name=name, password=PASSWORD, roles=roles, by=by
    )


async def signed_in(accounts: AccountService, name: str) -> str:
    return (await accounts.sign_in(f"{name}@shop.example", PASSWORD, HERE)).token


# Sessions


async def test_staff_sign_in_by_email_in_any_case(accounts: AccountService) -> None:
    mira = await add(accounts, "mira", "host")
    session = await accounts.sign_in(" MIRA@Shop.example", PASSWORD, HERE)
    who = await accounts.session_of(session.token)
    assert (who.kind, who.id, who.name) == ("staff", mira.id, "mira")
    assert who.permissions == ROLES["host"]
    assert who.csrf_token == session.csrf_token
    assert session.csrf_token not in (None, "", session.token)
    assert session.token not in repr(session)


async def test_a_wrong_sign_in_gets_one_answer_whatever_is_wrong(accounts: AccountService) -> None:
    await add(accounts, "admin", "admin")
    off = await add(accounts, "off", "host")
    await accounts.change_staff(off.id, active=False)
    answers = set()
    for email, password in [
        ("admin@shop.example", "wrong password"),
        ("nobody@shop.example", PASSWORD),
        ("off@shop.example", PASSWORD),
        ("not an email", PASSWORD),
        ("", ""),
        ("admin@shop.example", "\x00"),
    ]:
        with pytest.raises(BadCredentials) as refused:
            await accounts.sign_in(email, password, email)
        answers.add((refused.value.detail, str(refused.value.data)))
    assert len(answers) == 1


async def test_an_unknown_email_takes_as_much_work_as_a_known_one(
    database: Database, clock: ManualClock
) -> None:
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002
            self.verified += 1
            return super().verify(hash, password)  # type: ignore[arg-type]

    hasher = Counting(time_cost=1, memory_cost=64, parallelism=1)
    accounts = AccountService(database, clock, Settings(mode="test"), passwords=Passwords(hasher))
    await add(accounts, "mira", "host")
    for email in ("mira@shop.example", "nobody@shop.example", "no email at all"):
        before = hasher.verified
        with pytest.raises(BadCredentials):
            await accounts.sign_in(email, "wrong password", email)
        assert hasher.verified == before + 1


async def test_guessing_is_slowed_down_for_the_guesser_only(
    accounts: AccountService, clock: ManualClock
) -> None:
    await add(accounts, "mira", "host")
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await accounts.sign_in("mira@shop.example", "wrong password", HERE)
    with pytest.raises(RateLimited) as slowed:
        await accounts.sign_in("mira@shop.example", PASSWORD, HERE)
    assert slowed.value.retry_after
    assert await accounts.sign_in("mira@shop.example", PASSWORD, "198.51.100.1")
    clock.advance(timedelta(seconds=slowed.value.retry_after))
    assert await accounts.sign_in("mira@shop.example", PASSWORD, HERE)


async def test_one_address_cannot_try_everybody(accounts: AccountService) -> None:
    for number in range(30):
        with pytest.raises(BadCredentials):
            await accounts.sign_in(f"{number}@shop.example", PASSWORD, HERE)
    with pytest.raises(RateLimited):
        await accounts.sign_in("one-more@shop.example", PASSWORD, HERE)


async def test_secrets_are_stored_as_hashes_only(
    accounts: AccountService, database: Database
) -> None:
    admin = await add(accounts, "admin", "admin")
    token = await signed_in(accounts, "admin")
    _, secret = await accounts.create_key(
        name="feed", permissions=["catalog:read"], by=admin.as_principal()
    )
    kept = ""
    async with database.read() as conn:
        for table in (staff, staff_session, api_key):
            kept += repr([tuple(row) for row in await conn.execute(sa.select(table))])
    assert token not in kept
    assert secret not in kept
    assert secret.removeprefix("lsk_") not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept


async def test_a_password_is_hashed_anew_when_parameters_change(
    database: Database, clock: ManualClock
) -> None:
    settings = Settings(mode="test")
    await add(
        AccountService(database, clock, settings, passwords=Passwords(cheap())), "mira", "host"
    )
    stronger = AccountService(database, clock, settings, passwords=Passwords(cheap(2)))

    async def stored() -> str:
        async with database.read() as conn:
            found = await store.staff_by_email(conn, "mira@shop.example")
            assert found is not None
            assert found.password_hash not in repr(found)
            return found.password_hash

    assert "t=1," in await stored()
    await signed_in(stronger, "mira")
    assert "t=2," in await stored()
    await signed_in(stronger, "mira")


async def test_a_session_lasts_14_days_and_longer_while_it_is_used(
    accounts: AccountService, clock: ManualClock
) -> None:
    await add(accounts, "mira", "host")
    token = await signed_in(accounts, "mira")
    clock.advance(SESSION_LIFE - timedelta(seconds=1))
    assert (await accounts.continue_session(token)).expires_at == clock.now() + SESSION_LIFE
    clock.advance(SESSION_LIFE - timedelta(seconds=1))
    assert await accounts.session_of(token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(BadToken):
        await accounts.session_of(token)
    with pytest.raises(BadToken):
        await accounts.continue_session(token)


async def test_no_session_lives_longer_than_90_days(
    accounts: AccountService, clock: ManualClock
) -> None:
    await add(accounts, "mira", "host")
    token = await signed_in(accounts, "mira")
    for _ in range(89):
        clock.advance(timedelta(days=1))
        await accounts.continue_session(token)
    clock.advance(timedelta(days=1))
    with pytest.raises(BadToken):
        await accounts.session_of(token)


async def test_signing_out_ends_this_session_only(accounts: AccountService) -> None:
    await add(accounts, "mira", "host")
    phone, desk = await signed_in(accounts, "mira"), await signed_in(accounts, "mira")
    await accounts.sign_out(phone)
    await accounts.sign_out(phone)
    await accounts.sign_out("é")
    with pytest.raises(BadToken):
        await accounts.session_of(phone)
    assert await accounts.session_of(desk)


async def test_ended_sessions_leave_no_rows(
    accounts: AccountService, database: Database, clock: ManualClock
) -> None:
    await add(accounts, "mira", "host")
    await signed_in(accounts, "mira")
    clock.advance(SESSION_LIFE)
    await signed_in(accounts, "mira")
    async with database.read() as conn:
        count = await conn.execute(sa.select(sa.func.count()).select_from(staff_session))
        assert count.scalar_one() == 1


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "x" * 5000, "' OR 1=1 --", "\x00"])
async def test_a_forged_session_or_key_is_refused(accounts: AccountService, token: str) -> None:
    with pytest.raises(BadToken):
        await accounts.session_of(token)
    for secret in (token, "lsk_" + token):
        with pytest.raises(BadToken):
            await accounts.principal_of_key(secret)


# Changes take effect on the next request


async def test_a_switched_off_account_is_out_at_once_and_stays_out(
    accounts: AccountService,
) -> None:
    await add(accounts, "admin", "admin")
    mira = await add(accounts, "mira", "host")
    token = await signed_in(accounts, "mira")
    await accounts.change_staff(mira.id, active=False)
    with pytest.raises(BadToken):
        await accounts.session_of(token)
    await accounts.change_staff(mira.id, active=True)
    with pytest.raises(BadToken):
        await accounts.session_of(token)


async def test_a_new_password_ends_every_session(accounts: AccountService) -> None:
    mira = await add(accounts, "mira", "host")
    token = await signed_in(accounts, "mira")
    await accounts.change_staff(mira.id, password="another good password")
    with pytest.raises(BadToken):
        await accounts.session_of(token)
    with pytest.raises(BadCredentials):
        await signed_in(accounts, "mira")
    assert await accounts.sign_in("mira@shop.example", "another good password", HERE)


async def test_roles_change_in_the_open_session(accounts: AccountService) -> None:
    await add(accounts, "admin", "admin")
    mira = await add(accounts, "mira", "host", "merchant")
    token = await signed_in(accounts, "mira")
    await accounts.change_staff(mira.id, roles=["moderator"], name="Mira B.")
    who = await accounts.session_of(token)
    assert (who.permissions, who.name) == (ROLES["moderator"], "Mira B.")


async def test_a_sign_in_that_meets_a_new_password_does_not_get_in(
    database: Database, clock: ManualClock
) -> None:
    """The password is changed while the old one is being checked."""

    class Slow(Passwords):
        checked = asyncio.Event()
        go_on = asyncio.Event()

        async def is_right(self, stored_hash: str | None, password: str) -> bool:
            result = await super().is_right(stored_hash, password)
            self.checked.set()
            await self.go_on.wait()
            return result

    slow = Slow(cheap())
    accounts = AccountService(database, clock, Settings(mode="test"), passwords=slow)
    mira = await add(accounts, "mira", "host")
    async with asyncio.timeout(10):
        signing_in = asyncio.create_task(signed_in(accounts, "mira"))
        await slow.checked.wait()
        await accounts.change_staff(mira.id, password="another good password")
        slow.go_on.set()
        with pytest.raises(BadCredentials):
            await signing_in
    async with database.read() as conn:
        assert (await conn.execute(sa.select(staff_session))).all() == []


# Staff


async def test_an_email_belongs_to_one_member_of_staff(accounts: AccountService) -> None:
    await add(accounts, "mira", "host")
    with pytest.raises(EmailTaken):
        await add(accounts, "MIRA", "host")
    results = await asyncio.gather(
        *(add(accounts, "twin", "host") for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["EmailTaken"] * 4 + ["Staff"]
    assert {one.name for one in await accounts.list_staff()} == {"mira", "twin"}


async def test_the_last_admin_cannot_be_removed(accounts: AccountService) -> None:
    admin = await add(accounts, "admin", "admin")
    await add(accounts, "mira", "host")
    for change in ({"roles": ["host"]}, {"active": False}):
        with pytest.raises(LastAdmin):
            await accounts.change_staff(admin.id, **change)  # type: ignore[arg-type]
    await accounts.change_staff(admin.id, name="Boss", roles=["admin", "host"])
    second = await add(accounts, "second", "admin")
    await accounts.change_staff(admin.id, active=False)
    with pytest.raises(LastAdmin):
        await accounts.change_staff(second.id, active=False)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_two_admins_would_remove_each_other_without_the_lock(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race, shown with the guard removed. SQLite has one writer and cannot have it."""
    both_have_read = asyncio.Barrier(2)

    async def without_lock(conn: AsyncConnection) -> list[Staff]:
        everybody = await store.all_staff(conn)
        await both_have_read.wait()
        return everybody

    admins = [await add(accounts, name, "admin") for name in ("ada", "bea")]
    monkeypatch.setattr(store, "lock_everybody", without_lock)
    async with asyncio.timeout(10):
        await asyncio.gather(*(accounts.change_staff(one.id, roles=["host"]) for one in admins))
    assert not any("admin" in one.roles for one in await accounts.list_staff())


async def test_of_many_admins_who_step_down_at_once_one_remains(
    accounts: AccountService,
) -> None:
    admins = [await add(accounts, f"admin{number}", "admin") for number in range(8)]
    results = await asyncio.gather(
        *(accounts.change_staff(one.id, roles=["host"]) for one in admins), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["LastAdmin"] + ["Staff"] * 7
    left = [one for one in await accounts.list_staff() if "admin" in one.roles]
    assert len(left) == 1


async def test_nobody_makes_themselves_more_than_they_are(accounts: AccountService) -> None:
    admin = await add(accounts, "admin", "admin")
    host = await add(accounts, "mira", "host")
    limited = Principal(kind="api_key", id="key_1", permissions=frozenset({"staff:admin"}))
    with pytest.raises(TooManyRights):
        await add(accounts, "eve", "admin", by=limited)
    with pytest.raises(TooManyRights):
        await accounts.change_staff(admin.id, password="taken over 123", by=limited)
    with pytest.raises(TooManyRights):
        await accounts.change_staff(host.id, roles=["admin"], by=limited)
    with pytest.raises(TooManyRights):
        await accounts.create_key(name="k", permissions=["orders:read"], by=limited)
    assert await accounts.change_staff(host.id, roles=["admin"], by=admin.as_principal())


async def test_unknown_staff_is_not_found(accounts: AccountService) -> None:
    with pytest.raises(NotFound):
        await accounts.change_staff("stf_unknown", name="X")


# API keys


async def test_a_key_may_what_it_was_made_for_until_it_is_revoked(
    accounts: AccountService,
) -> None:
    admin = await add(accounts, "admin", "admin")
    key, secret = await accounts.create_key(
        name="feed", permissions=["catalog:read", "orders:read"], by=admin.as_principal()
    )
    assert re.fullmatch(r"lsk_[\w-]{43}", secret)
    who = await accounts.principal_of_key(secret)
    assert (who.kind, who.id, who.name, who.csrf_token) == ("api_key", key.id, "feed", None)
    assert who.permissions == {"catalog:read", "orders:read"}
    assert [one.id for one in await accounts.list_keys()] == [key.id]
    await accounts.revoke_key(key.id)
    with pytest.raises(BadToken):
        await accounts.principal_of_key(secret)
    assert await accounts.list_keys() == []
    for gone in (key.id, "key_unknown"):
        with pytest.raises(NotFound):
            await accounts.revoke_key(gone)


async def test_a_key_expires(accounts: AccountService, clock: ManualClock) -> None:
    admin = await add(accounts, "admin", "admin")
    _, secret = await accounts.create_key(
        name="today",
        permissions=["shows:read"],
        by=admin.as_principal(),
        expires_at=clock.now() + timedelta(hours=1),
    )
    clock.advance(timedelta(minutes=59))
    assert await accounts.principal_of_key(secret)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(BadToken):
        await accounts.principal_of_key(secret)
    assert [one.name for one in await accounts.list_keys()] == ["today"]


async def test_a_key_loses_what_its_owner_loses(accounts: AccountService) -> None:
    await add(accounts, "other", "admin")
    admin = await add(accounts, "admin", "admin")
    _, secret = await accounts.create_key(
        name="all", permissions=["staff:admin", "shows:read"], by=admin.as_principal()
    )
    # A key made with that key still has the same owner: there is no way round.
    _, second = await accounts.create_key(
        name="more", permissions=["staff:admin"], by=await accounts.principal_of_key(secret)
    )
    await accounts.change_staff(admin.id, roles=["host"])
    assert (await accounts.principal_of_key(secret)).permissions == {"shows:read"}
    assert (await accounts.principal_of_key(second)).permissions == frozenset()
    await accounts.change_staff(admin.id, active=False)
    for known in (secret, second):
        with pytest.raises(BadToken):
            await accounts.principal_of_key(known)


async def test_viewers_cannot_make_keys(accounts: AccountService) -> None:
    guest = Principal(kind="guest", id="gst_1", permissions=frozenset({"shows:read"}))
    with pytest.raises(NoSession):
        await accounts.create_key(name="k", permissions=["shows:read"], by=guest)


# Over HTTP


class Door:
    """The authenticator of a server that knows staff only."""

    def __init__(self, service: AccountService) -> None:
        self._staff = StaffAuthenticator(service)

    async def authenticate(self, request: web.Request) -> Principal:
        return await self._staff.authenticate(request) or ANONYMOUS


Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(accounts: AccountService, clock: ManualClock) -> AsyncIterator[Client]:
    app = web.Application()
    kit = WebKit(clock=clock, authenticator=Door(accounts), public_origin="http://shop.example")
    mount(app, kit, endpoints(accounts))
    async with TestClient(TestServer(app)) as opened:
        yield opened


SIGN_IN = {"email": "admin@shop.example", "password": PASSWORD}


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    accounts: AccountService, client: Client
) -> None:
    await add(accounts, "admin", "admin")
    answer = await client.post("/api/session", json=SIGN_IN)
    assert answer.status == 200
    cookie = answer.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["max-age"] == str(14 * 24 * 3600)
    assert not cookie["secure"]
    body = await answer.json()
    assert cookie.value not in str(body)
    assert body["staff"]["email"] == "admin@shop.example"
    assert body["staff"]["permissions"][0] == "shows:read"


async def test_the_cookie_is_secure_where_the_shop_is(
    database: Database, clock: ManualClock
) -> None:
    https = Settings(mode="test", server=ServerSettings(public_url="https://live.shop.example/"))
    service = AccountService(database, clock, https, passwords=Passwords(cheap()))
    await add(service, "admin", "admin")
    app = web.Application()
    kit = WebKit(clock=clock, authenticator=Door(service), public_origin=https.public_url)
    mount(app, kit, endpoints(service))
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/api/session", json=SIGN_IN)
        assert answer.cookies[COOKIE]["secure"]


async def test_unsafe_acts_with_a_cookie_need_the_csrf_token(
    accounts: AccountService, client: Client
) -> None:
    await add(accounts, "admin", "admin")
    csrf = (await (await client.post("/api/session", json=SIGN_IN)).json())["csrf_token"]
    again = await client.get("/api/session")
    assert (await again.json())["csrf_token"] == csrf
    new = {"email": "x@shop.example", "name": "X", "password": PASSWORD, "roles": ["host"]}
    for headers in ({}, {"X-CSRF-Token": "x" * 43}):
        refused = await client.post("/api/staff", json=new, headers=headers)
        assert (refused.status, (await refused.json())["code"]) == (403, "bad_csrf_token")
    good = {"X-CSRF-Token": csrf}
    assert (await client.post("/api/staff", json=new, headers=good)).status == 201
    gone = await client.delete("/api/session", headers=good)
    assert gone.status == 204
    assert gone.cookies[COOKIE]["max-age"] == "0"
    assert (await client.get("/api/session")).status == 401


async def test_a_stale_cookie_does_not_keep_anybody_from_signing_in(
    accounts: AccountService, client: Client
) -> None:
    await add(accounts, "admin", "admin")
    stale = {"Cookie": f"{COOKIE}=stale"}
    assert (await client.get("/api/session", headers=stale)).status == 401
    assert (await client.post("/api/session", json=SIGN_IN, headers=stale)).status == 200


async def test_a_sent_token_goes_before_the_cookie(
    accounts: AccountService, client: Client
) -> None:
    admin = await add(accounts, "admin", "admin")
    await client.post("/api/session", json=SIGN_IN)
    _, secret = await accounts.create_key(
        name="feed", permissions=["catalog:read"], by=admin.as_principal()
    )
    with_key = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/api/staff", headers=with_key)).status == 403
    assert (await client.get("/api/session", headers=with_key)).status == 403
    forged = await client.get("/api/staff", headers={"Authorization": "Bearer lsk_forged"})
    assert (forged.status, (await forged.json())["code"]) == (401, "bad_token")
    # Another scheme is a proxy's business, such as a staging site behind a password.
    basic = {"Authorization": "Basic dTpw"}
    assert (await client.get("/api/staff", headers=basic)).status == 200


async def test_staff_and_keys_are_managed_over_http(
    accounts: AccountService, client: Client, clock: ManualClock
) -> None:
    admin = await add(accounts, "admin", "admin")
    _, secret = await accounts.create_key(
        name="setup", permissions=ROLES["admin"], by=admin.as_principal()
    )
    clock.advance(timedelta(seconds=1))  # lists are in the order of making
    auth = {"Authorization": f"Bearer {secret}"}
    made = await client.post(
        "/api/staff",
        json={"email": "M@Shop.example", "name": "Mira", "password": PASSWORD, "roles": ["host"]},
        headers=auth,
    )
    member = await made.json()
    assert (made.status, member["email"], member["roles"]) == (201, "m@shop.example", ["host"])
    changed = await client.patch(
        f"/api/staff/{member['id']}", json={"roles": ["moderator"]}, headers=auth
    )
    assert (await changed.json())["name"] == "Mira"
    assert (await changed.json())["permissions"] == ["shows:read", "chat:moderate"]
    last = await client.patch(f"/api/staff/{admin.id}", json={"active": False}, headers=auth)
    assert (last.status, (await last.json())["code"]) == (409, "last_admin")
    listed = await (await client.get("/api/staff", headers=auth)).json()
    assert [one["name"] for one in listed["staff"]] == ["admin", "Mira"]
    assert "password" not in str(listed)

    made = await client.post(
        "/api/keys",
        json={"name": "feed", "permissions": ["catalog:read"],
              "expires_at": "2026-12-24T18:00:00+01:00"},
        headers=auth,
    )  # fmt: skip
    key = await made.json()
    assert (made.status, key["key"]["expires_at"]) == (201, "2026-12-24T17:00:00.000Z")
    keys = await (await client.get("/api/keys", headers=auth)).json()
    assert [one["name"] for one in keys["keys"]] == ["setup", "feed"]
    assert key["secret"] not in str(keys)
    assert (await client.delete(f"/api/keys/{key['key']['id']}", headers=auth)).status == 204
    with pytest.raises(BadToken):
        await accounts.principal_of_key(key["secret"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "x", "name": "X", "password": PASSWORD, "roles": ["host"]}, "invalid"),
        ({"email": "x@y@z", "name": "X", "password": PASSWORD, "roles": ["host"]}, "bad_email"),
        ({"email": "x@y.z", "name": "\u200b", "password": PASSWORD, "roles": ["host"]}, "bad_text"),
        ({"email": "x@y.z", "name": "X", "password": "short", "roles": ["host"]}, "invalid"),
        ({"email": "x@y.z", "name": "X", "password": "a" * 12, "roles": ["host"]}, "bad_password"),
        ({"email": "x@y.z", "name": "X", "password": PASSWORD, "roles": ["owner"]}, "invalid"),
        ({"email": "x@y.z", "name": "X", "password": PASSWORD, "roles": []}, "invalid"),
    ],
)
async def test_bad_staff_input_gets_one_clear_answer(
    accounts: AccountService, client: Client, body: dict[str, object], code: str
) -> None:
    admin = await add(accounts, "admin", "admin")
    _, secret = await accounts.create_key(
        name="setup", permissions=ROLES["admin"], by=admin.as_principal()
    )
    answer = await client.post(
        "/api/staff", json=body, headers={"Authorization": f"Bearer {secret}"}
    )
    assert (answer.status, (await answer.json())["code"]) == (422, code)


@pytest.mark.parametrize("key_id", ["%FF", "%ED%A0%80", "key_%00", "x" * 300, "%27%20OR%201=1"])
async def test_a_strange_id_is_not_found(
    accounts: AccountService, client: Client, key_id: str
) -> None:
    admin = await add(accounts, "admin", "admin")
    _, secret = await accounts.create_key(
        name="setup", permissions=ROLES["admin"], by=admin.as_principal()
    )
    url = URL(f"/api/keys/{key_id}", encoded=True)
    answer = await client.delete(url, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status, (await answer.json())["code"]) == (404, "not_found")
