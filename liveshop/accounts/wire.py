"""What staff pages and the API see of accounts. No struct has room for a password hash."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from liveshop.accounts import model
from liveshop.accounts.model import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, Role
from liveshop.kernel.clock import rfc3339
from liveshop.web import Wire

Email = Annotated[str, Meta(min_length=3, max_length=254, examples=["mira@shop.example"])]
StaffName = Annotated[str, Meta(min_length=1, max_length=100)]
NewPassword = Annotated[str, Meta(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH)]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=10)]
Permissions = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=40, examples=["shows:read"])]],
    Meta(min_length=1, max_length=20),
]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class SignIn(Wire):
    email: Annotated[str, Meta(min_length=1, max_length=254)]
    password: Annotated[str, Meta(min_length=1, max_length=MAX_PASSWORD_LENGTH)]


class Staff(Wire):
    id: str
    name: str
    email: str
    roles: list[str]
    permissions: list[str]
    active: bool
    created_at: Moment

    @classmethod
    def of(cls, member: model.Staff) -> "Staff":
        return cls(
            id=member.id,
            name=member.name,
            email=member.email,
            roles=list(member.roles),
            permissions=model.in_order(member.permissions),
            active=member.active,
            created_at=rfc3339(member.created_at),
        )


class Session(Wire):
    """`csrf_token` goes into the header X-CSRF-Token of every unsafe request."""

    staff: Staff
    csrf_token: str
    expires_at: Moment


class StaffList(Wire):
    staff: list[Staff]


class StaffInput(Wire):
    email: Email
    name: StaffName
    password: NewPassword
    roles: Roles


class StaffChange(Wire):
    """What is left out stays as it is."""

    name: StaffName | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    password: NewPassword | UnsetType = UNSET


class ApiKey(Wire):
    id: str
    name: str
    permissions: list[str]
    created_by: str
    created_at: Moment
    expires_at: Moment | None

    @classmethod
    def of(cls, key: model.ApiKey) -> "ApiKey":
        return cls(
            id=key.id,
            name=key.name,
            permissions=list(key.permissions),
            created_by=key.created_by,
            created_at=rfc3339(key.created_at),
            expires_at=None if key.expires_at is None else rfc3339(key.expires_at),
        )


class ApiKeyList(Wire):
    keys: list[ApiKey]


class ApiKeyInput(Wire):
    name: StaffName
    permissions: Permissions
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class NewApiKey(Wire):
    """`secret` is shown this once; only its hash is kept."""

    key: ApiKey
    secret: str
