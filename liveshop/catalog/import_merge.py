"""What rows of a source change in the products they name. Pure: no I/O, no clock.

A batch of rows is merged into a working copy; what came out changed is then written in bulk. The
first row of a product in a file speaks for the product, later ones only for their variants, so
that the same file always comes to the same end.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from liveshop.catalog.checks import check_variant_count
from liveshop.catalog.import_rows import Facts, Prepared, VariantFacts
from liveshop.catalog.model import MAX_PICTURES, MAX_VARIANTS, BadProduct, Option


@dataclass(slots=True)
class WorkingVariant:
    id: str
    facts: VariantFacts
    digest: str | None
    position: int
    is_active: bool
    source_quantity: int | None
    is_new: bool = False
    is_changed: bool = False
    new_quantity: int | None = None
    """Set the stock to this; None leaves it alone."""
    line: int = 0
    tiers: list[list[int]] | None = None
    """As stored; a source says nothing of them."""
    tiers_currency: str | None = None


@dataclass(slots=True)
class WorkingProduct:
    id: str
    source_id: str
    facts: Facts
    digest: str | None
    options: tuple[Option, ...] = ()
    variants: dict[str, WorkingVariant] = field(default_factory=dict)
    """By the source's id."""
    is_new: bool = False
    is_changed: bool = False
    pictures_changed: bool = False

    @property
    def active(self) -> list[WorkingVariant]:
        found = [variant for variant in self.variants.values() if variant.is_active]
        return sorted(found, key=lambda variant: (variant.position, variant.id))

    @property
    def picture_urls(self) -> list[str]:
        """The product's own, then those that only a variant has."""
        own = [variant.facts.picture_url for variant in self.active]
        urls = dict.fromkeys([*self.facts.gallery, *(url for url in own if url)])
        return list(urls)[:MAX_PICTURES]

    def options_now(self) -> tuple[Option, ...]:
        """The values to choose from, in the order in which they came; old ones keep their place."""
        before = {option.name: option.values for option in self.options}
        active = self.active
        return tuple(
            Option(
                name,
                tuple(
                    dict.fromkeys(
                        [*before.get(name, ()), *(one.facts.values[place] for one in active)]
                    )
                ),
            )
            for place, name in enumerate(self.facts.option_names)
        )


class SeenIds:
    """A set of texts kept as 64-bit hashes in one array: 16 to 32 bytes each, however long.

    The one thing an import remembers of a whole file; a million rows are some 30 MB.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, text: str) -> bool:
        """True when it was not there yet."""
        if 2 * (self._count + 1) > len(self._slots):
            self._grow()
        value = _hash(text)
        place = self._place(value)
        if self._slots[place] == value:
            return False
        self._slots[place] = value
        self._count += 1
        return True

    def __contains__(self, text: str) -> bool:
        value = _hash(text)
        return self._slots[self._place(value)] == value

    def _place(self, value: int) -> int:
        mask = len(self._slots) - 1
        place = value & mask
        while self._slots[place] not in (0, value):
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(8 * 2 * len(old)))
        for value in old:
            if value:
                self._slots[self._place(value)] = value


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


class Merge:
    """A working copy of the products of one batch. `seen` lives as long as the whole import."""

    def __init__(
        self,
        products: Iterable[WorkingProduct],
        *,
        seen_products: SeenIds,
        seen_variants: SeenIds,
        new_product_id: Callable[[], str],
        new_variant_id: Callable[[], str],
    ) -> None:
        self.products = {product.source_id: product for product in products}
        self._owner = {
            source_id: product
            for product in self.products.values()
            for source_id in product.variants
        }
        self._new_product_id = new_product_id
        self._new_variant_id = new_variant_id
        self._seen_products = seen_products
        self._seen_variants = seen_variants

    def add(self, row: Prepared) -> bool:
        """Merge a row; whether that changed anything. Raises BadProduct, and then nothing is."""
        product = self.products.get(row.source_id)
        is_lead = row.source_id not in self._seen_products
        self._check(row, product, is_lead)
        if product is None:
            product = WorkingProduct(
                self._new_product_id(),
                row.source_id,
                row.facts,
                row.digest,
                is_new=True,
                is_changed=True,
                pictures_changed=True,
            )
            self.products[row.source_id] = product
        changed = product.is_new and is_lead
        if is_lead and row.digest != product.digest:
            self._lead(product, row)
            changed = True
        for facts, digest, quantity in row.variants:
            changed |= self._put(product, facts, digest, quantity, row.line)
        if row.is_whole:
            kept = [facts.source_id for facts, _, _ in row.variants]
            changed |= self._order(product, kept)
            for source_id, variant in product.variants.items():
                if variant.is_active and source_id not in kept:
                    _withdraw(product, variant)
                    changed = True
        self._seen_products.add(row.source_id)
        for facts, _, _ in row.variants:
            self._seen_variants.add(facts.source_id)
        return changed

    def _check(self, row: Prepared, product: WorkingProduct | None, is_lead: bool) -> None:
        if row.is_whole and not is_lead:
            raise BadProduct(f"the product {row.source_id} stands in the file a second time")
        for facts, _, _ in row.variants:
            if facts.source_id in self._seen_variants:
                raise BadProduct(f"the id {facts.source_id} stands in the file a second time")
            if product is not None and not row.is_whole and len(product.active) >= MAX_VARIANTS:
                known = product.variants.get(facts.source_id)
                if known is None or not known.is_active:
                    check_variant_count(MAX_VARIANTS + 1)
        if product is None or is_lead:
            return
        if row.facts.option_names != product.facts.option_names:
            theirs = ", ".join(product.facts.option_names) or "none"
            own = ", ".join(row.facts.option_names) or "none"
            raise BadProduct(
                f"the row has the options {own}, the first row of {row.source_id} has {theirs}"
            )
        for facts, _, _ in row.variants:
            twin = _twin(product, facts)
            if twin is not None and twin.facts.source_id in self._seen_variants:
                shown = " / ".join(facts.values) or "no options"
                raise BadProduct(
                    f"{twin.facts.source_id} of {row.source_id} has the same options: {shown}"
                )

    def _lead(self, product: WorkingProduct, row: Prepared) -> None:
        if product.facts.gallery != row.facts.gallery:
            product.pictures_changed = True
        if product.facts.option_names != row.facts.option_names:
            # Variants with other dimensions do not fit any more; their own rows bring them back.
            for variant in product.active:
                _withdraw(product, variant)
        product.facts, product.digest = row.facts, row.digest
        product.is_changed = True

    def _put(
        self,
        product: WorkingProduct,
        facts: VariantFacts,
        digest: str,
        quantity: int | None,
        line: int,
    ) -> bool:
        owner = self._owner.get(facts.source_id)
        if owner is not None and owner is not product:
            self._move(facts.source_id, owner, product)
        variant = product.variants.get(facts.source_id)
        changed = False
        if variant is None or variant.digest != digest or not variant.is_active:
            twin = _twin(product, facts)
            if twin is not None:
                _withdraw(product, twin)  # its own row, still to come, gives it other values
            variant = self._take(product, variant, facts, digest)
            changed = True
        if quantity is not None and quantity != variant.source_quantity:
            variant.new_quantity = variant.source_quantity = quantity
            changed = True
        variant.line = line
        return changed

    def _take(
        self,
        product: WorkingProduct,
        variant: WorkingVariant | None,
        facts: VariantFacts,
        digest: str,
    ) -> WorkingVariant:
        if variant is None:
            position = 1 + max((v.position for v in product.variants.values()), default=-1)
            variant = WorkingVariant(
                self._new_variant_id(), facts, digest, position, True, None, is_new=True
            )
            product.variants[facts.source_id] = variant
            self._owner[facts.source_id] = product
            product.pictures_changed |= facts.picture_url is not None
        elif variant.facts.picture_url != facts.picture_url or not variant.is_active:
            product.pictures_changed = True
        variant.facts, variant.digest, variant.is_active = facts, digest, True
        variant.is_changed = product.is_changed = True
        return variant

    def _move(self, source_id: str, owner: WorkingProduct, product: WorkingProduct) -> None:
        """The source has put the variant under another product; it keeps its id and its stock."""
        variant = owner.variants.pop(source_id)
        owner.is_changed = owner.pictures_changed = True
        variant.position = 1 + max((v.position for v in product.variants.values()), default=-1)
        variant.digest = None
        product.variants[source_id] = variant
        self._owner[source_id] = product

    def _order(self, product: WorkingProduct, source_ids: list[str]) -> bool:
        changed = False
        for place, source_id in enumerate(source_ids):
            variant = product.variants[source_id]
            if variant.position != place:
                variant.position = place
                variant.is_changed = product.is_changed = changed = True
        return changed


def _twin(product: WorkingProduct, facts: VariantFacts) -> WorkingVariant | None:
    """Another variant on sale with the same values."""
    for variant in product.variants.values():
        if (
            variant.is_active
            and variant.facts.values == facts.values
            and variant.facts.source_id != facts.source_id
        ):
            return variant
    return None


def _withdraw(product: WorkingProduct, variant: WorkingVariant) -> None:
    variant.is_active = False
    variant.is_changed = product.is_changed = product.pictures_changed = True
