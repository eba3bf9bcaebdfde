"""Rehearsals over HTTP: inviting to one, and coming in by an invitation."""

from liveshop.customers.service import CustomerService
from liveshop.kernel.errors import RateLimited
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire
from liveshop.shows.model import UnknownShow
from liveshop.shows.rehearsals import BadInvitation, NotRehearsing, Rehearsals
from liveshop.web import PUBLIC, Call, Endpoint, permission


def endpoints(rehearsals: Rehearsals, customers: CustomerService) -> list[Endpoint]:
    async def invite_to_rehearsal(call: Call) -> wire.Invitation:
        return await rehearsals.invite(ShowId(call.params["show_id"]))

    async def join_rehearsal(call: Call) -> wire.RehearsalGuest:
        given: wire.InvitationInput = call.body
        try:
            rehearsal = await rehearsals.invited(given.invitation)
        except BadInvitation:
            customers.check_invitations(call.address, call.now)
            raise
        admitted = customers.new_rehearsal_guest(rehearsal.id, call.address)
        return wire.RehearsalGuest(
            token=admitted.token,
            viewer_id=admitted.viewer_id,
            name=admitted.name,
            expires_at=admitted.expires_at,
            show_id=rehearsal.show_id,
        )

    return [
        Endpoint(
            "POST",
            "/api/shows/{show_id}/rehearsal/invite",
            invite_to_rehearsal,
            permission("shows:write"),
            "An invitation to the rehearsal of a show, which ends with it",
            "shows",
            answer=wire.Invitation,
            errors=(UnknownShow, NotRehearsing),
        ),
        Endpoint(
            "POST",
            "/api/rehearsals/guests",
            join_rehearsal,
            PUBLIC,
            "Come in as a guest of a rehearsal, for the one show of the invitation",
            "viewers",
            body=wire.InvitationInput,
            answer=wire.RehearsalGuest,
            status=201,
            errors=(BadInvitation, RateLimited),
        ),
    ]
