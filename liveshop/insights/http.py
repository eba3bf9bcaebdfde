"""A show's numbers, as the database knows them; viewers as the people connected now."""

from collections.abc import Awaitable, Callable

from liveshop.chat.service import ChatService
from liveshop.checkout import store as carts
from liveshop.kernel.ids import ShowId
from liveshop.kernel.money import Money
from liveshop.orders import store as orders
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import UnknownShow
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.web import Call, Endpoint, MoneyOut, Wire, permission

ViewersNow = Callable[[str], Awaitable[int]]


class Numbers(Wire):
    viewers: int
    peak_viewers: int
    messages: int
    hearts: int
    orders: int
    revenue: MoneyOut
    carts: int


def endpoints(
    database: Database,
    settings: Settings,
    show_service: ShowService,
    chat: ChatService,
    viewers_now: ViewersNow,
) -> list[Endpoint]:
    async def show_numbers(call: Call) -> Numbers:
        show_id = ShowId(call.params["show_id"])
        async with database.read() as conn:
            show = await show_service.visible(conn, show_id, call.principal)
            is_rehearsed = show.rehearsal is not None
            peak = await shows.peak_viewers(conn, show_id)
            order_count, revenue = await orders.totals_of_show(
                conn, show_id, is_rehearsed=is_rehearsed
            )
            said = await chat.counts(conn, show_id)
            cart_count = await carts.carts_of_show(
                conn, show_id, call.now, is_rehearsed=is_rehearsed
            )
        viewers = await viewers_now(show_id)
        return Numbers(
            viewers=viewers,
            peak_viewers=max(peak, viewers),
            messages=said.messages,
            hearts=said.hearts,
            orders=order_count,
            revenue=MoneyOut.of(Money(revenue, settings.shop.currency)),
            carts=cart_count,
        )

    return [
        Endpoint(
            "GET",
            "/api/shows/{show_id}/numbers",
            show_numbers,
            permission("shows:read"),
            "A show's numbers at this moment; in a rehearsal, those of the rehearsal",
            "shows",
            answer=Numbers,
            errors=(UnknownShow,),
        ),
    ]
