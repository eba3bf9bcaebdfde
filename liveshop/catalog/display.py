"""What other rooms show of the catalog, read in the connection of their own use case."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import media_store, store
from liveshop.catalog.model import UnknownMedia, UnknownProduct
from liveshop.catalog.wire import Image, ImageLinks, Product, product_out
from liveshop.kernel.ids import MediaId, ProductId


class CatalogDisplay:
    def __init__(self, links: ImageLinks) -> None:
        self._links = links

    async def products(
        self, conn: AsyncConnection, product_ids: Iterable[ProductId], now: datetime
    ) -> list[Product]:
        """The products that exist, in this order, with what of them can be had at this moment."""
        stocked = await store.stocked_products(conn, list(product_ids), now)
        return [product_out(one, self._links) for one in stocked.values()]

    async def images(
        self, conn: AsyncConnection, media_ids: Sequence[MediaId]
    ) -> Mapping[str, Image]:
        if not media_ids:
            return {}
        found = await media_store.media_by_ids(conn, media_ids)
        return {media_id: self._links.image(stored.picture) for media_id, stored in found.items()}

    async def check_products(self, conn: AsyncConnection, product_ids: Sequence[ProductId]) -> None:
        """Raises UnknownProduct naming the ones that do not exist."""
        found = await store.products_by_ids(conn, product_ids)
        missing = [one for one in product_ids if one not in found]
        if missing:
            raise UnknownProduct("There is no such product.", data={"product_ids": missing[:20]})

    async def check_media(self, conn: AsyncConnection, media_id: MediaId) -> None:
        if await media_store.media_by_id(conn, media_id) is None:
            raise UnknownMedia("There is no such picture. Upload it first.")
