"""The broker an installation's settings ask for."""

from liveshop.realtime.broker import Broker, MemoryBroker
from liveshop.settings import RealtimeSettings


def broker_of(settings: RealtimeSettings) -> Broker:
    return MemoryBroker(log_size=settings.log_size)
