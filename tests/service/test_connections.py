"""Connections: configured, sealed, authorised, checked, removed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import sqlalchemy as sa
from aiohttp import web
from builders import test_settings as settings_of
from fakes.serving import serve

from liveshop.app import Liveshop, wire
from liveshop.connect import (
    Connectors,
    ImageLimit,
    Kit,
    NeedsAttention,
    OAuth,
    Post,
    PostCost,
    PostLimits,
    PostReceipt,
    RetryLater,
    Role,
    Secret,
    TextLimit,
    UnknownConnector,
)
from liveshop.connect.http import call_authorised
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database
from liveshop.syndication.model import (
    BadAuthorisation,
    BadConfiguration,
    ConnectionChanged,
    UnknownConnection,
)
from liveshop.syndication.runtime import OpenConnections
from liveshop.syndication.sealing import Credentials, Sealer
from liveshop.syndication.tables import connection, connection_memory
from liveshop.syndication.wire import ConnectionChange, ConnectionInput


class Config(msgspec.Struct, frozen=True):
    base_url: str
    client_id: str
    client_secret: Secret
    size: int = 3


class Pad:
    """A place for notes, authorised by OAuth."""

    name = "pad"
    title = "Notepad"
    roles: frozenset[Role] = frozenset({"poster"})
    config = Config
    oauth = OAuth("{base_url}/authorize", "{base_url}/token", ("write",), client_auth="body")

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["OpenPad"]:
        yield OpenPad(config, kit)


class OpenPad:
    post_limits = PostLimits(TextLimit(100), ImageLimit("square", 0, 1_000_000))

    def __init__(self, config: Config, kit: Kit) -> None:
        self.config = config
        self.kit = kit

    async def diagnose(self) -> Iterable[str]:
        answer = await call_authorised(self.kit, "GET", f"{self.config.base_url}/me", who="Pad")
        return [] if answer.json()["may_write"] else ["The permission to write is missing."]

    def cost(self, post: Post) -> PostCost | None:
        return None

    async def publish(self, post: Post) -> PostReceipt:
        raise RetryLater("not now")

    async def find(self, post: Post) -> PostReceipt | None:
        return None

    async def delete(self, remote_id: str) -> None:
        return None

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        return []


class Vendor:
    """Gives tokens for an hour; each refresh token counts once."""

    def __init__(self) -> None:
        self.number = 0
        self.may_write = True
        self.refreshes = 0
        self.forms: list[dict[str, str]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/token", self._token), web.get("/me", self._me)])
        return app

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        is_right = form.get("client_secret") == "hush-hush" and (
            form.get("code") == "good-code" or form.get("refresh_token") == f"r{self.number}"
        )
        if not is_right:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.refreshes += form["grant_type"] == "refresh_token"
        self.number += 1
        return web.json_response(
            {
                "access_token": f"a{self.number}",
                "refresh_token": f"r{self.number}",
                "token_type": "bearer",
                "expires_in": 3600,
            }
        )

    async def _me(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer a{self.number}":
            return web.json_response({}, status=401)
        return web.json_response({"may_write": self.may_write})


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    settings = settings_of(
        tmp_path / "data", database_url=database_url, syndication__private_addresses=True
    )
    database = Database.open(database_url, pool_size=10)
    return wire(settings, database, None, clock, Connectors.of(Pad()))


@pytest.fixture
async def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
async def base_url(vendor: Vendor) -> AsyncIterator[str]:
    async with serve(vendor.app()) as url:
        yield url


def given(base_url: str, **changes: Any) -> ConnectionInput:
    config = {"base_url": base_url, "client_id": "me", "client_secret": "hush-hush"} | changes
    return ConnectionInput(connector="pad", title="Our notes", config=config, language="en")


async def authorised(shop: Liveshop, connection_id: str) -> None:
    url = await shop.syndication.authorisations.authorise(connection_id)
    state = parse_qs(urlsplit(url).query)["state"][0]
    await shop.syndication.authorisations.authorised(state, "good-code", None)


async def stored(shop: Liveshop) -> str:
    """Everything the database holds of connections, as text."""
    async with shop.database.read() as conn:
        rows = [*await conn.execute(sa.select(connection))]
        rows += [*await conn.execute(sa.select(connection_memory))]
    return "\n".join(str(tuple(row)) for row in rows)


async def test_secrets_are_sealed_and_never_given_back(shop: Liveshop, base_url: str) -> None:
    made = await shop.syndication.connections.create(given(base_url))
    assert made.secrets_set == ["client_secret"]
    assert made.needs_authorisation
    assert "hush-hush" not in str(made)
    assert "hush-hush" not in await stored(shop)
    assert made.config == {"base_url": base_url, "client_id": "me", "size": 3} or made.config == {
        "base_url": base_url,
        "client_id": "me",
    }
    await authorised(shop, made.id)
    assert "good-code" not in await stored(shop)
    told = await stored(shop)
    assert "'a1'" not in told
    assert '"a1"' not in told
    assert "verifier" not in told


async def test_all_that_is_wrong_with_a_configuration_is_told_at_once(shop: Liveshop) -> None:
    bad = ConnectionInput(
        connector="pad", title="x", config={"base_url": 7, "size": "many", "colour": "red"}
    )
    with pytest.raises(BadConfiguration) as caught:
        await shop.syndication.connections.create(bad)
    assert caught.value.data["fields"].keys() >= {
        "base_url",
        "client_id",
        "client_secret",
        "size",
        "colour",
    }


async def test_a_connector_that_is_not_installed_is_named(shop: Liveshop) -> None:
    with pytest.raises(UnknownConnector, match="pad"):
        await shop.syndication.connections.create(
            ConnectionInput(connector="fax", title="Fax", config={})
        )


async def test_a_change_keeps_the_secrets_that_are_not_given(shop: Liveshop, base_url: str) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    changed = await service.change(
        made.id, ConnectionChange(version=made.version, config={"size": 5}, title="Notes")
    )
    assert (changed.title, changed.config["size"], changed.secrets_set) == (
        "Notes",
        5,
        ["client_secret"],
    )
    with pytest.raises(ConnectionChanged):
        await service.change(made.id, ConnectionChange(version=made.version, title="Late"))


async def test_an_authorisation_leads_through_the_vendor_and_back_once(
    shop: Liveshop, base_url: str, vendor: Vendor
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    assert await service.diagnose(made.id) != []
    url = await shop.syndication.authorisations.authorise(made.id)
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{base_url}/authorize?")
    assert asked["redirect_uri"] == [shop.syndication.authorisations.redirect_uri]
    state = asked["state"][0]
    assert await shop.syndication.authorisations.authorised(state, "good-code", None) == made.id
    assert not (await service.connection(made.id)).needs_authorisation
    assert vendor.forms[0]["code_verifier"]
    assert await service.diagnose(made.id) == []
    with pytest.raises(BadAuthorisation):
        await shop.syndication.authorisations.authorised(state, "good-code", None)


@pytest.mark.parametrize("kind", ["another", "old", "refused", "unknown"])
async def test_an_answer_that_does_not_belong_to_an_authorisation_changes_nothing(
    shop: Liveshop, base_url: str, clock: ManualClock, kind: str
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    state = parse_qs(urlsplit(await shop.syndication.authorisations.authorise(made.id)).query)[
        "state"
    ][0]
    error = None
    if kind == "another":
        state = f"{made.id}.{'x' * 22}"
    if kind == "unknown":
        state = "con_nobody.knows"
    if kind == "old":
        clock.advance(timedelta(minutes=31))
    if kind == "refused":
        error = "access_denied"
    with pytest.raises(BadAuthorisation):
        await shop.syndication.authorisations.authorised(
            state, None if error else "good-code", error
        )
    assert (await service.connection(made.id)).needs_authorisation


async def test_tokens_are_renewed_and_stored_when_they_run_out(
    shop: Liveshop, base_url: str, vendor: Vendor, clock: ManualClock
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    await authorised(shop, made.id)
    clock.advance(timedelta(hours=2))
    assert await service.diagnose(made.id) == []
    assert vendor.refreshes == 1
    # Another process starts with what was stored.
    other = OpenConnections(
        shop.database,
        clock,
        Connectors.of(Pad()),
        Sealer(shop.settings.server.secret),
        shop.settings.syndication,
    )
    try:
        pad: OpenPad = await other.get(made.id)
        assert await pad.kit.tokens.access_token() == "a2"
        clock.advance(timedelta(hours=2))
        mine: OpenPad = await shop.syndication.open_connections.get(made.id)
        found = await asyncio.gather(
            *(one.kit.tokens.access_token() for one in (pad, mine) for _ in range(3))
        )
        assert set(found) == {"a3"}
        assert vendor.refreshes == 2
    finally:
        await other.close()


async def test_what_a_vendor_misses_is_told_in_words(
    shop: Liveshop, base_url: str, vendor: Vendor
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    await authorised(shop, made.id)
    vendor.may_write = False
    assert await service.diagnose(made.id) == ["The permission to write is missing."]


async def test_another_server_secret_asks_for_the_credentials_again(
    shop: Liveshop, base_url: str
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    async with shop.database.write() as tx:
        foreign = Sealer("another secret of at least 32 characters").seal(Credentials())
        await tx.conn.execute(sa.update(connection).values(sealed=foreign, version=7))
    shown = await service.connection(made.id)
    assert shown.attention is not None
    assert "again" in shown.attention
    with pytest.raises(NeedsAttention):
        await shop.syndication.open_connections.get(made.id)
    changed = await service.change(made.id, ConnectionChange(config={"client_secret": "hush-hush"}))
    assert changed.attention is None
    await authorised(shop, made.id)
    assert await service.diagnose(made.id) == []


async def test_a_changed_configuration_reaches_other_processes_and_breaks_off_no_turn(
    shop: Liveshop, base_url: str, clock: ManualClock
) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    await authorised(shop, made.id)
    other = OpenConnections(
        shop.database,
        clock,
        Connectors.of(Pad()),
        Sealer(shop.settings.server.secret),
        shop.settings.syndication,
    )
    try:
        before: OpenPad = await other.get(made.id)
        assert await other.get(made.id) is before
        await service.change(made.id, ConnectionChange(config={"size": 9}))
        after: OpenPad = await other.get(made.id)
        assert after.config.size == 9
        # Whoever was at work with the old one comes to his end.
        assert list(await before.diagnose()) == []
        await service.sync_soon(made.id)
        assert await other.get(made.id) is after
    finally:
        await other.close()


async def test_a_removed_connection_is_gone(shop: Liveshop, base_url: str) -> None:
    service = shop.syndication.connections
    made = await service.create(given(base_url))
    assert (await service.change_state(made.id, "paused")).state == "paused"
    assert (await service.change_state(made.id, "active")).state == "active"
    assert (await service.change_state(made.id, "removed")).state == "removed"
    assert await service.connections() == []
    with pytest.raises(UnknownConnection):
        await service.change(made.id, ConnectionChange(title="Back"))


async def test_private_addresses_are_not_opened_unless_allowed(
    database: Database, base_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = settings_of(tmp_path / "data")
    opened = OpenConnections(
        database, clock, Connectors.of(Pad()), Sealer("s" * 32), settings.syndication
    )
    async with opened.session() as http:
        with pytest.raises(Exception, match="private"):
            await http.get(f"{base_url}/me")
        with pytest.raises(Exception, match="private"):
            await http.get(f"http://localhost:{urlsplit(base_url).port}/me")
