"""Connections, listings and plans over HTTP, for the merchant's desk."""

from aiohttp import web

from liveshop.connect import UnknownConnector
from liveshop.connect.registry import BrokenConnector
from liveshop.kernel.errors import Invalid, ShopError
from liveshop.syndication import model, wire
from liveshop.syndication.authorising import Authorisations, VendorAway
from liveshop.syndication.connections import ConnectionService
from liveshop.syndication.listings import ListingService
from liveshop.syndication.planning import Planner
from liveshop.web import PUBLIC, Call, Endpoint, permission

_READ = permission("channels:read")
_WRITE = permission("channels:write")
_TAG = "channels"
_UNKNOWN = (model.UnknownConnection,)
_BAD = (Invalid, UnknownConnector, BrokenConnector, model.WrongRole)


def endpoints(
    connections: ConnectionService,
    authorisations: Authorisations,
    listings: ListingService,
    planner: Planner,
) -> list[Endpoint]:
    async def list_connectors(_: Call) -> wire.Connectors:
        return wire.Connectors(connectors=await connections.connectors())

    async def list_connections(_: Call) -> wire.Connections:
        return wire.Connections(connections=await connections.connections())

    async def create_connection(call: Call) -> wire.Connection:
        return await connections.create(call.body)

    async def get_connection(call: Call) -> wire.Connection:
        return await connections.connection(_id(call))

    async def change_connection(call: Call) -> wire.Connection:
        return await connections.change(_id(call), call.body)

    async def change_connection_state(call: Call) -> wire.Connection:
        return await connections.change_state(_id(call), call.body.to)

    async def check_connection(call: Call) -> wire.Diagnosis:
        return wire.Diagnosis(missing=await connections.diagnose(_id(call)))

    async def authorise_connection(call: Call) -> wire.AuthorisationStart:
        return wire.AuthorisationStart(url=await authorisations.authorise(_id(call)))

    async def plan_connection(call: Call) -> wire.Plan:
        await connections.connection(_id(call))
        return await planner.dry_run(_id(call))

    async def sync_connection(call: Call) -> wire.Connection:
        return await connections.sync_soon(_id(call))

    async def list_runs(call: Call) -> wire.Runs:
        return wire.Runs(runs=await connections.runs(_id(call)))

    async def get_run(call: Call) -> wire.Run:
        return await connections.run(call.params["run_id"])

    async def list_listings(call: Call) -> wire.ListedProducts:
        return await listings.products(call.query)

    async def repair_listings(call: Call) -> wire.Repaired:
        await connections.connection(_id(call))
        return wire.Repaired(listings=await listings.repair(_id(call), call.body))

    async def authorised(call: Call) -> web.StreamResponse:
        query = call.request.query
        try:
            connection_id = await authorisations.authorised(
                query.get("state", ""), query.get("code"), query.get("error")
            )
        except (model.BadAuthorisation, VendorAway) as error:
            return _redirect(f"/desk#/channels?problem={error.code}")
        return _redirect(f"/desk#/channels/{connection_id}")

    def endpoint(
        method: str,
        path: str,
        handler: object,
        summary: str,
        answer: type,
        *,
        body: type | None = None,
        query: type | None = None,
        status: int = 200,
        errors: tuple[type[ShopError], ...] = _UNKNOWN,
    ) -> Endpoint:
        return Endpoint(
            method,
            path,
            handler,  # type: ignore[arg-type]
            _READ if method == "GET" else _WRITE,
            summary,
            _TAG,
            body=body,
            query=query,
            answer=answer,
            status=status,
            errors=errors,
        )

    one = "/api/connections/{connection_id}"
    return [
        endpoint(
            "GET",
            "/api/connectors",
            list_connectors,
            "The installed connectors, and what each wants to know",
            wire.Connectors,
            errors=(),
        ),
        endpoint(
            "GET",
            "/api/connections",
            list_connections,
            "Connections to shop systems and channels",
            wire.Connections,
            errors=(),
        ),
        endpoint(
            "POST",
            "/api/connections",
            create_connection,
            "Connect a shop system or channel",
            wire.Connection,
            body=wire.ConnectionInput,
            status=201,
            errors=_BAD,
        ),
        endpoint("GET", one, get_connection, "One connection", wire.Connection),
        endpoint(
            "PATCH",
            one,
            change_connection,
            "Change its title, language or configuration",
            wire.Connection,
            body=wire.ConnectionChange,
            errors=(*_UNKNOWN, *_BAD, model.ConnectionChanged),
        ),
        endpoint(
            "POST",
            f"{one}/state",
            change_connection_state,
            "Pause or resume it, or take everything off the channel and remove it",
            wire.Connection,
            body=wire.NextConnectionState,
        ),
        endpoint(
            "POST",
            f"{one}/check",
            check_connection,
            "Ask the other side whether everything is there that it needs",
            wire.Diagnosis,
        ),
        endpoint(
            "POST",
            f"{one}/authorise",
            authorise_connection,
            "Begin its authorisation at the vendor",
            wire.AuthorisationStart,
            errors=(*_UNKNOWN, model.WrongRole, model.BadConfiguration),
        ),
        endpoint(
            "GET",
            f"{one}/plan",
            plan_connection,
            "What a sync would do now, without doing it",
            wire.Plan,
            errors=(*_UNKNOWN, model.WrongRole),
        ),
        endpoint(
            "POST",
            f"{one}/sync",
            sync_connection,
            "Go through everything now",
            wire.Connection,
        ),
        endpoint("GET", f"{one}/runs", list_runs, "Its last pieces of work", wire.Runs),
        endpoint(
            "POST",
            f"{one}/repair",
            repair_listings,
            "Send listings again that were rejected or have drifted",
            wire.Repaired,
            body=wire.RepairInput,
        ),
        endpoint(
            "GET",
            "/api/runs/{run_id}",
            get_run,
            "A piece of work, with its progress",
            wire.Run,
            errors=(model.UnknownRun,),
        ),
        endpoint(
            "GET",
            "/api/listings",
            list_listings,
            "Product by channel: its state, since when and why",
            wire.ListedProducts,
            query=wire.ListingQuery,
            errors=(Invalid,),
        ),
        Endpoint(
            "GET",
            "/oauth/callback",
            authorised,
            PUBLIC,
            "Where a vendor sends the merchant back to",
            _TAG,
            raw=True,
            documented=False,
        ),
    ]


def _redirect(to: str) -> web.Response:
    return web.Response(status=303, headers={"Location": to})


def _id(call: Call) -> str:
    return call.params["connection_id"]
