"""This process among others on the same database: its leases, its signals to and from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from liveshop.kernel.clock import Clock
from liveshop.settings import Settings
from liveshop.storage.engine import Database
from liveshop.storage.leases import Job, Leases, node_name
from liveshop.storage.signals import Signals

_CONNECTIONS = 2
_ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Nodes:
    """`jobs` belong to the background work of whatever runs leased jobs; `close()` in the end."""

    leases: Leases
    jobs: Mapping[str, Job]
    _own: Database | None
    """With connections of its own: what is said among nodes must not wait for a busy shop's."""

    @classmethod
    def open(
        cls,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        kinds: Sequence[type],
        on_missed: Sequence[Callable[[], None]],
    ) -> "Nodes":
        """`kinds`: signals that all nodes hear. `on_missed`: some were not heard, or another node
        died before it told all. Connects to nothing yet."""
        name = node_name(settings.server.node, settings.server.port)
        if settings.realtime.broker == "memory":
            return cls(Leases(database, clock, name, alone=True), {}, None)
        own = Database.open(
            settings.database_url,
            pool_size=_CONNECTIONS,
            busy_timeout_seconds=_ANSWER_SECONDS,
            lock_timeout_seconds=_ANSWER_SECONDS,
        )
        leases = Leases(own, clock, name, url=settings.server.node_url, alone=False)

        def missed() -> None:
            for told in on_missed:
                told()

        leases.on_lost(lambda _: missed())
        signals = Signals(database, own, kinds, on_missed=missed)
        return cls(leases, {"leases": leases.run, "signals": signals.run}, own)

    async def close(self) -> None:
        if self._own is not None:
            await self.leases.close()
            await self._own.close()
