"""What an embed costs the page around it: bytes, shifts, names, cookies, third parties."""

import gzip
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import SIZES, Person, eventually
from playwright.async_api import Request, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOADER_MAX_BYTES = 5_000
PLAYER_MAX_BYTES = 60_000
PAYING_MAX_BYTES = 15_000
CAMERA_MAX_BYTES = 30_000
LAYOUT_SHIFT_MAX = 0.01
BOARD = "Eik serving board"

# Recorded from the first paint on; the entries wait in the page's own performance buffer.
SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  const moved = [];
  const name = (node) => node?.outerHTML?.slice(0, 90) ?? node?.nodeName;
  const told = ({node, previousRect: a, currentRect: b}) =>
    `${name(node)}: ${a.top}+${a.height} to ${b.top}+${b.height}`;
  const watch = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      sum += entry.value;
      moved.push(`${entry.value} ${entry.sources.map(told).join("; ")}`);
    }
  });
  watch.observe({type: "layout-shift", buffered: true});
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {
    watch.disconnect();
    resolve({sum, moved});
  })));
})"""


# The same page about another show, from the first byte on.
ABOUT = """new MutationObserver((_, observer) => {
  const show = document.querySelector("liveshop-show");
  if (!show) return;
  show.setAttribute("show", %s);
  observer.disconnect();
}).observe(document, {childList: true, subtree: true});"""


@pytest.mark.parametrize("size", list(SIZES))
async def test_nothing_moves_when_the_show_arrives(house: House, arrive: Arrive, size: str) -> None:
    viewer = await arrive(size)
    await viewer.visit(house)
    await viewer.film_runs(seconds=1)
    await viewer.see("pinned-card").wait_for()
    # Until the whole page was seen once, pictures far down included.
    await viewer.page.locator("footer").scroll_into_view_if_needed()
    await expect(viewer.page.locator(".grid[aria-busy]")).to_have_count(0)
    await eventually(lambda: _pictures_are_there(viewer), "the pictures of the shelf")
    shifts = await viewer.page.evaluate(SHIFTS)
    assert shifts["sum"] < LAYOUT_SHIFT_MAX, shifts["moved"]


async def _pictures_are_there(viewer: Person) -> Any:
    return await viewer.page.evaluate(
        "() => [...document.querySelectorAll('.grid img')].every((img) => img.complete)"
        " && document.querySelectorAll('.grid img').length > 0"
    )


async def test_loader_and_player_are_light_and_hls_comes_only_for_a_stream(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    scripts: list[Request] = []

    def finished(request: Request) -> None:
        if request.resource_type == "script" and request.url.startswith(house.base):
            scripts.append(request)

    viewer.page.on("requestfinished", finished)
    ended = await house.new_show("Nothing to play", BOARD, state="ended")
    await viewer.page.add_init_script(ABOUT % json.dumps(ended))
    await viewer.page.goto(house.storefront)
    await viewer.open_product(BOARD)
    await viewer.see("cart-open").click()
    assert len(scripts) > 1
    assert not any("hls" in script.url for script in scripts), "nothing plays, nothing to load"
    weights = {urlsplit(script.url).path: await _on_the_wire(script) for script in scripts}
    loader = weights.pop("/embed.js")
    assert loader <= LOADER_MAX_BYTES
    assert sum(weights.values()) <= PLAYER_MAX_BYTES, weights

    assert not any("paying" in script.url for script in scripts), "nothing to pay for"
    await viewer.page.keyboard.press("Escape")
    await viewer.open_product(BOARD)
    async with viewer.page.expect_request_finished(lambda one: "paying" in one.url) as fetched:
        await viewer.add()
    assert await _on_the_wire(await fetched.value) <= PAYING_MAX_BYTES
    count = len(scripts)
    await viewer.go_to_checkout()
    assert len(scripts) == count, "the checkout was waited for"

    await viewer.embed(show=house.show_id)
    await viewer.film_runs()
    assert any("hls" in script.url for script in scripts)


async def test_the_camera_of_the_studio_comes_when_it_is_opened(
    house: House, arrive: Arrive
) -> None:
    show = await house.new_show("From a browser", BOARD)
    host = await arrive()
    scripts: list[Request] = []

    def finished(request: Request) -> None:
        if "/assets/" in request.url and request.url.endswith(".js"):
            scripts.append(request)

    host.page.on("requestfinished", finished)
    await host.sign_in(house.studio)
    await host.page.goto(f"{house.studio}#/shows/{show}")
    await host.see("camera-open").wait_for()
    before = {script.url for script in scripts}
    assert not any("camera" in url for url in before), "nobody goes on camera yet"
    await host.see("camera-open").click()
    # This browser has no camera; what it says of that is in the chunk.
    await expect(host.see("camera-trouble")).to_have_attribute("data-code", "no_camera")
    weights = {
        urlsplit(script.url).path: await _on_the_wire(script)
        for script in scripts
        if script.url not in before
    }
    assert any("camera" in path for path in weights)
    assert sum(weights.values()) <= CAMERA_MAX_BYTES, weights


async def _on_the_wire(request: Request) -> int:
    """Bytes of the compressed body. A body sent uncompressed counts in full."""
    answer = await request.response()
    assert answer is not None
    body = await answer.body()
    if await answer.header_value("content-encoding") != "gzip":
        return len(body)
    sizes = await request.sizes()
    # The browser reports what it received; where it does not, the same compression does.
    return sizes["responseBodySize"] or len(gzip.compress(body, 9))


async def test_the_storefront_talks_to_nobody_else_and_keeps_no_cookie(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    origins: set[str] = set()
    viewer.page.on("request", lambda request: origins.add(_origin(request.url)))
    viewer.page.on("websocket", lambda socket: origins.add(_origin(socket.url)))
    await viewer.visit(house)
    await viewer.film_runs()
    await viewer.say("Good evening")
    await viewer.open_product(BOARD)
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.fill_address()
    await viewer.pay()
    await viewer.order_number()
    own = house.storefront.rstrip("/")
    allowed = {own, house.base, house.base.replace("http", "ws", 1), "blob:", "data:"}
    assert origins <= allowed, origins - allowed
    assert await viewer.context.cookies() == []


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return (
        f"{parts.scheme}:"
        if parts.scheme in ("blob", "data")
        else (f"{parts.scheme}://{parts.netloc}")
    )


async def test_the_page_gains_one_name(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.page.route("**/embed.js", lambda route: route.abort())
    await viewer.page.goto(house.storefront)
    await expect(viewer.page.locator(".grid[aria-busy]")).to_have_count(0)
    names = "() => JSON.stringify(Object.getOwnPropertyNames(window))"
    before = set(json.loads(await viewer.page.evaluate(names)))
    await viewer.page.unroute("**/embed.js")
    await viewer.visit(house)
    await viewer.film_runs()
    await viewer.open_product(BOARD)
    await viewer.add()
    after = set(json.loads(await viewer.page.evaluate(names)))
    assert after - before == {"liveshop"}


async def test_no_page_breaks_its_own_policy(house: House, arrive: Arrive) -> None:
    """Whoever arrived tells of every violation when leaving, here and in all tests."""
    person = await arrive()
    person.foreseen = "stranger.js"
    for path in ("/", f"/s/{house.show_id}", "/api/docs", "/studio", "/desk", "/s/unknown"):
        answer = await person.page.goto(house.base + path)
        assert answer is not None
        policy = await answer.header_value("content-security-policy")
        assert policy, path
        assert "unsafe" not in policy
        await person.page.wait_for_load_state("load")
        # A policy that nothing breaks might not be there: break it on purpose, once per page.
        before = person.refusals
        await person.page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.src = "http://127.0.0.2:9/stranger.js";
              document.head.append(script);
            }"""
        )
        await eventually(
            lambda before=before: _refused(person, before), f"{path} to refuse a stranger's script"
        )


async def _refused(person: Person, before: int) -> bool:
    return person.refusals > before
