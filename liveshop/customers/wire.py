"""What browsers and storefronts see of viewers."""

from typing import Annotated, Literal

from msgspec import Meta

from liveshop.customers.service import Admitted
from liveshop.kernel.clock import rfc3339
from liveshop.web import PERMISSIONS, Principal, Wire

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class GuestToken(Wire):
    """Send `token` as `Authorization: Bearer ...`; `name` is shown in chat and can be changed."""

    token: str
    viewer_id: str
    name: str
    expires_at: Moment

    @classmethod
    def of(cls, admitted: Admitted) -> "GuestToken":
        return cls(
            token=admitted.token,
            viewer_id=admitted.viewer_id,
            name=admitted.name,
            expires_at=rfc3339(admitted.expires_at),
        )


class SignOn(Wire):
    """`token` is the JWT in which the storefront vouches for its signed-in customer.

    Claims: `sub`, `exp`, `aud`, where configured `iss`; and if it likes `name`, `email`, `locale`
    and `segments`, up to 20 short labels that promotions may ask for.
    """

    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class NameChange(Wire):
    # Longer than a name may be in the end: spaces and invisible characters are cleaned away first.
    name: Annotated[str, Meta(min_length=1, max_length=200)]


class Me(Wire):
    """Whoever the token, key or session speaks for; `viewer_id` for guests and customers only."""

    kind: Literal["guest", "customer", "staff", "api_key"]
    viewer_id: str | None
    name: str
    permissions: list[str]

    @classmethod
    def of(cls, who: Principal, *, name: str | None = None) -> "Me":
        assert who.kind != "anonymous", "the route asks for somebody signed in"
        return cls(
            kind=who.kind,
            viewer_id=who.id if who.is_viewer else None,
            name=who.name if name is None else name,
            permissions=[known for known in PERMISSIONS if known in who.permissions],
        )
