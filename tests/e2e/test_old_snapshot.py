"""A snapshot made for many may be some time old: what happened since is never lost by it."""

import asyncio
from typing import Any

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import eventually
from playwright.async_api import Route, WebSocketRoute, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_reload_by_an_old_snapshot_loses_nothing(house: House, arrive: Arrive) -> None:
    show = await house.new_show("Quiet", state="live")
    somebody = await house.someone()
    viewer = await arrive("390")
    lines: list[WebSocketRoute] = []
    snapshots: list[Any] = []
    is_old = False

    async def line(socket: WebSocketRoute) -> None:
        lines.append(socket)
        socket.connect_to_server()

    async def snapshot(route: Route) -> None:
        nonlocal is_old
        if is_old:
            is_old = False
            await route.fulfill(json=snapshots[0])
            return
        answer = await route.fetch()
        snapshots.append(await answer.json())
        await route.fulfill(response=answer)

    await viewer.page.route_web_socket("**/live/**", line)
    await viewer.page.route("**/snapshot", snapshot)
    await viewer.visit(house, show=show)
    await expect(viewer.see("viewer-count")).to_contain_text("1")  # told by the line
    await somebody.say(show, "before")
    await eventually(viewer.messages, "the message")
    is_old = True
    lines[0].send('{"t":"resume_failed"}')  # as after a log that was lost

    async def came_back() -> bool:
        return len(lines) == 2

    await eventually(came_back, "another line")
    await expect(viewer.see("chat-message").filter(has_text="before")).to_have_count(1)
    await somebody.say(show, "after")
    await expect(viewer.see("chat-message").filter(has_text="after")).to_have_count(1)
    await asyncio.sleep(0.2)
    assert await viewer.messages() == ["before", "after"]
