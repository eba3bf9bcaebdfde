"""The cart's HTTP face, and what a widget must know of the shop to show it."""

from collections.abc import Sequence

from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import UnknownVariant
from liveshop.checkout import model, wire
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.paying import order_out
from liveshop.checkout.place import PlaceOrder
from liveshop.checkout.service import CartService
from liveshop.checkout.waitlist import WaitlistService
from liveshop.kernel.errors import Invalid, NotFound, RateLimited, ShopError
from liveshop.kernel.ids import LineId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import is_rehearsing
from liveshop.orders import wire as orders_wire
from liveshop.payments.model import BadPaymentInput, UnknownMethod
from liveshop.promotions.delivery import NotDelivered, ShippingStep
from liveshop.promotions.model import OtherCurrency, UsedUp
from liveshop.settings import Settings
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.web import PUBLIC, VIEWER, Call, Endpoint, MoneyOut, RateLimit, RateLimiter
from liveshop.web.endpoint import Handler

_ORDERS = RateLimit(burst=10, per_second=0.5)


def endpoints(
    carts: CartService, orders: PlaceOrder, waitlist: WaitlistService, settings: Settings
) -> list[Endpoint]:
    attempts = RateLimiter(_ORDERS)
    adds_from_address = RateLimiter(_per_minute(settings.checkout.adds_per_minute))
    orders_from_address = RateLimiter(_per_minute(settings.checkout.orders_per_minute))

    def check_address(limiter: RateLimiter, call: Call) -> None:
        """Guests cost nothing, so what they hold and order is also counted by where they are."""
        limiter.check(
            call.address,
            call.now.timestamp(),
            "Too much at once from your network; wait a little.",
        )

    async def get_cart(call: Call) -> wire.Cart:
        return await carts.cart_of(_viewer(call))

    async def add_to_cart(call: Call) -> wire.Cart:
        given: wire.LineInput = call.body
        check_address(adds_from_address, call)
        return await carts.add_to_cart(
            _viewer(call),
            VariantId(given.variant_id),
            given.quantity,
            ShowId(given.show_id) if given.show_id else None,
        )

    async def set_quantity(call: Call) -> wire.Cart:
        check_address(adds_from_address, call)
        return await carts.set_quantity(_viewer(call), _line(call), call.body.quantity)

    async def remove_line(call: Call) -> wire.Cart:
        return await carts.remove_line(_viewer(call), _line(call))

    async def hold_again(call: Call) -> wire.Cart:
        check_address(adds_from_address, call)
        return await carts.hold_again(_viewer(call))

    async def extend_holds(call: Call) -> wire.Cart:
        return await carts.extend(_viewer(call))

    async def add_code(call: Call) -> wire.Cart:
        return await carts.add_code(_viewer(call), call.body.code, call.address)

    async def remove_code(call: Call) -> wire.Cart:
        return await carts.remove_code(_viewer(call), call.params["code"])

    async def get_waitlist(call: Call) -> wire.Places:
        return await waitlist.places(_viewer(call))

    async def join_waitlist(call: Call) -> wire.Places:
        given: wire.WaitInput = call.body
        check_address(adds_from_address, call)
        return await waitlist.join(
            _viewer(call),
            VariantId(given.variant_id),
            ShowId(given.show_id) if given.show_id else None,
        )

    async def leave_waitlist(call: Call) -> wire.Places:
        return await waitlist.leave(_viewer(call), call.params["place_id"])

    async def quote_cart(call: Call) -> wire.Quote:
        given: wire.QuoteInput = call.body
        return await carts.quote(
            _viewer(call),
            given.country,
            given.language,
            given.delivery.kind,
            given.delivery.store_id,
        )

    async def list_delivery_options(call: Call) -> wire.DeliveryOptions:
        given: wire.OptionsInput = call.body
        return await carts.delivery_options(_viewer(call), given.country, given.language)

    async def variant_delivery(call: Call) -> wire.VariantDelivery:
        query: wire.DeliveryQuery = call.query
        variant_id = VariantId(call.params["variant_id"])
        return await carts.delivery_of(variant_id, query.country, query.language)

    async def place_order(call: Call) -> orders_wire.Order:
        attempts.check(call.principal.id, call.now.timestamp(), "Too many attempts; wait a little.")
        check_address(orders_from_address, call)
        key = call.request.headers["Idempotency-Key"].strip()
        if len(key) > 200 or not key.isprintable():
            raise Invalid("An Idempotency-Key has at most 200 printable characters.")
        wish = OrderWish.of(call.body)
        return order_out(*await orders.place(_viewer(call), key, wish))

    async def get_shop(call: Call) -> wire.Shop:
        return shop_out(settings, orders, in_rehearsal=is_rehearsing(call.principal.id))

    def cart_endpoint(
        method: str,
        path: str,
        handler: Handler,
        what: str,
        *,
        body: type | None = None,
        answer: type = wire.Cart,
        errors: tuple[type[ShopError], ...] = (),
    ) -> Endpoint:
        return Endpoint(
            method,
            path,
            handler,
            VIEWER,
            what,
            "checkout",
            body=body,
            answer=answer,
            errors=errors,
        )

    return [
        Endpoint(
            "GET",
            "/api/shop",
            get_shop,
            PUBLIC,
            "The shop: currency, countries, payment",
            "checkout",
            answer=wire.Shop,
        ),
        cart_endpoint("GET", "/api/cart", get_cart, "The caller's cart"),
        cart_endpoint(
            "POST",
            "/api/cart/lines",
            add_to_cart,
            "Add to the cart and hold the stock",
            body=wire.LineInput,
            errors=(
                OutOfStock,
                model.TooMany,
                model.LimitPerCustomer,
                model.CartFull,
                UnknownVariant,
                UnknownShow,
                CustomersOnly,
                OtherCurrency,
            ),
        ),
        cart_endpoint(
            "PATCH",
            "/api/cart/lines/{line_id}",
            set_quantity,
            "Change a quantity",
            body=wire.QuantityInput,
            errors=(
                OutOfStock,
                model.TooMany,
                model.LimitPerCustomer,
                model.UnknownLine,
                UnknownVariant,
                CustomersOnly,
            ),
        ),
        cart_endpoint(
            "DELETE",
            "/api/cart/lines/{line_id}",
            remove_line,
            "Remove a line",
            errors=(model.UnknownLine,),
        ),
        cart_endpoint(
            "POST", "/api/cart/hold", hold_again, "Take lapsed holds again", errors=(OutOfStock,)
        ),
        cart_endpoint(
            "POST",
            "/api/cart/extend",
            extend_holds,
            "Hold everything longer that may be held longer",
            errors=(model.CannotExtend,),
        ),
        cart_endpoint(
            "POST",
            "/api/cart/codes",
            add_code,
            "Put a code into the cart",
            body=wire.CodeInput,
            errors=(model.CodeNotValid, model.TooManyCodes, RateLimited),
        ),
        cart_endpoint(
            "DELETE",
            "/api/cart/codes/{code}",
            remove_code,
            "Take a code out of the cart",
            errors=(NotFound,),
        ),
        cart_endpoint(
            "POST",
            "/api/cart/quote",
            quote_cart,
            "What the cart costs now",
            body=wire.QuoteInput,
            answer=wire.Quote,
            errors=(model.CartEmpty, NotDelivered, model.UnknownStore, Invalid),
        ),
        cart_endpoint(
            "POST",
            "/api/cart/delivery",
            list_delivery_options,
            "The ways in which the cart can reach its buyer, what they cost and how long they take",
            body=wire.OptionsInput,
            answer=wire.DeliveryOptions,
            errors=(model.CartEmpty,),
        ),
        Endpoint(
            "GET",
            "/api/variants/{variant_id}/delivery",
            variant_delivery,
            PUBLIC,
            "The same for one unit of a variant",
            "checkout",
            query=wire.DeliveryQuery,
            answer=wire.VariantDelivery,
            errors=(UnknownVariant,),
        ),
        cart_endpoint(
            "GET",
            "/api/waitlist",
            get_waitlist,
            "The caller's places in waitlists",
            answer=wire.Places,
        ),
        cart_endpoint(
            "POST",
            "/api/waitlist",
            join_waitlist,
            "Wait for a unit of what is sold out",
            body=wire.WaitInput,
            answer=wire.Places,
            errors=(
                model.StillAvailable,
                model.AlreadyHeld,
                model.CartFull,
                model.NotInRehearsal,
                UnknownVariant,
                UnknownShow,
                CustomersOnly,
            ),
        ),
        cart_endpoint(
            "DELETE",
            "/api/waitlist/{place_id}",
            leave_waitlist,
            "Give up a place",
            answer=wire.Places,
            errors=(model.UnknownPlace,),
        ),
        Endpoint(
            "POST",
            "/api/orders",
            place_order,
            VIEWER,
            "Place the order, once per Idempotency-Key, at exactly the expected total",
            "checkout",
            body=wire.OrderInput,
            answer=orders_wire.Order,
            status=201,
            headers=("Idempotency-Key",),
            errors=(
                model.PriceChanged,
                model.CartChanged,
                OutOfStock,
                model.CartEmpty,
                NotDelivered,
                model.PromiseChanged,
                model.UnknownStore,
                model.CannotCollect,
                model.LimitPerCustomer,
                UsedUp,
                model.PaymentDeclined,
                model.SoldOutWhilePaying,
                model.IdempotencyKeyReused,
                UnknownMethod,
                BadPaymentInput,
                UnknownShow,
                CustomersOnly,
            ),
        ),
    ]


def _per_minute(count: int) -> RateLimit:
    return RateLimit(burst=count, per_second=count / 60)


def shop_out(settings: Settings, orders: PlaceOrder, *, in_rehearsal: bool = False) -> wire.Shop:
    currency = settings.shop.currency
    return wire.Shop(
        name=settings.shop.name,
        currency=currency,
        languages=list(settings.shop.languages),
        countries=[
            wire.ShippingCountry(code, MoneyOut.of(Money(_first_price(steps), currency)))
            for code, steps in orders.rates.shipping.items()
        ],
        payment_methods=[
            wire.PaymentMethodChoice(
                id=provider.method,
                test=provider.is_test,
                deliveries=sorted(provider.deliveries),
                options=dict(provider.options()),
            )
            for provider in (orders.rehearsed_providers if in_rehearsal else orders.providers)
        ],
        hold_seconds=settings.checkout.hold_seconds,
        hold_warning_seconds=settings.checkout.hold_warning_seconds,
        hold_extensions=settings.checkout.hold_extensions,
        waitlist_seconds=settings.checkout.waitlist_seconds,
        reminders=settings.mail.is_configured,
        demo=settings.mode == "demo",
        time_zone=settings.shop.time_zone,
    )


def _first_price(steps: Sequence[ShippingStep]) -> int:
    """What it costs to send the smallest order there."""
    flat = [step.amount for step in steps if step.from_goods == 0]
    return min(flat or [step.amount for step in steps])


def _viewer(call: Call) -> ViewerId:
    return ViewerId(call.principal.id)


def _line(call: Call) -> LineId:
    return LineId(call.params["line_id"])
