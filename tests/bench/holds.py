"""How many holds a second, and what one costs the server, over HTTP and durable SQLite.

The server is a process of its own, so its CPU is counted alone; the client sends bytes it has made
beforehand over connections that stay open. Beside each figure stands a yardstick of the same run:
empty requests to the same server.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import builders
import served
from pipe import request_bytes
from served import Run, sending

from liveshop.app import opened
from liveshop.kernel.ids import VariantId

_BUYERS = 1500
_SPREAD = 200


async def measure() -> dict[str, Run]:
    """Runs by name: `empty`, `hot` (one variant for all), `spread` (many variants)."""
    with tempfile.TemporaryDirectory() as folder:
        settings = builders.test_settings(Path(folder) / "data")
        (Path(folder) / "data").mkdir()
        async with opened(settings) as shop:
            hot = VariantId((await builders.product(shop, stock=10**6)).variants[0].id)
            sizes = [f"size {number}" for number in range(_SPREAD)]
            many = await builders.product(shop, title="Ring", sizes=sizes, stock=10**5)
            tokens = [shop.customers.new_guest().token for _ in range(_BUYERS)]
        with served.server(settings.data_path, {}) as (pid, port):
            await served.until_ready(port)
            empty = [sending(request_bytes("GET", "/healthz"))] * _BUYERS
            adds = [sending(_add(token, hot)) for token in tokens]
            spread = [
                sending(_add(token, many.variants[number % _SPREAD].id))
                for number, token in enumerate(tokens)
            ]
            await served.run(port, pid, empty[:200])
            return {
                "empty": await served.run(port, pid, empty),
                "hot": await served.run(port, pid, adds),
                "spread": await served.run(port, pid, spread),
            }


def _add(token: str, variant_id: str) -> bytes:
    return request_bytes("POST", "/api/cart/lines", token, {"variant_id": variant_id})


async def holds(figure: Callable[[str, float, str, str], None]) -> None:
    runs = await measure()
    empty, hot, spread = runs["empty"], runs["hot"], runs["spread"]
    where = f"over HTTP, {served.CONNECTIONS} connections, SQLite with synchronous=FULL"
    figure("hold_hot_per_s", hot.per_second, "holds/s", f"one variant, {where}")
    figure("hold_spread_per_s", spread.per_second, "holds/s", f"{_SPREAD} variants, {where}")
    figure("hold_cpu_ms", hot.cpu_ms, "ms", "server CPU for each hold, one variant; limit 1.5")
    figure("hold_spread_cpu_ms", spread.cpu_ms, "ms", "the same, many variants")
    figure("hold_ratio", hot.cpu_ms / empty.cpu_ms, "times", "CPU of an empty request = 1")
