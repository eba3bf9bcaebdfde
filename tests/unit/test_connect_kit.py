"""What the engine lends: budgets that wait a moment or say when, secrets that no text shows."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from toy_vendor import ToyConnector

from liveshop.connect import (
    GROUP,
    Connectors,
    Kit,
    Limit,
    NeedsAttention,
    RetryLater,
    Secret,
    UnknownConnector,
)
from liveshop.connect.contract import kit_for
from liveshop.connect.registry import BrokenConnector

RATE = Limit("toy.rate", 10, "requests/s", date(2026, 11, 1), "https://toy.example")


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    async with kit_for() as opened:
        yield opened


async def spend(kit: Kit, times: int, *, per_seconds: float, amount: float = 1) -> float:
    """Seconds that it took."""
    begun = asyncio.get_running_loop().time()
    for _ in range(times):
        await kit.spend(RATE, per_seconds=per_seconds, amount=amount)
    return asyncio.get_running_loop().time() - begun


# Budgets


async def test_a_burst_up_to_the_limit_goes_at_once(kit: Kit) -> None:
    assert await spend(kit, 10, per_seconds=3600) < 0.2


async def test_a_short_wait_is_waited(kit: Kit) -> None:
    await spend(kit, 10, per_seconds=0.5)
    assert 0.02 < await spend(kit, 1, per_seconds=0.5) < 0.4


async def test_a_long_wait_is_told_and_not_waited(kit: Kit) -> None:
    await spend(kit, 10, per_seconds=3600)
    for amount, seconds in ((1, 360), (5, 1800), (10, 3600), (99, 3600)):
        with pytest.raises(RetryLater, match=r"toy\.rate") as caught:
            await kit.spend(RATE, per_seconds=3600, amount=amount)
        assert caught.value.after == pytest.approx(seconds, abs=2)


async def test_those_who_wait_count_for_the_next(kit: Kit) -> None:
    async with kit_for(limits={"toy.rate": 1}) as slow:
        await slow.spend(RATE, per_seconds=6)
        waiting = asyncio.create_task(slow.spend(RATE, per_seconds=6))
        await asyncio.sleep(0)
        with pytest.raises(RetryLater) as caught:
            await slow.spend(RATE, per_seconds=6)
        assert caught.value.after == pytest.approx(12, abs=0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        again = asyncio.create_task(slow.spend(RATE, per_seconds=6))
        await asyncio.sleep(0)
        assert not again.done(), "what was given up still counts"
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_a_larger_amount_costs_more(kit: Kit) -> None:
    await kit.spend(RATE, per_seconds=3600, amount=9)
    await kit.spend(RATE, per_seconds=3600, amount=1)
    with pytest.raises(RetryLater):
        await kit.spend(RATE, per_seconds=3600)


async def test_the_operator_sets_another_figure() -> None:
    async with kit_for(limits={"toy.rate": 2, "toy.other": 1}) as kit:
        assert kit.limit(RATE) == 2
        await spend(kit, 2, per_seconds=3600)
        with pytest.raises(RetryLater):
            await kit.spend(RATE, per_seconds=3600)
    async with kit_for(limits={"toy.rate": 0}) as kit:
        with pytest.raises(NeedsAttention, match="set to 0"):
            await kit.spend(RATE, per_seconds=3600)


# Secrets


def test_no_text_shows_a_secret() -> None:
    secret = Secret("hunter2")
    for told in (f"{secret}", repr(secret), f"{[secret]}", str(secret)):
        assert "hunter2" not in told
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret == Secret("hunter2") != Secret("other")
    assert secret != "hunter2"
    assert secret
    assert not Secret("")
    assert hash(secret) == hash(Secret("hunter2"))


# The registry


def connectors(**targets: str) -> Connectors:
    return Connectors(EntryPoint(name, value, GROUP) for name, value in targets.items())


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("gone", "no_such_module:Thing", "no_such_module"),
        ("args", "decimal:getcontext", "not complete"),
        ("half", "collections:OrderedDict", "not complete"),
        ("fails", "json:loads", "cannot be loaded"),
    ],
)
def test_a_broken_connector_is_named_and_spoils_no_other(
    name: str, target: str, words: str
) -> None:
    found = connectors(**{name: target, "ndjson": "connectors.sources.ndjson:Ndjson"})
    with pytest.raises(BrokenConnector, match=words) as caught:
        found.connector(name)
    assert name in str(caught.value)
    assert found.connector("ndjson").name == "ndjson"
    assert found.names == sorted([name, "ndjson"])


def test_a_connector_goes_by_the_name_of_its_entry_point() -> None:
    found = connectors(feed="connectors.sources.ndjson:Ndjson")
    with pytest.raises(BrokenConnector, match="calls itself 'ndjson'"):
        found.connector("feed")


def test_an_unknown_connector_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UnknownConnector, match="Installed: toy"):
        Connectors.of(ToyConnector("poster")).connector("yot")
    with pytest.raises(UnknownConnector, match="Installed: none"):
        Connectors.of().connector("toy")


def test_given_objects_need_no_entry_point() -> None:
    toy = ToyConnector("poster")
    found = Connectors.of(toy)
    assert found.names == ["toy"]
    assert found.connector("toy") is toy
    with pytest.raises(UnknownConnector, match="does not read files"):
        found.file_source("toy")


def test_a_connector_is_loaded_when_first_asked_for_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[Any] = []
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda entry: loads.append(entry) or load(entry))
    found = connectors(ndjson="connectors.sources.ndjson:Ndjson")
    assert found.names == ["ndjson"]
    assert loads == []
    assert found.connector("ndjson") is found.connector("ndjson") is found.file_source("ndjson")
    assert len(loads) == 1
