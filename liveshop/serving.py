"""Serving a wired shop: its ports, and the signals that end it."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from liveshop.app import Liveshop
from liveshop.settings import BadSettings

_ARRIVING = 4096
"""Connections that may wait to be taken, as when a show begins; Linux has its own limit too
(net.core.somaxconn)."""
_IDLE_SECONDS = 75.0
"""What a connection may wait with its next request, and take to say what it wants. Longer than a
reverse proxy keeps one open (nginx: 60), or it would send a request into a connection just ended.
"""


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve an application; yields the port (for port 0, the one the system chose)."""
    runner = web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=5.0,
        keepalive_timeout=_IDLE_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True, backlog=_ARRIVING)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def taking_video(shop: Liveshop) -> AsyncIterator[None]:
    """Take the connections of encoders, where the settings say. Raises BadSettings when a port
    cannot be listened on or a certificate cannot be used."""
    video = shop.settings.video
    try:
        if video.rtmp_port:
            await _take_video(shop, "rtmp_port", video.rtmp_port)
        if video.rtmps_port:
            tls = await asyncio.to_thread(_tls_of, video.rtmps_certificate, video.rtmps_key)
            await _take_video(shop, "rtmps_port", video.rtmps_port, tls)
        yield
    finally:
        await shop.stage.rtmp.close()


async def _take_video(
    shop: Liveshop, setting: str, port: int, tls: ssl.SSLContext | None = None
) -> None:
    try:
        await shop.stage.rtmp.start(shop.settings.server.host, port, tls=tls)
    except OSError as error:
        raise BadSettings(
            [
                f"video.{setting}: encoders cannot be listened for on port {port}. Choose a port"
                f" that no other program uses, above 1023, or 0 for none. ({error})"
            ]
        ) from error


def _open_once(path: Path) -> None:
    with path.open("rb"):
        pass


def _tls_of(certificate: str, key: str) -> ssl.SSLContext:
    """Raises BadSettings."""
    for setting, path in (("rtmps_certificate", certificate), ("rtmps_key", key)):
        try:
            _open_once(Path(path))
        except OSError as error:
            words = error.strerror or str(error)
            raise BadSettings(
                [
                    f"video.{setting}: {path} cannot be read ({words}). Name a PEM file that"
                    " Liveshop's user may read."
                ]
            ) from error
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # A password is given lest the terminal be asked for one.
        tls.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise BadSettings(
            [
                "video.rtmps_certificate, video.rtmps_key: not a certificate and its key. Both"
                f" have to be PEM files, the key without a password. ({error})"
            ]
        ) from error
    return tls


async def until_stopped() -> asyncio.Event:
    """Returns on SIGINT or SIGTERM; the event is set by the next one."""
    loop = asyncio.get_running_loop()
    stopped, again = asyncio.Event(), asyncio.Event()

    def heard() -> None:
        (again if stopped.is_set() else stopped).set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, heard)
    await stopped.wait()
    return again
