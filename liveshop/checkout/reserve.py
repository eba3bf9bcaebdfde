"""Group commit: what buyers put into their carts at the same moment shares one transaction.

A durable commit costs more than everything else about a hold, and a statement for sixty-four carts
costs little more than one for a single cart. So while a group is being written the next one
gathers; a wish that comes alone is written at once. Each wish keeps its own answer: of a group, the
first come get what there is, and who is refused changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import UnknownVariant
from liveshop.checkout import store, wire
from liveshop.checkout.carts import Bought, Carts
from liveshop.checkout.groups import one_each, together_or_alone
from liveshop.checkout.holding import Need
from liveshop.checkout.model import (
    Article,
    Cart,
    CartLine,
    Terms,
    UnknownLine,
    check_customer_limit,
    units_of,
)
from liveshop.customers.model import is_guest
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LineId, ShowId, VariantId, ViewerId, new_id
from liveshop.kernel.rehearsals import shelf_of
from liveshop.promotions.model import OtherCurrency
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.storage import Database, Together, Tx

_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """`quantity` more of a variant, or exactly so much of a line that is there."""

    viewer_id: ViewerId
    quantity: int
    variant_id: VariantId | None = None
    line_id: LineId | None = None
    show_id: ShowId | None = None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a group is decided by, read once for all of it."""

    carts: Mapping[ViewerId, Cart]
    articles: Mapping[VariantId, Article]
    terms: Mapping[ShowId, Terms]
    bought: Bought


class Reservations:
    def __init__(self, database: Database, clock: Clock, carts: Carts) -> None:
        self._database = database
        self._clock = clock
        self._carts = carts
        self._groups = Together(self._answer, at_most=_AT_MOST)

    async def ask(self, wish: Wish) -> wire.Cart:
        """Raises OutOfStock, TooMany, LimitPerCustomer, CartFull, UnknownVariant, UnknownShow,
        CustomersOnly, UnknownLine; the cart then stays as it was.
        """
        return await self._groups.ask(wish)

    async def _answer(self, wishes: Sequence[Wish]) -> list[wire.Cart | Exception]:
        """One transaction, and another for what a viewer wished meanwhile in a second tab."""
        return await one_each(self._each, wishes, lambda wish: [wish.viewer_id])

    async def _each(self, group: Sequence[Wish]) -> list[wire.Cart | Exception]:
        return await together_or_alone(self._write, group)

    async def _write(self, group: Sequence[Wish]) -> list[wire.Cart | Exception]:
        now = self._clock.now()
        async with self._database.write() as tx:
            wanted = await self._variants(tx, group, now)
            refreshed = await self._carts.shelf.refreshed(tx, set(wanted.values()), now)
            facts = await self._look(tx.conn, group, wanted, now)
            answers: dict[int, wire.Cart | Exception] = {}
            needs: dict[int, Need] = {}
            for number, wish in enumerate(group):
                try:
                    needs[number] = self._need(wish, wanted.get(number), facts, now)
                except ShopError as error:
                    answers[number] = error
            ended = await self._carts.shelf.hold_each(tx, list(needs.values()), refreshed, now)
            held: dict[int, CartLine] = {}
            for number, one in zip(needs, ended, strict=True):
                if isinstance(one, CartLine):
                    held[number] = one
                else:
                    answers[number] = one
            carts = await self._keep(
                tx, [(facts.carts[group[n].viewer_id], held[n]) for n in held], now
            )
            shown = await self._carts.shown_each(tx.conn, carts, now) if carts else []
            answers |= dict(zip(held, shown, strict=True))
        return [answers[number] for number in range(len(group))]

    async def _variants(self, tx: Tx, group: Sequence[Wish], now: datetime) -> dict[int, VariantId]:
        """The variant of each wish, but of those about lines that are gone. Locks the carts."""
        await store.lock(tx.conn, [wish.viewer_id for wish in group], now)
        by_line = [wish.viewer_id for wish in group if wish.line_id is not None]
        lines = await store.variants_of_lines(tx.conn, by_line) if by_line else {}
        found: dict[int, VariantId] = {}
        for number, wish in enumerate(group):
            variant_id = wish.variant_id if wish.line_id is None else lines.get(wish.line_id)
            if variant_id is not None:
                found[number] = variant_id
        return found

    async def _look(
        self,
        conn: AsyncConnection,
        group: Sequence[Wish],
        wanted: Mapping[int, VariantId],
        now: datetime,
    ) -> _Facts:
        carts = await self._carts.load(conn, [wish.viewer_id for wish in group], now)
        known = {line.variant_id: line.article for cart in carts.values() for line in cart.lines}
        new = set(wanted.values()) - known.keys()
        articles = known | await store.articles(conn, new)
        show_ids = {wish.show_id for wish in group if wish.show_id is not None}
        terms = await store.terms_of_shows(conn, show_ids, self._carts.hold_seconds)
        rationed = {
            (group[number].viewer_id, articles[variant_id].item.product_id)
            for number, variant_id in wanted.items()
            if variant_id in articles and articles[variant_id].max_per_customer is not None
        }
        bought = await self._carts.bought_of(conn, rationed)
        return _Facts(carts, articles, terms, bought)

    def _need(self, wish: Wish, variant_id: VariantId | None, facts: _Facts, now: datetime) -> Need:
        """What it takes to grant a wish. Raises why it cannot be."""
        if variant_id is None:
            raise UnknownLine("This line is not in your cart any more.")
        cart = facts.carts[wish.viewer_id]
        article = facts.articles.get(variant_id)
        if article is None or not article.is_for_sale:
            raise UnknownVariant("This is not sold here any more.")
        if article.item.price.currency != cart.currency:
            raise OtherCurrency(
                f"This is not sold in {cart.currency}.", data={"variant_id": variant_id}
            )
        check_show(wish.show_id, wish.viewer_id, facts.terms)
        before = cart.line_of(variant_id)
        line = self._line(wish, article, before, facts, now)
        quantity = wish.quantity
        if before is None:
            self._carts.limits.check_room(len(cart.lines))
        elif wish.line_id is None:
            quantity += before.quantity
        self._carts.limits.check_quantity(quantity)
        others = units_of(cart.lines, line.product_id) - (before.quantity if before else 0)
        if before is not None and quantity > before.quantity:
            check_show_of_line(line, wish.viewer_id)
        if before is None or quantity > before.quantity:
            bought = facts.bought.get((wish.viewer_id, line.product_id), 0)
            check_customer_limit(article, others + quantity, bought)
        until = None if line.terms.is_first_paid else line.terms.until(now)
        return Need(wish.viewer_id, line, quantity, until)

    def _line(
        self, wish: Wish, article: Article, before: CartLine | None, facts: _Facts, now: datetime
    ) -> CartLine:
        """As it stands; it belongs to the show it was last added in, whose prices the buyer saw."""
        terms = facts.terms[wish.show_id] if wish.show_id else None
        if before is not None:
            return replace(before, show_id=wish.show_id, terms=terms) if terms else before
        return CartLine(
            id=LineId(new_id("lin", now)),
            article=article,
            quantity=wish.quantity,
            show_id=wish.show_id,
            terms=terms or self._carts.terms,
        )

    async def _keep(
        self, tx: Tx, held: Sequence[tuple[Cart, CartLine]], now: datetime
    ) -> list[Cart]:
        """Write the lines down, with what they claim; the carts as they are now."""
        new = [(cart, line) for cart, line in held if cart.line_of(line.variant_id) is None]
        changed = [line for cart, line in held if cart.line_of(line.variant_id) is not None]
        await store.add_lines(tx.conn, [(cart.id, line) for cart, line in new], now)
        await store.change_lines(tx.conn, changed)
        await self._carts.claim(tx, [(cart.viewer_id, line) for cart, line in held], now)
        return [cart.with_line(line) for cart, line in held]


def check_show(show_id: ShowId | None, viewer_id: ViewerId, terms: Mapping[ShowId, Terms]) -> None:
    """Whether somebody may have what a show sells: of one in rehearsal, those who take part, who
    buy nothing else. Raises UnknownShow, CustomersOnly."""
    shelf = shelf_of(viewer_id)
    if show_id is None and shelf is None:
        return
    if show_id is None or show_id not in terms or terms[show_id].rehearsal != shelf:
        raise UnknownShow("There is no such show.")
    if shelf is None and terms[show_id].for_customers and is_guest(viewer_id):
        raise CustomersOnly(
            "This show is for customers of the shop. Sign in at the shop and open it from there.",
            data={"show_id": show_id},
        )


def check_show_of_line(line: CartLine, viewer_id: ViewerId) -> None:
    """Whether somebody may still have a line at the prices of its show. Raises CustomersOnly."""
    if line.show_id is not None and shelf_of(viewer_id) is None:
        check_show(line.show_id, viewer_id, {line.show_id: line.terms})
