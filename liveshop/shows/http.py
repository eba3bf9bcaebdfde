"""The show's HTTP face."""

from aiohttp import web

from liveshop.kernel.errors import Forbidden, Invalid
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.promotions.model import (
    DiscountTooLarge,
    NothingOff,
    OverlappingPromotion,
    TextMissing,
    UnknownPromotion,
    WrongCurrency,
)
from liveshop.shows import model, wire
from liveshop.shows.calendar import calendar_of
from liveshop.shows.offers import OfferService
from liveshop.shows.service import ConsentMissing, RemindersOff, ShowService
from liveshop.storage import Database
from liveshop.web import PUBLIC, Call, Endpoint, RateLimit, RateLimiter, language_of, permission

_REMINDERS = RateLimit(burst=10, per_second=0.2)


def endpoints(service: ShowService, offers: OfferService, database: Database) -> list[Endpoint]:
    reminders = RateLimiter(_REMINDERS)

    async def out(show: model.Show) -> wire.Show:
        async with database.read() as conn:
            return await service.show_out(conn, show)

    async def list_shows(call: Call) -> wire.ShowPage:
        query: wire.ShowQuery = call.query
        return wire.ShowPage(await service.list_shows(query.state, call.principal))

    async def create_show(call: Call) -> wire.Show:
        return await out(await service.create_show(call.body))

    async def get_show(call: Call) -> wire.Show:
        return await out(await service.show_for(_show_id(call), call.principal))

    async def change_show(call: Call) -> wire.Show:
        return await out(await service.change_show(_show_id(call), call.body))

    async def change_show_state(call: Call) -> wire.Show:
        return await out(await service.change_state(_show_id(call), call.body.to))

    async def set_lineup(call: Call) -> wire.Show:
        products = [ProductId(one) for one in call.body.product_ids]
        return await out(await service.set_lineup(_show_id(call), products))

    async def pin_product(call: Call) -> wire.Pin:
        product_id = ProductId(call.body.product_id)
        return wire.Pin.of(await service.pin_product(_show_id(call), product_id))

    async def unpin_product(call: Call) -> wire.Pin:
        return wire.Pin.of(await service.unpin_product(_show_id(call)))

    async def show_calendar(call: Call) -> web.Response:
        show = await service.show_for(_show_id(call), call.principal)
        if show.starts_at is None:
            raise model.NoStart("This show has no start time yet.")
        body = calendar_of(show, url=(await out(show)).page, now=call.now)
        return web.Response(
            body=body,
            content_type="text/calendar",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{show.id}.ics"'},
        )

    async def add_reminder(call: Call) -> wire.Reminder:
        reminders.check(
            call.address, call.now.timestamp(), "Too many sign-ups from here; wait a little."
        )
        return await service.sign_up_for_reminder(_show_id(call), call.body, call.principal)

    async def list_offers(call: Call) -> wire.Offers:
        return await offers.offers(_show_id(call), call.principal)

    async def start_offer(call: Call) -> wire.Offer:
        return await offers.start_offer(_show_id(call), call.body)

    async def stop_offer(call: Call) -> wire.Offer:
        return await offers.stop_offer(_show_id(call), call.params["offer_id"])

    async def preview_offer(call: Call) -> wire.OfferPreview:
        return await offers.preview_offer(_show_id(call), call.body, language_of(call.request))

    write = permission("shows:write")
    hidden = (model.UnknownShow, model.CustomersOnly)
    changes = (model.UnknownShow, model.BadShow, Invalid)
    refusals = (
        model.UnknownShow,
        model.NotInLineup,
        model.BadOffer,
        OverlappingPromotion,
        DiscountTooLarge,
        NothingOff,
        WrongCurrency,
        TextMissing,
        Invalid,
    )
    return [
        Endpoint(
            "GET",
            "/api/shows",
            list_shows,
            PUBLIC,
            "Shows, newest first; drafts for staff",
            "shows",
            query=wire.ShowQuery,
            answer=wire.ShowPage,
            errors=(Forbidden,),
        ),
        Endpoint(
            "POST",
            "/api/shows",
            create_show,
            write,
            "Create a draft",
            "shows",
            body=wire.ShowInput,
            answer=wire.Show,
            status=201,
            errors=changes,
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}",
            get_show,
            PUBLIC,
            "One show",
            "shows",
            answer=wire.Show,
            errors=hidden,
        ),
        Endpoint(
            "PATCH",
            "/api/shows/{show_id}",
            change_show,
            write,
            "Change what is given",
            "shows",
            body=wire.ShowChange,
            answer=wire.Show,
            errors=(*changes, model.NoStart),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/state",
            change_show_state,
            write,
            "Announce, start, end or replay a show",
            "shows",
            body=wire.StateChange,
            answer=wire.Show,
            errors=(*changes, model.WrongState, model.NoStart, model.NoRecording),
        ),
        Endpoint(
            "PUT",
            "/api/shows/{show_id}/lineup",
            set_lineup,
            write,
            "Put products into the lineup, in this order",
            "shows",
            body=wire.Lineup,
            answer=wire.Show,
            errors=changes,
        ),
        Endpoint(
            "PUT",
            "/api/shows/{show_id}/pin",
            pin_product,
            write,
            "Bring a product into focus, from now",
            "shows",
            body=wire.PinInput,
            answer=wire.Pin,
            errors=(model.UnknownShow, model.ShowNotLive, model.NotInLineup),
        ),
        Endpoint(
            "DELETE",
            "/api/shows/{show_id}/pin",
            unpin_product,
            write,
            "No product is in focus",
            "shows",
            answer=wire.Pin,
            errors=(model.UnknownShow,),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/offers",
            list_offers,
            PUBLIC,
            "The offers of a show, newest first; those to come for staff",
            "shows",
            answer=wire.Offers,
            errors=hidden,
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/offers",
            start_offer,
            write,
            "Lower the price of a product in this show, for a while",
            "shows",
            body=wire.OfferInput,
            answer=wire.Offer,
            status=201,
            errors=(*refusals, model.ShowNotLive),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/offers/preview",
            preview_offer,
            write,
            "What viewers would see of an offer",
            "shows",
            body=wire.OfferInput,
            answer=wire.OfferPreview,
            errors=refusals,
        ),
        Endpoint(
            "DELETE",
            "/api/shows/{show_id}/offers/{offer_id}",
            stop_offer,
            write,
            "End an offer now",
            "shows",
            answer=wire.Offer,
            errors=(model.UnknownShow, UnknownPromotion),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/calendar.ics",
            show_calendar,
            PUBLIC,
            "The show as a calendar file",
            "shows",
            raw=True,
            produces=("text/calendar",),
            errors=(*hidden, model.NoStart),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/reminders",
            add_reminder,
            PUBLIC,
            "Be reminded by one mail",
            "shows",
            body=wire.ReminderInput,
            answer=wire.Reminder,
            status=201,
            errors=(*hidden, model.WrongState, RemindersOff, ConsentMissing),
        ),
    ]


def _show_id(call: Call) -> ShowId:
    return ShowId(call.params["show_id"])
