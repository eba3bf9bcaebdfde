"""The watch over the suite: a planted leak is found wherever it is, and fails its test."""

import asyncio
import base64
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import structlog
from aiohttp import web
from fakes.serving import serve
from secrets_watch import Watch, watch

from liveshop.connect import NeedsAttention, Secret
from liveshop.connect.config import BadConfig
from liveshop.connect.oauth import Tokens
from liveshop.syndication.sealing import Credentials, Sealer

TOKEN = "shpat_4711/planted+in=tests"
FORMS = {
    "plain": TOKEN,
    "in an address": quote(TOKEN, safe=""),
    "as Basic": base64.b64encode(f"client:{TOKEN}".encode()).decode(),
}


def log() -> None:
    logging.getLogger("a.vendor.library").debug("sending %s", {"Authorization": TOKEN})


def log_without_handlers() -> None:
    logger = logging.Logger("unheard")
    logger.addHandler(logging.NullHandler())
    logger.warning("sending %s", TOKEN)


def logged_error() -> None:
    try:
        try:
            raise KeyError(TOKEN)
        except KeyError as error:
            raise ValueError("nothing to see") from error
    except ValueError:
        logging.getLogger("a.vendor.library").exception("broke off")


def structured_log() -> None:
    with structlog.testing.capture_logs():
        structlog.get_logger("toy").info("asked", headers={"X-Key": TOKEN})


def logged_before_it_is_scrubbed() -> None:
    with structlog.testing.capture_logs():
        structlog.get_logger("toy").bind(token=TOKEN).warning("asked")


def connector_error() -> None:
    NeedsAttention(f"The token {TOKEN} was refused.")


def shop_error() -> None:
    BadConfig({"key": f"is not {TOKEN}"})


LEAKS = [
    (log, "log"),
    (log_without_handlers, "log"),
    (logged_error, "log"),
    (structured_log, "log"),
    (logged_before_it_is_scrubbed, "log"),
    (connector_error, "error"),
    (shop_error, "error"),
]


@pytest.mark.parametrize(("tell", "place"), LEAKS, ids=lambda one: getattr(one, "__name__", one))
def test_a_planted_leak_is_found(tell: Callable[[], None], place: str) -> None:
    Secret(TOKEN)
    tell()
    found = watch.leaks()
    assert {leak.place for leak in found} == {place}
    assert not any(TOKEN in str(leak) for leak in found)


async def test_a_token_in_an_address_is_found_by_who_asks_and_by_who_is_asked() -> None:
    Secret(TOKEN)
    app = web.Application()
    app.router.add_get("/me", _ok)
    async with serve(app) as url:
        for one in (url, url.replace("127.0.0.1", "localhost")):
            async with aiohttp.ClientSession() as session:
                await session.get(f"{one}/me", params={"access_token": TOKEN})
            assert {leak.place for leak in watch.leaks()} == {"url"}
        host, _, port = url.removeprefix("http://").partition(":")
        asked = f"GET /me?key={quote(TOKEN, safe='')} HTTP/1.0\r\nHost: toy\r\n\r\n"
        await _send(host, int(port), asked.encode())
        assert [leak.where for leak in watch.leaks()] == ["http://toy"]


async def test_what_a_request_proves_itself_with_is_known_from_then_on() -> None:
    app = web.Application()
    app.router.add_get("/me", _ok)
    async with serve(app) as url, aiohttp.ClientSession() as session:
        await session.get(f"{url}/me", headers={"Authorization": "Bearer seen-by-the-fake-only"})
    NeedsAttention("seen-by-the-fake-only was refused")
    assert [leak.place for leak in watch.leaks()] == ["error"]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    own = Watch()
    own.register(TOKEN, "key")
    own.note("log", "toy", f"sent {FORMS[form]} off")
    assert [str(leak) for leak in own.leaks()] == ["key in log: toy"]
    assert not own.leaks()


def test_a_secret_that_becomes_known_after_it_was_told_is_found() -> None:
    own = Watch()
    own.note("log", "toy", f"got {TOKEN}")
    own.register(TOKEN)
    assert own.leaks()


def test_texts_are_not_kept_without_end() -> None:
    own = Watch()
    own.register(TOKEN)
    own.note("log", "toy", TOKEN)
    for _ in range(30):
        own.note("log", "other", "x" * 100_000)
    assert own.kept_characters <= 1_000_000
    assert [leak.where for leak in own.leaks()] == ["toy"]


def test_the_token_of_a_feed_belongs_in_its_address_and_nowhere_else() -> None:
    own = Watch()
    own.register(TOKEN, "feed token")
    own.note("url", "shop", f"http://shop/feeds/{TOKEN}/google.xml")
    assert not own.leaks()
    own.note("log", "http", f"GET /feeds/{TOKEN}/google.xml")
    assert [leak.place for leak in own.leaks()] == ["log"]


def test_tokens_and_sealed_credentials_are_known() -> None:
    sealer = Sealer("a-secret-for-tests-of-at-least-32-characters")
    tokens = Tokens("token-of-access", "token-of-refresh", datetime(2026, 11, 21, tzinfo=UTC))
    sealed = sealer.seal(Credentials({"key": "key-of-a-vendor"}, tokens, "token-of-a-feed"))
    watch.forget()
    sealer.open(sealed)
    for told in ("token-of-access", "token-of-refresh", "key-of-a-vendor", "token-of-a-feed"):
        NeedsAttention(f"{told} was refused")
        assert watch.leaks(), told


def test_short_and_empty_values_are_no_secrets() -> None:
    own = Watch()
    for value in ("", "en", "EUR", None, "https://shop.example/"):
        own.register(value)
        own.note("log", "toy", f"in en for EUR at https://shop.example/ {value}")
    assert not own.leaks()


SUITE = """
import logging
import warnings

import pytest

from liveshop.connect import NeedsAttention, Secret

TOKEN = Secret("planted-4711").reveal()


def setup_function():
    Secret(TOKEN)


def test_log():
    logging.getLogger("vendor").debug(TOKEN)


def test_error():
    NeedsAttention(TOKEN)


def test_warning():
    warnings.warn(TOKEN)


def test_output():
    print(TOKEN)


def test_silent():
    pass


@pytest.mark.tells_secrets("log")
def test_meant():
    logging.getLogger("vendor").debug(TOKEN)
"""
CONFIGURATION = """
import secrets_watch


def pytest_configure(config):
    config.pluginmanager.register(secrets_watch.Plugin())
    config.addinivalue_line("markers", "tells_secrets: on purpose")
"""


def test_a_leak_fails_its_test_in_a_worker_too(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text(CONFIGURATION)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {Path(__file__).parents[1]}\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "1",
            "-rE",
            "--show-capture=no",
            "--disable-warnings",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = {
        line.partition(" - ")[0].rpartition("::")[2]
        for line in done.stdout.splitlines()
        if line.startswith("ERROR test_")
    }
    planted = {"test_log", "test_error", "test_warning", "test_output"}
    assert failed == planted, done.stdout + done.stderr
    assert "secret of a configuration in log: vendor" in done.stdout
    assert "planted-4711" not in done.stdout


async def _ok(_request: web.Request) -> web.Response:
    return web.json_response({})


async def _send(host: str, port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    await reader.read()
    writer.close()
    await writer.wait_closed()
