"""Connections that say where a show's video goes, for `shows.destinations`, which is below."""

from liveshop.connect import NeedsAttention, Stage
from liveshop.storage import Database
from liveshop.syndication import connection_store as store
from liveshop.syndication.model import UnknownConnection, WrongRole
from liveshop.syndication.runtime import OpenConnections


class StageConnections:
    def __init__(self, database: Database, open_connections: OpenConnections) -> None:
        self._database = database
        self._open = open_connections

    async def get(self, connection_id: str) -> Stage:
        """Raises UnknownConnection, WrongRole, UnknownConnector, NeedsAttention."""
        async with self._database.read() as conn:
            one = await store.by_id(conn, connection_id)
        if one is None or one.state == "removed":
            raise UnknownConnection("This connection was removed. Choose another.")
        if "stage" not in one.roles:
            raise WrongRole("This connection does not say where video is sent to.")
        if one.state == "paused":
            raise NeedsAttention("The connection is paused. Resume it in the desk.")
        stage: Stage = await self._open.get(connection_id)
        return stage
