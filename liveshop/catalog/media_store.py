"""SQL for pictures: what is stored, and which product shows what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import Picture
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import media, product_image
from liveshop.kernel.ids import MediaId


@dataclass(frozen=True, slots=True)
class StoredImage:
    """`digest` and `extension` name the file; several media may share one."""

    picture: Picture
    digest: str
    extension: str


async def media_by_id(conn: AsyncConnection, media_id: str) -> StoredImage | None:
    return (await media_by_ids(conn, [media_id])).get(MediaId(media_id))


async def media_by_ids(
    conn: AsyncConnection, media_ids: Iterable[str]
) -> dict[MediaId, StoredImage]:
    found: dict[MediaId, StoredImage] = {}
    for ids in in_chunks(media_ids):
        for row in await conn.execute(sa.select(media).where(media.c.id.in_(ids))):
            found[MediaId(row.id)] = _stored(row)
    return found


async def media_by_digest(conn: AsyncConnection, digest: str, *, alt: str) -> StoredImage | None:
    """The same picture with the same text, if it was stored before."""
    statement = (
        sa.select(media)
        .where(media.c.digest == digest, media.c.alt == alt)
        .order_by(media.c.id)
        .limit(1)
    )
    row = (await conn.execute(statement)).first()
    return None if row is None else _stored(row)


async def add_media(conn: AsyncConnection, image: StoredImage, *, now: datetime) -> None:
    await conn.execute(
        sa.insert(media).values(
            id=image.picture.media_id,
            digest=image.digest,
            extension=image.extension,
            width=image.picture.width,
            height=image.picture.height,
            alt=image.picture.alt,
            created_at=now,
        )
    )


async def is_wanted(conn: AsyncConnection, key: str) -> bool:
    """Whether some product waits for the picture of this address."""
    statement = (
        sa.select(product_image.c.key)
        .where(product_image.c.key == key, product_image.c.media_id.is_(None))
        .limit(1)
    )
    return (await conn.execute(statement)).first() is not None


async def attach_media(conn: AsyncConnection, key: str, media_id: str) -> list[str]:
    """Give the picture to every product that waits for it; their ids."""
    waiting = sa.and_(product_image.c.key == key, product_image.c.media_id.is_(None))
    ids = list((await conn.execute(sa.select(product_image.c.product_id).where(waiting))).scalars())
    await conn.execute(
        sa.update(product_image).where(waiting).values(media_id=media_id, problem=None)
    )
    return ids


async def note_problem(conn: AsyncConnection, key: str, problem: str) -> None:
    """Why the picture of this address is missing."""
    await conn.execute(
        sa.update(product_image)
        .where(product_image.c.key == key, product_image.c.media_id.is_(None))
        .values(problem=problem)
    )


async def media_ids_by_key(conn: AsyncConnection, keys: Sequence[str]) -> dict[str, str]:
    """Addresses whose picture is already stored, for whatever product."""
    found: dict[str, str] = {}
    for part in in_chunks(keys):
        statement = sa.select(product_image.c.key, product_image.c.media_id).where(
            product_image.c.key.in_(part), product_image.c.media_id.is_not(None)
        )
        found.update((row[0], row[1]) for row in await conn.execute(statement))
    return found


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredImage:
    media_id = MediaId(row.id)
    return StoredImage(
        Picture(media_id, media_id, row.width, row.height, row.alt), row.digest, row.extension
    )
