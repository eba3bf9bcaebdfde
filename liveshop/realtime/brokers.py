"""The broker an installation's settings ask for."""

from liveshop.realtime.broker import Broker, MemoryBroker
from liveshop.settings import BadSettings, RealtimeSettings

_NEEDS_CLIENT = "realtime.broker: redis needs its client; install liveshop[redis]"


def broker_of(settings: RealtimeSettings) -> Broker:
    """Raises BadSettings."""
    if settings.broker == "memory":
        return MemoryBroker(log_size=settings.log_size)
    try:
        # Here, not above: a shop on one node needs no client of it.
        from liveshop.realtime.redis_broker import RedisBroker  # noqa: PLC0415
    except ImportError as error:
        raise BadSettings([_NEEDS_CLIENT]) from error
    try:
        return RedisBroker(
            settings.redis_url, prefix=settings.redis_prefix, log_size=settings.log_size
        )
    except ValueError as error:
        raise BadSettings([f"realtime.redis_url: {error}"]) from error


async def problems_of(settings: RealtimeSettings) -> list[str]:
    """What an operator should know of where his rooms' logs live, in words."""
    if settings.broker == "memory":
        return []
    try:
        from liveshop.realtime import redis_doctor  # noqa: PLC0415  # as above
    except ImportError:
        return [_NEEDS_CLIENT]
    return await redis_doctor.problems_of(settings)
