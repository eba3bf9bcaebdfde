"""Viewers on both databases: guests, customers of the storefront, names, consent, forgetting."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from liveshop.customers import store
from liveshop.customers.http import ViewerAuthenticator, endpoints
from liveshop.customers.model import (
    BadSignOn,
    NameReserved,
    NameUnfit,
    SignOnNotConfigured,
    default_name,
)
from liveshop.customers.service import CustomerService
from liveshop.customers.tables import consent, viewer
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import NotFound, RateLimited
from liveshop.kernel.ids import ViewerId, has_prefix, new_id
from liveshop.kernel.text import BadText
from liveshop.settings import CustomerSettings, ServerSettings, Settings, ShopSettings
from liveshop.storage import Database
from liveshop.web import ANONYMOUS, BadToken, Principal
from liveshop.web.server import WebKit, mount

SHARED = "storefront-secret-storefront-secret"
SETTINGS = Settings(
    mode="test",
    server=ServerSettings(secret="server-secret-server-secret-server-secret"),
    shop=ShopSettings(name="Nord & Faden"),
    customers=CustomerSettings(algorithm="HS256", key=SHARED),
)


@pytest.fixture
def customers(database: Database, clock: ManualClock) -> CustomerService:
    return CustomerService(database, clock, SETTINGS)


def vouch(clock: ManualClock, **claims: Any) -> str:
    whole = {
        "sub": "42",
        "aud": "liveshop",
        "exp": int((clock.now() + timedelta(minutes=5)).timestamp()),
        **claims,
    }
    return jwt.encode(whole, SHARED, algorithm="HS256")


async def count_viewers(database: Database) -> int:
    async with database.read() as conn:
        return (await conn.execute(sa.select(sa.func.count()).select_from(viewer))).scalar_one()


# Guests


async def test_a_guest_comes_in_without_being_asked_and_without_a_row(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    guest = customers.new_guest("203.0.113.7")
    assert has_prefix(guest.viewer_id, "gst")
    assert guest.name == default_name(guest.viewer_id)
    assert guest.expires_at == clock.now() + timedelta(days=180)
    assert guest.token not in repr(guest)
    who = await customers.principal_of(guest.token)
    assert (who.kind, who.id, who.name) == ("guest", guest.viewer_id, guest.name)
    assert who.permissions == frozenset()
    assert who.csrf_token is None
    assert await count_viewers(database) == 0


async def test_a_guests_token_expires(customers: CustomerService, clock: ManualClock) -> None:
    guest = customers.new_guest()
    clock.advance(timedelta(days=180))
    with pytest.raises(BadToken):
        await customers.principal_of(guest.token)


async def test_tokens_of_another_installation_are_worth_nothing(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    other = CustomerService(
        database, clock, Settings(mode="test", server=ServerSettings(secret="x" * 40))
    )
    with pytest.raises(BadToken):
        await customers.principal_of(other.new_guest().token)
    by_the_storefront = vouch(clock, aud="liveshop:viewer", sub=new_id("gst", clock.now()))
    with pytest.raises(BadToken):
        await customers.principal_of(by_the_storefront)


async def test_a_whole_shop_behind_one_address_gets_in_a_loop_does_not(
    customers: CustomerService, clock: ManualClock
) -> None:
    for _ in range(2000):
        customers.new_guest("203.0.113.7")
    with pytest.raises(RateLimited):
        customers.new_guest("203.0.113.7")
    assert customers.new_guest("198.51.100.1")
    clock.advance(timedelta(seconds=1))
    assert customers.new_guest("203.0.113.7")


# Customers


async def test_the_same_customer_is_the_same_viewer_each_time(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    first = await customers.sign_on(vouch(clock, name="Anna Schmidt", email="Anna@Mail.example"))
    assert has_prefix(first.viewer_id, "cus")
    assert first.name == "Anna"
    clock.advance(timedelta(days=3))
    again = await customers.sign_on(vouch(clock, name="Anna Maier", locale="de-AT"))
    assert again.viewer_id == first.viewer_id
    other = await customers.sign_on(vouch(clock, sub="43"))
    assert other.viewer_id != first.viewer_id
    async with database.read() as conn:
        known = (await store.viewers_by_ids(conn, [first.viewer_id]))[first.viewer_id]
    assert (known.full_name, known.email, known.locale) == ("Anna Maier", None, "de-AT")
    who = await customers.principal_of(again.token)
    assert (who.kind, who.id, who.name) == ("customer", first.viewer_id, "Anna")


async def test_customers_of_two_issuers_are_two_people(
    customers: CustomerService, clock: ManualClock
) -> None:
    one = await customers.sign_on(vouch(clock, iss="https://a.example"))
    two = await customers.sign_on(vouch(clock, iss="https://b.example"))
    three = await customers.sign_on(vouch(clock))
    assert len({one.viewer_id, two.viewer_id, three.viewer_id}) == 3


async def test_two_sign_ons_at_once_make_one_customer(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    admitted = await asyncio.gather(
        *(customers.sign_on(vouch(clock, name=f"Anna {n}")) for n in range(20))
    )
    assert len({one.viewer_id for one in admitted}) == 1
    assert await count_viewers(database) == 1


async def test_a_customers_token_lasts_a_day(
    customers: CustomerService, clock: ManualClock
) -> None:
    customer = await customers.sign_on(vouch(clock))
    clock.advance(timedelta(hours=23, minutes=59))
    assert await customers.principal_of(customer.token)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(BadToken):
        await customers.principal_of(customer.token)


async def test_a_customer_without_a_row_is_nobody(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    """Such as after the database was replaced and the secret was kept."""
    customer = await customers.sign_on(vouch(clock))
    async with database.write() as tx:
        await tx.conn.execute(sa.delete(viewer))
    with pytest.raises(BadToken):
        await customers.principal_of(customer.token)


async def test_a_refused_sign_on_leaves_nothing(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    for bad in (vouch(clock, aud="x"), vouch(clock, exp=1), vouch(clock, sub=""), "x", ""):
        with pytest.raises(BadSignOn):
            await customers.sign_on(bad)
    plain = CustomerService(
        database, clock, Settings(mode="test", server=ServerSettings(secret="x" * 40))
    )
    with pytest.raises(SignOnNotConfigured):
        await plain.sign_on(vouch(clock))
    assert await count_viewers(database) == 0


async def test_an_own_token_is_no_sign_on(customers: CustomerService) -> None:
    with pytest.raises(BadSignOn):
        await customers.sign_on(customers.new_guest().token)


# Names


async def test_a_viewer_chooses_a_name(customers: CustomerService, clock: ManualClock) -> None:
    guest = customers.new_guest()
    customer = await customers.sign_on(vouch(clock, name="Anna Schmidt"))
    for one in (guest, customer):
        assert await customers.rename(one.viewer_id, "  Zoë \u202e  K. ") == "Zoë K."
        assert (await customers.principal_of(one.token)).name == "Zoë K."
        await customers.rename(one.viewer_id, "Zoë")
        assert (await customers.principal_of(one.token)).name == "Zoë"
    # The storefront does not undo the customer's own choice.
    assert (await customers.sign_on(vouch(clock, name="Anna Schmidt"))).name == "Zoë"


async def test_a_name_is_read_in_the_callers_transaction(
    customers: CustomerService, database: Database
) -> None:
    guest = customers.new_guest()
    ids = [ViewerId(guest.viewer_id)]
    async with database.read() as conn:
        assert await customers.display_names(conn, ids) == {guest.viewer_id: guest.name}
    await customers.rename(guest.viewer_id, "Zoë")
    async with database.read() as conn:
        assert await customers.display_names(conn, ids) == {guest.viewer_id: "Zoë"}


async def test_nobody_chats_under_the_shops_name(customers: CustomerService) -> None:
    guest = customers.new_guest()
    for name in ("Nord & Faden", "N0rd Faden", "Admin", "Host", "Moderator", "Guest 1000"):
        with pytest.raises(NameReserved):
            await customers.rename(guest.viewer_id, name)
    for name in ("...", "evil.example"):
        with pytest.raises(NameUnfit):
            await customers.rename(guest.viewer_id, name)
    for name in ("", " \u200b ", "x" * 41):
        with pytest.raises(BadText):
            await customers.rename(guest.viewer_id, name)
    assert (await customers.principal_of(guest.token)).name == guest.name
    assert await customers.rename(guest.viewer_id, guest.name) == guest.name


async def test_a_storefront_cannot_name_a_customer_like_the_shop(
    customers: CustomerService, clock: ManualClock
) -> None:
    customer = await customers.sign_on(vouch(clock, name="Admin Nord"))
    assert customer.name == default_name(customer.viewer_id)


async def test_an_unknown_customer_has_no_name_to_change(
    customers: CustomerService, clock: ManualClock
) -> None:
    for unknown in (new_id("cus", clock.now()), "stf_1", "x"):
        with pytest.raises(NotFound):
            await customers.rename(unknown, "Zoë")


# Segments


async def segments(
    customers: CustomerService, database: Database, viewer_id: ViewerId
) -> frozenset[str]:
    async with database.read() as conn:
        return await customers.segments_of(conn, viewer_id)


async def test_a_customer_is_in_the_segments_the_storefront_named_last(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    anna = (await customers.sign_on(vouch(clock, segments=["loyal", " early  bird "]))).viewer_id
    assert await segments(customers, database, anna) == {"loyal", "early bird"}
    await customers.sign_on(vouch(clock, segments=["press"]))
    assert await segments(customers, database, anna) == {"press"}
    await customers.sign_on(vouch(clock))
    assert await segments(customers, database, anna) == frozenset()
    await customers.sign_on(vouch(clock, segments=["loyal"]))
    await customers.forget(anna)
    assert await segments(customers, database, anna) == frozenset()


async def test_guests_and_strangers_are_in_no_segment(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    guest = customers.new_guest().viewer_id
    await customers.rename(guest, "Zoë")
    for nobody in (guest, ViewerId(new_id("cus", clock.now()))):
        assert await segments(customers, database, nobody) == frozenset()


@pytest.mark.parametrize(
    ("claim", "kept"),
    [
        ("loyal", frozenset()),
        (None, frozenset()),
        ({"loyal": True}, frozenset()),
        (["loyal", 7, None, ["x"], "", " ", "loyal", "x" * 61], {"loyal"}),
        (["lo\u200byal", "\ud800"], {"loyal"}),
        ([f"s{number}" for number in range(30)], {f"s{number}" for number in range(20)}),
    ],
)
async def test_a_strange_segment_keeps_nobody_outside(
    customers: CustomerService,
    database: Database,
    clock: ManualClock,
    claim: Any,
    kept: set[str],
) -> None:
    anna = await customers.sign_on(vouch(clock, segments=claim))
    assert await segments(customers, database, anna.viewer_id) == kept


# Being forgotten


async def test_a_forgotten_viewer_is_out_with_the_next_request(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    silent, named = customers.new_guest(), customers.new_guest()
    await customers.rename(named.viewer_id, "Zoë")
    customer = await customers.sign_on(vouch(clock, name="Anna", email="anna@mail.example"))
    for one in (silent, named, customer):
        await customers.forget(one.viewer_id)
        with pytest.raises(BadToken):
            await customers.principal_of(one.token)
        with pytest.raises(NotFound):
            await customers.rename(one.viewer_id, "Back")
        with pytest.raises(NotFound):
            await customers.forget(one.viewer_id)
    async with database.read() as conn:
        kept = repr([tuple(row) for row in await conn.execute(sa.select(viewer))])
    assert "Zoë" not in kept
    assert "anna" not in kept.lower()
    # Who comes back after that is somebody new.
    returned = await customers.sign_on(vouch(clock, name="Anna"))
    assert returned.viewer_id != customer.viewer_id
    assert await customers.principal_of(returned.token)


# Consent


async def test_consent_holds_until_it_is_withdrawn_and_its_record_after_that(
    customers: CustomerService, database: Database, clock: ManualClock
) -> None:
    who = {"subject": "Anna@Mail.example", "purpose": "reminder_email"}
    assert not await customers.has_consent(**who)
    given = await customers.record_consent(**who, wording="Remind me of this show.")
    assert given.subject == "anna@mail.example"
    clock.advance(timedelta(hours=1))
    again = await customers.record_consent(**who, wording="Remind me of this show.")
    assert again == given
    assert await customers.has_consent(**who)
    assert not await customers.has_consent(subject=who["subject"], purpose="newsletter")
    await customers.withdraw_consent(**who)
    await customers.withdraw_consent(**who)
    assert not await customers.has_consent(**who)
    withdrawn_at = clock.now()
    clock.advance(timedelta(hours=1))
    await customers.record_consent(**who, wording="Remind me again.")
    assert await customers.has_consent(**who)
    async with database.read() as conn:
        history = await conn.execute(sa.select(consent).order_by(consent.c.granted_at))
    assert [(one.wording, one.withdrawn_at) for one in history] == [
        ("Remind me of this show.", withdrawn_at),
        ("Remind me again.", None),
    ]


# Over HTTP

Client = TestClient[web.Request, web.Application]
STAFF = Principal(kind="staff", id="stf_1", name="Mira", permissions=frozenset({"shows:read"}))


class Door:
    def __init__(self, service: CustomerService) -> None:
        self._viewers = ViewerAuthenticator(service)

    async def authenticate(self, request: web.Request) -> Principal:
        if request.headers.get("Authorization") == "Bearer lsk_staff":
            assert await self._viewers.authenticate(request) is None
            return STAFF
        return await self._viewers.authenticate(request) or ANONYMOUS


@pytest.fixture
async def client(customers: CustomerService, clock: ManualClock) -> AsyncIterator[Client]:
    app = web.Application()
    kit = WebKit(clock=clock, authenticator=Door(customers), public_origin="http://shop.example")

    async def carry_over(_guest: ViewerId, _customer: ViewerId) -> None:
        return None

    mount(app, kit, endpoints(customers, carry_over))
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_a_guest_asks_for_a_token_and_then_for_a_name(client: Client) -> None:
    made = await client.post("/api/guests")
    guest = await made.json()
    assert made.status == 201
    assert guest["expires_at"].endswith(".000Z")
    auth = {"Authorization": f"bearer {guest['token']}"}
    me = await (await client.get("/api/me", headers=auth)).json()
    assert me == {
        "kind": "guest",
        "viewer_id": guest["viewer_id"],
        "name": guest["name"],
        "permissions": [],
    }
    renamed = await client.put("/api/me", json={"name": "Zoë"}, headers=auth)
    assert (await renamed.json())["name"] == "Zoë"
    assert (await (await client.get("/api/me", headers=auth)).json())["name"] == "Zoë"
    refused = await client.put("/api/me", json={"name": "Admin"}, headers=auth)
    assert (refused.status, (await refused.json())["code"]) == (422, "name_reserved")


async def test_a_storefront_vouches_over_http(client: Client, clock: ManualClock) -> None:
    answer = await client.post("/api/customers/sign-on", json={"token": vouch(clock, name="Anna")})
    customer = await answer.json()
    assert (answer.status, customer["name"]) == (200, "Anna")
    auth = {"Authorization": f"Bearer {customer['token']}"}
    assert (await (await client.get("/api/me", headers=auth)).json())["kind"] == "customer"
    refused = await client.post("/api/customers/sign-on", json={"token": vouch(clock, aud="x")})
    problem = await refused.json()
    assert (refused.status, problem["code"]) == (401, "bad_sign_on")
    assert problem["data"] == {"reason": "wrong_audience"}


async def test_staff_and_keys_are_somebody_too_but_not_viewers(client: Client) -> None:
    auth = {"Authorization": "Bearer lsk_staff"}
    me = await (await client.get("/api/me", headers=auth)).json()
    assert me == {"kind": "staff", "viewer_id": None, "name": "Mira", "permissions": ["shows:read"]}
    assert (await client.put("/api/me", json={"name": "X"}, headers=auth)).status == 403


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_signed_in"),
        ({"Authorization": "Bearer"}, "bad_token"),
        ({"Authorization": "Bearer "}, "bad_token"),
        ({"Authorization": "Bearer a.b.c"}, "bad_token"),
        ({"Authorization": "Bearer é"}, "bad_token"),
        ({"Authorization": "Basic dTpw"}, "not_signed_in"),
    ],
)
async def test_who_sends_no_good_token_is_told_so(
    client: Client, headers: dict[str, str], code: str
) -> None:
    answer = await client.get("/api/me", headers=headers)
    assert (answer.status, (await answer.json())["code"]) == (401, code)
