"""Looking at a server before a crowd goes there: which show, is it on, may orders be placed."""

import re
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from liveshop.crowd.plan import Plan
from liveshop.crowd.shop import Guest, NoAnswer, Refused, Shop, understood
from liveshop.kernel.ids import has_prefix

_T = TypeVar("_T")
_ON = ("live", "rehearsal")
_TEST_METHODS = ("rehearsal", "sandbox")
"""Payment methods that take no money: of a rehearsal, and of a server in mode demo or test."""
_METHODS = (*_TEST_METHODS, "invoice")
"""With which a buyer here can pay, the best first."""


class CannotStart(Exception):
    """The text says why, and what to do."""


class _Show(msgspec.Struct):
    id: str
    title: str
    state: str
    starts_at: str | None = None


class _Shows(msgspec.Struct):
    shows: list[_Show]


class _Method(msgspec.Struct):
    id: str
    deliveries: list[str]


class _Country(msgspec.Struct):
    code: str


class _Shop(msgspec.Struct):
    name: str
    countries: list[_Country]
    payment_methods: list[_Method]
    demo: bool = False


class Target(msgspec.Struct, frozen=True):
    """`method`, `country`: how buyers pay and where they live."""

    show_id: str
    title: str
    state: str
    shop: str
    method: str
    country: str


def address_of(url: str) -> tuple[str, str, str]:
    """(base URL, show or "", invitation or "") of a server's address or a show's page. Raises
    CannotStart."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotStart(f"{url} is no address of a server, such as https://shop.example")
    found = re.search(r"shw_[0-9A-Z]{26}", parts.path)
    invitation = parse_qs(parts.query).get("invite", [""])[0]
    return f"{parts.scheme}://{parts.netloc}", found[0] if found else "", invitation


async def look(plan: Plan) -> Target:
    """What the crowd is going to. Raises CannotStart."""
    base = plan.addresses[0]
    shop = Shop(None)
    try:
        guest = await _invited(shop, base, plan) if plan.invitation else Guest("")
        told = await _ask(shop, base, "/api/shop", _Shop, guest.token)
        show = await _show(shop, base, plan.show_id or guest.show_id, guest.token)
    finally:
        await shop.close()
    if show.state not in _ON:
        raise CannotStart(_not_on(show))
    method, country = "", ""
    if plan.buyers:
        method, country = _payment(plan, told)
    return Target(show.id, show.title, show.state, told.name, method, country)


async def _invited(shop: Shop, base: str, plan: Plan) -> Guest:
    try:
        guest = await shop.guest(base, plan.invitation)
    except Refused as error:
        raise CannotStart(f"The invitation does not hold: {error}") from error
    except NoAnswer as error:
        raise CannotStart(_away(base, error)) from error
    if plan.show_id and guest.show_id != plan.show_id:
        raise CannotStart(f"The invitation is to another show: {guest.show_id}.")
    return guest


async def _show(shop: Shop, base: str, show_id: str, token: str) -> _Show:
    if show_id:
        if not has_prefix(show_id, "shw"):
            raise CannotStart(f"{show_id} is no show's id, such as shw_01K…")
        return await _ask(shop, base, f"/api/shows/{show_id}", _Show, token)
    listed = await _ask(shop, base, "/api/shows?state=live", _Shows)
    if not listed.shows:
        raise CannotStart(
            f"No show is live at {base}. Start one; or name one with --show, and for a rehearsal "
            "give the invitation from the studio with --invite."
        )
    if len(listed.shows) > 1:
        names = "\n".join(f"  {show.id}  {show.title}" for show in listed.shows)
        raise CannotStart(f"Several shows are live; choose one with --show:\n{names}")
    return listed.shows[0]


async def _ask(shop: Shop, base: str, path: str, type_: type[_T], token: str = "") -> _T:
    try:
        return understood(await shop.call("GET", f"{base}{path}", token=token), type_)
    except Refused as error:
        if error.status == 404 and path.startswith("/api/shows/"):
            raise CannotStart(
                f"There is no show {path.rsplit('/', 1)[1]} at {base}, or it is not public. For a "
                "rehearsal give the invitation from the studio with --invite."
            ) from error
        if error.status == 404:
            raise CannotStart(f"{base} is not a Liveshop server: {path} is unknown.") from error
        if error.code == "customers_only":
            raise CannotStart(
                "This show is for customers whom a storefront signs on; a crowd are guests."
            ) from error
        raise CannotStart(f"{base} refuses: {error}") from error
    except NoAnswer as error:
        raise CannotStart(_away(base, error)) from error


def _away(base: str, error: NoAnswer) -> str:
    if str(error) == "an answer that makes no sense":
        return f"{base} is not a Liveshop server: it answers something else."
    return f"{base} does not answer: {error}."


def _not_on(show: _Show) -> str:
    words = {
        "draft": "a draft",
        "scheduled": f"scheduled{f' for {show.starts_at}' if show.starts_at else ''}",
        "ended": "over",
        "replay": "over and plays as a replay",
    }
    return (
        f"“{show.title}” is {words.get(show.state, show.state)}, not live. "
        "Start it or its rehearsal first."
    )


def _payment(plan: Plan, shop: _Shop) -> tuple[str, str]:
    """Never by accident: orders of a production server take real stock and send real mail."""
    if not plan.buy:
        raise CannotStart("Buyers place orders. If that is meant, say so with --buy.")
    offered = [method.id for method in shop.payment_methods if "ship" in method.deliveries]
    known = [method for method in _METHODS if method in offered]
    if not shop.demo and not any(method in _TEST_METHODS for method in known):
        raise CannotStart(
            f"“{shop.name}” sells for real: its orders would take stock and be delivered. Buyers "
            "go to a show in rehearsal, by its invitation, or to a server in mode demo or test."
        )
    if not known:
        raise CannotStart(
            f"A buyer here pays by {' or '.join(_METHODS)}; “{shop.name}” offers "
            f"{', '.join(offered) or 'nothing'}."
        )
    if not shop.countries:
        raise CannotStart(f"“{shop.name}” delivers nowhere: shop.shipping names no country.")
    return known[0], shop.countries[0].code
