"""People in front of a browser: opening one, and what they can see and do on each page.

The only hook into the player is what any script on the page can reach: the open shadow roots.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    expect,
)

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SIZES = {"1440": WIDE, "390": PHONE}
WITHIN_MS = 15_000
AXE = Path(__file__).resolve().parents[2] / "widgets/node_modules/axe-core/axe.min.js"
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
PASSWORD = "live-in-the-demo"
HOST = "host@lindholm.example"
ADMIN = "admin@lindholm.example"
ADDRESS = {"line1": "Lange Reihe 12", "postal_code": "20099", "city": "Hamburg"}

_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error("csp violation:", event.violatedDirective, event.blockedURI, event.sourceFile);
});
"""
_PARTS = """
const player = document.querySelector("liveshop-show")?.shadowRoot?.querySelector("ls-player");
const part = (name) => player?.shadowRoot?.querySelector(name);
const film = part("ls-video");
const video = film?.shadowRoot?.querySelector("video");
"""


def in_player(body: str) -> str:
    """A script about the player: `player`, `part(selector)`, `film` and `video` are at hand."""
    return "(given) => {" + _PARTS + body + "}"


def executable() -> str:
    """The system's Chromium. Raises AssertionError saying what to install."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise AssertionError(
        "The browser tests need Chromium on the PATH: sudo apt-get install chromium"
    )


def arguments() -> list[str]:
    """What every browser is started with."""
    args = [
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    if os.geteuid() == 0:
        args.append("--no-sandbox")
    return args


async def launch(playwright: Playwright) -> Browser:
    return await playwright.chromium.launch(executable_path=executable(), args=arguments())


async def eventually(
    ask: Callable[[], Awaitable[Any]], what: str, *, within: float = WITHIN_MS / 1000
) -> Any:
    """The first truthy answer of `ask`. Raises AssertionError with the last one."""
    deadline = time.monotonic() + within
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {within} s; last: {answer!r}"
        await asyncio.sleep(0.05)  # between two questions, not instead of one


class Person:
    """One browser context and its page, watched for errors that no test may cause."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.troubles: list[str] = []
        self.foreseen = ""
        """What a message may contain to be no trouble: a test that breaks a rule on purpose."""
        self.refusals = 0
        page.on("pageerror", lambda error: self.troubles.append(f"uncaught: {error}"))
        page.on("console", self._said)

    @classmethod
    async def arrive(
        cls,
        browser: Browser,
        size: str = "1440",
        *,
        locale: str = "en-GB",
        scale: float = 1,
        state: Any = None,
    ) -> "Person":
        phone = size == "390"
        context = await browser.new_context(
            viewport=SIZES[size],
            locale=locale,
            timezone_id="Europe/Berlin",
            is_mobile=phone,
            has_touch=phone,
            device_scale_factor=scale,
            storage_state=state,
        )
        context.set_default_timeout(WITHIN_MS)
        await context.add_init_script(_VIOLATIONS)
        return cls(context, await context.new_page())

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and (
            "csp violation" in message.text or "Content Security Policy" in message.text
        ):
            if self.foreseen and self.foreseen in message.text:
                self.refusals += 1
                return
            self.troubles.append(message.text)

    async def leave(self) -> None:
        await self.context.close()

    # Pages

    async def visit(self, house: Any, **attributes: str) -> None:
        """The storefront of the other origin. Attributes of <liveshop-show> may be changed."""
        await self.page.goto(house.storefront)
        if attributes:
            await self.embed(**attributes)
        await self.page.locator("ls-player").wait_for()

    async def embed(self, **attributes: str) -> None:
        """Change the attributes of the page's <liveshop-show>, as a storefront's script may."""
        await self.page.evaluate(
            """async (attributes) => {
              await customElements.whenDefined("liveshop-show");
              const show = document.querySelector("liveshop-show");
              for (const name of Object.keys(attributes)) show.setAttribute(name, attributes[name]);
            }""",
            attributes,
        )

    async def sign_in(self, address: str, email: str = HOST) -> None:
        await self.page.goto(address)
        await self.see("sign-in-email").fill(email)
        await self.see("sign-in-password").fill(PASSWORD)
        await self.see("sign-in-submit").click()
        # On a phone a running show takes the whole screen, the bar with this button included.
        await self.see("sign-out").wait_for(state="attached")

    def see(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    # The player

    async def film(self) -> dict[str, Any]:
        """What the video shows: its time, the dated playhead in ms, and how its picture varies."""
        return dict(
            await self.page.evaluate(
                in_player(
                    """
              if (!video) return {time: 0, ready: 0, playhead: null, variance: 0, mean: 0};
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [64, 36];
              const pen = canvas.getContext("2d", {willReadFrequently: true});
              pen.drawImage(video, 0, 0, 64, 36);
              const {data} = pen.getImageData(0, 0, 64, 36);
              let sum = 0, squares = 0;
              const count = data.length / 4;
              for (let i = 0; i < data.length; i += 4) {
                const light = 0.2126 * data[i] + 0.7152 * data[i + 1] + 0.0722 * data[i + 2];
                sum += light; squares += light * light;
              }
              const mean = sum / count;
              return {
                time: video.currentTime, ready: video.readyState, paused: video.paused,
                playhead: film.stream?.playhead() ?? null,
                mean, variance: squares / count - mean * mean,
              };"""
                )
            )
        )

    async def film_runs(self, *, seconds: float = 0.5, within: float = 30) -> dict[str, Any]:
        """Waits until the video has advanced by `seconds` from its first frame on."""
        first = await eventually(self._frame, "a first frame", within=within)

        async def later() -> Any:
            now = await self.film()
            return now if now["time"] >= first["time"] + seconds else None

        return dict(await eventually(later, "the video to advance", within=within))

    async def _frame(self) -> Any:
        film = await self.film()
        return film if film["ready"] >= 2 and film["playhead"] and film["time"] > 0 else None

    async def messages(self) -> list[str]:
        """The texts in the chat, in order."""
        return list(
            await self.page.evaluate(
                in_player(
                    """
              const texts = part("ls-chat").shadowRoot.querySelectorAll("[data-testid] .text");
              return [...texts].map((text) => text.textContent.trim());"""
                )
            )
        )

    async def words(self) -> set[str]:
        """Every text of the player, what only screen readers are told included."""
        return set(
            await self.page.evaluate(
                in_player(
                    """
              const found = [];
              const read = (root) => {
                for (const each of root.querySelectorAll("*")) {
                  if (each.localName === "style") continue;
                  for (const node of each.childNodes) found.push(node.data ?? "");
                  for (const name of ["aria-label", "placeholder", "title", "alt"]) {
                    found.push(each.getAttribute(name) ?? "");
                  }
                  if (each.shadowRoot) read(each.shadowRoot);
                }
              };
              read(player.shadowRoot);
              return found.map((text) => text.trim()).filter(Boolean);"""
                )
            )
        )

    async def say(self, text: str) -> None:
        await self.see("chat-input").fill(text)
        await self.see("chat-send").click()

    async def open_product(self, title: str) -> None:
        await self.see("tab-products").click()
        await self.see("lineup-product").filter(has_text=title).click()
        await expect(self.see("product-sheet").get_by_role("heading", name=title)).to_be_visible()

    async def choose(self, *values: str) -> None:
        for value in values:
            await self.see(f"option-{value}").click()

    async def add(self) -> None:
        await self.see("add-to-cart").click()
        await self.see("view-cart").wait_for()

    async def go_to_checkout(self) -> None:
        await self.see("view-cart").click()
        await self.see("checkout").click()
        await self.see("checkout-sheet").wait_for()
        await expect(self.see("total")).to_be_visible()

    async def fill_address(self, name: str = "Ada Example") -> None:
        sheet = self.see("checkout-sheet")
        fields = {
            "email": f"{name.split(maxsplit=1)[0].lower()}@shop.example",
            "name": name,
            **ADDRESS,
        }
        for field, value in fields.items():
            await sheet.locator(f"[name={field}]").fill(value)

    async def pay(self, card: str = GOOD_CARD) -> None:
        await self.see("card").fill(card)
        await self.see("pay").click()

    async def order_number(self) -> str:
        return (await self.see("order-number").inner_text()).strip()

    async def token(self, house: Any) -> str:
        """The guest token this person's browser keeps, to ask the API as the same person."""
        return str(
            await self.page.evaluate(
                "(host) => JSON.parse(localStorage.getItem(`liveshop:guest:${host}`)).token",
                house.base.removeprefix("http://"),
            )
        )

    async def focus(self) -> dict[str, Any]:
        """What has the keyboard, however deep, and whether it is inside an open sheet."""
        return dict(
            await self.page.evaluate(
                """() => {
              let active = document.activeElement;
              while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
              let sheet = false;
              const up = (node) => node.assignedSlot ?? node.parentNode ?? node.host;
              for (let node = active; node; node = up(node)) {
                if (node.localName === "ls-sheet") sheet = true;
              }
              return {
                testid: active?.closest?.("[data-testid]")?.dataset.testid ?? "",
                tag: active?.localName ?? "", name: active?.getAttribute?.("name") ?? "",
                text: active?.textContent?.trim().slice(0, 80) ?? "", sheet,
              };
            }"""
            )
        )

    async def tab_to(self, **wanted: str) -> dict[str, Any]:
        """Press Tab until what has the focus fits. Raises AssertionError after a round."""
        seen = []
        for _ in range(80):
            await self.page.keyboard.press("Tab")
            focus = await self.focus()
            if all(value in focus[key] for key, value in wanted.items()):
                return focus
            seen.append(focus["testid"] or focus["name"] or focus["text"])
        raise AssertionError(f"Tab never reached {wanted}; it passed {seen}")

    # Accessibility

    async def axe(self) -> list[str]:
        """Serious and critical violations of the page as it stands, one line each."""
        await self.animations_end()
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await self.page.evaluate(
            """async () => {
              const {violations} = await axe.run(document, {resultTypes: ["violations"]});
              delete window.axe;
              return violations
                .filter(({impact}) => impact === "serious" || impact === "critical")
                .flatMap(({id, impact, nodes}) => nodes.map((node) =>
                  `${impact} ${id}: ${node.target.flat().join(" ")} | ${node.failureSummary}`));
            }"""
        )
        return [str(line) for line in found]

    async def animations_end(self) -> None:
        """A sheet half faded in has the contrast of half a sheet: judge what stays."""
        await self.page.evaluate(
            """() => {
              const roots = (root) => [root, ...[...root.querySelectorAll("*")]
                .filter((each) => each.shadowRoot).flatMap((each) => roots(each.shadowRoot))];
              const running = roots(document).flatMap((root) => root.getAnimations())
                .filter((each) => each.effect.getComputedTiming().endTime < 2000);
              return Promise.race([
                Promise.allSettled(running.map((each) => each.finished)),
                new Promise((resolve) => setTimeout(resolve, 2000)),
              ]);
            }"""
        )
