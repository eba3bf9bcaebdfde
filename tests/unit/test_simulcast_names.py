"""A name server that hangs costs nobody else a thread."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from liveshop.video.simulcast.names import Names


async def test_lookups_that_hang_keep_no_thread_from_others() -> None:
    released = threading.Event()
    asked: list[str] = []

    def hang(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        if host == "good":
            return ["127.0.0.1"]
        released.wait(20)
        raise socket.gaierror

    names = Names(hang, most=40)
    try:
        for number in range(36):  # more than the loop's own pool has anywhere usual
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await names.addresses(f"dead-{number}", 1935)
        # The same name again waits for the lookup there is.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await names.addresses("dead-0", 1935)
        assert asked.count("dead-0") == 1
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: 42) == 42
            assert await names.addresses("good", 1935) == ["127.0.0.1"]
    finally:
        released.set()
    async with asyncio.timeout(5):
        with pytest.raises(socket.gaierror):
            await names.addresses("dead-35", 1935)


async def test_lookups_are_bounded() -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        released.wait(20)
        return [host]

    names = Names(hang, most=1)
    first = asyncio.create_task(names.addresses("one", 1935))
    await asyncio.sleep(0)
    try:
        with pytest.raises(TimeoutError):
            await names.addresses("two", 1935)
    finally:
        released.set()
    assert await first == ["one"]
    assert await names.addresses("two", 1935) == ["two"]


async def test_a_name_that_is_none_is_told() -> None:
    def none(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror

    with pytest.raises(socket.gaierror):
        await Names(none).addresses("nobody.invalid", 1935)
    assert await Names().addresses("127.0.0.1", 1935) == ["127.0.0.1"]
