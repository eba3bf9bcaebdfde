"""What a Redis says of itself, and whether its log survives a restart."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

LEAST_VERSION = (6, 2)
"""Reading after an ID and not from it (XRANGE with `(`) came with 6.2."""

_NOBODY = "0" * 40


async def info_of(redis: Any) -> dict[str, str]:
    """What a `redis.asyncio.Redis` says, as it says it: the client would turn what looks like a
    number into one."""
    text: Any = await redis.execute_command("EVAL", "return redis.call('INFO')", 0)
    pairs = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


async def config_of(redis: Any) -> dict[str, str]:
    """How its log is written; empty where we may not know, as on many managed servers."""
    try:
        found: Mapping[Any, Any] = await redis.config_get("*append*")
    except ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in found.items()}


def keeps_everything(info: Mapping[str, str], config: Mapping[str, str]) -> bool:
    """Whether whatever it answered is still there after a restart of this server, however it
    ended. Never where another one may take over: replicas are told after the answer."""
    return (
        config.get("appendonly") == "yes"
        and config.get("appendfsync") == "always"
        and config.get("no-appendfsync-on-rewrite") == "no"
        and info.get("role") == "master"
        and info.get("connected_slaves") == "0"
        and info.get("master_replid2", _NOBODY) == _NOBODY  # else it was a replica before
    )


def version_of(info: Mapping[str, str]) -> tuple[int, ...]:
    numbers = info.get("redis_version", "").split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
