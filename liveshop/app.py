"""The composition root: the one module that knows everything and decides nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop import __version__, pages
from liveshop.accounts import http as accounts_http
from liveshop.accounts import store as accounts_store
from liveshop.accounts.service import AccountService
from liveshop.catalog import http as catalog_http
from liveshop.catalog import jobs as catalog_jobs
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.media import MediaService
from liveshop.catalog.model import ProductsTouched, StockTouched
from liveshop.catalog.service import CatalogService
from liveshop.catalog.wire import ImageLinks
from liveshop.chat import http as chat_http
from liveshop.chat import live as chat_live
from liveshop.chat import rehearsing as chat_rehearsing
from liveshop.chat import snapshot as chat_snapshot
from liveshop.chat.service import ChatService
from liveshop.checkout import http as checkout_http
from liveshop.checkout import payment_http
from liveshop.checkout import rehearsing as checkout_rehearsing
from liveshop.checkout.model import OrderSettled
from liveshop.checkout.payment_history import note_captured, note_dispute, note_refund
from liveshop.checkout.place import PlaceOrder
from liveshop.checkout.service import CartService
from liveshop.checkout.waitlist import WaitlistService
from liveshop.connect import Connectors
from liveshop.customers import http as customers_http
from liveshop.customers.service import CustomerService
from liveshop.insights import http as insights_http
from liveshop.kernel.clock import Clock, SystemClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId
from liveshop.mail import http as mail_http
from liveshop.mail import sending as mail_sending
from liveshop.mail.sending import MailRoom, transport_of
from liveshop.migrations import migrate
from liveshop.orders import desk_http, invoice_http
from liveshop.orders import history as order_history
from liveshop.orders import http as orders_http
from liveshop.orders.desk import OnCancelled, OrderDesk
from liveshop.orders.feedback import FeedbackService
from liveshop.orders.fulfilling import Fulfilments
from liveshop.orders.invoices import Invoices
from liveshop.orders.letters import Letters
from liveshop.orders.model import Order
from liveshop.orders.progress import Progress
from liveshop.orders.returns import Returns
from liveshop.pages import share_pictures
from liveshop.pages.orders import OrderPages
from liveshop.pages.share_pictures import LiveCards, SharePictures
from liveshop.payments import http as hooks_http
from liveshop.payments.assembly import providers_of, rehearsal_provider
from liveshop.payments.inbox import Inbox
from liveshop.payments.model import SomethingDue
from liveshop.payments.reconciler import Reconciler
from liveshop.payments.service import Payments
from liveshop.promotions import http as promotions_http
from liveshop.promotions.model import PromotionsTouched
from liveshop.promotions.prices import Prices
from liveshop.promotions.service import PromotionService
from liveshop.realtime.broker import Broker
from liveshop.realtime.brokers import broker_of
from liveshop.realtime.doors import Doors, Judge
from liveshop.realtime.hub import Hub
from liveshop.realtime.publisher import RoomPublisher
from liveshop.realtime.socket import RoomSocket
from liveshop.settings import Settings
from liveshop.shows import http as shows_http
from liveshop.shows import rehearsal_http, reminders, shelf_codes
from liveshop.shows import store as shows_store
from liveshop.shows.assembly import Stage
from liveshop.shows.assembly import assemble as assemble_stage
from liveshop.shows.destinations import DestinationsChanged
from liveshop.shows.model import (
    AudienceChanged,
    RehearsalEnded,
    RehearsalStarted,
    Show,
    ShowEnded,
    ShowStarted,
)
from liveshop.shows.offers import OfferService
from liveshop.shows.order_moments import OrderMoments
from liveshop.shows.rehearsals import Rehearsals
from liveshop.shows.service import ShowService
from liveshop.shows.stock_board import StockBoard
from liveshop.shows.stream_keys import EncoderDelayChanged, RightsChanged, StreamKeyStopped
from liveshop.storage import Database, Tx, Worker
from liveshop.storage.nodes import Nodes
from liveshop.storage.outbox import Handler
from liveshop.syndication.assembly import Syndication, assemble
from liveshop.video import live as video_live
from liveshop.video.ingest.camera_socket import CameraSocket
from liveshop.video.live import MonitorSocket
from liveshop.web import ANONYMOUS, PUBLIC, Call, Endpoint, Principal, files, health, openapi
from liveshop.web import assets as web_assets
from liveshop.web.metrics import Metrics
from liveshop.web.server import WebKit, mount

_log = structlog.get_logger("app")
_SWEEP_SECONDS = 1.0
_HOUSEKEEPING_SECONDS = 3600.0
_LETTERS_AT_ONCE = 8
HEARD_EVERYWHERE: Sequence[type] = (
    AudienceChanged,
    DestinationsChanged,
    EncoderDelayChanged,
    ProductsTouched,
    PromotionsTouched,
    RehearsalEnded,
    RehearsalStarted,
    RightsChanged,
    ShowEnded,
    ShowStarted,
    SomethingDue,
    StockTouched,
    StreamKeyStopped,
)
"""Signals that other nodes act on."""


class Authentication:
    """Who asks: staff by cookie or key, else a viewer by token, else nobody."""

    def __init__(
        self,
        staff: accounts_http.StaffAuthenticator,
        viewers: customers_http.ViewerAuthenticator,
    ) -> None:
        self._staff = staff
        self._viewers = viewers

    async def authenticate(self, request: web.Request) -> Principal:
        return (
            await self._staff.authenticate(request)
            or await self._viewers.authenticate(request)
            or ANONYMOUS
        )

    async def by_token(self, token: str) -> Principal:
        return await self._staff.by_token(token) or await self._viewers.by_token(token) or ANONYMOUS


@dataclass(slots=True)
class Liveshop:
    """A wired server: its services, its web application and its background work."""

    settings: Settings
    clock: Clock
    database: Database
    accounts: AccountService
    customers: CustomerService
    catalog: CatalogService
    media: MediaService
    promotions: PromotionService
    shows: ShowService
    offers: OfferService
    chat: ChatService
    carts: CartService
    waitlist: WaitlistService
    payments: Payments
    orders: PlaceOrder
    reconciler: Reconciler
    fulfilments: Fulfilments
    desk: OrderDesk
    returns: Returns
    feedback: FeedbackService
    progress: Progress
    stage: Stage
    syndication: Syndication
    broker: Broker
    hub: Hub
    socket: RoomSocket
    monitor: MonitorSocket
    camera: CameraSocket
    worker: Worker
    slow_worker: Worker
    """Fetches pictures, so that nothing else waits for other people's servers."""
    export_worker: Worker
    """Hands orders to shop systems; not behind pictures."""
    mail_worker: Worker
    """Speaks to the mail server, which may be slow."""
    reminder_worker: Worker
    """The same for the many reminders of a show, so that no buyer's mail waits for them."""
    stage_worker: Worker
    """Makes files of recordings, which takes minutes."""
    stock_board: StockBoard
    chores: Sequence[Callable[[], Awaitable[None]]]
    """Done every hour by one node: what need not be kept any longer is dropped."""
    own_chores: Sequence[Callable[[], Awaitable[None]]]
    """Done every hour by each node, on its own disk."""
    nodes: Nodes
    endpoints: list[Endpoint]
    kit: WebKit
    is_draining: bool = False
    """Whether it was told to stop."""

    def web_application(self) -> web.Application:
        app = web.Application(client_max_size=self.settings.server.max_body_bytes)
        mount(app, self.kit, self.endpoints)
        app.router.add_get("/live/{show_id}", self.socket.handle)
        app.router.add_get("/live/{show_id}/monitor", self.monitor.handle)
        app.router.add_get("/live/{show_id}/camera", self.camera.handle)
        app.cleanup_ctx.append(self._background)
        app.on_shutdown.append(self._say_goodbye)
        return app

    def openapi(self) -> dict[str, Any]:
        return openapi.document(
            self.endpoints,
            title="Liveshop API",
            version=__version__,
            url=self.settings.public_url,
        )

    async def drain(self, hurry: asyncio.Event) -> None:
        """Before the server stops: hand over to the other nodes, if there are any. `hurry`: do not
        take the time for it."""
        self.is_draining = True
        if not self.nodes.leases.is_alone:
            await self._hand_over(hurry)
        # Here already: once the server stops, it does not hear its clients' goodbyes any more, and
        # would wait in vain for each.
        await self._say_goodbye()

    async def _hand_over(self, hurry: asyncio.Event) -> None:
        server = self.settings.server
        _log.info("draining", node=self.nodes.leases.name)
        handed_over = asyncio.create_task(self.nodes.leases.drain())
        with suppress(TimeoutError):
            async with asyncio.timeout(server.drain_lead_seconds):
                await hurry.wait()
        await self.socket.drain(0 if hurry.is_set() else server.drain_seconds)
        await handed_over

    async def _say_goodbye(self, _: web.Application | None = None) -> None:
        seconds = self.settings.server.shutdown_seconds
        sockets = (self.camera, self.monitor, self.socket)
        await asyncio.gather(*(socket.shutdown(seconds) for socket in sockets))

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        one_node = self.nodes.leases.while_held
        jobs: Mapping[str, Callable[[], Awaitable[None]]] = {
            **self.nodes.jobs,
            "worker": self.worker.run,
            "slow worker": self.slow_worker.run,
            "export worker": self.export_worker.run,
            "mail worker": self.mail_worker.run,
            "reminder worker": self.reminder_worker.run,
            "payments": self.reconciler.run,
            "overdue pickups": one_node("pickups", self.fulfilments.run),
            "syndication": self.synchronise,
            "stock board": one_node(
                "stock board", self.stock_board.run, meanwhile=self.stock_board.stand_by
            ),
            "stage worker": self.stage_worker.run,
            **self.stage.background,
            "broker": self.broker.run,
            "hub": self.hub.run,
            "sweeper": one_node("sweeper", self._sweep),
            "housekeeping": one_node("housekeeping", partial(_keep_house, self.chores)),
            "tidying": partial(_keep_house, self.own_chores),
        }
        tasks = [
            asyncio.create_task(supervised(name, job), name=name) for name, job in jobs.items()
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def synchronise(self) -> None:
        """Channels and sources, by one node at a time: vendors count what all of them ask."""
        await self.nodes.leases.while_held(
            "syndication",
            self.syndication.runner.run,
            meanwhile=self.syndication.planner.keep_noting,
        )()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self.carts.sweep()
            except ShopError as error:
                _log.warning("sweeper_waits", reason=error.detail)


async def _keep_house(chores: Sequence[Callable[[], Awaitable[None]]]) -> None:
    while True:
        for chore in chores:
            try:
                await chore()
            except ShopError as error:
                _log.warning("housekeeping_waits", reason=error.detail)
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)


@dataclass(frozen=True, slots=True)
class Browser:
    """What browsers load and the pages they load it from; read before the loop runs."""

    assets: web_assets.Assets
    pages: pages.Pages

    @classmethod
    def load(cls, settings: Settings) -> "Browser":
        """Blocking. Raises AssetsMissing."""
        assets = web_assets.load()
        return cls(assets, pages.Pages(settings, assets))


async def supervised(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Run a job for ever; one that breaks is logged and started again, not quickly."""
    while True:
        try:
            await job()
            return
        except Exception:  # a broken background job must not take the server with it
            _log.exception("background_job_broke", job=name)
            await asyncio.sleep(1.0)


@asynccontextmanager
async def opened(
    settings: Settings,
    browser: Browser | None = None,
    *,
    clock: Clock | None = None,
    connectors: Connectors | None = None,
) -> AsyncIterator[Liveshop]:
    """Migrate the database, wire everything, and close it in the end.

    Without `browser` there are no pages: enough for the worker and for commands.
    """
    await migrate(settings.database_url)
    database = Database.open(
        settings.database_url,
        pool_size=settings.database.pool_size,
        busy_timeout_seconds=settings.database.busy_timeout_seconds,
        lock_timeout_seconds=settings.database.lock_timeout_seconds,
        idle_in_transaction_seconds=settings.database.idle_in_transaction_seconds,
    )
    try:
        shop = wire(settings, database, browser, clock or SystemClock(), connectors)
        try:
            yield shop
        finally:
            await shop.syndication.close()
            await shop.broker.close()
            await shop.payments.close()
            shop.media.close()
            await shop.nodes.close()
    finally:
        await database.close()


def wire(
    settings: Settings,
    database: Database,
    browser: Browser | None,
    clock: Clock,
    connectors: Connectors | None = None,
) -> Liveshop:
    """Make everything and tie it together. `connectors`: others than the installed ones."""
    connectors = connectors or Connectors.installed()
    metrics = Metrics()
    accounts = AccountService(database, clock, settings)
    customers = CustomerService(database, clock, settings)
    links = ImageLinks(settings.public_url, settings.media.widths)
    media = MediaService(database, clock, settings.data_path, settings.media)
    catalog = CatalogService(database, clock, settings.shop)
    prices = Prices(settings.shop)
    promotions = PromotionService(database, clock, settings.shop, prices)
    display = CatalogDisplay(links, prices)
    rehearsals = Rehearsals(database, clock, settings)
    rehearsals.notes.append(chat_rehearsing.note)
    rehearsals.clears[:0] = [checkout_rehearsing.clear, chat_rehearsing.clear]
    customers.going_on = rehearsals.going_on
    shows = ShowService(database, clock, settings, display, promotions, rehearsals)
    offers = OfferService(database, clock, settings, display, promotions)
    carts = CartService(database, clock, settings, display, prices, customers.segments_of)
    waitlist = WaitlistService(database, clock, settings, display)
    syndication = assemble(
        database,
        clock,
        settings,
        connectors,
        prices=prices,
        display=display,
        media=media,
        links=links,
    )
    promotions.left_out = syndication.listings.warnings_for
    payments = Payments(
        database,
        clock,
        settings.payments,
        providers_of(settings, database),
        note_captured,
        rehearsal=rehearsal_provider(database),
    )
    carts.deliveries.providers = payments.all_in
    fulfilments = Fulfilments(database, clock, settings, payments)
    on_cancelled = _each_of(
        syndication.exports.on_cancelled,
        lambda tx, order, now: orders.let_go(tx, order, now),  # noqa: PLW0108  # made below
    )
    desk = OrderDesk(database, clock, payments, fulfilments, on_cancelled)
    orders = PlaceOrder(
        database,
        clock,
        settings,
        carts,
        payments,
        on_confirmed=syndication.exports.on_confirmed,
        on_lost=desk.cancel_lost,
    )
    reconciler = Reconciler(database, clock, payments, orders.settle, note_refund, orders.number_of)
    returns = Returns(database, clock, settings, payments)
    feedback = FeedbackService(database, clock)
    moments = OrderMoments(settings.public_url)
    progress = Progress(database, clock, settings, payments, returns, moments.of)
    broker = broker_of(settings.realtime)

    async def show_state(conn: AsyncConnection, show_id: str) -> str | None:
        return await shows_store.state_of(conn, ShowId(show_id))

    chat = ChatService(
        database,
        clock,
        settings.chat,
        viewer_names=customers.display_names,
        show_state=show_state,
        secret=settings.server.secret,
    )

    peaks: dict[str, int] = {}
    database.listen(RehearsalEnded, lambda ended: peaks.update({ended.show_id: 0}))

    async def on_viewers(show_id: str, viewers: int) -> None:
        if viewers <= peaks.get(show_id, 0):
            return
        peaks[show_id] = viewers
        async with database.write() as tx:
            await shows_store.raise_peak(tx.conn, ShowId(show_id), viewers)

    hub = Hub(
        broker,
        buffer_bytes=settings.realtime.buffer_bytes,
        idle_seconds=settings.realtime.idle_seconds,
        readable_per_second=settings.chat.readable_per_second,
        metrics=metrics,
        on_hearts=chat.add_hearts,
        on_viewers=on_viewers,
    )
    publisher = RoomPublisher(broker, metrics)
    database.publish = database.rooms = publisher
    shows.send_away = publisher.renew
    stage = assemble_stage(
        database,
        clock,
        settings,
        shows=shows,
        permissions_of=accounts_store.rights_of,
        send_away=publisher.renew,
        stage_of=syndication.stages.get,
    )
    accounts.on_rights_changed = stage.stream_keys.stop_of_the_dismissed
    database.listen(
        OrderSettled,
        lambda settled: metrics.orders.labels(settled.state).inc(),
        only_here=True,
    )

    authentication = Authentication(
        accounts_http.StaffAuthenticator(accounts),
        customers_http.ViewerAuthenticator(customers),
    )
    public = urlsplit(settings.public_url)
    kit = WebKit(
        clock=clock,
        authenticator=authentication,
        public_origin=f"{public.scheme}://{public.netloc}",
        embed_origins=frozenset(settings.server.embed_origins),
        max_body_bytes=settings.server.max_body_bytes,
        trusted_proxies=settings.server.trusted_proxies,
        metrics=metrics,
    )

    async def door(show_id: str) -> Judge[Show]:
        return await shows.door(ShowId(show_id))

    doors = Doors(door, hub.mark)

    socket = RoomSocket(
        hub,
        kit,
        settings.realtime,
        commands=chat_live.commands(chat, hub),
        bearer=authentication.by_token,
        doors=doors,
    )

    transport = transport_of(settings)
    mail_room = MailRoom(database, clock, settings.mail, transport)
    invoices = Invoices(database, clock, settings)
    letters = Letters(database, clock, settings, mail_room, invoices, moments.of)
    customers.on_forgotten = letters.forget
    inbox = Inbox(database, clock, payments, note_dispute)
    worker_jobs: dict[str, Handler] = {
        order_history.TOPIC: letters.letter_job,
        **publisher.handlers,
    }
    mail_jobs: dict[str, Handler] = {mail_sending.TOPIC: mail_room.send_job}
    reminder_jobs: dict[str, Handler] = {}
    if transport is not None:
        reminder_jobs = reminders.SendReminders(
            database,
            clock,
            settings.mail,
            transport,
            lambda show: f"{settings.public_url}/s/{show}",
        ).handlers
    worker = Worker(
        database, worker_jobs, clock, never_given_up=list(worker_jobs), at_once=_LETTERS_AT_ONCE
    )
    slow_worker = Worker(database, catalog_jobs.handlers(media), clock)
    mail_worker = Worker(database, mail_jobs, clock, never_given_up=[mail_sending.TOPIC])
    reminder_worker = Worker(database, reminder_jobs, clock)
    stage_worker = Worker(
        database, stage.handlers, clock, never_given_up=list(stage.handlers), is_lasting=True
    )
    export_worker = Worker(database, syndication.jobs, clock, never_given_up=list(syndication.jobs))

    def wake_workers() -> None:
        worker.wake()
        slow_worker.wake()
        export_worker.wake()
        mail_worker.wake()
        reminder_worker.wake()
        stage_worker.wake()

    database.on_enqueue = wake_workers

    stock_board = StockBoard(database, display, clock, prices)

    nodes = Nodes.open(
        settings,
        database,
        clock,
        kinds=HEARD_EVERYWHERE,
        on_missed=(stock_board.doubt, syndication.planner.doubt),
    )
    stage.video.ahead_seconds = lambda: nodes.leases.skew_seconds

    shop: Liveshop
    endpoints = [
        *accounts_http.endpoints(accounts),
        *customers_http.endpoints(customers, carts.merge),
        *catalog_http.endpoints(
            catalog,
            media,
            connectors,
            links,
            display=display,
            max_image_bytes=settings.media.max_bytes,
        ),
        *promotions_http.endpoints(promotions),
        *shows_http.endpoints(shows, offers, database),
        *rehearsal_http.endpoints(rehearsals, customers),
        *stage.endpoints,
        *shelf_codes.endpoints(catalog, shows, settings.public_url),
        *chat_http.endpoints(chat, stage.replays.chat_span),
        *chat_snapshot.endpoints(database, shows, chat, hub, doors),
        *checkout_http.endpoints(carts, orders, waitlist, settings),
        *payment_http.endpoints(orders),
        *hooks_http.endpoints(inbox),
        *orders_http.endpoints(database, progress, fulfilments),
        *desk_http.endpoints(desk, returns, feedback, progress.for_staff),
        *invoice_http.endpoints(invoices),
        *mail_http.endpoints(database),
        *syndication.endpoints,
        *insights_http.endpoints(database, settings, shows, chat, hub.viewers_everywhere),
        *health.endpoints(
            {"database": database.ping},
            metrics,
            wished={"rooms": broker.ping, "clock": nodes.leases.check_clock},
            is_draining=lambda: shop.is_draining,
        ),
    ]
    if browser is not None:
        kit.error_page = partial(pages.error_page, browser.pages)
        endpoints += files.endpoints(browser.assets)
        cards = LiveCards(stage.thumbnails.newest, settings.shop.name)
        endpoints += pages.endpoints(
            browser.pages,
            shows,
            database,
            settings,
            lambda: shop.openapi(),  # noqa: PLW0108  # shop is made below
            SharePictures(cards, stage.replays, settings.public_url),
            stage.replays.film,
        )
        endpoints += share_pictures.endpoints(cards, shows, database)
        endpoints += OrderPages(
            browser.pages,
            database,
            settings,
            returns,
            feedback,
            invoices,
            moments.of,
        ).endpoints()

    async def openapi_json(_: Call) -> web.Response:
        return web.json_response(shop.openapi())

    endpoints.append(
        Endpoint(
            "GET",
            "/api/openapi.json",
            openapi_json,
            PUBLIC,
            "This document",
            "operations",
            raw=True,
            any_origin=True,
            documented=False,
        )
    )
    shop = Liveshop(
        settings=settings,
        clock=clock,
        database=database,
        accounts=accounts,
        customers=customers,
        catalog=catalog,
        media=media,
        promotions=promotions,
        shows=shows,
        offers=offers,
        chat=chat,
        carts=carts,
        waitlist=waitlist,
        payments=payments,
        orders=orders,
        reconciler=reconciler,
        fulfilments=fulfilments,
        desk=desk,
        returns=returns,
        feedback=feedback,
        progress=progress,
        stage=stage,
        syndication=syndication,
        broker=broker,
        hub=hub,
        socket=socket,
        monitor=MonitorSocket(
            stage.video.monitor,
            kit,
            bearer=authentication.by_token,
            room_access=doors.check,
            elsewhere=stage.relay.socket if stage.relay else video_live.here,
        ),
        camera=CameraSocket(
            stage.cameras,
            stage.video,
            clock,
            kit,
            bearer=authentication.by_token,
            allow=stage.camera_rights.allow,
        ),
        worker=worker,
        slow_worker=slow_worker,
        export_worker=export_worker,
        mail_worker=mail_worker,
        reminder_worker=reminder_worker,
        stage_worker=stage_worker,
        stock_board=stock_board,
        chores=(chat.forget_addresses, mail_room.drop_old, inbox.drop_old),
        own_chores=stage.chores,
        nodes=nodes,
        endpoints=endpoints,
        kit=kit,
    )
    return shop


def _each_of(*hooks: OnCancelled) -> OnCancelled:
    """One after the other, in the same transaction."""

    async def told(tx: Tx, order: Order, now: datetime) -> None:
        for hook in hooks:
            await hook(tx, order, now)

    return told
