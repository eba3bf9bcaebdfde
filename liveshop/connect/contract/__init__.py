"""Contract suites: what every connector promises, to be inherited by the tests of one.

    class TestMyShop(SourceContract):
        connector = "my_shop"                     # the entry point's name

        @asynccontextmanager
        async def far_side(self):
            async with my_fake() as url:          # a fake, or a real server
                yield MyShopFarSide(url)          # a SourceFarSide: puts products there, looks

A suite opens the connector by its entry point with the configuration that the far side gives, and
looks at the far side to see what really came of a call. Needed in the test environment: pytest and
pytest-asyncio with `asyncio_mode = "auto"`. What a far side cannot play is skipped aloud; for good
messages call `pytest.register_assert_rewrite("liveshop.connect.contract")` in `conftest.py`.
"""

from liveshop.connect.contract.channels import ChannelContract
from liveshop.connect.contract.far_side import (
    TOKEN_PREFIX,
    WAIT_SECONDS,
    ChannelFarSide,
    ContractTokens,
    FarOrder,
    FarProduct,
    FarSide,
    Fault,
    FeedItem,
    PosterFarSide,
    SeenListing,
    SeenPost,
    SourceFarSide,
    StageFarSide,
)
from liveshop.connect.contract.feeds import FeedContract
from liveshop.connect.contract.files import FileSourceContract
from liveshop.connect.contract.opening import DictMemory, NoTokens, kit_for, open_connector
from liveshop.connect.contract.posters import PosterContract
from liveshop.connect.contract.sources import SourceContract
from liveshop.connect.contract.stages import StageContract
from liveshop.connect.contract.suite import Contract

__all__ = [
    "TOKEN_PREFIX",
    "WAIT_SECONDS",
    "ChannelContract",
    "ChannelFarSide",
    "Contract",
    "ContractTokens",
    "DictMemory",
    "FarOrder",
    "FarProduct",
    "FarSide",
    "Fault",
    "FeedContract",
    "FeedItem",
    "FileSourceContract",
    "NoTokens",
    "PosterContract",
    "PosterFarSide",
    "SeenListing",
    "SeenPost",
    "SourceContract",
    "SourceFarSide",
    "StageContract",
    "StageFarSide",
    "kit_for",
    "open_connector",
]
