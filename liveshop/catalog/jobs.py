"""Work of the catalog that the outbox runs."""

from typing import Any

import msgspec

from liveshop.catalog.importer import FETCH_TOPIC, FetchImages
from liveshop.catalog.media import MediaService
from liveshop.storage.outbox import Handler


def handlers(media: MediaService) -> dict[str, Handler]:
    """By topic. Each may run twice for one job."""

    async def fetch_images(payload: dict[str, Any]) -> None:
        await media.fetch_images(msgspec.convert(payload, FetchImages).urls)

    return {FETCH_TOPIC: fetch_images}
