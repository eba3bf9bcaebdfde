"""A process of ours that sends what orders are due, for a test to kill. Not a test.

Arguments: the database's address, and the time at which it believes it lives.
"""

import asyncio
import sys
from datetime import datetime

import builders

from liveshop.connect import Connectors
from liveshop.kernel.clock import ManualClock
from liveshop.settings import SyndicationSettings
from liveshop.storage import Database, Worker
from liveshop.syndication.exporting import OrderExports
from liveshop.syndication.runtime import OpenConnections
from liveshop.syndication.sealing import Sealer


async def main(database_url: str, now: datetime) -> None:
    clock = ManualClock(now)
    database = Database.open(database_url)
    opened = OpenConnections(
        database,
        clock,
        Connectors.installed(),
        Sealer(builders.SECRET),
        SyndicationSettings(private_addresses=True),
    )
    handlers = OrderExports(database, clock, opened.get).handlers()
    worker = Worker(database, handlers, clock, never_given_up=list(handlers))
    while await worker.run_due():
        pass
    await opened.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2])))
