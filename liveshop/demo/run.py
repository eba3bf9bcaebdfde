"""`liveshop demo`: everything at once, on a data folder of its own, with a storefront beside it."""

import asyncio
import errno
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from liveshop.app import Browser, Liveshop, opened, supervised
from liveshop.demo import media, seed
from liveshop.demo.autopilot import Autopilot
from liveshop.demo.shop import CURRENCY, SHOP_NAME
from liveshop.kernel.ids import ShowId, new_secret
from liveshop.serving import listening, taking_video, until_stopped
from liveshop.settings import Settings, load
from liveshop.shows.model import ShowStarted
from liveshop.video.ingest.loop import LoopSource
from liveshop.web import ANONYMOUS
from liveshop.web import assets as web_assets

_HEAD_START_SECONDS = 8.0
_ENCODER_GONE_SECONDS = 10.0
"""Long enough to see what viewers see while the picture is away."""
SETTINGS_FILE = "liveshop.toml"
"""In the demo's data folder: what it runs with."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a demo prints when it is ready; the keys of the `--json` line."""

    storefront: str
    studio: str
    desk: str
    api: str
    show_id: str
    host_token: str
    merchant_token: str
    ingest: str
    embed: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything read and made before the event loop runs."""

    settings: Settings
    state: seed.DemoState
    state_path: Path
    film: Path
    pictures: Mapping[str, bytes]
    browser: Browser
    storefront: str
    """The storefront's address."""
    storefront_port: int
    storefront_files: Mapping[str, tuple[str, str]]


def prepare(
    *,
    data: Path,
    host: str,
    port: int,
    public_host: str,
    fresh: bool,
    progress: media.Progress,
    environ: Mapping[str, str],
) -> Plan:
    """Blocking: draw what is missing, read what is there. Raises OSError, AssetsMissing."""
    check_port_free(host, port)
    if fresh and (data / "demo.json").is_file():
        shutil.rmtree(data)
    data.mkdir(parents=True, exist_ok=True)
    state_path = data / "demo.json"
    state = seed.read_state(state_path)
    if state is None or not state.is_complete:
        # A first start that was interrupted left half a shop behind; begin again.
        for half in data.glob("liveshop.sqlite3*"):
            half.unlink()
        shutil.rmtree(data / "video", ignore_errors=True)
        state = seed.DemoState(secret=new_secret(32))
        seed.write_state(state_path, state)
    cache = media.cache_folder()
    media.prepare(cache, progress)
    storefront_port = _free_port_near(host, port + 1)
    rtmp_port = _free_port_near(host, port + 2)
    given: dict[str, Any] = {
        "mode": "demo",
        "data_dir": str(data),
        "log_format": "console",
        "log_level": "warning",
        "server.host": host,
        "server.port": port,
        "server.public_url": f"http://{public_host}:{port}",
        "server.secret": state.secret,
        "server.embed_origins": [
            f"http://{name}:{storefront_port}"
            for name in dict.fromkeys((public_host, "127.0.0.1", "localhost"))
        ],
        "shop.name": SHOP_NAME,
        "shop.currency": CURRENCY,
        "shop.shipping": {"DE": 490, "AT": 890, "CH": 1490},
        "payments.methods": ["sandbox", "invoice", "at_pickup"],
        "delivery.holidays": "DE-HH",
        "delivery.transit_days": {"DE": [1, 2], "AT": [2, 4], "CH": [3, 5]},
        "company.name": "Lindholm Warenhaus GmbH (demo)",
        "company.address": ["Speicherstraße 5", "20457 Hamburg"],
        "company.email": "hello@lindholm.example",
        "mail.sender": "hello@lindholm.example",
        "mail.folder": str(data / "mail"),
        "video.rtmp_port": rtmp_port,
        "video.least_free_gib": 0.5,
        # A demo that is left running takes no more of the disk than this.
        "video.recording_hours": 2,
        # What somebody tries out with the demo runs on the same machine.
        "syndication.private_addresses": True,
    }
    settings = load(file=None, environ=environ, overrides=given)
    _write_settings(data / SETTINGS_FILE, given)
    pictures = {}
    if not state.is_complete:
        pictures = {path.name: path.read_bytes() for path in sorted(cache.glob("*.jpg"))}
    return Plan(
        settings=settings,
        state=state,
        state_path=state_path,
        film=cache / media.FILM,
        pictures=pictures,
        browser=Browser.load(settings),
        storefront=f"http://{public_host}:{storefront_port}/",
        storefront_port=storefront_port,
        storefront_files={
            path.name: (path.read_text(encoding="utf-8"), path.suffix)
            for path in web_assets.folder("storefront").iterdir()
            if path.is_file()
        },
    )


def _write_settings(path: Path, given: Mapping[str, Any]) -> None:
    """What the demo runs with, so that other commands find it: `liveshop --config ...`.

    JSON's texts, numbers, lists and flat objects are TOML too, but for the colon.
    """
    sections: dict[str, list[str]] = {"": []}
    for name, value in given.items():
        section, _, key = name.rpartition(".")
        if isinstance(value, Mapping):
            pairs = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
            text = f"{{{pairs}}}"
        else:
            text = json.dumps(value, ensure_ascii=False)
        sections.setdefault(section, []).append(f"{key} = {text}")
    lines = []
    for section, entries in sections.items():
        lines += [f"\n[{section}]", *entries] if section else entries
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


async def run(plan: Plan, ready: Callable[[Addresses], None]) -> None:
    """Serve until SIGINT or SIGTERM; calls `ready` once everything answers."""
    host, port = plan.settings.server.host, plan.settings.server.port
    async with opened(plan.settings, plan.browser) as shop:
        if plan.state.is_complete:
            await seed.refresh(shop, plan.state, plan.film)
        else:
            await seed.seed(shop, plan.state, dict(plan.pictures), plan.film, plan.storefront)
        await asyncio.to_thread(seed.write_state, plan.state_path, plan.state)
        show_id = ShowId(plan.state.live_show_id)
        camera = _Camera(plan.film, shop)
        source = camera.source_of(show_id)
        pilot = Autopilot(
            shop.shows,
            shop.offers,
            shop.database,
            source,
            show_id,
            seed.lineup_of(plan.state),
            shop.clock.now(),
        )
        async with (
            listening(shop.web_application(), host, port),
            listening(_storefront(plan, show_id), host, plan.storefront_port),
            taking_video(shop),
            camera.rolling(show_id),
        ):
            piloting = asyncio.create_task(supervised("autopilot", pilot.run))
            camera.start(source)
            await source.wait_until_started()
            ready(_addresses(plan, shop))
            hurry = await until_stopped()
            piloting.cancel()
            await asyncio.gather(piloting, return_exceptions=True)
            await shop.drain(hurry)


class _Camera:
    """Plays the film into every show that goes live, as a host's camera would."""

    def __init__(self, film: Path, shop: Liveshop) -> None:
        self._film = film
        self._shop = shop
        self._tasks: set[asyncio.Task[None]] = set()

    def source_of(self, show_id: ShowId) -> LoopSource:
        return LoopSource(
            self._film,
            video=self._shop.stage.video,
            show_id=show_id,
            clock=self._shop.clock,
            head_start_seconds=_HEAD_START_SECONDS,
            gives_way=True,
        )

    def start(self, source: LoopSource) -> None:
        task = asyncio.create_task(supervised("film", partial(self._roll, source)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _roll(self, source: LoopSource) -> None:
        """Play while the show is live and nobody sends; come back some time after he went."""
        while await self._is_live(source.show_id):
            await source.run()
            await asyncio.sleep(_ENCODER_GONE_SECONDS)

    async def _is_live(self, show_id: ShowId) -> bool:
        shows = await self._shop.shows.list_shows("live", ANONYMOUS)
        return any(show.id == show_id for show in shows)

    @asynccontextmanager
    async def rolling(self, main_show_id: ShowId) -> AsyncIterator[None]:
        """Follow shows that start, and those still live but the main one; stop in the end."""
        self._shop.database.listen(
            ShowStarted, lambda started: self.start(self.source_of(started.show_id))
        )
        try:
            for show in await self._shop.shows.list_shows("live", ANONYMOUS):
                if show.id != main_show_id:
                    self.start(self.source_of(ShowId(show.id)))
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _addresses(plan: Plan, shop: Liveshop) -> Addresses:
    base = shop.settings.public_url
    show_id = plan.state.live_show_id
    return Addresses(
        storefront=plan.storefront,
        studio=f"{base}/studio",
        desk=f"{base}/desk",
        api=f"{base}/api",
        show_id=show_id,
        host_token=plan.state.host_token,
        merchant_token=plan.state.merchant_token,
        ingest=shop.settings.ingest_url,
        embed=(
            f'<script async src="{base}/embed.js"></script>'
            f'<liveshop-show show="{show_id}"></liveshop-show>'
        ),
    )


def _storefront(plan: Plan, show_id: str) -> web.Application:
    """The example shop page, on its own origin and under a policy as strict as a careful shop's."""
    base = plan.settings.public_url
    socket_base = base.replace("http", "ws", 1)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {base}",
            "style-src 'self'",
            f"img-src 'self' {base} data:",
            f"media-src {base} blob:",
            f"connect-src {base} {socket_base}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    environment = jinja2.Environment(autoescape=True)
    types = {
        ".html": "text/html",
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
    }
    rendered = {
        name: (
            environment.from_string(text).render(base=base, show_id=show_id)
            if suffix == ".html"
            else text,
            types.get(suffix, "text/plain"),
        )
        for name, (text, suffix) in plan.storefront_files.items()
    }

    async def page(request: web.Request) -> web.Response:
        name = request.match_info.get("name") or "index.html"
        if name not in rendered:
            raise web.HTTPNotFound(text="There is nothing here.")
        text, kind = rendered[name]
        return web.Response(
            text=text,
            content_type=kind,
            headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"},
        )

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/{name}", page)
    return app


def check_port_free(host: str, port: int) -> None:
    """Raises OSError now rather than after a minute of drawing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _free_port_near(host: str, port: int) -> int:
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRINUSE, "no free port for the storefront")
