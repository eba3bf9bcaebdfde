"""Everything about shows' video, made and tied together: `app` adds sockets and runs the jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.settings import Settings
from liveshop.shows import replay_http, simulcast_http, store, stream_key_http
from liveshop.shows.broadcast import Broadcasts
from liveshop.shows.camera_rights import CameraRights
from liveshop.shows.destinations import Destinations, StageOf, no_stage
from liveshop.shows.model import (
    AudienceChanged,
    RehearsalEnded,
    RehearsalStarted,
    ShowEnded,
    ShowStarted,
)
from liveshop.shows.origin_store import OriginStore
from liveshop.shows.replay_files import ReplayFiles
from liveshop.shows.replays import Replays
from liveshop.shows.service import SendAway, ShowService
from liveshop.shows.stream_keys import (
    EncoderDelayChanged,
    PermissionsOf,
    RightsChanged,
    StreamKeys,
    StreamKeyStopped,
)
from liveshop.shows.video_guard import VideoGuard
from liveshop.storage import Database
from liveshop.storage.outbox import Handler
from liveshop.video import http as video_http
from liveshop.video import replay_http as video_replay_http
from liveshop.video import thumbnail_http
from liveshop.video.archive import archive_of
from liveshop.video.ingest.camera_protocol import CameraLimits
from liveshop.video.ingest.camera_socket import CameraHosts, CameraSocketLimits
from liveshop.video.ingest.rtmp_server import RtmpServer, RtmpServerLimits
from liveshop.video.making import Maker, sweep
from liveshop.video.model import Publishing
from liveshop.video.origins import Origins
from liveshop.video.recorded import Facts
from liveshop.video.recording import Recordings
from liveshop.video.relay import Relay
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks
from liveshop.video.simulcast.connection import Reach
from liveshop.video.simulcast.legs import Simulcasts
from liveshop.video.thumbnail import Thumbnails
from liveshop.web import Endpoint

Job = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stage:
    video: VideoService
    rtmp: RtmpServer
    cameras: CameraHosts
    camera_rights: CameraRights
    recordings: Recordings
    thumbnails: Thumbnails
    stream_keys: StreamKeys
    broadcasts: Broadcasts
    origins: Origins | None
    """None: there is but one node."""
    relay: Relay | None
    guard: VideoGuard
    simulcasts: Simulcasts
    destinations: Destinations
    replays: Replays
    endpoints: Sequence[Endpoint]
    background: Mapping[str, Job]
    """Run for ever, by name."""
    handlers: Mapping[str, Handler]
    """Of outbox topics that take minutes: for a worker of their own."""
    chores: Sequence[Job]
    """Once an hour."""


def assemble(
    database: Database,
    clock: Clock,
    settings: Settings,
    *,
    shows: ShowService,
    permissions_of: PermissionsOf,
    send_away: SendAway,
    stage_of: StageOf = no_stage,
) -> Stage:
    """`permissions_of`: what a member of staff or a key may do. `send_away`: makes everybody in a
    room come again. `stage_of`: the opened connection that says where video is sent on to."""
    least_free_bytes = int(settings.video.least_free_gib * 2**30)
    recordings = Recordings(
        settings.recordings_path,
        clock=clock,
        keep_seconds=settings.video.rewind_seconds,
        least_free_bytes=least_free_bytes,
        is_kept=settings.video.replay_days > 0,
        longest_seconds=settings.video.recording_hours * 3600,
        archive=archive_of(settings.video),
    )
    records = bool(settings.video.rewind_seconds or settings.video.replay_days)
    simulcasts = Simulcasts(
        clock,
        most_legs=settings.video.simulcast_legs,
        reach=Reach(settings.syndication.private_addresses),
    )
    destinations = Destinations(database, clock, settings, simulcasts, stage_of)
    thumbnails = Thumbnails(settings.video.thumbnail_seconds)
    video = VideoService(
        clock=clock,
        settings=settings.video,
        recordings=recordings if records else None,
        taps=[simulcasts.tap, *([thumbnails.tap] if settings.video.thumbnail_seconds else [])],
    )
    stream_keys = StreamKeys(database, clock, settings, permissions_of)
    origins, relay = _among_nodes(database, settings, video)
    broadcasts = Broadcasts(
        database,
        clock,
        next_event=video.next_event,
        grace_seconds=settings.video.grace_seconds,
        nodes=origins,
    )
    if origins is not None:
        origins.on_gone = broadcasts.note_gone
    cameras = CameraHosts(
        CameraSocketLimits(
            protocol=CameraLimits(max_kbit_per_second=settings.video.max_kbit_per_second)
        ),
        transcodes=settings.video.camera_transcodes,
    )
    rtmp = RtmpServer(
        video,
        clock,
        stream_keys.authorise,
        RtmpServerLimits(max_kbit_per_second=settings.video.max_kbit_per_second),
        elsewhere=lambda show_id: (
            cameras.sender_to(show_id) or (origins.sender_to(show_id) if origins else None)
        ),
    )

    def drop(sent: Publishing) -> None:
        sender = rtmp if sent.key_id else cameras
        sender.drop(sent.show_id, sent.person_id or "")

    guard = VideoGuard(
        database,
        clock,
        video,
        sending=lambda: [*rtmp.sending(), *cameras.sending()],
        drop=drop,
        permissions_of=permissions_of,
        send_away=send_away,
    )
    database.listen(ShowStarted, lambda started: video.open(started.show_id))
    database.listen(
        RehearsalStarted,
        lambda one: video.rehearse(one.show_id, one.rehearsal_id, one.at),
    )
    database.listen(
        RehearsalEnded,
        lambda one: video.end_rehearsal(
            one.show_id, for_customers=one.audience == "customers", at=one.at
        ),
    )
    database.listen(ShowEnded, lambda ended: video.end(ended.show_id))
    database.listen(StreamKeyStopped, lambda key: rtmp.drop(key.show_id, key.person_id))
    database.listen(RightsChanged, lambda _: cameras.doubt())
    database.listen(EncoderDelayChanged, lambda new: video.set_delay(new.person_id, new.delay))
    database.listen(
        AudienceChanged,
        lambda new: video.restrict(new.show_id, for_customers=new.audience == "customers"),
    )
    links = PlaybackLinks(settings.server.secret, settings.video.link_hours)
    replays = Replays(database, clock, settings, shows, recordings)

    async def is_here(show_id: ShowId) -> bool:
        """Whether no other node had the show after this one, and has what was recorded then."""
        return origins is None or bool(settings.video.folder) or await origins.was_last(show_id)

    async def on_ended(show_id: ShowId, facts: Facts) -> None:
        if await is_here(show_id):
            await replays.on_ended(show_id, facts)

    recordings.on_ended = on_ended

    files = ReplayFiles(
        database,
        clock,
        recordings,
        Maker(recordings, least_free_bytes=least_free_bytes),
        is_here=is_here,
    )
    replays.cancel = files.cancel
    endpoints = [
        *stream_key_http.endpoints(stream_keys, broadcasts),
        *simulcast_http.endpoints(destinations),
        *replay_http.endpoints(replays),
        *video_replay_http.endpoints(recordings, links, replays.window),
        *video_http.endpoints(video, links, shows.show_for),
        *thumbnail_http.endpoints(thumbnails, video, links),
    ]
    return Stage(
        video=video,
        rtmp=rtmp,
        cameras=cameras,
        camera_rights=CameraRights(database),
        recordings=recordings,
        thumbnails=thumbnails,
        stream_keys=stream_keys,
        broadcasts=broadcasts,
        origins=origins,
        relay=relay,
        guard=guard,
        simulcasts=simulcasts,
        destinations=destinations,
        replays=replays,
        endpoints=relay.passing_on(endpoints) if relay else endpoints,
        background={
            "rehearsals": partial(shows.rehearsals.run, send_away),
            "broadcasts": broadcasts.run,
            "video guard": guard.run,
            "recordings": recordings.run,
            "thumbnails": thumbnails.run,
            "replays": replays.run,
            "recorded files": files.run,
            "simulcasts": simulcasts.run,
            "destinations": destinations.run,
            **({"origins": origins.run} if origins else {}),
            **({"video relay": relay.run} if relay else {}),
        },
        handlers={**files.handlers},
        chores=(
            partial(_end_forgotten, database, recordings),
            replays.expire,
            partial(
                _tidy, settings.recordings_path, replays, is_shared=bool(settings.video.folder)
            ),
        ),
    )


def _among_nodes(
    database: Database, settings: Settings, video: VideoService
) -> tuple[Origins, Relay] | tuple[None, None]:
    url = settings.server.node_url.rstrip("/")
    if not url or not settings.database_url.startswith("postgresql"):
        return None, None
    # Also after a restart it is the node that keeps what it has recorded.
    node = settings.server.node or url
    origins = Origins(OriginStore(database, node=node, url=url), video, node=node)
    video.on_published = origins.published
    video.is_elsewhere = lambda show_id: origins.elsewhere(show_id) is not None
    relay = Relay(origins, settings.server.secret, shares_recordings=bool(settings.video.folder))
    return origins, relay


async def _end_forgotten(database: Database, recordings: Recordings) -> None:
    """Recordings of shows that ended while no server ran, or in its last moment."""
    for show_id in await recordings.unended():
        async with database.read() as conn:
            state = await store.state_of(conn, show_id)
        if state in ("ended", "replay"):
            recordings.end(show_id)


async def _tidy(root: Path, replays: Replays, *, is_shared: bool) -> None:
    """What killed processes left on the disk, and recordings that nobody knows of."""
    await replays.forget(await asyncio.to_thread(partial(_swept, root, is_shared=is_shared)))


def _swept(root: Path, *, is_shared: bool) -> list[ShowId]:
    """The shows of which something is there."""
    try:
        sweep(root, is_shared=is_shared)
        return [ShowId(path.name) for path in root.iterdir()]
    except OSError:  # nothing is recorded yet, or whoever writes tells of it
        return []
