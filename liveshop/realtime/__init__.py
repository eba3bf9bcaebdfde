"""The realtime side of a show: one ordered log per room, handed to every viewer without waiting."""

from liveshop.realtime.broker import Broker, MemoryBroker, Receiver
from liveshop.realtime.commands import CommandSpec, Session
from liveshop.realtime.hub import Hub
from liveshop.realtime.model import CloseCode, Event, Position
from liveshop.realtime.publisher import RoomPublisher
from liveshop.realtime.socket import RoomSocket

__all__ = [
    "Broker",
    "CloseCode",
    "CommandSpec",
    "Event",
    "Hub",
    "MemoryBroker",
    "Position",
    "Receiver",
    "RoomPublisher",
    "RoomSocket",
    "Session",
]
