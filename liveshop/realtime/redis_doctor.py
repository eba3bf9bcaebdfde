"""What an operator should know of his Redis, in words. Needs the `redis` extra."""

import asyncio

from redis.asyncio import Redis

from liveshop.realtime.redis_facts import (
    LEAST_VERSION,
    config_of,
    info_of,
    keeps_everything,
    version_of,
)
from liveshop.realtime.redis_link import FAULTS
from liveshop.settings import RealtimeSettings

_ANSWER_SECONDS = 5.0


async def problems_of(settings: RealtimeSettings) -> list[str]:
    redis = Redis.from_url(
        settings.redis_url, protocol=2, socket_connect_timeout=_ANSWER_SECONDS, driver_info=None
    )
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            info, config = await info_of(redis), await config_of(redis)
    except FAULTS as error:
        words = str(error) or "it does not answer"
        return [f"realtime.redis_url: Redis cannot be reached or refuses what rooms need ({words})"]
    finally:
        await redis.aclose()
    return problems_in(info, config)


def problems_in(info: dict[str, str], config: dict[str, str]) -> list[str]:
    found = []
    if version_of(info) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        found.append(f"Redis {info.get('redis_version')}: rooms need {least} or newer")
    if info.get("redis_mode") == "cluster":
        found.append("Redis Cluster is not supported: use one server, with a replica if you like")
    if info.get("role") not in (None, "master"):
        found.append("realtime.redis_url: this Redis is a replica and takes nothing")
    if not keeps_everything(info, config):
        found.append(
            "when Redis ends, the rooms' logs are taken for lost and all viewers reload once; with"
            " appendonly yes, appendfsync always and no replicas they go on where they were"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        found.append(
            f"maxmemory-policy {policy}: a full Redis would drop rooms' logs, and their viewers"
            " reload; set noeviction and give it enough memory"
        )
    return found
