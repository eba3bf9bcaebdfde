"""Destinations and simulcasts over HTTP."""

from liveshop.kernel.ids import ShowId
from liveshop.shows import simulcast_wire as wire
from liveshop.shows.destinations import (
    Destinations,
    ShowForCustomers,
    TooManyDestinations,
    UnknownDestination,
)
from liveshop.shows.model import UnknownShow, WrongState
from liveshop.video.simulcast.address import BadDestination
from liveshop.web import Call, Endpoint, permission


def endpoints(destinations: Destinations) -> list[Endpoint]:
    async def list_destinations(call: Call) -> wire.DestinationList:
        return await destinations.destinations()

    async def create_destination(call: Call) -> wire.Destination:
        return await destinations.create(call.body)

    async def change_destination(call: Call) -> wire.Destination:
        return await destinations.change(call.params["destination_id"], call.body)

    async def remove_destination(call: Call) -> None:
        await destinations.remove(call.params["destination_id"])

    async def get_simulcast(call: Call) -> wire.Simulcast:
        return await destinations.simulcast(_show_id(call))

    async def switch_leg(call: Call) -> wire.Simulcast:
        return await destinations.switch(
            _show_id(call), call.params["destination_id"], is_on=call.body.is_on
        )

    read, write = permission("shows:read"), permission("shows:write")
    return [
        Endpoint(
            "GET",
            "/api/destinations",
            list_destinations,
            read,
            "Where shows can be sent on to; keys are never shown",
            "shows",
            answer=wire.DestinationList,
        ),
        Endpoint(
            "POST",
            "/api/destinations",
            create_destination,
            write,
            "Add a destination: address and stream key as the platform shows them",
            "shows",
            body=wire.DestinationInput,
            answer=wire.Destination,
            status=201,
            errors=(BadDestination, TooManyDestinations),
        ),
        Endpoint(
            "PATCH",
            "/api/destinations/{destination_id}",
            change_destination,
            write,
            "Change a destination; another address needs its key with it",
            "shows",
            body=wire.DestinationChange,
            answer=wire.Destination,
            errors=(UnknownDestination, BadDestination),
        ),
        Endpoint(
            "DELETE",
            "/api/destinations/{destination_id}",
            remove_destination,
            write,
            "Remove a destination; nothing is sent there any more",
            "shows",
            status=204,
            errors=(UnknownDestination,),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/simulcast",
            get_simulcast,
            read,
            "Where a show is sent on to, and how that goes",
            "shows",
            answer=wire.Simulcast,
            errors=(UnknownShow,),
        ),
        Endpoint(
            "PUT",
            "/api/shows/{show_id}/simulcast/{destination_id}",
            switch_leg,
            write,
            "Send a show to a destination, or stop that; counts at once",
            "shows",
            body=wire.LegSwitch,
            answer=wire.Simulcast,
            errors=(
                UnknownShow,
                UnknownDestination,
                WrongState,
                ShowForCustomers,
                TooManyDestinations,
            ),
        ),
    ]


def _show_id(call: Call) -> ShowId:
    return ShowId(call.params["show_id"])
