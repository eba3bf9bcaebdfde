"""Draws the README's pictures: `PYTHONPATH=tests python tests/e2e/screenshots.py`.

A demo of its own, two guests and the host with a conversation of their own, then one picture per
screen, reduced to a palette so that the repository stays small.
"""

import asyncio
import io
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import house as demo
import people
from aiohttp import ClientWebSocketResponse
from fakes import meta
from fakes.serving import serve
from PIL import Image
from playwright.async_api import Browser, async_playwright, expect

OUT = demo.ROOT / "examples/quickstart/screenshots"
MAX_BYTES = 400_000
PALETTES = (256, 192, 128, 96)
FLAT = 32
MUG = "Fjord stoneware mug"
SWEATER = "Skagen cable sweater"
FILM_SECONDS = 72
AUDIENCE = 18
PING_EVERY_SECONDS = 15
CONVERSATION = (
    ("Birte", "Good evening from a rainy kitchen"),
    ("Jonas", "Hello everybody! Is the moss glaze darker than on the page?"),
    ("host", "A little, yes. I hold it next to the oat one in a moment."),
    ("Birte", "Does the mug get hot on the outside?"),
    ("host", "The walls are thick, so it stays warm rather than hot."),
    ("Jonas", "Perfect, then two of them"),
    ("Birte", "And it goes into the dishwasher?"),
    ("host", "Every day, ours do too."),
)


async def take(person: people.Person, name: str) -> None:
    await person.animations_end()
    save(name, await person.page.screenshot())


def save(name: str, shot: bytes) -> None:
    """As it is where that is light enough, else with as many colours as the weight allows."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    packed = png(image)
    for colours in PALETTES:
        if len(packed) < MAX_BYTES:
            break
        packed = png(reduced(image, colours))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_bytes(packed)
    print(f"{name:22} {len(packed) / 1000:6.0f} kB")


def png(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def reduced(image: Image.Image, colours: int) -> Image.Image:
    """The colours of the interface stay exactly what they are; the film shares the others."""
    counted = sorted(image.getcolors(image.width * image.height) or (), reverse=True)
    flat = [colour for _, colour in counted[:FLAT]]
    film = image.quantize(colours - FLAT, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in flat for part in colour] + (film.getpalette() or []))
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="liveshop-pictures-") as folder:
        running = demo.House(Path(folder) / "demo")
        await running.start()
        try:
            async with async_playwright() as playwright:
                browser = await people.launch(playwright)
                await talk(running, browser)
                audience = [await running.someone() for _ in range(AUDIENCE)]
                async with AsyncExitStack() as seats:
                    lines = [
                        await seats.enter_async_context(someone.watching(running.show_id))
                        for someone in audience
                    ]
                    for line in lines:
                        await line.send_json({"id": 1, "t": "reaction.send", "count": 3})
                    staying = asyncio.create_task(stay(lines))
                    await draw(running, browser)
                    staying.cancel()
                await browser.close()
        finally:
            await running.stop()


async def stay(lines: list[ClientWebSocketResponse]) -> None:
    """Who says nothing for long is taken to be gone."""
    while True:
        for line in lines:
            await line.send_json({"id": 2, "t": "ping"})
        await asyncio.sleep(PING_EVERY_SECONDS)


async def talk(running: demo.House, browser: Browser) -> None:
    guests = {name: await running.someone(name) for name in ("Birte", "Jonas")}
    host = await people.Person.arrive(browser)
    await host.sign_in(f"{running.studio}#/shows/{running.show_id}")
    for name, text in CONVERSATION:
        if name == "host":
            await host.say(text)
            await expect(host.see("chat-message").filter(has_text=text)).to_be_visible()
        else:
            await guests[name].say(running.show_id, text)
    await host.leave()
    for name, glaze in (("Birte", "Oat"), ("Jonas", "Moss")):
        await buy(running, guests[name].token, name, glaze)


async def buy(running: demo.House, token: str, name: str, glaze: str) -> None:
    variant = await running.variant(MUG, glaze)
    line = {"variant_id": variant["id"], "quantity": 2, "show_id": running.show_id}
    await running.call("POST", "/api/cart/lines", line, token=token)
    quote = await running.call("POST", "/api/cart/quote", {"country": "DE"}, token=token)
    await running.call(
        "POST",
        "/api/orders",
        {
            "expected_total": quote["total"],
            "email": f"{name.lower()}@shop.example",
            "address": {"name": f"{name} Beispiel", "country": "DE", **people.ADDRESS},
            "payment": {"method": "invoice"},
            "show_id": running.show_id,
        },
        token=token,
        **{"Idempotency-Key": f"picture-{name}-0123456789"},
    )


async def draw(running: demo.House, browser: Browser) -> None:
    await draw_viewers(running, browser)
    await draw_checkout(running, browser)
    await draw_staff(running, browser)


async def arrive(browser: Browser, size: str) -> people.Person:
    return await people.Person.arrive(browser, size, scale=2 if size == "390" else 1)


async def draw_viewers(running: demo.House, browser: Browser) -> None:
    """All at the moment when the film shows what the guests talk about."""
    show_page = f"{running.base}/s/{running.show_id}"
    viewers = {}
    for name, address in (
        ("storefront-1440.png", running.storefront),
        ("storefront-390.png", running.storefront),
        ("show-1440.png", show_page),
        ("show-390.png", show_page),
    ):
        viewer = await arrive(browser, "390" if "390" in name else "1440")
        await viewer.page.goto(address)
        await viewer.film_runs(seconds=1)
        if address == running.storefront:
            await scroll_to_show(viewer, above=24)
        viewers[name] = viewer
    mug = (await running.product(MUG))["id"]
    for viewer in viewers.values():
        card = viewer.see("pinned-card")
        await expect(card).to_have_attribute("data-product", mug, timeout=FILM_SECONDS * 1000)
    await viewer.film_runs(seconds=1.2)  # until the film's own caption stands
    shots = {}
    for name, viewer in viewers.items():
        await viewer.animations_end()
        shots[name] = await viewer.page.screenshot()
    for name, shot in shots.items():
        save(name, shot)
        await viewers[name].leave()


async def scroll_to_show(viewer: people.Person, *, above: int) -> None:
    await viewer.page.locator("liveshop-show").evaluate(
        "(show, above) => scrollTo(0, show.getBoundingClientRect().top + scrollY - above)", above
    )


async def draw_checkout(running: demo.House, browser: Browser) -> None:
    buyer = await arrive(browser, "390")
    await buyer.page.goto(running.storefront)
    await buyer.film_runs(seconds=1)
    await scroll_to_show(buyer, above=0)
    await buyer.open_product(SWEATER)
    await buyer.choose("M", "Rust")
    await buyer.add()
    await buyer.go_to_checkout()
    await buyer.fill_address("Birte Beispiel")
    await buyer.see("use-test-card").click()
    await buyer.page.locator("ls-sheet .body").evaluate("(body) => body.scrollTo(0, 0)")
    await scroll_to_show(buyer, above=0)
    await take(buyer, "checkout-390.png")
    await buyer.leave()


async def draw_staff(running: demo.House, browser: Browser) -> None:
    for size in people.SIZES:
        host = await arrive(browser, size)
        await host.sign_in(f"{running.studio}#/shows/{running.show_id}")
        await expect(host.see("order-row")).to_have_count(2)
        await studio_film_runs(host)
        await take(host, f"studio-{size}.png")
        await host.leave()
    merchant = await arrive(browser, "1440")
    await merchant.sign_in(f"{running.desk}#/products", "merchant@lindholm.example")
    await expect(merchant.see("product-row")).to_have_count(13)
    await merchant.page.wait_for_load_state("networkidle")
    await take(merchant, "desk-1440.png")
    await merchant.page.goto(f"{running.desk}#/promotions")
    await merchant.see("promotion-row").filter(has_text="Warm light week").click()
    await expect(merchant.see("preview-variant").first).to_be_visible()
    await take(merchant, "promotion-1440.png")
    await draw_channels(running, merchant)
    await merchant.leave()


async def draw_channels(running: demo.House, merchant: people.Person) -> None:
    """A catalog that refuses one item, and a feed that was fetched."""
    app, fake = meta.make_app()
    refused = (await running.product(SWEATER))["variants"][0]["id"]
    fake.faults.refused_items[refused] = "The picture is too small for clothes."
    async with serve(app) as api_url:
        config = {
            "catalog_id": meta.CATALOG_ID,
            "access_token": meta.USER_TOKEN,
            "app_secret": meta.APP_SECRET,
            "api_url": api_url,
        }
        for connector, title, given in (
            ("meta_catalog", "Meta catalog", config),
            ("google_feed", "Google Merchant", {}),
        ):
            body = {"connector": connector, "title": title, "config": given}
            await running.merchant("POST", "/api/connections", body)
        await merchant.page.goto(f"{running.desk}#/channels/listings")
        await expect(merchant.see("filter-live")).to_be_visible(timeout=60_000)
        await take(merchant, "channels-1440.png")


async def studio_film_runs(host: people.Person) -> None:
    video = host.page.locator("studio-monitor video")

    async def plays() -> bool:
        return bool(await video.evaluate("(v) => v.readyState >= 2 && v.currentTime > 1"))

    await people.eventually(plays, "the studio's monitor to show the film", within=30)


if __name__ == "__main__":
    asyncio.run(main())
