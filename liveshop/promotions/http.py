"""Promotions over HTTP, for the merchant's desk."""

from liveshop.catalog.model import UnknownProduct, UnknownVariant
from liveshop.kernel.errors import Invalid
from liveshop.promotions import model, wire
from liveshop.promotions.service import PromotionService
from liveshop.web import Call, Endpoint, language_of, permission

_READ = permission("promotions:read")
_WRITE = permission("promotions:write")
_TAG = "promotions"
_BAD = (Invalid, UnknownProduct, UnknownVariant)


def endpoints(service: PromotionService) -> list[Endpoint]:
    def out(call: Call, stored: model.Stored) -> wire.Promotion:
        # What this very call ended, it ended after the call came in.
        return wire.promotion_out(stored, max(call.now, stored.updated_at))

    async def list_promotions(call: Call) -> wire.Promotions:
        found, next_ = await service.promotions(call.query)
        return wire.Promotions(
            promotions=[wire.promotion_out(one, call.now) for one in found], next=next_
        )

    async def create_promotion(call: Call) -> wire.Promotion:
        return out(call, await service.create_promotion(call.body))

    async def get_promotion(call: Call) -> wire.Promotion:
        return out(call, await service.promotion(_id(call)))

    async def replace_promotion(call: Call) -> wire.Promotion:
        return out(call, await service.replace_promotion(_id(call), call.body))

    async def change_promotion_state(call: Call) -> wire.Promotion:
        return out(call, await service.change_state(_id(call), call.body.to))

    async def preview_promotion(call: Call) -> wire.Preview:
        return await service.preview(call.body, language_of(call.request))

    return [
        Endpoint(
            "GET",
            "/api/promotions",
            list_promotions,
            _READ,
            "Promotions, newest first",
            _TAG,
            query=wire.PromotionQuery,
            answer=wire.Promotions,
        ),
        Endpoint(
            "POST",
            "/api/promotions",
            create_promotion,
            _WRITE,
            "Create a promotion; it counts from its start on",
            _TAG,
            body=wire.PromotionInput,
            answer=wire.Promotion,
            status=201,
            errors=_BAD,
        ),
        Endpoint(
            "GET",
            "/api/promotions/{promotion_id}",
            get_promotion,
            _READ,
            "One promotion",
            _TAG,
            answer=wire.Promotion,
            errors=(model.UnknownPromotion,),
        ),
        Endpoint(
            "PUT",
            "/api/promotions/{promotion_id}",
            replace_promotion,
            _WRITE,
            "Replace a promotion; open carts see it in their next quote",
            _TAG,
            body=wire.PromotionInput,
            answer=wire.Promotion,
            errors=(
                *_BAD,
                model.UnknownPromotion,
                model.PromotionChanged,
                model.PromotionEnded,
                model.LimitBelowUsed,
            ),
        ),
        Endpoint(
            "POST",
            "/api/promotions/{promotion_id}/state",
            change_promotion_state,
            _WRITE,
            "Pause, resume or end a promotion",
            _TAG,
            body=wire.StateInput,
            answer=wire.Promotion,
            errors=(*_BAD, model.UnknownPromotion, model.PromotionEnded),
        ),
        Endpoint(
            "POST",
            "/api/promotions/preview",
            preview_promotion,
            _READ,
            "What a promotion would do to prices, on every channel; nothing is stored",
            _TAG,
            body=wire.PreviewInput,
            answer=wire.Preview,
            errors=(*_BAD, model.UnknownPromotion),
        ),
    ]


def _id(call: Call) -> str:
    return call.params["promotion_id"]
