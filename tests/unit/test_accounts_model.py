"""Rules of staff, roles and keys: pure, no database."""

from datetime import UTC, datetime, timedelta

import pytest

from liveshop.accounts.model import (
    ROLES,
    ApiKey,
    BadEmail,
    BadExpiry,
    BadPassword,
    LastAdmin,
    Staff,
    TooManyRights,
    UnknownPermission,
    UnknownRole,
    check_admin_remains,
    check_reach,
    checked_expiry,
    checked_password,
    checked_permissions,
    checked_roles,
    normal_email,
)
from liveshop.kernel.ids import KeyId, StaffId
from liveshop.kernel.text import BadText
from liveshop.web import PERMISSIONS, Principal

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


def member(*roles: str, active: bool = True) -> Staff:
    return Staff(StaffId("stf_1"), "a@shop.example", "A", roles, active, NOW)


def test_every_role_grants_known_permissions_only() -> None:
    for role, permissions in ROLES.items():
        assert permissions <= PERMISSIONS.keys(), role
    assert ROLES["admin"] == PERMISSIONS.keys()
    assert "staff:admin" not in ROLES["host"] | ROLES["moderator"] | ROLES["merchant"]


def test_several_roles_add_up() -> None:
    assert member("moderator", "merchant").permissions == ROLES["moderator"] | ROLES["merchant"]


def test_a_switched_off_account_may_nothing() -> None:
    assert member("admin", active=False).permissions == frozenset()


def test_a_key_never_may_more_than_its_owner_may_now() -> None:
    key = ApiKey(KeyId("key_1"), "feed", ("shows:read", "staff:admin"), StaffId("s"), NOW, None)
    assert key.permissions_now(member("admin")) == {"shows:read", "staff:admin"}
    assert key.permissions_now(member("host")) == {"shows:read"}
    assert key.permissions_now(member("admin", active=False)) == frozenset()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [(" Mira@Shop.Example ", "mira@shop.example"), ("root@localhost", "root@localhost")],
)
def test_emails_are_kept_in_one_form(typed: str, kept: str) -> None:
    assert normal_email(typed) == kept


@pytest.mark.parametrize(
    "typed", ["mira", "@shop.example", "mira@", "a@b@c", "a b@shop.example", "a@b..c", "<a@b.c>"]
)
def test_what_is_no_email_is_refused(typed: str) -> None:
    with pytest.raises(BadEmail):
        normal_email(typed)


def test_an_endless_email_is_refused() -> None:
    with pytest.raises(BadText):
        normal_email("a" * 300 + "@shop.example")


@pytest.mark.parametrize("password", ["short-123", "x" * 201, "aaaaaaaaaaaaaaa", ""])
def test_poor_passwords_are_refused(password: str) -> None:
    with pytest.raises(BadPassword):
        checked_password(password)


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert checked_password("pässword-1234") == checked_password("pa\u0308ssword-1234")


def test_roles_and_permissions_are_known_and_at_least_one() -> None:
    assert checked_roles(["admin", "host", "admin"]) == ("host", "admin")
    for roles in ([], ["owner"], ["host", "owner"]):
        with pytest.raises(UnknownRole):
            checked_roles(roles)
    assert checked_permissions(["shows:write", "shows:read"]) == ("shows:read", "shows:write")
    for permissions in ([], ["shows:all"]):
        with pytest.raises(UnknownPermission):
            checked_permissions(permissions)


@pytest.mark.parametrize(
    "expires_at",
    [NOW, NOW - timedelta(days=1), NOW + timedelta(days=4000),
     datetime.fromisoformat("9999-12-31T23:59:59-12:00"),
     datetime.fromisoformat("0001-01-01T00:00:00+12:00")],
)  # fmt: skip
def test_an_expiry_lies_ahead_and_within_reason(expires_at: datetime) -> None:
    with pytest.raises(BadExpiry):
        checked_expiry(expires_at, NOW)


def test_nobody_gives_away_rights_they_lack() -> None:
    by = Principal(kind="api_key", id="key_1", permissions=frozenset({"staff:admin"}))
    check_reach(by, {"staff:admin"})
    check_reach(None, PERMISSIONS)
    with pytest.raises(TooManyRights) as refused:
        check_reach(by, {"staff:admin", "orders:read"})
    assert refused.value.data == {"permissions": ["orders:read"]}


def test_an_admin_must_remain() -> None:
    check_admin_remains([member("host"), member("host", "admin")])
    for everybody in ([], [member("host")], [member("admin", active=False)]):
        with pytest.raises(LastAdmin):
            check_admin_remains(everybody)
