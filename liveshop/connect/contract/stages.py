"""What every stage promises: an address and a key for a show, the same ones when asked again."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from liveshop.connect.connector import Role
from liveshop.connect.contract import samples
from liveshop.connect.contract.far_side import StageFarSide
from liveshop.connect.contract.suite import FarSideContract
from liveshop.connect.stages import Stage, StageShow


class StageContract(FarSideContract[StageFarSide, Stage]):
    """Inherit it, set `connector`, and write `far_side`: see `StageFarSide`."""

    role: ClassVar[Role] = "stage"
    protocol: ClassVar[Any] = Stage

    def show(self, number: int) -> StageShow:
        return StageShow(
            key=f"shw_{number}",
            title=f"Autumn mugs {number}",
            description="New mugs, shown live.",
            language="en",
            starts_at=self.clock().now(),
            link=f"{samples.SHOP}/s/shw_{number}",
        )

    async def act(self, side: Stage) -> None:
        await side.target(self.show(1))

    async def test_it_tells_where_the_far_side_waits_for_the_show(self) -> None:
        async with self.both() as (stage, far):
            target = await stage.target(self.show(1))
            assert [target] == list(await far.targets())

    async def test_the_address_is_one_of_rtmp_and_holds_no_key(self) -> None:
        async with self.both() as (stage, _):
            target = await stage.target(self.show(1))
            parts = urlsplit(target.url)
            assert parts.scheme in ("rtmp", "rtmps")
            assert parts.hostname
            assert parts.path.strip("/"), "the application is missing"
            assert target.key
            assert target.key not in target.url
            assert target.key not in repr(target)

    async def test_asking_again_makes_no_second_broadcast(self) -> None:
        async with self.far_side() as far:
            async with self.opened(far) as stage:
                first = await stage.target(self.show(1))
                assert await stage.target(self.show(1)) == first
            async with self.opened(far) as stage:  # as after a restart
                assert await stage.target(self.show(1)) == first
            assert [first] == list(await far.targets())

    async def test_the_same_after_a_lost_answer(self) -> None:
        async with self.far_side() as far, self.opened(far) as stage:
            if "lost_answer" in far.faults:
                await far.fault("lost_answer")
                await self.error_of(stage.target(self.show(1)))
                await far.heal()
            target = await stage.target(self.show(1))
            assert [target] == list(await far.targets())
