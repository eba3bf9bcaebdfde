"""Destinations and simulcasts on the wire. Keys go in and never come out."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from liveshop.video.simulcast.leg import Reason
from liveshop.web import Wire

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Url = Annotated[str, Meta(max_length=2000, description="rtmp:// or rtmps://, without the key")]
Key = Annotated[str, Meta(min_length=1, max_length=1000)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]


class Destination(Wire):
    """Where video can be sent to. `connection_id`: that connection supplies address and key."""

    id: str
    name: str
    url: str
    has_key: bool
    connection_id: str | None
    created_at: datetime


class DestinationList(Wire):
    destinations: list[Destination]


class DestinationInput(Wire):
    """`url` and `key` as the platform shows them, or a `connection_id` instead of both."""

    name: Name
    url: Url = ""
    key: Key | None = None
    connection_id: Id | None = None


class DestinationChange(Wire):
    """What is left out stays as it is. With another `url` comes its `key`: a stored key is sent to
    no other server."""

    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    key: Key | UnsetType = UNSET


class Leg(Wire):
    """One destination of a show. `off`: not wanted; `waiting`: wanted, and there is no picture to
    send; `retrying` again at `retry_at`; `refused`: the other side does not want it, which somebody
    has to mend (it is tried again all the same), or with reason `customers` the show is not for
    everyone. `reason` and, in English, `detail` say what is wrong."""

    destination_id: str
    name: str
    is_on: bool
    state: Literal["off", "waiting", "connecting", "live", "retrying", "refused"]
    since: datetime | None
    kbit_per_second: int | None
    left_out_seconds: float
    reconnects: int
    retry_at: datetime | None
    reason: Reason | None
    detail: str | None


class Simulcast(Wire):
    legs: list[Leg]


class LegSwitch(Wire):
    is_on: bool
