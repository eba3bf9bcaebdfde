"""The room put together: its services, its endpoints, and what it does in the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.media import MediaService
from liveshop.catalog.wire import ImageLinks
from liveshop.connect import Connectors
from liveshop.kernel.clock import Clock
from liveshop.promotions.prices import Prices
from liveshop.settings import Settings
from liveshop.storage import Database
from liveshop.storage.outbox import Handler
from liveshop.syndication import export_http, feeds, http, post_http
from liveshop.syndication.authorising import Authorisations
from liveshop.syndication.compose import Composer
from liveshop.syndication.connections import ConnectionService
from liveshop.syndication.exporting import OrderExports
from liveshop.syndication.feeds import FeedFiles
from liveshop.syndication.listings import ListingService
from liveshop.syndication.outlets import Outlets
from liveshop.syndication.planning import Planner
from liveshop.syndication.post_pictures import PostPictures
from liveshop.syndication.posts import PostService
from liveshop.syndication.pulling import SourceTurns
from liveshop.syndication.pushing import ListingTurns
from liveshop.syndication.runner import Runner
from liveshop.syndication.runtime import OpenConnections
from liveshop.syndication.sealing import Sealer
from liveshop.syndication.sending import PostTurns
from liveshop.syndication.stages import StageConnections
from liveshop.web import Endpoint


@dataclass(frozen=True, slots=True)
class Syndication:
    """Close it with `close()`."""

    open_connections: OpenConnections
    connections: ConnectionService
    authorisations: Authorisations
    listings: ListingService
    planner: Planner
    posts: PostService
    exports: OrderExports
    stages: StageConnections
    runner: Runner
    endpoints: list[Endpoint]
    jobs: Mapping[str, Handler]
    """Of the outbox; they wait for other people's servers, and none may be given up."""

    async def close(self) -> None:
        await self.open_connections.close()


def assemble(
    database: Database,
    clock: Clock,
    settings: Settings,
    connectors: Connectors,
    *,
    prices: Prices,
    display: CatalogDisplay,
    media: MediaService,
    links: ImageLinks,
) -> Syndication:
    sealer = Sealer(settings.server.secret)
    opened = OpenConnections(database, clock, connectors, sealer, settings.syndication)
    planner = Planner(database, clock, prices, Outlets(database, opened, links))
    planner.listen()
    listings = ListingService(database, clock, planner)
    pictures = PostPictures(media, links, settings)
    composer = Composer(database, settings, display, pictures)
    posts = PostService(database, clock, settings, composer, opened)
    sending = PostTurns(database, clock, composer, opened)
    exports = OrderExports(database, clock, opened.get)
    live_every = timedelta(seconds=settings.syndication.read_back_seconds)
    pushing = ListingTurns(database, clock, opened, links, live_every=live_every)
    pulling = SourceTurns(
        database,
        clock,
        settings.shop,
        settings.syndication,
        opened.get,
        resume_exports=exports.resume,
    )
    connections = ConnectionService(database, clock, settings, connectors, sealer, opened, listings)
    authorisations = Authorisations(database, clock, settings.public_url, sealer, opened)
    feed_files = FeedFiles(database, clock, settings, opened, listings)
    runner = Runner(
        database,
        clock,
        {"source": pulling.turn, "channel": pushing.turn, "poster": sending.turn},
        before=[planner.plan_touched, sending.follow_shows],
    )
    return Syndication(
        open_connections=opened,
        connections=connections,
        authorisations=authorisations,
        listings=listings,
        planner=planner,
        posts=posts,
        exports=exports,
        stages=StageConnections(database, opened),
        runner=runner,
        endpoints=[
            *http.endpoints(connections, authorisations, listings, planner),
            *post_http.endpoints(posts, pictures),
            *export_http.endpoints(exports),
            *feeds.endpoints(feed_files),
        ],
        jobs=exports.handlers(),
    )
